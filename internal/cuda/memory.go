package cuda

import (
	"errors"
	"fmt"
	"math"
	"unsafe"

	"vicreg/internal/device"
)

// memory is what the device has of the card's. Pieces that were given back are kept for
// the next array of the same size: a run asks for the same sizes again and again.
type memory struct {
	pieces map[uintptr]int   // bytes of each piece in use
	spare  map[int][]uintptr // by bytes
	slabs  []uintptr         // that small pieces are cut from
	slab   uintptr           // the rest of the newest
	left   int
	held   int // bytes the driver gave
	peak   int // most bytes in use
	used   int
}

const (
	grain    = 256     // bytes; pieces are multiples of it and aligned to it
	small    = 1 << 18 // bytes; pieces up to here are cut from slabs
	slabSize = 1 << 22
)

func (m *memory) init() { m.pieces, m.spare = map[uintptr]int{}, map[int][]uintptr{} }

// get returns bytes of the card's memory.
func (d *Device) get(bytes int) uintptr {
	m := &d.memory
	size := (bytes + grain - 1) / grain * grain
	p := d.find(size)
	m.pieces[p] = size
	m.used += size
	m.peak = max(m.peak, m.used)
	return p
}

func (d *Device) find(size int) uintptr {
	m := &d.memory
	if s := m.spare[size]; len(s) > 0 {
		p := s[len(s)-1]
		m.spare[size] = s[:len(s)-1]
		return p
	}
	if size > small {
		return d.fresh(size)
	}
	if m.left < size {
		m.slab, m.left = d.fresh(slabSize), slabSize
		m.slabs = append(m.slabs, m.slab)
	}
	p := m.slab
	m.slab, m.left = m.slab+uintptr(size), m.left-size
	return p
}

// fresh asks the driver. If the card is full, spare pieces go back first.
func (d *Device) fresh(size int) uintptr {
	p, err := d.driver.Alloc(size)
	var e *Error
	if errors.As(err, &e) && e.OutOfMemory() && d.trim() > 0 {
		p, err = d.driver.Alloc(size)
	}
	d.check(err, fmt.Sprintf("%s beside the %s in use", gib(size), gib(d.memory.used)))
	d.memory.held += size
	return p
}

// trim gives spare large pieces back to the driver and returns their bytes.
func (d *Device) trim() int {
	d.flush()
	m, freed := &d.memory, 0
	for size, s := range m.spare {
		if size <= small {
			continue
		}
		for _, p := range s {
			d.check(d.driver.Free(p), "memory given back")
			freed += size
		}
		delete(m.spare, size)
	}
	m.held -= freed
	return freed
}

// put takes a piece back.
func (d *Device) put(p uintptr) {
	m := &d.memory
	size, ok := m.pieces[p]
	if !ok {
		panic("cuda: memory given back that is not in use")
	}
	delete(m.pieces, p)
	m.used -= size
	m.spare[size] = append(m.spare[size], p)
}

// Used returns the bytes in use, the most there ever were, and what the driver gave.
func (d *Device) Used() (now, peak, held int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.memory.used, d.memory.peak, d.memory.held
}

