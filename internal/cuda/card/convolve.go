//go:build native && linux && (amd64 || arm64)

package card

import (
	"fmt"

	"vicreg/internal/cuda"
	"vicreg/internal/device"
	"vicreg/internal/native"
)

// convolutionKey is everything that the choice of an algorithm depends on.
type convolutionKey struct {
	kind                cuda.Kind
	n, h, w, c, k, r, s int
	stride, padH, padW  int
	t                   device.Type
	tf32                bool
}

// convolution is a convolution as cuDNN knows it.
type convolution struct {
	x, y, w, conv uintptr // descriptors
	choice        convolutionChoice
}

// convolutionChoice is an algorithm.
type convolutionChoice struct {
	algo, math int32
	workspace  int
}

// perf is cudnnConvolutionFwdAlgoPerf_t, and those of the gradients, which are alike.
type perf struct {
	algo, status      int32
	_                 float32 // milliseconds
	_                 int32
	memory            uintptr
	determinism, math int32
	_                 [3]int32
	_                 int32
}

const (
	perfMost     = 16
	dnnWorkspace = 1 << 30 // bytes, the most that an algorithm may use
)

func convolutionKeyOf(c *cuda.Convolution) convolutionKey {
	s := c.Shape
	return convolutionKey{kind: c.Kind, n: s.N, h: s.H, w: s.W, c: s.C, k: s.K, r: s.R, s: s.S, stride: s.Stride,
		padH: s.Pad, padW: s.PadW(), t: c.Type, tf32: c.TF32 && c.Type == device.Float32}
}

func (k convolutionKey) String() string {
	s := fmt.Sprintf("%s of %d × %d × %d × %d by %d × %d to %d channels", k.kind, k.n, k.h, k.w, k.c, k.r, k.s, k.k)
	if k.stride != 1 {
		s += fmt.Sprintf(", stride %d", k.stride)
	}
	if k.padH != 0 || k.padW != 0 {
		s += fmt.Sprintf(", padding %d × %d", k.padH, k.padW)
	}
	s += ", " + k.t.String()
	if k.tf32 {
		s += " by TF32"
	}
	return s
}

// Convolve queues a convolution.
func (d *driver) Convolve(c *cuda.Convolution) error {
	defer d.leave()
	if err := d.enter(); err != nil {
		return err
	}
	key := convolutionKeyOf(c)
	v := d.convolutions[key]
	if v == nil {
		var err error
		if v, err = d.newConvolution(key, c); err != nil {
			return err
		}
		d.convolutions[key] = v
	}
	s := d.s
	one, zero, algo := at(&s.one), at(&s.zero), uintptr(v.choice.algo)
	work, bytes := d.work.addr, uintptr(v.choice.workspace)
	var f *native.Func
	var r int
	switch c.Kind {
	case cuda.Forward:
		f = &d.dnn.CudnnConvolutionForward
		r = f.Call(d.dnnHandle, one, v.x, c.X, v.w, c.W, v.conv, algo, work, bytes, zero, v.y, c.Y)
	case cuda.InputGrad:
		f = &d.dnn.CudnnConvolutionBackwardData
		r = f.Call(d.dnnHandle, one, v.w, c.W, v.y, c.Y, v.conv, algo, work, bytes, zero, v.x, c.X)
	case cuda.WeightGrad:
		f = &d.dnn.CudnnConvolutionBackwardFilter
		r = f.Call(d.dnnHandle, one, v.x, c.X, v.y, c.Y, v.conv, algo, work, bytes, zero, v.w, c.W)
	}
	if r != 0 {
		return d.dnnFailed(f, r, key)
	}
	return nil
}

func (d *driver) dnnFailed(f *native.Func, code int, key convolutionKey) error {
	return d.failedIn(f, code, d.dnn.CudnnGetErrorString.Text(uintptr(code)), key.String())
}

// newConvolution makes descriptors and finds an algorithm.
func (d *driver) newConvolution(key convolutionKey, c *cuda.Convolution) (*convolution, error) {
	if d.capturing {
		return nil, d.unseen(&d.dnn.CudnnConvolutionForward, key.String())
	}
	v := new(convolution)
	if err := d.describeConvolution(v, key); err != nil {
		d.forgetConvolution(v)
		return nil, err
	}
	choice, known := d.found.convolution(key)
	if !known {
		var err error
		if choice, err = d.bestConvolution(v, key, c); err != nil {
			d.forgetConvolution(v)
			return nil, err
		}
		d.found.keepConvolution(key, choice)
	}
	if err := d.work.ensure(d, choice.workspace); err != nil {
		d.forgetConvolution(v)
		return nil, err
	}
	v.choice = choice
	f := &d.dnn.CudnnSetConvolutionMathType
	if r := f.Call(v.conv, uintptr(choice.math)); r != 0 {
		d.forgetConvolution(v)
		return nil, d.dnnFailed(f, r, key)
	}
	return v, nil
}

