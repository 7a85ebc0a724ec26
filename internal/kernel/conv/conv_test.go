package conv

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"vicreg/internal/check"
	"vicreg/internal/cpu"
	"vicreg/internal/kernel/plain"
	"vicreg/internal/kernel/row"
	"vicreg/internal/kernel/shape"
	"vicreg/internal/kernel/winograd"
	"vicreg/internal/parallel"
)

// convCase is a convolution with everything that a pass over it takes.
type convCase struct {
	shape.Conv
	src         shape.Source
	g           shape.Grad
	w           []float32
	f           shape.Finish // its Sums are set by the test
	dx          []float32
	alias, sums bool // f.Add is dx
}

// normal returns random values.
func normal(r *rand.Rand, n int) shape.Values { return shape.Floats(check.Normal(r, n)) }

// randomCase picks options at random; every kind comes up among a few cases.
func randomCase(r *rand.Rand, s shape.Conv) *convCase {
	c := &convCase{Conv: s, w: check.Normal(r, s.WeightLen())}
	c.src.X = normal(r, s.InLen())
	if r.IntN(2) == 0 {
		c.src.Scale, c.src.Shift = check.Normal(r, s.C), check.Normal(r, s.C)
	}
	c.src.ReLU = r.IntN(2) == 0
	c.g.D = normal(r, s.OutLen())
	if r.IntN(2) == 0 {
		c.g.Y = normal(r, s.OutLen())
		c.g.A, c.g.B, c.g.K = check.Normal(r, s.K), check.Normal(r, s.K), check.Normal(r, s.K)
	}
	c.dx = check.Normal(r, s.InLen())
	switch r.IntN(3) {
	case 0:
		c.f.Add = normal(r, s.InLen())
	case 1:
		c.alias = true
	}
	switch r.IntN(3) {
	case 0:
		c.f.Mask = shape.Source{X: normal(r, s.InLen())}
	case 1:
		c.f.Mask = shape.Source{X: normal(r, s.InLen()), Scale: check.Normal(r, s.C), Shift: check.Normal(r, s.C)}
	}
	if c.sums = r.IntN(2) == 0; c.sums {
		c.f.Dot = normal(r, s.InLen())
	}
	return c
}

// result is what the three passes give.
type result struct {
	y, dx, dw []float32
	sum, back *shape.Sums
}

func (c *convCase) run(forward func(shape.Values, shape.Conv, shape.Source, []float32, *shape.Sums),
	grads func(dx shape.Values, dw []float32, s shape.Conv, g shape.Grad, src shape.Source, w []float32,
		f shape.Finish)) result {
	nan := func(n int) []float32 {
		s := make([]float32, n)
		for i := range s {
			s[i] = float32(math.NaN())
		}
		return s
	}
	y, dx := nan(c.OutLen()), nan(c.InLen())
	if c.alias {
		copy(dx, c.dx)
	}
	out := c.runTo(shape.Floats(y), shape.Floats(dx), forward, grads)
	out.y, out.dx = y, dx
	return out
}

// runTo leaves results in y and dx, which holds what is added to it if c.alias.
func (c *convCase) runTo(y, dx shape.Values,
	forward func(shape.Values, shape.Conv, shape.Source, []float32, *shape.Sums),
	grads func(dx shape.Values, dw []float32, s shape.Conv, g shape.Grad, src shape.Source, w []float32,
		f shape.Finish)) result {
	out := result{dw: make([]float32, c.WeightLen())}
	f := c.f
	if c.sums {
		out.sum, out.back = shape.NewSums(c.K), shape.NewSums(c.C)
		f.Sums = out.back
	}
	if c.alias {
		f.Add = dx
	}
	for i := range out.dw {
		out.dw[i] = float32(i % 7)
	}
	forward(y, c.Conv, c.src, c.w, out.sum)
	grads(dx, out.dw, c.Conv, c.g, c.src, c.w, f)
	return out
}

// apart does what Grads does, one gradient after the other.
func apart(dx shape.Values, dw []float32, s shape.Conv, g shape.Grad, src shape.Source, w []float32,
	f shape.Finish) {
	InputGrad(dx, s, g, w, f)
	WeightGrad(dw, s, g, src)
}

