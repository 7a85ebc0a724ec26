package column

import (
	"math/rand/v2"
	"testing"
	"unsafe"

	"vicreg/internal/check"
	"vicreg/internal/kernel/product"
	"vicreg/internal/kernel/scratch"
	"vicreg/internal/pages"
)

// Column kernels of every width around the lengths of vectors and groups agree
// with their twins and touch nothing beside their operands, which lie against
// pages that may not be touched, at either end.
func TestColumns(t *testing.T) {
	check.EachVariant(t, func(t *testing.T) {
		for _, low := range []bool{false, true} {
			r := rand.New(rand.NewPCG(51, 52))
			for cols := 1; cols <= 75; cols++ {
				testColumns(t, r, 1+cols%5, cols, cols%3, low)
			}
		}
	})
}

func testColumns(t *testing.T, r *rand.Rand, rows, cols, gap int, low bool) {
	stride := cols + gap
	n := (rows-1)*stride + cols // the last row ends with its columns
	guarded := func(n int) []float32 {
		s := check.Guarded(t, n, low)
		for i := range s {
			s[i] = float32(r.NormFloat64())
		}
		return s
	}
	wide := func() (fast, plain []float64) {
		fast = unsafe.Slice((*float64)(unsafe.Pointer(&guarded(2 * cols)[0])), cols)
		for i := range fast {
			fast[i] = r.NormFloat64()
		}
		return fast, append(plain, fast...)
	}
	copyOf := func(s []float32) []float32 { return append([]float32(nil), s...) }
	a, b := guarded(n), guarded(n)
	mean, _ := wide()
	coef := guarded(cols)

	dst := guarded(n)
	want := copyOf(dst)
	sum, wantSum := wide()
	sumColumns(dst, stride, a, stride, rows, cols, sum)
	sumColumnsPlain(want, stride, a, stride, rows, cols, wantSum)
	check.Close(t, "sum's copy", dst, want, 0)
	check.Close64(t, "sum", sum, wantSum, 1e-14)

	square, wantSquare := wide()
	centreColumns(dst, stride, rows, cols, mean, square)
	centreColumnsPlain(want, stride, rows, cols, mean, wantSquare)
	check.Close(t, "centred", dst, want, 1e-7)
	check.Close64(t, "square", square, wantSquare, 1e-14)

	lanes := [8]float64{1, 2, 3, 4, 5, 6, 7, 8}
	wantLanes := lanes
	distanceColumns(a, stride, b, stride, rows, cols, &lanes)
	distanceColumnsPlain(a, stride, b, stride, rows, cols, &wantLanes)
	total := func(lanes [8]float64) (s float64) {
		for _, v := range lanes {
			s += v
		}
		return s
	}
	check.Scalar(t, "distance", total(lanes), total(wantLanes), 1e-14)

	centred := guarded(n)
	wantCentred := copyOf(centred)
	gradColumns(dst, stride, centred, stride, a, b, stride, rows, cols, mean, coef, 0.3)
	gradColumnsPlain(want, stride, wantCentred, stride, a, b, stride, rows, cols, mean, coef, 0.3)
	check.Close(t, "grad", dst, want, 1e-6)
	check.Close(t, "grad's centred", centred, wantCentred, 1e-7)
}

// Products of strips, by sums of float64.
func TestStripProducts(t *testing.T) {
	check.EachVariant(t, func(t *testing.T) {
		r := rand.New(rand.NewPCG(53, 54))
		for _, s := range [][2]int{{1, 1}, {2, 40}, {15, 16}, {33, 31}, {64, 200}, {130, 300}} {
			n, d := s[0], s[1]
			z, packed := check.Normal(r, n*d), make([]float32, PackedLen(d, n)+PackedLen(n, d))
			g, want := check.Normal(r, n*n), make([]float32, n*n)
			copy(want, g)
			m := product.Mat{Data: z, Rows: n, Cols: d}
			UpperGram(product.Mat{Data: g, Rows: n, Cols: n}, m, packed, true, m, product.Mat{})
			for i := range n {
				for j := range n {
					if j < i {
						want[i*n+j], g[i*n+j] = 0, 0
						continue
					}
					var dot float64
					for k := range d {
						dot += float64(z[i*d+k]) * float64(z[j*d+k])
					}
					want[i*n+j] += float32(dot)
				}
			}
			check.Close(t, "Gram", g, want, 1e-5)

			c := check.Normal(r, n*d)
			wantC := append([]float32(nil), c...)
			AddProduct(product.Mat{Data: c, Rows: n, Cols: d}, product.Mat{Data: g, Rows: n, Cols: n}, m, packed, m)
			for i := range n {
				for j := range d {
					dot := float64(wantC[i*d+j])
					for k := range n {
						dot += float64(g[i*n+k]) * float64(z[k*d+j])
					}
					wantC[i*d+j] = float32(dot)
				}
			}
			check.Close(t, "product", c, wantC, 1e-5)
		}
	})
}

// Put copies what it is asked to and nothing beside, whether rows are whole cache
// lines or not.
func TestPut(t *testing.T) {
	check.EachVariant(t, func(t *testing.T) {
		for _, cols := range []int{1, 15, 16, 32, 48, 50} {
			for _, stride := range []int{cols, scratch.RoundUp(cols, 16), scratch.RoundUp(cols, 16) + 16} {
				for _, off := range []int{0, 1, 16} {
					const rows = 5
					buf := pages.Floats(off + rows*stride)
					for i := range buf {
						buf[i] = -1
					}
					dst := product.Mat{Data: buf[off:], Rows: rows, Cols: cols, Stride: stride}
					src := product.Mat{Data: check.Ramp(rows * (cols + 3)), Rows: rows, Cols: cols, Stride: cols + 3}
					Put(dst, src)
					for i := range rows {
						for j := range stride {
							want := float32(-1)
							if j < cols {
								want = src.Data[i*src.Stride+j]
							}
							if got := dst.Data[i*stride+j]; got != want {
								t.Fatalf("%d columns, stride %d, from %d: row %d, column %d is %v, want %v", cols, stride, off, i, j, got, want)
							}
						}
					}
				}
			}
		}
	})
}
