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
)

// Device is such a device. Ups and Downs count the crossings so far.
type Device struct {
	device.CPU
	Ups, Downs int

	mu   sync.Mutex // held while the memory is open
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
func New() *Device {
	d := &Device{mem: reserve(size), free: map[int][]uintptr{}}
	d.CPU = device.Reaching(d.reach)
	protect(d.mem, false)
	return d
}

// Close gives the memory back.
func (d *Device) Close() { release(d.mem) }

func (d *Device) Name() string { return "far" }

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
	need := bytes(t, n)
	if old := d.free[need]; len(old) > 0 {
		at := old[len(old)-1]
		d.free[need] = old[:len(old)-1]
		clear(d.mem[at-d.base():][:need])
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
	d.reach(a)
	need := bytes(a.Type(), a.Len())
	mem := d.mem[a.Addr()-d.base():][:need]
	for i := range mem {
		mem[i] = 0xff
	}
	d.free[need] = append(d.free[need], a.Addr())
}

func (d *Device) Up(a device.Array, x []float32) {
	defer d.open()()
	d.Ups++
	d.CPU.Up(a, x)
}

func (d *Device) UpInts(a device.Array, x []int32) {
	defer d.open()()
	d.CPU.UpInts(a, x)
}

func (d *Device) Down(x []float32, a device.Array) {
	defer d.open()()
	d.Downs++
	d.CPU.Down(x, a)
}

var _ device.Device = (*Device)(nil)
