//go:build !amd64

package column

import (
	"vicreg/internal/kernel/product"
)

func sumColumns(dst []float32, ds int, z []float32, zs, rows, cols int, sum []float64) {
	sumColumnsPlain(dst, ds, z, zs, rows, cols, sum)
}

func centreColumns(z []float32, zs, rows, cols int, mean, square []float64) {
	centreColumnsPlain(z, zs, rows, cols, mean, square)
}

func distanceColumns(a []float32, as int, b []float32, bs, rows, cols int, lanes *[8]float64) {
	distanceColumnsPlain(a, as, b, bs, rows, cols, lanes)
}

func gradColumns(dst []float32, ds int, c []float32, cs int, a, b []float32, zs, rows, cols int, mean []float64,
	coef []float32, beta float32) {
	gradColumnsPlain(dst, ds, c, cs, a, b, zs, rows, cols, mean, coef, beta)
}

func putRows(dst, src product.Mat) bool { return false }
