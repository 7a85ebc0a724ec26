package augment

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"vicreg/internal/rng"
)

func gaussian(n int) []float32 {
	r := rng.New(2, rng.Bench, uint64(n))
	x := make([]float32, n)
	for i := range x {
		x[i] = float32(r.NormFloat64())
	}
	return x
}

// views makes a view of each kind, of data t points long for want points.
func views(r *rand.Rand, x func(n int) []float32, have, want int) map[string][]float32 {
	const bands, channels = 5, 3
	out := map[string][]float32{}
	add := func(name string, dst []float32, view func(dst []float32)) {
		for i := range dst {
			dst[i] = float32(math.NaN())
		}
		view(dst)
		out[name] = dst
	}
	w, s, e, n := DefaultWaveform(), DefaultSpectrogram(), DefaultSeries(), DefaultNumeric()
	wave, image, series := x(have), x(bands*have), x(channels*have)
	add("waveform", make([]float32, want), func(d []float32) { w.View(r, d, wave) })
	add("waveform, middle", make([]float32, want), func(d []float32) { CenterWaveform(d, wave) })
	add("spectrogram", make([]float32, bands*want), func(d []float32) { s.View(r, d, image, bands, 2) })
	add("spectrogram, middle", make([]float32, bands*want), func(d []float32) { CenterSpectrogram(d, image, bands) })
	add("series", make([]float32, channels*want), func(d []float32) { e.View(r, d, series, channels) })
	add("series, middle", make([]float32, channels*want), func(d []float32) { CenterSeries(d, series, channels) })
	add("numeric", make([]float32, have), func(d []float32) { n.View(r, d, wave) })
	return out
}

// Whatever the lengths, every value is written and finite; the same stream makes
// the same view.
func TestLengths(t *testing.T) {
	for _, have := range []int{0, 1, 2, 7, 30} {
		for _, want := range []int{1, 2, 7, 8, 40} {
			for seed := range uint64(20) {
				one := views(rng.New(seed), gaussian, have, want)
				two := views(rng.New(seed), gaussian, have, want)
				for name, v := range one {
					for i, f := range v {
						if math.IsNaN(float64(f)) || math.IsInf(float64(f), 0) {
							t.Fatalf("%s, %d points for %d: value %d is %v", name, have, want, i, f)
						}
					}
					if !slices.Equal(v, two[name]) {
						t.Fatalf("%s, %d points for %d: the same stream makes another view", name, have, want)
					}
				}
			}
		}
	}
}

// Silence stays silent.
func TestSilence(t *testing.T) {
	w, s := DefaultWaveform(), DefaultSpectrogram()
	w.Noise.P, s.Gain = 1, 0
	for seed := range uint64(10) {
		r, dst := rng.New(seed), make([]float32, 60)
		w.View(r, dst, make([]float32, 50))
		for _, v := range dst {
			if v != 0 {
				t.Fatalf("silence becomes %v", v)
			}
		}
		s.View(r, dst, make([]float32, 80), 4, 1)
		for _, v := range dst {
			if v != 0 {
				t.Fatalf("an empty spectrogram becomes %v", v)
			}
		}
	}
}

// Views made in place are those made elsewhere.
func TestInPlace(t *testing.T) {
	w, s, e, n := DefaultWaveform(), DefaultSpectrogram(), DefaultSeries(), DefaultNumeric()
	for seed := range uint64(20) {
		for name, view := range map[string]func(r *rand.Rand, dst, x []float32){
			"waveform":    func(r *rand.Rand, dst, x []float32) { w.View(r, dst, x) },
			"spectrogram": func(r *rand.Rand, dst, x []float32) { s.View(r, dst, x, 6, 1.5) },
			"series":      func(r *rand.Rand, dst, x []float32) { e.View(r, dst, x, 3) },
			"numeric":     func(r *rand.Rand, dst, x []float32) { n.View(r, dst, x) },
		} {
			x, dst := gaussian(60), make([]float32, 60)
			view(rng.New(seed), dst, x)
			view(rng.New(seed), x, x)
			if !slices.Equal(x, dst) {
				t.Fatalf("%s in place differs", name)
			}
		}
	}
}

