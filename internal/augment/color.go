package augment

import (
	"math"
	"sync"
)

// The colour steps work in place on the pixels of a [Scratch], three channels
// or one. A step that maps each value by itself is only noted, in the map
// s.lut, and done by the next step that reads the pixels.

// level maps 8-bit values.
type level [256]uint8

var identity = func() (l level) {
	for i := range l {
		l[i] = uint8(i)
	}
	return
}()

// then makes l do what f does after it.
func (l *level) then(f *level) {
	for i, v := range l {
		l[i] = f[v]
	}
}

// blend maps v to base + factor·(v - base) in Pillow's arithmetic
// (libImaging/Blend.c): float32, towards zero, clipped when extrapolating.
func blend(base uint8, factor float32) (l level) {
	for v := range l {
		l[v] = mix(float32(base), factor, float32(v-int(base)))
	}
	return
}

func mix(base, factor, d float32) uint8 {
	x := base + float32(factor*d)
	return uint8(int32(min(max(x, 0), 255)))
}

// luma is the L of Pillow's convert("L") (libImaging/Convert.c, L24).
func luma(r, g, b uint8) uint8 {
	return uint8((uint32(r)*19595 + uint32(g)*38470 + uint32(b)*7471 + 0x8000) >> 16)
}

func (s *Scratch) brightness(factor float32) {
	l := blend(0, factor)
	s.lut.then(&l)
}

// contrast blends with the mean of the grey image, rounded.
func (s *Scratch) contrast(factor float32) {
	var sum uint64
	lut := &s.lut
	if p := s.img.Pix; s.img.C == 3 {
		for len(p) >= 3 {
			sum += uint64(luma(lut[p[0]], lut[p[1]], lut[p[2]]))
			p = p[3:]
		}
	} else {
		for _, v := range p {
			sum += uint64(lut[v])
		}
	}
	mean := float64(sum) / float64(s.img.W*s.img.H)
	l := blend(uint8(mean+0.5), factor)
	s.lut.then(&l)
}

// saturation blends with the grey image.
func (s *Scratch) saturation(factor float32) {
	lut := s.takeLUT()
	var scaled [512]float32 // factor · d at d + 255
	for i := range scaled {
		scaled[i] = factor * float32(i-255)
	}
	clipped := factor > 1
	for p := s.img.Pix; len(p) >= 3; p = p[3:] {
		r, g, b := lut[p[0]], lut[p[1]], lut[p[2]]
		l := luma(r, g, b)
		base := float32(l)
		at := 255 - int(l)
		x, y, z := base+scaled[(at+int(r))&511], base+scaled[(at+int(g))&511], base+scaled[(at+int(b))&511]
		if clipped {
			x, y, z = min(max(x, 0), 255), min(max(y, 0), 255), min(max(z, 0), 255)
		}
		p[0], p[1], p[2] = uint8(int32(x)), uint8(int32(y)), uint8(int32(z))
	}
}

// grey sets all channels to the grey image.
func (s *Scratch) grey() {
	lut := s.takeLUT()
	for p := s.img.Pix; len(p) >= 3; p = p[3:] {
		l := luma(lut[p[0]], lut[p[1]], lut[p[2]])
		p[0], p[1], p[2] = l, l, l
	}
}

// solarize inverts what reaches the threshold.
func (s *Scratch) solarize(threshold int) {
	var l level
	for i := range l {
		l[i] = uint8(i)
		if i >= threshold {
			l[i] = uint8(255 - i)
		}
	}
	s.lut.then(&l)
}

// hue turns the hue by factor of a circle, through Pillow's 8-bit HSV
// (libImaging/Convert.c, rgb2hsv_row and hsv2rgb).
func (s *Scratch) hue(factor float64) {
	lut := s.takeLUT()
	t := hueTables()
	shift := uint8(int32(factor * 255))
	for p := s.img.Pix; len(p) >= 3; p = p[3:] {
		r, g, b := lut[p[0]], lut[p[1]], lut[p[2]]
		top, low := max(r, g, b), min(r, g, b)
		if top == low {
			p[0], p[1], p[2] = r, g, b
			continue
		}
		// rgb2hsv: which sixth of the circle, and how far the middle channel
		// lies below the top one.
		chroma := top - low
		var sixth int
		var d uint8
		switch {
		case r == top && b == low:
			sixth, d = 0, top-g
		case r == top:
			sixth, d = 1, top-b
		case g == top && b == low:
			sixth, d = 2, top-r
		case g == top:
			sixth, d = 3, top-b
		case r == low:
			sixth, d = 4, top-g
		default:
			sixth, d = 5, top-r
		}
		h := t.hue[sixth][int(chroma)<<8|int(d)] + shift
		sat := t.saturation[int(top)<<8|int(chroma)]
		// hsv2rgb
		v, fs := float64(top), t.fraction[sat]
		a := &t.angle[h]
		bottom := uint8(int32(float64(v*(1-float64(fs))) + 0.5))
		var x float64
		if a.rising {
			x = float64(v * (1 - float64(fs)*a.rest))
		} else {
			x = float64(v * (1 - float64(fs*a.f)))
		}
		v3 := [4]uint8{top, bottom, uint8(int32(x + 0.5))}
		p[0], p[1], p[2] = v3[a.order[0]&3], v3[a.order[1]&3], v3[a.order[2]&3]
	}
}

type hues struct {
	hue        [6][1 << 16]uint8 // by sixth of the circle, chroma and d
	saturation [1 << 16]uint8    // by value and chroma
	fraction   [256]float32      // saturation from 0 to 1
	angle      [256]struct {     // by hue
		f      float32 // place in its sixth
		rest   float64 // 1 - f
		rising bool
		order  [3]uint8 // for red, green, blue: 0 top, 1 bottom, 2 between
	}
}

var hueTables = sync.OnceValue(func() *hues {
	t := new(hues)
	quantize := func(h float32) uint8 {
		turn := float32(math.Mod(float64(h)/6+1, 1))
		return uint8(int(float64(turn) * 255))
	}
	for chroma := 1; chroma < 256; chroma++ {
		for d := 0; d <= chroma; d++ {
			i := chroma<<8 | d
			m := float32(d) / float32(chroma) // the middle channel's; the lowest's is 1
			t.hue[0][i] = quantize(1 - m)
			t.hue[1][i] = quantize(m - 1)
			t.hue[2][i] = quantize(float32(2 + float64(m) - 1))
			t.hue[3][i] = quantize(float32(2 + 1 - float64(m)))
			t.hue[4][i] = quantize(float32(4 + float64(m) - 1))
			t.hue[5][i] = quantize(float32(4 + 1 - float64(m)))
		}
		for v := chroma; v < 256; v++ {
			t.saturation[v<<8|chroma] = uint8(int(float64(float32(chroma)/float32(v)) * 255))
		}
	}
	orders := [6][3]uint8{{0, 2, 1}, {2, 0, 1}, {1, 0, 2}, {1, 2, 0}, {2, 1, 0}, {0, 1, 2}}
	for h := range 256 {
		t.fraction[h] = float32(float64(h) / 255)
		at := float64(float32(h)) * 6 / 255
		i := math.Floor(at)
		a := &t.angle[h]
		a.f = float32(at - i)
		a.rest = 1 - float64(a.f)
		a.rising = int(i)%2 == 0
		a.order = orders[int(i)%6]
	}
	return t
})