func plainConvGrads(dx shape.Values, dw []float32, s shape.Conv, g shape.Grad, src shape.Source, w []float32,
	f shape.Finish) {
	plain.ConvInputGrad(dx, s, g, w, f)
	plain.ConvWeightGrad(dw, s, g, src)
}

func (got result) close(t *testing.T, want result, tol float64) {
	t.Helper()
	check.Close(t, "y", got.y, want.y, tol)
	check.Close(t, "dx", got.dx, want.dx, tol)
	check.Close(t, "dw", got.dw, want.dw, tol)
	if want.sum != nil {
		check.Close64(t, "Σ y", got.sum.A, want.sum.A, tol*10)
		check.Close64(t, "Σ y²", got.sum.B, want.sum.B, tol)
		check.Close64(t, "Σ d", got.back.A, want.back.A, tol*10)
		check.Close64(t, "Σ d·dot", got.back.B, want.back.B, tol*10)
	}
}

func (got result) same(t *testing.T, want result) {
	t.Helper()
	check := func(what string, got, want []float32) {
		for i, v := range want {
			if math.Float32bits(got[i]) != math.Float32bits(v) {
				t.Errorf("%s[%d] = %v, with one worker %v", what, i, got[i], v)
				return
			}
		}
	}
	check("y", got.y, want.y)
	check("dx", got.dx, want.dx)
	check("dw", got.dw, want.dw)
	if want.sum != nil {
		for i, v := range want.sum.A {
			if got.sum.A[i] != v || got.sum.B[i] != want.sum.B[i] {
				t.Errorf("sums of channel %d differ from those of one worker", i)
			}
		}
		for i, v := range want.back.A {
			if got.back.A[i] != v || got.back.B[i] != want.back.B[i] {
				t.Errorf("backward sums of channel %d differ from those of one worker", i)
			}
		}
	}
}

// randomShape picks a small odd convolution.
func randomShape(r *rand.Rand) shape.Conv {
	channels := []int{1, 3, 4, 10, 16, 17, 33}
	kernels := []int{1, 2, 3, 3, 5, 7}
	for {
		s := shape.Conv{
			N: 1 + r.IntN(3), H: 1 + r.IntN(13), W: 1 + r.IntN(13),
			C: channels[r.IntN(len(channels))], K: channels[r.IntN(len(channels))],
			R: kernels[r.IntN(len(kernels))], Stride: 1 + r.IntN(2),
		}
		s.S = s.R
		if r.IntN(8) == 0 {
			s.S = kernels[r.IntN(len(kernels))]
			s.Stride = 1 + r.IntN(3)
		}
		s.Pad = r.IntN(s.R/2 + 1)
		if r.IntN(4) > 0 {
			s.Pad = s.R / 2
		}
		if r.IntN(5) == 0 {
			s.Sequence, s.H, s.W, s.S = true, 1+r.IntN(60), 1, 1
			s.Stride = 1 + r.IntN(4)
		}
		if s.H+2*s.Pad >= s.R && s.W+2*s.PadW() >= s.S {
			return s
		}
	}
}

