package shape

import (
	"fmt"
	"slices"
	"strings"

	"vicreg/internal/cpu"
)

// Precision is the kind of numbers that a convolution multiplies. Sums, and what it
// reads and writes, are float32 either way.
//
// With BF16 not everything is bfloat16. Linear layers of few rows spend their time on
// loading weights, which are float32. Winograd's transforms enlarge rounding errors
// fivefold, to 1% for one convolution, and over the layers that grows to 3%. So where
// Winograd is used, with stride 1, forward and input gradient stay float32, which is
// still faster than direct convolution in bfloat16. The error of a weight gradient
// spreads no further, so those do multiply bfloat16.
type Precision uint8

const (
	Float32 Precision = iota
	BF16              // bfloat16 where the processor has it, or else float32
	TF32              // float32 whose factors a device may round to 10 bits; the processor does not
)

// Precisions are the names of kinds of numbers.
var Precisions = []string{"float32", "bf16", "tf32"}

func (p Precision) String() string { return Precisions[p] }

// ParsePrecision returns what one of Precisions names; an empty name is float32.
func ParsePrecision(name string) (Precision, error) {
	i := max(0, slices.Index(Precisions, name))
	if i == 0 && name != "" && name != Precisions[0] {
		return Float32, fmt.Errorf("unknown precision %q; known: %s", name, strings.Join(Precisions, ", "))
	}
	return Precision(i), nil
}

// Missing returns a warning if this processor cannot multiply such numbers, so that
// float32 is used instead.
func (p Precision) Missing() string {
	switch {
	case p == BF16 && !HasBF16():
		return "precision bf16 needs a processor with AVX512_BF16, which this one has not or may not use; computing in float32"
	case p == TF32:
		return "precision tf32 is one of NVIDIA cards (--device cuda); the processor computes in float32"
	}
	return ""
}

// HasBF16 says whether the processor, as it may be used, multiplies bfloat16.
func HasBF16() bool { return cpu.AVX512BF16 }
