package imagefile

import (
	"encoding/binary"
	"math/bits"
)

// What follows goes over the coded pixels of a JPEG without decoding them (ITU-T T.81,
// annexes F and G), about eight times as fast as a decoder, and refuses whatever is not
// as an encoder writes it: a code that stands for nothing, a coefficient behind the last,
// bits that are missing or left over. Decoders make different pictures of these, or none.

// huffman is a table of codes.
type huffman struct {
	counts [16]int // of codes of 1 to 16 bits
	values []byte

	look  [1 << lookBits]entry
	from  [17]uint32 // of codes of so many bits, the first,
	below [17]uint32 // the first that is none,
	index [17]int    // and where the values of the first are
	of    kind
	built bool
}

// entry is what a code means: from the lowest, a byte each, the bits of code and number
// together, how many coefficients it goes on, and its symbol; 0: no code, or a long one.
type entry uint32

func (e entry) bits() int   { return int(e & 255) }
func (e entry) step() int   { return int(e >> 8 & 255) }
func (e entry) symbol() int { return int(e >> 16) }

const lookBits = 10

// end is the step to the end of a block.
const end = 128

// kind is what a table is read for.
type kind uint8

const (
	differences  kind = iota // of DC
	coefficients             // of a sequential file
	firstBits                // of coefficients of a progressive file
	nextBits                 // likewise
)

// ready builds a table that the file has, if it was not built for that kind.
func (h *huffman) ready(of kind) bool {
	if h.built && h.of == of {
		return true
	}
	h.built = h.values != nil && h.build(of)
	return h.built
}

// build fills in the table for a kind. It returns false if the codes do not fit.
func (h *huffman) build(of kind) bool {
	clear(h.look[:])
	h.of = of
	code, at := uint32(0), 0
	for i, n := range h.counts {
		length := i + 1
		h.from[length], h.index[length] = code, at
		for range n {
			if code>>length != 0 || of == differences && h.values[at] > 15 {
				return false
			}
			if length <= lookBits {
				e := h.entry(length, h.values[at])
				first := code << (lookBits - length)
				for k := range uint32(1) << (lookBits - length) {
					h.look[first+k] = e
				}
			}
			code, at = code+1, at+1
		}
		if code>>length != 0 { // no code may be ones alone
			return false
		}
		h.below[length] = code
		code <<= 1
	}
	return true
}

// entry returns what a code of some bits stands for, and nothing of what no encoder of
// 8-bit samples writes.
func (h *huffman) entry(length int, symbol byte) entry {
	run, size := int(symbol>>4), int(symbol&15)
	bits, step := length+size, run+1
	switch {
	case h.of == differences:
		if symbol > 11 {
			return 0
		}
	case size == 0 && run == 15:
		step = 16
	case h.of == coefficients:
		if size == 0 && run == 0 {
			step = end
		} else if size == 0 || size > 10 {
			return 0
		}
	case size == 0:
		step = end
	case h.of == firstBits && size > 10, h.of == nextBits && size > 1:
		return 0
	}
	return entry(bits | step<<8 | int(symbol)<<16)
}

// long finds a code that the quick table does not hold.
func (h *huffman) long(next uint64) entry {
	for length := lookBits + 1; length <= 16; length++ {
		code := uint32(next >> (64 - length))
		if h.from[length] <= code && code < h.below[length] {
			return h.entry(length, h.values[h.index[length]+int(code-h.from[length])])
		}
	}
	return 0
}

// find returns what the next code means.
func (h *huffman) find(next uint64) entry {
	if e := h.look[next>>(64-lookBits)]; e != 0 {
		return e
	}
	return h.long(next)
}

// coded reads bits up to the next marker.
type coded struct {
	data  []byte
	at    int
	next  uint64 // bits, the first one highest
	n     int    // how many
	zeros int    // of them, those behind the end
}

// fill sees to it that there are 56 bits, if need be zeros behind the end.
func (c *coded) fill() {
	if c.at+8 <= len(c.data) {
		v := binary.BigEndian.Uint64(c.data[c.at:])
		const ones, high = 0x0101010101010101, 0x8080808080808080
		if (^v-ones)&v&high == 0 { // no byte of it is 0xff
			c.next |= v >> c.n
			c.at += (63 - c.n) >> 3
			c.n |= 56
			return
		}
	}
	for c.n <= 56 {
		b := byte(0)
		switch {
		case c.at >= len(c.data), c.data[c.at] == 0xff && (c.at+1 >= len(c.data) || c.data[c.at+1] != 0):
			c.zeros += 8
		default:
			if b = c.data[c.at]; b == 0xff {
				c.at++
			}
			c.at++
		}
		c.next |= uint64(b) << (56 - c.n)
		c.n += 8
	}
}

