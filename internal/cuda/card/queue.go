//go:build native && linux && (amd64 || arm64)

package card

import (
	"bytes"
	"fmt"
	"runtime"
	"strings"

	"vicreg/internal/cuda"
)

func (d *driver) Wait(s cuda.Stream) error {
	defer d.leave()
	if err := d.enter(); err != nil {
		return err
	}
	return d.call(&d.cu.CuStreamSynchronize, d.streams[s])
}

func (d *driver) NewEvent() (cuda.Event, error) {
	defer d.leave()
	if err := d.enter(); err != nil {
		return 0, err
	}
	err := d.call(&d.cu.CuEventCreate, at(&d.s.word), eventDefault)
	return cuda.Event(d.s.word), err
}

func (d *driver) Record(e cuda.Event, s cuda.Stream) error {
	defer d.leave()
	if err := d.enter(); err != nil {
		return err
	}
	return d.call(&d.cu.CuEventRecord, uintptr(e), d.streams[s])
}

func (d *driver) Follow(s cuda.Stream, e cuda.Event) error {
	defer d.leave()
	if err := d.enter(); err != nil {
		return err
	}
	return d.call(&d.cu.CuStreamWaitEvent, d.streams[s], uintptr(e), 0)
}

func (d *driver) WaitEvent(e cuda.Event) error {
	if lost := d.lost.Load(); lost != nil {
		return lost
	}
	b := &d.beside
	b.Lock()
	defer b.Unlock()
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	f := &b.setCurrent
	r := f.Call(d.context)
	if r == 0 {
		f = &b.wait
		r = f.Call(uintptr(e))
	}
	if r == 0 {
		return nil
	}
	failed := &cuda.Error{Call: f.Name, Code: r, Name: nameOf(&b.name, r, &b.pointer), Free: -1}
	if failed.Lost() {
		d.lost.CompareAndSwap(nil, failed)
		return d.lost.Load()
	}
	return failed
}

func (d *driver) Elapsed(a, b cuda.Event) (ms float64, err error) {
	defer d.leave()
	if err := d.enter(); err != nil {
		return 0, err
	}
	return d.elapsed(a, b)
}

func (d *driver) elapsed(a, b cuda.Event) (ms float64, err error) {
	if err := d.call(&d.cu.CuEventSynchronize, uintptr(b)); err != nil {
		return 0, err
	}
	if err := d.call(&d.cu.CuEventElapsedTime, at(&d.s.float), uintptr(a), uintptr(b)); err != nil {
		return 0, err
	}
	return float64(d.s.float), nil
}

func (d *driver) Load(ptx []byte) (cuda.Module, error) {
	defer d.leave()
	if err := d.enter(); err != nil {
		return 0, err
	}
	s := d.s
	s.text = append(bytes.Clone(ptx), 0)
	defer func() { s.text = nil }()
	clear(s.jitLog[:])
	s.jitValues = [2]uintptr{at(&s.jitLog), uintptr(len(s.jitLog))}
	f := &d.cu.CuModuleLoadDataEx
	r := f.Call(at(&s.word), at(&s.text[0]), uintptr(len(s.jitOptions)), at(&s.jitOptions), at(&s.jitValues))
	if r != 0 {
		log, _, _ := bytes.Cut(s.jitLog[:], []byte{0})
		what := "the kernels"
		if said := strings.Join(strings.Fields(string(log)), " "); said != "" {
			what += " (" + said + ")"
		}
		return 0, d.failed(f, r, what)
	}
	return cuda.Module(s.word), nil
}

func (d *driver) Function(m cuda.Module, name string, shared int) (cuda.Function, error) {
	defer d.leave()
	if err := d.enter(); err != nil {
		return 0, err
	}
	d.s.text = append([]byte(name), 0)
	f := &d.cu.CuModuleGetFunction
	if r := f.Call(at(&d.s.word), uintptr(m), at(&d.s.text[0])); r != 0 {
		return 0, d.failed(f, r, "kernel "+name)
	}
	function := d.s.word
	if shared > 0 {
		f := &d.cu.CuFuncSetAttribute
		if r := f.Call(function, dynamicShared, uintptr(shared)); r != 0 {
			return 0, d.failed(f, r, fmt.Sprintf("%d bytes of shared memory for kernel %s", shared, name))
		}
	}
	return cuda.Function(function), nil
}

func (d *driver) Launch(s cuda.Stream, f cuda.Function, grid [3]int, threads, shared int, args []byte) error {
	defer d.leave()
	if err := d.enter(); err != nil {
		return err
	}
	if len(args) > len(d.s.args) {
		panic(fmt.Sprintf("card: %d bytes of parameters of a kernel, which has at most %d", len(args), len(d.s.args)))
	}
	copy(d.s.args[:], args)
	d.s.size = uintptr(len(args))
	launch := &d.cu.CuLaunchKernel
	r := launch.Call(uintptr(f), uintptr(grid[0]), uintptr(grid[1]), uintptr(grid[2]), uintptr(threads), 1, 1,
		uintptr(shared), d.streams[s], 0, at(&d.s.extra))
	if r != 0 {
		what := fmt.Sprintf("%v blocks of %d threads with %d bytes of shared memory", grid, threads, shared)
		return d.failed(launch, r, what)
	}
	return nil
}

func (d *driver) BeginCapture() error {
	defer d.leave()
	if err := d.enter(); err != nil {
		return err
	}
	err := d.call(&d.cu.CuStreamBeginCapture_v2, d.streams[cuda.Compute], captureRelaxed)
	d.capturing = err == nil
	d.graphs = d.graphs || d.capturing
	return err
}

func (d *driver) EndCapture() (cuda.Graph, error) {
	defer d.leave()
	if err := d.enter(); err != nil {
		return 0, err
	}
	d.capturing = false
	s := d.s
	s.word = 0
	if err := d.call(&d.cu.CuStreamEndCapture, d.streams[cuda.Compute], at(&s.word)); err != nil {
		return 0, err
	}
	graph := s.word
	err := d.call(&d.cu.CuGraphInstantiateWithFlags, at(&s.word), graph, 0)
	ready := cuda.Graph(s.word)
	if r := d.cu.CuGraphDestroy.Call(graph); err == nil && r != 0 {
		err = d.failed(&d.cu.CuGraphDestroy, r, "")
	}
	return ready, err
}

func (d *driver) Replay(g cuda.Graph) error {
	defer d.leave()
	if err := d.enter(); err != nil {
		return err
	}
	return d.call(&d.cu.CuGraphLaunch, uintptr(g), d.streams[cuda.Compute])
}

func (d *driver) FreeGraph(g cuda.Graph) error {
	defer d.leave()
	if err := d.enter(); err != nil {
		return err
	}
	return d.call(&d.cu.CuGraphExecDestroy, uintptr(g))
}
