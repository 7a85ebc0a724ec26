package augment

import (
	"testing"

	"vicreg/internal/rng"
)

// What has probability 0 never happens, what has 1 always does.
func TestNeverAndAlways(t *testing.T) {
	v := Released()[0]
	for _, p := range []float64{0, 1} {
		v.Flip, v.Jitter.P, v.Grey, v.Blur.P, v.Solarize.P = p, p, p, p, p
		r := rng.New(4)
		for range 200 {
			d := v.Draw(r, 50, 40, 3)
			for what, done := range map[string]bool{"flip": d.Flip, "jitter": d.Jitters > 0, "grey": d.Grey,
				"blur": d.Blur, "solarize": d.Solarize} {
				if done != (p == 1) {
					t.Fatalf("%s of probability %v: %v", what, p, done)
				}
			}
		}
	}
}

// Each step has a probability of its own.
func TestOwnProbabilities(t *testing.T) {
	v := Released()[0]
	v.Flip, v.Jitter.P, v.Grey, v.Blur.P, v.Solarize.P = 0.1, 0.25, 0.4, 0.55, 0.7
	const n = 20000
	r := rng.New(5)
	var sums [5]float64
	for range n {
		d := v.Draw(r, 50, 40, 3)
		for i, done := range []bool{d.Flip, d.Jitters > 0, d.Grey, d.Blur, d.Solarize} {
			if done {
				sums[i]++
			}
		}
	}
	for i, what := range []string{"flip", "jitter", "grey", "blur", "solarize"} {
		wantMean(t, what, sums[i], n, 0.1+0.15*float64(i), 0.5)
	}
}

// Crops come to lie at every edge of an image, and at every place between them.
func TestCropsGoEverywhere(t *testing.T) {
	v := Released()[0]
	v.CropMin, v.CropMax = 0.25, 0.25
	v.Ratio = [2]float64{1, 1}
	r := rng.New(6)
	places := map[Rect]int{}
	for range 5000 {
		places[v.Draw(r, 12, 10, 3).Crop]++
	}
	for y := range 6 {
		for x := range 8 { // 5 × 5, the root of a quarter of 120 being 5.5
			if places[Rect{x, y, 5, 5}] == 0 && places[Rect{x, y, 6, 6}] == 0 {
				t.Errorf("no crop at %d, %d", x, y)
			}
		}
	}
}

// A factor lies evenly on both sides of 1, and never below 0.
func TestJitterFactors(t *testing.T) {
	v := View{CropMin: 1, CropMax: 1, Ratio: [2]float64{1, 1}, Jitter: Jitter{P: 1, Brightness: 0.4, Contrast: 2}}
	r := rng.New(7)
	lo, hi := [2]float64{9, 9}, [2]float64{}
	for range 5000 {
		d := v.Draw(r, 9, 9, 3)
		for _, s := range d.Jitter[:d.Jitters] {
			lo[s.Kind], hi[s.Kind] = min(lo[s.Kind], s.Factor), max(hi[s.Kind], s.Factor)
		}
	}
	for k, want := range [][2]float64{{0.6, 1.4}, {0, 3}} {
		if lo[k] < want[0] || lo[k] > want[0]+0.01 || hi[k] > want[1] || hi[k] < want[1]-0.01 {
			t.Errorf("factors of %d from %v to %v, want %v", k, lo[k], hi[k], want)
		}
	}
}
