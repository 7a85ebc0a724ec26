package conv

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"vicreg/internal/check"
	"vicreg/internal/kernel/pass"
	"vicreg/internal/kernel/shape"
	"vicreg/internal/kernel/winograd"
	"vicreg/internal/parallel"
)

// Tails done in registers give the bits of those done afterwards.
func TestConvEnds(t *testing.T) {
	defer winograd.Set(winograd.Set(false))
	defer parallel.SetWorkers(0)
	defer func(on bool) { endsInRegisters = on }(endsInRegisters)
	usePairs(t)
	r := rand.New(rand.NewPCG(7, 9))
	for i, s := range []shape.Conv{
		{N: 1, H: 1, W: 1, C: 2, K: 32, R: 1, S: 1, Stride: 1},
		{N: 3, H: 9, W: 5, C: 10, K: 64, R: 1, S: 1, Stride: 1},
		{N: 2, H: 7, W: 7, C: 514, K: 96, R: 1, S: 1, Stride: 1},
		{N: 1, H: 8, W: 7, C: 1536, K: 32, R: 1, S: 1, Stride: 1},
		{N: 2, H: 13, W: 11, C: 512, K: 64, R: 1, S: 1, Stride: 2},
		{N: 2, H: 11, W: 8, C: 3, K: 64, R: 7, S: 7, Stride: 2, Pad: 3},
		{N: 2, H: 9, W: 6, C: 64, K: 32, R: 3, S: 3, Stride: 1, Pad: 1},
		{N: 2, H: 9, W: 6, C: 128, K: 64, R: 3, S: 3, Stride: 2, Pad: 1},
		{N: 1, H: 12, W: 6, C: 6, K: 48, R: 1, S: 1, Stride: 1}, // a panel that is not whole
	} {
		s.Precision = shape.BF16
		c := randomCase(r, s).halved()
		add := narrow(normal(r, s.OutLen()))
		for j := 0; j < s.OutLen(); j += 5 { // zeros of both signs meet
			add.Set(j, float32(math.Copysign(0, -1)))
		}
		scale, shift := check.Normal(r, s.K), check.Normal(r, s.K)
		scale[i], shift[i] = 0, float32(math.Copysign(0, -1))
		shift[3] = float32(math.NaN())
		scale[5], shift[5] = float32(math.Inf(1)), 0
		for opt := range 4 {
			tail := pass.Tail{Scale: scale, Shift: shift, ReLU: opt&1 != 0}
			if opt&2 != 0 {
				tail.Add = add
			}
			infer := func(on bool, workers int) []float32 {
				endsInRegisters = on
				parallel.SetWorkers(workers)
				y := narrow(normal(r, s.OutLen()))
				Infer(y, c.Conv, c.src, c.w, tail)
				return widen(y)
			}
			want := infer(false, 1)
			for workers := 1; workers < 4; workers++ {
				check.SameBits(t, fmt.Sprintf("%s %d", named(s), opt), infer(true, workers), want)
			}
		}
	}
}
