// Package sim is a [cuda.Driver] on the host, for tests: its memory is the host's, at
// addresses that the host cannot reach by mistake, package ptx runs its kernels, and
// plain loops compute its products. What a card does in silence is an error here: an
// access outside of an allocation, a copy from memory that is not pinned, a race for
// shared memory.
package sim

import (
	"math/bits"
	"slices"
	"sync"
	"unsafe"

	"vicreg/internal/cuda"
	"vicreg/internal/cuda/ptx"
)

// Options say what card there is.
type Options struct {
	Memory int    // bytes; 0 is 1 GiB
	Seed   uint64 // shuffles blocks and warps, 0 does not
	Races  bool   // looks for races for shared memory, which takes time
	// Late has what is queued done when something waits for it and no sooner, so that a
	// wait that is missing shows.
	Late bool
	// Profile counts what each instruction of a kernel does; see Driver.Profile.
	Profile bool
	// Fail may make a call fail: it gets the name of the driver's function and how many
	// calls there were before.
	Fail func(call string, n int) error
	Card cuda.Card // what differs from a card of the kind that kernels are made for
}

// Driver is a card that is not there.
type Driver struct {
	o       Options
	mu      sync.Mutex // WaitEvent may be called beside others
	allocs  []alloc    // by address
	used    int
	calls   int
	pinned  [][]byte
	broken  error
	streams [2]queue
	events  map[cuda.Event]*event
	now     float64
	handles uintptr
	modules map[cuda.Module]*ptx.Module
	kernels map[cuda.Function]function
	graphs  map[cuda.Graph][]operation
	capture *[]operation
	counts  map[string]*Count
	where   uint64

	meeting *meeting // nil: it has not joined others
	rank    int
}

var _ cuda.Driver = (*Driver)(nil)

type alloc struct {
	addr uint64
	data []byte
}

type function struct {
	kernel *ptx.Kernel
	shared int
}

// Count is what the launches of a kernel took in all.
type Count struct {
	Launches     int
	Blocks       int
	Instructions int64 // of threads
	Read, Wrote  int64 // bytes of global memory
	profile      *ptx.Profile
}

// New returns a driver.
func New(o Options) *Driver {
	if o.Memory == 0 {
		o.Memory = 1 << 30
	}
	d := &Driver{o: o, events: map[cuda.Event]*event{}, modules: map[cuda.Module]*ptx.Module{},
		kernels: map[cuda.Function]function{}, graphs: map[cuda.Graph][]operation{}, counts: map[string]*Count{}}
	d.where = 0x7000_0000_0000
	if bits.UintSize == 32 {
		d.where = 0x8000_0000
	}
	return d
}

func (d *Driver) Card() cuda.Card {
	c := d.o.Card
	set(&c.Name, "simulated card")
	set(&c.Major, 9)
	set(&c.Multiprocessors, 4)
	set(&c.SharedPerBlock, 227<<10)
	set(&c.L2, 1<<20)
	set(&c.Memory, d.o.Memory)
	set(&c.Driver, "0")
	set(&c.CUDNN, "9.0.0")
	set(&c.CUBLAS, "12.0.0")
	return c
}

func set[T comparable](to *T, v T) {
	var zero T
	if *to == zero {
		*to = v
	}
}

func (d *Driver) Close() {}

// Calls returns how many calls there were.
func (d *Driver) Calls() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.calls
}

// catchUp does what comes late, before it is counted. Errors come from the calls to follow.
func (d *Driver) catchUp() { _ = d.drain(cuda.Compute, cuda.Transfer) }

// Kernel returns what the launches of a kernel took since the start or Reset.
func (d *Driver) Kernel(name string) Count {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.catchUp()
	if c := d.counts[name]; c != nil {
		return *c
	}
	return Count{}
}

// Profile returns what the instructions of a kernel did in its launches since the start
// or Reset, in words.
func (d *Driver) Profile(name string) string {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.catchUp()
	if c := d.counts[name]; c != nil && c.profile != nil {
		return c.profile.String()
	}
	return ""
}

