package augment

import (
	"math"

	"vicreg/internal/imagefile"
)

// Resampling is Pillow's (libImaging/Resample.c): one pass along the rows, then one
// along the columns, rounded to 8 bits in between. Weights are fixed-point numbers; when
// shrinking, the filter is widened.
//
// Rows are resized 16 at a time, with their bytes side by side: then they are handled
// like columns.

// Filter is a resampling kernel.
type Filter int

const (
	Bicubic  Filter = iota // a = -0.5
	Bilinear               // triangle
)

func (f Filter) support() float64 {
	if f == Bilinear {
		return 1
	}
	return 2
}

func (f Filter) weight(x float64) float64 {
	x = math.Abs(x)
	switch {
	case f == Bilinear:
		return max(0, 1-x)
	case x < 1:
		return float64(float64(float64(1.5*x)-2.5)*x*x) + 1 // no fused multiply-add here, either
	case x < 2:
		return (float64(float64(float64(x-5)*x+8)*x) - 4) * -0.5
	}
	return 0
}

const precision = 32 - 8 - 2 // bits after the point of a weight

// table holds the weights of one pass: output i is the sum over t < count[i] of
// weight[i*size+t] times input first[i]+t.
type table struct {
	first, count []int
	weight       []int32
	size         int
	end          int // of the inputs
	exact        []float64
}

// build makes the weights that turn in pixels into out, mirrored if flip.
func (t *table) build(in, out int, f Filter, flip bool) {
	scale := float64(in) / float64(out)
	wide := max(scale, 1)
	support := f.support() * wide
	t.size, t.end = int(math.Ceil(support))*2+1, 0
	t.first, t.count = grow(t.first, out), grow(t.count, out)
	t.weight, t.exact = grow(t.weight, out*t.size), grow(t.exact, t.size)
	for i := range out {
		center := float64((float64(i) + 0.5) * scale) // the conversion forbids fused multiply-add
		lo := max(int(center-support+0.5), 0)
		hi := min(int(center+support+0.5), in)
		k := t.exact[:hi-lo]
		var sum float64
		for j := range k {
			k[j] = f.weight(float64((float64(lo+j) - center + 0.5) * (1 / wide)))
			sum += k[j]
		}
		o := i
		if flip {
			o = out - 1 - i
		}
		w := t.weight[o*t.size : (o+1)*t.size]
		for j := range k {
			if sum != 0 {
				k[j] /= sum
			}
			w[j] = int32(math.Round(k[j] * (1 << precision)))
		}
		n := hi - lo
		for n > 1 && w[n-1] == 0 {
			n--
		}
		skip := 0
		for skip < n-1 && w[skip] == 0 {
			skip++
		}
		copy(w, w[skip:n])
		t.first[o], t.count[o] = lo+skip, n-skip
		t.end = max(t.end, lo+n)
	}
}

// Rect is a part of an image.
type Rect struct{ X, Y, W, H int }

// ResizedCrop cuts crop out of img and resizes it to w × h, mirrored left to
// right if flip. dst gets the result, in its own memory if that is large
// enough; it must not share img's.
func (s *Scratch) ResizedCrop(dst *imagefile.Image, img imagefile.Image, crop Rect, w, h int, f Filter, flip bool) {
	checkImage(img)
	checkCrop(img, crop, w, h)
	c := img.C
	dst.W, dst.H, dst.C = w, h, c
	dst.Pix = grow(dst.Pix, w*h*c)
	from := img.Pix[(crop.Y*img.W+crop.X)*c:]
	stride := img.W * c
	if crop.W == w && !flip && crop.H == h {
		for y := range h {
			copy(dst.Pix[y*w*c:(y+1)*w*c], from[y*stride:])
		}
		return
	}
	if crop.W != w || flip { // with w unchanged the weights are 1: only the mirroring is left
		mid := dst.Pix
		if crop.H != h {
			s.mid = grow(s.mid, crop.H*w*c)
			mid = s.mid
		}
		s.across.build(crop.W, w, f, flip)
		s.resizeRows(mid, from, stride, crop.W, w, crop.H, c)
		from, stride = mid, w*c
	}
	if crop.H != h {
		s.down.build(crop.H, h, f, false)
		weigh(dst.Pix, w*c, from, stride, &s.down, w*c)
	}
}

func checkCrop(img imagefile.Image, crop Rect, w, h int) {
	if crop.X < 0 || crop.Y < 0 || crop.W < 1 || crop.H < 1 || crop.X+crop.W > img.W || crop.Y+crop.H > img.H ||
		w < 1 || h < 1 {
		panic("augment: crop outside of the image, or nothing left of it")
	}
}

// resizeRows resizes each of n rows of in pixels to out pixels, 16 rows side by
// side.
func (s *Scratch) resizeRows(dst, src []uint8, stride, in, out, n, c int) {
	s.before = grow(s.before, lines*in*c)
	s.after = grow(s.after, lines*out*c)
	for y := 0; y < n; y += lines {
		from, to := offsets(y, n, stride), offsets(y, n, out*c)
		interleave(s.before, src, &from, in*c)
		weigh(s.after, lines*c, s.before, lines*c, &s.across, lines*c)
		split(dst, &to, s.after, out*c)
	}
}

// offsets returns where rows y to y+15 of n begin. In place of rows after the last
// stands the last.
func offsets(y, n, stride int) (o [lines]int) {
	for r := range o {
		o[r] = min(y+r, n-1) * stride
	}
	return o
}
