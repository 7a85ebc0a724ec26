package device

import (
	"vicreg/internal/kernel/pass"
	"vicreg/internal/kernel/shape"
	"vicreg/internal/kernel/token"
)

// Shapes and constants, which are the same wherever arrays live.
type (
	Conv      = shape.Conv
	Dense     = token.Dense
	Patches   = token.Patches
	Precision = shape.Precision
)

// ParsePrecision reads the name of a kind of numbers.
func ParsePrecision(name string) (Precision, error) { return shape.ParsePrecision(name) }

// What is fused before and after an operation, as in package kernel, over arrays.

// Source is an activation as a consumer reads it:
//
//	v = x                          Scale is none
//	v = x·Scale[c] + Shift[c]      otherwise
//	v = max(0, v)                  if ReLU
type Source struct {
	X            Array // pixels × c
	Scale, Shift Array // c each, or none
	ReLU         bool
}

// Grad is a gradient as a consumer reads it:
//
//	v = D                          A is none
//	v = A[c]·D + B[c]·Y + K[c]     otherwise: the backward of batch normalisation
type Grad struct {
	D       Array // pixels × c: gradient of the normalised output
	Y       Array // pixels × c: what was normalised
	A, B, K Array // c each, or none
}

// Sums holds two sums per channel, in float64: Σ y and Σ y² forward, Σ d and
// Σ d·Dot backward. The zero Sums is none.
type Sums struct {
	A, B Array // c each
	host *shape.Sums
}

// NewSums returns sums for c channels on a device.
func NewSums(d Device, c int) Sums {
	s := Sums{A: d.Alloc(Float64, c), B: d.Alloc(Float64, c)}
	if d.Shared() {
		s.host = &shape.Sums{A: CPU{}.f64(s.A), B: CPU{}.f64(s.B)}
	}
	return s
}

// Cross brings sums of a device to the host in one run of numbers, those of A first, has
// it changed there, and takes it back. room keeps its memory for the next time.
func (s Sums) Cross(d Device, room *[]float64, change func(x []float64)) {
	c := s.A.Len()
	if cap(*room) < 2*c {
		*room = make([]float64, 2*c)
	}
	x := (*room)[:2*c]
	d.DownWide(x[:c], s.A)
	d.DownWide(x[c:], s.B)
	change(x)
	d.UpWide(s.A, x[:c])
	d.UpWide(s.B, x[c:])
}

// Finish says what becomes of an input gradient before it is stored:
//
//	d = product + Add                     with Add
//	d = 0 where Mask reads 0 or less      with Mask.X
//	Sums = (Σ d, Σ d·Dot) per channel     with Sums
//
// Add may be the very array that the gradient is written to.
type Finish struct {
	Add   Array
	At    Pixels // those that Add has, on a device that is Sparse; to the others nothing is added
	Mask  Source // the ReLU that made this input; only its sign is used
	Signs Array  // those of Mask, which a device that is Signed reads instead; or none
	Dot   Array
	Sums  Sums
}

// Pixels are those of images of H × W whose row and column are multiples of Step. The zero
// Pixels are all.
type Pixels struct{ Step, H, W int }

// Tail is what becomes of a convolution's output in inference:
//
//	y = y·Scale + Shift + Add      without Add, that is left out
//	y = max(0, y)                  if ReLU
type Tail struct {
	Scale, Shift Array // k each: the normalisation
	Add          Array // pixels × k: the other branch of a residual block
	ReLU         bool
	Packed       *Packed // keeps the weights as products read them, or nil
}

// Packed keeps weights as a device's products read them, from call to call; they
// must not change meanwhile.
type Packed struct{ cpu pass.Packed }

// BatchNorm is batch normalisation of c channels, and what it makes of a batch:
// whoever reads the raw tensor y reads y·Scale + Shift.
type BatchNorm struct {
	Gamma, Beta     Array // c each
	RunMean, RunVar Array // c each
	Batches         Array // one value, the number of batches seen
	Bias            Array // c: of the layer before, which y comes without; or none
	Eps, Momentum   float64

	Mean, Rstd   Array // c each, float64
	Scale, Shift Array // c each
}

// BatchNormGrad is the backward of a [BatchNorm]: the gradient of y is read through
// A, B and K.
type BatchNormGrad struct {
	DGamma, DBeta Array // c each, added to; none where γ and β are fixed
	A, B, K       Array // c each
}

// RowNorm is layer normalisation: y = γ·(x − mean)·rstd + β, row by row.
type RowNorm struct {
	Gamma, Beta Array // c each
	Eps         float32
	Mean, Rstd  Array // n each: written by forward, read by backward
}

// RowSource is how a dense layer reads its input: as it is, normalised if
// Norm.Gamma is there, or through GELU.
type RowSource struct {
	X    Array // n × c
	Norm RowNorm
	GELU bool
}

// RowFinish says what becomes of the gradient d of a dense layer's input as the
// layer read it, before it is stored:
//
//	d = d·gelu′(U); U = gelu(U)                   with U: n × c
//	d = backward of Norm for X; X = norm(X)       with X: n × c
//	d = d + Add                                   with Add, which may be the destination
//
// U and X turn into what the layer read, which its weight gradient needs. With
// X, the gradients of Norm's parameters are added to DGamma and DBeta.
type RowFinish struct {
	U             Array
	X             Array
	Norm          RowNorm
	DGamma, DBeta Array // c each
	Add           Array // n × c
}

// Attention is the shape of self-attention over sequences that lie one after the
// other: sequence i is rows [Starts[i], Starts[i+1]).
type Attention struct {
	Starts    []int32
	At        Array // Starts, where the device reads them
	C         int   // width of all heads
	Heads     int
	Precision Precision
}

func (s Attention) shape() token.Attention {
	return token.Attention{Starts: s.Starts, C: s.C, Heads: s.Heads, Precision: s.Precision}
}

// Flops counts the operations of forward.
func (s Attention) Flops() int { return s.shape().Flops() }

// Mat is a row-major matrix, Rows × Cols as stored. With Trans it takes part in a
// product as its transpose.
type Mat struct {
	Data       Array
	Rows, Cols int
	Trans      bool
}

// T returns the transpose of m, over the same data.
func (m Mat) T() Mat {
	m.Trans = !m.Trans
	return m
}