// Without chance: the middle of what is too long, what is too short between zeros.
func TestMiddle(t *testing.T) {
	x := []float32{1, 2, 3, 4, 5, 6}
	for _, c := range []struct {
		name      string
		got, want []float32
	}{
		{"waveform", center(3, func(d []float32) { CenterWaveform(d, x) }), []float32{2, 3, 4}},
		{"short waveform", center(9, func(d []float32) { CenterWaveform(d, x) }), []float32{0, 1, 2, 3, 4, 5, 6, 0, 0}},
		{"series", center(2, func(d []float32) { CenterSeries(d, x, 2) }), []float32{3, 4}},
		{"short series", center(10, func(d []float32) { CenterSeries(d, x, 2) }), []float32{0, 0, 1, 2, 3, 4, 5, 6, 0, 0}},
		{"spectrogram", center(2, func(d []float32) { CenterSpectrogram(d, x, 2) }), []float32{2, 5}},
		{"short spectrogram", center(10, func(d []float32) { CenterSpectrogram(d, x, 2) }), []float32{0, 1, 2, 3, 0, 0, 4, 5, 6, 0}},
	} {
		if !slices.Equal(c.got, c.want) {
			t.Errorf("%s: %v, want %v", c.name, c.got, c.want)
		}
	}
}

func center(n int, f func(dst []float32)) []float32 {
	dst := make([]float32, n)
	for i := range dst {
		dst[i] = -1
	}
	f(dst)
	return dst
}

// Crops begin everywhere, and the short come to lie everywhere.
func TestAnywhere(t *testing.T) {
	r := rng.New(1)
	for _, c := range []struct{ have, want, lo, hi int }{{10, 4, 0, 6}, {4, 10, -6, 0}, {5, 5, 0, 0}} {
		seen := map[int]bool{}
		for range 1000 {
			at := anywhere(r, c.have, c.want)
			if at < c.lo || at > c.hi {
				t.Fatalf("%+v: begins at %d", c, at)
			}
			seen[at] = true
		}
		if len(seen) != c.hi-c.lo+1 {
			t.Errorf("%+v: %d places", c, len(seen))
		}
	}
}

func TestWaveform(t *testing.T) {
	x := gaussian(1000)
	r := rng.New(5)
	dst := make([]float32, len(x))
	// A shift turns the circle, by up to a tenth either way.
	w := Waveform{Shift: 0.1}
	seen := map[int]bool{}
	for range 300 {
		w.View(r, dst, x)
		at := slices.Index(dst, x[0])
		if at > 500 {
			at -= 1000
		}
		if at < -100 || at > 100 || dst[(at+1007)%1000] != x[7] || dst[(at+1999)%1000] != x[999] {
			t.Fatalf("shifted by %d", at)
		}
		seen[at/25] = true
	}
	if len(seen) < 7 {
		t.Errorf("shifts of %v quarters of a tenth only", seen)
	}
	// Gain and polarity multiply by one factor.
	w = Waveform{Gain: 6, Polarity: 0.25}
	const n = 4000
	negative, db := 0.0, 0.0
	for range n {
		w.View(r, dst[:5], x[:5])
		factor := float64(dst[0] / x[0])
		if math.Abs(float64(dst[4])/float64(x[4])-factor) > 1e-5 {
			t.Fatal("the samples have different factors")
		}
		if factor < 0 {
			negative++
		}
		level := 20 * math.Log10(math.Abs(factor))
		if math.Abs(level) > 6.001 {
			t.Fatalf("%v dB", level)
		}
		db += level * level
	}
	wantMean(t, "polarity", negative, n, 0.25, 0.45)
	wantMean(t, "squared gain", db, n, 12, 11)
	// Noise has the power that the ratio says.
	w = Waveform{Noise: Noise{P: 0.5, SNR: [2]float64{10, 20}}}
	long, noisy := gaussian(20000), make([]float32, 20000)
	for i := range long {
		long[i] *= 0.3
	}
	times, ratio := 0.0, 0.0
	for range 400 {
		w.View(r, noisy, long)
		signal, noise := 0.0, 0.0
		for i, v := range long {
			signal += float64(v) * float64(v)
			noise += float64(noisy[i]-v) * float64(noisy[i]-v)
		}
		if noise == 0 {
			continue
		}
		snr := 10 * math.Log10(signal/noise)
		if snr < 9.5 || snr > 20.5 {
			t.Fatalf("a ratio of %v dB", snr)
		}
		times++
		ratio += snr
	}
	wantMean(t, "noise", times, 400, 0.5, 0.5)
	wantMean(t, "ratio", ratio, int(times), 15, 3)
}

