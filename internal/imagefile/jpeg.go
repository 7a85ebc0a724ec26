package imagefile

import (
	"bufio"
	"bytes"
	"fmt"
	"image"
	"image/jpeg"
	"io"
	"iter"
	"path/filepath"
	"strings"

	"vicreg/internal/turbo"
)

// frame is what the header of a JPEG's frame tells.
type frame struct {
	progressive bool
	plain       bool // of one component, with one block at a time
	apart       bool // it is sequential, and not all components are in the first scan
	w, h        int
	mcuW, mcuH  int // pixels that are coded together
	parts       []part
}

// part is a component of a JPEG: which, and how many blocks of 8 × 8 it has in
// what is coded together.
type part struct {
	id    byte
	h, v  int
	quant byte // which table
}

// blocks returns the number of blocks of a component.
func (f *frame) blocks(p part) int64 {
	return int64((f.w-1)/f.mcuW+1) * int64((f.h-1)/f.mcuH+1) * int64(p.h*p.v)
}

// jpegKinds names the frames that are not read, by the low half of their marker.
var jpegKinds = [16]string{
	3: "lossless", 5: "hierarchical", 6: "hierarchical, progressive", 7: "hierarchical, lossless",
	9: "arithmetic coding", 10: "arithmetic coding, progressive", 11: "arithmetic coding, lossless",
	13: "arithmetic coding, hierarchical", 14: "arithmetic coding, hierarchical, progressive",
	15: "arithmetic coding, hierarchical, lossless",
}

// readFrame reads on to the frame header and refuses kinds that are not read.
func readFrame(r *bufio.Reader) (*frame, error) {
	if _, err := r.Discard(2); err != nil {
		return nil, err
	}
	for {
		b, n, err := nextSegment(r)
		if err != nil {
			return nil, err
		}
		switch {
		case b == 0xd9, b == 0xda:
			return nil, fmt.Errorf("no frame before the pixels")
		case n < 0:
			return nil, fmt.Errorf("a segment shorter than its length")
		case b == 0xf7:
			return nil, unsupportedError("JPEG-LS")
		case b == 0xde:
			return nil, unsupportedError("hierarchical")
		case b < 0xc0 || b > 0xcf || b == 0xc4 || b == 0xc8 || b == 0xcc:
			if _, err := r.Discard(n); err != nil {
				return nil, err
			}
			continue
		}
		body := make([]byte, n)
		if _, err := io.ReadFull(r, body); err != nil {
			return nil, err
		}
		f, err := newFrame(b, body)
		if err == nil && !f.progressive {
			f.apart = partsOfScan(r) < len(f.parts)
		}
		return f, err
	}
}

// nextSegment reads the marker of the next segment and how many bytes follow its length.
func nextSegment(r *bufio.Reader) (marker byte, n int, err error) {
	for {
		// What stands between segments is skipped, as decoders do.
		b, err := r.ReadByte()
		for ; err == nil && b != 0xff; b, err = r.ReadByte() {
		}
		for ; err == nil && b == 0xff; b, err = r.ReadByte() {
		}
		if err != nil {
			return 0, 0, err
		}
		if b <= 1 || b >= 0xd0 && b <= 0xd8 { // markers without a segment
			continue
		}
		var length [2]byte
		_, err = io.ReadFull(r, length[:])
		return b, int(length[0])<<8 + int(length[1]) - 2, err
	}
}

// partsOfScan reads on to the next scan and returns how many components it has, 0 if there is
// none.
func partsOfScan(r *bufio.Reader) int {
	for {
		marker, n, err := nextSegment(r)
		if err != nil || marker == 0xd9 {
			return 0
		}
		if marker == 0xda {
			parts, _ := r.ReadByte()
			return int(parts)
		}
		if _, err := r.Discard(n); err != nil {
			return 0
		}
	}
}

