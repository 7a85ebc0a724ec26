package vorbis

import (
	"errors"
	"fmt"
	"math"
	"math/bits"
)

// codebook turns codewords into entries, and entries into vectors (section 3).
type codebook struct {
	dims    int
	entries int
	values  []float32  // entries × dims; nil if it has scalars alone
	tree    [][2]int32 // nodes, the root first; a child below 0 is ^entry
	fast    []branch   // where the first bits of a codeword lead
	fastLen uint
}

// branch is where some bits lead in the tree.
type branch struct {
	to  int32 // a node, or ^entry
	len uint8 // bits
}

// maxValues bounds the entries, and the numbers of all vectors, of the codebooks of
// a stream. Encoders have some 100,000 at most.
const maxValues = 1 << 20

var errRoom = fmt.Errorf("its setup header asks for codebooks of more than %d numbers", maxValues)

var errSetup = errors.New("its setup header is wrong")

// readCodebook reads one of the codebooks; room is what is left of maxValues.
func readCodebook(b *reader, room *int) (codebook, error) {
	var c codebook
	if b.read(24) != 0x564342 {
		return c, errSetup
	}
	c.dims, c.entries = b.int(16), b.int(24)
	if *room -= c.entries; *room < 0 && !b.over {
		return c, errRoom
	}
	if b.over || bits.Len(uint(c.dims))+bits.Len(uint(c.entries)) > 24 {
		return c, errSetup
	}
	lengths, err := readLengths(b, c.entries)
	if err != nil {
		return c, err
	}
	if err := c.grow(lengths); err != nil {
		return c, err
	}
	kind := b.read(4)
	if kind == 0 {
		return c, nil
	}
	low, step := unpack(b.read(32)), unpack(b.read(32))
	width := uint(b.int(4) + 1)
	sequence := b.flag()
	if *room -= c.entries * c.dims; *room < 0 && !b.over {
		return c, errRoom
	}
	if b.over || kind > 2 || c.dims == 0 || c.entries == 0 {
		return c, errSetup
	}
	n := c.entries * c.dims
	if kind == 1 {
		n = root(c.entries, c.dims)
	}
	factors := make([]float32, n)
	for i := range factors {
		factors[i] = float32(b.read(width))
	}
	if b.over {
		return c, errSetup
	}
	c.values = make([]float32, c.entries*c.dims)
	for e := range c.entries {
		last, rest := float32(0), e
		for i := range c.dims {
			at := e*c.dims + i
			k := at
			if kind == 1 {
				k = rest % n
				rest /= n
			}
			c.values[at] = factors[k]*step + low + last
			if sequence {
				last = c.values[at]
			}
		}
	}
	return c, nil
}

// readLengths reads the length of each entry's codeword, 0 for those that are not
// used.
func readLengths(b *reader, entries int) ([]uint8, error) {
	if ordered := b.flag(); ordered {
		lengths := make([]uint8, 0, entries)
		for length := b.int(5) + 1; len(lengths) < entries; length++ {
			n := b.int(uint(bits.Len(uint(entries - len(lengths)))))
			if b.over || length > 32 || n > entries-len(lengths) {
				return nil, errSetup
			}
			for range n {
				lengths = append(lengths, uint8(length))
			}
		}
		return lengths, nil
	}
	lengths := make([]uint8, entries)
	sparse := b.flag()
	for i := range lengths {
		if !sparse || b.flag() {
			lengths[i] = uint8(b.int(5) + 1)
		}
		if b.over {
			return nil, errSetup
		}
	}
	return lengths, nil
}

// grow makes the tree of codewords: each entry in turn takes the lowest that is
// free, and at the end none is.
func (c *codebook) grow(lengths []uint8) error {
	var next [33]uint64 // the lowest free codeword of each length
	codes := make([]uint32, len(lengths))
	used, only := 0, 0
	for i, l := range lengths {
		if l == 0 {
			continue
		}
		used, only = used+1, i
		code := next[l]
		if code>>l != 0 {
			return errSetup // more than fit
		}
		codes[i] = uint32(code)
		for j := int(l); j > 0; j-- {
			if next[j]&1 == 1 { // its neighbour is taken: go on below the parent's
				if j == 1 {
					next[1]++
				} else {
					next[j] = next[j-1] << 1
				}
				break
			}
			next[j]++
		}
		for j := int(l) + 1; j <= 32 && next[j]>>1 == code; j++ { // they hung below it
			code = next[j]
			next[j] = next[j-1] << 1
		}
	}
	switch {
	case used == 0:
		return nil
	case used == 1 && lengths[only] == 1: // one bit of either value
		c.fast = []branch{{^int32(only), 1}, {^int32(only), 1}}
		c.fastLen = 1
		return nil
	}
	for l := 1; l <= 32; l++ {
		if next[l]&(1<<l-1) != 0 {
			return errSetup // some lead nowhere
		}
	}
	c.tree = make([][2]int32, 1, used-1)
	for i, l := range lengths {
		if l == 0 {
			continue
		}
		node := int32(0)
		for j := int(l) - 1; ; j-- {
			child := &c.tree[node][codes[i]>>j&1]
			if j == 0 {
				*child = ^int32(i)
				break
			}
			if *child == 0 {
				*child = int32(len(c.tree))
				c.tree = append(c.tree, [2]int32{})
			}
			node = c.tree[node][codes[i]>>j&1]
		}
	}
	c.fastLen = min(8, uint(bits.Len(uint(used))))
	c.fast = make([]branch, 1<<c.fastLen)
	for i := range c.fast {
		f := &c.fast[i]
		for f.len < uint8(c.fastLen) && f.to >= 0 {
			f.to = c.tree[f.to][i>>f.len&1]
			f.len++
		}
	}
	return nil
}

// entry reads a codeword; -1 if the packet ends first.
func (c *codebook) entry(b *reader) int {
	if b.have < 32 {
		b.fill()
	}
	if len(c.fast) == 0 {
		b.over = true
		return -1
	}
	f := c.fast[b.buf&(1<<c.fastLen-1)]
	if !b.skip(uint(f.len)) {
		return -1
	}
	at := f.to
	for at >= 0 {
		at = c.tree[at][b.buf&1]
		if !b.skip(1) {
			return -1
		}
	}
	return int(^at)
}

// vector reads a codeword of a vector; nil if the packet ends first.
func (c *codebook) vector(b *reader) []float32 {
	e := c.entry(b)
	if e < 0 {
		return nil
	}
	return c.values[e*c.dims:][:c.dims]
}

// root returns the greatest r for which r^dims is at most n (section 9.2.3).
func root(n, dims int) int {
	fits := func(r int) bool {
		if r <= 1 {
			return true
		}
		p := 1
		for range dims {
			if p *= r; p > n {
				return false
			}
		}
		return true
	}
	r := int(math.Pow(float64(n), 1/float64(dims)))
	for fits(r + 1) {
		r++
	}
	for !fits(r) {
		r--
	}
	return r
}

// unpack returns a number of the format of section 9.2.2.
func unpack(x uint32) float32 {
	mantissa := float64(x & 0x1fffff)
	if x&(1<<31) != 0 {
		mantissa = -mantissa
	}
	return float32(math.Ldexp(mantissa, int(x>>21&0x3ff)-788))
}
