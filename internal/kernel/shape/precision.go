package shape

import (
	"fmt"
	"strings"

	"vicreg/internal/cpu"
)

// Precision is the kind of numbers that a convolution multiplies. Sums are float32 either
// way, and what it reads and writes are [Values] of either type.
//
// With BF16 not everything is bfloat16. Linear layers of fewer than 64 rows spend their
// time on loading weights, which are float32. Winograd's transforms enlarge rounding errors
// fivefold, to 1% for one convolution, and over the layers that grows to 3%. So where
// Winograd is used, with stride 1, forward and input gradient stay float32, which is still
// faster than direct convolution by AVX512_BF16. The error of a weight gradient spreads no
// further, so those do multiply bfloat16.
//
// AMX multiplies sixteen times as fast as float32, and Winograd's algorithm saves three
// quarters of the products at most. So there all forward passes and input gradients are
// direct. Which way a convolution goes thus depends on the variant and the shape, and not
// on what was measured: a run that goes on has the kernels that it had.
type Precision uint8

const (
	Float32 Precision = iota
	BF16              // bfloat16 where the processor is faster with it, or else float32; stored as bfloat16
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

// Missing returns a warning if float32 is multiplied on this processor instead of such
// numbers.
func (p Precision) Missing() string {
	switch {
	case p == BF16 && !HasBF16():
		return "precision bf16 here means storage: products are computed in float32, as this processor multiplies bfloat16 no faster"
	case p == TF32:
		return "precision tf32 exists on NVIDIA GPUs alone; computing in float32"
	}
	return ""
}

// HasBF16 says whether the processor, as it may be used, multiplies bfloat16 and is faster
// at that than at float32.
func HasBF16() bool { return cpu.AMX || cpu.AVX512BF16 && cpu.FastPairs() }
