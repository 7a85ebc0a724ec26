package row

import (
	"unsafe"

	"vicreg/internal/cpu"
	"vicreg/internal/kernel/shape"
)

// The fast variants of passes over rows of which some are bfloat16. Each checks that its
// operands are long enough and returns how many channels it did: whole vectors, or none if
// it does not know the types.

// whole returns how many of c channels are whole vectors, and whether those of AVX-512. What
// that leaves may be one of AVX2.
func whole(c int) (n int, wide bool) {
	switch {
	case cpu.AVX512BF16 && c >= 16:
		return c &^ 15, true
	case cpu.AVX2:
		return c &^ 7, false
	}
	return 0, false
}

func affineHalves(dst shape.Values, ds int, src shape.Values, ss, rows, c int, scale, shift []float32, lo float32) int {
	n, wide := whole(c)
	if n == 0 {
		return 0
	}
	d, s := (rows-1)*ds+n-1, (rows-1)*ss+n-1
	_, _ = scale[n-1], shift[n-1]
	a, b := &scale[0], &shift[0]
	switch {
	case dst.Half() && src.Half():
		_, _ = dst.H[d], src.H[s]
		if wide {
			affineHalfAVX512(&dst.H[0], ds, &src.H[0], ss, rows, n, a, b, lo)
		} else {
			affineHalfAVX2(&dst.H[0], ds, &src.H[0], ss, rows, n, a, b, lo)
		}
	case dst.Half():
		_, _ = dst.H[d], src.F[s]
		if wide {
			affineNarrowAVX512(&dst.H[0], ds, &src.F[0], ss, rows, n, a, b, lo)
		} else {
			affineNarrowAVX2(&dst.H[0], ds, &src.F[0], ss, rows, n, a, b, lo)
		}
	default:
		_, _ = dst.F[d], src.H[s]
		if wide {
			affineWideAVX512(&dst.F[0], ds, &src.H[0], ss, rows, n, a, b, lo)
		} else {
			affineWideAVX2(&dst.F[0], ds, &src.H[0], ss, rows, n, a, b, lo)
		}
	}
	return n
}

func gradHalves(dst shape.Values, ds int, d, y shape.Values, ss, rows, c int, a, b, k []float32) int {
	n, wide := whole(c)
	if n == 0 || !d.Half() || !y.Half() {
		return 0
	}
	last, to := (rows-1)*ss+n-1, (rows-1)*ds+n-1
	_, _, _, _, _ = d.H[last], y.H[last], a[n-1], b[n-1], k[n-1]
	if dst.Half() {
		_ = dst.H[to]
		if wide {
			gradHalfAVX512(&dst.H[0], ds, &d.H[0], &y.H[0], ss, rows, n, &a[0], &b[0], &k[0])
		} else {
			gradHalfAVX2(&dst.H[0], ds, &d.H[0], &y.H[0], ss, rows, n, &a[0], &b[0], &k[0])
		}
		return n
	}
	_ = dst.F[to]
	if wide {
		gradWideAVX512(&dst.F[0], ds, &d.H[0], &y.H[0], ss, rows, n, &a[0], &b[0], &k[0])
	} else {
		gradWideAVX2(&dst.F[0], ds, &d.H[0], &y.H[0], ss, rows, n, &a[0], &b[0], &k[0])
	}
	return n
}

// convertHalves converts between the two types.
func convertHalves(dst shape.Values, ds int, src shape.Values, ss, rows, c int) int {
	n, wide := whole(c)
	if n == 0 {
		return 0
	}
	d, s := (rows-1)*ds+n-1, (rows-1)*ss+n-1
	if dst.Half() {
		_, _ = dst.H[d], src.F[s]
		if wide {
			narrowRowsAVX512(&dst.H[0], ds, &src.F[0], ss, rows, n)
		} else {
			narrowRowsAVX2(&dst.H[0], ds, &src.F[0], ss, rows, n)
		}
		return n
	}
	_, _ = dst.F[d], src.H[s]
	if wide {
		widenRowsAVX512(&dst.F[0], ds, &src.H[0], ss, rows, n)
	} else {
		widenRowsAVX2(&dst.F[0], ds, &src.H[0], ss, rows, n)
	}
	return n
}

func joinHalves(dst shape.Values, ds int, a shape.Values, sa int, b shape.Values, sb, rows, c int, j *Joining) int {
	n, wide := whole(c)
	if n == 0 || !dst.Half() || !b.Half() {
		return 0
	}
	_, _, _, _ = j.AS[n-1], j.AT[n-1], j.BS[n-1], j.BT[n-1]
	_, _ = dst.H[(rows-1)*ds+n-1], b.H[(rows-1)*sb+n-1]
	to, from, as, at, bs, bt := &dst.H[0], &b.H[0], &j.AS[0], &j.AT[0], &j.BS[0], &j.BT[0]
	if a.Half() {
		_ = a.H[(rows-1)*sa+n-1]
		if wide {
			joinHalfAVX512(to, ds, &a.H[0], sa, from, sb, rows, n, as, at, bs, bt, j.Lo, j.LoA, j.LoB)
		} else {
			joinHalfAVX2(to, ds, &a.H[0], sa, from, sb, rows, n, as, at, bs, bt, j.Lo, j.LoA, j.LoB)
		}
		return n
	}
	_ = a.F[(rows-1)*sa+n-1]
	if wide {
		joinNarrowAVX512(to, ds, &a.F[0], sa, from, sb, rows, n, as, at, bs, bt, j.Lo, j.LoA, j.LoB)
	} else {
		joinNarrowAVX2(to, ds, &a.F[0], sa, from, sb, rows, n, as, at, bs, bt, j.Lo, j.LoA, j.LoB)
	}
	return n
}

