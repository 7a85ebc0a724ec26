package augment

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"vicreg/internal/check"
	"vicreg/internal/imagefile"
)

// floats is an image of floats.
func floats(w, h, c int, values []float32) imagefile.Image {
	m := imagefile.Image{W: w, H: h, C: c, Type: imagefile.Float, Pix: make([]uint8, 4*w*h*c)}
	m.SetFloats(0, values)
	return m
}

func float32s(v []float64) []float32 {
	out := make([]float32, len(v))
	for i, x := range v {
		out[i] = float32(x)
	}
	return out
}

// near compares normalised values, of which 1 is a standard deviation.
func near(t *testing.T, what string, got, want []float32, tol float64) {
	t.Helper()
	for i, v := range want {
		if !(math.Abs(float64(got[i]-v)) <= tol) {
			t.Errorf("%s: value %d is %v, want %v", what, i, got[i], v)
			return
		}
	}
}

// Many channels are resized as Pillow resizes floats, and blurred as scipy does.
func TestRawGolden(t *testing.T) {
	g := check.Golden(t, "testdata/bands.safetensors")
	shape := g.Shape("image")
	h, w, c := shape[0], shape[1], shape[2]
	img := floats(w, h, c, float32s(g.F64("image")))
	n := NewRawNorm(g.F64("mean"), g.F64("std"))
	z := make([]float32, w*h*c)
	n.ToFloat(z, img)
	var s Scratch
	seen := 0
	for _, name := range g.Names() {
		op, arg, _ := strings.Cut(name, ".")
		want := float32s(g.F64(name))
		switch op {
		case "crop":
			var r Rect
			var size, flip int
			if _, err := fmt.Sscanf(arg, "top%d_left%d_h%d_w%d_to%d_flip%d", &r.Y, &r.X, &r.H, &r.W, &size, &flip); err != nil {
				t.Fatal(err)
			}
			got := make([]float32, size*size*c)
			s.rawResized(got, img, r, size, size, flip == 1, n)
			near(t, name, got, want, 1e-5)
		case "blur":
			var sigma float64
			fmt.Sscan(arg, &sigma)
			got := slices.Clone(z)
			s.rawBlur(got, w, h, c, sigma)
			near(t, name, got, want, 1e-5)
		case "contrast":
			var factor float32
			fmt.Sscan(arg, &factor)
			got := slices.Clone(z)
			rawContrast(got, c, factor)
			near(t, name, got, want, 1e-5)
		default:
			continue
		}
		seen++
	}
	if seen < 11 {
		t.Errorf("%d steps were compared", seen)
	}
}

// What is no data counts as the channel's mean, in every type that can have it, and the same
// values give the same view whatever type they are stored in.
func TestRawTypes(t *testing.T) {
	const w, h, c = 12, 10, 2
	values := make([]float32, w*h*c)
	for i := range values {
		values[i] = float32(i * 7 % 200)
	}
	n := NewRawNorm([]float64{90, 110}, []float64{40, 50})
	v := View{CropMin: 0.3, CropMax: 1, Ratio: [2]float64{0.75, 4.0 / 3}, Flip: 0.5,
		Jitter: Jitter{P: 1, Brightness: 0.4, Contrast: 0.4, Saturation: 0.4, Hue: 0.1}, Grey: 1,
		Blur: Blur{P: 1, Sigma: [2]float64{0.5, 1}}, Solarize: Solarize{P: 1, Threshold: 10}}
	var views [3][]float32
	for kind := range imagefile.Float + 1 {
		m := imagefile.Image{W: w, H: h, C: c, Type: kind, Pix: make([]uint8, w*h*c*kind.Size())}
		m.SetFloats(0, values)
		var s Scratch
		views[kind] = make([]float32, 8*8*c)
		s.View(views[kind], rand.New(rand.NewPCG(4, 2)), m, &v, 8, n)
	}
	if !slices.Equal(views[0], views[1]) || !slices.Equal(views[1], views[2]) {
		t.Error("the same values of other types give another view")
	}
	holed := slices.Clone(values)
	mean := slices.Clone(values)
	for _, i := range []int{0, 33, 100, 201} {
		holed[i], mean[i] = float32(math.NaN()), []float32{90, 110}[i%2]
	}
	var a, b [8 * 8 * c]float32
	var s Scratch
	s.View(a[:], rand.New(rand.NewPCG(4, 2)), floats(w, h, c, holed), &v, 8, n)
	s.View(b[:], rand.New(rand.NewPCG(4, 2)), floats(w, h, c, mean), &v, 8, n)
	if a != b {
		t.Error("what is no data is not the mean")
	}
	s.Plain(a[:], floats(w, h, c, holed), 8, n)
	for i, x := range a {
		if x != x {
			t.Fatalf("value %d is %v", i, x)
		}
	}
}

