package audio

import (
	"fmt"
	"math"
	"strings"
	"sync"
	"testing"

	"vicreg/internal/check"
)

// Against numpy: testdata/make.py.
func TestMelGolden(t *testing.T) {
	g := check.Golden(t, "testdata/mel.safetensors")
	odd := DefaultMelConfig()
	odd.Window, odd.Hop, odd.Bands, odd.Low, odd.High, odd.FFT = 0.025, 100.0/11025, 10, 60, 5000, 300
	for _, c := range []struct {
		name   string
		rate   int
		fft    int
		config MelConfig
	}{
		{"8k", 8000, 512, DefaultMelConfig()},
		{"16k", 16000, 1024, DefaultMelConfig()},
		{"odd", 11025, 300, odd},
	} {
		m, err := NewMel(c.config, c.rate)
		if err != nil {
			t.Fatal(err)
		}
		x := g.F32(c.name + ".x")
		if m.FFT() != c.fft {
			t.Fatalf("%s: transforms of %d, want %d", c.name, m.FFT(), c.fft)
		}
		if s := g.Shape(c.name + ".mel"); s[0] != m.Bands() || s[1] != m.Frames(len(x)) {
			t.Fatalf("%s: %d × %d, want %v", c.name, m.Bands(), m.Frames(len(x)), s)
		}
		check.Close(t, c.name, m.Spectrogram(nil, x, m.NewScratch()), g.F32(c.name+".mel"), 1e-6)
	}
}

// Silence, and sounds shorter than a window, give finite numbers.
func TestMelEdges(t *testing.T) {
	m, err := NewMel(DefaultMelConfig(), 8000)
	if err != nil {
		t.Fatal(err)
	}
	s := m.NewScratch()
	for _, n := range []int{0, 1, 2, 79, 80, 500} {
		got := m.Spectrogram(nil, make([]float32, n), s)
		if len(got) != m.Bands()*m.Frames(n) {
			t.Fatalf("%d samples make %d values, want %d × %d", n, len(got), m.Bands(), m.Frames(n))
		}
		for _, v := range got {
			if v != m.Silence() {
				t.Fatalf("silence of %d samples is %v, want %v", n, v, m.Silence())
			}
		}
		for _, v := range m.Spectrogram(nil, check.Random(1, n), s) {
			if math.IsNaN(float64(v)) || math.IsInf(float64(v), 0) || v < m.Silence() {
				t.Fatalf("%d samples of noise: %v", n, v)
			}
		}
	}
	for frames := 1; frames < 50; frames++ {
		if got := m.Frames(m.Samples(frames)); frames > 1 && got != frames {
			t.Errorf("%d samples make %d frames, want %d", m.Samples(frames), got, frames)
		}
	}
}

// A tone is loudest in the band around it.
func TestMelTone(t *testing.T) {
	const rate, hz = 16000, 1000
	m, err := NewMel(DefaultMelConfig(), rate)
	if err != nil {
		t.Fatal(err)
	}
	x := make([]float32, rate/2)
	for i := range x {
		x[i] = float32(math.Sin(2 * math.Pi * hz * float64(i) / rate))
	}
	out := m.Spectrogram(nil, x, m.NewScratch())
	frames, best := m.Frames(len(x)), 0
	for b := range m.Bands() {
		if out[b*frames+frames/2] > out[best*frames+frames/2] {
			best = b
		}
	}
	mel := func(f float64) float64 { return 2595 * math.Log10(1+f/700) }
	if want := int(mel(hz)/mel(rate/2)*65+0.5) - 1; best != want {
		t.Errorf("loudest in band %d, want %d", best, want)
	}
}

// Goroutines with a Scratch each share a Mel, and nothing is allocated.
func TestMelShared(t *testing.T) {
	m, err := NewMel(DefaultMelConfig(), 8000)
	if err != nil {
		t.Fatal(err)
	}
	x := check.Random(3, 4000)
	want := m.Spectrogram(nil, x, m.NewScratch())
	var wait sync.WaitGroup
	for range 4 {
		wait.Go(func() {
			s, got := m.NewScratch(), []float32(nil)
			for range 3 {
				got = m.Spectrogram(got, x, s)
				for i, v := range got {
					if v != want[i] {
						t.Errorf("value %d is %v, want %v", i, v, want[i])
						return
					}
				}
			}
		})
	}
	wait.Wait()
	s := m.NewScratch()
	if n := testing.AllocsPerRun(5, func() { m.Spectrogram(want, x, s) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestMelCheck(t *testing.T) {
	for _, c := range []struct {
		change func(*MelConfig)
		want   string
	}{
		{func(c *MelConfig) { c.Window = 0 }, "window is 0"},
		{func(c *MelConfig) { c.Window = math.NaN() }, "window is NaN"},
		{func(c *MelConfig) { c.Window, c.Low, c.High = 10, 10, 20 }, "window is 10: at 200000 samples a second it holds more than 1048576"},
		{func(c *MelConfig) { c.Hop = -1 }, "hop is -1"},
		{func(c *MelConfig) { c.Hop = 1e-5 }, "less than a sample"},
		{func(c *MelConfig) { c.Bands = 0 }, "bands is 0"},
		{func(c *MelConfig) { c.Low = 4000 }, "low is 4000 Hz"},
		{func(c *MelConfig) { c.Low, c.High = 100, 50 }, "high is 50 Hz"},
		{func(c *MelConfig) { c.High = 5000 }, "high is 5000 Hz"},
		{func(c *MelConfig) { c.FFT = 100 }, "fft is 100"},
		{func(c *MelConfig) { c.Floor = 0 }, "floor is 0"},
	} {
		config := DefaultMelConfig()
		c.change(&config)
		rate := 8000
		if config.Window > 1 {
			rate = 200_000
		}
		if _, err := NewMel(config, rate); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("error %v, want %q", err, c.want)
		}
	}
	if err := DefaultMelConfig().Check(8000); err != nil {
		t.Error(err)
	}
	for _, rate := range []int{4000, 8000, 11025, 16000, 22050, 44100, 48000} {
		m, err := NewMel(DefaultMelConfig(), rate)
		if err != nil {
			t.Fatal(err)
		}
		for b, f := range m.filters {
			if len(f.weight) == 0 {
				t.Errorf("at %d band %d is empty", rate, b)
			}
		}
	}
}

func BenchmarkMel(b *testing.B) {
	for _, rate := range []int{8000, 16000} {
		b.Run(fmt.Sprint(rate), func(b *testing.B) {
			m, err := NewMel(DefaultMelConfig(), rate)
			if err != nil {
				b.Fatal(err)
			}
			x, s := check.Random(1, rate), m.NewScratch()
			out := m.Spectrogram(nil, x, s)
			b.ReportAllocs()
			for b.Loop() {
				m.Spectrogram(out, x, s)
			}
		})
	}
}
