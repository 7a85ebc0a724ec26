package row

import (
	"math/rand/v2"
	"testing"

	"vicreg/internal/check"
)

// Row kernels read and write their operands and nothing beside them: all of
// them lie against pages that may not be touched, at either end.
func TestRowsStayInside(t *testing.T) {
	check.EachVariant(t, func(t *testing.T) {
		for _, low := range []bool{false, true} {
			r := rand.New(rand.NewPCG(23, 24))
			for _, c := range append([]int{2, 20, 40, 50, 100}, check.Widths...) {
				for _, rows := range []int{1, 2, 5} {
					testInside(t, r, c, rows, low)
				}
			}
		}
	})
}

func testInside(t *testing.T, r *rand.Rand, c, rows int, low bool) {
	guarded := func(n int) []float32 {
		s := check.Guarded(t, n, low)
		for i := range s {
			s[i] = float32(r.NormFloat64())
		}
		return s
	}
	const gap = 3
	stride := c + gap
	n := (rows-1)*stride + c // the last row ends with its channels
	src, src2 := guarded(n), guarded(n)
	a, b, k := guarded(c), guarded(c), guarded(c)
	dst, want := guarded(n), make([]float32, n)
	// expect compares dst with want, which started as a copy of it.
	expect := func(what string, run func(), plain func()) {
		t.Helper()
		copy(want, dst)
		run()
		plain()
		check.Close(t, what, dst, want, 1e-6)
	}
	expect("affine", func() { Affine(dst, stride, src, stride, rows, c, a, b, 0) },
		func() { affineRowsPlain(want, stride, src, stride, rows, c, a, b, 0) })
	expect("grad", func() { Grad(dst, stride, src, src2, stride, rows, c, a, b, k) },
		func() { gradRowsPlain(want, stride, src, src2, stride, rows, c, a, b, k) })
	expect("axpy", func() { Axpy(dst, 2, src) }, func() { axpyPlain(want, 2, src) })
	expect("scale", func() { Scale(dst, 2) }, func() { scalePlain(want, 2) })
	check.CloseAbs64(t, "dot", []float64{Dot(src, src2)}, []float64{dotPlain(src, src2)}, 1e-5, 1e-5)

	whole, from, from2 := guarded(rows*c), guarded(rows*c), guarded(rows*c)
	wantWhole := make([]float32, rows*c)
	Join(whole, from, from2, rows, c, a, b, k, a, MinusInf, 0, MinusInf, false)
	joinRowsPlain(wantWhole, from, from2, rows, c, a, b, k, a, MinusInf, 0, MinusInf)
	check.Close(t, "join", whole, wantWhole, 1e-6)

	// segments of c elements, a row apart, to rows without gaps
	Gather(whole, c, src, stride, rows, 1, 0, c)
	gatherRowsPlain(wantWhole, c, src, stride, rows, 1, 0, c)
	check.Close(t, "gather", whole, wantWhole, 0)
	Gather(whole, 0, src, 0, 1, rows, stride, c)
	gatherRowsPlain(wantWhole, 0, src, 0, 1, rows, stride, c)
	check.Close(t, "gather segments", whole, wantWhole, 0)

	sum, square := guarded(c), guarded(c)
	wantSum, wantSquare := make([]float32, c), make([]float32, c)
	Sum(src, stride, rows, c, sum, square)
	sumRowsPlain(src, stride, rows, c, wantSum, wantSquare)
	check.CloseAbs(t, "sum", sum, wantSum, 1e-6, 1e-6)
	check.Close(t, "square", square, wantSquare, 1e-6)

	args := finishArgs{
		ds: stride, prod: &src[0], ps: stride, add: &src2[0], as: stride, mask: &from[0], ms: c, dot: &from2[0],
		dots:  c,
		scale: &a[0], shift: &b[0], rows: rows, c: c,
	}
	args.dst, args.sum, args.sumDot = &dst[0], &sum[0], &square[0]
	copy(want, dst)
	finishRows(&args, false)
	args.dst, args.sum, args.sumDot = &want[0], &wantSum[0], &wantSquare[0]
	finishRowsPlain(&args)
	check.Close(t, "finish", dst, want, 1e-6)
	check.CloseAbs(t, "finish sum", sum, wantSum, 1e-6, 1e-5)
	check.CloseAbs(t, "finish sum of d·dot", square, wantSquare, 1e-6, 1e-5)

	w, m, v, g := guarded(c), guarded(c), guarded(c), guarded(c)
	copyOf := func(s []float32) []float32 { return append([]float32(nil), s...) }
	wantW, wantM := copyOf(w), copyOf(m)
	Momentum(w, m, g, 0.1, 0.9, 0.01, 0.5)
	momentumPlain(wantW, wantM, g, 0.1, 0.9, 0.01, 0.5)
	check.Close(t, "momentum", w, wantW, 1e-6)
	for i := range v {
		v[i] *= v[i]
	}
	wantM, wantV := copyOf(m), copyOf(v)
	adamConstants := AdamArgs{0.9, 0.1, 0.99, 0.01, 0.99, 0.1, 2, 1e-4}
	Adam(w, m, v, g, &adamConstants)
	adamPlain(wantW, wantM, wantV, g, &adamConstants)
	check.Close(t, "adam", w, wantW, 1e-5)
}
