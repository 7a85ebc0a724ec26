package augment

import (
	"encoding/binary"
	"math"

	"vicreg/internal/imagefile"
)

// Resampling is Pillow's (libImaging/Resample.c): one pass along the rows, then
// one along the columns, with 8 bits in between; weights in fixed point, the
// filter widened when shrinking.
//
// Two sums run in one 64-bit word, 32 bits each, so one multiplication serves
// two pixels. Adding bias to each keeps both positive: no borrow passes from
// the lower half to the upper.

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

const (
	precision = 32 - 8 - 2 // bits after the point of a weight
	bias      = 256 << precision
	start     = uint64(bias+1<<(precision-1)) * (1 + 1<<32) // of a pair of sums: bias and one half
)

// clip maps a biased sum without its fraction to 0..255.
var clip = func() (t [1 << (32 - precision)]uint8) {
	for i := range t {
		t[i] = uint8(min(max(i-256, 0), 255))
	}
	return
}()

// table holds the weights of one pass: output i is the sum over t < count[i] of
// weight[i*size+t] times input first[i]+t.
type table struct {
	first, count []int
	weight       []uint64 // signed, as two's complement
	size         int
	exact        []float64
}

// build makes the weights that turn in pixels into out, mirrored if flip.
func (t *table) build(in, out int, f Filter, flip bool) {
	scale := float64(in) / float64(out)
	wide := max(scale, 1)
	support := f.support() * wide
	t.size = int(math.Ceil(support))*2 + 1
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
			w[j] = uint64(int64(math.Round(k[j] * (1 << precision))))
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
	}
}

// Rect is a part of an image.
type Rect struct{ X, Y, W, H int }

// ResizedCrop cuts crop out of img and resizes it to w × h, mirrored left to
// right if flip. dst gets the result, in its own memory if that is large
// enough; it must not share img's.
func (s *Scratch) ResizedCrop(dst *imagefile.Image, img imagefile.Image, crop Rect, w, h int, f Filter, flip bool) {
	checkImage(img)
	if crop.X < 0 || crop.Y < 0 || crop.W < 1 || crop.H < 1 || crop.X+crop.W > img.W || crop.Y+crop.H > img.H || w < 1 || h < 1 {
		panic("augment: crop outside of the image, or nothing left of it")
	}
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
		s.resizeColumns(dst.Pix, from, stride, w*c, h)
	}
}

// resizeRows resizes each of n rows of in pixels to out pixels. Three words
// make a pixel: two rows of colour, or six of grey, go together.
func (s *Scratch) resizeRows(dst, src []uint8, stride, in, out, n, c int) {
	s.words = grow(s.words, in*3)
	words := s.words
	group := 2
	if c == 1 {
		group = 6
	}
	row := func(y int) []uint8 { return src[min(y, n-1)*stride:][:in*c] }
	for y := 0; y < n; y += group {
		if c == 3 {
			pair(words, row(y), row(y+1))
		} else {
			six(words, row(y), row(y+1), row(y+2), row(y+3), row(y+4), row(y+5))
		}
		t := &s.across
		for x := range out {
			first, count := t.first[x], t.count[x]
			w := t.weight[x*t.size:][:count]
			p := words[3*first:][:3*count]
			s0, s1, s2 := start, start, start
			for len(w) >= 2 && len(p) >= 6 {
				k, l := w[0], w[1]
				s0 += p[0]*k + p[3]*l
				s1 += p[1]*k + p[4]*l
				s2 += p[2]*k + p[5]*l
				w, p = w[2:], p[6:]
			}
			if len(w) > 0 && len(p) >= 3 {
				k := w[0]
				s0 += p[0] * k
				s1 += p[1] * k
				s2 += p[2] * k
			}
			if c == 3 {
				d := dst[(y*out+x)*3:]
				d[0], d[1], d[2] = clip[uint32(s0)>>precision], clip[uint32(s1)>>precision], clip[uint32(s2)>>precision]
				if y+1 < n {
					d = d[out*3:]
					d[0], d[1], d[2] = clip[s0>>(32+precision)], clip[s1>>(32+precision)], clip[s2>>(32+precision)]
				}
				continue
			}
			d := dst[y*out+x:]
			for i, sum := range [6]uint64{s0 & math.MaxUint32, s0 >> 32, s1 & math.MaxUint32, s1 >> 32, s2 & math.MaxUint32, s2 >> 32} {
				if y+i < n {
					d[i*out] = clip[uint32(sum)>>precision]
				}
			}
		}
	}
}

