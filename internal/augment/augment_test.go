package augment

import (
	"hash/crc32"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"vicreg/internal/imagefile"
	"vicreg/internal/rng"
)

func noise(w, h, c int) imagefile.Image {
	r := rng.New(1, rng.Bench, uint64(w), uint64(h))
	img := imagefile.Image{W: w, H: h, C: c, Pix: make([]uint8, w*h*c)}
	for i := range img.Pix {
		img.Pix[i] = uint8(r.Uint32())
	}
	return img
}

// picture makes the view of img that d describes, size × size.
func (s *Scratch) picture(img imagefile.Image, d *Draw, size int) imagefile.Image {
	s.apply(img, d, size, img.C)
	out := imagefile.Image{W: size, H: size, C: img.C}
	for _, v := range s.img.Pix {
		out.Pix = append(out.Pix, s.lut[v])
	}
	return out
}

// The average of n draws of something with standard deviation sd.
func wantMean(t *testing.T, what string, sum float64, n int, mean, sd float64) {
	t.Helper()
	if got := sum / float64(n); math.Abs(got-mean) > 5*sd/math.Sqrt(float64(n)) {
		t.Errorf("mean of %s is %.4f, want %.4f", what, got, mean)
	}
}

func TestDrawDistributions(t *testing.T) {
	v := Released()[1]
	const n = 40000
	r := rng.New(1, rng.Augment)
	sums := map[string]float64{}
	firsts := [4]int{}
	jittered := 0
	for range n {
		d := v.Draw(r, 500, 500, 3)
		c := d.Crop
		if c.X < 0 || c.Y < 0 || c.W < 1 || c.H < 1 || c.X+c.W > 500 || c.Y+c.H > 500 {
			t.Fatalf("crop %v leaves the image", c)
		}
		if q := float64(c.W) / float64(c.H); q < 0.73 || q > 1.36 {
			t.Fatalf("crop %v has ratio %v", c, q)
		}
		one := func(key string, b bool) {
			if b {
				sums[key]++
			}
		}
		sums["log ratio"] += math.Log(float64(c.W) / float64(c.H))
		one("flip", d.Flip)
		one("jitter", d.Jitters > 0)
		one("grey", d.Grey)
		one("blur", d.Blur)
		one("solarize", d.Solarize)
		if d.Jitters > 0 {
			jittered++
			firsts[d.Jitter[0].Kind]++
			seen := 0
			for _, s := range d.Jitter {
				seen |= 1 << s.Kind
				lo, hi := 0.6, 1.4
				switch s.Kind {
				case Saturation:
					lo, hi = 0.8, 1.2
				case Hue:
					lo, hi = -0.1, 0.1
				}
				if s.Factor < lo || s.Factor > hi {
					t.Fatalf("factor %v of %v", s.Factor, s.Kind)
				}
				sums["factor"] += (s.Factor - lo) / (hi - lo)
			}
			if d.Jitters != 4 || seen != 15 {
				t.Fatalf("jitter %v", d.Jitter)
			}
		}
	}
	wantMean(t, "log ratio", sums["log ratio"], n, 0, 0.17)
	for key, p := range map[string]float64{"flip": 0.5, "jitter": 0.8, "grey": 0.2, "blur": 0.1, "solarize": 0.2} {
		wantMean(t, key, sums[key], n, p, math.Sqrt(p*(1-p)))
	}
	wantMean(t, "jitter factor", sums["factor"], 4*jittered, 0.5, 0.29)
	for k, f := range firsts {
		wantMean(t, "first jitter "+string(rune('0'+k)), float64(f), jittered, 0.25, 0.44)
	}

	// Uniform in area where no try fails: at most half, on a large square.
	v.CropMin, v.CropMax = 0.1, 0.5
	var area, sigma float64
	v.Blur.P = 1
	for range n {
		d := v.Draw(r, 4000, 4000, 3)
		area += float64(d.Crop.W*d.Crop.H) / (4000 * 4000)
		sigma += d.Sigma
	}
	wantMean(t, "area", area, n, 0.3, 0.4/math.Sqrt(12))
	wantMean(t, "sigma", sigma, n, 1.05, 1.9/math.Sqrt(12))
}