func storeHalves(dst []uint16, ds int, prod []float32, ps, rows, c int, sum, square []float32) int {
	n, wide := whole(c)
	if n == 0 {
		return 0
	}
	_, _, _, _ = dst[(rows-1)*ds+n-1], prod[(rows-1)*ps+n-1], sum[n-1], square[n-1]
	if wide {
		storeHalfAVX512(&dst[0], ds, &prod[0], ps, rows, n, &sum[0], &square[0])
	} else {
		storeHalfAVX2(&dst[0], ds, &prod[0], ps, rows, n, &sum[0], &square[0])
	}
	return n
}

// finishHalves does not check its operands; its caller has.
func finishHalves(f *finishArgs) (done int) {
	some := *f
	for {
		n, wide := whole(f.c - done)
		if n == 0 {
			return done
		}
		some.c = n
		if q := (*[16]uintptr)(unsafe.Pointer(&some)); wide {
			finishHalfAVX512(q)
		} else {
			finishHalfAVX2(q)
		}
		if done += n; done == f.c {
			return done
		}
		for _, p := range []**float32{&some.dst, &some.add, &some.mask, &some.dot} {
			*p = (*float32)(unsafe.Add(unsafe.Pointer(*p), 2*n))
		}
		for _, p := range []**float32{&some.prod, &some.scale, &some.shift, &some.sum, &some.sumDot} {
			*p = (*float32)(unsafe.Add(unsafe.Pointer(*p), 4*n))
		}
	}
}

func pairHalvesFast(dst []float32, ds int, src []uint16, ss, pairs, c int) int {
	n, wide := whole(c)
	if n == 0 {
		return 0
	}
	_, _ = dst[(pairs-1)*ds+n-1], src[(2*pairs-1)*ss+n-1]
	if wide {
		pairHalvesAVX512(&dst[0], ds, &src[0], &src[ss], 2*ss, pairs, n)
	} else {
		pairHalvesAVX2(&dst[0], ds, &src[0], &src[ss], 2*ss, pairs, n)
	}
	return n
}

// PoolMax takes the greatest of some pixels in each channel; poolMaxValues is its
// definition.
func PoolMax(dst shape.Values, arg []uint8, in *Reader, off []int64, tap []int32) {
	c := dst.Len() &^ 15
	if !cpu.AVX2 || c == 0 || dst.Half() != in.X.Half() {
		poolMaxValues(dst, arg, in, off, tap, 0)
		return
	}
	_, _, _ = arg[c-1], in.Scale[c-1], in.Coef[c-1]
	o, t, n, scale, shift := &off[0], &tap[0], len(off), &in.Scale[0], &in.Coef[0]
	switch {
	case dst.Half() && cpu.AVX512BF16:
		poolMaxHalfAVX512(&dst.H[0], &arg[0], &in.X.H[0], o, t, n, c, scale, shift, in.Lo)
	case dst.Half():
		poolMaxHalfAVX2(&dst.H[0], &arg[0], &in.X.H[0], o, t, n, c, scale, shift, in.Lo)
	case cpu.AVX512:
		poolMaxAVX512(&dst.F[0], &arg[0], &in.X.F[0], o, t, n, c, scale, shift, in.Lo)
	default:
		poolMaxAVX2(&dst.F[0], &arg[0], &in.X.F[0], o, t, n, c, scale, shift, in.Lo)
	}
	poolMaxValues(dst, arg, in, off, tap, c)
}

// PoolGrad brings gradients back to where PoolMax took them from; poolGradValues is its
// definition.
func PoolGrad(dst []float32, d shape.Values, arg []uint8, off []int64, tap []int32) {
	c := len(dst) &^ 15
	if !cpu.AVX2 || c == 0 || len(off) == 0 {
		poolGradValues(dst, d, arg, off, tap, 0)
		return
	}
	switch {
	case d.Half() && cpu.AVX512BF16:
		poolGradHalfAVX512(&dst[0], &d.H[0], &arg[0], &off[0], &tap[0], len(off), c)
	case d.Half():
		poolGradHalfAVX2(&dst[0], &d.H[0], &arg[0], &off[0], &tap[0], len(off), c)
	case cpu.AVX512:
		poolGradAVX512(&dst[0], &d.F[0], &arg[0], &off[0], &tap[0], len(off), c)
	default:
		poolGradAVX2(&dst[0], &d.F[0], &arg[0], &off[0], &tap[0], len(off), c)
	}
	poolGradValues(dst, d, arg, off, tap, c)
}
