package main

import (
	"math"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/reg"
)

// transform is one of the matrices, as code for some of its rows at a time.
type transform struct {
	name, doc string
	in, out   int
	consts    []float64
	groups    [][]int // rows whose code shares work
	rows      func(e *emitter, group int, x func(i int) element) []VecVirtual
	pairs     bool // for products of bfloat16, which AVX-512 alone has
	half      bool // Y is bfloat16
}

// scale returns how many bytes of X go with one of Y.
func (t *transform) scale() uint8 {
	if t.half {
		return 2
	}
	return 1
}

// The points are 0, ±a, ±b and ∞ with b = 1/a = √2: half the rounding error of
// the usual 0, ±1, ±2, ∞.
var a, b = math.Sqrt2 / 2, math.Sqrt2

var transforms = []transform{
	{
		name: "winogradInput", doc: "Bᵀ: 6 × 6 pixels of input to a tile", in: 6, out: 6,
		consts: []float64{2.5, 2, 0.5, a, b},
		groups: [][]int{{1, 2}, {3, 4}, {0}, {5}},
		rows: func(e *emitter, group int, x func(int) element) []VecVirtual {
			switch group {
			case 0:
				return e.pm(e.mulAdd(x(4), -2, x(2)), a, e.mulAdd(x(3), -2, x(1)))
			case 1:
				return e.pm(e.mulAdd(x(4), -0.5, x(2)), b, e.mulAdd(x(3), -0.5, x(1)))
			}
			first := group - 2 // rows 0 and 5 are alike
			v := e.mulAdd(x(first), -2.5, x(first+2))
			e.addTo(v, 1, x(first+4))
			return []VecVirtual{v}
		},
	},
	{
		name: "winogradOutput", doc: "Aᵀ: a tile of products to 4 × 4 pixels of output", in: 6, out: 4,
		consts: []float64{0.5, 2, a, b, a / 2, 2 * b},
		groups: [][]int{{0, 2}, {1, 3}},
		rows: func(e *emitter, group int, x func(int) element) []VecVirtual {
			if group == 0 {
				s1, s2 := e.sum(x(1), x(2)), e.sum(x(3), x(4))
				y2 := e.times(0.5, e.val(s1))
				e.addTo(y2, 2, e.val(s2))
				VADDPS(x(0).op(), s1, s1)
				VADDPS(s2, s1, s1)
				return []VecVirtual{s1, y2}
			}
			d1, d2 := e.diff(x(1), x(2)), e.diff(x(3), x(4))
			y1 := e.times(a, e.val(d1))
			e.addTo(y1, b, e.val(d2))
			y3 := x(5).fresh()
			e.addTo(y3, a/2, e.val(d1))
			e.addTo(y3, 2*b, e.val(d2))
			return []VecVirtual{y1, y3}
		},
	},
	{
		name: "winogradGrad", doc: "A: 4 × 4 pixels of the output gradient to a tile", in: 4, out: 6,
		consts: []float64{0.5, 2, a, b},
		groups: [][]int{{1, 2}, {3, 4}, {0}, {5}},
		rows: func(e *emitter, group int, x func(int) element) []VecVirtual {
			switch group {
			case 0:
				return e.pm(e.mulAdd(x(0), 0.5, x(2)), a, e.mulAdd(x(1), 0.5, x(3)))
			case 1:
				return e.pm(e.mulAdd(x(0), 2, x(2)), b, e.mulAdd(x(1), 2, x(3)))
			case 2:
				return []VecVirtual{x(0).fresh()}
			}
			return []VecVirtual{x(3).fresh()}
		},
	},
	{
		name: "winogradWeight", doc: "G: 3 × 3 weights to a tile", in: 3, out: 6,
		consts: []float64{2.0 / 3, 1.0 / 3, 2 * a / 3, 1.0 / 6, b / 6},
		groups: [][]int{{1, 2}, {3, 4}, {0}, {5}},
		rows: func(e *emitter, group int, x func(int) element) []VecVirtual {
			switch group {
			case 0: // −2/3·x0 − 1/3·x2 ∓ 2a/3·x1
				even := e.times(1.0/3, x(2))
				e.addTo(even, 2.0/3, x(0))
				zero := e.vec()
				VXORPS(zero, zero, zero)
				VSUBPS(even, zero, even)
				return e.pm(even, -2*a/3, x(1).fresh())
			case 1:
				even := e.times(1.0/6, x(0))
				e.addTo(even, 1.0/3, x(2))
				return e.pm(even, b/6, x(1).fresh())
			case 2:
				return []VecVirtual{x(0).fresh()}
			}
			return []VecVirtual{x(2).fresh()}
		},
	},
	{
		name: "winogradWeightGrad", doc: "Gᵀ: a tile of sums to the gradient of 3 × 3 weights", in: 6, out: 3,
		consts: []float64{2.0 / 3, 1.0 / 3, 2 * a / 3, 1.0 / 6, b / 6},
		groups: [][]int{{0, 2}, {1}},
		rows: func(e *emitter, group int, x func(int) element) []VecVirtual {
			if group == 1 {
				d1, d2 := e.diff(x(2), x(1)), e.diff(x(3), x(4))
				v := e.times(2*a/3, e.val(d1))
				e.addTo(v, b/6, e.val(d2))
				return []VecVirtual{v}
			}
			s1, s2 := e.sum(x(1), x(2)), e.sum(x(3), x(4))
			w0 := x(0).fresh()
			e.addTo(w0, -2.0/3, e.val(s1))
			e.addTo(w0, 1.0/6, e.val(s2))
			VSUBPS(s1, s2, s2)
			w2 := x(5).fresh()
			e.addTo(w2, 1.0/3, e.val(s2))
			return []VecVirtual{w0, w2}
		},
	},
}
