package cuda

import (
	"fmt"

	"vicreg/internal/device"
)

// Linear layers on tokens: a product of the library's, with passes before and behind.

// geluParams, geluGradParams, joinParams, rowSumsParams and piecesParams are those of
// token.cu.
type geluParams struct {
	y, x arr
	n    uint64
}

type geluGradParams struct {
	dx, d, u arr
	n        uint64
}

type joinParams struct {
	y, x, add arr
	bias      uint64
	n         uint64
	c         uint32
	_         uint32
}

type rowSumsParams struct {
	x                     arr
	part                  uint64
	n, group, step, count uint64
	c                     uint32
	_                     uint32
}

type piecesParams struct {
	to        [2]uint64
	part      uint64
	pieces    uint64
	c, stride uint32
}

var (
	gelu8        = declare[geluParams]("token", "gelu_8", 0)
	gelu1        = declare[geluParams]("token", "gelu_1", 0)
	geluGrad8    = declare[geluGradParams]("token", "gelu_grad_8", 0)
	geluGrad1    = declare[geluGradParams]("token", "gelu_grad_1", 0)
	join8        = declare[joinParams]("token", "join_8", 0)
	join1        = declare[joinParams]("token", "join_1", 0)
	sums8        = declare[rowSumsParams]("token", "sums_8", 0)
	sums1        = declare[rowSumsParams]("token", "sums_1", 0)
	piecesKernel = declare[piecesParams]("token", "pieces", 0)
)

func checkDense(s device.Dense, x, y, w device.Array) {
	if x.Len() != s.N*s.C || y.Len() != s.N*s.K || w.Len() != s.C*s.K {
		panic(fmt.Sprintf("cuda: a dense layer of %d rows from %d to %d channels meets arrays of %d, %d, %d elements",
			s.N, s.C, s.K, x.Len(), y.Len(), w.Len()))
	}
}

// denseConv says how a dense layer's weights lie: those of a convolution of one pixel.
func denseConv(s device.Dense) device.Conv {
	return device.Conv{N: s.N, H: 1, W: 1, C: s.C, K: s.K, R: 1, S: 1, Stride: 1, Precision: s.Precision}
}

func (d *Device) DenseForward(y device.Array, s device.Dense, src device.RowSource, w, bias, add device.Array) {
	d.mu.Lock()
	defer d.mu.Unlock()
	checkDense(s, src.X, y, w)
	if s.N == 0 {
		return
	}
	t := productType(src.X, y)
	shape := denseConv(s)
	m := Matmul{M: s.N, N: s.K, K: s.C,
		A:    Matrix{Addr: d.readRows(src, t), Type: t, Stride: s.C},
		B:    Matrix{Addr: d.weight(w, shape, asStored, t), Type: t, Stride: s.K},
		C:    Matrix{Addr: y.Addr(), Type: y.Type(), Stride: s.K},
		TF32: !precise(shape)}
	// The product itself adds what lies as it wants it.
	one := device.Conv{N: 1, H: 1, W: 1, C: 1, K: s.K, R: 1, S: 1, Stride: 1}
	if b := d.weight(bias, one, asStored, y.Type()); b%16 == 0 {
		m.Bias, bias = b, device.Array{}
	}
	if add.Type() == y.Type() && add.Addr()%16 == 0 {
		m.Add, add = add.Addr(), device.Array{}
	}
	d.matmul(m)
	if !bias.None() || !add.None() {
		d.join(y, y, add, bias, s.K)
	}
}

// readRows returns where the rows are that a product reads.
func (d *Device) readRows(src device.RowSource, t device.Type) uintptr {
	n := src.X.Len()
	room := func() device.Array { return device.At(d.room(forSource, n*t.Size()), t, n) }
	switch {
	case !src.Norm.Gamma.None():
		to := room()
		d.layerNorm(to, src.X, src.Norm)
		return to.Addr()
	case src.GELU:
		to := room()
		p := geluParams{y: d.arr(to), x: d.arr(src.X), n: uint64(n)}
		if wide(n, to, src.X) {
			gelu8.launch(d, d.grid1(n/8, 256), 256, 0, p)
		} else {
			gelu1.launch(d, d.grid1(n, 256), 256, 0, p)
		}
		return to.Addr()
	case src.X.Type() != t:
		to := room()
		d.cast(to, src.X)
		return to.Addr()
	}
	return src.X.Addr()
}