// convShapes are shapes that a random choice may miss.
var convShapes = []shape.Conv{
	{N: 1, H: 1, W: 1, C: 1, K: 1, R: 1, S: 1, Stride: 1},
	{N: 33, H: 1, W: 1, C: 40, K: 30, R: 1, S: 1, Stride: 1}, // linear
	{N: 2, H: 9, W: 6, C: 33, K: 20, R: 1, S: 1, Stride: 1},
	{N: 2, H: 9, W: 6, C: 33, K: 20, R: 1, S: 1, Stride: 2},
	{N: 1, H: 1, W: 1, C: 3, K: 5, R: 3, S: 3, Stride: 1, Pad: 1},
	{N: 3, H: 4, W: 4, C: 16, K: 32, R: 3, S: 3, Stride: 1, Pad: 1},
	{N: 2, H: 7, W: 7, C: 17, K: 16, R: 3, S: 3, Stride: 1, Pad: 1},
	{N: 2, H: 8, W: 8, C: 16, K: 33, R: 3, S: 3, Stride: 2, Pad: 1},
	{N: 1, H: 14, W: 14, C: 3, K: 16, R: 7, S: 7, Stride: 2, Pad: 3},
	{N: 70, H: 4, W: 4, C: 10, K: 4, R: 3, S: 3, Stride: 1, Pad: 1},
	{N: 1, H: 40, W: 40, C: 64, K: 16, R: 3, S: 3, Stride: 1, Pad: 1}, // more than one piece an image
	{N: 1, H: 40, W: 40, C: 64, K: 16, R: 3, S: 3, Stride: 2, Pad: 1},
	{N: 1, H: 30, W: 30, C: 160, K: 140, R: 1, S: 1, Stride: 1},
	{N: 3, H: 6, W: 6, C: 80, K: 140, R: 3, S: 3, Stride: 2, Pad: 1}, // dw shared by blocks

	{N: 2, H: 1000, W: 1, C: 1, K: 16, R: 80, S: 1, Stride: 4, Pad: 38, Sequence: true},
	{N: 5, H: 30, W: 1, C: 17, K: 33, R: 3, S: 1, Stride: 1, Pad: 1, Sequence: true},
	{N: 5, H: 31, W: 1, C: 16, K: 32, R: 3, S: 1, Stride: 2, Pad: 1, Sequence: true},
	{N: 3, H: 31, W: 1, C: 16, K: 32, R: 1, S: 1, Stride: 2, Sequence: true},
	{N: 2, H: 3, W: 1, C: 4, K: 4, R: 9, S: 1, Stride: 5, Pad: 4, Sequence: true}, // taps that see nothing
	{N: 1, H: 200, W: 1, C: 512, K: 512, R: 3, S: 1, Stride: 1, Pad: 1, Sequence: true},
}

func testShapes(n int) []shape.Conv {
	r := rand.New(rand.NewPCG(1, 2))
	shapes := append([]shape.Conv(nil), convShapes...)
	for range n {
		shapes = append(shapes, randomShape(r))
	}
	return shapes
}

// named returns a name for s.
func named(s shape.Conv) string {
	kind := ""
	if s.Sequence {
		kind = "sequence_"
	}
	return kind + fmt.Sprintf("n%d_%dx%dx%d_k%d_%dx%d_stride%d_pad%d", s.N, s.H, s.W, s.C, s.K, s.R, s.S, s.Stride, s.Pad)
}

// eachRoute runs f with the choices that convolutions make by size set so that
// small shapes take every way: pieces small and many, then the ways for many
// channels.
func eachRoute(f func(route string)) {
	keep := []int{pieceFloats, winograd.WideWeights, winograd.PieceFloats, winograd.SmallFloats,
		winograd.GroupFloats, winograd.GroupTiles, splitFloats,
		groupFloats, row.StreamFloats, winograd.BothFloats, tiledFloats, winograd.ShareLeast, winograd.PairsLeast}
	set := func(v []int) {
		pieceFloats, winograd.WideWeights, winograd.PieceFloats, winograd.SmallFloats = v[0], v[1], v[2], v[3]
		winograd.GroupFloats, winograd.GroupTiles, splitFloats, groupFloats = v[4], v[5], v[6], v[7]
		row.StreamFloats, winograd.BothFloats, tiledFloats, winograd.ShareLeast = v[8], v[9], v[10], v[11]
		winograd.PairsLeast = v[12]
	}
	defer set(keep)
	f("as chosen")
	set([]int{2 << 10, keep[1], 8 << 10, keep[3], 1 << 12, 5, keep[6], keep[7], 0, 4 << 10, 1 << 10, 1 << 10, 1})
	f("small pieces")
	set([]int{2 << 10, 0, 8 << 10, 0, 1 << 12, 5, 0, 1 << 12, keep[8], keep[9], keep[10], keep[11], keep[12]})
	f("by channels")
}

// useWinograd switches Winograd's algorithm on wherever it can be used, and
// returns what undoes that.
func useWinograd() (undo func()) {
	was := winograd.Set(true)
	winograd.Always = true
	return func() {
		winograd.Set(was)
		winograd.Always = false
	}
}

