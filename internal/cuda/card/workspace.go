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

// unseen is the error of a shape that comes up while a graph is captured, when there may be
// no room for it.
func (d *driver) unseen(f *native.Func, what string) error {
	const code = 900 // CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED
	return &cuda.Error{Call: f.Name, Code: code, Name: d.errorName(code),
		What: fmt.Sprintf("%s, which came up first while a graph was captured", what), Free: d.free()}
}
