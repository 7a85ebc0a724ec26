package tiff

import "io"

// lzwReader unpacks TIFF's LZW. It ends with the data, whether a code says so or
// not: some writers leave that code out.
type lzwReader struct {
	data []byte
	at   int  // the next bit
	old  bool // of the time before TIFF 6: lowest bit first, codes grow one later
	done bool

	width, next, last int // of a code; the next to be given out; the one before, -1 behind a clear
	prefix            [4096]uint16
	suffix, first     [4096]byte
	length            [4096]uint16
	spelt             [4096]byte
	pending           []byte // the end of spelt that is still to be handed out
}

const (
	lzwClear = 256
	lzwEnd   = 257
)

func newLZW() *lzwReader {
	z := new(lzwReader)
	for i := range 256 {
		z.suffix[i], z.first[i], z.length[i] = byte(i), byte(i), 1
	}
	return z
}

// reset takes up other data.
func (z *lzwReader) reset(data []byte) {
	z.data, z.at, z.done, z.pending = data, 0, false, nil
	z.width, z.next, z.last = 9, 258, -1
	z.old = len(data) >= 2 && data[0] == 0 && data[1]&1 == 1
}

func (z *lzwReader) code() (int, bool) {
	if len(z.data)*8-z.at < z.width {
		return 0, false
	}
	v, k := 0, z.at>>3
	for i := range 3 {
		if k+i < len(z.data) {
			if z.old {
				v |= int(z.data[k+i]) << (8 * i)
			} else {
				v |= int(z.data[k+i]) << (16 - 8*i)
			}
		}
	}
	shift := z.at & 7
	if !z.old {
		shift = 24 - shift - z.width
	}
	z.at += z.width
	return v >> shift & (1<<z.width - 1), true
}

func (z *lzwReader) Read(p []byte) (int, error) {
	n := 0
	for n < len(p) {
		if len(z.pending) == 0 {
			if z.done {
				break
			}
			if err := z.step(); err != nil {
				return n, err
			}
			continue
		}
		k := copy(p[n:], z.pending)
		n, z.pending = n+k, z.pending[k:]
	}
	if n == 0 && len(p) > 0 {
		return 0, io.EOF
	}
	return n, nil
}

// step reads one code.
func (z *lzwReader) step() error {
	code, ok := z.code()
	switch {
	case !ok, code == lzwEnd:
		z.done = true
		return nil
	case code == lzwClear:
		z.width, z.next, z.last = 9, 258, -1
		return nil
	case code > z.next, code == z.next && (z.last < 0 || z.next > 4095), z.last < 0 && code > 255:
		return FormatError("an LZW code that was not given out")
	}
	if z.last >= 0 && z.next < 4096 {
		z.prefix[z.next] = uint16(z.last)
		z.first[z.next] = z.first[z.last]
		z.length[z.next] = z.length[z.last] + 1
		z.suffix[z.next] = z.first[code] // of itself, if code is the new one
		if code == z.next {
			z.suffix[code] = z.first[z.last]
		}
		z.next++
	}
	end := z.next
	if !z.old {
		end++
	}
	if end >= 1<<z.width && z.width < 12 {
		z.width++
	}
	n := int(z.length[code])
	for i, c := n-1, code; i >= 0; i, c = i-1, int(z.prefix[c]) {
		z.spelt[i] = z.suffix[c]
	}
	z.pending, z.last = z.spelt[:n], code
	return nil
}

// packBits unpacks bytes, of which some stand for a repeated one.
type packBits struct {
	data   []byte
	copied int // bytes to hand out as they are
	again  int // times to repeat the next byte
}

func (z *packBits) Read(p []byte) (int, error) {
	n := 0
	for n < len(p) && len(z.data) > 0 {
		switch {
		case z.copied > 0:
			k := copy(p[n:min(len(p), n+z.copied)], z.data)
			n, z.copied, z.data = n+k, z.copied-k, z.data[k:]
		case z.again > 0:
			for ; z.again > 0 && n < len(p); z.again-- {
				p[n] = z.data[0]
				n++
			}
			if z.again == 0 {
				z.data = z.data[1:]
			}
		default:
			switch c := int(int8(z.data[0])); {
			case c >= 0:
				z.copied = c + 1
			case c > -128:
				z.again = 1 - c
			}
			z.data = z.data[1:]
		}
	}
	if n == 0 && len(p) > 0 {
		return 0, io.EOF
	}
	return n, nil
}
