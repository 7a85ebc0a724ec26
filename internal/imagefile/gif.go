package imagefile

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"image"
	"image/color"
	"image/gif"
	"io"
)

// screenGIF reads on to the first frame of a GIF and returns the size of the
// screen, which is at least that of what the frame reaches to: some writers give
// the screen no size, or a smaller one. With an error the size is what is known
// of it.
func screenGIF(r *bufio.Reader) (w, h int, err error) {
	var head [13]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return 0, 0, err
	}
	w, h = int(binary.LittleEndian.Uint16(head[6:])), int(binary.LittleEndian.Uint16(head[8:]))
	if head[10]&0x80 != 0 { // colours
		if _, err := r.Discard(3 << (head[10]&7 + 1)); err != nil {
			return w, h, err
		}
	}
	for {
		kind, err := r.ReadByte()
		if err != nil {
			return w, h, err
		}
		switch kind {
		case ',':
			var b [8]byte
			if _, err := io.ReadFull(r, b[:]); err != nil {
				return w, h, err
			}
			v := func(i int) int { return int(binary.LittleEndian.Uint16(b[i:])) }
			return max(w, v(0)+v(4)), max(h, v(2)+v(6)), nil
		case '!': // an extension: its kind, and blocks
			n := 1
			for size := byte(1); size != 0; n = int(size) {
				if _, err := r.Discard(n); err != nil {
					return w, h, err
				}
				if size, err = r.ReadByte(); err != nil {
					return w, h, err
				}
			}
		case ';':
			return w, h, errors.New("no picture in it")
		default:
			return w, h, errors.New("a block of unknown kind")
		}
	}
}

func sizeGIF(r io.ReaderAt, bytes int64) (claim, error) {
	w, h, err := screenGIF(bufio.NewReader(io.NewSectionReader(r, 0, bytes)))
	if w == 0 && h == 0 && err != nil {
		return claim{}, err
	}
	// A byte each for the indices of the frame and of the screen, and the pixels.
	return claim{w: w, h: h, check: func() error { return err }, memory: func() int64 { return 5 * int64(w) * int64(h) }}, nil
}

// decodeGIF reads the first frame, at its place on the screen. The ground that it
// leaves bare is transparent if the frame has a transparent colour, and of the
// first colour if it has none.
func decodeGIF(data []byte) (Image, error) {
	w, h, err := screenGIF(bufio.NewReader(bytes.NewReader(data)))
	if err != nil {
		return Image{}, err
	}
	var head [13]byte
	copy(head[:], data)
	binary.LittleEndian.PutUint16(head[6:], uint16(min(w, 1<<16-1)))
	binary.LittleEndian.PutUint16(head[8:], uint16(min(h, 1<<16-1)))
	decoded, err := gif.Decode(io.MultiReader(bytes.NewReader(head[:]), bytes.NewReader(data[len(head):])))
	if err != nil {
		return Image{}, err
	}
	frame, bounds := decoded.(*image.Paletted), image.Rect(0, 0, w, h)
	if frame.Rect == bounds {
		return fromPaletted(frame), nil
	}
	whole := image.NewPaletted(bounds, frame.Palette)
	for i, c := range frame.Palette {
		if _, _, _, a := c.RGBA(); a == 0 && i < 256 {
			ground := bytes.Repeat([]byte{byte(i)}, bounds.Dx())
			for y := range bounds.Dy() {
				copy(whole.Pix[y*whole.Stride:], ground)
			}
			break
		}
	}
	for y := frame.Rect.Min.Y; y < frame.Rect.Max.Y; y++ {
		at := frame.PixOffset(frame.Rect.Min.X, y)
		copy(whole.Pix[whole.PixOffset(frame.Rect.Min.X, y):], frame.Pix[at:at+frame.Rect.Dx()])
	}
	if len(whole.Palette) == 0 {
		whole.Palette = color.Palette{color.Black}
	}
	return fromPaletted(whole), nil
}