func TestDrawFallsBackToCenter(t *testing.T) {
	v := Released()[0]
	v.CropMin = 1
	r := rng.New(2)
	for _, c := range []struct {
		w, h int
		want Rect
	}{
		{300, 100, Rect{83, 0, 133, 100}},
		{100, 300, Rect{0, 83, 100, 133}},
		{1, 1000, Rect{0, 499, 1, 1}},
	} {
		if got := v.Draw(r, c.w, c.h, 3).Crop; got != c.want {
			t.Errorf("%d × %d: crop %v, want %v", c.w, c.h, got, c.want)
		}
	}
}

// counted counts what is drawn from a stream.
type counted struct {
	rand.PCG
	n int
}

func (c *counted) Uint64() uint64 { c.n++; return c.PCG.Uint64() }

// A crop that cannot succeed is tried ten times, each with an area and a ratio.
func TestTenTries(t *testing.T) {
	v := Released()[0]
	v.CropMin = 1
	var c counted
	if got := v.drawCrop(rand.New(&c), 300, 100); c.n != 20 {
		t.Errorf("crop %v after %d draws, want 20", got, c.n)
	}
}

// A flipped view is the mirror image of the same view unflipped, all its other
// steps being blind to left and right.
func TestFlippedView(t *testing.T) {
	img := noise(50, 40, 3)
	n := NewNorm(make([]float64, 3), []float64{1, 1, 1})
	v := View{CropMin: 1, CropMax: 1, Ratio: [2]float64{1.25, 1.25},
		Jitter: Jitter{P: 1, Brightness: 0.4, Contrast: 0.4}, Solarize: Solarize{P: 1, Threshold: 128}}
	const size = 32
	var views [2][]float32
	for flip := range views {
		v.Flip = float64(flip)
		views[flip] = make([]float32, size*size*3)
		new(Scratch).View(views[flip], rng.New(9), img, &v, size, n)
	}
	for i, got := range views[1] {
		y, x, c := i/3/size, i/3%size, i%3
		if want := views[0][(y*size+size-1-x)*3+c]; got != want {
			t.Fatalf("row %d column %d channel %d: %v, unflipped %v", y, x, c, got, want)
		}
	}
	if slices.Equal(views[0], views[1]) {
		t.Error("both views are alike")
	}
}

// Evaluation looks at the middle of the picture whose shorter side was resized
// to size·256/224, whose margins are odd or even.
func TestPlainLooksAtTheMiddle(t *testing.T) {
	for _, c := range []struct{ size, w, h, toW, toH, x, y int }{
		{28, 64, 48, 42, 32, 7, 2},
		{28, 48, 65, 32, 43, 2, 8}, // 7.5 rounds to even
		{28, 41, 48, 32, 37, 2, 4}, // 4.5
		{28, 20, 20, 32, 32, 2, 2},
		{32, 50, 40, 46, 37, 7, 2}, // 36.6 rounds up
		{28, 28, 40, 32, 45, 2, 8}, // one side alone is right
		{224, 30, 20, 384, 256, 80, 16},
	} {
		img := noise(c.w, c.h, 3)
		n := NewNorm(make([]float64, 3), []float64{1, 1, 1})
		got, want := make([]float32, c.size*c.size*3), make([]float32, c.size*c.size*3)
		var s Scratch
		s.Plain(got, img, c.size, n)
		var whole imagefile.Image
		s.Resize(&whole, img, c.toW, c.toH)
		middle := imagefile.Image{W: c.size, H: c.size, C: 3}
		for y := range c.size {
			at := ((c.y+y)*c.toW + c.x) * 3
			middle.Pix = append(middle.Pix, whole.Pix[at:at+c.size*3]...)
		}
		n.ToFloat(want, middle)
		if !slices.Equal(got, want) {
			t.Errorf("%d × %d: not the middle of %d × %d", c.w, c.h, c.toW, c.toH)
		}
	}
	same := noise(28, 28, 1)
	n := NewNorm([]float64{0}, []float64{1})
	got, want := make([]float32, 28*28), make([]float32, 28*28)
	new(Scratch).Plain(got, same, 28, n)
	n.ToFloat(want, same)
	if !slices.Equal(got, want) {
		t.Error("an image of the right size is not taken as it is")
	}
}

