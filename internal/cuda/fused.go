package cuda

import (
	"math/bits"
	"strings"

	"vicreg/internal/device"
)

// Convolutions of bfloat16 by own kernels, which do on the way what is fused around a
// convolution: an activation is read and written once, where the libraries' way reads and
// writes it again before and after.

// form is a kernel made for tiles of one size.
type form struct {
	bm, bn  int // rows of the product, and columns, that a block computes
	threads int
	shared  int // bytes
	hopper  bool
	run     bool // blocks go through several tiles, of rows that lie as the product has them
}

// The forms of each kind, with a kernel for rows that lie as the product has them, and, but
// for gradients of inputs, one for filters of any size, whose rows are gathered.
type (
	forwardForm struct {
		form
		rows, taps, infer kernel[forwardParams]
		blocks            int // of one with run, that a card has at once
	}
	inputGradForm struct {
		form
		rows kernel[inputGradParams]
	}
	weightGradForm struct {
		form
		rows, taps kernel[weightGradParams]
		blocks     int // that keep a card busy
	}
)

// module returns where a form's kernels are, given the module of those that all cards can
// run.
func (f *form) module(name string) string {
	if f.hopper {
		return hopper
	}
	return name
}

func newForward(f form, stages int) forwardForm {
	f.shared = stages * (f.bm + f.bn) * 128
	kernel := func(name string) kernel[forwardParams] {
		return declare[forwardParams](f.module("forward"), name+f.name(), f.shared)
	}
	return forwardForm{form: f, rows: kernel("forward_"), taps: kernel("gather_"), infer: kernel("infer_")}
}

func newRun(f form, stages, blocks int) forwardForm {
	f.shared = stages*(f.bm+f.bn)*128 + f.bm*(2*f.bn+16) + f.threads/32*f.bn*8
	name := "run_" + f.name()
	f.run = true
	return forwardForm{form: f, rows: declare[forwardParams](f.module("run"), name, f.shared), blocks: blocks}
}

func newInputGrad(f form, stages int) inputGradForm {
	f.shared = stages * (2*f.bm + f.bn) * 128
	return inputGradForm{f, declare[inputGradParams](f.module("inputgrad"), "input_grad_"+f.name(), f.shared)}
}

// newRunGrad returns the form whose blocks go through all tiles across, by two teams of 256
// threads, for outputs of at most mostRunGrad channels.
func newRunGrad(f form) inputGradForm {
	name := "run_input_grad_" + f.name()
	f.run, f.threads = true, 512
	f.shared = 8*f.bm*128 + 2*f.bm*(2*f.bn+16) + 16*f.bn*8
	return inputGradForm{form: f, rows: declare[inputGradParams](f.module("run"), name, f.shared)}
}

const mostRunGrad = 256

func newWeightGrad(f form, stages, blocks int) weightGradForm {
	f.shared = stages * (f.bm + 2*f.bn) * 128
	kernel := func(name string) kernel[weightGradParams] {
		return declare[weightGradParams](f.module("weightgrad"), name+f.name(), f.shared)
	}
	return weightGradForm{f, kernel("weight_grad_"), kernel("weight_taps_"), blocks}
}

// warps and groups are forms of 256 threads, whose products are mma.sync's and wgmma's.
func warps(bm, bn int) form  { return form{bm: bm, bn: bn, threads: 256} }
func groups(bm, bn int) form { return form{bm: bm, bn: bn, threads: 256, hopper: true} }

