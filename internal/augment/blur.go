package augment

import "math"

// blur is Pillow's Gaussian blur (libImaging/BoxBlur.c): three box filters of
// fractional radius along the rows, then three along the columns, each rounded
// to 8 bits, edges repeated. sigma is in pixels.
func (s *Scratch) blur(sigma float64) {
	s.settle()
	b := boxOf(float32(sigma))
	pix, w, h, c := s.img.Pix, s.img.W, s.img.H, s.img.C
	if b.radius == 0 && b.edge == 0 {
		return
	}
	stride := w * c
	for y := 0; y < h; y += lines { // side by side
		rows := offsets(y, h, stride)
		interleave(s.places(b, w, lines*c), pix, &rows, stride)
		split(pix, &rows, s.filter(b, w, lines*c), stride)
	}
	const strip = 64
	for x := 0; x < stride; x += strip {
		n := min(strip, stride-x)
		m := (n + lines - 1) &^ (lines - 1)
		line := s.places(b, h, m)
		for y := range h {
			copy(line[y*m:][:n], pix[y*stride+x:])
		}
		line = s.filter(b, h, m)
		for y := range h {
			copy(pix[y*stride+x:][:n], line[y*m:])
		}
	}
}

// box is a box filter: weight for each pixel within radius, edge for the two
// beyond, in 24-bit fixed point.
type box struct {
	radius       int
	weight, edge uint32
}

// boxOf returns the box of which three passes make a Gaussian (Gwosdek et al.,
// "Theoretical foundations of Gaussian convolution by extended box filtering",
// 2011, equations 7, 11 and 14), in the arithmetic of BoxBlur.c.
func boxOf(sigma float32) box {
	sigma2 := float32(sigma*sigma) / 3
	length := float32(math.Sqrt(float64(12*float64(sigma2)) + 1))
	l := float32(math.Floor((float64(length) - 1) / 2))
	a := (float32(2*l) + 1) * (float32(l*(l+1)) - float32(3*sigma2))
	a /= 6 * (sigma2 - float32((l+1)*(l+1)))
	r := l + a
	b := box{radius: int(r)}
	b.weight = uint32(float32(1<<24) / (float32(r*2) + 1))
	b.edge = (1<<24 - uint32(2*b.radius+1)*b.weight) / 2
	return b
}

// places returns the memory for n places of m values; filter filters them.
func (s *Scratch) places(b box, n, m int) []uint8 {
	pad := (b.radius + 1) * m
	s.before, s.after = grow(s.before, n*m+2*pad), grow(s.after, n*m+2*pad)
	return s.before[pad:][:n*m]
}

// filter filters what was put in places three times and returns the result.
func (s *Scratch) filter(b box, n, m int) []uint8 {
	pad := (b.radius + 1) * m
	src, dst := s.before, s.after
	for range 3 {
		for i := 0; i < pad; i += m {
			copy(src[i:i+m], src[pad:])
			copy(src[pad+n*m+i:][:m], src[pad+(n-1)*m:])
		}
		boxes(dst[pad:][:n*m], src, n, m, b)
		src, dst = dst, src
	}
	return src[pad:][:n*m]
}