func TestSpectrogram(t *testing.T) {
	const bands, frames = 20, 50
	ones := make([]float32, bands*frames)
	for i := range ones {
		ones[i] = 1
	}
	r, dst := rng.New(6), make([]float32, bands*frames)
	s := Spectrogram{Bands: Masks{1, 0.25}, Time: Masks{1, 0.2}}
	high, wide := 0.0, 0.0
	const n = 3000
	for range n {
		s.View(r, dst, ones, bands, 1)
		// What is hidden is whole rows and whole columns, each in one piece.
		rows, cols := 0, 0
		changes := 0
		for b := range bands {
			if slices.Max(dst[b*frames:][:frames]) == 0 {
				rows++
			}
		}
		for i := range frames {
			all := true
			for b := range bands {
				all = all && dst[b*frames+i] == 0
			}
			if all {
				cols++
			}
			if i > 0 {
				row := dst[shown(dst, bands, frames)*frames:]
				if row[i] != row[i-1] {
					changes++
				}
			}
		}
		if rows > 5 || cols > 10 || changes > 2 {
			t.Fatalf("%d bands and %d frames hidden, in %d changes", rows, cols, changes)
		}
		zeros := 0
		for _, v := range dst {
			if v == 0 {
				zeros++
			}
		}
		if zeros != rows*frames+cols*bands-rows*cols {
			t.Fatalf("%d values hidden by %d bands and %d frames", zeros, rows, cols)
		}
		high, wide = high+float64(rows), wide+float64(cols)
	}
	wantMean(t, "hidden bands", high, n, 2.5, 1.7)
	wantMean(t, "hidden frames", wide, n, 5, 3.2)
	// 6 dB are a factor of 4 of power, log 4 of the logarithm, halved by std.
	s = Spectrogram{Gain: 10 * math.Log10(4)}
	sum := 0.0
	for range n {
		s.View(r, dst, ones, bands, 2)
		v := float64(dst[0] - 1)
		if math.Abs(v) > math.Log(4)/2+1e-6 || dst[0] != dst[len(dst)-1] {
			t.Fatalf("a gain of %v", v)
		}
		sum += v * v
	}
	wantMean(t, "squared gain", sum, n, math.Pow(math.Log(4)/2, 2)/3, 0.15)
	// Padding is the mean, whatever the gain.
	wide2 := make([]float32, bands*(frames+10))
	s.View(r, wide2, ones, bands, 1)
	for b := range bands {
		zeros := 0
		for _, v := range wide2[b*(frames+10):][:frames+10] {
			if v == 0 {
				zeros++
			}
		}
		if zeros != 10 {
			t.Fatalf("band %d has %d frames of padding, want 10", b, zeros)
		}
	}
}

// shown returns a band that is not hidden.
func shown(x []float32, bands, frames int) int {
	for b := range bands {
		if slices.Max(x[b*frames:][:frames]) > 0 {
			return b
		}
	}
	return 0
}

