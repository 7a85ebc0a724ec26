package augment

import (
	"fmt"
	"math/rand/v2"

	"vicreg/internal/imagefile"
)

// Scratch is the working memory of one worker. Its methods allocate nothing
// once it has grown to the size of the images. The zero value is ready.
type Scratch struct {
	img imagefile.Image // being worked on
	lut level           // still to be applied to img

	across, down  table
	mid           []uint8
	before, after []uint8 // lines side by side
	spare         level
	middle        imagefile.Image
}

// takeLUT returns the map still to be applied and resets it; the caller
// applies it.
func (s *Scratch) takeLUT() *level {
	s.spare, s.lut = s.lut, identity
	return &s.spare
}

// settle applies that map.
func (s *Scratch) settle() {
	if l := s.takeLUT(); *l != identity {
		substitute(s.img.Pix, l)
	}
}

// View draws a view of img from v and writes it to dst, size × size × c.
func (s *Scratch) View(dst []float32, r *rand.Rand, img imagefile.Image, v *View, size int, n *Norm) {
	d := v.Draw(r, img.W, img.H, img.C)
	s.apply(img, &d, size)
	n.apply(dst, s.img, &s.lut)
}

// apply leaves the view in s.img, but for s.lut.
func (s *Scratch) apply(img imagefile.Image, d *Draw, size int) {
	s.ResizedCrop(&s.img, img, d.Crop, size, size, Bicubic, d.Flip)
	s.lut = identity
	for _, j := range d.Jitter[:d.Jitters] {
		switch j.Kind {
		case Brightness:
			s.brightness(float32(j.Factor))
		case Contrast:
			s.contrast(float32(j.Factor))
		case Saturation:
			s.saturation(float32(j.Factor))
		case Hue:
			s.hue(j.Factor)
		}
	}
	if d.Grey {
		s.grey()
	}
	if d.Blur {
		s.blur(d.Sigma)
	}
	if d.Solarize {
		s.solarize(d.Threshold)
	}
}

// longest is how much wider than high, or higher than wide, an image may be
// before its ends are cut off, which the cut-out middle cannot show anyway.
const longest = 8

// Plain makes the picture that evaluation looks at, size × size × c: an image of
// that size as it is; of another the shorter side is resized to size·256/224 and
// the middle cut out, as is usual for 224 pixels.
func (s *Scratch) Plain(dst []float32, img imagefile.Image, size int, n *Norm) {
	if img.W == size && img.H == size {
		n.ToFloat(dst, img)
		return
	}
	if img.W > longest*img.H || img.H > longest*img.W {
		CenterCrop(&s.middle, img, min(img.W, longest*img.H), min(img.H, longest*img.W))
		img = s.middle
	}
	s.Center(dst, img, (size*256+112)/224, size, n)
}

// Center makes a picture without chance: the shorter side resized
// to short pixels, the middle size × size cut out; dst is size × size × c.
func (s *Scratch) Center(dst []float32, img imagefile.Image, short, size int, n *Norm) {
	checkImage(img)
	w, h := short, short
	if img.W < img.H {
		h = short * img.H / img.W
	} else {
		w = short * img.W / img.H
	}
	if w < size || h < size {
		panic(fmt.Sprintf("augment: no %d × %d centre in an image resized to %d × %d", size, size, w, h))
	}
	s.Resize(&s.img, img, w, h)
	CenterCrop(&s.img, s.img, size, size)
	n.ToFloat(dst, s.img)
}

// Resize makes dst the whole of img at w × h pixels, bicubic and antialiased.
func (s *Scratch) Resize(dst *imagefile.Image, img imagefile.Image, w, h int) {
	s.ResizedCrop(dst, img, Rect{0, 0, img.W, img.H}, w, h, Bicubic, false)
}

// CenterCrop makes dst the middle w × h of img, which must be that large. dst
// may be img itself.
func CenterCrop(dst *imagefile.Image, img imagefile.Image, w, h int) {
	checkImage(img)
	if w > img.W || h > img.H || w < 1 || h < 1 {
		panic(fmt.Sprintf("augment: no %d × %d centre in an image of %d × %d", w, h, img.W, img.H))
	}
	c := img.C
	// Halves round to even, as Python's round in torchvision's center_crop.
	x, y := halfToEven(img.W-w), halfToEven(img.H-h)
	dst.W, dst.H, dst.C = w, h, c
	dst.Pix = grow(dst.Pix, w*h*c)
	for i := range h {
		copy(dst.Pix[i*w*c:(i+1)*w*c], img.Pix[((y+i)*img.W+x)*c:])
	}
}

func halfToEven(n int) int {
	half := n / 2
	if n%2 == 1 && half%2 == 1 {
		half++
	}
	return half
}

func checkImage(img imagefile.Image) {
	if img.W < 1 || img.H < 1 || img.C != 1 && img.C != 3 || len(img.Pix) != img.W*img.H*img.C {
		panic(fmt.Sprintf("augment: image of %d × %d × %d with %d bytes", img.W, img.H, img.C, len(img.Pix)))
	}
}

func grow[T any](buf []T, n int) []T {
	if cap(buf) >= n {
		return buf[:n]
	}
	return make([]T, n)
}
