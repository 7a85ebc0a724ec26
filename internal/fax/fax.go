// Package fax unpacks black and white pictures as fax machines send them (ITU-T
// T.4 and T.6), which is how TIFF holds scanned pages: a [Reader] gives one row
// of pixels after the other.
package fax

import "errors"

// Coding is how rows are written.
type Coding int

const (
	Huffman Coding = iota // runs alone, each row from a byte on (TIFF's compression 2)
	Words                 // likewise, each row from a pair of bytes on (32771)
	Group3                // rows between end-of-line codes, of one or two dimensions
	Group4                // every row by its difference from the one above
)

// Options say what is to be read.
type Options struct {
	Coding Coding
	Width  int  // pixels of a row
	Two    bool // Group3: a bit behind each end of line tells a row's dimensions
}

// What can be wrong with the data.
var (
	ErrShort        = errors.New("the file is cut short")
	ErrCode         = errors.New("a code that no fax has")
	ErrWidth        = errors.New("a row that is longer than the picture is wide")
	ErrUncompressed = errors.New("fax data in uncompressed mode")
)

// Reader unpacks rows.
type Reader struct {
	o    Options
	data []byte
	at   int // the next bit
	done bool
	// The pixels at which the colour changes, of the row above and of this one:
	// to black at even places, to white at odd ones.
	above, row []int
}

// NewReader returns a reader of packed data, which holds the highest bit first.
func NewReader(data []byte, o Options) *Reader {
	return &Reader{o: o, data: data}
}

// Read fills p with rows of (Width+7)/8 bytes; p must have room for whole ones.
// A pixel is a bit, the highest first, and 1 is black.
func (r *Reader) Read(p []byte) (int, error) {
	size := (r.o.Width + 7) / 8
	n := 0
	for len(p)-n >= size {
		if err := r.next(); err != nil {
			return n, err
		}
		r.paint(p[n : n+size])
		n += size
	}
	return n, nil
}

// peek returns the next n bits, up to 24, as if zeros followed the data.
func (r *Reader) peek(n int) int {
	v := 0
	for i := range 4 {
		v <<= 8
		if k := r.at>>3 + i; k < len(r.data) {
			v |= int(r.data[k])
		}
	}
	return v >> (32 - r.at&7 - n) & (1<<n - 1)
}

func (r *Reader) left() int { return len(r.data)*8 - r.at }

// next reads the changes of a row.
func (r *Reader) next() error {
	r.above, r.row = r.row, r.above[:0]
	switch r.o.Coding {
	case Huffman:
		r.at = (r.at + 7) &^ 7
	case Words:
		r.at = (r.at + 15) &^ 15
	case Group3:
		return r.nextGroup3()
	case Group4:
		return r.twoDimensions()
	}
	return r.oneDimension()
}

// nextGroup3 skips the fill and the end of line before a row. Six ends of line,
// one behind the other, end the page.
func (r *Reader) nextGroup3() error {
	one := true
	if r.endOfLine() {
		one = r.tag()
		for ends := 1; r.endOfLine(); ends++ {
			one = r.tag()
			if ends >= 5 {
				r.done = true
			}
		}
	}
	if r.done {
		return ErrShort
	}
	if one {
		return r.oneDimension()
	}
	return r.twoDimensions()
}

// endOfLine steps over eleven or more zeros and a one, if they are next.
func (r *Reader) endOfLine() bool {
	at := r.at
	for r.left() > 0 && r.peek(1) == 0 {
		if r.at&7 == 0 && r.left() >= 8 && r.data[r.at>>3] == 0 {
			r.at += 8
			continue
		}
		r.at++
	}
	if r.left() > 0 && r.at-at >= 11 {
		r.at++
		return true
	}
	r.at = at
	return false
}

// tag reports whether the row behind an end of line has one dimension.
func (r *Reader) tag() bool {
	if !r.o.Two {
		return true
	}
	one := r.peek(1) == 1
	r.at++
	return one
}

