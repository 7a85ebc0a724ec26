package augment

import (
	"fmt"
	"math"
	"math/rand/v2"

	"vicreg/internal/imagefile"
)

// Images whose values are those of their files, of any number of channels, are worked on as
// normalised numbers: 0 is a channel's mean over all images, 1 its standard deviation, and
// what is no data is 0 from the start. Resizing and blur are the same as for pictures, without
// rounding. Of the jitters, brightness adds to all channels as many deviations as the factor is
// above 1, and contrast moves each channel away from its mean in the view, to factor times the
// distance. What means colours is left out: saturation, hue, grey and solarisation.

// rawScratch is the memory for that.
type rawScratch struct {
	view, mid, row, other []float32
	kernel                []float32
}

// LeftOut names what of a view means colours, and is left out for other images than pictures.
func (v *View) LeftOut() []string {
	var all []string
	for _, s := range []struct {
		name string
		on   bool
	}{
		{"saturation", v.Jitter.P > 0 && v.Jitter.Saturation > 0},
		{"hue", v.Jitter.P > 0 && v.Jitter.Hue > 0},
		{"grey", v.Grey > 0},
		{"solarisation", v.Solarize.P > 0},
	} {
		if s.on {
			all = append(all, s.name)
		}
	}
	return all
}

// rawView draws a view and makes it.
func (s *Scratch) rawView(dst []float32, img imagefile.Image, d *Draw, size int, n *Norm) {
	s.rawResized(dst, img, d.Crop, size, size, d.Flip, n)
	if d.Turns > 0 {
		s.raw.other = append(s.raw.other[:0], dst...)
		turned(dst, s.raw.other, size, img.C, d.Turns)
	}
	for _, j := range d.Jitter[:d.Jitters] {
		switch j.Kind {
		case Brightness:
			add := float32(j.Factor - 1)
			for i := range dst {
				dst[i] += add
			}
		case Contrast:
			rawContrast(dst, img.C, float32(j.Factor))
		}
	}
	if d.Blur {
		s.rawBlur(dst, size, size, img.C, d.Sigma)
	}
}

// RawPicture is [Scratch.Picture] of an image whose values are those of its file.
func (s *Scratch) RawPicture(r *rand.Rand, img imagefile.Image, v *View, size int, n *Norm) (imagefile.Image, Draw) {
	d := v.Draw(r, img.W, img.H, n.colours())
	out := imagefile.Image{W: size, H: size, C: img.C, Type: imagefile.Float, Pix: make([]uint8, 4*size*size*img.C)}
	values := make([]float32, size*size*img.C)
	s.rawView(values, img, &d, size, n)
	n.back(values)
	out.SetFloats(0, values)
	return out, d
}

// rawContrast moves the values of each of c channels away from their mean.
func rawContrast(x []float32, c int, factor float32) {
	for k := range c {
		var sum float64
		for i := k; i < len(x); i += c {
			sum += float64(x[i])
		}
		mean := float32(sum / float64(len(x)/c))
		for i := k; i < len(x); i += c {
			x[i] = mean + float32(factor*(x[i]-mean))
		}
	}
}

// rawResized is ResizedCrop for normalised values.
func (s *Scratch) rawResized(dst []float32, img imagefile.Image, crop Rect, w, h int, flip bool, n *Norm) {
	n.checkRaw(img)
	checkCrop(img, crop, w, h)
	c, q := img.C, &s.raw
	if len(dst) != w*h*c {
		panic(fmt.Sprintf("augment: %d × %d × %d values in place of %d", h, w, c, len(dst)))
	}
	across, down := crop.W != w || flip, crop.H != h
	mid := dst
	if down {
		q.mid = grow(q.mid, crop.H*w*c)
		mid = q.mid
	}
	q.row = grow(q.row, crop.W*c)
	if across {
		s.across.build(crop.W, w, Bicubic, flip)
	}
	for y := range crop.H {
		to := mid[y*w*c : (y+1)*w*c]
		if !across {
			n.rawInto(to, img, ((crop.Y+y)*img.W+crop.X)*c)
			continue
		}
		n.rawInto(q.row, img, ((crop.Y+y)*img.W+crop.X)*c)
		weighFloats(to, q.row, &s.across, c)
	}
	if down {
		s.down.build(crop.H, h, Bicubic, false)
		weighFloats(dst, mid, &s.down, w*c)
	}
}

