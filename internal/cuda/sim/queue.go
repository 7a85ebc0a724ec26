package sim

import (
	"encoding/binary"
	"errors"
	"fmt"

	"vicreg/internal/cuda"
	"vicreg/internal/cuda/ptx"
)

// do does an operation of a stream, or records it.
func (d *Driver) do(s cuda.Stream, f func() error) error {
	if d.capture != nil && s == cuda.Compute {
		*d.capture = append(*d.capture, f)
		return nil
	}
	d.now += 0.001
	return f()
}

// begin is call for what cannot be captured.
func (d *Driver) begin(call string, s cuda.Stream) error {
	if err := d.call(call); err != nil {
		return err
	}
	if d.capture != nil && s == cuda.Compute {
		return fail(call, 900, "CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED", "")
	}
	return nil
}

func (d *Driver) Upload(s cuda.Stream, to uintptr, from []byte) error {
	const call = "cuMemcpyHtoDAsync_v2"
	if err := d.call(call); err != nil {
		return err
	}
	if !d.isPinned(from) {
		return invalid(call, fmt.Sprintf("%d bytes of the host that are not pinned", len(from)))
	}
	return d.do(s, func() error {
		b := d.bytes(to, len(from))
		if b == nil {
			return invalid(call, fmt.Sprintf("%d bytes at %#x, which lie in no allocation", len(from), to))
		}
		copy(b, from)
		return nil
	})
}

func (d *Driver) Download(s cuda.Stream, to []byte, from uintptr) error {
	const call = "cuMemcpyDtoHAsync_v2"
	if err := d.begin(call, s); err != nil {
		return err
	}
	return d.down(to, from)
}

func (d *Driver) down(to []byte, from uintptr) error {
	b := d.bytes(from, len(to))
	if b == nil {
		return invalid("cuMemcpyDtoHAsync_v2", fmt.Sprintf("%d bytes at %#x, which lie in no allocation", len(to), from))
	}
	copy(to, b)
	return nil
}

func (d *Driver) DownloadLater(s cuda.Stream, to []byte, from uintptr) error {
	const call = "cuMemcpyDtoHAsync_v2"
	if err := d.call(call); err != nil {
		return err
	}
	if !d.isPinned(to) {
		return invalid(call, fmt.Sprintf("%d bytes of the host that are not pinned", len(to)))
	}
	return d.do(s, func() error { return d.down(to, from) })
}

func (d *Driver) Copy(s cuda.Stream, to, from uintptr, n int) error {
	const call = "cuMemcpyDtoDAsync_v2"
	if err := d.call(call); err != nil {
		return err
	}
	return d.do(s, func() error {
		a, b := d.bytes(to, n), d.bytes(from, n)
		if a == nil || b == nil {
			return invalid(call, fmt.Sprintf("%d bytes from %#x to %#x, which lie in no allocation", n, from, to))
		}
		copy(a, b)
		return nil
	})
}

func (d *Driver) Set(s cuda.Stream, to uintptr, v uint32, n int) error {
	const call = "cuMemsetD32Async"
	if err := d.call(call); err != nil {
		return err
	}
	return d.do(s, func() error {
		b := d.bytes(to, 4*n)
		if b == nil || to%4 != 0 {
			return invalid(call, fmt.Sprintf("%d values at %#x, which lie in no allocation", n, to))
		}
		for i := range n {
			binary.LittleEndian.PutUint32(b[4*i:], v)
		}
		return nil
	})
}

func (d *Driver) Wait(s cuda.Stream) error { return d.begin("cuStreamSynchronize", s) }

func (d *Driver) NewEvent() (cuda.Event, error) {
	if err := d.call("cuEventCreate"); err != nil {
		return 0, err
	}
	e := cuda.Event(d.handle())
	d.mu.Lock()
	defer d.mu.Unlock()
	d.events[e] = -1
	return e, nil
}