func newFrame(marker byte, body []byte) (*frame, error) {
	if kind := jpegKinds[marker&15]; kind != "" {
		return nil, unsupportedError(kind)
	}
	if len(body) < 6 || len(body) < 6+3*int(body[5]) {
		return nil, fmt.Errorf("a frame header that is too short")
	}
	if body[0] != 8 {
		return nil, unsupportedError(fmt.Sprintf("%d-bit samples", body[0]))
	}
	f := &frame{progressive: marker == 0xc2, h: int(body[1])<<8 | int(body[2]), w: int(body[3])<<8 | int(body[4])}
	if f.h == 0 {
		return nil, unsupportedError("its height stands behind the pixels")
	}
	most := part{h: 1, v: 1}
	for i := range int(body[5]) {
		c := body[6+3*i:]
		p := part{c[0], int(c[1] >> 4), int(c[1] & 15), c[2]}
		if p.h < 1 || p.v < 1 || p.h > 4 || p.v > 4 {
			return nil, fmt.Errorf("sampling of %d × %d", p.h, p.v)
		}
		f.parts = append(f.parts, p)
		most.h, most.v = max(most.h, p.h), max(most.v, p.v)
	}
	switch len(f.parts) {
	case 1: // nothing is coded together with it
		f.plain = f.parts[0].h == 1 && f.parts[0].v == 1
		f.parts[0].h, f.parts[0].v, most = 1, 1, part{h: 1, v: 1}
	case 3, 4:
	default:
		return nil, unsupportedError(fmt.Sprintf("%d components", len(f.parts)))
	}
	f.mcuW, f.mcuH = 8*most.h, 8*most.v
	return f, nil
}

func sizeJPEG(r io.ReaderAt, bytes int64) (claim, error) {
	f, err := readFrame(bufio.NewReader(io.NewSectionReader(r, 0, bytes)))
	if err != nil {
		return claim{}, err
	}
	c, err := jpeg.DecodeConfig(io.NewSectionReader(r, 0, bytes))
	if err != nil {
		return claim{}, err
	}
	return claim{c.Width, c.Height, func() error { return f.plausible(bytes) }, f.memory}, nil
}

// memory returns the bytes that decoding takes: samples, pixels, and for a file of several
// scans the coefficients, of four bytes in Go's decoder, which keeps them of progressive files
// alone, and of two in libjpeg-turbo.
func (f *frame) memory() int64 {
	samples := int64(0)
	for _, p := range f.parts {
		samples += 64 * f.blocks(p)
	}
	if f.progressive {
		samples *= 5
	} else if f.apart {
		samples *= 3
	}
	pixels := int64(f.w) * int64(f.h)
	switch len(f.parts) {
	case 3:
		pixels *= 3
	case 4: // by way of inks
		pixels *= 7
	}
	return samples + pixels
}

// plausible refuses a file that has less than one bit for each block (two if it is
// sequential), which is the least possible.
func (f *frame) plausible(bytes int64) error {
	least := int64(0)
	for _, p := range f.parts {
		n := f.blocks(p)
		if !f.progressive {
			n *= 2
		}
		least += n
	}
	if least/8 > bytes {
		return errCut
	}
	return nil
}

// whole decodes a picture in its own size.
func whole(w, h int) int { return 1 }

// fitJPEG decodes a file, at the part of its size that is wanted.
func fitJPEG(data []byte, limits Limits) (Image, error) {
	fit := limits.Fit
	if fit == nil {
		fit = whole
	}
	visits := visitsOf(len(data))
	m, err := decodeJPEGWithin(data, &visits, fit)
	if err != nil {
		return m, err
	}
	return m.Take(limits.Bands)
}

// visitsOf returns how many visits to blocks the scans of a file of so many bytes
// may make.
func visitsOf(bytes int) int64 { return 10<<20 + 25*int64(bytes) }

// decodeJPEGWithin subtracts the visits that it makes from those that are left.
func decodeJPEGWithin(data []byte, visits *int64, fit func(w, h int) int) (Image, error) {
	f, err := readFrame(bufio.NewReader(bytes.NewReader(data)))
	if err != nil {
		return Image{}, err
	}
	if err := f.plausible(int64(len(data))); err != nil {
		return Image{}, err
	}
	if f.progressive {
		if err := f.scans(data, visits); err != nil {
			return Image{}, err
		}
	}
	if m, ok := f.turbo(data, fit); ok {
		return m, nil
	}
	if f.miscounted(data) {
		return Image{}, errRestart()
	}
	decoded, err := jpeg.Decode(bytes.NewReader(data))
	if err != nil {
		return Image{}, err
	}
	return pixels(decoded, &jfif, false), nil
}

// Library names the library that decodes JPEG files; it is empty if Go's decoder does.
func Library() string {
	if _, err := turbo.Found(); err != nil {
		return ""
	}
	return turbo.Name
}

// NamedJPEG reports whether a file's name is that of a JPEG.
func NamedJPEG(path string) bool {
	switch strings.ToLower(filepath.Ext(path)) {
	case ".jpg", ".jpeg", ".jpe", ".jfif":
		return true
	}
	return false
}

