package audio

import (
	"math"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"vicreg/internal/check"
)

// Rates of no common divisor, which are between two positions: as good as others.
func TestResampleOdd(t *testing.T) {
	for _, c := range []struct{ from, to int }{{44101, 16000}, {8001, 16000}, {15999, 16000}, {383999, 1000},
		{1001, 15999}} {
		if r := NewResampler(c.from, c.to); r.fine == 0 {
			t.Fatalf("%d → %d has an exact table of %d taps", c.from, c.to, len(r.taps))
		}
		nyquist := float64(min(c.from, c.to)) / 2
		for _, share := range []float64{0, 0.01, 0.3, 0.88} {
			wave := func(i, rate int) float64 {
				return math.Cos(2 * math.Pi * share * nyquist * float64(i) / float64(rate))
			}
			x := make([]float32, c.from/2)
			for i := range x {
				x[i] = float32(wave(i, c.from))
			}
			y := Resample(x, c.from, c.to)
			if want := (len(x)*c.to + c.from - 1) / c.from; len(y) != want {
				t.Fatalf("%v: %d samples, want %d", c, len(y), want)
			}
			tolerance := 1e-4
			if share == 0 {
				tolerance = 1e-6 // a constant stays what it is
			}
			for j := len(y) / 4; j < len(y)*3/4; j++ {
				if off := math.Abs(float64(y[j]) - wave(j, c.to)); off > tolerance {
					t.Errorf("%d → %d, %v of Nyquist: off by %.2g", c.from, c.to, share, off)
					break
				}
			}
		}
	}
}

// Both ways agree, at the ends of a sound too.
func TestResampleWays(t *testing.T) {
	x := check.Random(1, 3000)
	for _, c := range []struct{ from, to int }{{44100, 16000}, {8000, 11025}, {96000, 1000}, {1000, 8000}} {
		exact, fine := NewResampler(c.from, c.to), newResampler(c.from, c.to, 0)
		if exact.fine != 0 || fine.fine == 0 {
			t.Fatalf("%v: exact %d, fine %d", c, exact.fine, fine.fine)
		}
		check.Close(t, "between positions", fine.Do(nil, x), exact.Do(nil, x), 2e-6)
	}
}

// However many rates the files have, what is kept stays small.
func TestResamplersKept(t *testing.T) {
	x := make([]float32, 100)
	check.Bounded(t, 160, 5*time.Second, func() {
		for i := range 50 {
			Resample(x, 44101+2*i, 16000)
			Resample(x, 16000, 300_001+2*i)
		}
	})
	if len(kept.list) > keep {
		t.Errorf("%d resamplers are kept", len(kept.list))
	}
	for _, k := range kept.list {
		if len(k.r.taps) > 1<<19 {
			t.Errorf("%d → %d has %d taps", k.from, k.to, len(k.r.taps))
		}
	}
	before := resampler(8000, 16000)
	if resampler(8000, 16000) != before {
		t.Error("a resampler in use is made again")
	}
}

func TestCanResample(t *testing.T) {
	for _, c := range []struct {
		n, from, to int
		want        string
	}{
		{100, 8000, 16000, ""},
		{100, 384_000, 1000, ""},
		{100, 1000, 8000, ""},
		{100, 1, 8000, "it says that its rate is 1 Hz, too low to make 8000 Hz of it (1000 or more are needed)"},
		{100, 1999, 16000, "its rate is 1999 Hz"},
		{100, 384_000, 383, "its rate is 384000 Hz, more than 1000 times 383 Hz"},
		{maxMade / 8, 1000, 8000, ""},
		{maxMade/8 + 1, 1000, 8000, "at 8000 Hz it would have 4194312 samples, more than the 4194304 that are made of a rate so low"},
		{maxMade, 2000, 8000, ""},
		{MaxSamples, 16000, 8000, ""},
		{MaxSamples, 8000, 8000, ""},
		{MaxSamples, 8000, 8001, "it would have 100012500 samples at 8001 Hz"},
	} {
		if err := CanResample(c.n, c.from, c.to); (err == nil) != (c.want == "") ||
			err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%+v: error %v", c, err)
		}
	}
}

// Goroutines share what is kept.
func TestResampleShared(t *testing.T) {
	x := check.Random(3, 400)
	want := Resample(x, 8000, 11025)
	var wait sync.WaitGroup
	for g := range 4 {
		wait.Go(func() {
			for i := range 20 {
				if got := Resample(x, 8000, 11025); !slices.Equal(got, want) {
					t.Error("the samples are others")
				}
				Resample(x, 8000+g, 8001+i)
			}
		})
	}
	wait.Wait()
}
