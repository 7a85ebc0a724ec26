//go:build native && linux && (amd64 || arm64)

package card

import (
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"unsafe"

	"vicreg/internal/cuda"
	"vicreg/internal/native"
)

// driver is a card, with its primary context.
//
// The context belongs to a thread: each method locks the goroutine to its thread while
// it calls, and makes the context that thread's own, which costs less than a goroutine
// that owns the card.
type driver struct {
	cu          driverAPI
	cuLibrary   *native.Library
	cudaVersion int // 13000 is 13.0
	dnn         dnnAPI
	blas        blasAPI
	card        cuda.Card

	device            uintptr
	context           uintptr
	streams           [2]uintptr
	dnnHandle         uintptr
	blasHandle        uintptr
	s                 *scratch
	work              workspace
	products          map[productKey]*product
	convolutions      map[convolutionKey]*convolution
	lost              atomic.Pointer[cuda.Error]
	beside            beside
	joined            joined
	capturing, graphs bool // a capture is under way; there has been one
}

// scratch is memory that C reads and writes: on the heap, where it stays in its place.
type scratch struct {
	word    uintptr // handles, addresses, sizes
	other   uintptr
	pointer unsafe.Pointer
	int     int32
	float   float32

	one, zero float32
	extra     [5]uintptr
	size      uintptr
	args      [4096]byte
	text      []byte // PTX or a name, with a NUL behind it
	name      [256]byte

	jitOptions [2]int32
	jitValues  [2]uintptr
	jitLog     [8192]byte

	perf       [perfMost]perf
	heuristics [heuristicsMost]heuristic
}

// beside is what WaitEvent calls, which may run beside any other method and so has
// functions of its own.
type beside struct {
	sync.Mutex
	setCurrent, wait, name native.Func
	pointer                unsafe.Pointer
}

func newScratch() *scratch {
	s := &scratch{one: 1}
	s.extra = [5]uintptr{paramPointer, at(&s.args), paramSize, at(&s.size), paramEnd}
	s.jitOptions = [2]int32{jitErrorLog, jitErrorLogSize}
	return s
}

// at is the address of something on the heap.
func at[T any](p *T) uintptr { return uintptr(unsafe.Pointer(p)) }

// enter makes the card this thread's, until leave.
func (d *driver) enter() error {
	runtime.LockOSThread()
	if e := d.lost.Load(); e != nil {
		return e
	}
	if r := d.cu.CuCtxSetCurrent.Call(d.context); r != 0 {
		return d.failed(&d.cu.CuCtxSetCurrent, r, "")
	}
	return nil
}

func (d *driver) leave() { runtime.UnlockOSThread() }

// call calls a function of the driver.
func (d *driver) call(f *native.Func, args ...uintptr) error {
	if r := f.Call(args...); r != 0 {
		return d.failed(f, r, "")
	}
	return nil
}

// failed is the error of a function of the driver.
func (d *driver) failed(f *native.Func, code int, what string) error {
	e := &cuda.Error{Call: f.Name, Code: code, Name: d.errorName(code), What: what, Free: -1}
	if e.Lost() {
		d.lost.CompareAndSwap(nil, e)
		return d.lost.Load()
	}
	e.Free = d.free()
	return e
}

// failedIn is the error of a function of a library. If it failed because the card is
// lost, that is the error.
func (d *driver) failedIn(f *native.Func, code int, name, what string) error {
	if r := d.cu.CuStreamQuery.Call(d.streams[cuda.Compute]); r != 0 && r != errorNotReady {
		if lost := (&cuda.Error{Call: d.cu.CuStreamQuery.Name, Code: r}); lost.Lost() {
			return d.failed(&d.cu.CuStreamQuery, r, f.Name+" of "+what)
		}
	}
	return &cuda.Error{Call: f.Name, Code: code, Name: name, What: what, Free: d.free()}
}

func (d *driver) errorName(code int) string { return nameOf(&d.cu.CuGetErrorName, code, &d.s.pointer) }

// nameOf has the driver name an error, by way of a pointer on the heap.
func nameOf(f *native.Func, code int, p *unsafe.Pointer) string {
	*p = nil
	if f.Call(uintptr(code), at(p)) != 0 || *p == nil {
		return fmt.Sprintf("CUDA error %d", code)
	}
	return native.CString(*p)
}

