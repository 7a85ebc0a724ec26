package sim

import (
	"fmt"
	"sync"
	"sync/atomic"
	"time"
	"unsafe"

	"vicreg/internal/cuda"
	"vicreg/internal/device"
)

var _ cuda.Joiner = (*Driver)(nil)

// meeting is where drivers of one process that joined do the same thing, one rank each.
type meeting struct {
	mu   sync.Mutex
	size int
	turn *turn // under way
}

// turn is one thing that all ranks do.
type turn struct {
	parts [][]byte // by rank
	came  int
	all   chan struct{} // closed when all have come
}

var (
	meetings sync.Map // by id
	made     atomic.Int64
)

// patience is how long a rank waits for the others.
const patience = time.Minute

// meet gives this rank's part and returns those of all.
func (m *meeting) meet(rank int, part []byte) ([][]byte, error) {
	m.mu.Lock()
	if m.turn == nil {
		m.turn = &turn{parts: make([][]byte, m.size), all: make(chan struct{})}
	}
	t := m.turn
	t.parts[rank] = append([]byte(nil), part...)
	if t.came++; t.came == m.size {
		m.turn = nil
		close(t.all)
	}
	m.mu.Unlock()
	select {
	case <-t.all:
		return t.parts, nil
	case <-time.After(patience):
		return nil, fail("ncclAllReduce", 2, "unhandled system error", "a rank that did not come")
	}
}

// Identity is another one for every driver, unless Card has a place of its own.
func (d *Driver) Identity() (string, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.call("cuDeviceGetUuid"); err != nil {
		return "", err
	}
	if len(d.o.Card.Places) > 0 {
		return d.o.Card.Places[0], nil
	}
	return fmt.Sprintf("%p", d), nil
}

func (d *Driver) JoinID() ([]byte, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return fmt.Append(nil, made.Add(1)), d.call("ncclGetUniqueId")
}

func (d *Driver) Join(id []byte, rank, size int) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.call("ncclCommInitRank"); err != nil {
		return err
	}
	m, _ := meetings.LoadOrStore(string(id), &meeting{size: size})
	d.meeting, d.rank = m.(*meeting), rank
	_, err := d.meeting.meet(rank, nil)
	return err
}

func (d *Driver) Sum(arrays []device.Array) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.begin("ncclAllReduce", cuda.Compute); err != nil {
		return err
	}
	for _, a := range arrays {
		if err := d.do(cuda.Compute, func() error { return d.sum(a) }); err != nil {
			return err
		}
	}
	return nil
}

func (d *Driver) sum(a device.Array) error {
	b := d.bytes(a.Addr(), a.Len()*a.Type().Size())
	if b == nil {
		return invalid("ncclAllReduce", "an array that lies in no allocation")
	}
	all, err := d.meeting.meet(d.rank, b)
	if err != nil {
		return err
	}
	switch a.Type() {
	case device.Float32:
		add[float32](b, all)
	case device.Float64:
		add[float64](b, all)
	default:
		return invalid("ncclAllReduce", "an array of "+a.Type().String())
	}
	return nil
}

// add leaves the sums of numbers in the order of the ranks.
func add[T float32 | float64](to []byte, all [][]byte) {
	numbers := func(b []byte) []T {
		return unsafe.Slice((*T)(unsafe.Pointer(unsafe.SliceData(b))), len(b)/int(unsafe.Sizeof(T(0))))
	}
	y := numbers(to)
	copy(y, numbers(all[0]))
	for _, part := range all[1:] {
		for i, v := range numbers(part) {
			y[i] += v
		}
	}
}

func (d *Driver) Gather(to, from uintptr, n int) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.begin("ncclAllGather", cuda.Compute); err != nil {
		return err
	}
	return d.do(cuda.Compute, func() error {
		a, b := d.bytes(to, n*d.meeting.size), d.bytes(from, n)
		if a == nil || b == nil {
			return invalid("ncclAllGather", "an array that lies in no allocation")
		}
		all, err := d.meeting.meet(d.rank, b)
		for r, part := range all {
			copy(a[r*n:], part)
		}
		return err
	})
}
