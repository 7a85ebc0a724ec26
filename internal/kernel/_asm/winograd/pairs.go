package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/reg"
)

// The transforms of F(2×2, 3×3), with the points 0, ±1 and ∞.
var pairs = []transform{
	{
		name: "winogradInputPairs", doc: "Bᵀ: 4 × 4 pixels of input to a tile of bfloat16", in: 4, out: 4,
		groups: [][]int{{0, 1, 2, 3}}, pairs: true, half: true,
		rows: func(e *emitter, _ int, x func(int) element) []VecVirtual {
			v := []VecVirtual{x(0).fresh(), e.vec(), e.vec(), e.vec()}
			x1, x2 := x(1).fresh(), x(2).fresh()
			VSUBPS(x2, v[0], v[0])
			VADDPS(x1, x2, v[1])
			VSUBPS(x1, x2, v[2])
			VSUBPS(x(3).op(), x1, v[3])
			return v
		},
	},
	{
		name: "winogradOutputPairs", doc: "Aᵀ: a tile of products to 2 × 2 pixels of output", in: 4, out: 2,
		groups: [][]int{{0, 1}}, pairs: true,
		rows: func(e *emitter, _ int, x func(int) element) []VecVirtual {
			x1, x2 := x(1).fresh(), x(2).fresh()
			y0, y1 := e.vec(), e.vec()
			VADDPS(x2, x1, y0)
			VADDPS(x(0).op(), y0, y0)
			VSUBPS(x2, x1, y1)
			VSUBPS(x(3).op(), y1, y1)
			return []VecVirtual{y0, y1}
		},
	},
	{
		name: "winogradWeightPairs", doc: "G: 3 × 3 weights to a tile", in: 3, out: 4,
		consts: []float64{0.5},
		groups: [][]int{{0, 1, 2, 3}}, pairs: true,
		rows: func(e *emitter, _ int, x func(int) element) []VecVirtual {
			half := e.times(0.5, e.val(e.sum(x(0), x(2))))
			middle := e.pm(half, 0.5, x(1).fresh())
			return []VecVirtual{x(0).fresh(), middle[0], middle[1], x(2).fresh()}
		},
	},
}
