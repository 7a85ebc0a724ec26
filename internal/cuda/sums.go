package cuda

import (
	"fmt"

	"vicreg/internal/device"
)

// Passes that leave sums of channels. Each block leaves those of its piece; whoever reads
// the sums next adds the pieces up, which saves most layers a kernel.

// pieces are sums whose pieces are still to be added.
type pieces struct {
	of   device.Sums
	at   uintptr // pieces × 2 × c of float64
	n, c int
}

type squaresParams struct {
	rows     rows
	y        arr
	partials uint64
}

// finish is Finish of rows.h.
type finish struct {
	add      arr
	mask     source
	dot      arr
	partials uint64
	dotIs    uint32
	few      uint32 // add is of pixels of even row and column
	h, w     uint32
}

// What a finish multiplies with, and what else there is to it, as rows.h has it.
const (
	noDot = iota
	ownDot
	maskDot

	adds  = 1
	masks = 2
	dots  = 4
	signs = 16
)

// finishesOf declares the kernels for all that there may be of a finish.
func finishesOf() (all [24]kernel[finishParams]) {
	for i, name := range [24]string{"", "a", "m", "am", "o", "ao", "mo", "amo", 2*dots + masks: "mm",
		2*dots + masks + adds: "amm", signs: "s", signs + adds: "as", signs + dots: "so", signs + dots + adds: "aso"} {
		if name != "" || i == 0 {
			all[i] = declare[finishParams]("pass", "finish_"+name, 0)
		}
	}
	return all
}

// known says what there is of a finish, with a mask that is the dot or with another.
func (f *finish) known() (k uint32) {
	if f.add.p != 0 {
		k |= adds
	}
	switch {
	case f.mask.x.t == cBits:
		k |= signs
	case f.mask.x.p != 0:
		k |= masks
	}
	return k | f.dotIs*dots
}

// launchFinish finishes rows of c channels by the best of the kernels.
func (d *Device) launchFinish(kind int, grid [3]int, p finishParams) {
	k := finishKernel1
	switch kind {
	case 0:
		k = finishKernels[p.f.known()]
	case 1:
		k = finishKernel8
	}
	k.launch(d, grid, block, 0, p)
}

type finishParams struct {
	rows        rows
	dx, product arr
	f           finish
	pixels      uint32
	share       float32
}

// sumsParams is Sums of norm.cu.
type sumsParams struct {
	a, b, partials uint64
	pieces, c      uint32
}

type addSumsParams struct {
	x, sums uint64
	n       uint32
	_       uint32
}

var (
	squaresKernel   = three[squaresParams]("pass", "squares")
	finishKernel8   = declare[finishParams]("pass", "finish_grad8", 0)
	finishKernel1   = declare[finishParams]("pass", "finish_grad1", 0)
	finishKernels   = finishesOf() // of bfloat16, by what there is
	addPiecesKernel = declare[sumsParams]("norm", "add_pieces", 0)
	addSumsKernel   = declare[addSumsParams]("norm", "add_sums", 0)
)

// partials returns room for the sums of n pieces, which are to become s.
func (d *Device) partials(s device.Sums, n, c int) uint64 {
	d.settle()
	same("sums", c, s.A, s.B)
	at := d.room(forPieces, n*2*c*8)
	d.pieces = pieces{of: s, at: at, n: n, c: c}
	return uint64(at)
}

// sums is how a kernel reads sums of c channels: it adds up their pieces if nobody has.
func (d *Device) sums(s device.Sums, c int) sumsParams {
	same("sums", c, s.A, s.B)
	p := sumsParams{a: d.f64(s.A), b: d.f64(s.B), c: uint32(c)}
	if q := &d.pieces; q.n > 0 && q.of.A.Same(s.A) {
		p.partials, p.pieces = uint64(q.at), uint32(q.n)
		*q = pieces{}
	}
	return p
}

// sumGrid is that of the kernels that read sums.
func sumGrid(c int) (grid [3]int, threads int) { return [3]int{over(c, 4), 1, 1}, 512 }

// settle adds up pieces that are left.
func (d *Device) settle() {
	if d.pieces.n == 0 {
		return
	}
	c := d.pieces.c
	grid, threads := sumGrid(c)
	addPiecesKernel.launch(d, grid, threads, 0, d.sums(d.pieces.of, c))
}

// columnSums leaves Σ y and Σ y².
func (d *Device) columnSums(y device.Array, c int, s device.Sums) {
	kind := kindOf(c, y)
	r, grid := tall(y.Len(), c, kind)
	squaresKernel[kind].launch(d, grid, block, 0,
		squaresParams{rows: r, y: d.arr(y), partials: d.partials(s, grid[0], c)})
}

func (d *Device) FinishGrad(dx device.Array, c int, f device.Finish) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.finish(dx, dx, c, f)
}

// finish writes what product holds, finished as f says, to dx, which may be the same.
func (d *Device) finish(dx, product device.Array, c int, f device.Finish) {
	n := dx.Len()
	same("FinishGrad", n, product)
	if f.At.Step != 2 {
		f = d.spread(f, c)
	}
	to := dx
	if f.Add.None() && f.Mask.X.None() && product.Same(dx) {
		if f.Sums.A.None() {
			return
		}
		to = device.Array{}
	}
	kind := finishKind(f, c, dx, product)
	r, grid := tall(n, c, kind)
	d.launchFinish(kind, grid, finishParams{rows: r, dx: d.arr(to), product: d.arr(product),
		f: d.finishing(n, c, grid[0], f), share: 1})
}

// finishKind is the kind of kernel that finishes a gradient.
func finishKind(f device.Finish, c int, dx, from device.Array) int {
	if f.Sums.A.None() {
		f.Dot = device.Array{}
	}
	if !f.Signs.None() {
		f.Mask = device.Source{}
	}
	return aligned(kindOf(c, dx, from, f.Add, f.Mask.X, f.Dot), f.Mask.Scale, f.Mask.Shift)
}

// finishing is a Finish of a gradient of n elements for a kernel that has so many pieces.
func (d *Device) finishing(n, c, pieces int, f device.Finish) finish {
	same("a gradient", n, f.Mask.X, f.Dot)
	p := finish{add: d.arr(f.Add), mask: d.mask(f)}
	if f.At.Step == 2 {
		p.few, p.h, p.w = 1, uint32(f.At.H), uint32(f.At.W)
	} else {
		same("a gradient", n, f.Add)
	}
	if f.Sums.A.None() {
		return p
	}
	p.partials, p.dotIs, p.dot = d.partials(f.Sums, pieces, c), ownDot, d.arr(f.Dot)
	if p.dot == p.mask.x {
		p.dotIs = maskDot
	}
	return p
}

// mask is what a kernel reads as the mask of a Finish: its signs, where there are any.
func (d *Device) mask(f device.Finish) source {
	if f.Signs.None() {
		return d.source(f.Mask)
	}
	if f.Signs.Len()*8 != f.Mask.X.Len() {
		panic(fmt.Sprintf("cuda: signs of %d elements for a mask of %d", f.Signs.Len()*8, f.Mask.X.Len()))
	}
	return source{x: arr{p: d.u8(f.Signs), t: cBits}}
}

func (d *Device) AddSums(x, sums device.Array) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.settle()
	n := x.Len()
	if same("AddSums", n, sums); n == 0 {
		return
	}
	addSumsKernel.launch(d, [3]int{over(n, block), 1, 1}, block, 0,
		addSumsParams{x: d.f32(x), sums: d.f64(sums), n: uint32(n)})
}
