package tiff

import (
	"bytes"
	"compress/zlib"
	"errors"
	"io"
	"math/bits"

	"vicreg/internal/fax"
)

// Picture is W × H pixels of C channels (1: grey, 3: red, green, blue), side by
// side.
type Picture struct {
	W, H, C int
	Pix     []uint8
	Depth   int // of 16-bit samples: how many of the bits are in use, if not all
}

// JPEG decodes a JPEG file into pixels of one or three channels.
type JPEG func(data []byte) (w, h, c int, pix []byte, err error)

// Decode reads the pixels of the file that Open has read and whose contents are
// data. Transparent ones are laid over white.
func (f *File) Decode(data []byte, jpeg JPEG) (*Picture, error) {
	if int64(len(data)) != f.size {
		panic("tiff: the data of another file")
	}
	if err := f.unpainted(); err != nil {
		return nil, err
	}
	if err := f.Check(); err != nil {
		return nil, err
	}
	p := &painter{File: f, data: f.straight(data), jpeg: jpeg, shift: max(f.bits-8, 0)}
	p.alphaShift = p.shift
	if err := p.all(); err != nil {
		return nil, err
	}
	if f.bits != 16 {
		return p.finish(0), nil
	}
	depth, alphaDepth := f.depth(p.most), Depth(p.mostAlpha)
	if depth == 16 && alphaDepth == 16 {
		return p.finish(0), nil
	}
	// The samples are few in number: they are read again, and scaled.
	p.shift, p.alphaShift = depth-8, alphaDepth-8
	if err := p.all(); err != nil {
		return nil, err
	}
	if depth == 16 {
		depth = 0
	}
	return p.finish(depth), nil
}

// Depth returns how many bits 16-bit samples of a file use, when the largest is
// most: 8, 12 or 16. Samples of fewer bits are often stored in 16 as they are:
// then no file has larger ones, and in a file that has all 16 even a very dark
// picture does.
func Depth(most uint16) int {
	switch {
	case most == 0:
		return 16
	case most < 1<<8:
		return 8
	case most < 1<<12:
		return 12
	}
	return 16
}

// depth is Depth, unless the file itself tells the largest sample there may be.
func (f *File) depth(most uint16) int {
	told := f.d.one(tagMaxSample, 0)
	if n := bits.Len64(uint64(max(told, 0))); n >= 8 && n <= 16 && told == 1<<n-1 && int64(most) <= told {
		return n
	}
	return Depth(most)
}

// painter unpacks a file's samples into pixels.
type painter struct {
	*File
	data              []byte // with the highest bit of a byte first
	jpeg              JPEG
	shift, alphaShift int // from samples to 8 bits
	most, mostAlpha   uint16
	c                 int // samples kept of each pixel while it is painted
	pix               []byte
	row               []byte
	pixels            int64         // that JPEGs in it may still have
	beyond            int64         // bytes that may still be unpacked behind the rows of Deflate strips
	zlib              io.ReadCloser // taken up again for each strip
	lzw               *lzwReader
	raw               *raw // samples are read as they are; nil: a picture is painted
}

// kept returns how many samples of a pixel are looked at.
func (f *File) kept() int {
	if f.alpha != noAlpha {
		return f.colours + 1
	}
	return f.colours
}

// Memory returns the bytes that Decode takes, or Read of all samples, if that is more.
func (f *File) Memory() int64 {
	each := f.kept()
	switch {
	case f.palette != nil, f.colours == 4:
		each += 3
	case f.alpha != noAlpha:
		each += f.colours
	}
	if f.Sampled() {
		each = max(each, f.samples*f.outBytes())
	}
	return int64(each)*int64(f.W)*int64(f.H) + f.rowBytes()
}

// rowBytes are those of a row of a strip or tile.
func (f *File) rowBytes() int64 { return (int64(f.tw)*int64(f.chunkSamples())*int64(f.bits) + 7) / 8 }

