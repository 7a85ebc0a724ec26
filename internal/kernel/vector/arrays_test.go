package vector

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"vicreg/internal/check"
)

// TestArrays holds passes over whole arrays to their loops, bit for bit.
func TestArrays(t *testing.T) {
	check.EachWorkers(t, func(t *testing.T) {
		r := rand.New(rand.NewPCG(1, 2))
		for _, n := range []int{0, 1, 17, 40000, 100001} {
			x, y := check.Normal(r, n), check.Normal(r, n)
			run := func(name string, op func(x []float32), want func(i int) float32) {
				t.Helper()
				got, wanted := append([]float32(nil), x...), make([]float32, n)
				for i := range wanted {
					wanted[i] = want(i)
				}
				op(got)
				check.Close(t, name, got, wanted, 0)
			}
			run("Fill", func(x []float32) { Fill(x, -1.5) }, func(int) float32 { return -1.5 })
			run("Fill with zeros", func(x []float32) { Fill(x, 0) }, func(int) float32 { return 0 })
			run("Copy", func(x []float32) { Copy(x, y) }, func(i int) float32 { return y[i] })
			run("Divide", func(x []float32) { Divide(x, 3) }, func(i int) float32 { return x[i] / 3 })
			run("Blend", func(x []float32) { Blend(x, 0.9, 0.1, y) },
				func(i int) float32 { return float32(0.9)*x[i] + float32(0.1)*y[i] })
			sums := make([]float64, n)
			for i := range sums {
				sums[i] = float64(y[i]) * 1.25
			}
			run("AddSums", func(x []float32) { AddSums(x, sums) }, func(i int) float32 { return x[i] + float32(sums[i]) })
			var square float64
			for _, v := range append(x[:n:n], y...) {
				square += float64(v) * float64(v)
			}
			check.Scalar(t, "Length", Length(x, y), math.Sqrt(square), 1e-12)
		}
	})
	x, y := make([]float32, 1<<17), make([]float32, 300)
	both := [][]float32{x, y}
	if n := testing.AllocsPerRun(5, func() { Length(both...) }); n > 0 {
		t.Errorf("Length allocates %v times", n)
	}
}

func TestRowsByNumber(t *testing.T) {
	src := []float32{0, 0, 1, 2, 0, 5, 0, 0}
	if got := FilledRows(nil, src, 2); !slices.Equal(got, []int{1, 2}) {
		t.Errorf("filled rows %v", got)
	}
	dst := make([]float32, 4)
	GatherRows(dst, src, 2, []int{2, 1})
	if !slices.Equal(dst, []float32{0, 5, 1, 2}) {
		t.Errorf("gathered %v", dst)
	}
	ScatterRows(src, []float32{7, 8, 9, 9}, 2, []int{3, 0})
	if !slices.Equal(src, []float32{9, 9, 1, 2, 0, 5, 7, 8}) {
		t.Errorf("scattered %v", src)
	}
	RingRows(src, []float32{1, 1, 2, 2, 3, 3}, 2, 6) // rows 2, 3 and 0
	if !slices.Equal(src, []float32{3, 3, 1, 2, 1, 1, 2, 2}) {
		t.Errorf("ring %v", src)
	}
	if got := GatherInts([]int32{4}, src, []int{0, 3}); !slices.Equal(got, []int32{4, 3, 2}) {
		t.Errorf("numbers %v", got)
	}
	ScatterInts(src, []int{7, 1}, []int32{-1, 16777216})
	if src[7] != -1 || src[1] != 16777216 {
		t.Errorf("numbers set to %v", src)
	}
}
