//go:build native && linux && (amd64 || arm64)

package card

import (
	"fmt"
	"slices"

	"vicreg/internal/cuda"
	"vicreg/internal/device"
)

const (
	f32  = device.Float32
	bf16 = device.BFloat16
)

// within is how near a product must be, by the types that are read and stored. Tensor
// cores cut off what lies below the largest of the numbers that they add.
func within(in, out device.Type, tf32 bool) float64 {
	switch {
	case out == bf16:
		return 4e-3
	case tf32:
		return 2e-3
	case in == bf16:
		return 3e-5
	}
	return 5e-6
}

func testProducts(b *bench) {
	for _, c := range []struct {
		m, n, k, batch  int
		transA, transB  bool
		in, out         device.Type
		tf32, add, wide bool // wide: rows have room behind them
		bias, sum       bool
	}{
		{m: 128, n: 96, k: 64, in: bf16, out: bf16},
		{m: 128, n: 96, k: 64, in: bf16, out: f32, transA: true},
		{m: 72, n: 200, k: 136, in: bf16, out: f32, transB: true, add: true},
		{m: 64, n: 48, k: 320, in: bf16, out: bf16, transA: true, transB: true, wide: true},
		{m: 33, n: 17, k: 5, in: bf16, out: f32},
		{m: 40, n: 24, k: 56, in: bf16, out: f32, batch: 5, transB: true},
		{m: 128, n: 64, k: 96, in: f32, out: f32},
		{m: 128, n: 64, k: 96, in: f32, out: f32, transA: true, add: true},
		{m: 31, n: 63, k: 127, in: f32, out: f32, transB: true, wide: true},
		{m: 16, n: 24, k: 40, in: f32, out: f32, batch: 3, transA: true, add: true},
		{m: 128, n: 128, k: 256, in: f32, out: f32, tf32: true},
		{m: 64, n: 64, k: 2048, in: bf16, out: f32, transA: true, add: true}, // long sums: may be split
		{m: 1, n: 1, k: 300, in: f32, out: f32},
		{m: 130, n: 96, k: 64, in: bf16, out: bf16, bias: true},
		{m: 130, n: 64, k: 96, in: bf16, out: bf16, bias: true, sum: true},
		{m: 33, n: 40, k: 24, in: bf16, out: f32, bias: true, sum: true, wide: true},
		{m: 33, n: 40, k: 24, in: f32, out: f32, bias: true, sum: true},
		{m: 33, n: 40, k: 24, in: bf16, out: bf16, transB: true, sum: true},
	} {
		batch := max(c.batch, 1)
		m := &cuda.Matmul{M: c.m, N: c.n, K: c.k, Accumulate: c.add, TF32: c.tf32, Batch: c.batch}
		matrix := func(rows, columns int, trans bool, t device.Type) (cuda.Matrix, []float32) {
			if trans {
				rows, columns = columns, rows
			}
			stride := columns
			if c.wide {
				stride += 8
			}
			x := b.values(rows*stride*batch, t)
			return cuda.Matrix{Addr: b.up(x, t), Type: t, Stride: stride, Trans: trans, Step: rows * stride}, x
		}
		var a, w, y []float32
		m.A, a = matrix(c.m, c.k, c.transA, c.in)
		m.B, w = matrix(c.k, c.n, c.transB, c.in)
		m.C, y = matrix(c.m, c.n, false, c.out)
		want := slices.Clone(y)
		bias, sums := make([]float32, c.n), make([]float32, len(y))
		if c.bias {
			bias = b.values(c.n, c.out)
			m.Bias = b.up(bias, c.out)
		}
		if c.sum {
			sums = b.values(len(y), c.out)
			m.Add = b.up(sums, c.out)
		}
		read := func(x []float32, m cuda.Matrix, z, i, j int) float64 {
			if m.Trans {
				i, j = j, i
			}
			return float64(x[z*m.Step+i*m.Stride+j])
		}
		for z := range batch {
			for i := range c.m {
				for j := range c.n {
					sum := 0.0
					for k := range c.k {
						sum += read(a, m.A, z, i, k) * read(w, m.B, z, k, j)
					}
					at := z*m.C.Step + i*m.C.Stride + j
					sum += float64(bias[j]) + float64(sums[at])
					if c.add {
						sum += float64(y[at])
					}
					want[at] = round(float32(sum), c.out)
				}
			}
		}
		name := fmt.Sprintf("%+v", c)
		must(b.T, b.Matmul(m))
		first := b.down(m.C.Addr, len(y), c.out)
		near(b.T, name, first, want, within(c.in, c.out, c.tf32))
		b.write(m.C.Addr, y, c.out)
		must(b.T, b.Matmul(m))
		if again := b.down(m.C.Addr, len(y), c.out); !slices.Equal(again, first) {
			b.Errorf("%s: other bits the second time", name)
		}
		for i := range first { // what lies between rows stays
			if i%m.C.Stride >= c.n && first[i] != y[i] {
				b.Errorf("%s: wrote beside the result", name)
				break
			}
		}
	}
}