// padded returns the pixels of all strips or tiles, in a plane.
func (f *File) padded() int64 {
	return int64(f.across()) * int64(f.tw) * int64(f.down()) * int64(min(f.th, 1<<16))
}

func (p *painter) all() error {
	if p.raw == nil {
		p.c = p.kept()
	}
	if p.pix == nil {
		p.pix = make([]byte, p.W*p.H*p.c)
	}
	p.pixels = 2*p.padded() + 1<<22
	across, down, planes := p.across(), p.down(), 1
	if p.planes {
		planes = p.c
		if p.raw != nil {
			planes = p.samples
		}
	}
	p.pixels *= int64(planes)
	p.beyond = p.rowBytes()*int64(across)*int64(p.H)*int64(planes) + 1<<26
	for plane := range planes {
		if p.raw != nil && p.planes && p.raw.place[plane] == nil {
			continue
		}
		for i := range across * down {
			if err := p.chunkAt(plane*across*down+i, i%across*p.tw, i/across*p.th, plane); err != nil {
				return err
			}
		}
	}
	return nil
}

// chunkAt unpacks strip or tile i, whose corner is at (x, y).
func (p *painter) chunkAt(i, x, y, plane int) error {
	samples := p.chunkSamples()
	size := int(p.rowBytes())
	if p.empty(i) {
		return nil // zeros
	}
	from, length := p.chunk(i)
	rows := min(p.th, p.H-y)
	r, err := p.unpack(p.data[from:from+length], rows)
	if err != nil {
		return err
	}
	if cap(p.row) < size {
		p.row = make([]byte, size)
	}
	row := p.row[:size]
	for k := range rows {
		if _, err := io.ReadFull(r, row); err != nil {
			return unpackError(err)
		}
		values := row
		switch p.predictor {
		case 2:
			p.undo(row, samples)
		case 3:
			values = p.undoFloats(row, samples)
		}
		at := ((y+k)*p.W + x) * p.c
		p.put(p.pix[at:at+min(p.tw, p.W-x)*p.c], values, samples, plane)
	}
	if p.compression == packDeflate || p.compression == packDeflate2 {
		return p.checksum(int64(size) * int64(max(min(p.th, 1<<16)-rows, 0)))
	}
	return nil
}

// checksum reads a Deflate strip on to its checksum, before which the last strip or tile of a
// column may have so many bytes of rows below the picture. As in other readers the checksum
// may be missing but not wrong, and it is not looked for behind still more bytes.
func (p *painter) checksum(below int64) error {
	n, err := io.CopyN(io.Discard, p.zlib, min(below, p.beyond)+1)
	p.beyond = max(p.beyond-n, 0)
	if err == nil || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return nil
	}
	return unpackError(err)
}

// unpack returns a reader of a strip's samples.
func (p *painter) unpack(packed []byte, rows int) (io.Reader, error) {
	o := fax.Options{Width: p.tw}
	switch p.compression {
	case packLZW:
		if p.lzw == nil {
			p.lzw = newLZW()
		}
		p.lzw.reset(packed)
		return p.lzw, nil
	case packDeflate, packDeflate2:
		var err error
		if p.zlib == nil {
			p.zlib, err = zlib.NewReader(bytes.NewReader(packed))
		} else {
			err = p.zlib.(zlib.Resetter).Reset(bytes.NewReader(packed), nil)
		}
		if err != nil {
			return nil, unpackError(err)
		}
		return p.zlib, nil
	case packPackBits:
		return &packBits{data: packed}, nil
	case packJPEG:
		return p.unpackJPEG(packed, rows)
	case packHuffman:
		return fax.NewReader(packed, o), nil
	case packWords:
		o.Coding = fax.Words
		return fax.NewReader(packed, o), nil
	case packGroup3:
		o.Coding, o.Two = fax.Group3, p.d.one(tagT4Options, 0)&1 != 0
		return fax.NewReader(packed, o), nil
	case packGroup4:
		o.Coding = fax.Group4
		return fax.NewReader(packed, o), nil
	}
	return bytes.NewReader(packed), nil
}