// usePairs has convolutions in bfloat16 multiply pairs under AVX-512 until the test ends, whether or not that
// is faster here than float32.
func usePairs(t *testing.T) {
	check.NeedBF16(t)
	fast := cpu.FastPairs
	cpu.FastPairs = func() bool { return true }
	restore, err := cpu.Set("avx512")
	t.Cleanup(func() { cpu.FastPairs = fast })
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(restore)
}

func TestConv(t *testing.T) {
	defer useWinograd()()
	check.EachVariant(t, func(t *testing.T) {
		r := rand.New(rand.NewPCG(3, 4))
		for _, s := range testShapes(90) {
			c := randomCase(r, s)
			want := c.run(plain.Conv, plainConvGrads)
			eachRoute(func(route string) {
				t.Run(named(s)+" "+route, func(t *testing.T) {
					winograd.Set(false)
					c.run(Forward, apart).close(t, want, 2e-6)
					if winograd.Set(true); winograd.Fits(s, true) {
						c.run(Forward, apart).close(t, want, 5e-6)
						c.run(Forward, Grads).close(t, want, 5e-6)
					}
				})
			})
		}
	})
}

// The same bits come out for any number of workers.
func TestConvWorkers(t *testing.T) {
	defer parallel.SetWorkers(0)
	defer useWinograd()()
	r := rand.New(rand.NewPCG(5, 6))
	for _, s := range testShapes(15) {
		c := randomCase(r, s)
		eachRoute(func(route string) {
			t.Run(named(s)+" "+route, func(t *testing.T) {
				for _, on := range []bool{false, true} {
					winograd.Set(on)
					parallel.SetWorkers(1)
					one, both := c.run(Forward, apart), c.run(Forward, Grads)
					for _, n := range []int{2, 3, 16} {
						parallel.SetWorkers(n)
						c.run(Forward, apart).same(t, one)
						c.run(Forward, Grads).same(t, both)
					}
				}
			})
		})
	}
}

// A NaN comes through, and touches no other image.
func TestConvNaN(t *testing.T) {
	defer useWinograd()()
	check.EachVariant(t, func(t *testing.T) {
		for _, on := range []bool{false, true} {
			winograd.Set(on)
			r := rand.New(rand.NewPCG(7, 7))
			s := shape.Conv{N: 2, H: 8, W: 8, C: 17, K: 18, R: 3, S: 3, Stride: 1, Pad: 1}
			x, w := check.Normal(r, s.InLen()), check.Normal(r, s.WeightLen())
			x[(8*3+3)*17] = float32(math.NaN())
			one, zero := row.Constants(17)
			y := make([]float32, s.OutLen())
			Forward(shape.Floats(y), s, shape.Source{X: shape.Floats(x), Scale: one, Shift: zero, ReLU: true}, w, nil)
			if !math.IsNaN(float64(y[(8*3+3)*18])) {
				t.Errorf("winograd %v: a NaN got lost", on)
			}
			for i, v := range y[len(y)/2:] {
				if math.IsNaN(float64(v)) {
					t.Fatalf("winograd %v: a NaN of image 0 is at %d of image 1", on, i)
				}
			}
		}
	})
}

// A call allocates nothing once its buffers have grown.
func TestConvAllocations(t *testing.T) {
	defer parallel.SetWorkers(0)
	defer useWinograd()()
	parallel.SetWorkers(1)
	r := rand.New(rand.NewPCG(8, 8))
	for _, s := range convShapes {
		c := randomCase(r, s)
		if linear(s) { // Gemm's own affair
			continue
		}
		sums, back := shape.NewSums(s.K), shape.NewSums(s.C)
		f := c.f
		if f.Sums = nil; c.sums {
			f.Sums = back
		}
		y, dx := shape.Floats(make([]float32, s.OutLen())), shape.Floats(make([]float32, s.InLen()))
		dw := make([]float32, s.WeightLen())
		for _, on := range []bool{false, true} {
			winograd.Set(on)
			n := testing.AllocsPerRun(3, func() {
				Forward(y, s, c.src, c.w, sums)
				InputGrad(dx, s, c.g, c.w, f)
				WeightGrad(dw, s, c.g, c.src)
				Grads(dx, dw, s, c.g, c.src, c.w, f)
			})
			if n != 0 {
				t.Errorf("%s, winograd %v: %v allocations", named(s), on, n)
			}
		}
	}
}
