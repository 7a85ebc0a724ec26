// Package cpu says what this processor can do.
//
// A variant is a set of instructions that kernels may use: "amx", "avx512", "avx2" or
// "plain". The best one usable is chosen at start; the environment variable
// VICREG_CPU forces another, and tests switch with [Set].
package cpu

import (
	"fmt"
	"os"
	"slices"
	"strings"
)

// What kernels may use under the active variant. Read them, switch with [Set].
var (
	AVX2       bool // AVX2 and FMA; also true under "avx512"
	AVX512     bool // AVX-512 F, BW, DQ and VL; also true under "amx"
	AVX512BF16 bool // products of bfloat16 pairs and conversions to them; only with AVX512
	AMX        bool // tiles that multiply bfloat16; only with AVX512BF16
)

// all lists every variant, the best first.
var all = []string{"amx", "avx512", "avx2", "plain"}

var (
	variant  string
	envError error
)

func init() {
	use(Variants()[0])
	if v := os.Getenv("VICREG_CPU"); v != "" {
		if _, err := Set(v); err != nil {
			envError = fmt.Errorf("VICREG_CPU: %w", err)
		}
	}
}

// Variant returns the active variant.
func Variant() string { return variant }

// Variants lists the variants usable on this processor, the best first.
func Variants() []string {
	var usable []string
	for _, v := range all {
		if v == "amx" && !hasAMX || v == "avx512" && !hasAVX512 || v == "avx2" && !hasAVX2 {
			continue
		}
		usable = append(usable, v)
	}
	return usable
}

// EnvError says what is wrong with the value of VICREG_CPU, which is then
// ignored. It is nil when the variable is unset or good.
func EnvError() error { return envError }

// Withheld says why variant amx is not usable though the processor has its
// instructions. It is nil elsewhere.
func Withheld() error { return withheld }

// Set switches to a variant and returns what switches back. Weights packed
// under one variant are not valid under another, and no kernel may be running.
func Set(v string) (restore func(), err error) {
	if !slices.Contains(all, v) {
		return nil, fmt.Errorf("no processor variant is called %q; use one of %s", v, strings.Join(Variants(), ", "))
	}
	if !slices.Contains(Variants(), v) {
		if v == "amx" && withheld != nil {
			return nil, fmt.Errorf("variant %q cannot be used: %w; use one of %s", v, withheld, strings.Join(Variants(), ", "))
		}
		return nil, fmt.Errorf("this processor cannot run variant %q; use one of %s", v, strings.Join(Variants(), ", "))
	}
	old := variant
	use(v)
	return func() { use(old) }, nil
}

// HasBF16 reports whether the processor has AVX512_BF16, whatever the variant.
func HasBF16() bool { return hasAVX512BF16 }

// Emulated is for tests whose process runs under a tracer that does the work of AMX's
// instructions: variant amx is usable, and active. It needs AVX512_BF16.
func Emulated() {
	if !hasAVX512BF16 {
		panic("cpu: variant amx needs AVX512_BF16")
	}
	hasAMX, withheld = true, nil
	use("amx")
}

func use(v string) {
	variant = v
	AMX = v == "amx"
	AVX512 = AMX || v == "avx512"
	AVX512BF16 = AVX512 && hasAVX512BF16
	AVX2 = v != "plain"
}