func (d *Device) Alloc(t device.Type, n int) device.Array {
	if n == 0 {
		return device.Array{}
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	bytes := n * t.Size()
	p := d.get(bytes)
	d.set(p, 0, (bytes+3)/4)
	return device.At(p, t, n)
}

func (d *Device) Free(a device.Array) {
	if a.None() {
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.settle()
	d.dropOf(a.Addr())
	d.await() // it may read or write what is freed
	d.weights.forget(d, a.Addr())
	d.put(a.Addr())
}

// room is memory for what one operation needs for a moment. As operations take effect
// one after the other, all of them share it.
type room struct {
	p     uintptr
	bytes int
}

// What rooms are for.
const (
	forSource = iota // an activation as a product reads it
	forGrad          // a gradient as a product reads it
	forProduct
	forPartials // sums of pieces
	forPieces   // sums of channels, of pieces that whoever reads them adds up
	forCast
	forLoss
	slots
)

// room returns at least so many bytes, with any content.
func (d *Device) room(slot, bytes int) uintptr {
	r := &d.scratch[slot]
	if r.bytes < bytes {
		if r.p != 0 {
			d.put(r.p)
		}
		*r = room{} // in case the card is full
		r.p, r.bytes = d.get(bytes), bytes
	}
	return r.p
}

// staging is page-locked memory of the host that values cross through, two buffers in
// turn.
type staging struct {
	buffers [2][]byte
	done    [2]Event // the card is done with a buffer
	next    int
}

const stagingSize = 1 << 23

// turn returns the next buffer and makes it the other one's turn.
func (s *staging) turn(d *Device) int {
	i := s.next
	s.next = 1 - i
	if s.buffers[i] == nil {
		var err error
		s.buffers[i], err = d.driver.Pin(stagingSize)
		d.check(err, "page-locked memory")
		s.done[i], err = d.driver.NewEvent()
		d.check(err, "an event")
	}
	return i
}

// up copies bytes to the card.
func (d *Device) up(to uintptr, from []byte) {
	d.flush()
	s := &d.rising
	for len(from) > 0 {
		i := s.turn(d)
		d.check(d.driver.WaitEvent(s.done[i]), "a copy to the card")
		n := copy(s.buffers[i], from)
		d.check(d.driver.Upload(Compute, to, s.buffers[i][:n]), "a copy to the card")
		d.check(d.driver.Record(s.done[i], Compute), "a copy to the card")
		to, from = to+uintptr(n), from[n:]
	}
}

// down copies bytes from the card, when all before is done. The device is free for others
// while it waits.
func (d *Device) down(to []byte, from uintptr) {
	s := &d.falling
	type part struct {
		to []byte
		i  int
	}
	var late part // still on its way
	finish := func(p part) {
		if p.to == nil {
			return
		}
		err := d.driver.WaitEvent(s.done[p.i])
		d.mu.Lock()
		d.queue.waited()
		d.mu.Unlock()
		d.check(err, "a copy from the card")
		copy(p.to, s.buffers[p.i])
	}
	for len(to) > 0 {
		n := min(len(to), stagingSize)
		i := d.fall(n, from)
		finish(late)
		late = part{to[:n], i}
		to, from = to[n:], from+uintptr(n)
	}
	finish(late)
}

// fall queues a copy from the card and returns which buffer will have it.
func (d *Device) fall(n int, from uintptr) int {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.settle()
	d.flush()
	s := &d.falling
	i := s.turn(d)
	d.check(d.driver.DownloadLater(Compute, s.buffers[i][:n], from), "a copy from the card")
	d.check(d.driver.Record(s.done[i], Compute), "a copy from the card")
	return i
}

// bytesOf views values as bytes.
func bytesOf[T any](x []T) []byte {
	if len(x) == 0 {
		return nil
	}
	return unsafe.Slice((*byte)(unsafe.Pointer(&x[0])), len(x)*int(unsafe.Sizeof(x[0])))
}

// Up brings values to the card; into an array of bfloat16 they are rounded on the way.
func (d *Device) Up(a device.Array, x []float32) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if a.Len() != len(x) {
		panic(fmt.Sprintf("cuda: %d values for an array of %d", len(x), a.Len()))
	}
	if len(x) == 0 {
		return
	}
	d.weights.changed(a)
	if a.Type() == device.BFloat16 {
		room := device.At(d.room(forCast, 4*len(x)), device.Float32, len(x))
		d.up(room.Addr(), bytesOf(x))
		d.cast(a, room)
		return
	}
	d.f32(a)
	d.up(a.Addr(), bytesOf(x))
}

func (d *Device) UpInts(a device.Array, x []int32) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.i32(a)
	d.up(a.Addr(), bytesOf(x[:a.Len()]))
}

func (d *Device) Down(x []float32, a device.Array) {
	if a.None() {
		return
	}
	d.crossing.Lock()
	defer d.crossing.Unlock()
	x = x[:a.Len()]
	if a.Type() == device.BFloat16 {
		wide := d.Alloc(device.Float32, len(x))
		defer d.Free(wide)
		d.Copy(wide, a)
		a = wide
	}
	d.down(bytesOf(x), uintptr(d.f32(a)))
}

func (d *Device) UpWide(a device.Array, x []float64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.f64(a)
	d.settle() // pieces that are left become what is replaced
	d.up(a.Addr(), bytesOf(x[:a.Len()]))
}

func (d *Device) DownWide(x []float64, a device.Array) {
	if a.None() {
		return
	}
	d.crossing.Lock()
	defer d.crossing.Unlock()
	d.down(bytesOf(x[:a.Len()]), uintptr(d.f64(a)))
}

func (d *Device) Copy(to, from device.Array) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if to.Len() != from.Len() {
		panic(fmt.Sprintf("cuda: %d values for an array of %d", from.Len(), to.Len()))
	}
	if to.None() {
		return
	}
	d.settle()
	d.weights.changed(to)
	if to.Type() != from.Type() {
		d.cast(to, from)
		return
	}
	d.copy(to.Addr(), from.Addr(), to.Len()*to.Type().Size())
}

func (d *Device) Fill(a device.Array, v float32) {
	if a.None() {
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.weights.changed(a)
	switch {
	case a.Type() == device.Float32:
		d.set(a.Addr(), math.Float32bits(v), a.Len())
	case v == 0 && a.Len()*a.Type().Size()%4 == 0:
		d.set(a.Addr(), 0, a.Len()*a.Type().Size()/4)
	default:
		panic(fmt.Sprintf("cuda: an array of %s is filled with %g", a.Type(), v))
	}
}

// cast copies values from one type to another.
func (d *Device) cast(to, from device.Array) { d.apply(to, device.Source{X: from}, 1) }