var (
	forwardForms = []forwardForm{
		newForward(warps(128, 64), 3),
		newForward(warps(128, 128), 3),
		newForward(warps(128, 256), 4),
		newForward(groups(128, 64), 3),
		newForward(groups(128, 128), 3),
		newForward(groups(128, 256), 4),
		newRun(warps(128, 64), 3, 264),
		newRun(warps(128, 128), 2, 264),
		newRun(groups(128, 64), 3, 264),
		newRun(groups(128, 128), 2, 264),
	}
	inputGradForms = []inputGradForm{
		newInputGrad(warps(128, 64), 2),
		newInputGrad(warps(128, 128), 2),
		newInputGrad(warps(128, 256), 3),
		newInputGrad(groups(128, 64), 2),
		newInputGrad(groups(128, 128), 2),
		newInputGrad(groups(128, 256), 3),
		newRunGrad(warps(128, 128)),
	}
	weightGradForms = []weightGradForm{
		newWeightGrad(warps(64, 64), 4, 264),
		newWeightGrad(warps(64, 128), 2, 264),
		newWeightGrad(warps(128, 64), 3, 264),
		newWeightGrad(warps(256, 64), 2, 264),
		newWeightGrad(warps(128, 128), 2, 264),
		newWeightGrad(warps(256, 128), 3, 132),
		newWeightGrad(form{bm: 64, bn: 64, threads: 128, hopper: true}, 2, 528),
		newWeightGrad(groups(64, 128), 2, 264),
		newWeightGrad(groups(128, 64), 3, 264),
		newWeightGrad(groups(256, 64), 2, 264),
		newWeightGrad(groups(128, 128), 2, 264),
		newWeightGrad(groups(256, 128), 3, 132),
	}
	foldKernel = declare[foldParams]("partial", "fold", 0)
	addWeights = declare[addWeightsParams]("partial", "add_weights", 0)
)

// What kernels get, as their sources declare it.

type shapeParams struct{ m, c, k, h, w, oh, ow, r, s, stride, padH, padW uint32 }

type forwardParams struct {
	x            source
	w, y         uint64
	partials     fusedPartials
	scale, shift uint64
	add          uint64
	relu, pitch  uint32
	run, _       uint32
	shape        shapeParams
}

type inputGradParams struct {
	g          grad
	w, dx, add uint64
	mask       source
	dot        uint64
	partials   fusedPartials
	shape      shapeParams
	few, _     uint32
}

type weightGradParams struct {
	g                    grad
	x                    source
	partials             uint64
	rows, pitch          uint32
	byImage, byRow       uint64
	imageShift, rowShift uint32
	rowsTall, _          uint32
	shape                shapeParams
}

type foldParams struct {
	partials, to uint64
	pieces, n    uint32
}

type addWeightsParams struct {
	partials, to, n uint64
	pieces          uint32
	_               uint32
}

func shapeOf(s device.Conv, m int) shapeParams {
	return shapeParams{m: uint32(m), c: uint32(s.C), k: uint32(s.K), h: uint32(s.H), w: uint32(s.W),
		oh: uint32(s.OutH()), ow: uint32(s.OutW()), r: uint32(s.R), s: uint32(s.S), stride: uint32(s.Stride),
		padH: uint32(s.Pad), padW: uint32(s.PadW())}
}

// magic returns m and shift such that n·m >> shift is n / by for n below 2³¹.
func magic(by int) (m uint64, shift uint32) {
	l := bits.Len(uint(by - 1))
	return 1<<(31+l)/uint64(by) + 1, uint32(31 + l)
}

// fits says that the own kernels can compute a convolution between these arrays, with these
// constants of channels.
func fits(s device.Conv, values []device.Array, constants ...device.Array) bool {
	if s.C%8 != 0 || s.K%8 != 0 || s.H >= 1<<15 || s.W >= 1<<15 ||
		int64(max(s.N*s.H*s.W, s.N*s.OutH()*s.OutW())) >= 1<<31 {
		return false
	}
	for _, a := range values {
		if !a.None() && a.Type() != device.BFloat16 {
			return false
		}
	}
	return wide(8, values...) && wide(8, constants...)
}

// tilesOf returns how many of so many tiles, one below the other, a block goes through where
// there are so many across: few, so that no part of the card waits for the last blocks, and
// many, so that starting them costs little.
func (f *forwardForm) tilesOf(down, across, blocks int) int {
	if !f.run {
		return 1
	}
	best, most := 1, 0.0
	for n := 1; n <= 8; n++ {
		rounds := over(over(down, n)*across, blocks)
		if worth := float64(down*across) / float64(rounds*blocks*n) * float64(n) / (float64(n) + 0.2); worth > most {
			best, most = n, worth
		}
	}
	return best
}

