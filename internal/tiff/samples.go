package tiff

import (
	"encoding/binary"
	"fmt"
	"math"
	"math/bits"
	"strconv"
	"strings"

	"vicreg/internal/npy"
)

// Samples are W × H pixels of C samples each, side by side: whole numbers of 1 or 2 bytes, or
// floating-point ones of 4, the low byte first. Where there are no data they are NaN.
type Samples struct {
	W, H, C, Bytes int
	Pix            []byte
}

// Sampled reports whether the samples mean something as they are, and no colour of a palette
// or mixture of inks.
func (f *File) Sampled() bool { return f.palette == nil && f.photometric <= 2 }

// Pictured reports whether the file is a picture: of whole numbers, grey with nothing besides
// but transparency, or red, green and blue with anything behind.
func (f *File) Pictured() bool {
	extra := f.samples - f.colours
	return f.format == unsigned && (f.colours == 3 || extra == 0 || extra == 1 && f.alpha != noAlpha)
}

// unpainted says why the samples make no picture, if they make none.
func (f *File) unpainted() error {
	switch {
	case f.format == signed:
		return UnsupportedError(fmt.Sprintf("colours of signed samples of %d bits", f.bits))
	case f.format == floating:
		return UnsupportedError(fmt.Sprintf("colours of floating-point samples of %d bits", f.bits))
	case f.untold && f.colours == 1:
		return UnsupportedError(fmt.Sprintf("grey of %d samples", f.samples))
	}
	return nil
}

// Bits is the number of bits of a sample.
func (f *File) Bits() int { return f.bits }

// Pages reports whether pictures follow the first.
func (f *File) Pages() bool { return f.d.next > 0 && f.d.next < uint64(f.size) }

// Samples is the number of samples of a pixel, Colours how many of them are colours, and
// Extra how many of the others are no transparency.
func (f *File) Samples() int { return f.samples }

// Colours: see Samples.
func (f *File) Colours() int { return f.colours }

// Extra: see Samples.
func (f *File) Extra() int {
	n := f.samples - f.colours
	if f.alpha != noAlpha {
		n--
	}
	return n
}

// noData returns the number that stands where there are no data.
func (f *File) noData() (float64, bool) {
	text := strings.Trim(string(f.d.bytes(tagNoData)), " \x00")
	v, err := strconv.ParseFloat(text, 64)
	return v, err == nil
}

// outBytes are the bytes of a sample that Read returns.
func (f *File) outBytes() int {
	switch _, gaps := f.noData(); {
	case f.format != unsigned || gaps:
		return 4
	case f.bits > 8:
		return 2
	}
	return 1
}

// raw says where samples go that are read as they are.
type raw struct {
	place  [][]int // of each sample of the file, among those read
	bytes  int     // of one that is read
	noData float64
	gaps   bool // there is noData
	spare  []byte
}

// Read reads the samples of the given numbers, from 1, of the file that Open has read and
// whose contents are data.
func (f *File) Read(data []byte, want []int, jpeg JPEG) (*Samples, error) {
	if int64(len(data)) != f.size {
		panic("tiff: the data of another file")
	}
	if !f.Sampled() {
		panic("tiff: samples of a palette or of inks")
	}
	if err := f.Check(); err != nil {
		return nil, err
	}
	r := &raw{place: make([][]int, f.samples), bytes: f.outBytes()}
	r.noData, r.gaps = f.noData()
	if f.format == floating && f.bits == 32 {
		r.noData = float64(float32(r.noData)) // as the samples have it
	}
	for i, s := range want {
		r.place[s-1] = append(r.place[s-1], i)
	}
	p := &painter{File: f, data: f.straight(data), jpeg: jpeg, raw: r, c: len(want) * r.bytes}
	if err := p.all(); err != nil {
		return nil, err
	}
	return &Samples{f.W, f.H, len(want), r.bytes, p.pix}, nil
}

// putRaw writes the samples of a row that are wanted to dst.
func (p *painter) putRaw(dst, row []byte, samples, plane int) {
	pixels := len(dst) / p.c
	for s := range samples {
		for _, to := range p.raw.place[s+plane] {
			at := to * p.raw.bytes
			for x := range pixels {
				p.one(dst[x*p.c+at:], row, x*samples+s)
			}
		}
	}
}

// one writes sample i of a row to dst.
func (p *painter) one(dst, row []byte, i int) {
	order, v := p.d.order, 0.0
	switch {
	case p.format == floating && p.bits == 16:
		v = float64(npy.Half(order.Uint16(row[2*i:])))
	case p.format == floating && p.bits == 32:
		v = float64(math.Float32frombits(order.Uint32(row[4*i:])))
	case p.format == floating:
		v = math.Float64frombits(order.Uint64(row[8*i:]))
	case p.format == signed && p.bits == 8:
		v = float64(int8(row[i]))
	case p.format == signed:
		v = float64(int16(order.Uint16(row[2*i:])))
	default:
		n := 0
		switch p.bits {
		case 8:
			n = int(row[i])
		case 16:
			n = int(order.Uint16(row[2*i:]))
		default:
			for b := i * p.bits; b < (i+1)*p.bits; b++ {
				n = n<<1 | int(row[b>>3]>>(7-b&7)&1)
			}
		}
		if p.invert {
			n = 1<<p.bits - 1 - n
		}
		switch p.raw.bytes {
		case 1:
			dst[0] = uint8(n)
			return
		case 2:
			binary.LittleEndian.PutUint16(dst, uint16(n))
			return
		}
		v = float64(n)
	}
	if p.raw.gaps && v == p.raw.noData {
		v = math.NaN()
	}
	binary.LittleEndian.PutUint32(dst, math.Float32bits(float32(v)))
}

// straight returns the data with the highest bit of a byte first.
func (f *File) straight(data []byte) []byte {
	if !f.reversed {
		return data
	}
	out := make([]byte, len(data))
	for i, b := range data {
		out[i] = bits.Reverse8(b)
	}
	return out
}

// undoWide adds up the differences of a row of samples of 32 or 64 bits.
func (p *painter) undoWide(row []byte, samples int) {
	order, size := p.d.order, p.bits/8
	for i := size * samples; i+size <= len(row); i += size {
		if size == 4 {
			order.PutUint32(row[i:], order.Uint32(row[i:])+order.Uint32(row[i-4*samples:]))
		} else {
			order.PutUint64(row[i:], order.Uint64(row[i:])+order.Uint64(row[i-8*samples:]))
		}
	}
}

// undoFloats adds up the differences of a row's bytes, which lie in planes, those of the
// highest first (Adobe Photoshop TIFF Technical Note 3), and returns the row as it was. It
// stays valid until the next.
func (p *painter) undoFloats(row []byte, samples int) []byte {
	for i := samples; i < len(row); i++ {
		row[i] += row[i-samples]
	}
	r, size := p.raw, p.bits/8
	if len(r.spare) < len(row) {
		r.spare = make([]byte, len(row))
	}
	out, n := r.spare[:len(row)], len(row)/size
	for i := range n {
		for b := range size {
			at := b
			if p.d.order == binary.LittleEndian {
				at = size - 1 - b
			}
			out[i*size+at] = row[b*n+i]
		}
	}
	return out
}
