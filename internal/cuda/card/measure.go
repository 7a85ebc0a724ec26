//go:build native && linux && (amd64 || arm64)

package card

import (
	"fmt"

	"vicreg/internal/cuda"
	"vicreg/internal/native"
)

// workspace is memory that cuBLASLt and cuDNN compute in. Both queue on the compute
// stream, so that they share it.
type workspace struct {
	addr  uintptr
	bytes int
	old   []uintptr // smaller ones that graphs may still refer to
}

// ensure makes the workspace at least so large.
func (w *workspace) ensure(d *driver, bytes int) error {
	if bytes <= w.bytes {
		return nil
	}
	addr, err := d.alloc(bytes, "workspace for products and convolutions")
	if err != nil {
		return err
	}
	switch {
	case w.addr == 0:
	case d.graphs:
		w.old = append(w.old, w.addr)
	default:
		if err := d.call(&d.cu.CuMemFree_v2, w.addr); err != nil { // waits for what uses it
			return err
		}
	}
	w.addr, w.bytes = addr, bytes
	return nil
}

// measure returns how long the call of a library takes on the card: the shortest of a
// few tries, after a first one. A try is several calls, if they are short. ok is false if
// the library refuses the call.
func (d *driver) measure(run func() int) (ms float64, ok bool, err error) {
	compute := d.streams[cuda.Compute]
	calls := 1
	for try := range 4 {
		if err := d.call(&d.cu.CuEventRecord, uintptr(d.ticks[0]), compute); err != nil {
			return 0, false, err
		}
		for range calls {
			if run() != 0 {
				return 0, false, d.call(&d.cu.CuStreamSynchronize, compute)
			}
		}
		if err := d.call(&d.cu.CuEventRecord, uintptr(d.ticks[1]), compute); err != nil {
			return 0, false, err
		}
		t, err := d.elapsed(d.ticks[0], d.ticks[1])
		if err != nil {
			return 0, false, err
		}
		t /= float64(calls)
		switch {
		case try == 0: // it loads kernels
			calls = int(min(max(1/max(t, 0.05), 1), 20))
		case try == 1 || t < ms:
			ms = t
		}
	}
	return ms, true, nil
}

// unseen is the error of a shape that comes up while a graph is captured, when nothing
// can be tried out.
func (d *driver) unseen(f *native.Func, what string) error {
	const code = 900 // CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED
	return &cuda.Error{Call: f.Name, Code: code, Name: d.errorName(code),
		What: fmt.Sprintf("%s, which came up first while a graph was captured", what), Free: d.free()}
}