// event checks a handle.
func (d *Driver) event(call string, events ...cuda.Event) error {
	if err := d.call(call); err != nil {
		return err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, e := range events {
		if _, ok := d.events[e]; !ok {
			return fail(call, 400, "CUDA_ERROR_INVALID_HANDLE", "")
		}
	}
	return nil
}

func (d *Driver) Record(e cuda.Event, s cuda.Stream) error {
	if err := d.event("cuEventRecord", e); err != nil {
		return err
	}
	return d.do(s, func() error {
		d.mu.Lock()
		defer d.mu.Unlock()
		d.events[e] = d.now
		return nil
	})
}

func (d *Driver) Follow(s cuda.Stream, e cuda.Event) error { return d.event("cuStreamWaitEvent", e) }

func (d *Driver) WaitEvent(e cuda.Event) error { return d.event("cuEventSynchronize", e) }

func (d *Driver) Elapsed(a, b cuda.Event) (float64, error) {
	const call = "cuEventElapsedTime"
	if err := d.event(call, a, b); err != nil {
		return 0, err
	}
	if d.events[a] < 0 || d.events[b] < 0 {
		return 0, fail(call, 400, "CUDA_ERROR_INVALID_HANDLE", "an event that was not recorded")
	}
	return d.events[b] - d.events[a], nil
}

func (d *Driver) Load(src []byte) (cuda.Module, error) {
	const call = "cuModuleLoadData"
	if err := d.call(call); err != nil {
		return 0, err
	}
	h := cuda.Module(d.handle())
	m, err := ptx.Parse(src, 0x6000_0000_0000+uint64(h)<<32)
	if err != nil {
		return 0, fail(call, 218, "CUDA_ERROR_INVALID_PTX", err.Error())
	}
	d.modules[h] = m
	return h, nil
}

func (d *Driver) Function(m cuda.Module, name string, shared int) (cuda.Function, error) {
	const call = "cuModuleGetFunction"
	if err := d.call(call); err != nil {
		return 0, err
	}
	mod := d.modules[m]
	if mod == nil {
		return 0, fail(call, 400, "CUDA_ERROR_INVALID_HANDLE", "")
	}
	k := mod.Kernels[name]
	if k == nil {
		return 0, fail(call, 500, "CUDA_ERROR_NOT_FOUND", "the kernel "+name)
	}
	if shared+k.Shared > d.Card().SharedPerBlock {
		return 0, invalid("cuFuncSetAttribute", fmt.Sprintf("%s with %d bytes of shared memory", name, shared))
	}
	f := cuda.Function(d.handle())
	d.kernels[f] = function{k, shared}
	return f, nil
}

func (d *Driver) Launch(s cuda.Stream, f cuda.Function, grid [3]int, threads, shared int, args []byte) error {
	const call = "cuLaunchKernel"
	if err := d.call(call); err != nil {
		return err
	}
	fn, ok := d.kernels[f]
	if !ok {
		return fail(call, 400, "CUDA_ERROR_INVALID_HANDLE", "")
	}
	if shared > fn.shared {
		return invalid(call, fmt.Sprintf("%s with %d bytes of shared memory, %d were said", fn.kernel.Name, shared, fn.shared))
	}
	args = append([]byte(nil), args...)
	return d.do(s, func() error {
		l := ptx.Launch{Grid: grid, Threads: [3]int{threads, 1, 1}, Shared: shared, Args: args, Memory: d,
			Seed: d.o.Seed, Races: d.o.Races}
		if d.o.Seed != 0 {
			l.Seed += uint64(d.calls)
		}
		err := fn.kernel.Launch(&l)
		d.now += float64(l.Instructions) / 1e6
		c := d.count(fn.kernel.Name)
		c.Blocks += grid[0] * grid[1] * grid[2]
		c.Instructions += l.Instructions
		c.Read += l.Read
		c.Wrote += l.Wrote
		var fault *ptx.Fault
		if errors.As(err, &fault) {
			d.broken = fail(call, 700, "CUDA_ERROR_ILLEGAL_ADDRESS", fault.Error())
			return d.broken
		}
		if err != nil {
			return invalid(call, err.Error())
		}
		return nil
	})
}

// count counts a launch.
func (d *Driver) count(name string) *Count {
	c := d.counts[name]
	if c == nil {
		c = &Count{}
		d.counts[name] = c
	}
	c.Launches++
	return c
}

func (d *Driver) BeginCapture() error {
	const call = "cuStreamBeginCapture_v2"
	if err := d.begin(call, cuda.Compute); err != nil {
		return err
	}
	d.capture = &[]func() error{}
	return nil
}

func (d *Driver) EndCapture() (cuda.Graph, error) {
	const call = "cuStreamEndCapture"
	if err := d.call(call); err != nil {
		d.capture = nil
		return 0, err
	}
	if d.capture == nil {
		return 0, fail(call, 901, "CUDA_ERROR_STREAM_CAPTURE_INVALIDATED", "")
	}
	g := cuda.Graph(d.handle())
	d.graphs[g] = *d.capture
	d.capture = nil
	return g, nil
}

func (d *Driver) Replay(g cuda.Graph) error {
	const call = "cuGraphLaunch"
	if err := d.begin(call, cuda.Compute); err != nil {
		return err
	}
	list, ok := d.graphs[g]
	if !ok {
		return fail(call, 400, "CUDA_ERROR_INVALID_HANDLE", "")
	}
	for _, f := range list {
		if err := d.do(cuda.Compute, f); err != nil {
			return err
		}
	}
	return nil
}

func (d *Driver) FreeGraph(g cuda.Graph) error {
	const call = "cuGraphExecDestroy"
	if err := d.call(call); err != nil {
		return err
	}
	if _, ok := d.graphs[g]; !ok {
		return fail(call, 400, "CUDA_ERROR_INVALID_HANDLE", "")
	}
	delete(d.graphs, g)
	return nil
}
