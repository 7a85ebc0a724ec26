package conv

import (
	"math/rand/v2"
	"testing"

	"vicreg/internal/amx"
	"vicreg/internal/check"
	"vicreg/internal/cpu"
	"vicreg/internal/kernel/plain"
	"vicreg/internal/kernel/shape"
	"vicreg/internal/kernel/winograd"
	"vicreg/internal/parallel"
)

// Convolutions come within bfloat16's rounding of float32's, and give the same
// bits for any number of workers.
func TestConvBF16(t *testing.T) {
	check.NeedBF16(t)
	defer winograd.Set(winograd.Set(true))
	defer parallel.SetWorkers(0)
	r := rand.New(rand.NewPCG(3, 5))
	for i, s := range testShapes(60) {
		c := randomCase(r, s)
		if amx.Traced() && (i%6 > 0 || s.Flops() > 1e6) {
			continue
		}
		want := c.run(plain.Conv, plainConvGrads)
		c.Precision = shape.BF16
		eachRoute(func(route string) {
			t.Run(named(s)+" "+route, func(t *testing.T) {
				parallel.SetWorkers(1)
				one := c.run(Forward, apart)
				one.close(t, want, 2e-2)
				parallel.SetWorkers(3)
				c.run(Forward, apart).same(t, one)
			})
		})
	}
}

// Where the processor cannot, or must not, results are float32's.
func TestBF16Missing(t *testing.T) {
	r := rand.New(rand.NewPCG(4, 5))
	c := randomCase(r, shape.Conv{N: 2, H: 6, W: 6, C: 16, K: 16, R: 1, S: 1, Stride: 1})
	for _, v := range cpu.Variants() {
		restore, err := cpu.Set(v)
		if err != nil {
			t.Fatal(err)
		}
		defer restore()
		if missing := shape.BF16.Missing(); (missing == "") != shape.HasBF16() || shape.Float32.Missing() != "" {
			t.Errorf("%s: bfloat16 usable %v, warning %q", v, shape.HasBF16(), missing)
		}
		if !shape.HasBF16() {
			c.Precision = shape.Float32
			want := c.run(Forward, apart)
			c.Precision = shape.BF16
			c.run(Forward, apart).same(t, want)
		}
	}
}
