package nn

import (
	"fmt"

	"vicreg/internal/device"
)

// Later puts off the gradients of large linear weights until backward has been through
// all views. Then each is a single product over the rows of all views, xᵀ·d, which need
// not be added to anything; and until then the memory of the gradients can hold
// activations. One Later serves all passes that share an arena.
type Later struct {
	arena    *Arena
	products []*product
	pending  bool // the gradients count as zero, and the arena has their memory
}

// product is the gradient of one weight.
type product struct {
	weight *Param
	x, d   operand
	chunk  *chunk // of the arena
}

// operand is a matrix that gets its rows one view after the other.
type operand struct {
	data device.Array
	rows int
	most int // rows there will be, if that is known
}

// NewLater returns one for weights (out, in) of [Linear] or [NewLinearNorm].
func NewLater(arena *Arena, weights []*Param) *Later {
	l := &Later{arena: arena}
	for _, w := range weights {
		if len(w.Shape) != 2 {
			panic(fmt.Sprintf("nn: %s is not the weight of a linear layer", w.Name))
		}
		l.products = append(l.products, &product{weight: w, chunk: arena.adopt(w.Grad)})
	}
	return l
}

// Expect says how many rows there will be of all views, so that their memory is got at once.
func (l *Later) Expect(rows int) {
	for _, q := range l.products {
		q.x.most, q.d.most = rows, rows
	}
}

// Has reports whether the gradient of a weight is put off.
func (l *Later) Has(w *Param) bool { return l.of(w) != nil }

func (l *Later) of(w *Param) *product {
	for _, q := range l.products {
		if q.weight.Grad.Same(w.Grad) {
			return q
		}
	}
	return nil
}

// Zero makes the gradients count as zero: it leaves their memory to the arena.
func (l *Later) Zero() {
	for _, q := range l.products {
		q.x.rows, q.d.rows = 0, 0
		q.chunk.away = false
	}
	l.pending = true
}

// Lends returns the bytes that the arena has of the gradients, from Zero to Finish.
func (l *Later) Lends() (bytes int) {
	for _, q := range l.products {
		bytes += 4 * q.weight.Grad.Len()
	}
	return bytes
}

// Close gives back what is kept of views. The gradients stay their owners'.
func (l *Later) Close() {
	for _, q := range l.products {
		for _, o := range []*operand{&q.x, &q.d} {
			l.arena.Device().Free(o.data)
			*o = operand{}
		}
	}
}

// Finish computes the gradients. All memory that the arena has lent since Zero must have
// been given back.
func (l *Later) Finish() {
	for _, q := range l.products {
		if q.chunk.away = true; l.pending && !q.chunk.empty() {
			panic(fmt.Sprintf("nn: the memory of the gradient of %s is still in use", q.weight.Name))
		}
		k, c := q.weight.Shape[0], q.weight.Shape[1]
		dw := device.Mat{Data: q.weight.Grad, Rows: c, Cols: k}
		x, d := device.Mat{Data: q.x.data, Rows: q.x.rows, Cols: c}, device.Mat{Data: q.d.data, Rows: q.x.rows, Cols: k}
		l.arena.Device().Gemm(dw, x.T(), d, !l.pending)
		q.x.rows, q.d.rows = 0, 0
	}
	l.pending = false
}

// add keeps what a view of n rows will add to a gradient.
func (q *product) add(p *Pass, n int, src device.Source, g device.Grad) {
	k, c := q.weight.Shape[0], q.weight.Shape[1]
	p.dev.Apply(q.x.more(p.dev, p.act, n, c), src, c)
	p.dev.ApplyGrad(q.d.more(p.dev, p.act, n, k), g, k)
}

// more returns n more rows of c, of type t as those before them.
func (o *operand) more(dev device.Device, t device.Type, n, c int) device.Array {
	if need := (o.rows + n) * c; o.data.Len() < need || o.data.Type() != t {
		grown := dev.Alloc(t, max(need, o.most*c))
		dev.Copy(grown.Slice(0, o.rows*c), o.data.Slice(0, o.rows*c))
		dev.Free(o.data)
		o.data = grown
	}
	o.rows += n
	return o.data.Slice((o.rows-n)*c, o.rows*c)
}

// Defer has the pass leave gradients to l. It is for passes of training.
func (p *Pass) Defer(l *Later) { p.later = l }

// Idle reports whether the pass holds nothing that backward would need.
func (p *Pass) Idle() bool { return p.n == 0 }

// linearGrads makes the gradients of a linear layer. It is like ConvGrads of a device, but
// dx may be none and the gradient of the weight may be put off.
func (p *Pass) linearGrads(w *Param, dx device.Array, s device.Conv, g device.Grad, src device.Source,
	f device.Finish) {
	var q *product
	if p.later != nil {
		q = p.later.of(w)
	}
	if q != nil {
		q.add(p, s.OutLen()/s.K, src, g)
	} else {
		p.dev.ConvWeightGrad(w.Grad, s, g, src)
	}
	if !dx.None() {
		p.dev.ConvInputGrad(dx, s, g, w.Value, f)
	}
}
