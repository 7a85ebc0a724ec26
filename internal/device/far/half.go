package far

import (
	"fmt"
	"math"
	"unsafe"

	"vicreg/internal/device"
)

// call is an operation under way: the CPU works on float32 copies of such arrays, and what it
// wrote is rounded when the operation ends. An array that no operation may get as bfloat16
// goes to the CPU as it is, which panics.
type call struct {
	d      *Device
	shut   func()
	copies []copied
}

// copied is an array of bfloat16 and what stands for it.
type copied struct {
	half, full device.Array
	written    bool
}

// begin opens the memory for an operation, until what it returns ends.
func (d *Device) begin() *call { return &call{d: d, shut: d.open()} }

// read returns an array for the CPU to read.
func (c *call) read(a device.Array) device.Array { return c.full(a, false) }

// write returns one to write to, wholly or in part.
func (c *call) write(a device.Array) device.Array { return c.full(a, true) }

func (c *call) full(a device.Array, written bool) device.Array {
	if a.None() || a.Type() != device.BFloat16 {
		return a
	}
	for i := range c.copies {
		if k := &c.copies[i]; k.half.Same(a) {
			if k.half.Len() != a.Len() {
				panic(fmt.Sprintf("far: an operation has %d and %d elements of one array", k.half.Len(), a.Len()))
			}
			k.written = k.written || written
			return k.full
		}
	}
	k := copied{half: a, full: c.d.take(device.Float32, a.Len()), written: written}
	from, to, low := c.bits(k)
	for i, h := range from {
		b := uint32(h) << 16
		if low != nil {
			b |= uint32(low[i])
		}
		to[i] = math.Float32frombits(b)
	}
	c.copies = append(c.copies, k)
	return k.full
}

// end rounds what was written, to the nearest and of two equally near to the even.
func (c *call) end() {
	for _, k := range c.copies {
		if k.written {
			to, from, low := c.bits(k)
			for i, v := range from {
				b := math.Float32bits(v)
				switch {
				case low != nil:
					low[i] = uint16(b)
				case v != v:
					b |= 1 << 22
				default:
					b += 0x7fff + b>>16&1
				}
				to[i] = uint16(b >> 16)
			}
		}
		c.d.give(k.full)
	}
	c.shut()
}

// bits returns the numbers of both, and the lower halves of those that lose nothing.
func (c *call) bits(k copied) (half []uint16, full []float32, low []uint16) {
	n := k.half.Len()
	if c.d.low != nil {
		at := &c.d.low[k.half.Addr()-c.d.base()]
		low = unsafe.Slice((*uint16)(unsafe.Pointer(at)), n)
	}
	return unsafe.Slice((*uint16)(c.d.reach(k.half)), n), unsafe.Slice((*float32)(c.d.reach(k.full)), n), low
}

// The operands that are read and written together.

func (c *call) source(s device.Source) device.Source {
	s.X = c.read(s.X)
	return s
}

func (c *call) grad(g device.Grad) device.Grad {
	g.D, g.Y = c.read(g.D), c.read(g.Y)
	return g
}

func (c *call) finish(f device.Finish) device.Finish {
	f.Add, f.Mask, f.Dot = c.read(f.Add), c.source(f.Mask), c.read(f.Dot)
	return f
}

func (c *call) rowFinish(f device.RowFinish) device.RowFinish {
	f.U, f.X, f.Add = c.write(f.U), c.write(f.X), c.read(f.Add)
	return f
}

func (c *call) mat(m device.Mat) device.Mat {
	m.Data = c.read(m.Data)
	return m
}
