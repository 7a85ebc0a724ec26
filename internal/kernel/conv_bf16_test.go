package kernel

import (
	"math/rand/v2"
	"testing"

	"vicreg/internal/cpu"
	"vicreg/internal/parallel"
)

// Convolutions come within bfloat16's rounding of float32's, and give the same
// bits for any number of workers.
func TestConvBF16(t *testing.T) {
	needBF16(t)
	defer SetWinograd(SetWinograd(true))
	defer parallel.SetWorkers(0)
	r := rand.New(rand.NewPCG(3, 5))
	for _, s := range testShapes(60) {
		c := randomCase(r, s)
		want := c.run(plainConvForward, plainConvGrads)
		c.Precision = BF16
		eachRoute(func(route string) {
			t.Run(named(s)+" "+route, func(t *testing.T) {
				parallel.SetWorkers(1)
				one := c.run(ConvForward, apart)
				one.close(t, want, 2e-2)
				parallel.SetWorkers(3)
				c.run(ConvForward, apart).same(t, one)
			})
		})
	}
}

// Where the processor cannot, or must not, results are float32's.
func TestBF16Missing(t *testing.T) {
	r := rand.New(rand.NewPCG(4, 5))
	c := randomCase(r, Conv{N: 2, H: 6, W: 6, C: 16, K: 16, R: 1, S: 1, Stride: 1})
	for _, v := range cpu.Variants() {
		restore, err := cpu.Set(v)
		if err != nil {
			t.Fatal(err)
		}
		defer restore()
		if missing := BF16.Missing(); (missing == "") != HasBF16() || Float32.Missing() != "" {
			t.Errorf("%s: bfloat16 usable %v, warning %q", v, HasBF16(), missing)
		}
		if !HasBF16() {
			c.Precision = Float32
			want := c.run(ConvForward, apart)
			c.Precision = BF16
			c.run(ConvForward, apart).same(t, want)
		}
	}
}
