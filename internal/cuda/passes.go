package cuda

import (
	"fmt"

	"vicreg/internal/device"
)

// Passes over activations that leave no sums.

type applyParams struct {
	rows rows
	src  source
	y    arr
}

type applyGradParams struct {
	rows rows
	grad grad
	y    arr
}

type addReLUParams struct {
	rows  rows
	a, b  source
	y     arr
	signs uint64
	relu  uint32
	_     uint32
}

type signsParams struct {
	y        arr
	signs, n uint64
}

type axpyParams struct {
	rows rows
	y, x arr
	a    float32
	_    uint32
}

var (
	applyKernel     = three[applyParams]("pass", "apply")
	applyGradKernel = three[applyGradParams]("pass", "apply_grad")
	addReLUKernel   = three[addReLUParams]("pass", "add_relu")
	signsKernel     = declare[signsParams]("pass", "signs", 0)
	axpyKernel      = three[axpyParams]("pass", "axpy")
)

func (d *Device) Apply(y device.Array, src device.Source, c int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.apply(y, src, c)
}

func (d *Device) apply(y device.Array, src device.Source, c int) {
	n := y.Len()
	same("Apply", n, src.X)
	if src.Scale.None() {
		c = flat(n)
	}
	kind := aligned(kindOf(c, y, src.X), src.Scale, src.Shift)
	r, grid := short(n, c, kind)
	applyKernel[kind].launch(d, grid, block, 0, applyParams{rows: r, src: d.source(src), y: d.arr(y)})
}

func (d *Device) ApplyGrad(y device.Array, g device.Grad, c int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if g.A.None() {
		d.apply(y, device.Source{X: g.D}, c)
		return
	}
	d.applyGrad(y, g, c)
}

func (d *Device) applyGrad(y device.Array, g device.Grad, c int) {
	n := y.Len()
	same("ApplyGrad", n, g.D, g.Y)
	kind := aligned(kindOf(c, y, g.D, g.Y), g.A, g.B, g.K)
	r, grid := short(n, c, kind)
	applyGradKernel[kind].launch(d, grid, block, 0, applyGradParams{rows: r, grad: d.grad(g), y: d.arr(y)})
}

func (d *Device) AddReLU(y device.Array, a, b device.Source, c int, relu bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.addReLU(y, device.Array{}, a, b, c, relu)
}

func (d *Device) AddSigned(y, signs device.Array, a, b device.Source, c int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if n := y.Len(); n%8 != 0 || signs.Len() != n/8 {
		panic(fmt.Sprintf("cuda: %d bytes for the signs of %d elements", signs.Len(), n))
	}
	d.addReLU(y, signs, a, b, c, true)
}

func (d *Device) addReLU(y, signs device.Array, a, b device.Source, c int, relu bool) {
	if !relu || !d.postpone(y, signs, a, b, c) {
		d.sumReLU(y, signs, a, b, c, relu)
	}
}

// sumReLU is addReLU, now.
func (d *Device) sumReLU(y, signs device.Array, a, b device.Source, c int, relu bool) {
	n := y.Len()
	same("AddReLU", n, a.X, b.X)
	kind := aligned(kindOf(c, y, a.X, b.X), a.Scale, a.Shift, b.Scale, b.Shift)
	r, grid := short(n, c, kind)
	p := addReLUParams{rows: r, a: d.source(a), b: d.source(b), y: d.arr(y), signs: d.u8(signs)}
	if relu {
		p.relu = 1
	}
	addReLUKernel[kind].launch(d, grid, block, 0, p)
	if kind == 2 && !signs.None() { // a thread had no eight of them
		signsKernel.launch(d, d.grid1(signs.Len(), block), block, 0,
			signsParams{y: p.y, signs: p.signs, n: uint64(signs.Len())})
	}
}

// tail finishes an output of inference.
func (d *Device) tail(y device.Array, c int, t device.Tail) {
	if t.Scale.None() {
		return
	}
	src := device.Source{X: y, Scale: t.Scale, Shift: t.Shift}
	if t.Add.None() {
		src.ReLU = t.ReLU
		d.apply(y, src, c)
		return
	}
	d.sumReLU(y, device.Array{}, src, device.Source{X: t.Add}, c, t.ReLU)
}

func (d *Device) Axpy(y device.Array, a float32, x device.Array) {
	d.mu.Lock()
	defer d.mu.Unlock()
	n := y.Len()
	same("Axpy", n, x)
	if n == 0 {
		return
	}
	d.weights.changed(y)
	c := flat(n)
	kind := kindOf(c, y, x)
	r, grid := short(n, c, kind)
	axpyKernel[kind].launch(d, grid, block, 0, axpyParams{rows: r, y: d.arr(y), x: d.arr(x), a: a})
}
