package cuda

import (
	"fmt"

	"vicreg/internal/device"
)

// Convolutions and products. What is fused around them on the CPU is passes of their own
// here: the source before, in scratch memory; sums and finish behind.

func (d *Device) ConvForward(y device.Array, s device.Conv, src device.Source, w device.Array, sums device.Sums) {
	d.mu.Lock()
	defer d.mu.Unlock()
	s.Check(src.X.Len(), y.Len(), w.Len())
	if d.joined(y, s, src, w, sums) || d.fusedForward(y, s, src, w, sums, nil) {
		return
	}
	d.forward(y, s, src, w)
	if !sums.A.None() {
		d.columnSums(y, s.K, sums)
	}
}

func (d *Device) ConvInfer(y device.Array, s device.Conv, src device.Source, w device.Array, t device.Tail) {
	d.mu.Lock()
	defer d.mu.Unlock()
	s.Check(src.X.Len(), y.Len(), w.Len())
	if d.fusedForward(y, s, src, w, device.Sums{}, &t) {
		return
	}
	d.forward(y, s, src, w)
	d.tail(y, s.K, t)
}

func (d *Device) ConvInputGrad(dx device.Array, s device.Conv, g device.Grad, w device.Array, f device.Finish) {
	d.mu.Lock()
	defer d.mu.Unlock()
	s.Check(dx.Len(), g.D.Len(), w.Len())
	if d.fusedInputGrad(dx, s, g, w, f) {
		return
	}
	t := productType(dx, g.Y)
	d.inputGrad(dx, s, d.readGrad(g, s.K, t), w, f, t)
}

func (d *Device) ConvWeightGrad(dw device.Array, s device.Conv, g device.Grad, src device.Source) {
	d.mu.Lock()
	defer d.mu.Unlock()
	s.Check(src.X.Len(), g.D.Len(), dw.Len())
	if d.fusedWeightGrad(dw, s, g, src) {
		return
	}
	t := productType(src.X, g.Y)
	d.weightGrad(dw, s, d.readGrad(g, s.K, t), src, t)
}

func (d *Device) ConvGrads(dx, dw device.Array, s device.Conv, g device.Grad, src device.Source, w device.Array,
	f device.Finish) {
	d.mu.Lock()
	defer d.mu.Unlock()
	s.Check(src.X.Len(), g.D.Len(), w.Len())
	few := isStrided(s, dx) && dx.Len() == dense(s).InLen() // of the pixels that s reads
	if !few {
		s.Check(dx.Len(), g.D.Len(), dw.Len())
	}
	t := productType(src.X, dx)
	if d.fusedBoth(dx, dw, s, g, src, w, f) {
		return
	}
	var dy uintptr
	if !d.fusedWeightGrad(dw, s, g, src) {
		dy = d.readGrad(g, s.K, t)
		d.weightGrad(dw, s, dy, src, t)
		g = device.Grad{D: device.At(dy, t, g.D.Len())} // from here on
	}
	if few {
		s = dense(s)
	}
	if !d.fusedInputGrad(dx, s, g, w, f) {
		if dy == 0 {
			dy = d.readGrad(g, s.K, t)
		}
		d.inputGrad(dx, s, dy, w, f, t)
	}
}

// productType is what a product multiplies: bfloat16 if an activation that it reads or
// writes is.
func productType(arrays ...device.Array) device.Type {
	for _, a := range arrays {
		if a.Type() == device.BFloat16 && !a.None() {
			return device.BFloat16
		}
	}
	return device.Float32
}

// readSource returns where the values are that a product reads: where they are stored,
// if they are stored as they are read.
func (d *Device) readSource(src device.Source, c int, t device.Type) uintptr {
	if plain(src) && src.X.Type() == t {
		return src.X.Addr()
	}
	n := src.X.Len()
	to := device.At(d.room(forSource, n*t.Size()), t, n)
	d.apply(to, src, c)
	return to.Addr()
}

func (d *Device) readGrad(g device.Grad, c int, t device.Type) uintptr {
	if g.A.None() && g.D.Type() == t {
		return g.D.Addr()
	}
	n := g.D.Len()
	to := device.At(d.room(forGrad, n*t.Size()), t, n)
	if g.A.None() {
		d.cast(to, g.D)
	} else {
		d.applyGrad(to, g, c)
	}
	return to.Addr()
}

// pointwise says that a convolution is a product of pixels × c and c × k.
func pointwise(s device.Conv) bool { return s.R == 1 && s.S == 1 && s.Stride == 1 && s.Pad == 0 }

