package row

import (
	"unsafe"

	"vicreg/internal/cpu"
)

//go:generate go -C ../_asm run ./rows -out ../row/row_amd64.s -stubs ../row/row_stubs_amd64.go -pkg row

// Each function checks that its operands are long enough, then runs the active
// variant; the loop it stands for is its twin's in row_plain.go.

func Affine(dst []float32, ds int, src []float32, ss, rows, c int, scale, shift []float32, lo float32) {
	if rows == 0 {
		return
	}
	if !cpu.AVX2 {
		affineRowsPlain(dst, ds, src, ss, rows, c, scale, shift, lo)
		return
	}
	_, _, _, _ = dst[(rows-1)*ds+c-1], src[(rows-1)*ss+c-1], scale[c-1], shift[c-1]
	if cpu.AVX512 {
		affineRowsAVX512(&dst[0], ds, &src[0], ss, rows, c, &scale[0], &shift[0], lo)
	} else {
		affineRowsAVX2(&dst[0], ds, &src[0], ss, rows, c, &scale[0], &shift[0], lo)
	}
}

func Grad(dst []float32, ds int, d, y []float32, ss, rows, c int, a, b, k []float32) {
	if rows == 0 {
		return
	}
	if !cpu.AVX2 {
		gradRowsPlain(dst, ds, d, y, ss, rows, c, a, b, k)
		return
	}
	last := (rows-1)*ss + c - 1
	_, _, _, _, _, _ = dst[(rows-1)*ds+c-1], d[last], y[last], a[c-1], b[c-1], k[c-1]
	if cpu.AVX512 {
		gradRowsAVX512(&dst[0], ds, &d[0], &y[0], ss, rows, c, &a[0], &b[0], &k[0])
	} else {
		gradRowsAVX2(&dst[0], ds, &d[0], &y[0], ss, rows, c, &a[0], &b[0], &k[0])
	}
}

// Streams reports whether stores to dst, rows of c elements, may go past the caches: dst
// is so large that it would have left them before anyone reads it. Whoever streams calls
// fence at the end of a piece.
func Streams(dst []float32, c int) bool {
	return cpu.AVX2 && len(dst) >= StreamFloats && c%16 == 0 && uintptr(unsafe.Pointer(&dst[0]))%64 == 0
}

func Join(dst, a, b []float32, rows, c int, as, at, bs, bt []float32, lo, loA, loB float32, stream bool) {
	if rows == 0 {
		return
	}
	if !cpu.AVX2 {
		joinRowsPlain(dst, a, b, rows, c, as, at, bs, bt, lo, loA, loB)
		return
	}
	last := rows*c - 1
	_, _, _, _, _, _, _ = dst[last], a[last], b[last], as[c-1], at[c-1], bs[c-1], bt[c-1]
	switch {
	case cpu.AVX512 && stream:
		joinRowsStreamAVX512(&dst[0], &a[0], &b[0], rows, c, &as[0], &at[0], &bs[0], &bt[0], lo, loA, loB)
	case cpu.AVX512:
		joinRowsAVX512(&dst[0], &a[0], &b[0], rows, c, &as[0], &at[0], &bs[0], &bt[0], lo, loA, loB)
	case stream:
		joinRowsStreamAVX2(&dst[0], &a[0], &b[0], rows, c, &as[0], &at[0], &bs[0], &bt[0], lo, loA, loB)
	default:
		joinRowsAVX2(&dst[0], &a[0], &b[0], rows, c, &as[0], &at[0], &bs[0], &bt[0], lo, loA, loB)
	}
}

func Gather(dst []float32, ds int, src []float32, step, pixels, segments, skip, n int) {
	if pixels == 0 || segments == 0 {
		return
	}
	if !cpu.AVX2 {
		gatherRowsPlain(dst, ds, src, step, pixels, segments, skip, n)
		return
	}
	_, _ = dst[(pixels-1)*ds+segments*n-1], src[(pixels-1)*step+(segments-1)*skip+n-1]
	if cpu.AVX512 {
		gatherRowsAVX512(&dst[0], ds, &src[0], step, pixels, segments, skip, n)
	} else {
		gatherRowsAVX2(&dst[0], ds, &src[0], step, pixels, segments, skip, n)
	}
}