func TestGreyImagesTakeNoColorSteps(t *testing.T) {
	v := Released()[0]
	v.Grey, v.Jitter.P = 1, 1
	d := v.Draw(rng.New(3), 28, 28, 1)
	if d.Grey || d.Jitters != 2 || d.Jitter[0].Kind > Contrast || d.Jitter[1].Kind > Contrast {
		t.Errorf("drew %+v", d)
	}
	v.Jitter.Brightness, v.Jitter.Hue = 0, 0
	if d := v.Draw(rng.New(3), 28, 28, 3); d.Jitters != 2 {
		t.Errorf("strength 0 is drawn: %+v", d)
	}
}

func TestViewIsAFunctionOfItsKeys(t *testing.T) {
	views := Released()
	img := noise(50, 40, 3)
	n := NewNorm([]float64{0.5, 0.5, 0.5}, []float64{0.25, 0.25, 0.25})
	make1 := func(s *Scratch, view, item uint64) []float32 {
		dst := make([]float32, 32*32*3)
		s.View(dst, rng.New(1, rng.Augment, 0, item, view), img, &views[view], 32, n)
		return dst
	}
	var fresh, used Scratch
	a := make1(&fresh, 0, 5)
	make1(&used, 1, 6)
	var big imagefile.Image
	used.Resize(&big, noise(70, 90, 1), 40, 40)
	if b := make1(&used, 0, 5); !slices.Equal(a, b) {
		t.Error("a used scratch gives another view")
	}
	if c := make1(&used, 0, 7); slices.Equal(a, c) {
		t.Error("two items share one draw")
	}
}

// Sizes at the edges of what the packing of pixels handles, against the checksum of
// what Pillow and torchvision make.
func TestSmallImages(t *testing.T) {
	var s Scratch
	for c, want := range map[int]uint32{1: 0x1adf063c, 3: 0xcadb1ffc} {
		sum := crc32.NewIEEE()
		for w := 1; w < 9; w++ {
			for h := 1; h < 9; h++ {
				img := imagefile.Image{W: w, H: h, C: c}
				for i := range w * h * c {
					img.Pix = append(img.Pix, uint8(i*i*37+i*91+29*w+53*h))
				}
				a := Draw{Crop: Rect{0, 0, w, h}, Flip: true, Jitter: [4]Step{{Contrast, 1.3}, {Brightness, 0.8}},
					Jitters: 2,
					Blur:    true, Sigma: 5}
				b := Draw{Crop: Rect{w / 3, h / 4, w - w/3, h - h/4}, Jitter: [4]Step{{Brightness, 1.2}}, Jitters: 1,
					Grey: c == 3,
					Blur: true, Sigma: 0.4, Solarize: true, Threshold: 128}
				if c == 3 {
					a.Jitter[2], a.Jitter[3], a.Jitters = Step{Saturation, 1.2}, Step{Hue, 0.05}, 4
				}
				for size := 1; size < 9; size++ {
					sum.Write(s.picture(img, &a, size).Pix)
					sum.Write(s.picture(img, &b, size).Pix)
				}
			}
		}
		if got := sum.Sum32(); got != want {
			t.Errorf("%d channels: checksum %#x, want %#x", c, got, want)
		}
	}
}