// skip goes over some bits, 32 at most.
func (c *coded) skip(n int) {
	if c.n < 32 {
		c.fill()
	}
	c.next <<= n
	c.n -= n
}

// take returns some bits, 16 at most.
func (c *coded) take(n int) int {
	if c.n < 32 {
		c.fill()
	}
	v := int(c.next >> 1 >> (63 - n))
	c.next <<= n
	c.n -= n
	return v
}

// done reports whether all bits up to the marker were read but those that fill a byte, and
// makes ready for what follows a marker of restart.
func (c *coded) done() bool {
	left := c.n - c.zeros
	c.next, c.n, c.zeros = 0, 0, 0
	if left < 0 || left >= 8 || c.at+1 >= len(c.data) {
		return false
	}
	marker := c.data[c.at+1]
	return c.data[c.at] == 0xff && marker != 0 && marker != 0xff
}

// restart goes over a marker of restart, that of the given number.
func (c *coded) restart(number int) bool {
	ok := c.done() && int(c.data[c.at+1]) == 0xd0+number&7
	c.at += 2
	return ok
}

// mean is what the means of a part's blocks come to, which are told by differences.
type mean struct{ at, most int }

// add goes over the difference to the next mean, of which the lowest bits are still to come.
// A mean far beyond black or white overflows in one decoder and not in another.
func (c *coded) add(dc *huffman, m *mean, low int) bool {
	if c.n < 32 {
		c.fill()
	}
	e := dc.find(c.next)
	if e == 0 {
		return false
	}
	size := e.symbol()
	v := int(c.next << (e.bits() - size) >> 1 >> (63 - size))
	if v < 1<<size>>1 {
		v -= 1<<size - 1
	}
	c.next <<= e & 63
	c.n -= e.bits()
	m.at += v << low
	return m.at <= m.most && m.at >= -m.most
}

// block goes over a block of a sequential file.
func (c *coded) block(dc, ac *huffman, m *mean) bool {
	if !c.add(dc, m, 0) {
		return false
	}
	next, n := c.next, c.n
	k := 1
	for k < 64 {
		if n < 32 {
			c.next, c.n = next, n
			c.fill()
			next, n = c.next, c.n
		}
		e := ac.look[next>>(64-lookBits)]
		if e == 0 {
			if e = ac.long(next); e == 0 {
				return false
			}
		}
		next <<= e & 63
		n -= e.bits()
		k += e.step()
	}
	c.next, c.n = next, n
	return k == 64 || k >= end
}

// first goes over the first bits of some coefficients of a block of a progressive file,
// and notes which are not zero. run is how many blocks have no more of them.
func (c *coded) first(ac *huffman, mask *uint64, from, to, low int, run *int) bool {
	if *run > 0 {
		*run--
		return true
	}
	for k := from; k <= to; {
		if c.n < 32 {
			c.fill()
		}
		e := ac.find(c.next)
		if e == 0 {
			return false
		}
		c.skip(e.bits())
		if e.step() == end {
			r := e.symbol() >> 4
			*run = 1<<r + c.take(r) - 1
			return true
		}
		k += e.step()
		if k > to+1 || e.symbol()&15+low > 10 {
			return false
		}
		if e.symbol()&15 > 0 {
			*mask |= 1 << (k - 1)
		}
	}
	return true
}

// refine goes over another bit of some coefficients of a block. run is as for first.
func (c *coded) refine(ac *huffman, mask *uint64, from, to int, run *int) bool {
	band := ^uint64(0) >> (63 - to)
	k := from
	for *run == 0 && k <= to {
		if c.n < 32 {
			c.fill()
		}
		e := ac.find(c.next)
		if e == 0 {
			return false
		}
		c.skip(e.bits())
		if e.step() == end {
			r := e.symbol() >> 4
			*run = 1<<r + c.take(r)
			break
		}
		// The run counts coefficients that were zero; each that was not has a bit here.
		zeros := ^*mask & band &^ (1<<k - 1)
		for range e.symbol() >> 4 {
			zeros &= zeros - 1
		}
		if zeros == 0 {
			return false
		}
		at := bits.TrailingZeros64(zeros)
		c.corrections(*mask & (1<<at - 1) &^ (1<<k - 1))
		if e.symbol()&15 > 0 {
			*mask |= 1 << at
		}
		k = at + 1
	}
	if *run > 0 {
		*run--
		if k <= to {
			c.corrections(*mask & band &^ (1<<k - 1))
		}
	}
	return true
}

// corrections goes over a bit for each coefficient.
func (c *coded) corrections(of uint64) {
	n := bits.OnesCount64(of)
	for ; n > 32; n -= 32 {
		c.skip(32)
	}
	c.skip(n)
}