// forward writes the convolution of a source.
func (d *Device) forward(y device.Array, s device.Conv, src device.Source, w device.Array) {
	t := productType(src.X, y)
	if isNarrow(s, t) {
		d.forwardNarrow(y, s, src, w, t)
		return
	}
	if isStrided(s, src.X) {
		src, s = d.gathered(src, s, t), dense(s)
	}
	x := d.readSource(src, s.C, t)
	if pointwise(s) {
		d.matmul(Matmul{M: y.Len() / s.K, N: s.K, K: s.C,
			A:    Matrix{Addr: x, Type: t, Stride: s.C},
			B:    Matrix{Addr: d.weight(w, s, asStored, t), Type: t, Stride: s.K},
			C:    Matrix{Addr: y.Addr(), Type: y.Type(), Stride: s.K},
			TF32: !precise(s)})
		return
	}
	to, done := d.product(y, t)
	d.convolve(Convolution{Kind: Forward, Shape: s, Type: t, TF32: !precise(s), X: x, Y: to,
		W: d.weight(w, s, krsc, t)})
	done()
}

// inputGrad writes the gradient of the input, given dy as products read it.
func (d *Device) inputGrad(dx device.Array, s device.Conv, dy uintptr, w device.Array, f device.Finish, t device.Type) {
	to := dx
	if f.Add.Same(dx) { // it is still to be read
		to = device.At(d.room(forProduct, dx.Len()*dx.Type().Size()), dx.Type(), dx.Len())
	}
	switch {
	case isStrided(s, dx):
		few := dense(s)
		from := device.At(d.room(forSource, few.InLen()*t.Size()), t, few.InLen())
		d.inputGrad(from, few, dy, w, device.Finish{}, t)
		d.scattered(to, from, s)
	case pointwise(s):
		d.matmul(Matmul{M: dx.Len() / s.C, N: s.C, K: s.K,
			A:    Matrix{Addr: dy, Type: t, Stride: s.K},
			B:    Matrix{Addr: d.weight(w, s, asStored, t), Type: t, Stride: s.K, Trans: true},
			C:    Matrix{Addr: to.Addr(), Type: to.Type(), Stride: s.C},
			TF32: !precise(s)})
	default:
		if to.Type() != t {
			panic(fmt.Sprintf("cuda: a gradient of %s from products of %s", to.Type(), t))
		}
		d.convolve(Convolution{Kind: InputGrad, Shape: s, Type: t, TF32: !precise(s), X: to.Addr(), Y: dy,
			W: d.weight(w, s, krsc, t)})
	}
	d.finish(dx, to, s.C, f)
}

// weightGrad adds the gradient of the weights.
func (d *Device) weightGrad(dw device.Array, s device.Conv, dy uintptr, src device.Source, t device.Type) {
	if isNarrow(s, t) {
		d.weightGradNarrow(dw, s, dy, src, t)
		return
	}
	if isStrided(s, src.X) {
		src, s = d.gathered(src, s, t), dense(s)
	}
	x := d.readSource(src, s.C, t)
	if pointwise(s) {
		d.matmul(Matmul{M: s.C, N: s.K, K: s.N * s.OutH() * s.OutW(),
			A:          Matrix{Addr: x, Type: t, Stride: s.C, Trans: true},
			B:          Matrix{Addr: dy, Type: t, Stride: s.K},
			C:          Matrix{Addr: dw.Addr(), Type: dw.Type(), Stride: s.K},
			Accumulate: true, TF32: !precise(s)})
		return
	}
	to := device.At(d.room(forProduct, dw.Len()*t.Size()), t, dw.Len())
	d.convolve(Convolution{Kind: WeightGrad, Shape: s, Type: t, TF32: !precise(s), X: x, Y: dy, W: to.Addr()})
	d.reorder(dw, to, s, true)
}

// product returns where a library may write what y is to hold, and what makes it so
// afterwards: libraries write the type that they multiply.
func (d *Device) product(y device.Array, t device.Type) (to uintptr, done func()) {
	if y.Type() == t {
		return y.Addr(), func() {}
	}
	a := device.At(d.room(forProduct, y.Len()*t.Size()), t, y.Len())
	return a.Addr(), func() { d.cast(y, a) }
}

func (d *Device) Gemm(c, a, b device.Mat, accumulate bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.weights.changed(c.Data)
	rows := func(m device.Mat) (int, int) {
		if m.Trans {
			return m.Cols, m.Rows
		}
		return m.Rows, m.Cols
	}
	m, k := rows(a)
	k2, n := rows(b)
	if k != k2 || m != c.Rows || n != c.Cols || c.Trans {
		panic(fmt.Sprintf("cuda: a product of %d × %d and %d × %d into %d × %d", m, k, k2, n, c.Rows, c.Cols))
	}
	if k == 0 { // nothing to add up
		if !accumulate {
			d.set(c.Data.Addr(), 0, c.Data.Len())
		}
		return
	}
	d.matmul(Matmul{M: m, N: n, K: k, A: d.matrix(a), B: d.matrix(b), C: d.matrix(c), Accumulate: accumulate})
}

func (d *Device) matrix(m device.Mat) Matrix {
	return Matrix{Addr: m.Data.Addr(), Type: m.Data.Type(), Stride: m.Cols, Trans: m.Trans}
}