// A view is the picture of what was drawn for it, in numbers.
func TestViewIsWhatWasDrawn(t *testing.T) {
	views := Released()
	views[0].Blur.Sigma = [2]float64{5, 5}
	var s, other Scratch
	for _, c := range []int{1, 3} {
		n := NewNorm(slices.Repeat([]float64{0.5}, c), slices.Repeat([]float64{0.25}, c))
		for w := 1; w < 9; w++ {
			for h := 1; h < 9; h++ {
				for size := 1; size < 9; size++ {
					img := noise(w, h, c)
					got, want := make([]float32, size*size*c), make([]float32, size*size*c)
					for i := range views {
						s.View(got, rng.New(uint64(w), uint64(h)), img, &views[i], size, n)
						d := views[i].Draw(rng.New(uint64(w), uint64(h)), w, h, c)
						n.ToFloat(want, other.picture(img, &d, size))
						if !slices.Equal(got, want) {
							t.Fatalf("%d × %d × %d to %d, view %d: %v, want %v", w, h, c, size, i, got, want)
						}
					}
				}
			}
		}
	}
}

// A constant image stays constant under every step that only mixes neighbours.
func TestConstantStays(t *testing.T) {
	var s Scratch
	for v := 0; v < 256; v += 51 {
		img := imagefile.Image{W: 37, H: 23, C: 3, Pix: slices.Repeat([]uint8{uint8(v)}, 37*23*3)}
		d := Draw{Crop: Rect{1, 2, 31, 20}, Flip: true, Grey: true, Blur: true, Sigma: 1.9}
		for _, x := range s.picture(img, &d, 45).Pix {
			if int(x) < v-1 || int(x) > v+1 {
				t.Fatalf("%d became %d", v, x)
			}
		}
	}
}

func TestSteadyStateDoesNotAllocate(t *testing.T) {
	views := Released()
	n := NewNorm([]float64{0.5, 0.5, 0.5}, []float64{0.25, 0.25, 0.25})
	img := noise(60, 40, 3)
	dst := make([]float32, 32*32*3)
	var s Scratch
	var p rand.PCG
	r := rand.New(&p)
	run := func() {
		for i := range uint64(50) {
			rng.Seed(&p, 1, rng.Augment, 0, i)
			s.View(dst, r, img, &views[i%2], 32, n)
		}
	}
	run()
	if a := testing.AllocsPerRun(5, run); a != 0 {
		t.Errorf("50 views allocate %v times", a)
	}
}

func TestCheck(t *testing.T) {
	for _, v := range Released() {
		if err := v.Check(); err != nil {
			t.Error(err)
		}
	}
	for want, change := range map[string]func(*View){
		"crop_min":     func(v *View) { v.CropMin = -0.1 },
		"crop_max 0.5": func(v *View) { v.CropMax = 0.5; v.CropMin = 0.6 },
		"nothing":      func(v *View) { v.CropMax = 0; v.CropMin = 0 },
		"ratio":        func(v *View) { v.Ratio = [2]float64{} },
		"flip":         func(v *View) { v.Flip = math.NaN() },
		"jitter.p":     func(v *View) { v.Jitter.P = 2 },
		"jitter.hue":   func(v *View) { v.Jitter.Hue = 0.6 },
		"blur.sigma":   func(v *View) { v.Blur.Sigma = [2]float64{2, 1} },
		"threshold":    func(v *View) { v.Solarize.Threshold = 300 },
	} {
		v := Released()[0]
		change(&v)
		if err := v.Check(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error %v", want, err)
		}
	}
}

func BenchmarkTwoViews(b *testing.B) {
	fashion := Released()
	for i := range fashion {
		fashion[i].CropMin, fashion[i].Blur.P = 0.2, 0
	}
	small := NewNorm([]float64{0.5}, []float64{0.25})
	rgb := NewNorm([]float64{0.5, 0.5, 0.5}, []float64{0.25, 0.25, 0.25})
	photo := imagefile.Image{}
	var s Scratch
	s.Resize(&photo, noise(63, 47, 3), 500, 375)
	color := imagefile.Image{}
	s.Resize(&color, noise(8, 8, 3), 32, 32)
	for _, c := range []struct {
		name  string
		img   imagefile.Image
		size  int
		views [2]View
		norm  *Norm
	}{
		{"grey28", noise(28, 28, 1), 28, fashion, small},
		{"color32", color, 32, fashion, rgb},
		{"photo224", photo, 224, Released(), rgb},
		{"photo224noblur", photo, 224, fashion, rgb},
	} {
		b.Run(c.name, func(b *testing.B) {
			dst := make([]float32, c.size*c.size*c.img.C)
			var p rand.PCG
			r := rand.New(&p)
			for i := 0; b.Loop(); i++ {
				for view := range c.views {
					rng.Seed(&p, 1, rng.Augment, 0, uint64(i), uint64(view))
					s.View(dst, r, c.img, &c.views[view], c.size, c.norm)
				}
			}
		})
	}
}

