package imagefile

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// gifFrame is the first frame of a GIF, up to its pixels.
type gifFrame struct {
	w, h         int // of the screen
	x, y, fw, fh int // of the frame on it
	colours      [256][3]byte
	clear        int // the colour that is transparent, or -1
	interlaced   bool
}

// openGIF reads up to the first frame's pixels. The screen is at least large enough for
// the frame, since some programs write no size or one that is too small. If there is an
// error, the size is what is known of it. Nothing is demanded that viewers do not need:
// bytes between blocks are skipped, and colours that are missing from a palette, or a
// palette that is missing, become greys.
func openGIF(r *bufio.Reader) (*gifFrame, error) {
	f := &gifFrame{clear: -1}
	var head [13]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return f, err
	}
	u16 := func(b []byte) int { return int(binary.LittleEndian.Uint16(b)) }
	f.w, f.h = u16(head[6:]), u16(head[8:])
	f.palette(nil)
	palette := func(flags byte) error {
		if flags&0x80 == 0 {
			return nil
		}
		table := make([]byte, 3<<(flags&7+1))
		if _, err := io.ReadFull(r, table); err != nil {
			return err
		}
		f.palette(table)
		return nil
	}
	if err := palette(head[10]); err != nil {
		return f, err
	}
	for {
		kind, err := r.ReadByte()
		if err != nil {
			return f, err
		}
		switch kind {
		case ',':
			var b [9]byte
			if _, err := io.ReadFull(r, b[:]); err != nil {
				return f, err
			}
			f.x, f.y, f.fw, f.fh = u16(b[0:]), u16(b[2:]), u16(b[4:]), u16(b[6:])
			f.w, f.h = max(f.w, f.x+f.fw), max(f.h, f.y+f.fh)
			f.interlaced = b[8]&0x40 != 0
			return f, palette(b[8])
		case '!': // an extension: its kind, and blocks
			label, err := r.ReadByte()
			if err != nil {
				return f, err
			}
			for first := true; ; first = false {
				size, err := r.ReadByte()
				if err != nil {
					return f, err
				}
				if size == 0 {
					break
				}
				var block [255]byte
				if _, err := io.ReadFull(r, block[:size]); err != nil {
					return f, err
				}
				if label == 0xf9 && first && size >= 4 && block[0]&1 != 0 {
					f.clear = int(block[3])
				}
			}
		case ';':
			return f, errors.New("no picture in it")
		}
	}
}

// palette sets the colours that a table has, the rest to greys.
func (f *gifFrame) palette(table []byte) {
	for i := range f.colours {
		f.colours[i] = [3]byte{byte(i), byte(i), byte(i)}
		if len(table) >= 3*i+3 {
			copy(f.colours[i][:], table[3*i:])
		}
	}
}

func sizeGIF(r io.ReaderAt, bytes int64) (claim, error) {
	f, err := openGIF(bufio.NewReader(io.NewSectionReader(r, 0, bytes)))
	if f.w == 0 && f.h == 0 && err != nil {
		return claim{}, err
	}
	return claim{w: f.w, h: f.h, check: func() error { return err },
		memory: func() int64 { return 4 * int64(f.w) * int64(f.h) }}, nil
}

// decodeGIF reads the first frame and puts it at its place on the screen. The ground
// that it does not cover is transparent if the frame has a transparent colour; else it
// has the first colour. It ignores what comes after the last pixel.
func decodeGIF(data []byte) (Image, error) {
	r := bufio.NewReader(bytes.NewReader(data))
	f, err := openGIF(r)
	if err != nil {
		return Image{}, err
	}
	if f.fw == 0 || f.fh == 0 {
		return Image{}, fmt.Errorf("a frame of %d × %d pixels", f.fw, f.fh)
	}
	screen := make([]byte, f.w*f.h) // indices
	if f.clear > 0 && (f.fw < f.w || f.fh < f.h) {
		for i := range screen {
			screen[i] = byte(f.clear)
		}
	}
	line, x := 0, 0
	y := f.y
	err = unpackGIF(r, func(run []byte) bool {
		for len(run) > 0 && line < f.fh {
			n := copy(screen[y*f.w+f.x+x:y*f.w+f.x+f.fw], run)
			run = run[n:]
			if x += n; x == f.fw {
				line, x = line+1, 0
				y = f.y + f.row(line)
			}
		}
		return line < f.fh
	})
	if err != nil {
		return Image{}, err
	}
	if f.clear >= 0 {
		f.colours[f.clear] = [3]byte{255, 255, 255}
	}
	return f.coloured(screen), nil
}

// row returns which row of the frame is stored as the given one.
func (f *gifFrame) row(line int) int {
	if !f.interlaced {
		return line
	}
	for _, pass := range [4]struct{ from, step int }{{0, 8}, {4, 8}, {2, 4}, {1, 2}} {
		n := (f.fh - pass.from + pass.step - 1) / pass.step
		if line < n {
			return pass.from + line*pass.step
		}
		line -= n
	}
	return 0
}

// coloured looks up the colours of indices. The image may take over their memory.
func (f *gifFrame) coloured(screen []byte) Image {
	grey := true
	for _, c := range f.colours {
		grey = grey && c[0] == c[1] && c[1] == c[2]
	}
	if grey {
		for i, v := range screen {
			screen[i] = f.colours[v][0]
		}
		return Image{W: f.w, H: f.h, C: 1, Pix: screen}
	}
	out := Image{W: f.w, H: f.h, C: 3, Pix: make([]byte, 3*len(screen))}
	for i, v := range screen {
		copy(out.Pix[3*i:3*i+3], f.colours[v][:])
	}
	return out
}

// unpackGIF unpacks the pixels of a frame and passes them on in runs, until emit has
// enough. (Package compress/lzw reads no code sizes below 2.)
func unpackGIF(r *bufio.Reader, emit func(run []byte) bool) error {
	size, err := r.ReadByte()
	if err != nil {
		return err
	}
	if size < 1 || size > 8 {
		return fmt.Errorf("pixels of %d bits", size)
	}
	const most = 1 << 12
	var (
		prefix, suffix = new([most]uint16), new([most]byte)
		out            [most]byte
		clear          = 1 << size
		width          = int(size) + 1
		next           = clear + 2
		before         = -1 // the last code
		first          byte // of what it stood for
		bits           uint32
		have, left     int // bits, and bytes of the block
	)
	for {
		for have < width {
			for left == 0 {
				n, err := r.ReadByte()
				if err != nil || n == 0 {
					return errCut
				}
				left = int(n)
			}
			b, err := r.ReadByte()
			if err != nil {
				return errCut
			}
			bits |= uint32(b) << have
			have += 8
			left--
		}
		code := int(bits & (1<<width - 1))
		bits >>= width
		have -= width
		switch code {
		case clear:
			width, next, before = int(size)+1, clear+2, -1
			continue
		case clear + 1:
			return errCut
		}
		at, c := len(out), code
		if code >= next || before < 0 && code > clear {
			if code > next || before < 0 {
				return errors.New("a code that stands for nothing")
			}
			at--
			out[at], c = first, before
		}
		for ; c > clear; c = int(prefix[c]) {
			at--
			out[at] = suffix[c]
		}
		first = byte(c)
		at--
		out[at] = first
		if !emit(out[at:]) {
			return nil
		}
		if before >= 0 && next < most {
			prefix[next], suffix[next] = uint16(before), first
			if next++; next == 1<<width && width < 12 {
				width++
			}
		}
		before = code
	}
}
