package augment

import (
	"math"
	"sync"
)

// The colour steps change the pixels of a [Scratch] in place, three channels or one. A
// step that maps each value by itself is only noted, in the map s.lut; the next step
// that reads the pixels applies it.

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
	s.settle()
	var sum uint64
	if s.img.C == 3 {
		sum = lumaSum(s.img.Pix)
	} else {
		for _, v := range s.img.Pix {
			sum += uint64(v)
		}
	}
	mean := float64(sum) / float64(s.img.W*s.img.H)
	l := blend(uint8(mean+0.5), factor)
	s.lut.then(&l)
}

// saturation blends with the grey image.
func (s *Scratch) saturation(factor float32) {
	s.settle()
	saturatePixels(s.img.Pix, factor)
}

// grey sets all channels to the grey image.
func (s *Scratch) grey() {
	s.settle()
	greyPixels(s.img.Pix)
}

// solarize inverts values from the threshold on.
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
	s.settle()
	turnHue(s.img.Pix, uint8(int32(factor*255)))
}

// turn tells the order of the channels: bit 0 is r ≥ g, bit 1 g ≥ b, bit 2 b ≥ r.
func turn(r, g, b uint8) int {
	var x, y, z int
	if r >= g {
		x = 1
	}
	if g >= b {
		y = 2
	}
	if b >= r {
		z = 4
	}
	return x | y | z
}

type hues struct {
	hue        [8][1 << 16]uint8 // by turn, chroma and d
	saturation [1 << 16]uint8    // by value and chroma
	fraction   [256]float32      // saturation from 0 to 1
	angle      [256]angle        // by hue
}

// angle is what hsv2rgb needs to know of a hue: its place in its sixth of the circle, as
// rise or fall, the other of which is 0; and by how many bits to shift (middle, bottom,
// top) to the right to get red, green and blue.
type angle struct {
	rise  float64
	fall  float32
	shift [3]uint8
}

// hueTables are filled in the arithmetic of Convert.c: some of it in float32,
// some in float64.
var hueTables = sync.OnceValue(func() *hues {
	t := new(hues)
	quantize := func(h float32) uint8 {
		turn := float32(math.Mod(float64(h)/6+1, 1))
		return uint8(int(float64(turn) * 255))
	}
	for chroma := 1; chroma < 256; chroma++ {
		for d := 0; d <= chroma; d++ {
			m := float32(d) / float32(chroma)
			for turn, h := range [8]float32{
				1: m - 1,                       // r > b > g
				2: float32(2 + float64(m) - 1), // g > r > b
				3: 1 - m,                       // r ≥ g ≥ b
				4: float32(4 + float64(m) - 1), // b > g > r
				5: float32(4 + 1 - float64(m)), // b ≥ r ≥ g
				6: float32(2 + 1 - float64(m)), // g ≥ b ≥ r
			} {
				t.hue[turn][chroma<<8|d] = quantize(h)
			}
		}
		for v := chroma; v < 256; v++ {
			t.saturation[v<<8|chroma] = uint8(int(float64(float32(chroma)/float32(v)) * 255))
		}
	}
	const top, bottom, middle = 0, 8, 16
	shifts := [6][3]uint8{
		{top, middle, bottom}, {middle, top, bottom}, {bottom, top, middle},
		{bottom, middle, top}, {middle, bottom, top}, {top, bottom, middle},
	}
	for h := range t.angle {
		t.fraction[h] = float32(float64(h) / 255)
		sixths := float64(h) * 6 / 255
		i := int(sixths)
		f := float32(sixths - float64(i))
		a := &t.angle[h]
		if i%2 == 0 {
			a.rise = 1 - float64(f)
		} else {
			a.fall = f
		}
		a.shift = shifts[i%6]
	}
	return t
})
