// Package device is where arrays live and what computes on them.
//
// Upper floors hold an [Array], which they cannot look into, and call a [Device],
// which has one operation for what a layer does. Values cross between the host and
// a device by [Lift] and [Lower], and by Up and Down of [Memory], nowhere else. The
// CPU is a device whose memory is the host's: there, crossing costs nothing.
package device

import (
	"fmt"
	"unsafe"
)

// Type is what an array holds.
type Type uint8

const (
	Float32  Type = iota
	BFloat16      // activations only
	Float64       // sums and statistics
	Int32         // where rows are
	Uint8         // places within a window
)

var types = [...]struct {
	name string
	size int
}{{"float32", 4}, {"bfloat16", 2}, {"float64", 8}, {"int32", 4}, {"uint8", 1}}

func (t Type) String() string { return types[t].name }

// Size returns the bytes of an element.
func (t Type) Size() int { return types[t].size }

// Array is a run of numbers in the memory of a device. The zero Array is none: it
// stands for an operand that is absent.
type Array struct {
	host unsafe.Pointer // the first element, or nil: it is not in the host's memory
	addr uintptr        // the first element, in memory of another device
	n    int
	t    Type
}

// At is the array of n elements at an address of a device's own memory, for those
// who implement one.
func At(addr uintptr, t Type, n int) Array {
	if n == 0 {
		return Array{}
	}
	return Array{addr: addr, n: n, t: t}
}

// Of is the array that x holds, in the host's memory.
func Of(x []float32) Array { return of(x, Float32) }

func of[T any](x []T, t Type) Array {
	if len(x) == 0 {
		return Array{}
	}
	return Array{host: unsafe.Pointer(&x[0]), n: len(x), t: t}
}

// Len returns the number of elements, Type what they are, and Addr what [At] was
// given.
func (a Array) Len() int      { return a.n }
func (a Array) Type() Type    { return a.t }
func (a Array) Addr() uintptr { return a.addr }

// None says that there is no array.
func (a Array) None() bool { return a.n == 0 }

// Slice returns elements [from, to).
func (a Array) Slice(from, to int) Array {
	if from < 0 || to < from || to > a.n {
		panic(fmt.Sprintf("device: elements %d to %d of an array of %d", from, to, a.n))
	}
	if from == to {
		return Array{}
	}
	off := from * a.t.Size()
	b := Array{n: to - from, t: a.t}
	if a.host != nil {
		b.host = unsafe.Add(a.host, off)
	} else {
		b.addr = a.addr + uintptr(off)
	}
	return b
}

// As returns the same memory as numbers of another type, as many as there is room for.
func (a Array) As(t Type) Array {
	a.n, a.t = a.n*a.t.Size()/t.Size(), t
	if a.n == 0 {
		return Array{}
	}
	return a
}

// Same says that both arrays start at the same place.
func (a Array) Same(b Array) bool { return a.host == b.host && a.addr == b.addr }

// Host returns the values themselves of an array of float32 in the host's memory;
// of another it panics. It is for those who compute on the host: upper floors
// cross by [Lift] and [Lower].
func (a Array) Host() []float32 { return CPU{}.f32(a) }

// Lift brings x to a device: gradients of embeddings. room keeps the memory for the next
// time; on the CPU the array is x itself, and where x was sent [Ahead] its twin.
func Lift(d Device, room *Array, x []float32) Array { return LiftAs(d, room, Float32, x) }

// LiftAs is Lift for a batch's views. They become numbers of type t, unless they are on the
// device already.
func LiftAs(d Device, room *Array, t Type, x []float32) Array {
	if d.Shared() || len(x) == 0 {
		return Of(x)
	}
	if s, ok := d.(Ahead); ok {
		if a, ok := s.Sent(x); ok {
			return a
		}
	}
	a := Room(d, room, t, len(x))
	d.Up(a, x)
	return a
}

// LiftPart is LiftAs for x[from:to], where x is what may be on the device already.
func LiftPart(d Device, room *Array, t Type, x []float32, from, to int) Array {
	if s, ok := d.(Ahead); ok {
		if a, ok := s.Sent(x); ok {
			part := Room(d, room, Float32, to-from)
			d.Copy(part, a.Slice(from, to)) // operations want arrays that begin as those of Alloc do
			return part
		}
	}
	return LiftAs(d, room, t, x[from:to])
}

// LiftInts is Lift for numbers of rows.
func LiftInts(d Device, room *Array, x []int32) Array {
	if d.Shared() || len(x) == 0 {
		return of(x, Int32)
	}
	a := Room(d, room, Int32, len(x))
	d.UpInts(a, x)
	return a
}

// Lower brings a to the host, to be read: embeddings, features, parameters. room
// keeps the memory for the next time; on the CPU the values are a itself, if it is of
// float32.
func Lower(d Device, room *[]float32, a Array) []float32 {
	if d.Shared() && a.t == Float32 {
		return a.Host()
	}
	if cap(*room) < a.n {
		*room = make([]float32, a.n)
	}
	x := (*room)[:a.n]
	d.Down(x, a)
	return x
}

// Room returns n elements of room, which is made anew if it is too small.
func Room(d Device, room *Array, t Type, n int) Array {
	if room.n < n || room.t != t {
		d.Free(*room)
		*room = d.Alloc(t, n)
	}
	return room.Slice(0, n)
}
