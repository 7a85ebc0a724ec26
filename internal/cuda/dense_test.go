package cuda_test

import (
	"fmt"
	"math"
	"testing"

	"vicreg/internal/check"
	"vicreg/internal/device"
)

// nearDense is for products: in bfloat16 the weights are rounded too.
func nearDense(t device.Type) float64 {
	if t == device.BFloat16 {
		return 1e-2
	}
	return near32
}

func TestDense(t *testing.T) {
	d := open(t)
	for _, mix := range tokenMixes {
		for _, shape := range [][3]int{{1, 8, 8}, {37, 24, 40}, {5, 7, 9}, {70, 16, 13}} {
			n, c, k := shape[0], shape[1], shape[2]
			dense := device.Dense{N: n, C: c, K: k}
			for _, kind := range []string{"plain", "normalised", "gelu", "add", "apart"} {
				t.Run(fmt.Sprint(mix.name, n, "x", c, "to", k, kind), func(t *testing.T) {
					tol := nearDense(mix.a)
					agree(t, d, func(s *side) {
						w, bias := s.channels(c*k), s.channels(k)
						x, y := s.offset(mix.a, n*c), s.empty(mix.b, n*k)
						src, add := device.RowSource{X: x}, device.Array{}
						switch kind {
						case "normalised":
							src.Norm = s.rowNorm(n, c)
						case "gelu":
							src.GELU = true
						case "add":
							add = s.normal(mix.b, n*k)
						case "apart": // what products cannot add themselves
							add, bias = s.normal(mix.a, n*k), s.channels(k+1).Slice(1, k+1)
						}
						s.DenseForward(y, dense, src, w, bias, add)
						s.show("y", y, tol)

						dy, dx := s.normal(mix.b, n*k), s.normal(mix.a, n*c)
						dBias, dw := s.channels(k), s.channels(c*k)
						var f device.RowFinish
						switch kind {
						case "normalised":
							f = device.RowFinish{X: x, Norm: src.Norm, Add: dx}
							f.DGamma, f.DBeta = s.channels(c), s.channels(c)
						case "gelu":
							f.U = x
						case "add":
							f.Add = dx
						case "apart":
							f.Add = s.normal(mix.b, n*c)
						}
						s.DenseInputGrad(dx, dense, dy, w, dBias, f)
						s.show("dx", dx, tol)
						s.show("what the layer read", x, max(tol, near32))
						s.show("dBias", dBias, near32)
						if kind == "normalised" {
							s.show("dγ", f.DGamma, tol)
							s.show("dβ", f.DBeta, tol)
						}
						s.DenseWeightGrad(dw, dense, x, dy)
						s.show("dw", dw, tol)
					})
				})
			}
		}
	}
}

// A layer whose input is normalised, and whose sum is an array of its own.
func TestDenseAddsWhatItIsGiven(t *testing.T) {
	d := open(t)
	const n, c, k = 21, 16, 8
	agree(t, d, func(s *side) {
		x, norm, add := s.offset(device.Float32, n*c), s.rowNorm(n, c), s.normal(device.Float32, n*c)
		s.LayerNorm(s.empty(device.Float32, n*c), x, norm)
		dx, dy, dBias := s.empty(device.Float32, n*c), s.normal(device.Float32, n*k), s.channels(k)
		f := device.RowFinish{X: x, Norm: norm, DGamma: s.channels(c), DBeta: s.channels(c), Add: add}
		s.DenseInputGrad(dx, device.Dense{N: n, C: c, K: k}, dy, s.channels(c*k), dBias, f)
		s.show("dx", dx, near32)
		s.show("add", add, equal)
	})
}

// No rows: nothing happens.
func TestDenseWithoutRows(t *testing.T) {
	d := open(t)
	agree(t, d, func(s *side) {
		var none device.Array
		w, bias, dw := s.channels(12), s.channels(3), s.channels(12)
		dense := device.Dense{C: 4, K: 3}
		s.DenseForward(none, dense, device.RowSource{}, w, bias, none)
		s.DenseInputGrad(none, dense, none, w, bias, device.RowFinish{})
		s.DenseWeightGrad(dw, dense, none, none)
		s.show("bias", bias, equal)
		s.show("dw", dw, equal)
	})
}

// GELU and its slope over the whole range, by themselves: through a layer of weight one.
func TestGELU(t *testing.T) {
	d := open(t)
	const n = 4096
	u := make([]float32, n)
	for i := range u {
		u[i] = -14 + 28*float32(i)/(n-1)
	}
	ones := make([]float32, n)
	for i := range ones {
		ones[i] = 1
	}
	s := &side{Device: d}
	one, zero := s.array(device.Float32, []float32{1}), s.array(device.Float32, []float32{0})
	x, dx, dy := s.array(device.Float32, u), s.empty(device.Float32, n), s.array(device.Float32, ones)
	s.DenseInputGrad(dx, device.Dense{N: n, C: 1, K: 1}, dy, one, zero, device.RowFinish{U: x})
	y := s.empty(device.Float32, n)
	s.DenseForward(y, device.Dense{N: n, C: 1, K: 1}, device.RowSource{X: s.array(device.Float32, u), GELU: true}, one,
		s.array(device.Float32, []float32{0}), device.Array{})
	value, again, slope := s.values(x), s.values(y), s.values(dx)
	for i, v := range u {
		x := float64(v)
		phi := 0.5 * math.Erfc(-x/math.Sqrt2)
		want, grad := x*phi, phi+x*math.Exp(-x*x/2)/math.Sqrt(2*math.Pi)
		if e := math.Abs(value[i] - want); e > 1e-6*math.Abs(want)+2e-7 {
			t.Fatalf("gelu(%v) = %v, want %v", v, value[i], want)
		}
		if e := math.Abs(slope[i] - grad); e > 5e-7 {
			t.Fatalf("gelu′(%v) = %v, want %v", v, slope[i], grad)
		}
	}
	check.Close64(t, "forward", again, value, 1e-7)
}