// Steps that mean colours draw nothing, and are told.
func TestRawDraws(t *testing.T) {
	v := Released()[1]
	for seed := range uint64(50) {
		d := v.Draw(rand.New(rand.NewPCG(seed, 0)), 50, 40, 0)
		for _, j := range d.Jitter[:d.Jitters] {
			if j.Kind >= Saturation {
				t.Fatalf("drawn: %+v", d)
			}
		}
		if d.Grey || d.Solarize {
			t.Fatalf("drawn: %+v", d)
		}
	}
	if got := v.LeftOut(); !slices.Equal(got, []string{"saturation", "hue", "grey", "solarisation"}) {
		t.Errorf("%q", got)
	}
	v.Solarize.P, v.Grey, v.Jitter.P = 0, 0, 0
	if got := v.LeftOut(); got != nil {
		t.Errorf("%q", got)
	}
}

// Brightness adds deviations to all channels alike; the picture of a view is in the values of
// files.
func TestRawPicture(t *testing.T) {
	n := NewRawNorm([]float64{100, 3000, 7}, []float64{10, 500, 2})
	img := floats(8, 8, 3, slices.Repeat([]float32{110, 3000, 3}, 64))
	v := View{CropMin: 1, CropMax: 1, Ratio: [2]float64{1, 1}, Jitter: Jitter{P: 1, Brightness: 0.5}}
	var s Scratch
	m, d := s.RawPicture(rand.New(rand.NewPCG(1, 1)), img, &v, 8, n)
	if d.Jitters != 1 || d.Jitter[0].Factor == 1 {
		t.Fatalf("%+v", d)
	}
	got, add := make([]float32, 3), d.Jitter[0].Factor-1
	m.Floats(got, 3*20)
	near(t, "view", got, []float32{float32(110 + 10*add), float32(3000 + 500*add), float32(3 + 2*add)}, 1e-3)
}

// A smaller image keeps its type, and where data were missing they still are.
func TestRawResize(t *testing.T) {
	values := slices.Repeat([]float32{5, 300}, 20*10)
	values[2*(4*20+7)] = float32(math.NaN())
	var s Scratch
	m := s.RawResize(floats(20, 10, 2, values), 10, 5)
	if !m.Complete() || m.W != 10 || m.H != 5 || m.Type != imagefile.Float {
		t.Fatalf("%d × %d × %d", m.W, m.H, m.C)
	}
	gaps := m.Measure()
	if gaps.Gaps == 0 || gaps.Gaps > 30 || math.Abs(gaps.Mean[0]-5) > 1e-4 || math.Abs(gaps.Mean[1]-300) > 1e-3 {
		t.Errorf("%+v", gaps)
	}
	short := imagefile.Image{W: 3, H: 3, C: 1, Type: imagefile.Short, Pix: make([]uint8, 18)}
	short.SetFloats(0, []float32{0, 65535, 0, 65535, 0, 65535, 0, 65535, 0})
	big := s.RawResize(short, 9, 9)
	if lo, hi := big.Pix, big.Measure(); len(lo) != 162 || hi.Mean[0] < 20000 || hi.Mean[0] > 40000 {
		t.Errorf("%+v", hi)
	}
}

// Views of many channels allocate nothing once the memory has grown.
func TestRawAllocations(t *testing.T) {
	const c = 13
	m := imagefile.Image{W: 40, H: 40, C: c, Type: imagefile.Short, Pix: make([]uint8, 2*40*40*c)}
	n := NewRawNorm(make([]float64, c), slices.Repeat([]float64{1}, c))
	v := Released()[0]
	var s Scratch
	dst := make([]float32, 32*32*c)
	r := rand.New(rand.NewPCG(1, 2))
	for range 100 {
		s.View(dst, r, m, &v, 32, n)
	}
	if a := testing.AllocsPerRun(20, func() { s.View(dst, r, m, &v, 32, n); s.Plain(dst, m, 32, n) }); a > 0 {
		t.Errorf("%v allocations", a)
	}
}
