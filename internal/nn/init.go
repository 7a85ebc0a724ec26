package nn

import (
	"math"
	"math/rand/v2"
)

// KaimingNormal fills a convolution's weight from N(0, 2/fan) with fan = k·r·s,
// as torch.nn.init.kaiming_normal_ does with mode fan_out and ReLU's gain.
func KaimingNormal(rng *rand.Rand, w *Param) {
	fan := w.Shape[0] * count(w.Shape[2:])
	std := math.Sqrt(2 / float64(fan))
	w.Draw(func() float64 { return rng.NormFloat64() * std })
}

// LinearUniform fills a linear layer's weight, and its bias if it has one, from
// U(−1/√in, 1/√in), as torch.nn.Linear does; a convolution's as torch.nn.Conv2d,
// with in = c·r·s.
func LinearUniform(rng *rand.Rand, w, bias *Param) {
	bound := 1 / math.Sqrt(float64(count(w.Shape[1:])))
	uniform := func() float64 { return (2*rng.Float64() - 1) * bound }
	w.Draw(uniform)
	if bias != nil {
		bias.Draw(uniform)
	}
}