func TestSeries(t *testing.T) {
	const points, c = 40, 2
	x := make([]float32, points*c)
	for i := range x {
		x[i] = 1
	}
	r, dst := rng.New(7), make([]float32, len(x))
	s := Series{Scale: 0.1, Crop: 0.5}
	const n = 3000
	kept, scale := 0.0, 0.0
	for range n {
		s.View(r, dst, x, c)
		first := slices.IndexFunc(dst, func(v float32) bool { return v != 0 })
		last := len(dst) - 1
		for dst[last] == 0 {
			last--
		}
		if first%c != 0 || last%c != c-1 {
			t.Fatal("a point is kept in part")
		}
		for i := first; i <= last; i++ {
			if dst[i] != dst[first+i%c] {
				t.Fatal("a channel has two factors, or a hole")
			}
		}
		kept += float64(last-first+1) / c
		scale += float64((dst[first] - 1) * (dst[first] - 1))
	}
	wantMean(t, "points kept", kept, n, 30, 6)
	wantMean(t, "squared scale", scale, n, 0.01, 0.0142)
	s = Series{Jitter: 0.05, Crop: 1}
	noise := 0.0
	for range n {
		s.View(r, dst, x, c)
		noise += math.Pow(float64(dst[17]-1), 2)
	}
	wantMean(t, "squared jitter", noise, n, 0.0025, 0.00354)
	// Padding gets neither.
	long := make([]float32, len(x)+10*c)
	s.View(r, long, x, c)
	zeros := 0
	for _, v := range long {
		if v == 0 {
			zeros++
		}
	}
	if zeros != 10*c {
		t.Errorf("%d values of padding, want %d", zeros, 10*c)
	}
}

func TestNumeric(t *testing.T) {
	v := Numeric{Jitter: 0.1, Drop: 0.2}
	r := rng.New(8)
	const n = 4000
	dropped, noise, stay := 0.0, 0.0, 0
	for range n {
		x := []float32{3, -2}
		v.View(r, x, x)
		if x[1] == 0 {
			dropped++
		} else {
			noise += math.Pow(float64(x[1]+2), 2)
			stay++
		}
	}
	wantMean(t, "drop", dropped, n, 0.2, 0.4)
	wantMean(t, "squared jitter", noise, stay, 0.01, 0.0142)
}

func TestText(t *testing.T) {
	dst := make([]float32, 8)
	Tokens(dst, "aé")
	if want := []float32{98, 0xc3 + 1, 0xa9 + 1, 0, 0, 0, 0, 0}; !slices.Equal(dst, want) {
		t.Errorf("tokens %v, want %v", dst, want)
	}
	Tokens(dst[:2], "aé")
	if dst[0] != 98 || dst[1] != 0 {
		t.Errorf("a character is cut: %v", dst[:2])
	}
	Tokens(dst, "")
	if slices.Max(dst) != 0 {
		t.Errorf("tokens of nothing: %v", dst)
	}
	r := rng.New(9)
	plain := Text{}
	plain.View(r, dst, "short")
	if want := []float32{116, 105, 112, 115, 117, 0, 0, 0}; !slices.Equal(dst, want) {
		t.Errorf("a view without chance is %v, want %v", dst, want)
	}
	starts := map[float32]bool{}
	for range 500 {
		plain.View(r, dst[:3], "0éß3456789")
		starts[dst[0]] = true
	}
	if len(starts) != 7 || starts[0xa9+1] || starts[0x9f+1] {
		t.Errorf("parts begin with %v, want 0, 0xc3 and 3 to 7", starts)
	}
	v := Text{Mask: 0.15, Delete: 0.1}
	text := strings.Repeat("x", 1000)
	long := make([]float32, 1000)
	masked, left := 0.0, 0.0
	for range 50 {
		v.View(r, long, text)
		for _, f := range long {
			switch f {
			case TextMask:
				masked++
				left++
			case 'x' + 1:
				left++
			case TextPadding:
			default:
				t.Fatalf("a token %v", f)
			}
		}
	}
	wantMean(t, "bytes left", left, 50000, 0.9, 0.3)
	wantMean(t, "masks", masked, int(left), 0.15, 0.36)
	gone := Text{Delete: 1}
	gone.View(r, dst, "all")
	if dst[0] != TextMask || dst[1] != 0 {
		t.Errorf("nothing is left: %v", dst)
	}
}