func (d *driver) describeConvolution(v *convolution, k convolutionKey) error {
	dnn := &d.dnn
	kind := uintptr(dnnFloat)
	if k.t == device.BFloat16 {
		kind = dnnBFloat16
	}
	math := uintptr(dnnTensorOpMath)
	if k.t == device.Float32 && !k.tf32 {
		math = dnnFMAMath
	}
	var err error
	try := func(f *native.Func, args ...uintptr) {
		if err != nil {
			return
		}
		if r := f.Call(args...); r != 0 {
			err = d.dnnFailed(f, r, k)
		}
	}
	create := func(f *native.Func, to *uintptr) {
		d.s.word = 0
		try(f, at(&d.s.word))
		*to = d.s.word
	}
	oh, ow := (k.h+2*k.padH-k.r)/k.stride+1, (k.w+2*k.padW-k.s)/k.stride+1
	u := func(n int) uintptr { return uintptr(n) }
	create(&dnn.CudnnCreateTensorDescriptor, &v.x)
	try(&dnn.CudnnSetTensor4dDescriptor, v.x, dnnNHWC, kind, u(k.n), u(k.c), u(k.h), u(k.w))
	create(&dnn.CudnnCreateTensorDescriptor, &v.y)
	try(&dnn.CudnnSetTensor4dDescriptor, v.y, dnnNHWC, kind, u(k.n), u(k.k), u(oh), u(ow))
	create(&dnn.CudnnCreateFilterDescriptor, &v.w)
	try(&dnn.CudnnSetFilter4dDescriptor, v.w, kind, dnnNHWC, u(k.k), u(k.c), u(k.r), u(k.s))
	create(&dnn.CudnnCreateConvolutionDescriptor, &v.conv)
	try(&dnn.CudnnSetConvolution2dDescriptor, v.conv, u(k.padH), u(k.padW), u(k.stride), u(k.stride), 1, 1,
		dnnCrossCorrelation, dnnFloat)
	try(&dnn.CudnnSetConvolutionMathType, v.conv, math)
	return err
}

// forgetConvolution gives descriptors back.
func (d *driver) forgetConvolution(v *convolution) {
	for _, x := range []uintptr{v.x, v.y} {
		if x != 0 {
			d.dnn.CudnnDestroyTensorDescriptor.Call(x)
		}
	}
	if v.w != 0 {
		d.dnn.CudnnDestroyFilterDescriptor.Call(v.w)
	}
	if v.conv != 0 {
		d.dnn.CudnnDestroyConvolutionDescriptor.Call(v.conv)
	}
}

// bestConvolution has cuDNN measure its algorithms, which overwrites the result. The
// quickest deterministic one is taken.
func (d *driver) bestConvolution(v *convolution, key convolutionKey, c *cuda.Convolution) (convolutionChoice, error) {
	work, bytes, err := d.room()
	if err != nil {
		return convolutionChoice{}, err
	}
	defer d.cu.CuMemFree_v2.Call(work)
	s := d.s
	count, results := at(&s.int), at(&s.perf)
	var f *native.Func
	var r int
	s.int = 0
	switch key.kind {
	case cuda.Forward:
		f = &d.dnn.CudnnFindConvolutionForwardAlgorithmEx
		r = f.Call(d.dnnHandle, v.x, c.X, v.w, c.W, v.conv, v.y, c.Y, perfMost, count, results, work, uintptr(bytes))
	case cuda.InputGrad:
		f = &d.dnn.CudnnFindConvolutionBackwardDataAlgorithmEx
		r = f.Call(d.dnnHandle, v.w, c.W, v.y, c.Y, v.conv, v.x, c.X, perfMost, count, results, work, uintptr(bytes))
	case cuda.WeightGrad:
		f = &d.dnn.CudnnFindConvolutionBackwardFilterAlgorithmEx
		r = f.Call(d.dnnHandle, v.x, c.X, v.y, c.Y, v.conv, v.w, c.W, perfMost, count, results, work, uintptr(bytes))
	}
	if r != 0 {
		return convolutionChoice{}, d.dnnFailed(f, r, key)
	}
	exact := key.t == device.Float32 && !key.tf32
	for _, p := range s.perf[:min(max(s.int, 0), perfMost)] { // the quickest first
		fits := p.status == 0 && p.determinism == dnnDeterministic && p.memory <= uintptr(bytes)
		if fits && (!exact || p.math == dnnFMAMath) {
			return convolutionChoice{p.algo, p.math, int(p.memory)}, nil
		}
	}
	return convolutionChoice{}, d.dnnFailed(f, dnnNotSupported, key)
}

// room returns memory to try algorithms in: as much as one may use, or what there is.
func (d *driver) room() (addr uintptr, bytes int, err error) {
	for bytes = dnnWorkspace; ; bytes /= 4 {
		addr, err = d.alloc(bytes, "workspace to try convolutions in")
		if err == nil || bytes < 1<<20 || d.lost.Load() != nil {
			return addr, bytes, err
		}
	}
}
