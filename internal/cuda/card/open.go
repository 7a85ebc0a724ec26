//go:build native && linux && (amd64 || arm64)

package card

import (
	"errors"
	"fmt"
	"runtime"

	"vicreg/internal/cuda"
	"vicreg/internal/native"
)

// What a card and its driver must at least be.
const (
	leastMajor = 8     // compute capability: Ampere, the first with bfloat16
	leastCUDA  = 12000 // what the driver must know, as cuDriverGetVersion says it
)

// Open makes card number index ready. Its errors are sentences that say what is missing
// and what to do about it.
func Open(index int) (cuda.Driver, error) {
	defer runtime.UnlockOSThread()
	runtime.LockOSThread()
	d, err := start()
	if err != nil {
		return nil, err
	}
	if err := d.pick(index); err != nil {
		return nil, err
	}
	l := d.libraries(native.NewSearch(runtime.GOARCH))
	if l.err != nil {
		return nil, l.err
	}
	d.card.CUDNN, d.card.CUBLAS = version(l.dnnVersion), version(l.blasVersion)
	for _, at := range []*native.Library{l.cu, l.dnn, l.blas} {
		d.card.Places = append(d.card.Places, at.String())
	}
	if err := d.prepare(); err != nil {
		d.Close()
		var e *cuda.Error
		if errors.As(err, &e) && e.OutOfMemory() {
			return nil, fmt.Errorf("card %d (%s) has too little memory left to start (nvidia-smi shows what uses it): %w",
				index, d.card.Name, err)
		}
		return nil, fmt.Errorf("card %d (%s) cannot be used: %w", index, d.card.Name, err)
	}
	return d, nil
}

// start opens the driver.
func start() (*driver, error) {
	d := &driver{s: newScratch(), products: map[productKey]*product{}, convolutions: map[convolutionKey]*convolution{}}
	if err := native.CheckVariable(); err != nil {
		return nil, err
	}
	cu, err := native.NewSearch(runtime.GOARCH).Open("libcuda.so.1")
	if err != nil {
		return nil, fmt.Errorf("no NVIDIA driver: %w; is one installed (nvidia-smi shows it)?", err)
	}
	if err := cu.Table(&d.cu); err != nil {
		return nil, fmt.Errorf("the NVIDIA driver cannot be used: %w", err)
	}
	d.cuLibrary = cu
	d.beside = beside{setCurrent: d.cu.CuCtxSetCurrent, wait: d.cu.CuEventSynchronize, name: d.cu.CuGetErrorName}
	if r := d.cu.CuInit.Call(0); r == errorNoDevice {
		return nil, errNoCard
	} else if r != 0 {
		return nil, fmt.Errorf("the NVIDIA driver does not start: %s (%d); nvidia-smi may say why", d.errorName(r), r)
	}
	if err := d.call(&d.cu.CuDriverGetVersion, at(&d.s.int)); err != nil {
		return nil, err
	}
	d.cudaVersion = int(d.s.int)
	d.card.Driver = driverVersion(d.cudaVersion)
	if d.cudaVersion < leastCUDA {
		return nil, fmt.Errorf("the NVIDIA driver is too old: it is %s, CUDA %s or newer is needed (driver 525 or newer)",
			d.card.Driver, cudaName(leastCUDA))
	}
	return d, nil
}

var errNoCard = errors.New("this machine has no NVIDIA card that the driver can use (nvidia-smi shows which there are)")

// count returns the number of cards, one or more.
func (d *driver) count() (int, error) {
	if err := d.call(&d.cu.CuDeviceGetCount, at(&d.s.int)); err != nil {
		return 0, err
	}
	if d.s.int < 1 {
		return 0, errNoCard
	}
	return int(d.s.int), nil
}

