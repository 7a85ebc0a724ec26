package cuda

import (
	"vicreg/internal/device"
)

type applyParams struct {
	src  source
	y    arr
	n    uint64
	c    uint32
	_pad uint32
}

var (
	apply8 = declare[applyParams]("pass", "apply8", 0)
	apply1 = declare[applyParams]("pass", "apply1", 0)
)

func (d *Device) Apply(y device.Array, src device.Source, c int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.apply(y, src, c)
}

func (d *Device) apply(y device.Array, src device.Source, c int) {
	p := applyParams{src: d.source(src), y: d.arr(y), n: uint64(y.Len()), c: uint32(c)}
	if n := y.Len(); n%8 == 0 && (c%8 == 0 || src.Scale.None()) && wide(8, y, src.X) {
		apply8.launch(d, d.grid1(n/8, 256), 256, 0, p)
	} else {
		apply1.launch(d, d.grid1(n, 256), 256, 0, p)
	}
}

func (d *Device) ApplyGrad(y device.Array, g device.Grad, c int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.applyGrad(y, g, c)
}

func (d *Device) FinishGrad(dx device.Array, c int, f device.Finish) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.finish(dx, dx, c, f)
}
