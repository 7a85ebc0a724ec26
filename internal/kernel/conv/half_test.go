package conv

import (
	"math/rand/v2"
	"slices"
	"testing"

	"vicreg/internal/amx"
	"vicreg/internal/check"
	"vicreg/internal/kernel/pass"
	"vicreg/internal/kernel/plain"
	"vicreg/internal/kernel/shape"
	"vicreg/internal/kernel/winograd"
	"vicreg/internal/parallel"
)

// narrow returns values rounded to bfloat16.
func narrow(v shape.Values) shape.Values {
	if v.None() {
		return v
	}
	h := make([]uint16, v.Len())
	for i := range h {
		h[i] = shape.Narrow(v.At(i))
	}
	return shape.Halves(h)
}

func widen(v shape.Values) []float32 {
	x := make([]float32, v.Len())
	for i := range x {
		x[i] = v.At(i)
	}
	return x
}

// halved returns the case with activations of bfloat16.
func (c *convCase) halved() *convCase {
	h := *c
	h.src.X, h.g.D, h.g.Y = narrow(c.src.X), narrow(c.g.D), narrow(c.g.Y)
	h.f.Add, h.f.Mask.X, h.f.Dot = narrow(c.f.Add), narrow(c.f.Mask.X), narrow(c.f.Dot)
	return &h
}

// runHalf is run with results of bfloat16.
func (c *convCase) runHalf(forward func(shape.Values, shape.Conv, shape.Source, []float32, *shape.Sums),
	grads func(dx shape.Values, dw []float32, s shape.Conv, g shape.Grad, src shape.Source, w []float32,
		f shape.Finish)) result {
	y, dx := narrow(normal(rand.New(rand.NewPCG(1, 1)), c.OutLen())), narrow(shape.Floats(c.dx))
	out := c.runTo(y, dx, forward, grads)
	out.y, out.dx = widen(y), widen(dx)
	return out
}

// smallShapes are some of testShapes that a definition computes quickly.
func smallShapes(n int) []shape.Conv {
	return slices.DeleteFunc(testShapes(n), func(s shape.Conv) bool { return s.Flops() > 4e6 })
}

// Convolutions of activations in bfloat16 give what the definition does of the same
// values: but for few that lie where rounding turns over, the same ones where products are
// float32, and what bfloat16 products do else.
func TestConvHalf(t *testing.T) {
	defer useWinograd()()
	defer parallel.SetWorkers(0)
	check.EachVariant(t, func(t *testing.T) {
		r := rand.New(rand.NewPCG(3, 4))
		for i, s := range smallShapes(40) {
			c := randomCase(r, s).halved()
			if i%2 == 0 {
				c.Precision = shape.BF16
			}
			if amx.Traced() && i%8 > 0 {
				continue
			}
			tol := 3e-4
			if c.BF16() {
				tol = 2e-2
			}
			want := c.runHalf(plain.Conv, plainConvGrads)
			eachRoute(func(route string) {
				t.Run(named(s)+" "+route, func(t *testing.T) {
					for _, on := range []bool{false, true} {
						winograd.Set(on)
						parallel.SetWorkers(1)
						one := c.runHalf(Forward, apart)
						one.close(t, want, tol)
						parallel.SetWorkers(3)
						c.runHalf(Forward, apart).same(t, one)
						c.runHalf(Forward, Grads).close(t, want, tol)
					}
				})
			})
		}
	})
}

// Operands of both types meet where a network's ends do.
func TestConvMixed(t *testing.T) {
	check.EachVariant(t, func(t *testing.T) {
		r := rand.New(rand.NewPCG(5, 4))
		for i, s := range smallShapes(15) {
			c := randomCase(r, s)
			half := c.halved()
			if i%2 == 0 {
				c.src.X = half.src.X
			} else {
				c.g.Y, c.f.Dot = half.g.Y, half.f.Dot
			}
			if i%3 == 0 {
				c.f.Mask.X, c.f.Add = half.f.Mask.X, half.f.Add
			}
			c.run(Forward, apart).close(t, c.run(plain.Conv, plainConvGrads), 5e-6)
			c.runHalf(Forward, apart).close(t, c.runHalf(plain.Conv, plainConvGrads), 3e-4)
		}
	})
}

// A tail is done before the result is rounded, on every route.
func TestConvInferHalf(t *testing.T) {
	defer useWinograd()()
	check.EachVariant(t, func(t *testing.T) {
		r := rand.New(rand.NewPCG(7, 5))
		for i, s := range smallShapes(10) {
			c := randomCase(r, s).halved()
			scale, shift, add := check.Normal(r, s.K), check.Normal(r, s.K), narrow(normal(r, s.OutLen()))
			tail := pass.Tail{Scale: scale, Shift: shift, ReLU: i%2 == 0}
			if i%3 > 0 {
				tail.Add = add
			}
			y := make([]float32, s.OutLen())
			plain.Conv(shape.Floats(y), c.Conv, c.src, c.w, nil)
			want := narrow(normal(r, len(y)))
			for i, v := range y {
				v = v*scale[i%s.K] + shift[i%s.K]
				if !tail.Add.None() {
					v += tail.Add.At(i)
				}
				if tail.ReLU {
					v = max(0, v)
				}
				want.Set(i, v)
			}
			eachRoute(func(route string) {
				for _, on := range []bool{false, true} {
					winograd.Set(on)
					got := narrow(normal(r, len(y)))
					Infer(got, c.Conv, c.src, c.w, tail)
					check.Close(t, named(s)+" "+route, widen(got), widen(want), 3e-4)
				}
			})
		}
	})
}