// join writes y = x + bias + add, rows of c.
func (d *Device) join(y, x, add, bias device.Array, c int) {
	n := y.Len()
	p := joinParams{y: d.arr(y), x: d.arr(x), add: d.arr(add), bias: d.f32(bias), n: uint64(n), c: uint32(c)}
	if wide(c, y, x, add) {
		join8.launch(d, d.grid1(n/8, 256), 256, 0, p)
	} else {
		join1.launch(d, d.grid1(n, 256), 256, 0, p)
	}
}

func (d *Device) DenseInputGrad(dx device.Array, s device.Dense, dd, w, dBias device.Array, f device.RowFinish) {
	d.mu.Lock()
	defer d.mu.Unlock()
	checkDense(s, dx, dd, w)
	if s.N == 0 {
		return
	}
	d.addSums(dBias, dd, s.K)
	t := productType(dx, dd)
	to := dx
	if f.Add.Same(dx) { // it is still to be read
		to = device.At(d.room(forProduct, dx.Len()*dx.Type().Size()), dx.Type(), dx.Len())
	}
	shape := denseConv(s)
	d.matmul(Matmul{M: s.N, N: s.C, K: s.K,
		A:    Matrix{Addr: d.readRows(device.RowSource{X: dd}, t), Type: t, Stride: s.K},
		B:    Matrix{Addr: d.weight(w, shape, asStored, t), Type: t, Stride: s.K, Trans: true},
		C:    Matrix{Addr: to.Addr(), Type: to.Type(), Stride: s.C},
		TF32: !precise(shape)})
	switch {
	case !f.U.None():
		n := dx.Len()
		p := geluGradParams{dx: d.arr(dx), d: d.arr(to), u: d.arr(f.U), n: uint64(n)}
		if wide(n, dx, to, f.U) {
			geluGrad8.launch(d, d.grid1(n/8, 256), 256, 0, p)
		} else {
			geluGrad1.launch(d, d.grid1(n, 256), 256, 0, p)
		}
	case !f.X.None():
		d.layerNormGrad(dx, to, f)
	case !f.Add.None():
		d.join(dx, to, f.Add, device.Array{}, s.C)
	}
}

func (d *Device) DenseWeightGrad(dw device.Array, s device.Dense, x, dd device.Array) {
	d.mu.Lock()
	defer d.mu.Unlock()
	checkDense(s, x, dd, dw)
	if s.N == 0 {
		return
	}
	t := productType(x, dd)
	dy := dd.Addr()
	if dd.Type() != t {
		to := device.At(d.room(forGrad, dd.Len()*t.Size()), t, dd.Len())
		d.cast(to, dd)
		dy = to.Addr()
	}
	d.matmul(Matmul{M: s.C, N: s.K, K: s.N,
		A:          Matrix{Addr: d.readRows(device.RowSource{X: x}, t), Type: t, Stride: s.C, Trans: true},
		B:          Matrix{Addr: dy, Type: t, Stride: s.K},
		C:          Matrix{Addr: dw.Addr(), Type: dw.Type(), Stride: s.K},
		Accumulate: true, TF32: !precise(denseConv(s))})
}

// addSums adds the sums of the columns of x to sums, of c: first those of pieces of the
// rows, then these in order.
func (d *Device) addSums(sums, x device.Array, c int) {
	rows := x.Len() / c
	pieces, each := cutRows(rows)
	part := d.room(forPartials, pieces*c*4)
	d.sumRows(rowSumsParams{x: d.arr(x), part: uint64(part), n: uint64(rows), group: uint64(each), step: 1,
		count: uint64(each), c: uint32(c)}, pieces, wide(c, x))
	d.addPieces([2]device.Array{sums}, part, pieces, c, c)
}

func (d *Device) sumRows(p rowSumsParams, groups int, wide bool) {
	if wide {
		sums8.launch(d, [3]int{groups, over(int(p.c), 256), 1}, 256, 0, p)
	} else {
		sums1.launch(d, [3]int{groups, over(int(p.c), 32), 1}, 256, 0, p)
	}
}

// addPieces adds rows of part, stride apart, up: the first c of them into one array, the
// next c into another.
func (d *Device) addPieces(to [2]device.Array, part uintptr, pieces, c, stride int) {
	p := piecesParams{part: uint64(part), pieces: uint64(pieces), c: uint32(c), stride: uint32(stride)}
	grid := [3]int{over(c, 32), 1, 1}
	for i, a := range to {
		if !a.None() {
			p.to[i] = d.f32(a)
			grid[1] = i + 1
		}
	}
	piecesKernel.launch(d, grid, 256, 0, p)
}
