package imagefile

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"image"
	"io"

	"golang.org/x/image/webp"
)

// Flags of a WebP that has more than one picture's bits.
const (
	webpAnimated = 1 << 1
	webpXMP      = 1 << 2
	webpEXIF     = 1 << 3
	webpAlpha    = 1 << 4
)

// webpFile is what the chunks of a WebP say about its first picture.
type webpFile struct {
	flags  byte
	w, h   int   // of the canvas; 0: that of the picture
	x, y   int   // of the picture on the canvas
	alpha  chunk // its ALPH
	pixels chunk // its VP8 or VP8L
}

// chunk is a part of a RIFF file: where its body is.
type chunk struct {
	kind         string
	from, length int64
}

// chunksRIFF calls visit for each chunk between two places, until it returns
// false. The last may end behind the file.
func chunksRIFF(r io.ReaderAt, from, to int64, visit func(chunk) bool) {
	for to-from >= 8 {
		var head [8]byte
		if _, err := r.ReadAt(head[:], from); err != nil {
			return
		}
		c := chunk{string(head[:4]), from + 8, int64(binary.LittleEndian.Uint32(head[4:]))}
		if !visit(c) {
			return
		}
		from = c.from + c.length + c.length&1
	}
}

func uint24(b []byte) int { return int(b[0]) | int(b[1])<<8 | int(b[2])<<16 }

// openWebP finds the first picture, of an animation the first frame.
func openWebP(r io.ReaderAt, size int64) (*webpFile, error) {
	f := new(webpFile)
	var err error
	visit := func(c chunk) bool {
		switch c.kind {
		case "ALPH":
			f.alpha = c
		case "VP8 ", "VP8L":
			f.pixels = c
			return false
		}
		return true
	}
	first := true
	chunksRIFF(r, 12, size, func(c chunk) bool {
		defer func() { first = false }()
		switch {
		case c.kind == "VP8X" && first:
			var b [10]byte
			if _, e := r.ReadAt(b[:], c.from); e != nil || c.length < 10 {
				err = errCut
				return false
			}
			f.flags, f.w, f.h = b[0], uint24(b[4:])+1, uint24(b[7:])+1
			return true
		case f.flags&webpAnimated == 0:
			return visit(c)
		case c.kind == "ANMF":
			var b [16]byte
			if _, e := r.ReadAt(b[:], c.from); e != nil || c.length < 16 {
				err = errCut
				return false
			}
			f.x, f.y = 2*uint24(b[0:]), 2*uint24(b[3:])
			chunksRIFF(r, c.from+16, min(size, c.from+c.length), visit)
			return false
		}
		return true
	})
	switch {
	case err != nil:
		return nil, err
	case f.pixels.kind == "":
		return nil, fmt.Errorf("no picture in it, or %w", errCut)
	}
	if f.w > 0 && f.flags&webpAlpha == 0 {
		f.alpha = chunk{} // not meant, as libwebp has it
	}
	return f, nil
}

// still returns the first picture, of the given size, as a file of its own.
func (f *webpFile) still(r io.ReaderAt, size int64, w, h int) ([]byte, error) {
	var body []byte
	put := func(c chunk) error {
		if c.length > size-c.from {
			return errCut
		}
		body = append(body, c.kind...)
		body = binary.LittleEndian.AppendUint32(body, uint32(c.length))
		b := make([]byte, c.length+c.length&1)
		if _, err := r.ReadAt(b[:c.length], c.from); err != nil {
			return err
		}
		body = append(body, b...)
		return nil
	}
	if f.alpha.kind != "" && f.pixels.kind == "VP8 " {
		body = append(body, "VP8X\x0a\x00\x00\x00"...)
		w, h := uint32(w-1), uint32(h-1)
		body = append(body, webpAlpha, 0, 0, 0, byte(w), byte(w>>8), byte(w>>16), byte(h), byte(h>>8), byte(h>>16))
		if err := put(f.alpha); err != nil {
			return nil, err
		}
	}
	if err := put(f.pixels); err != nil {
		return nil, err
	}
	file := append([]byte("RIFF"), binary.LittleEndian.AppendUint32(nil, uint32(len(body)+4))...)
	return append(append(file, "WEBP"...), body...), nil
}

// picture returns the size of the first picture.
func (f *webpFile) picture(r io.ReaderAt, size int64) (w, h int, err error) {
	head := make([]byte, 30)
	copy(head, "RIFF\x16\x00\x00\x00WEBP")
	copy(head[12:], f.pixels.kind)
	binary.LittleEndian.PutUint32(head[16:], 10)
	n := min(10, f.pixels.length, size-f.pixels.from)
	if n < 5 {
		return 0, 0, errCut
	}
	if _, err := r.ReadAt(head[20:20+n], f.pixels.from); err != nil {
		return 0, 0, err
	}
	c, err := webp.DecodeConfig(bytes.NewReader(head))
	return c.Width, c.Height, err
}

func sizeWebP(r io.ReaderAt, bytes int64) (claim, error) {
	f, err := openWebP(r, bytes)
	if err != nil {
		return claim{}, err
	}
	w, h, err := f.picture(r, bytes)
	switch {
	case err != nil:
		return claim{}, err
	case f.w == 0:
		f.w, f.h = w, h
	case f.flags&webpAnimated == 0 && (w != f.w || h != f.h):
		return claim{}, fmt.Errorf("a picture of %d × %d on a canvas of %d × %d", w, h, f.w, f.h)
	case f.x+w > f.w || f.y+h > f.h:
		return claim{}, fmt.Errorf("a frame that is larger than the canvas")
	}
	memory := func() int64 {
		each := int64(7) // four samples and the pixels
		if f.alpha.kind != "" {
			each = 10
		}
		canvas := int64(0)
		if w != f.w || h != f.h {
			canvas = 3
		}
		return each*int64(w)*int64(h) + canvas*int64(f.w)*int64(f.h)
	}
	return claim{w: f.w, h: f.h, memory: memory}, nil
}

func decodeWebP(data []byte) (Image, error) {
	r, size := bytes.NewReader(data), int64(len(data))
	f, err := openWebP(r, size)
	if err != nil {
		return Image{}, err
	}
	w, h, err := f.picture(r, size)
	if err != nil {
		return Image{}, err
	}
	file, err := f.still(r, size, w, h)
	if err != nil {
		return Image{}, err
	}
	decoded, err := webp.Decode(bytes.NewReader(file))
	if err != nil {
		return Image{}, err
	}
	// In an animation nothing is transparent unless the flag says so; in a single
	// lossless picture the pixels say it.
	opaque := f.flags&(webpAnimated|webpAlpha) == webpAnimated
	if m, ok := decoded.(*image.NRGBA); ok && opaque {
		for i := 3; i < len(m.Pix); i += 4 {
			m.Pix[i] = 255
		}
	}
	m := pixels(decoded, &studio, false)
	if f.flags&webpAnimated == 0 || m.W == f.w && m.H == f.h {
		return m, nil
	}
	// The ground of a canvas is transparent, whatever colour the file states. Where
	// nothing can be transparent it is black.
	out := Image{W: f.w, H: f.h, C: m.C, Pix: make([]byte, f.w*f.h*m.C)}
	for i := range out.Pix {
		if opaque {
			break
		}
		out.Pix[i] = 255
	}
	for y := range m.H {
		copy(out.Pix[((f.y+y)*f.w+f.x)*m.C:], m.Pix[y*m.W*m.C:(y+1)*m.W*m.C])
	}
	return out, nil
}