func testConvolutions(b *bench) {
	shape := func(n, h, w, c, k, r, s, stride, pad int) device.Conv {
		return device.Conv{N: n, H: h, W: w, C: c, K: k, R: r, S: s, Stride: stride, Pad: pad}
	}
	sequence := shape(3, 40, 1, 16, 32, 3, 1, 2, 1)
	sequence.Sequence = true
	all := []cuda.Kind{cuda.Forward, cuda.InputGrad, cuda.WeightGrad}
	for _, c := range []struct {
		shape device.Conv
		t     device.Type
		tf32  bool
		kinds []cuda.Kind
	}{
		{shape(2, 14, 14, 64, 64, 3, 3, 1, 1), bf16, false, all},
		{shape(2, 14, 14, 64, 128, 3, 3, 2, 1), bf16, false, all},
		{shape(4, 14, 14, 64, 128, 1, 1, 2, 0), bf16, false, all},
		{shape(4, 7, 9, 128, 64, 1, 1, 1, 0), bf16, false, all},
		{shape(2, 32, 32, 3, 64, 7, 7, 2, 3), bf16, false, []cuda.Kind{cuda.Forward, cuda.WeightGrad}},
		{shape(2, 16, 16, 3, 64, 3, 3, 1, 1), bf16, false, []cuda.Kind{cuda.Forward, cuda.WeightGrad}},
		{shape(64, 1, 1, 64, 96, 1, 1, 1, 0), bf16, false, all},
		{sequence, bf16, false, all},
		{shape(2, 14, 14, 32, 48, 3, 3, 1, 1), f32, false, all},
		{shape(2, 14, 14, 32, 48, 3, 3, 2, 1), f32, false, all},
		{shape(2, 16, 16, 3, 24, 7, 7, 2, 3), f32, false, all},
		{shape(3, 9, 7, 5, 11, 1, 1, 1, 0), f32, false, all},
		{sequence, f32, false, all},
		{shape(2, 14, 14, 64, 64, 3, 3, 1, 1), f32, true, all},
	} {
		s := c.shape
		x, y, w := b.values(s.InLen(), c.t), b.values(s.OutLen(), c.t), b.values(s.WeightLen(), c.t)
		for _, kind := range c.kinds {
			name := fmt.Sprintf("%s of %+v in %s", kind, s, c.t)
			call := &cuda.Convolution{Kind: kind, Shape: s, Type: c.t, TF32: c.tf32,
				X: b.up(x, c.t), Y: b.up(y, c.t), W: b.up(w, c.t)}
			to, want := call.Y, convolved(kind, s, x, y, w)
			if kind == cuda.InputGrad {
				to = call.X
			} else if kind == cuda.WeightGrad {
				to = call.W
			}
			if err := b.Convolve(call); err != nil {
				b.Errorf("%s: %v", name, err)
				continue
			}
			first := b.down(to, len(want), c.t)
			tolerance := within(c.t, c.t, c.tf32)
			if c.t == f32 && !c.tf32 {
				tolerance = 1e-5
			}
			near(b.T, name, first, want, tolerance)
			must(b.T, b.Set(cuda.Compute, to, 0, len(want)*c.t.Size()/4))
			must(b.T, b.Convolve(call))
			if again := b.down(to, len(want), c.t); !slices.Equal(again, first) {
				b.Errorf("%s: other bits the second time", name)
			}
		}
	}
}

// convolved is the convolution by its definition.
func convolved(kind cuda.Kind, s device.Conv, x, y, w []float32) []float32 {
	size := map[cuda.Kind]int{cuda.Forward: len(y), cuda.InputGrad: len(x), cuda.WeightGrad: len(w)}
	sums := make([]float64, size[kind])
	for n := range s.N {
		for i := range s.OutH() {
			for j := range s.OutW() {
				for r := range s.R {
					for q := range s.S {
						h, v := i*s.Stride+r-s.Pad, j*s.Stride+q-s.PadW()
						if h < 0 || v < 0 || h >= s.H || v >= s.W {
							continue
						}
						for k := range s.K {
							atX, atW := ((n*s.H+h)*s.W+v)*s.C, ((k*s.R+r)*s.S+q)*s.C
							atY := ((n*s.OutH()+i)*s.OutW()+j)*s.K + k
							for c := range s.C {
								switch kind {
								case cuda.Forward:
									sums[atY] += float64(x[atX+c]) * float64(w[atW+c])
								case cuda.InputGrad:
									sums[atX+c] += float64(y[atY]) * float64(w[atW+c])
								case cuda.WeightGrad:
									sums[atW+c] += float64(x[atX+c]) * float64(y[atY])
								}
							}
						}
					}
				}
			}
		}
	}
	out := make([]float32, len(sums))
	for i, v := range sums {
		out[i] = float32(v)
	}
	return out
}
