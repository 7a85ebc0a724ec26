package cuda

import (
	"math"

	"vicreg/internal/device"
)

// numbers are those that operations leave for the host. They come down together.
type numbers struct {
	card     uintptr
	host     []byte // page-locked
	came     Event
	sent, at bool // what is on the card was sent, and has arrived
}

// Which number is whose.
const (
	gradientNorm = iota
	lossNumbers  // up to allNumbers
	allNumbers   = lossNumbers + 7
)

// number returns where a number is on the card, to be written: until it is, those on the
// host do not count.
func (d *Device) number(at int) uintptr {
	n := &d.numbers
	if n.card == 0 {
		n.card = d.get(8 * allNumbers)
		d.set(n.card, 0, 2*allNumbers)
		var err error
		n.host, err = d.driver.Pin(8 * allNumbers)
		d.check(err, "page-locked memory")
		n.came, err = d.driver.NewEvent()
		d.check(err, "an event")
	}
	n.sent, n.at = false, false
	return n.card + uintptr(8*at)
}

// send queues the way of the numbers to the host.
func (d *Device) send() {
	n := &d.numbers
	d.flush()
	d.check(d.driver.DownloadLater(Compute, n.host, n.card), "a copy from the card")
	d.check(d.driver.Record(n.came, Compute), "a copy from the card")
	n.sent = true
}

// Number waits for a number. The device is free for others meanwhile.
func (d *Device) Number(at int) float64 {
	d.mu.Lock()
	n := &d.numbers
	if !n.sent {
		d.send()
	}
	came, there := n.came, n.at
	d.mu.Unlock()
	var err error
	if !there {
		err = d.driver.WaitEvent(came)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if !there {
		d.queue.waited()
	}
	d.check(err, "the numbers of a step")
	n.at = n.sent
	bits := uint64(0)
	for i, b := range n.host[8*at : 8*at+8] {
		bits |= uint64(b) << (8 * i)
	}
	return math.Float64frombits(bits)
}

// coming hands out a number that operations have been queued for.
func (d *Device) coming(at int) device.Number { return device.Coming(d, at) }