func BenchmarkSteps(b *testing.B) {
	var s Scratch
	var photo imagefile.Image
	s.Resize(&photo, noise(63, 47, 3), 500, 375)
	rgb := NewNorm([]float64{0.5, 0.5, 0.5}, []float64{0.25, 0.25, 0.25})
	dst := make([]float32, 224*224*3)
	s.Resize(&s.img, photo, 224, 224)
	s.lut = identity
	for _, c := range []struct {
		name string
		do   func()
	}{
		{"resize", func() {
			var out imagefile.Image
			out.Pix = s.mid[:0]
			s.ResizedCrop(&s.img, photo, Rect{50, 40, 400, 300}, 224, 224, Bicubic, false)
		}},
		{"contrast", func() { s.contrast(1.2); s.lut = identity }},
		{"saturation", func() { s.saturation(1.0001) }},
		{"hue", func() { s.hue(0.1) }},
		{"blur0.7", func() { s.blur(0.7) }},
		{"blur1.7", func() { s.blur(1.7) }},
		{"norm", func() { rgb.apply(dst, s.img, &identity) }},
	} {
		b.Run(c.name, func(b *testing.B) {
			for b.Loop() {
				c.do()
			}
		})
	}
}

// Quarter turns go anticlockwise, as numpy.rot90 has them; none are drawn where none are asked
// for, and with flips all eight ways to lay a square come up alike.
func TestTurns(t *testing.T) {
	src := []int{1, 2, 3, 4, 5, 6, 7, 8, 9}
	for turns, want := range map[int][]int{
		1: {3, 6, 9, 2, 5, 8, 1, 4, 7},
		2: {9, 8, 7, 6, 5, 4, 3, 2, 1},
		3: {7, 4, 1, 8, 5, 2, 9, 6, 3},
	} {
		got := make([]int, 9)
		if turned(got, src, 3, 1, turns); !slices.Equal(got, want) {
			t.Errorf("%d turns: %v, want %v", turns, got, want)
		}
	}
	v := View{CropMin: 1, CropMax: 1, Ratio: [2]float64{1, 1}, Flip: 0.5, Turn: 0.75}
	img := imagefile.Image{W: 8, H: 8, C: 3, Pix: make([]uint8, 192)}
	raw := imagefile.Image{W: 8, H: 8, C: 5, Pix: make([]uint8, 320)}
	for i := range 64 {
		img.Pix[3*i], raw.Pix[5*i] = uint8(i), uint8(i)
	}
	n, m := NewNorm(make([]float64, 3), []float64{1, 1, 1}), NewRawNorm(make([]float64, 5), []float64{1, 1, 1, 1, 1})
	var s Scratch
	count := map[[2]int]int{}
	for seed := range uint64(800) {
		a, b := make([]float32, 192), make([]float32, 320)
		s.View(a, rand.New(rand.NewPCG(seed, 1)), img, &v, 8, n)
		s.View(b, rand.New(rand.NewPCG(seed, 1)), raw, &v, 8, m)
		corners := [2]int{int(a[0]*255 + 0.5), int(a[3*7]*255 + 0.5)}
		if corners != [2]int{int(b[0]), int(b[5*7])} {
			t.Fatalf("corners %v, of many channels %v and %v", corners, b[0], b[35])
		}
		count[corners]++
	}
	if len(count) != 8 {
		t.Fatalf("%d ways: %v", len(count), count)
	}
	for corners, n := range count {
		if n < 60 || n > 140 {
			t.Errorf("%v comes up %d times of 800", corners, n)
		}
	}
}
