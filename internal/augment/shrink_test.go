package augment

import (
	"testing"

	"vicreg/internal/imagefile"
)

func TestShrink(t *testing.T) {
	for _, c := range []struct{ w, h, size, want int }{
		{447, 3000, 224, 1}, {895, 3000, 224, 1}, {896, 3000, 224, 2}, {3000, 1791, 224, 2}, {3000, 1792, 224, 4},
		{9000, 3583, 224, 4}, {9000, 3584, 224, 8}, {90000, 90000, 224, 8}, {1, 1, 32, 1},
	} {
		if got := (Rect{7, 7, c.w, c.h}).Shrink(c.size); got != c.want {
			t.Errorf("%d × %d for %d: 1/%d, want 1/%d", c.w, c.h, c.size, got, c.want)
		}
	}
}

// A crop stays within the image, at most half a pixel from where it was.
func TestShrunk(t *testing.T) {
	for _, by := range []int{2, 4, 8} {
		const w, h = 1003, 758
		sw, sh := (w+by-1)/by, (h+by-1)/by
		for _, r := range []Rect{{0, 0, w, h}, {1, 3, w - 1, h - 3}, {5, 2, 100, 97}, {w - 1, h - 1, 1, 1},
			{500, 600, 503, 158}} {
			got := r.Shrunk(by, sw, sh)
			if got.X < 0 || got.Y < 0 || got.W < 1 || got.H < 1 || got.X+got.W > sw || got.Y+got.H > sh {
				t.Errorf("%v at 1/%d is %v in %d × %d", r, by, got, sw, sh)
			}
			was := [4]int{r.X, r.Y, r.X + r.W, r.Y + r.H}
			for i, edge := range [4]int{got.X, got.Y, got.X + got.W, got.Y + got.H} {
				d, most := edge*by-was[i], by/2
				if r.W == 1 || was[i] == w || was[i] == h { // the last pixel may stand for fewer
					most = by
				}
				if d < -most || d > most {
					t.Errorf("%v at 1/%d is %v: edge %d is %d pixels off", r, by, got, i, d)
				}
			}
		}
	}
}

// A view of a smaller copy is the view of the image, where the image is smooth.
func TestDrawn(t *testing.T) {
	const size, by = 32, 4
	smooth := func(w, h, by int) imagefile.Image {
		m := imagefile.Image{W: w, H: h, C: 1, Pix: make([]uint8, w*h)}
		for y := range h {
			for x := range w {
				m.Pix[y*w+x] = uint8((float64(x)+0.5)*float64(by)/4 + (float64(y)+0.5)*float64(by)/8)
			}
		}
		return m
	}
	full, small := smooth(600, 500, 1), smooth(600/by, 500/by, by)
	n, s := NewNorm([]float64{0}, []float64{1}), new(Scratch)
	d := Draw{Crop: Rect{40, 100, 480, 320}, Flip: true, Threshold: 128}
	want, got := make([]float32, size*size), make([]float32, size*size)
	s.Drawn(want, full, &d, 1, size, n)
	s.Drawn(got, small, &d, by, size, n)
	for i := range want {
		if diff := 255 * (got[i] - want[i]); diff < -1.5 || diff > 1.5 {
			t.Fatalf("value %d is %v levels off", i, diff)
		}
	}
	if d.Crop != (Rect{40, 100, 480, 320}) {
		t.Errorf("the draw became %v", d.Crop)
	}
}