// turbo decodes an everyday file with libjpeg-turbo, if that is there and has nothing to
// say against the file. What both decoders read differs by the rounding of the inverse
// transform alone.
func (f *frame) turbo(data []byte, fit func(w, h int) int) (Image, bool) {
	d := turbo.Take()
	if d == nil {
		return Image{}, false
	}
	defer d.Give()
	t, ok := f.judge(data)
	if !ok {
		return Image{}, false
	}
	if by := fit(t.W, t.H); t.Grey || by > 1 {
		w, h := t.Scaled(by)
		out := Image{W: w, H: h, C: len(f.parts)}
		out.Pix = make([]uint8, w*h*out.C)
		return out, d.Pixels(out.Pix, data, t, by)
	}
	planes, strides, ok := d.Planes(data, t)
	if !ok {
		return Image{}, false
	}
	return pixels(&image.YCbCr{Y: planes[0], Cb: planes[1], Cr: planes[2], YStride: strides[0], CStride: strides[1],
		SubsampleRatio: ratios[[2]int{t.ShareW, t.ShareH}], Rect: image.Rect(0, 0, t.W, t.H)}, &jfif, false), true
}

// ratios are the kinds of chroma that libjpeg-turbo is given.
var ratios = map[[2]int]image.YCbCrSubsampleRatio{
	{1, 1}: image.YCbCrSubsampleRatio444, {2, 1}: image.YCbCrSubsampleRatio422, {2, 2}: image.YCbCrSubsampleRatio420,
	{1, 2}: image.YCbCrSubsampleRatio440, {4, 1}: image.YCbCrSubsampleRatio411,
}

// scans refuses a progressive JPEG that goes over its blocks more often than its length
// explains. A scan may be nearly empty and still visit every block; one that refines
// earlier scans costs more.
func (f *frame) scans(data []byte, visits *int64) error {
	for marker, body := range segments(data) {
		if marker != 0xda {
			continue
		}
		if len(body) < 1 || len(body) < 4+2*int(body[0]) {
			break
		}
		n := int(body[0])
		cost := int64(1)
		if first, refines := body[1+2*n], body[3+2*n]>>4 != 0; first > 0 && refines {
			cost = 4
		}
		for k := range n {
			for _, p := range f.parts {
				if p.id == body[1+2*k] {
					*visits -= cost * f.blocks(p)
				}
			}
		}
		if *visits < 0 {
			return fmt.Errorf("more scans than its %d bytes explain", len(data))
		}
	}
	return nil
}

// segments goes over the markers of a file and what belongs to each, as far as they are whole.
func segments(data []byte) iter.Seq2[byte, []byte] {
	return func(yield func(byte, []byte) bool) {
		for i := 2; i+4 <= len(data); {
			if data[i] != 0xff {
				next := bytes.IndexByte(data[i:], 0xff)
				if next < 0 {
					return
				}
				i += next
				continue
			}
			marker := data[i+1]
			if marker == 0xff {
				i++
				continue
			}
			if marker <= 1 || marker >= 0xd0 && marker <= 0xd8 {
				i += 2
				continue
			}
			length := 2 + int(data[i+2])<<8 + int(data[i+3])
			if marker == 0xd9 || length < 4 || i+length > len(data) || !yield(marker, data[i+4:i+length]) {
				return
			}
			i += length
		}
	}
}

// miscounted reports whether Go's decoder misses markers of restart, or its pixels: in a scan
// of one component it takes as many blocks for one as other scans have of it together.
func (f *frame) miscounted(data []byte) bool {
	restart := 0
	for marker, body := range segments(data) {
		switch {
		case marker == 0xdd && len(body) == 2:
			restart = int(body[0])<<8 + int(body[1])
		case marker == 0xda && restart > 0 && len(f.parts) > 1 && len(body) > 1 && body[0] == 1:
			if k := f.part(body[1]); k >= 0 && f.parts[k].h*f.parts[k].v > 1 {
				if across, down := f.across(f.parts[k]); restart < across*down {
					return true
				}
			}
		}
	}
	return false
}

// errRestart refuses a file whose markers of restart are miscounted and that is not decoded by
// libjpeg-turbo: it is not there, or the file is no everyday one.
func errRestart() error {
	const kind = "restart markers in a scan of one component"
	if Library() == "" {
		return unsupportedError(kind + "; jpegtran takes them out, and " + turbo.Name + " reads them, in the build with tag native")
	}
	return unsupportedError(kind + ", and something that is rare or damaged")
}
