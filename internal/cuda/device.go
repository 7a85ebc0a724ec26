// Package cuda computes on an NVIDIA card.
//
// [Device] is a device.Device: it queues own kernels (CUDA C in _ptx, embedded as PTX)
// and products of NVIDIA's libraries on one stream, through a [Driver], and waits only
// where values come back to the host. Package card has the real driver, package sim one
// that does on the host what the card would, for tests.
package cuda

import (
	"fmt"
	"sync"

	"vicreg/internal/device"
	"vicreg/internal/kernel/shape"
)

// Device is a card. Its operations may be called from any goroutine; they take effect in
// the order of the calls.
type Device struct {
	mu        sync.Mutex
	driver    Driver
	card      Card
	functions []Function // by kernel
	args      *[argsRoom]byte

	memory    memory
	scratch   [slots]room
	weights   weights
	pieces    pieces
	waiting   waiting
	numbers   numbers
	tables    []*table // of groups
	splitFrom int64    // see SplitFrom
	fused     fused
	rising    staging
	holds     holds
	queue     queue
	profile   *profile // or nil
	linked    Joiner   // nil: the card is by itself
	one       struct { // the product under way, kept off the stack
		m Matmul
		c Convolution
	}

	crossing sync.Mutex // guards falling: one value comes down at a time
	falling  staging
}

// New returns the device of a driver, which it closes with itself.
func New(driver Driver) (*Device, error) {
	d := &Device{driver: driver, card: driver.Card(), args: new([argsRoom]byte)}
	d.memory.init()
	d.weights.init()
	d.holds.init()
	d.fused.foldAbove = foldAbove
	if err := d.load(); err != nil {
		driver.Close()
		return nil, err
	}
	return d, nil
}

// Close gives everything back. No array of the device may be used afterwards.
func (d *Device) Close() {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, s := range d.queue.known { // a card that is lost gives nothing back
		if s.graph != 0 && d.driver.FreeGraph(s.graph) != nil {
			break
		}
	}
	d.driver.Close()
}

// Card says what the card is.
func (d *Device) Card() Card { return d.card }

// Describe names the card and what its bits depend on.
func (d *Device) Describe() string {
	c := d.card
	return fmt.Sprintf("%s, driver %s, cuDNN %s, cuBLAS %s", c.Name, c.Driver, c.CUDNN, c.CUBLAS)
}

// Driver is for measurements beside the device's own operations.
func (d *Device) Driver() Driver { return d.driver }

// Name is cuda, or cuda:1 of the second card.
func (d *Device) Name() string {
	if d.card.Index > 0 {
		return fmt.Sprintf("cuda:%d", d.card.Index)
	}
	return "cuda"
}

func (d *Device) Shared() bool { return false }

// Activations returns the type that activations are stored in.
func (d *Device) Activations(p device.Precision) device.Type {
	if p == shape.BF16 {
		return device.BFloat16
	}
	return device.Float32
}

// KeptSum keeps all sums of ResNet-50 at 224 pixels but those of the first stage, in a
// batch of 256: these three would take a seventh of all memory.
func (d *Device) KeptSum(device.Type) int { return 1 << 27 }

// Wait waits until everything is done.
func (d *Device) Wait() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.flush()
	d.check(d.driver.Wait(Compute), "work")
}

// check stops the operation if a call failed.
func (d *Device) check(err error, what string) {
	if err != nil {
		d.fail(err, what)
	}
}

// fail stops the operation: device.Catch makes an error of it.
func (d *Device) fail(err error, what string) {
	panic(device.Failure{Err: fmt.Errorf("%s: %s: %w", d.card.Name, what, err)})
}
