package pass

import (
	"vicreg/internal/cpu"
	"vicreg/internal/kernel/row"
	"vicreg/internal/kernel/shape"
	"vicreg/internal/parallel"
)

// Tail is what happens to a convolution's output in inference, piece by piece while it
// is in the cache, so that it is stored the way its readers want it:
//
//	y = y·Scale + Shift + Add      Add may be nil
//	y = max(0, y)                  if ReLU
type Tail struct {
	Scale, Shift []float32 // k each: the normalisation
	Add          []float32 // pixels × k: the other branch of a residual block
	ReLU         bool
	Packed       *Packed // keeps the weights as products read them, or nil
}

// Packed keeps the weights of a convolution in the layout that products read, from call
// to call; the weights must not change meanwhile. Winograd's transformed weights are not
// kept where there are many channels: they are four times as large and would have to
// come from memory, which takes as long as making them from weights in the cache.
type Packed struct {
	form packedForm
	data []float32
}

// packedForm is what weights are packed for.
type packedForm struct {
	weights *float32
	conv    shape.Conv // without sizes of images
	route   string
	variant string
}

// Buffer returns n elements for the weights w of s, packed for some route, and whether
// they already hold them.
func (p *Packed) Buffer(w []float32, s shape.Conv, route string, n int) (data []float32, filled bool) {
	s.N, s.H, s.W = 0, 0, 0
	form := packedForm{&w[0], s, route, cpu.Variant()}
	if p.form == form && len(p.data) == n {
		return p.data, true
	}
	p.form, p.data = form, make([]float32, n)
	return p.data, false
}

// On reports whether there is anything to do.
func (t *Tail) On() bool { return t.Scale != nil }

// Rows finishes whole pixels of y, which begin at element off.
func (t *Tail) Rows(y []float32, off, pixels int) {
	k := len(t.Scale)
	lo := row.MinusInf
	if t.ReLU {
		lo = 0
	}
	to := y[off:]
	if t.Add == nil {
		row.Affine(to, k, to, k, pixels, k, t.Scale, t.Shift, lo)
		return
	}
	row.Join(to, to, t.Add[off:], pixels, k, t.Scale, t.Shift, row.Ones[:k], row.Zeros[:k], lo, row.MinusInf,
		row.MinusInf, false)
}

// tailing is the pass under way that finishes all of an output.
var tailing struct {
	Tail
	y []float32
}

// Pass finishes all of y.
func (t *Tail) Pass(y []float32) {
	tailing.Tail, tailing.y = *t, y
	Plan(len(y), len(t.Scale))
	parallel.For(pass.pieces, tailPiece)
	tailing.Tail, tailing.y = Tail{}, nil
}

func tailPiece(_, piece int) {
	first, rows := Rows(piece)
	tailing.Rows(tailing.y, first*pass.c, rows)
}
