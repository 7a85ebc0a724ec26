package cuda

import (
	"fmt"
	"sync"
	"unsafe"

	"vicreg/internal/device"
)

// holds are page-locked rooms of the host with twins on the card, which go up on a stream
// of their own while the card computes.
type holds struct {
	sync.Mutex
	rooms map[*float32]*hold
}

type hold struct {
	pinned []byte
	twin   device.Array
	sent   int   // values that were sent; 0: none
	up     Event // they are on the card
	read   Event // what reads them is done
}

func (h *holds) init() { h.rooms = map[*float32]*hold{} }

// find returns the room that x starts in, or nil.
func (h *holds) find(x []float32) *hold {
	h.Lock()
	defer h.Unlock()
	return h.rooms[unsafe.SliceData(x)]
}

func (h *holds) must(x []float32) *hold {
	r := h.find(x)
	if r == nil {
		panic("cuda: values that start where no room does")
	}
	return r
}

// Hold, Drop, Send, Sent and Reuse are those of device.Ahead.
func (d *Device) Hold(n int) []float32 {
	twin := d.Alloc(device.Float32, n)
	d.mu.Lock()
	defer d.mu.Unlock()
	h := &hold{twin: twin}
	d.flush()
	var err error
	h.pinned, err = d.driver.Pin(4 * n)
	d.check(err, fmt.Sprintf("%s of page-locked memory", gib(4*n)))
	for _, e := range []*Event{&h.up, &h.read} {
		*e, err = d.driver.NewEvent()
		d.check(err, "an event")
		d.check(d.driver.Record(*e, Compute), "an event") // after the zeros of the twin
	}
	x := unsafe.Slice((*float32)(unsafe.Pointer(&h.pinned[0])), n)
	d.holds.Lock()
	defer d.holds.Unlock()
	d.holds.rooms[&x[0]] = h
	return x
}

func (d *Device) Drop(x []float32) {
	h := d.holds.must(x)
	d.check(d.driver.WaitEvent(h.up), "a copy to the card")
	d.check(d.driver.WaitEvent(h.read), "work")
	d.Free(h.twin)
	d.mu.Lock()
	d.check(d.driver.Unpin(h.pinned), "page-locked memory given back")
	d.mu.Unlock()
	d.holds.Lock()
	defer d.holds.Unlock()
	delete(d.holds.rooms, unsafe.SliceData(x))
}

func (d *Device) Send(x []float32) (err error) {
	defer device.Catch(&err)
	h := d.holds.must(x)
	d.mu.Lock()
	defer d.mu.Unlock()
	h.sent = len(x)
	d.check(d.driver.Follow(Transfer, h.read), "a copy to the card")
	d.check(d.driver.Upload(Transfer, h.twin.Addr(), bytesOf(x)), "a copy to the card")
	d.check(d.driver.Record(h.up, Transfer), "a copy to the card")
	return nil
}

func (d *Device) Sent(x []float32) (device.Array, bool) {
	h := d.holds.find(x)
	if h == nil {
		return device.Array{}, false
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if h.sent != len(x) {
		return device.Array{}, false
	}
	d.flush()
	d.check(d.driver.Follow(Compute, h.up), "a copy to the card")
	return h.twin.Slice(0, len(x)), true
}

func (d *Device) Reuse(x []float32) {
	h := d.holds.must(x)
	if d.over(h) {
		d.check(d.driver.WaitEvent(h.up), "a copy to the card")
	}
}

// over says that what was sent to h is read by nothing that is queued from here on, and
// returns whether anything was.
func (d *Device) over(h *hold) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if h.sent == 0 {
		return false
	}
	h.sent = 0
	d.flush()
	d.check(d.driver.Record(h.read, Compute), "work")
	return true
}

// Room returns the bytes that a run could have, and all there are.
func (d *Device) Room() (free, total int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	free, total, err := d.driver.Memory()
	d.check(err, "its memory")
	return free + d.memory.held - d.memory.used, total
}

var (
	_ device.Ahead     = (*Device)(nil)
	_ device.Sized     = (*Device)(nil)
	_ device.Described = (*Device)(nil)
)
