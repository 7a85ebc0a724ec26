package pass

import (
	"vicreg/internal/cpu"
	"vicreg/internal/kernel/product"
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
	Scale, Shift []float32    // k each: the normalisation
	Add          shape.Values // pixels × k: the other branch of a residual block
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

// Fetch queues what finishing values [lo, hi) of the output y will write and read.
func (t *Tail) Fetch(f *product.Fetcher, y shape.Values, lo, hi int) {
	f.Add(y.Memory(lo, hi))
	if !t.Add.None() {
		f.Add(t.Add.Memory(lo, hi))
	}
}

// Store finishes columns [col, col+c) of products, rows of pixels ps apart, and writes them
// to y[off:], stride apart; off is in column col. The products may be y.
func (t *Tail) Store(y shape.Values, off, stride int, prod []float32, ps, rows, col, c int) {
	lo := t.lo()
	to, from, scale, shift := y.From(off), shape.Floats(prod), t.Scale[col:], t.Shift[col:]
	if t.Add.None() {
		row.AffineTo(to, stride, from, ps, rows, c, scale, shift, lo)
		return
	}
	row.JoinTo(to, stride, from, ps, t.Add.From(off), stride, rows, c, &row.Joining{AS: scale, AT: shift, BS: row.Ones,
		BT: row.Zeros, Lo: lo, LoA: row.MinusInf, LoB: row.MinusInf}, false)
}

// End returns the tail as what becomes of products in registers. They are those of all
// columns, and go to y[off:], of bfloat16.
func (t *Tail) End(y shape.Values, off int) product.End {
	e := product.End{Y: y.H[off:], Stride: len(t.Scale), Scale: t.Scale, Shift: t.Shift, Lo: t.lo()}
	if !t.Add.None() {
		e.Add = t.Add.H[off:]
	}
	return e
}

// Ends says whether End does what Store would.
func (t *Tail) Ends(y shape.Values) bool {
	return t.On() && y.Half() && (t.Add.None() || t.Add.Half()) && product.Ends(len(t.Scale))
}

// lo is what the result is at least.
func (t *Tail) lo() float32 {
	if t.ReLU {
		return 0
	}
	return row.MinusInf
}

// tailing is the pass under way that finishes all of an output.
var tailing struct {
	Tail
	y    shape.Values
	prod []float32
}

// Pass finishes all of an output: prod, which may be y, and leaves the result in y.
func (t *Tail) Pass(y shape.Values, prod []float32) {
	j := &tailing
	j.Tail, j.y, j.prod = *t, y, prod
	Plan(y.Len(), len(t.Scale))
	parallel.For(pass.pieces, tailPiece)
	j.Tail, j.y, j.prod = Tail{}, shape.Values{}, nil
}

func tailPiece(_, piece int) {
	first, rows := Rows(piece)
	at, c := first*pass.c, pass.c
	tailing.Store(tailing.y, at, c, tailing.prod[at:], c, rows, 0, c)
}
