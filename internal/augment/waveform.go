package augment

import (
	"fmt"
	"math"
	"math/rand/v2"
)

// Waveform is the distribution of a view of samples. Its steps are made in the
// order of the fields.
type Waveform struct {
	Shift    float64 `yaml:"shift"`    // greatest share of the length by which time goes round in a circle, either way
	Gain     float64 `yaml:"gain"`     // greatest change of loudness, up or down, in dB
	Polarity float64 `yaml:"polarity"` // probability of the opposite sign
	Noise    Noise   `yaml:"noise"`
}

// Noise is white Gaussian noise of uniformly drawn signal-to-noise ratio. Silence
// gets none.
type Noise struct {
	P   float64    `yaml:"p"`
	SNR [2]float64 `yaml:"snr,flow"` // dB
}

// DefaultWaveform returns views for speech and environmental sound.
func DefaultWaveform() Waveform {
	return Waveform{Shift: 0.1, Gain: 6, Polarity: 0.5, Noise: Noise{P: 0.5, SNR: [2]float64{10, 40}}}
}

// Check returns what is wrong with the numbers of w, naming the YAML key.
func (w Waveform) Check() error {
	if err := within(
		number{"shift", w.Shift, 0, 1},
		number{"gain", w.Gain, 0, 100},
		number{"polarity", w.Polarity, 0, 1},
		number{"noise.p", w.Noise.P, 0, 1},
		number{"noise.snr[0]", w.Noise.SNR[0], -100, 200},
		number{"noise.snr[1]", w.Noise.SNR[1], -100, 200},
	); err != nil {
		return err
	}
	if w.Noise.SNR[0] > w.Noise.SNR[1] {
		return fmt.Errorf("noise.snr is %v: the smaller comes first", w.Noise.SNR)
	}
	return nil
}

// View draws a view of the samples x and fills dst with it. If x is too long it takes a
// part; if x is too short it puts it anywhere, with zeros around it.
func (w *Waveform) View(r *rand.Rand, dst, x []float32) {
	window(dst, x, 1, anywhere(r, len(x), len(dst)))
	n := len(dst)
	if n == 0 {
		return
	}
	by := share(r, w.Shift, n)
	if r.IntN(2) == 0 {
		by = (n - by) % n
	}
	if by %= n; by != 0 {
		rotate(dst, by)
	}
	factor := math.Pow(10, uniform(r, -w.Gain, w.Gain)/20)
	if r.Float64() < w.Polarity {
		factor = -factor
	}
	power := 0.0
	for i, v := range dst {
		v *= float32(factor)
		dst[i] = v
		power += float64(v) * float64(v)
	}
	if r.Float64() < w.Noise.P {
		snr := uniform(r, w.Noise.SNR[0], w.Noise.SNR[1])
		sigma := math.Sqrt(power / float64(n) / math.Pow(10, snr/10))
		addNoise(r, dst, sigma)
	}
}

// CenterWaveform writes the middle of x to dst, or all of x between zeros.
func CenterWaveform(dst, x []float32) { window(dst, x, 1, middle(len(x), len(dst))) }

// addNoise adds white Gaussian noise of a standard deviation.
func addNoise(r *rand.Rand, dst []float32, sigma float64) {
	if !(sigma > 0) {
		return
	}
	for i := range dst {
		dst[i] += float32(sigma * r.NormFloat64())
	}
}
