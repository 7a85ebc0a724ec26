package sim

import (
	"errors"
	"fmt"
	"sync"

	"vicreg/internal/cuda"
	"vicreg/internal/cuda/ptx"
)

func (d *Driver) Load(src []byte) (cuda.Module, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	const call = "cuModuleLoadData"
	if err := d.call(call); err != nil {
		return 0, err
	}
	h := cuda.Module(d.handle())
	m, err := d.parse(src)
	if err != nil {
		return 0, fail(call, 218, "CUDA_ERROR_INVALID_PTX", err.Error())
	}
	d.modules[h] = m
	return h, nil
}

// parsed keeps modules as they were read, since tests make many drivers.
var parsed = struct {
	sync.Mutex
	modules map[string]*ptx.Module
}{modules: map[string]*ptx.Module{}}

// parse returns a module that is the driver's own.
func (d *Driver) parse(src []byte) (*ptx.Module, error) {
	parsed.Lock()
	defer parsed.Unlock()
	m := parsed.modules[string(src)]
	if m == nil {
		var err error
		if m, err = ptx.Parse(src, 0x6000_0000_0000+uint64(len(parsed.modules))<<32); err != nil {
			return nil, err
		}
		parsed.modules[string(src)] = m
	}
	for _, other := range d.modules { // loaded twice: global variables at other addresses
		if other.Base() == m.Base() {
			return ptx.Parse(src, 0x6800_0000_0000+uint64(d.handles)<<32)
		}
	}
	return m.Clone(), nil
}

func (d *Driver) Function(m cuda.Module, name string, shared int) (cuda.Function, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
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
	d.mu.Lock()
	defer d.mu.Unlock()
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
		c := d.count(fn.kernel.Name)
		if d.o.Profile && (c.profile == nil || !c.profile.Of(fn.kernel)) {
			c.profile = ptx.NewProfile(fn.kernel)
		}
		l.Profile = c.profile
		err := fn.kernel.Launch(&l)
		d.now += float64(l.Instructions) / 1e6
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
	d.mu.Lock()
	defer d.mu.Unlock()
	const call = "cuStreamBeginCapture_v2"
	if err := d.begin(call, cuda.Compute); err != nil {
		return err
	}
	d.capture = &[]operation{}
	return nil
}

func (d *Driver) EndCapture() (cuda.Graph, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
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
	d.mu.Lock()
	defer d.mu.Unlock()
	const call = "cuGraphLaunch"
	if err := d.begin(call, cuda.Compute); err != nil {
		return err
	}
	list, ok := d.graphs[g]
	if !ok {
		return fail(call, 400, "CUDA_ERROR_INVALID_HANDLE", "")
	}
	for _, o := range list {
		if err := d.queue(cuda.Compute, o); err != nil {
			return err
		}
	}
	return nil
}

func (d *Driver) FreeGraph(g cuda.Graph) error {
	d.mu.Lock()
	defer d.mu.Unlock()
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