// change notes that the colour changes at pixel x. Where it changes twice, it
// does not.
func (r *Reader) change(x int) {
	if n := len(r.row); n > 0 && r.row[n-1] == x {
		r.row = r.row[:n-1]
	} else {
		r.row = append(r.row, x)
	}
}

// run reads the length of a run of a colour.
func (r *Reader) run(dark bool) (int, error) {
	table := white
	if dark {
		table = black
	}
	for total := 0; ; {
		code := table[r.peek(longest)]
		switch {
		case int(code.bits) > r.left(), code.bits == 0 && r.left() < longest:
			return 0, ErrShort
		case code.bits == 0:
			return 0, ErrCode
		}
		r.at += int(code.bits)
		total += int(code.length)
		if total > r.o.Width {
			return 0, ErrWidth
		}
		if code.length < 64 {
			return total, nil
		}
	}
}

// oneDimension reads a row of runs, white and black by turns.
func (r *Reader) oneDimension() error {
	dark := false
	for x := 0; x < r.o.Width; dark = !dark {
		n, err := r.run(dark)
		if err != nil {
			return err
		}
		if x += n; x > r.o.Width {
			return ErrWidth
		}
		r.change(x)
	}
	return nil
}

// twoDimensions reads a row by its differences from the row above.
func (r *Reader) twoDimensions() error {
	width := r.o.Width
	x, next := -1, 0 // the pixel reached, and the first change above that may be beyond it
	dark := false
	for x < width {
		// The first change above behind x that is away from the present colour.
		next = max(next-2, 0)
		for next < len(r.above) && (r.above[next] <= x || next&1 == 1 != dark) {
			next++
		}
		b1, b2 := width, width
		if next < len(r.above) {
			b1 = r.above[next]
			if next+1 < len(r.above) {
				b2 = r.above[next+1]
			}
		}
		var bits, shift int
		switch v := r.peek(7); {
		case v>>6 == 1:
			bits, shift = 1, 0
		case v>>4 == 3:
			bits, shift = 3, 1
		case v>>4 == 2:
			bits, shift = 3, -1
		case v>>4 == 1: // the row goes on with two runs
			if r.at += 3; r.left() < 0 {
				return ErrShort
			}
			x = max(x, 0)
			for range 2 {
				n, err := r.run(dark)
				if err != nil {
					return err
				}
				if x += n; x > width {
					return ErrWidth
				}
				r.change(x)
				dark = !dark
			}
			continue
		case v>>3 == 1: // what is above is passed over
			if r.at += 4; r.left() < 0 {
				return ErrShort
			}
			x = b2
			continue
		case v>>1 == 3:
			bits, shift = 6, 2
		case v>>1 == 2:
			bits, shift = 6, -2
		case v == 3:
			bits, shift = 7, 3
		case v == 2:
			bits, shift = 7, -3
		case r.left() < 12, r.peek(12) == 1: // an end of the data
			return ErrShort
		case v == 1:
			return ErrUncompressed
		default:
			return ErrCode
		}
		if r.at += bits; r.left() < 0 {
			return ErrShort
		}
		to := b1 + shift
		if to < max(x, 0) {
			return ErrCode
		}
		if to > width {
			return ErrWidth
		}
		x = to
		r.change(x)
		dark = !dark
	}
	return nil
}

// paint sets the bits of the black pixels.
func (r *Reader) paint(dst []byte) {
	clear(dst)
	for i := 0; i < len(r.row); i += 2 {
		from, to := r.row[i], r.o.Width
		if i+1 < len(r.row) {
			to = min(to, r.row[i+1])
		}
		for ; from < to && from&7 != 0; from++ {
			dst[from>>3] |= 0x80 >> (from & 7)
		}
		for ; to-from >= 8; from += 8 {
			dst[from>>3] = 0xff
		}
		for ; from < to; from++ {
			dst[from>>3] |= 0x80 >> (from & 7)
		}
	}
}
