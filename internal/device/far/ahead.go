package far

import (
	"hash/maphash"
	"math"
	"unsafe"

	"vicreg/internal/device"
)

// held is room on the host and its twin. What was sent must not change until it may.
type held struct {
	room []float32
	twin device.Array
	sent []float32
	sum  uint64
}

var seed = maphash.MakeSeed()

func sum(x []float32) uint64 {
	return maphash.Bytes(seed, unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(x))), 4*len(x)))
}

func (d *Device) Hold(n int) []float32 {
	h := &held{room: make([]float32, n), twin: d.Alloc(device.Float32, n)}
	d.aside.Lock()
	defer d.aside.Unlock()
	if d.held == nil {
		d.held = map[*float32]*held{}
	}
	d.held[&h.room[0]] = h
	return h.room
}

// find returns the room that x starts in, or nil.
func (d *Device) find(x []float32) *held {
	d.aside.Lock()
	defer d.aside.Unlock()
	return d.held[unsafe.SliceData(x)]
}

func (d *Device) Drop(x []float32) {
	h := d.find(x)
	d.Free(h.twin)
	d.aside.Lock()
	defer d.aside.Unlock()
	delete(d.held, &h.room[0])
}

func (d *Device) Send(x []float32) (err error) {
	defer device.Catch(&err)
	h := d.find(x)
	h.sent, h.sum = x, sum(x)
	d.Up(h.twin.Slice(0, len(x)), x)
	return nil
}

func (d *Device) Sent(x []float32) (device.Array, bool) {
	h := d.find(x)
	if h == nil || len(h.sent) != len(x) {
		return device.Array{}, false
	}
	h.unchanged()
	d.Met++
	return h.twin.Slice(0, len(x)), true
}

// Reuse poisons the twin.
func (d *Device) Reuse(x []float32) {
	h := d.find(x)
	if h.sent != nil {
		h.unchanged()
		h.sent = nil
		d.Fill(h.twin, float32(math.NaN()))
	}
}

func (h *held) unchanged() {
	if sum(h.sent) != h.sum {
		panic("far: the host changed values that were on their way up")
	}
}

var _ device.Ahead = (*Device)(nil)