// Launches returns how often a kernel ran; of the name "", how often any did.
func (d *Driver) Launches(name string) int {
	if name != "" {
		return d.Kernel(name).Launches
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.catchUp()
	n := 0
	for _, c := range d.counts {
		n += c.Launches
	}
	return n
}

// Names returns the kernels that ran, sorted. Matmul and Convolve count as kernels.
func (d *Driver) Names() []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.catchUp()
	var names []string
	for name := range d.counts {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// Reset forgets the counts.
func (d *Driver) Reset() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.catchUp()
	clear(d.counts)
}

// call begins a call.
func (d *Driver) call(name string) error {
	n := d.calls
	d.calls++
	if d.o.Fail != nil {
		if err := d.o.Fail(name, n); err != nil {
			return err
		}
	}
	return d.broken
}

// fail makes an error of the driver.
func fail(call string, code int, name, what string) error {
	return &cuda.Error{Call: call, Code: code, Name: name, What: what, Free: -1}
}

func invalid(call, what string) error { return fail(call, 1, "CUDA_ERROR_INVALID_VALUE", what) }

func (d *Driver) handle() uintptr {
	d.handles++
	return d.handles
}

func (d *Driver) Memory() (free, total int, err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.call("cuMemGetInfo_v2"); err != nil {
		return 0, 0, err
	}
	return d.o.Memory - d.used, d.o.Memory, nil
}

func (d *Driver) Alloc(n int) (uintptr, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	const call = "cuMemAlloc_v2"
	if err := d.call(call); err != nil {
		return 0, err
	}
	if n <= 0 {
		return 0, invalid(call, "")
	}
	if n > d.o.Memory-d.used {
		return 0, &cuda.Error{Call: call, Code: 2, Name: "CUDA_ERROR_OUT_OF_MEMORY", Free: d.o.Memory - d.used}
	}
	addr := d.where
	d.where += uint64((n+255)&^255) + 4096 // a gap, so that what runs over an end is seen
	data := make([]byte, n)
	poison(data)
	d.allocs = append(d.allocs, alloc{addr, data})
	d.used += n
	return uintptr(addr), nil
}

// poison fills memory with what is no number in any type.
func poison(b []byte) {
	for i := 0; i+1 < len(b); i += 2 {
		b[i], b[i+1] = 0xc1, 0x7f
	}
}

func (d *Driver) Free(addr uintptr) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	const call = "cuMemFree_v2"
	if err := d.call(call); err != nil {
		return err
	}
	if err := d.drain(cuda.Compute, cuda.Transfer); err != nil {
		return err
	}
	i := d.find(uint64(addr))
	if i < 0 || d.allocs[i].addr != uint64(addr) {
		return invalid(call, "")
	}
	d.used -= len(d.allocs[i].data)
	d.allocs = slices.Delete(d.allocs, i, i+1)
	return nil
}

// find returns the last allocation that begins at an address or before.
func (d *Driver) find(addr uint64) int {
	i, ok := slices.BinarySearchFunc(d.allocs, addr, func(a alloc, addr uint64) int {
		switch {
		case a.addr < addr:
			return -1
		case a.addr > addr:
			return 1
		}
		return 0
	})
	if ok {
		return i
	}
	return i - 1
}

// Around is for package ptx.
func (d *Driver) Around(addr uint64) (uint64, []byte) {
	i := d.find(addr)
	if i < 0 || addr-d.allocs[i].addr >= uint64(len(d.allocs[i].data)) {
		return 0, nil
	}
	return d.allocs[i].addr, d.allocs[i].data
}

// bytes returns n bytes of the card's memory, or nil where they lie in no allocation.
func (d *Driver) bytes(addr uintptr, n int) []byte {
	base, data := d.Around(uint64(addr))
	o := uint64(addr) - base
	if data == nil || n < 0 || o+uint64(n) > uint64(len(data)) {
		return nil
	}
	return data[o : o+uint64(n) : o+uint64(n)]
}

// Used returns the bytes that are allocated, and in how many allocations.
func (d *Driver) Used() (bytes, allocations int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.used, len(d.allocs)
}

func (d *Driver) Pin(n int) ([]byte, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	const call = "cuMemHostAlloc"
	if err := d.call(call); err != nil {
		return nil, err
	}
	if n <= 0 {
		return nil, invalid(call, "")
	}
	const page = 4096
	b := make([]byte, n+page)
	skip := -int(uintptr(unsafe.Pointer(&b[0]))) & (page - 1)
	b = b[skip : skip+n : skip+n]
	poison(b)
	d.pinned = append(d.pinned, b)
	return b, nil
}

func (d *Driver) Unpin(b []byte) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	const call = "cuMemFreeHost"
	if err := d.call(call); err != nil {
		return err
	}
	if err := d.drain(cuda.Compute, cuda.Transfer); err != nil {
		return err
	}
	for i, p := range d.pinned {
		if len(b) > 0 && &p[0] == &b[0] {
			d.pinned = slices.Delete(d.pinned, i, i+1)
			return nil
		}
	}
	return invalid(call, "")
}

// isPinned says that all of b came from Pin.
func (d *Driver) isPinned(b []byte) bool {
	at := uintptr(unsafe.Pointer(unsafe.SliceData(b)))
	for _, p := range d.pinned {
		from := uintptr(unsafe.Pointer(&p[0]))
		if at >= from && at+uintptr(len(b)) <= from+uintptr(len(p)) {
			return true
		}
	}
	return false
}
