package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/reg"
)

// The transforms of a convolution of stride 2: F(4, 2) with the points ±a, ±b
// and ∞ for the outer two weights, which meet every other pixel, and nothing
// for the middle one, which meets the rest. Rows 0 to 4 are the points', rows
// 5 to 8 the pixels of the middle weight; rows of weights are 6, since those
// four have theirs in common.

var points = []float64{2.5, 2, 0.5, a, b}

// fivePoints returns rows 0 and 1, 2 and 3, or 4 of Bᵀ for five values.
func fivePoints(e *emitter, group int, x func(int) element) []VecVirtual {
	switch group {
	case 0:
		return e.pm(e.mulAdd(x(3), -2, x(1)), a, e.mulAdd(x(2), -2, x(0)))
	case 1:
		return e.pm(e.mulAdd(x(3), -0.5, x(1)), b, e.mulAdd(x(2), -0.5, x(0)))
	}
	v := e.mulAdd(x(4), -2.5, x(2))
	e.addTo(v, 1, x(0))
	return []VecVirtual{v}
}

// fourPixels returns rows 0 and 2, or 1 and 3, of Aᵀ for five values.
func fourPixels(e *emitter, group int, x func(int) element) []VecVirtual {
	if group == 0 {
		s1, s2 := e.sum(x(0), x(1)), e.sum(x(2), x(3))
		y2 := e.times(0.5, e.val(s1))
		e.addTo(y2, 2, e.val(s2))
		VADDPS(s2, s1, s1)
		return []VecVirtual{s1, y2}
	}
	d1, d2 := e.diff(x(0), x(1)), e.diff(x(2), x(3))
	y1 := e.times(a, e.val(d1))
	e.addTo(y1, b, e.val(d2))
	y3 := x(4).fresh()
	e.addTo(y3, a/2, e.val(d1))
	e.addTo(y3, 2*b, e.val(d2))
	return []VecVirtual{y1, y3}
}

var pixelConsts = []float64{0.5, 2, a, b, a / 2, 2 * b}

var halving = []transform{
	{
		name: "winogradInput2", doc: "the input transform of stride 2, 9 × 9 pixels to 9 × 9 values,", in: 9, out: 9,
		consts: points,
		groups: [][]int{{0, 1}, {2, 3}, {4}, {5}, {6}, {7}, {8}},
		rows: func(e *emitter, group int, x func(int) element) []VecVirtual {
			if group > 2 {
				return []VecVirtual{x(2*(group-3) + 1).fresh()}
			}
			return fivePoints(e, group, func(i int) element { return x(2 * i) })
		},
	},
	{
		name: "winogradOutput2", doc: "the output transform of stride 2, 9 × 9 values to 4 × 4 pixels,", in: 9, out: 4,
		consts: pixelConsts,
		groups: [][]int{{0, 2}, {1, 3}},
		rows: func(e *emitter, group int, x func(int) element) []VecVirtual {
			y := fourPixels(e, group, x)
			VADDPS(x(5+group).op(), y[0], y[0])
			VADDPS(x(7+group).op(), y[1], y[1])
			return y
		},
	},
	{
		name: "winogradGrad2", doc: "the transform of the output gradient of stride 2, 4 × 4 pixels to 9 × 9 values,", in: 4, out: 9,
		consts: []float64{0.5, 2, a, b},
		groups: [][]int{{0, 1}, {2, 3}, {4}, {5}, {6}, {7}, {8}},
		rows: func(e *emitter, group int, x func(int) element) []VecVirtual {
			switch group {
			case 0:
				return e.pm(e.mulAdd(x(0), 0.5, x(2)), a, e.mulAdd(x(1), 0.5, x(3)))
			case 1:
				return e.pm(e.mulAdd(x(0), 2, x(2)), b, e.mulAdd(x(1), 2, x(3)))
			case 2:
				return []VecVirtual{x(3).fresh()}
			}
			return []VecVirtual{x(group - 3).fresh()}
		},
	},
	{
		name: "winogradBack2", doc: "the input transform of the input gradient of stride 2, 5 × 5 pixels to 9 × 9 values,", in: 5, out: 9,
		consts: points,
		groups: [][]int{{0, 1}, {2, 3}, {4}, {5}, {6}, {7}, {8}},
		rows: func(e *emitter, group int, x func(int) element) []VecVirtual {
			if group > 2 {
				return []VecVirtual{x(group - 3).fresh()}
			}
			return fivePoints(e, group, x)
		},
	},
	{
		name: "winogradBackOutput2", doc: "the output transform of the input gradient of stride 2, 9 × 9 values to 8 × 8 pixels,", in: 9, out: 8,
		consts: pixelConsts,
		groups: [][]int{{1, 5}, {3, 7}, {0}, {2}, {4}, {6}},
		rows: func(e *emitter, group int, x func(int) element) []VecVirtual {
			if group > 1 {
				return []VecVirtual{x(group + 3).fresh()}
			}
			return fourPixels(e, group, x)
		},
	},
	{
		name: "winogradWeight2", doc: "the weight transform of stride 2, 3 × 3 weights to 6 × 6 values,", in: 3, out: 6,
		consts: []float64{1.0 / 3, a / 3, b / 3},
		groups: [][]int{{0, 1}, {2, 3}, {4}, {5}},
		rows: func(e *emitter, group int, x func(int) element) []VecVirtual {
			switch group {
			case 0: // −x2/3 ∓ b/3·x0
				even := e.times(1.0/3, x(2))
				zero := e.vec()
				VXORPS(zero, zero, zero)
				VSUBPS(even, zero, even)
				return e.pm(even, -b/3, x(0).fresh())
			case 1: // x2/3 ± a/3·x0
				return e.pm(e.times(1.0/3, x(2)), a/3, x(0).fresh())
			case 2:
				return []VecVirtual{x(2).fresh()}
			}
			return []VecVirtual{x(1).fresh()}
		},
	},
	{
		name: "winogradWeightGrad2", doc: "the transform of the weight gradient of stride 2, 6 × 6 sums to 3 × 3 weights,", in: 6, out: 3,
		consts: []float64{1.0 / 3, a / 3, b / 3},
		groups: [][]int{{0}, {1}, {2}},
		rows: func(e *emitter, group int, x func(int) element) []VecVirtual {
			switch group {
			case 0:
				d1, d2 := e.diff(x(1), x(0)), e.diff(x(2), x(3))
				v := e.times(b/3, e.val(d1))
				e.addTo(v, a/3, e.val(d2))
				return []VecVirtual{v}
			case 1:
				return []VecVirtual{x(5).fresh()}
			}
			s1, s2 := e.sum(x(0), x(1)), e.sum(x(2), x(3))
			VSUBPS(s1, s2, s2)
			v := x(4).fresh()
			e.addTo(v, 1.0/3, e.val(s2))
			return []VecVirtual{v}
		},
	},
}
