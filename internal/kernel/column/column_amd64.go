package column

import (
	"unsafe"

	"vicreg/internal/cpu"
	"vicreg/internal/kernel/product"
	"vicreg/internal/kernel/scratch"
)

// Each function checks that its operands are long enough, then runs the active
// variant; the loop it stands for is its twin's in columns_plain.go.

func sumColumns(dst []float32, ds int, z []float32, zs, rows, cols int, sum []float64) {
	if rows == 0 || cols == 0 {
		return
	}
	if !cpu.AVX2 {
		sumColumnsPlain(dst, ds, z, zs, rows, cols, sum)
		return
	}
	_, _, _ = dst[(rows-1)*ds+cols-1], z[(rows-1)*zs+cols-1], sum[cols-1]
	if cpu.AVX512 {
		sumColumnsAVX512(&dst[0], ds, &z[0], zs, rows, cols, &sum[0])
	} else {
		sumColumnsAVX2(&dst[0], ds, &z[0], zs, rows, cols, &sum[0])
	}
}

func centreColumns(z []float32, zs, rows, cols int, mean, square []float64) {
	if rows == 0 || cols == 0 {
		return
	}
	if !cpu.AVX2 {
		centreColumnsPlain(z, zs, rows, cols, mean, square)
		return
	}
	_, _, _ = z[(rows-1)*zs+cols-1], mean[cols-1], square[cols-1]
	if cpu.AVX512 {
		centreColumnsAVX512(&z[0], zs, rows, cols, &mean[0], &square[0])
	} else {
		centreColumnsAVX2(&z[0], zs, rows, cols, &mean[0], &square[0])
	}
}

func distanceColumns(a []float32, as int, b []float32, bs, rows, cols int, lanes *[8]float64) {
	if rows == 0 || cols == 0 {
		return
	}
	if !cpu.AVX2 {
		distanceColumnsPlain(a, as, b, bs, rows, cols, lanes)
		return
	}
	_, _ = a[(rows-1)*as+cols-1], b[(rows-1)*bs+cols-1]
	if cpu.AVX512 {
		distanceColumnsAVX512(&a[0], as, &b[0], bs, rows, cols, &lanes[0])
	} else {
		distanceColumnsAVX2(&a[0], as, &b[0], bs, rows, cols, &lanes[0])
	}
}

func gradColumns(dst []float32, ds int, c []float32, cs int, a, b []float32, zs, rows, cols int, mean []float64,
	coef []float32, beta float32) {
	if rows == 0 || cols == 0 {
		return
	}
	if !cpu.AVX2 {
		gradColumnsPlain(dst, ds, c, cs, a, b, zs, rows, cols, mean, coef, beta)
		return
	}
	last := (rows-1)*zs + cols - 1
	_, _, _, _, _, _ = dst[(rows-1)*ds+cols-1], c[(rows-1)*cs+cols-1], a[last], b[last], mean[cols-1], coef[cols-1]
	if cpu.AVX512 {
		gradColumnsAVX512(&dst[0], ds, &c[0], cs, &a[0], &b[0], zs, rows, cols, &mean[0], &coef[0], beta)
	} else {
		gradColumnsAVX2(&dst[0], ds, &c[0], cs, &a[0], &b[0], zs, rows, cols, &mean[0], &coef[0], beta)
	}
}

// putRows copies past the caches and returns true if rows begin and end at cache lines;
// else it does nothing.
func putRows(dst, src product.Mat) bool {
	if !cpu.AVX2 || dst.Rows == 0 || dst.Cols == 0 || dst.Cols%scratch.LineFloats != 0 ||
		dst.Stride%scratch.LineFloats != 0 || uintptr(unsafe.Pointer(&dst.Data[0]))%64 != 0 {
		return false
	}
	putRowsAVX2(&dst.Data[0], dst.Stride, &src.Data[0], src.Stride, dst.Rows, dst.Cols/scratch.LineFloats)
	return true
}
