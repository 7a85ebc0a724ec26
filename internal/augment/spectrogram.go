package augment

import (
	"fmt"
	"math"
	"math/rand/v2"
)

// Spectrogram is the distribution of a view of a log-mel spectrogram: SpecAugment
// (Park et al. 2019) without its time warp, and loudness. Its steps are made in
// the order of the fields.
type Spectrogram struct {
	Gain  float64 `yaml:"gain"`  // greatest change of loudness, up or down, in dB
	Bands Masks   `yaml:"bands"` // masks of whole bands
	Time  Masks   `yaml:"time"`  // masks of whole frames
}

// Masks hide runs of neighbours behind the mean. The length of each is drawn
// uniformly, from nothing on.
type Masks struct {
	Count int     `yaml:"count"`
	Share float64 `yaml:"share"` // greatest length of one
}

// DefaultSpectrogram returns views for speech and environmental sound: two masks
// each way, as the policies LD and SM of Park et al. have.
func DefaultSpectrogram() Spectrogram {
	return Spectrogram{Gain: 6, Bands: Masks{2, 0.2}, Time: Masks{2, 0.2}}
}

// Check returns what is wrong with the numbers of s, naming the YAML key.
func (s Spectrogram) Check() error {
	return within(
		number{"gain", s.Gain, 0, 100},
		number{"bands.count", float64(s.Bands.Count), 0, 100},
		number{"bands.share", s.Bands.Share, 0, 1},
		number{"time.count", float64(s.Time.Count), 0, 100},
		number{"time.share", s.Time.Share, 0, 1},
	)
}

// View draws a view of the spectrogram x, bands × t', and writes it to dst, bands × t.
// If x is too long it takes some of the frames; if x is too short it puts it anywhere,
// with zeros around it. std is what the natural logarithm of power was divided by to be
// normalised, or 1 if it was not.
func (s *Spectrogram) View(r *rand.Rand, dst, x []float32, bands int, std float64) {
	have, frames := checkBands(dst, x, bands)
	from := anywhere(r, have, frames)
	windows(dst, x, bands, from)
	if gain := float32(uniform(r, -s.Gain, s.Gain) * math.Ln10 / 10 / std); gain != 0 {
		lo := min(max(0, -from), frames) // frames that are not padding
		hi := max(lo, min(frames, have-from))
		for b := range bands {
			row := dst[b*frames:][:frames]
			for i := lo; i < hi; i++ {
				row[i] += gain
			}
		}
	}
	for range s.Bands.Count {
		lo, hi := s.Bands.draw(r, bands)
		clear(dst[lo*frames : hi*frames])
	}
	for range s.Time.Count {
		lo, hi := s.Time.draw(r, frames)
		for b := range bands {
			clear(dst[b*frames+lo : b*frames+hi])
		}
	}
}

// draw returns the first and one past the last of n that a mask hides.
func (m Masks) draw(r *rand.Rand, n int) (lo, hi int) {
	length := share(r, m.Share, n)
	lo = r.IntN(n - length + 1)
	return lo, lo + length
}

// CenterSpectrogram writes the middle frames of x, bands × t', to dst, bands × t,
// or all of them between zeros.
func CenterSpectrogram(dst, x []float32, bands int) {
	have, frames := checkBands(dst, x, bands)
	windows(dst, x, bands, middle(have, frames))
}

// windows is window for each of some bands. dst and x are the same slice only if
// they are of the same length.
func windows(dst, x []float32, bands, from int) {
	have, frames := len(x)/bands, len(dst)/bands
	for b := range bands {
		window(dst[b*frames:][:frames], x[b*have:][:have], 1, from)
	}
}

func checkBands(dst, x []float32, bands int) (have, frames int) {
	if bands < 1 || len(x)%bands != 0 || len(dst)%bands != 0 {
		panic(fmt.Sprintf("augment: spectrograms of %d bands with %d and %d values", bands, len(x), len(dst)))
	}
	return len(x) / bands, len(dst) / bands
}
