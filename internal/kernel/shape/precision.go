package shape

import (
	"fmt"
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
	BF16              // bfloat16 where the processor is faster with it, or else float32
	TF32              // float32 rounded to 10 bits behind the point, on NVIDIA GPUs; or else float32
)

// Precisions names them.
func Precisions() []string { return []string{"float32", "tf32", "bf16"} }

// ParsePrecision returns what one of Precisions names; an empty name is float32.
func ParsePrecision(name string) (Precision, error) {
	switch name {
	case "", "float32":
		return Float32, nil
	case "tf32":
		return TF32, nil
	case "bf16":
		return BF16, nil
	}
	return Float32, fmt.Errorf("unknown precision %q; known: %s", name, strings.Join(Precisions(), ", "))
}

// Missing returns a warning if this processor cannot multiply such numbers, so that
// float32 is used instead.
func (p Precision) Missing() string {
	switch {
	case p == BF16 && !HasBF16():
		if cpu.AVX512BF16 {
			return "precision bf16: this processor multiplies float32 faster than bfloat16; computing in float32"
		}
		return "precision bf16 needs a processor with AMX or AVX512_BF16, which this one has not or may not use; computing in float32"
	case p == TF32:
		return "precision tf32 exists on NVIDIA GPUs alone; computing in float32"
	}
	return ""
}

// HasBF16 says whether the processor, as it may be used, multiplies bfloat16 and is faster
// at that than at float32.
func HasBF16() bool { return cpu.AMX || cpu.AVX512BF16 && cpu.FastPairs() }
