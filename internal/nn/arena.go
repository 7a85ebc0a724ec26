package nn

import (
	"fmt"

	"vicreg/internal/device"
)

// Arena lends the large buffers of passes. Activations are given back in the reverse of
// the order they were made in, and gradients then take their place. An arena keeps all
// memory it ever got. It lends in an order that depends on nothing but the sequence of
// calls, so that the same step finds the same buffers again. Views and inference share
// one arena. It is not safe for concurrent use.
//
// The arena says which device its passes compute on. The zero Arena is ready for the
// CPU.
type Arena struct {
	dev    device.Device
	chunks []*chunk
	total  int // bytes in all chunks
	lent   int
	peak   int
}

// chunk is a run of memory cut into spans, in order and without gaps. A span may be lent
// as an array of any type.
type chunk struct {
	mem   device.Array // of Float32
	spans []span
	away  bool // its owner has it back
	owned bool // by the arena
}

// span is n bytes from off.
type span struct {
	off, n int
	used   bool
}

// In bytes.
const (
	line     = 64      // of the host's cache: where its buffers begin
	farLine  = 256     // where those of other devices do
	bigChunk = 1 << 26 // a chunk is larger only if one buffer is
	minChunk = 1 << 18
)

// NewArena returns an arena on a device.
func NewArena(d device.Device) *Arena { return &Arena{dev: d} }

// Device returns where the arena's memory is.
func (a *Arena) Device() device.Device {
	if a.dev == nil {
		a.dev = device.Local
	}
	return a.dev
}

// Line returns what buffers on a device begin at multiples of, in bytes.
func Line(d device.Device) int {
	if d.Shared() {
		return line
	}
	return farLine
}

// round returns the bytes that a buffer of so many takes.
func (a *Arena) round(bytes int) int {
	unit := Line(a.Device())
	return (bytes + unit - 1) / unit * unit
}

// Reserve gets so many bytes in one piece if the arena has none yet. In one piece buffers
// of all sizes find room after each other, which they do not in many.
func (a *Arena) Reserve(bytes int) {
	if a.total == 0 && bytes > 0 {
		a.add(a.round(bytes))
	}
}

func (a *Arena) add(bytes int) *chunk {
	c := &chunk{mem: a.Device().Alloc(device.Float32, bytes/4), spans: []span{{0, bytes, false}}, owned: true}
	a.chunks = append(a.chunks, c)
	a.total += bytes
	return c
}

// Get lends a buffer of n numbers, which hold any values.
func (a *Arena) Get(t device.Type, n int) device.Array {
	if n == 0 {
		return device.Array{}
	}
	size := a.round(n * t.Size())
	a.lent += size
	a.peak = max(a.peak, a.lent)
	for _, c := range a.chunks {
		if c.away {
			continue
		}
		if b := c.get(size, t, n); !b.None() {
			return b
		}
	}
	// Memory that is never touched costs nothing, so a chunk may be generous.
	c := a.add(max(size, min(bigChunk, max(minChunk, a.total))))
	return c.get(size, t, n)
}

// adopt adds memory of float32 that its owner lends to the arena from time to time. At
// first it is away.
func (a *Arena) adopt(mem device.Array) *chunk {
	unit := a.round(1)
	c := &chunk{mem: mem, spans: []span{{0, mem.Len() * 4 / unit * unit, false}}, away: true}
	a.chunks = append(a.chunks, c)
	return c
}

// Close gives the memory that the arena got back to the device. Nothing may be lent.
func (a *Arena) Close() {
	if a.lent != 0 {
		panic(fmt.Sprintf("nn: an arena is given back while %d bytes are lent", a.lent))
	}
	for _, c := range a.chunks {
		if c.owned {
			a.Device().Free(c.mem)
		}
	}
	a.chunks, a.total = nil, 0
}

// Put takes a buffer back. It may have been shortened, but must start where it
// started when lent.
func (a *Arena) Put(b device.Array) {
	if b.None() {
		return
	}
	for _, c := range a.chunks {
		for i := range c.spans {
			if s := &c.spans[i]; s.used && c.mem.Slice(s.off/4, s.off/4+1).Same(b) {
				a.lent -= s.n
				c.free(i)
				return
			}
		}
	}
	panic(fmt.Sprintf("nn: a buffer of %d of %s was not lent by this arena", b.Len(), b.Type()))
}

// Lent and Peak return the bytes lent now, and the most there ever were.
func (a *Arena) Lent() int { return a.lent }
func (a *Arena) Peak() int { return a.peak }

// get takes the first free span that holds size bytes, as n numbers, or returns none.
func (c *chunk) get(size int, t device.Type, n int) device.Array {
	for i := range c.spans {
		s := c.spans[i]
		if s.used || s.n < size {
			continue
		}
		if s.n > size {
			c.spans = append(c.spans, span{})
			copy(c.spans[i+2:], c.spans[i+1:])
			c.spans[i+1] = span{s.off + size, s.n - size, false}
		}
		c.spans[i] = span{s.off, size, true}
		from := s.off / t.Size()
		return c.mem.As(t).Slice(from, from+n)
	}
	return device.Array{}
}

// empty reports whether nothing of the chunk is lent.
func (c *chunk) empty() bool { return len(c.spans) == 1 && !c.spans[0].used }

// free frees span i and joins it with free neighbours.
func (c *chunk) free(i int) {
	c.spans[i].used = false
	if i+1 < len(c.spans) && !c.spans[i+1].used {
		c.join(i)
	}
	if i > 0 && !c.spans[i-1].used {
		c.join(i - 1)
	}
}

// join makes one span of spans i and i+1.
func (c *chunk) join(i int) {
	c.spans[i].n += c.spans[i+1].n
	c.spans = append(c.spans[:i+1], c.spans[i+2:]...)
}