// resizeColumns resizes columns to h rows; a row has width values.
func (s *Scratch) resizeColumns(dst, src []uint8, stride, width, h int) {
	t := &s.down
	// Rows are unpacked, two neighbouring values in a word, into a ring that
	// holds those under the filter.
	n := (width + 1) / 2
	s.words = grow(s.words, (t.size+1)*n)
	acc := s.words[:n]
	ring := func(y int) []uint64 { return s.words[(1+y%t.size)*n:][:n] }
	unpacked := 0 // rows before this one have been in the ring
	for y := range h {
		first, count := t.first[y], t.count[y]
		for unpacked = max(unpacked, first); unpacked < first+count; unpacked++ {
			neighbours(ring(unpacked), src[unpacked*stride:][:width])
		}
		k := t.weight[y*t.size:][:count]
		for i := range acc {
			acc[i] = start
		}
		for len(k) >= 4 {
			addMul4(acc, ring(first), ring(first+1), ring(first+2), ring(first+3), [4]uint64(k))
			k, first = k[4:], first+4
		}
		for len(k) > 0 {
			addMul(acc, ring(first), k[0])
			k, first = k[1:], first+1
		}
		d := dst[y*width:][:width]
		for _, sum := range acc {
			if len(d) < 2 {
				break
			}
			d[0], d[1] = clip[uint32(sum)>>precision], clip[sum>>(32+precision)]
			d = d[2:]
		}
		if len(d) == 1 {
			d[0] = clip[uint32(acc[n-1])>>precision]
		}
	}
}

func addMul4(acc, a, b, c, d []uint64, k [4]uint64) {
	a, b, c, d = a[:len(acc)], b[:len(acc)], c[:len(acc)], d[:len(acc)]
	for i := range acc {
		acc[i] += a[i]*k[0] + b[i]*k[1] + c[i]*k[2] + d[i]*k[3]
	}
}

func addMul(acc, a []uint64, k uint64) {
	a = a[:len(acc)]
	for i := range acc {
		acc[i] += a[i] * k
	}
}

// pair puts a in the lower and b in the upper halves of dst.
func pair(dst []uint64, a, b []uint8) {
	a, dst = a[:len(b)], dst[:len(b)]
	for i := range dst {
		dst[i] = uint64(a[i]) | uint64(b[i])<<32
	}
}

// six puts six rows into dst, three words for a column.
func six(dst []uint64, r0, r1, r2, r3, r4, r5 []uint8) {
	n := len(r0)
	r1, r2, r3, r4, r5 = r1[:n], r2[:n], r3[:n], r4[:n], r5[:n]
	for i := range r0 {
		if len(dst) < 3 {
			break
		}
		dst[0] = uint64(r0[i]) | uint64(r1[i])<<32
		dst[1] = uint64(r2[i]) | uint64(r3[i])<<32
		dst[2] = uint64(r4[i]) | uint64(r5[i])<<32
		dst = dst[3:]
	}
}

// neighbours puts src[2i] in the lower and src[2i+1] in the upper half of
// dst[i]; a missing last value is 0.
func neighbours(dst []uint64, src []uint8) {
	for len(src) >= 8 && len(dst) >= 4 {
		v := binary.LittleEndian.Uint64(src)
		dst[0] = v&0xff | v<<24&(0xff<<32)
		dst[1] = v>>16&0xff | v<<8&(0xff<<32)
		dst[2] = v>>32&0xff | v>>8&(0xff<<32)
		dst[3] = v>>48&0xff | v>>24&(0xff<<32)
		src, dst = src[8:], dst[4:]
	}
	for i := range dst {
		dst[i] = uint64(src[2*i])
		if 2*i+1 < len(src) {
			dst[i] |= uint64(src[2*i+1]) << 32
		}
	}
}
