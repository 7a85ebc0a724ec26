package cuda

import (
	"fmt"

	"vicreg/internal/device"
)

// windows is Windows of pool.cu.
type windows struct {
	h, w, oh, ow         uint32
	r, s, stride, pad, q uint32 // q columns of padding
	_                    uint32
}

type maxPoolParams struct {
	rows   rows
	src    source
	y      arr
	argmax uint64
	win    windows
}

type maxPoolGradParams struct {
	rows   rows
	dx, d  arr
	argmax uint64
	f      finish
	win    windows
}

type avgPoolParams struct {
	rows rows
	src  source
	y    arr
}

var (
	maxPoolKernel     = three[maxPoolParams]("pool", "max_pool")
	maxPoolGradKernel = three[maxPoolGradParams]("pool", "max_pool_grad")
	avgPoolKernel     = three[avgPoolParams]("pool", "avg_pool")

	// Windows of 3 × 3 at every second pixel, as most networks have them: of any finish, and
	// of one whose dot is its mask.
	maxPoolThree         = declare[maxPoolParams]("pool", "max_pool_three", 0)
	maxPoolGradThree     = declare[maxPoolGradParams]("pool", "max_pool_grad_three", 0)
	maxPoolGradThreeMask = declare[maxPoolGradParams]("pool", "max_pool_grad_three_mm", 0)
)

// windowsOf panics unless arrays of the input and of the output fit a pooling.
func windowsOf(s device.Conv, x, y, argmax device.Array) windows {
	if s.Stride < 1 || s.R < 1 || s.S < 1 || s.R*s.S > 256 || s.Pad >= s.R || s.PadW() >= s.S ||
		s.Sequence && s.W != 1 || s.OutH() < 1 || s.OutW() < 1 {
		panic(fmt.Sprintf("cuda: impossible pooling %+v", s))
	}
	s.K = s.C
	same("pooling", s.InLen(), x)
	same("pooling", s.OutLen(), y, argmax)
	return windows{h: uint32(s.H), w: uint32(s.W), oh: uint32(s.OutH()), ow: uint32(s.OutW()), r: uint32(s.R),
		s: uint32(s.S), stride: uint32(s.Stride), pad: uint32(s.Pad), q: uint32(s.PadW())}
}

// threes says that the kernels for windows of 3 × 3 serve a pooling.
func threes(s device.Conv, kind int) bool { return kind == 0 && s.R == 3 && s.S == 3 }

func (d *Device) MaxPool(y, argmax device.Array, s device.Conv, src device.Source) {
	d.mu.Lock()
	defer d.mu.Unlock()
	win := windowsOf(s, src.X, y, argmax)
	kind := aligned(kindOf(s.C, y, src.X), src.Scale, src.Shift)
	if argmax.Addr()%8 != 0 {
		kind = 2
	}
	r, grid := short(y.Len(), s.C, kind)
	k := maxPoolKernel[kind]
	if threes(s, kind) {
		k = maxPoolThree
	}
	k.launch(d, grid, block, 0, maxPoolParams{rows: r, src: d.source(src), y: d.arr(y), argmax: d.u8(argmax), win: win})
}

func (d *Device) MaxPoolGrad(dx, dd, argmax device.Array, s device.Conv, f device.Finish) {
	d.mu.Lock()
	defer d.mu.Unlock()
	win := windowsOf(s, dx, dd, argmax)
	n := dx.Len()
	kind := finishKind(f, s.C, dx, dd)
	if argmax.Addr()%8 != 0 {
		kind = 2
	}
	k, cells := maxPoolGradKernel[kind], s.H*s.W
	four := threes(s, kind) && s.Stride == 2 && s.Pad == 1 && s.PadW() == 1
	if four { // a row is four pixels
		k, cells = maxPoolGradThree, over(s.H, 2)*over(s.W, 2)
	}
	r, grid := tall(s.N*cells*s.C, s.C, kind)
	p := maxPoolGradParams{rows: r, dx: d.arr(dx), d: d.arr(dd), argmax: d.u8(argmax),
		f: d.finishing(n, s.C, grid[0], f), win: win}
	if four && p.f.known() == masks+maskDot*dots {
		k = maxPoolGradThreeMask
	}
	k.launch(d, grid, block, 0, p)
}

func (d *Device) AvgPool(y device.Array, n, pixels, c int, src device.Source) {
	d.mu.Lock()
	defer d.mu.Unlock()
	same("mean", n*c, y)
	same("mean", n*pixels*c, src.X)
	kind := aligned(kindOf(c, src.X, y), src.Scale, src.Shift)
	r, grid := tall(n*pixels*c, c, kind)
	r.piece, grid[0] = uint32(pixels), n // an image
	avgPoolKernel[kind].launch(d, grid, block, 0, avgPoolParams{rows: r, src: d.source(src), y: d.arr(y)})
}

func (d *Device) AvgPoolGrad(dx, dd device.Array, n, pixels, c int, f device.Finish) {
	d.mu.Lock()
	defer d.mu.Unlock()
	same("mean", n*c, dd)
	same("mean", n*pixels*c, dx)
	kind := finishKind(f, c, dx, dd)
	r, grid := tall(dx.Len(), c, kind)
	d.launchFinish(kind, grid, finishParams{rows: r, dx: d.arr(dx), product: d.arr(dd),
		f: d.finishing(dx.Len(), c, grid[0], f), pixels: uint32(pixels), share: 1 / float32(pixels)})
}
