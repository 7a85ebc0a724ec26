package augment

import (
	"fmt"
	"math/rand/v2"
)

// Series is the distribution of a view of a series of measurements, after Um et
// al., "Data augmentation of wearable sensor data", 2017. Its steps are made in
// the order of the fields.
type Series struct {
	Scale  float64 `yaml:"scale"`  // standard deviation of each channel's factor around 1
	Jitter float64 `yaml:"jitter"` // standard deviation of noise, in those of the channel
	Crop   float64 `yaml:"crop"`   // least share of the points that is kept, in one piece; the others become the mean
}

// DefaultSeries returns the strengths of Um et al., and pieces of four fifths.
func DefaultSeries() Series { return Series{Scale: 0.1, Jitter: 0.05, Crop: 0.8} }

// Check returns what is wrong with the numbers of s, naming the YAML key.
func (s Series) Check() error {
	return within(
		number{"scale", s.Scale, 0, 10},
		number{"jitter", s.Jitter, 0, 10},
		number{"crop", s.Crop, 0, 1},
	)
}

// View draws a view of the series x, t' × c, and writes it to dst, t × c. If x is too
// long it takes a part of it; if x is too short it puts it anywhere, with zeros around
// it. Padding stays zero.
func (s *Series) View(r *rand.Rand, dst, x []float32, c int) {
	have, want := checkPoints(dst, x, c)
	from := anywhere(r, have, want)
	window(dst, x, c, from)
	lo := min(max(0, -from), want) // points that are not padding
	hi := max(lo, min(want, have-from))
	for k := range c {
		factor := float32(1 + s.Scale*r.NormFloat64())
		for i := lo; i < hi; i++ {
			dst[i*c+k] *= factor
		}
	}
	addNoise(r, dst[lo*c:hi*c], s.Jitter)
	keep := int(uniform(r, s.Crop, 1)*float64(hi-lo) + 0.5)
	first := lo + r.IntN(hi-lo-keep+1)
	clear(dst[lo*c : first*c])
	clear(dst[(first+keep)*c : hi*c])
}

// CenterSeries writes the middle of x, t' × c, to dst, t × c, or all of x between
// zeros.
func CenterSeries(dst, x []float32, c int) {
	have, want := checkPoints(dst, x, c)
	window(dst, x, c, middle(have, want))
}

func checkPoints(dst, x []float32, c int) (have, want int) {
	if c < 1 || len(x)%c != 0 || len(dst)%c != 0 {
		panic(fmt.Sprintf("augment: series of %d channels with %d and %d values", c, len(x), len(dst)))
	}
	return len(x) / c, len(dst) / c
}

// Numeric is the distribution of a view of a row of numbers.
type Numeric struct {
	Jitter float64 `yaml:"jitter"` // standard deviation of noise, in those of the column
	Drop   float64 `yaml:"drop"`   // probability of each number to become the mean of its column
}

// DefaultNumeric returns views that keep four of five columns.
func DefaultNumeric() Numeric { return Numeric{Jitter: 0.1, Drop: 0.2} }

// Check returns what is wrong with the numbers of n, naming the YAML key.
func (n Numeric) Check() error {
	return within(number{"jitter", n.Jitter, 0, 10}, number{"drop", n.Drop, 0, 1})
}

// View draws a view of the row x and writes it to dst, of the same length. Leave
// out indicators of missing values, which are no numbers. For evaluation a row
// is copied as it is.
func (n *Numeric) View(r *rand.Rand, dst, x []float32) {
	if len(dst) != len(x) {
		panic(fmt.Sprintf("augment: a view of %d numbers of a row of %d", len(dst), len(x)))
	}
	copy(dst, x)
	addNoise(r, dst, n.Jitter)
	for i := range dst {
		if r.Float64() < n.Drop {
			dst[i] = 0
		}
	}
}
