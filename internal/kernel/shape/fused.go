// Package shape says what convolutions and the passes fused around them work on.
package shape

import "fmt"

// A convolution here is the middle of a fused pass. It reads its input through
// the normalisation and ReLU that come before it (a [Source]) and its output
// gradient through the backward of the normalisation that comes after it (a
// [Grad]); it leaves per-channel sums of what it wrote (a [Sums]), which is all
// that batch normalisation needs. So one raw tensor per convolution is stored,
// and each is read and written once a pass.

// Conv is the shape of a 2-D convolution: input n × h × w × c, weights r × s × c × k,
// output n × oh × ow × k. A linear layer is h = w = r = s = 1.
//
// A convolution of sequences, n × t × c with weights r × c × k, has its time along the
// height: h = t and w = s = 1. Sequence is set, so that Pad adds rows at the two ends
// and no columns at the sides.
type Conv struct {
	N, H, W, C  int
	K, R, S     int
	Stride, Pad int
	Sequence    bool
	Precision   Precision
}

// PadW returns the columns of padding on each side.
func (s Conv) PadW() int {
	if s.Sequence {
		return 0
	}
	return s.Pad
}

// BF16 reports whether bfloat16 was asked for and the processor is faster with it.
func (s Conv) BF16() bool { return s.Precision == BF16 && HasBF16() }

// OutH returns the height of the output.
func (s Conv) OutH() int { return (s.H+2*s.Pad-s.R)/s.Stride + 1 }

// OutW returns the width of the output.
func (s Conv) OutW() int { return (s.W+2*s.PadW()-s.S)/s.Stride + 1 }

// InLen, OutLen and WeightLen return the number of elements of the three tensors.
func (s Conv) InLen() int     { return s.N * s.H * s.W * s.C }
func (s Conv) OutLen() int    { return s.N * s.OutH() * s.OutW() * s.K }
func (s Conv) WeightLen() int { return s.R * s.S * s.C * s.K }

// Flops counts a multiply-add as two operations, as direct convolution does it.
func (s Conv) Flops() int { return 2 * s.OutLen() * s.R * s.S * s.C }

func (s Conv) Check(x, y, w int) {
	if s.Stride < 1 || s.OutH() < 1 || s.OutW() < 1 || s.Sequence && (s.W != 1 || s.S != 1) {
		panic(fmt.Sprintf("kernel: impossible convolution %+v", s))
	}
	if x != s.InLen() || y != s.OutLen() || w != s.WeightLen() {
		panic(fmt.Sprintf("kernel: convolution %+v wants %d, %d, %d elements in x, y, w; got %d, %d, %d",
			s, s.InLen(), s.OutLen(), s.WeightLen(), x, y, w))
	}
}

// Source is an activation as a consumer reads it:
//
//	v = x                          Scale == nil
//	v = x·Scale[c] + Shift[c]      otherwise
//	v = max(0, v)                  if ReLU
type Source struct {
	X            Values    // pixels × c
	Scale, Shift []float32 // c each, or nil
	ReLU         bool
}

// At returns element i, in channel c. It is the definition; kernels are faster.
func (s Source) At(i, c int) float32 {
	v := s.X.At(i)
	if s.Scale != nil {
		v = v*s.Scale[c] + s.Shift[c]
	}
	if s.ReLU {
		v = max(0, v)
	}
	return v
}

// Grad is a gradient as a consumer reads it:
//
//	v = D                          A == nil
//	v = A[c]·D + B[c]·Y + K[c]     otherwise: the backward of batch normalisation
type Grad struct {
	D       Values    // pixels × c: gradient of the normalised output
	Y       Values    // pixels × c: what was normalised
	A, B, K []float32 // c each, or nil
}

// At returns element i, in channel c.
func (g Grad) At(i, c int) float32 {
	if g.A == nil {
		return g.D.At(i)
	}
	return g.A[c]*g.D.At(i) + g.B[c]*g.Y.At(i) + g.K[c]
}

// Sums holds two sums per channel, in float64. They are the same bits for any
// number of workers: partial sums belong to fixed pieces and are added in order.
type Sums struct {
	A []float64 // c: Σ y forward, Σ d backward
	B []float64 // c: Σ y² forward, Σ d·Dot backward
}

// NewSums returns sums for c channels.
func NewSums(c int) *Sums { return &Sums{make([]float64, c), make([]float64, c)} }

// Finish says what is done to an input gradient before it is stored:
//
//	d = product + Add                     Add may be nil
//	d = 0 where Mask reads 0 or less      Mask.X may be nil
//	Sums = (Σ d, Σ d·Dot) per channel     Sums may be nil
//
// Add may be the very values that the gradient is written to.
type Finish struct {
	Add  Values
	Mask Source // the ReLU that made this input; only its sign is used
	Dot  Values
	Sums *Sums
}

func CheckRows(what string, c int, n int, more ...int) {
	if c < 1 || n%c != 0 {
		panic(fmt.Sprintf("kernel: %s of %d elements in rows of %d channels", what, n, c))
	}
	for _, m := range more {
		if m != n {
			panic(fmt.Sprintf("kernel: %s of %d elements meets an operand of %d", what, n, m))
		}
	}
}

func CheckVectors(what string, n int, more ...int) {
	for _, m := range more {
		if m != n {
			panic(fmt.Sprintf("kernel: %s of vectors of %d and %d elements", what, n, m))
		}
	}
}
