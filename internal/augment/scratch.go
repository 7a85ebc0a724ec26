package augment

import (
	"fmt"
	"math/rand/v2"
	"slices"

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
	wide          []uint8 // the other memory of img
	raw           rawScratch
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

// View draws a view of img from v and writes it to dst, size × size × c. If n has three
// channels, a grey image is given three after it was resized.
func (s *Scratch) View(dst []float32, r *rand.Rand, img imagefile.Image, v *View, size int, n *Norm) {
	d := v.Draw(r, img.W, img.H, n.colours())
	if n.Raw() {
		s.rawView(dst, img, &d, size, n)
		return
	}
	s.apply(img, &d, size, len(n.lut))
	n.apply(dst, s.img, &s.lut)
}

// Drawn makes a view that was drawn, of an image at 1/by of the size it was drawn for.
func (s *Scratch) Drawn(dst []float32, img imagefile.Image, d *Draw, by, size int, n *Norm) {
	small := *d
	small.Crop = d.Crop.Shrunk(by, img.W, img.H)
	s.apply(img, &small, size, len(n.lut))
	n.apply(dst, s.img, &s.lut)
}

// Picture is View in pixels of c channels, with what was drawn.
func (s *Scratch) Picture(r *rand.Rand, img imagefile.Image, v *View, size, c int) (imagefile.Image, Draw) {
	d := v.Draw(r, img.W, img.H, c)
	s.apply(img, &d, size, c)
	s.settle()
	out := s.img
	out.Pix = slices.Clone(out.Pix)
	return out, d
}

// apply leaves the view in s.img, with s.lut still to be applied.
func (s *Scratch) apply(img imagefile.Image, d *Draw, size, c int) {
	s.ResizedCrop(&s.img, img, d.Crop, size, size, Bicubic, d.Flip)
	if d.Turns > 0 {
		s.wide = grow(s.wide, len(s.img.Pix))
		turned(s.wide, s.img.Pix, size, s.img.C, d.Turns)
		s.wide, s.img.Pix = s.img.Pix, s.wide
	}
	s.colour(c)
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

// turned writes src, size × size pixels of c values, to dst, turned anticlockwise by so many
// quarters.
func turned[T any](dst, src []T, size, c, turns int) {
	last := size - 1
	for y := range size {
		for x := range size {
			fx, fy := last-y, x // a quarter
			switch turns {
			case 2:
				fx, fy = last-x, last-y
			case 3:
				fx, fy = y, last-x
			}
			copy(dst[(y*size+x)*c:][:c], src[(fy*size+fx)*c:])
		}
	}
}

// longest is how many times as wide as high, or as high as wide, an image may be before
// its ends are cut off; the middle that is cut out does not reach them anyway.
const longest = 8

// Plain makes the picture that evaluation uses, size × size × c. An image of that size
// stays as it is. Of any other the shorter side is resized to size·256/224 and the
// middle cut out, as is usual for 224 pixels.
func (s *Scratch) Plain(dst []float32, img imagefile.Image, size int, n *Norm) {
	if img.W == size && img.H == size {
		if img.C == n.Channels() {
			n.ToFloat(dst, img)
			return
		}
		CenterCrop(&s.img, img, size, size)
		s.colour(len(n.lut))
		n.ToFloat(dst, s.img)
		return
	}
	s.Middle(dst, img, size, n)
}

// Middle is Plain of images of any size: one of size × size is resized and cut as well.
func (s *Scratch) Middle(dst []float32, img imagefile.Image, size int, n *Norm) {
	if n.Raw() {
		s.rawPlain(dst, img, size, n)
		return
	}
	checkImage(img)
	s.center(dst, img, inner(img.W, img.H), (size*256+112)/224, size, n)
}

// inner returns the middle of an image without its far ends.
func inner(w, h int) Rect {
	cw, ch := min(w, longest*h), min(h, longest*w)
	return Rect{halfToEven(w - cw), halfToEven(h - ch), cw, ch}
}

// colour makes three channels of the one of the image at hand, if c is 3.
func (s *Scratch) colour(c int) {
	if s.img.C == 1 && c == 3 {
		n := len(s.img.Pix)
		pix := grow(s.wide, 3*n)
		for i, v := range s.img.Pix {
			pix[3*i], pix[3*i+1], pix[3*i+2] = v, v, v
		}
		s.wide, s.img.Pix, s.img.C = s.img.Pix, pix, 3
	}
}

// Center makes a picture without randomness: it resizes the shorter side to short pixels
// and cuts out the middle, size × size; dst is size × size × c.
func (s *Scratch) Center(dst []float32, img imagefile.Image, short, size int, n *Norm) {
	if n.Raw() {
		s.rawCenter(dst, img, Rect{0, 0, img.W, img.H}, short, size, n)
		return
	}
	checkImage(img)
	s.center(dst, img, Rect{0, 0, img.W, img.H}, short, size, n)
}

// center is Center of a part of img.
func (s *Scratch) center(dst []float32, img imagefile.Image, part Rect, short, size int, n *Norm) {
	w, h := fitShort(part, short, size)
	s.ResizedCrop(&s.img, img, part, w, h, Bicubic, false)
	CenterCrop(&s.img, s.img, size, size)
	s.colour(len(n.lut))
	n.ToFloat(dst, s.img)
}

// fitShort returns the size of part when its shorter side is resized to short pixels, which
// must hold a square of size.
func fitShort(part Rect, short, size int) (w, h int) {
	w, h = short, short
	if part.W < part.H {
		h = short * part.H / part.W
	} else {
		w = short * part.W / part.H
	}
	if w < size || h < size {
		panic(fmt.Sprintf("augment: no %d × %d centre in an image resized to %d × %d", size, size, w, h))
	}
	return w, h
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
	if !img.Complete() || !img.Plain() {
		panic(fmt.Sprintf("augment: image of %d × %d × %d with %d bytes", img.W, img.H, img.C, len(img.Pix)))
	}
}

func grow[T any](buf []T, n int) []T {
	if cap(buf) >= n {
		return buf[:n]
	}
	return make([]T, n)
}
