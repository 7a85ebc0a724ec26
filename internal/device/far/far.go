// Package far is a device for tests. It computes as the CPU does, but its memory is
// its own: the host cannot touch it between operations, and what the host holds
// means nothing to it. So whoever passes values by another way than the named ones
// fails at once, where on the CPU nothing would be seen.
package far

import (
	"fmt"
	"sync"
	"unsafe"

	"vicreg/internal/device"
	"vicreg/internal/kernel/shape"
)

// Device is such a device. Ups and Downs count the crossings so far, Held the arrays that
// have not been given back, Met how often values were asked for that had been sent ahead,
// Calls all that it was asked for. At call FailAt, from 1, it fails with Fault, and from
// then on at every call if it is Lost.
type Device struct {
	device.CPU
	Ups, Downs, Held, Met int

	Calls, FailAt int
	Fault         error
	Lost          bool

	act  device.Type // of activations, of a network that multiplies bfloat16
	low  []byte      // what bfloat16 has no room for, of the number at the same place; or nil
	mu   sync.Mutex  // held while the memory is open
	mem  []byte
	used int
	free map[int][]uintptr // by size

	aside sync.Mutex // guards held, by where it begins
	held  map[*float32]*held
}

const (
	size = 1 << 28
	line = 64
)

// New returns a device with memory of its own.
func New() *Device { return of(device.Float32) }

// NewHalf returns one that stores the activations of networks which multiply bfloat16 as
// such. It computes on them as the CPU does on the float32 that they stand for.
func NewHalf() *Device { return of(device.BFloat16) }

// NewExact returns one that stores them so and yet loses nothing: it computes the bits of
// a device that stores float32, if whoever wrote an array is the one whose numbers are
// read.
func NewExact() *Device {
	d := NewHalf()
	d.low = make([]byte, size)
	return d
}

func of(act device.Type) *Device {
	d := &Device{act: act, mem: reserve(size), free: map[int][]uintptr{}}
	d.CPU = device.Reaching(d.reach)
	protect(d.mem, false)
	return d
}

// Close gives the memory back.
func (d *Device) Close() { release(d.mem) }

func (d *Device) Name() string { return "far" }

func (d *Device) Activations(p device.Precision) device.Type {
	if p == shape.BF16 {
		return d.act
	}
	return device.Float32
}

func (d *Device) base() uintptr { return uintptr(unsafe.Pointer(unsafe.SliceData(d.mem))) }

// reach returns the first element of an array, of this device's memory.
func (d *Device) reach(a device.Array) unsafe.Pointer {
	off := a.Addr() - d.base()
	if a.Addr() == 0 || off >= uintptr(d.used) {
		panic(fmt.Sprintf("far: an array of %d of %s that is not this device's: it was not brought here", a.Len(), a.Type()))
	}
	return unsafe.Pointer(&d.mem[off])
}

// open lets the CPU at the memory until what it returns is called.
func (d *Device) open() (shut func()) {
	d.mu.Lock()
	if d.Calls++; d.FailAt > 0 && (d.Calls == d.FailAt || d.Lost && d.Calls > d.FailAt) {
		d.mu.Unlock()
		panic(device.Failure{Err: d.Fault})
	}
	protect(d.mem, true)
	return func() {
		protect(d.mem, false)
		d.mu.Unlock()
	}
}

func bytes(t device.Type, n int) int { return (n*t.Size() + line - 1) / line * line }

func (d *Device) Alloc(t device.Type, n int) device.Array {
	defer d.open()()
	if n == 0 {
		return device.Array{}
	}
	d.Held++
	return d.take(t, n)
}

// take is Alloc with the memory open.
func (d *Device) take(t device.Type, n int) device.Array {
	need := bytes(t, n)
	if old := d.free[need]; len(old) > 0 {
		at := old[len(old)-1]
		d.free[need] = old[:len(old)-1]
		clear(d.mem[at-d.base():][:need])
		if d.low != nil {
			clear(d.low[at-d.base():][:need])
		}
		return device.At(at, t, n)
	}
	if d.used+need > len(d.mem) {
		panic(fmt.Sprintf("far: %d bytes more than the %d there are", need, len(d.mem)-d.used))
	}
	at := d.base() + uintptr(d.used)
	d.used += need
	return device.At(at, t, n)
}

// Free poisons the array: as floats its bytes are no numbers.
func (d *Device) Free(a device.Array) {
	if a.None() {
		return
	}
	defer d.open()()
	d.Held--
	d.give(a)
}

// give is Free with the memory open.
func (d *Device) give(a device.Array) {
	d.reach(a)
	need := bytes(a.Type(), a.Len())
	mem := d.mem[a.Addr()-d.base():][:need]
	for i := range mem {
		mem[i] = 0xff
	}
	d.free[need] = append(d.free[need], a.Addr())
}

func (d *Device) Up(a device.Array, x []float32) {
	c := d.begin()
	defer c.end()
	d.Ups++
	d.CPU.Up(c.write(a), x)
}

func (d *Device) UpInts(a device.Array, x []int32) {
	defer d.open()()
	d.CPU.UpInts(a, x)
}

func (d *Device) Down(x []float32, a device.Array) {
	c := d.begin()
	defer c.end()
	d.Downs++
	d.CPU.Down(x, c.read(a))
}

func (d *Device) UpWide(a device.Array, x []float64) {
	defer d.open()()
	d.CPU.UpWide(a, x)
}

func (d *Device) DownWide(x []float64, a device.Array) {
	defer d.open()()
	d.CPU.DownWide(x, a)
}

var _ device.Device = (*Device)(nil)