// weighFloats computes every output of t, n values each.
func weighFloats(dst, src []float32, t *table, n int) {
	for i, first := range t.first {
		d := dst[i*n : (i+1)*n]
		clear(d)
		for k, weight := range t.weight[i*t.size:][:t.count[i]] {
			if weight == 0 {
				continue
			}
			f, from := float32(weight)/(1<<precision), src[(first+k)*n:][:len(d)]
			for j, v := range from {
				d[j] += float32(f * v)
			}
		}
	}
}

// rawPlain is Plain and Middle.
func (s *Scratch) rawPlain(dst []float32, img imagefile.Image, size int, n *Norm) {
	s.rawCenter(dst, img, inner(img.W, img.H), (size*256+112)/224, size, n)
}

// rawCenter is center.
func (s *Scratch) rawCenter(dst []float32, img imagefile.Image, part Rect, short, size int, n *Norm) {
	w, h := fitShort(part, short, size)
	c := img.C
	s.raw.view = grow(s.raw.view, w*h*c)
	s.rawResized(s.raw.view, img, part, w, h, false, n)
	x, y := halfToEven(w-size), halfToEven(h-size)
	for i := range size {
		copy(dst[i*size*c:(i+1)*size*c], s.raw.view[((y+i)*w+x)*c:])
	}
}

// RawResize makes the whole of img w × h pixels, of the same type. Where a value that is no
// data would count, there is none.
func (s *Scratch) RawResize(img imagefile.Image, w, h int) imagefile.Image {
	c := img.C
	out := img
	out.W, out.H, out.Pix = w, h, make([]uint8, w*h*c*img.Type.Size())
	q := &s.raw
	q.row, q.mid, q.other = grow(q.row, img.W*c), grow(q.mid, img.H*w*c), grow(q.other, w*h*c)
	s.across.build(img.W, w, Bicubic, false)
	s.down.build(img.H, h, Bicubic, false)
	for y := range img.H {
		img.Floats(q.row, y*len(q.row))
		weighFloats(q.mid[y*w*c:(y+1)*w*c], q.row, &s.across, c)
	}
	weighFloats(q.other, q.mid, &s.down, w*c)
	out.SetFloats(0, q.other)
	return out
}

// rawBlur is a Gaussian blur of w × h pixels, edges repeated: the weights of the pixels within
// four standard deviations, as scipy.ndimage.gaussian_filter has them.
func (s *Scratch) rawBlur(x []float32, w, h, c int, sigma float64) {
	radius := int(4*sigma + 0.5)
	if radius == 0 {
		return
	}
	q := &s.raw
	q.kernel = grow(q.kernel, radius+1)
	sum := 1.0
	for i := 1; i <= radius; i++ {
		sum += 2 * math.Exp(-0.5*float64(i)*float64(i)/(sigma*sigma))
	}
	for i := range q.kernel {
		q.kernel[i] = float32(math.Exp(-0.5*float64(i)*float64(i)/(sigma*sigma)) / sum)
	}
	q.other, q.row = grow(q.other, len(x)), grow(q.row, w*c)
	for y := range h { // along the rows
		row := x[y*w*c : (y+1)*w*c]
		copy(q.row, row)
		blurLine(row, q.row, q.kernel, w, c)
	}
	copy(q.other, x)
	blurLine(x, q.other, q.kernel, h, w*c)
}

// blurLine filters n places of m values each.
func blurLine(dst, src, kernel []float32, n, m int) {
	for i := range n {
		d := dst[i*m : (i+1)*m]
		for j, v := range src[i*m:][:len(d)] {
			d[j] = float32(kernel[0] * v)
		}
		for k := 1; k < len(kernel); k++ {
			f := kernel[k]
			a, b := src[max(i-k, 0)*m:][:len(d)], src[min(i+k, n-1)*m:][:len(d)]
			for j := range d {
				d[j] += float32(f * (a[j] + b[j]))
			}
		}
	}
}