// fusedForward computes a convolution and its sums, or the tail of an inference, by an own
// kernel. It returns false where the libraries are to do it.
func (d *Device) fusedForward(y device.Array, s device.Conv, src device.Source, w device.Array, sums device.Sums,
	t *device.Tail) bool {
	c, few := s, isNarrow(s, productType(src.X, y))
	if few {
		c = widen(s).windows()
	}
	i := d.pick(Forward, c)
	values := [...]device.Array{y, src.X, {}}
	if few {
		values[1] = device.Array{} // is read in another form
	}
	if t != nil {
		values[2] = t.Add
	}
	if i < 0 || !fits(c, values[:], src.Scale, src.Shift) || t != nil && !wide(8, t.Scale, t.Shift) {
		return false
	}
	f := &forwardForms[i]
	if f.run && (t != nil || !pointwise(c)) {
		f = &forwardForms[d.formNamed(Forward, strings.TrimSuffix(f.name(), "r"))]
	}
	m, across := y.Len()/s.K, over(s.K, f.bn)
	run := f.tilesOf(over(m, f.bm), across, d.fused.blocksOr(f.blocks))
	tiles := over(over(m, f.bm), run) // or runs of them
	p := forwardParams{y: d.addr(y), pitch: uint32(c.C), run: uint32(run), shape: shapeOf(c, m)}
	p.shape.oh, p.shape.ow = uint32(s.OutH()), uint32(s.OutW())
	if few {
		wide := widen(s)
		p.x.x = arr{p: uint64(d.readNarrow(src, s, wide, device.BFloat16)), t: cBFloat16}
		p.w = uint64(d.weight(w, s, filledStored, device.BFloat16))
		p.pitch = uint32(wide.conv.C)
	} else {
		p.x, p.w = d.source(src), uint64(d.weight(w, s, asStored, device.BFloat16))
	}
	p.partials = d.fusedPartials(sums, tiles, s.K)
	k := f.taps
	switch {
	case t != nil:
		k = f.infer
		p.scale, p.shift, p.add = d.f32(t.Scale), d.f32(t.Shift), d.addr(t.Add)
		if t.ReLU {
			p.relu = 1
		}
	case pointwise(c):
		k = f.rows
	}
	k.launch(d, [3]int{tiles * across, 1, 1}, f.threads, f.shared, p)
	d.fold(p.partials, sums, tiles, s.K)
	return true
}

// fusedInputGrad computes a finished gradient of an input by an own kernel, or returns false.
func (d *Device) fusedInputGrad(dx device.Array, s device.Conv, g device.Grad, w device.Array, f device.Finish) bool {
	if isStrided(s, dx) && f.Add.None() && f.Mask.X.None() && f.Sums.A.None() {
		few := dense(s)
		from := device.At(d.room(forSource, few.InLen()*dx.Type().Size()), dx.Type(), few.InLen())
		if !d.fusedInputGrad(from, few, g, w, f) {
			return false
		}
		d.scattered(dx, from, s)
		return true
	}
	i := d.pick(InputGrad, s)
	mask := f.Mask
	if !f.Signs.None() {
		mask = device.Source{} // is not read
	}
	values := [...]device.Array{dx, g.D, g.Y, f.Add, mask.X, f.Dot}
	if i < 0 || !pointwise(s) || dx.Same(g.D) ||
		!fits(s, values[:], g.A, g.B, g.K, mask.Scale, mask.Shift) {
		return false
	}
	form := &inputGradForms[i]
	if form.run && s.K > mostRunGrad {
		form = &inputGradForms[d.formNamed(InputGrad, strings.TrimSuffix(form.name(), "r"))]
	}
	if f.At.Step != 2 {
		f = d.spread(f, s.C)
	}
	m := dx.Len() / s.C
	tiles := over(m, form.bm)
	p := inputGradParams{g: d.grad(g), w: uint64(d.weight(w, s, asStored, device.BFloat16)), dx: d.addr(dx),
		add: d.addr(f.Add), mask: d.mask(f), dot: d.addr(f.Dot), shape: shapeOf(s, m)}
	if f.At.Step == 2 {
		p.few = 1
	}
	p.partials = d.fusedPartials(f.Sums, tiles, s.C)
	blocks := tiles * over(s.C, form.bn)
	if form.run {
		blocks = tiles
	}
	form.rows.launch(d, [3]int{blocks, 1, 1}, form.threads, form.shared, p)
	d.fold(p.partials, f.Sums, tiles, s.C)
	return true
}