// pick looks a card over.
func (d *driver) pick(index int) error {
	n, err := d.count()
	if err != nil {
		return err
	}
	if index < 0 || index >= n {
		if n == 1 {
			return fmt.Errorf("there is no card %d: this machine has one, card 0", index)
		}
		return fmt.Errorf("there is no card %d: this machine has %d, numbered from 0", index, n)
	}
	s, c := d.s, &d.card
	if err := d.call(&d.cu.CuDeviceGet, at(&s.int), uintptr(index)); err != nil {
		return err
	}
	d.device, c.Index = uintptr(s.int), index
	clear(s.name[:])
	if err := d.call(&d.cu.CuDeviceGetName, at(&s.name), uintptr(len(s.name)-1), d.device); err != nil {
		return err
	}
	c.Name = cString(s.name[:])
	if err := d.call(&d.cu.CuDeviceTotalMem_v2, at(&s.word), d.device); err != nil {
		return err
	}
	c.Memory = int(s.word)
	for _, a := range []struct {
		to        *int
		attribute uintptr
	}{
		{&c.Major, computeMajor}, {&c.Minor, computeMinor}, {&c.Multiprocessors, multiprocessors},
		{&c.L2, l2Size}, {&c.SharedPerBlock, sharedPerBlockMost},
	} {
		if err := d.call(&d.cu.CuDeviceGetAttribute, at(&s.int), a.attribute, d.device); err != nil {
			return err
		}
		*a.to = int(s.int)
	}
	if c.Major < leastMajor {
		return fmt.Errorf("card %d (%s) is too old: its compute capability is %d.%d, %d.0 or higher is needed", index,
			c.Name, c.Major, c.Minor, leastMajor)
	}
	return nil
}

// prepare makes the context, and what lives in it.
func (d *driver) prepare() error {
	s := d.s
	f := &d.cu.CuDevicePrimaryCtxRetain
	if r := f.Call(at(&s.word), d.device); r != 0 {
		return d.failed(f, r, "the card's context")
	}
	d.context = s.word
	if err := d.call(&d.cu.CuCtxSetCurrent, d.context); err != nil {
		return err
	}
	for i := range d.streams {
		if err := d.call(&d.cu.CuStreamCreate, at(&s.word), streamNonBlocking); err != nil {
			return err
		}
		d.streams[i] = s.word
	}
	if err := d.work.ensure(d, blasWorkspace); err != nil {
		return err
	}
	if r := d.blas.CublasLtCreate.Call(at(&s.word)); r != 0 {
		return d.failedIn(&d.blas.CublasLtCreate, r, d.blas.CublasLtGetStatusName.Text(uintptr(r)), "")
	}
	d.blasHandle = s.word
	if r := d.dnn.CudnnCreate.Call(at(&s.word)); r != 0 {
		return d.failedIn(&d.dnn.CudnnCreate, r, d.dnn.CudnnGetErrorString.Text(uintptr(r)), "")
	}
	d.dnnHandle = s.word
	if r := d.dnn.CudnnSetStream.Call(d.dnnHandle, d.streams[cuda.Compute]); r != 0 {
		return d.failedIn(&d.dnn.CudnnSetStream, r, d.dnn.CudnnGetErrorString.Text(uintptr(r)), "")
	}
	return nil
}

// Close gives back the card and all that this program has on it.
func (d *driver) Close() {
	if d.context == 0 {
		return
	}
	defer d.leave()
	runtime.LockOSThread()
	d.cu.CuCtxSetCurrent.Call(d.context)
	d.part()
	if d.lost.Load() == nil {
		for _, s := range d.streams {
			if s != 0 {
				d.cu.CuStreamSynchronize.Call(s)
			}
		}
		for _, p := range d.products {
			d.forget(p)
		}
		for _, v := range d.convolutions {
			d.forgetConvolution(v)
		}
		if d.dnnHandle != 0 {
			d.dnn.CudnnDestroy.Call(d.dnnHandle)
		}
		if d.blasHandle != 0 {
			d.blas.CublasLtDestroy.Call(d.blasHandle)
		}
		for _, addr := range append(d.work.old, d.work.addr) {
			if addr != 0 {
				d.cu.CuMemFree_v2.Call(addr)
			}
		}
		for _, s := range d.streams {
			if s != 0 {
				d.cu.CuStreamDestroy_v2.Call(s)
			}
		}
	}
	d.cu.CuDevicePrimaryCtxRelease_v2.Call(d.device)
	d.context = 0
}