// free returns the free bytes, or -1.
func (d *driver) free() int {
	if d.context == 0 || d.cu.CuMemGetInfo_v2.Call(at(&d.s.word), at(&d.s.other)) != 0 {
		return -1
	}
	return int(d.s.word)
}

func (d *driver) Card() cuda.Card { return d.card }

func (d *driver) Memory() (free, total int, err error) {
	defer d.leave()
	if err := d.enter(); err != nil {
		return 0, 0, err
	}
	if err := d.call(&d.cu.CuMemGetInfo_v2, at(&d.s.word), at(&d.s.other)); err != nil {
		return 0, 0, err
	}
	return int(d.s.word), int(d.s.other), nil
}

func (d *driver) Alloc(bytes int) (uintptr, error) {
	defer d.leave()
	if err := d.enter(); err != nil {
		return 0, err
	}
	return d.alloc(bytes, "")
}

// alloc returns memory; what says what it is for, or is empty.
func (d *driver) alloc(bytes int, what string) (uintptr, error) {
	f := &d.cu.CuMemAlloc_v2
	if r := f.Call(at(&d.s.word), uintptr(max(bytes, 1))); r != 0 {
		if what == "" {
			what = "memory"
		}
		return 0, d.failed(f, r, fmt.Sprintf("%d bytes of %s", bytes, what))
	}
	return d.s.word, nil
}

func (d *driver) Free(addr uintptr) error {
	defer d.leave()
	if err := d.enter(); err != nil {
		return err
	}
	if !d.capturing {
		for _, s := range d.streams {
			if err := d.call(&d.cu.CuStreamSynchronize, s); err != nil {
				return err
			}
		}
	}
	return d.call(&d.cu.CuMemFree_v2, addr)
}

func (d *driver) Pin(bytes int) ([]byte, error) {
	defer d.leave()
	if err := d.enter(); err != nil {
		return nil, err
	}
	f := &d.cu.CuMemHostAlloc
	if r := f.Call(at(&d.s.pointer), uintptr(max(bytes, 1)), 0); r != 0 {
		return nil, d.failed(f, r, fmt.Sprintf("%d bytes of page-locked memory of the host", bytes))
	}
	return unsafe.Slice((*byte)(d.s.pointer), max(bytes, 1))[:bytes], nil
}

func (d *driver) Unpin(b []byte) error {
	defer d.leave()
	if err := d.enter(); err != nil {
		return err
	}
	return d.call(&d.cu.CuMemFreeHost, uintptr(unsafe.Pointer(unsafe.SliceData(b))))
}

func (d *driver) Upload(s cuda.Stream, to uintptr, from []byte) error {
	defer d.leave()
	if err := d.enter(); err != nil || len(from) == 0 {
		return err
	}
	err := d.call(&d.cu.CuMemcpyHtoDAsync_v2, to, uintptr(unsafe.Pointer(&from[0])), uintptr(len(from)), d.streams[s])
	runtime.KeepAlive(from)
	return err
}

func (d *driver) Download(s cuda.Stream, to []byte, from uintptr) error {
	defer d.leave()
	if err := d.enter(); err != nil {
		return err
	}
	if err := d.download(s, to, from); err != nil {
		return err
	}
	err := d.call(&d.cu.CuStreamSynchronize, d.streams[s])
	runtime.KeepAlive(to)
	return err
}

func (d *driver) DownloadLater(s cuda.Stream, to []byte, from uintptr) error {
	defer d.leave()
	if err := d.enter(); err != nil {
		return err
	}
	return d.download(s, to, from)
}

func (d *driver) download(s cuda.Stream, to []byte, from uintptr) error {
	if len(to) == 0 {
		return nil
	}
	return d.call(&d.cu.CuMemcpyDtoHAsync_v2, uintptr(unsafe.Pointer(&to[0])), from, uintptr(len(to)), d.streams[s])
}

func (d *driver) Copy(s cuda.Stream, to, from uintptr, bytes int) error {
	defer d.leave()
	if err := d.enter(); err != nil || bytes == 0 {
		return err
	}
	return d.call(&d.cu.CuMemcpyDtoDAsync_v2, to, from, uintptr(bytes), d.streams[s])
}

func (d *driver) Set(s cuda.Stream, to uintptr, v uint32, n int) error {
	defer d.leave()
	if err := d.enter(); err != nil || n == 0 {
		return err
	}
	return d.call(&d.cu.CuMemsetD32Async, to, uintptr(v), uintptr(n), d.streams[s])
}