// fusedWeightGrad adds a gradient of weights by own kernels, or returns false.
func (d *Device) fusedWeightGrad(dw device.Array, s device.Conv, g device.Grad, src device.Source) bool {
	c, few := s, isNarrow(s, productType(src.X, g.D))
	values := [...]device.Array{g.D, g.Y, src.X}
	if few {
		c = widen(s).windows()
		values[2] = device.Array{} // is read in another form
	}
	i := d.pick(WeightGrad, c)
	if i < 0 || dw.Type() != device.Float32 || !fits(c, values[:], g.A, g.B, g.K, src.Scale, src.Shift, dw) {
		return false
	}
	f := &weightGradForms[i]
	m := g.D.Len() / s.K
	tall := 0
	if few && c.C == 64 { // all rows of the filter at once, which read the gradient once
		tall, c.C, c.R = c.R, c.R*64, 1
	}
	tiles := over(c.C, f.bm) * over(c.K, f.bn) * c.R * c.S
	rows := over(over(m, max(1, d.fused.blocksOr(f.blocks)/tiles)), 64) * 64
	pieces, n := over(m, rows), c.WeightLen()
	p := weightGradParams{g: d.grad(g), x: d.source(src), partials: uint64(d.room(forPartials, 4*n*pieces)),
		rows: uint32(rows), pitch: uint32(c.C), rowsTall: uint32(tall), shape: shapeOf(c, m)}
	p.shape.oh, p.shape.ow = uint32(s.OutH()), uint32(s.OutW())
	p.byImage, p.imageShift = magic(s.OutH() * s.OutW())
	p.byRow, p.rowShift = magic(s.OutW())
	to := dw
	if few {
		wide := widen(s)
		p.x = source{x: arr{p: uint64(d.readNarrow(src, s, wide, device.BFloat16)), t: cBFloat16}}
		p.pitch = uint32(wide.conv.C)
		to = device.At(d.room(forProduct, 4*n), device.Float32, n)
		d.set(to.Addr(), 0, n)
	}
	k := f.taps
	if pointwise(s) {
		k = f.rows
	}
	k.launch(d, [3]int{tiles * pieces, 1, 1}, f.threads, f.shared, p)
	d.addWeightPieces(to, p.partials, pieces)
	if few {
		back := d.narrowWeights(to, dw, s, widen(s))
		back.stored = 1
		narrowWeightsBack.launch(d, d.grid1(n, 256), 256, 0, back)
	}
	return true
}

// addWeightPieces adds partial gradients of weights, as many as there are pieces, to a gradient.
func (d *Device) addWeightPieces(to device.Array, partials uint64, pieces int) {
	n := to.Len()
	addWeights.launch(d, [3]int{over(n, 128), 1, 1}, 256, 0,
		addWeightsParams{partials: partials, to: d.addr(to), n: uint64(n), pieces: uint32(pieces)})
}

// Sums of more pieces than these are folded first, 64 pieces to one.
const foldAbove = 800

// fusedPartials is Partials of tile.h.
type fusedPartials struct{ narrow, wide uint64 }

// fusedPartials returns room for the sums of n pieces, which are to become s, and what folds
// them when they are there.
func (d *Device) fusedPartials(s device.Sums, n, c int) fusedPartials {
	switch {
	case s.A.None():
		return fusedPartials{}
	case n <= d.fused.foldAbove:
		return fusedPartials{wide: d.partials(s, n, c)}
	}
	return fusedPartials{narrow: uint64(d.room(forPartials, 8*n*c))}
}

// fold adds pieces up to fewer, where there are too many.
func (d *Device) fold(p fusedPartials, s device.Sums, n, c int) {
	if p.narrow != 0 {
		chunks := over(n, 64)
		foldKernel.launch(d, [3]int{over(2*c, 32), chunks, 1}, 256, 0,
			foldParams{partials: p.narrow, to: d.partials(s, chunks, c), pieces: uint32(n), n: uint32(2 * c)})
	}
}
