package cuda

import (
	"vicreg/internal/device"
)

// A 1 × 1 convolution with a stride is a product of the pixels that it reads, which are
// gathered before it. Libraries are several times slower at the convolution itself.

type stridedParams struct {
	src          source
	to           arr
	n, h, w, c   uint32
	oh, ow, step uint32
	_            uint32
}

var (
	stridedGather  = declare[stridedParams]("strided", "strided_gather", 0)
	stridedScatter = declare[stridedParams]("strided", "strided_scatter", 0)
)

// isStrided says that a convolution of x is a product of some of its pixels.
func isStrided(s device.Conv, x device.Array) bool {
	return s.R == 1 && s.S == 1 && s.Stride > 1 && s.Pad == 0 && !s.Sequence && wide(s.C, x)
}

// dense returns the convolution of the gathered pixels.
func dense(s device.Conv) device.Conv {
	s.H, s.W, s.Stride = s.OutH(), s.OutW(), 1
	return s
}

func (d *Device) strided(s device.Conv, src device.Source, to device.Array) stridedParams {
	return stridedParams{src: d.source(src), to: d.arr(to), n: uint32(s.N), h: uint32(s.H), w: uint32(s.W),
		c: uint32(s.C), oh: uint32(s.OutH()), ow: uint32(s.OutW()), step: uint32(s.Stride)}
}

// gathered returns the pixels that s reads, as products read them.
func (d *Device) gathered(src device.Source, s device.Conv, t device.Type) device.Source {
	n := dense(s).InLen()
	to := device.At(d.room(forSource, n*t.Size()), t, n)
	stridedGather.launch(d, d.grid1(n/8, 256), 256, 0, d.strided(s, src, to))
	return device.Source{X: to}
}

// Sparse says that gradients may be of some pixels alone.
func (d *Device) Sparse() {}

// spread returns a Finish whose Add is of all pixels.
func (d *Device) spread(f device.Finish, c int) device.Finish {
	if f.At.Step == 0 {
		return f
	}
	s := device.Conv{H: f.At.H, W: f.At.W, C: c, K: c, R: 1, S: 1, Stride: f.At.Step}
	s.N = f.Add.Len() / (s.OutH() * s.OutW() * c)
	all := device.At(d.room(forSource, s.InLen()*f.Add.Type().Size()), f.Add.Type(), s.InLen())
	d.scattered(all, f.Add, s)
	f.Add, f.At = all, device.Pixels{}
	return f
}

// scattered writes the gradient of the gathered pixels to that of all.
func (d *Device) scattered(to, from device.Array, s device.Conv) {
	stridedScatter.launch(d, d.grid1(to.Len()/8, 256), 256, 0, d.strided(s, device.Source{X: from}, to))
}