func TestModalityCheck(t *testing.T) {
	nan := math.NaN()
	for _, c := range []struct {
		v    interface{ Check() error }
		want string
	}{
		{Waveform{Shift: 1.5}, "shift is 1.5: it must lie between 0 and 1"},
		{Waveform{Gain: -1}, "gain is -1"},
		{Waveform{Polarity: nan}, "polarity is NaN"},
		{Waveform{Noise: Noise{P: 2}}, "noise.p is 2"},
		{Waveform{Noise: Noise{SNR: [2]float64{10, 1000}}}, "noise.snr[1] is 1000"},
		{Waveform{Noise: Noise{SNR: [2]float64{20, 10}}}, "the smaller comes first"},
		{Spectrogram{Gain: nan}, "gain is NaN"},
		{Spectrogram{Bands: Masks{-1, 0}}, "bands.count is -1"},
		{Spectrogram{Bands: Masks{1, 1.1}}, "bands.share is 1.1"},
		{Spectrogram{Time: Masks{1000, 0}}, "time.count is 1000"},
		{Spectrogram{Time: Masks{1, -0.1}}, "time.share is -0.1"},
		{Series{Scale: -1}, "scale is -1"},
		{Series{Jitter: 11}, "jitter is 11"},
		{Series{Crop: 2}, "crop is 2"},
		{Numeric{Jitter: nan}, "jitter is NaN"},
		{Numeric{Drop: 1.5}, "drop is 1.5"},
		{Text{Mask: 2}, "mask is 2"},
		{Text{Delete: -1}, "delete is -1"},
	} {
		if err := c.v.Check(); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%+v: error %v, want %q", c.v, err, c.want)
		}
		// The error names a key that YAML knows.
		text, err := yaml.Marshal(c.v)
		if err != nil {
			t.Fatal(err)
		}
		key, _, _ := strings.Cut(c.want, " ")
		for part := range strings.SplitSeq(key, ".") {
			name, _, _ := strings.Cut(part, "[")
			if !strings.HasPrefix(c.want, "the ") && !strings.Contains(string(text), name+":") {
				t.Errorf("%T has no key %q in\n%s", c.v, name, text)
			}
		}
	}
	for _, v := range []interface{ Check() error }{DefaultWaveform(), DefaultSpectrogram(), DefaultSeries(),
		DefaultNumeric(), DefaultText()} {
		if err := v.Check(); err != nil {
			t.Errorf("%T: %v", v, err)
		}
	}
}

func TestModalityAllocations(t *testing.T) {
	w, s, e, n, x := DefaultWaveform(), DefaultSpectrogram(), DefaultSeries(), DefaultNumeric(), DefaultText()
	r, from, dst := rng.New(3), gaussian(120), make([]float32, 60)
	if got := testing.AllocsPerRun(20, func() {
		w.View(r, dst, from)
		s.View(r, dst, from, 6, 1)
		e.View(r, dst, from, 3)
		n.View(r, dst, from[:60])
		x.View(r, dst, "some text that is not too short")
	}); got != 0 {
		t.Errorf("%v allocations", got)
	}
}

func BenchmarkModalities(b *testing.B) {
	w, s := DefaultWaveform(), DefaultSpectrogram()
	w.Noise.P = 1
	r, from, dst := rng.New(3), gaussian(8000), make([]float32, 8000)
	for name, f := range map[string]func(){
		"waveform":    func() { w.View(r, dst, from) },
		"spectrogram": func() { s.View(r, dst[:6400], from[:6400], 64, 1) },
	} {
		b.Run(fmt.Sprint(name), func(b *testing.B) {
			for b.Loop() {
				f()
			}
		})
	}
}
