package augment

import "math"

// blur is Pillow's Gaussian blur (libImaging/BoxBlur.c): three box filters of
// fractional radius along the rows, then three along the columns, each rounded
// to 8 bits, edges repeated. sigma is in pixels.
func (s *Scratch) blur(sigma float64) {
	b := boxOf(float32(sigma))
	pix, w, h, c := s.img.Pix, s.img.W, s.img.H, s.img.C
	lut := s.takeLUT()
	if *lut != identity {
		for i, v := range pix {
			pix[i] = lut[v]
		}
	}
	if b.radius == 0 && b.edge == 0 {
		return
	}
	// Two rows at a time; then columns, as many as make a short strip.
	stride := w * c
	for y := 0; y < h; y += 2 {
		first := pix[y*stride:][:stride]
		second := first
		if y+1 < h {
			second = pix[(y+1)*stride:][:stride]
		}
		line := s.line(b, w, c)
		pair(line, first, second)
		line = s.boxes(b, w, c)
		for i, v := range line[:stride] {
			second[i] = uint8(v >> 32)
			first[i] = uint8(v)
		}
	}
	const strip = 16
	for x := 0; x < stride; x += 2 * strip {
		n := min(2*strip, stride-x)
		m := (n + 1) / 2
		line := s.line(b, h, m)
		for y := range h {
			neighbours(line[y*m:][:m], pix[y*stride+x:][:n])
		}
		line = s.boxes(b, h, m)
		for y := range h {
			d := pix[y*stride+x:][:n]
			for _, v := range line[y*m:][:m] {
				d[0] = uint8(v)
				if len(d) < 2 {
					break
				}
				d[1] = uint8(v >> 32)
				d = d[2:]
			}
		}
	}
}

// box is a box filter: weight for each pixel within radius, edge for the two
// beyond, in 24-bit fixed point.
type box struct {
	radius       int
	weight, edge uint64
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
	weight := uint32(float32(1<<24) / (float32(r*2) + 1))
	b.weight = uint64(weight)
	b.edge = uint64((1<<24 - uint32(2*b.radius+1)*weight) / 2)
	return b
}

// line returns the n·m words to fill with n places of m interleaved lines, two
// values to a word; boxes filters them.
func (s *Scratch) line(b box, n, m int) []uint64 {
	pad := (b.radius + 1) * m
	size := n*m + 2*pad
	s.words = grow(s.words, 3*size)
	return s.words[pad:][:n*m]
}

// boxes filters what was put in the words of line three times and returns the
// result.
func (s *Scratch) boxes(b box, n, m int) []uint64 {
	pad := (b.radius + 1) * m
	size := n*m + 2*pad
	src, dst, acc := s.words[:size], s.words[size:2*size], s.words[2*size:3*size]
	if b.radius == 0 && n >= 3 {
		for i := range m {
			b.thrice(dst[pad+i:][:(n-1)*m+1], src[pad+i:], m)
		}
		return dst[pad:][:n*m]
	}
	for range 3 {
		for i := 0; i < pad; i += m {
			copy(src[i:i+m], src[pad:])
			copy(src[pad+n*m+i:][:m], src[pad+(n-1)*m:])
		}
		b.once(dst[pad:][:n*m], src, acc, m)
		src, dst = dst, src
	}
	return src[pad:][:n*m]
}

const (
	boxHalf = 1<<23 | 1<<(23+32)
	boxMask = 0xff | 0xff<<32
)

// at returns the filtered value of center between left and right, for radius 0.
func (b box) at(left, center, right uint64) uint64 {
	return (center*b.weight + (left+right)*b.edge + boxHalf) >> 24 & boxMask
}

// thrice filters three times with radius 0 one line, of which every m-th place
// of dst and src belongs to it: p, q and dst are the three results, r the place
// right of c.
func (b box) thrice(dst, src []uint64, m int) {
	src = src[:len(dst)]
	sl, sc, sr := src[0], src[m], src[2*m]
	pl := b.at(sl, sl, sc)
	pc := b.at(sl, sc, sr)
	ql := b.at(pl, pl, pc)
	qc := ql
	sl, sc = sc, sr
	i := 0
	for j := 3 * m; uint(j) < uint(len(src)); j += m {
		sr := src[j]
		pr := b.at(sl, sc, sr)
		qr := b.at(pl, pc, pr)
		dst[i] = b.at(ql, qc, qr)
		sl, sc, pl, pc, ql, qc = sc, sr, pc, pr, qc, qr
		i += m
	}
	// The last value repeats at the edge: first of src, then of p, then of q.
	pr := b.at(sl, sc, sc)
	qr := b.at(pl, pc, pr)
	dst[i] = b.at(ql, qc, qr)
	pl, pc, ql, qc = pc, pr, qc, qr
	qr = b.at(pl, pc, pc)
	dst[i+m] = b.at(ql, qc, qr)
	dst[i+2*m] = b.at(qc, qr, qr)
}

// once filters m interleaved lines; src starts radius+1 places before dst.
func (b box) once(dst, src, acc []uint64, m int) {
	// acc[i+m] is the sum within radius of dst[i]; the first comes from the
	// padding, each next one from the one before.
	for i := range m {
		acc[i] = 0
		for j := range 2*b.radius + 1 {
			acc[i] += src[j*m+i]
		}
	}
	n := len(dst)
	leave, left := src[:n], src[:n]
	enter := src[(2*b.radius+1)*m:][:n]
	right := src[(2*b.radius+2)*m:][:n]
	before, sums := acc[:n], acc[m:][:n]
	for i := range dst {
		sum := before[i] + enter[i] - leave[i]
		sums[i] = sum
		dst[i] = (sum*b.weight + (left[i]+right[i])*b.edge + boxHalf) >> 24 & boxMask
	}
}