func unpackError(err error) error {
	switch {
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return FormatError(errCut.Error())
	case errors.Is(err, zlib.ErrChecksum):
		return FormatError("invalid checksum")
	case errors.Is(err, fax.ErrUncompressed):
		return UnsupportedError(err.Error())
	}
	var format FormatError
	if errors.As(err, &format) {
		return err
	}
	return FormatError(err.Error())
}

// undo adds up the differences of a row.
func (p *painter) undo(row []byte, samples int) {
	if p.bits == 8 {
		for i := samples; i < len(row); i++ {
			row[i] += row[i-samples]
		}
		return
	}
	if p.bits > 16 {
		p.undoWide(row, samples)
		return
	}
	for i := 2 * samples; i+1 < len(row); i += 2 {
		p.d.order.PutUint16(row[i:], p.d.order.Uint16(row[i:])+p.d.order.Uint16(row[i-2*samples:]))
	}
}

// put reduces the samples of a row to 8 bits and writes those that are kept to
// dst: those of one plane, or all.
func (p *painter) put(dst, row []byte, samples, plane int) {
	if p.raw != nil {
		p.putRaw(dst, row, samples, plane)
		return
	}
	if p.bits == 8 && samples == p.c {
		copy(dst, row)
		return
	}
	pixels, kept := len(dst)/p.c, min(samples, p.c)
	if samples == 1 && p.c > 1 { // a plane of its own
		dst = dst[plane:]
	}
	most := 1<<p.bits - 1
	for s := range kept {
		shift, largest := p.shift, &p.most
		if s+plane >= p.colours {
			shift, largest = p.alphaShift, &p.mostAlpha
		}
		for x := range pixels {
			v, i := 0, x*samples+s
			switch p.bits {
			case 1:
				if v = int(row[i>>3] >> (7 - i&7) & 1); p.palette == nil || s+plane >= p.colours {
					v *= 255
				}
				dst[x*p.c+s] = uint8(v)
				continue
			case 8:
				dst[x*p.c+s] = row[i]
				continue
			case 16:
				v = int(p.d.order.Uint16(row[2*i:]))
			default:
				for b := i * p.bits; b < (i+1)*p.bits; b++ {
					v = v<<1 | int(row[b>>3]>>(7-b&7)&1)
				}
			}
			*largest = max(*largest, uint16(v))
			switch {
			case p.bits > 8:
				v >>= shift
			case p.palette == nil || s+plane >= p.colours:
				v = v * 255 / most
			}
			dst[x*p.c+s] = uint8(v)
		}
	}
}

// finish turns the samples kept into grey or colour.
func (p *painter) finish(depth int) *Picture {
	out := &Picture{W: p.W, H: p.H, C: 3, Depth: depth}
	n := p.W * p.H
	if p.colours == 1 && (p.palette == nil || p.greys) {
		out.C = 1
	}
	if p.invert {
		for i := 0; i < len(p.pix); i += p.c {
			p.pix[i] = 255 - p.pix[i]
		}
	}
	if out.C == p.c && p.palette == nil {
		out.Pix = p.pix
		return out
	}
	out.Pix = make([]byte, n*out.C)
	for i := range n {
		s, d := p.pix[i*p.c:(i+1)*p.c], out.Pix[i*out.C:(i+1)*out.C]
		switch {
		case p.palette != nil:
			copy(d, p.palette[s[0]][:])
		case p.colours == 4: // inks
			light := 255 - uint32(s[3])
			for c := range 3 {
				d[c] = uint8(((255-uint32(s[c]))*light + 127) / 255)
			}
			continue
		default:
			copy(d, s)
		}
		switch a := uint32(s[p.c-1]); {
		case p.alpha == plainAlpha && a != 255:
			for c := range d {
				d[c] = uint8((uint32(d[c])*a + 255*(255-a) + 127) / 255)
			}
		case p.alpha == multiplied:
			for c := range d {
				d[c] = uint8(min(uint32(d[c])+255-a, 255))
			}
		}
	}
	return out
}