func Sum(y []float32, ys, rows, c int, sum, square []float32) {
	if !cpu.AVX2 || rows == 0 {
		sumRowsPlain(y, ys, rows, c, sum, square)
		return
	}
	_, _, _ = y[(rows-1)*ys+c-1], sum[c-1], square[c-1]
	if cpu.AVX512 {
		sumRowsAVX512(&y[0], ys, rows, c, &sum[0], &square[0])
	} else {
		sumRowsAVX2(&y[0], ys, rows, c, &sum[0], &square[0])
	}
}

// finishRows does not check its operands; its caller has.
func finishRows(f *finishArgs, stream bool) {
	switch q := (*[16]uintptr)(unsafe.Pointer(f)); {
	case cpu.AVX512 && stream:
		finishRowsStreamAVX512(q)
	case cpu.AVX512:
		finishRowsAVX512(q)
	case cpu.AVX2 && stream:
		finishRowsStreamAVX2(q)
	case cpu.AVX2:
		finishRowsAVX2(q)
	default:
		finishRowsPlain(f)
	}
}

func AddWide(sum []float64, part []float32) {
	n := len(part) &^ 3
	if !cpu.AVX2 || n == 0 {
		addWidePlain(sum, part)
		return
	}
	_ = sum[len(part)-1]
	addWideAVX2(&sum[0], &part[0], n)
	addWidePlain(sum[n:], part[n:])
}

func Axpy(y []float32, a float32, x []float32) {
	n := len(x)
	if !cpu.AVX2 || n == 0 {
		axpyPlain(y, a, x)
		return
	}
	_ = y[n-1]
	if cpu.AVX512 {
		axpyAVX512(&y[0], a, &x[0], n)
	} else {
		axpyAVX2(&y[0], a, &x[0], n)
	}
}

func Scale(x []float32, a float32) {
	n := len(x)
	switch {
	case n == 0:
	case cpu.AVX512:
		scaleAVX512(&x[0], a, n)
	case cpu.AVX2:
		scaleAVX2(&x[0], a, n)
	default:
		scalePlain(x, a)
	}
}

func Dot(a, b []float32) float64 {
	n := len(a)
	if !cpu.AVX2 || n == 0 {
		return dotPlain(a, b)
	}
	_ = b[n-1]
	var lanes [16]float32
	if cpu.AVX512 {
		dotAVX512(&a[0], &b[0], n, &lanes[0])
	} else {
		dotAVX2(&a[0], &b[0], n, &lanes[0])
	}
	var sum float64
	for _, v := range lanes {
		sum += float64(v)
	}
	return sum
}

func Momentum(w, m, g []float32, lr, momentum, weightDecay, scale float32) {
	n := len(w)
	if !cpu.AVX2 || n == 0 {
		momentumPlain(w, m, g, lr, momentum, weightDecay, scale)
		return
	}
	_, _ = m[n-1], g[n-1]
	if cpu.AVX512 {
		momentumAVX512(&w[0], &m[0], &g[0], n, lr, momentum, weightDecay, scale)
	} else {
		momentumAVX2(&w[0], &m[0], &g[0], n, lr, momentum, weightDecay, scale)
	}
}

func Adam(w, m, v, g []float32, a *AdamArgs) {
	n := len(w)
	if !cpu.AVX2 || n == 0 {
		adamPlain(w, m, v, g, a)
		return
	}
	_, _, _ = m[n-1], v[n-1], g[n-1]
	if cpu.AVX512 {
		adamAVX512(&w[0], &m[0], &v[0], &g[0], n, (*[8]float32)(unsafe.Pointer(a)))
	} else {
		adamAVX2(&w[0], &m[0], &v[0], &g[0], n, (*[8]float32)(unsafe.Pointer(a)))
	}
}

// Fence ends a piece that streamed.
func Fence() { storeFence() }
