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
		if v, err = d.newConvolution(key); err != nil {
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
func (d *driver) newConvolution(key convolutionKey) (*convolution, error) {
	if d.capturing {
		return nil, d.unseen(&d.dnn.CudnnConvolutionForward, key.String())
	}
	v := new(convolution)
	if err := d.describeConvolution(v, key); err != nil {
		d.forgetConvolution(v)
		return nil, err
	}
	choice, err := d.proposed(v, key)
	if err != nil {
		d.forgetConvolution(v)
		return nil, err
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

// proposed asks cuDNN for its algorithms, the one that it takes for the quickest first, and
// returns the first deterministic one that fits. Trying them out gave no other figure on an
// H100, and other bits in each run.
func (d *driver) proposed(v *convolution, key convolutionKey) (convolutionChoice, error) {
	s := d.s
	count, results := at(&s.int), at(&s.perf)
	s.int = 0
	var f *native.Func
	var r int
	switch key.kind {
	case cuda.Forward:
		f = &d.dnn.CudnnGetConvolutionForwardAlgorithm_v7
		r = f.Call(d.dnnHandle, v.x, v.w, v.conv, v.y, perfMost, count, results)
	case cuda.InputGrad:
		f = &d.dnn.CudnnGetConvolutionBackwardDataAlgorithm_v7
		r = f.Call(d.dnnHandle, v.w, v.y, v.conv, v.x, perfMost, count, results)
	case cuda.WeightGrad:
		f = &d.dnn.CudnnGetConvolutionBackwardFilterAlgorithm_v7
		r = f.Call(d.dnnHandle, v.x, v.y, v.conv, v.w, perfMost, count, results)
	}
	if r != 0 {
		return convolutionChoice{}, d.dnnFailed(f, r, key)
	}
	exact := key.t == device.Float32 && !key.tf32
	for _, p := range s.perf[:min(max(s.int, 0), perfMost)] {
		fits := p.status == 0 && p.determinism == dnnDeterministic && p.memory <= dnnWorkspace
		if fits && (!exact || p.math == dnnFMAMath) {
			return convolutionChoice{p.algo, p.math, int(p.memory)}, nil
		}
	}
	return convolutionChoice{}, d.dnnFailed(f, dnnNotSupported, key)
}
