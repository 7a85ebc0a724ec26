package sim

import (
	"encoding/binary"
	"fmt"
	"math"

	"vicreg/internal/cuda"
	"vicreg/internal/device"
)

// view is an array in the card's memory.
type view struct {
	data []byte
	t    device.Type
}

func (v view) at(i int) float32 {
	if v.t == device.BFloat16 {
		return math.Float32frombits(uint32(binary.LittleEndian.Uint16(v.data[2*i:])) << 16)
	}
	return math.Float32frombits(binary.LittleEndian.Uint32(v.data[4*i:]))
}

func (v view) set(i int, x float64) {
	f := float32(x)
	b := math.Float32bits(f)
	if v.t != device.BFloat16 {
		binary.LittleEndian.PutUint32(v.data[4*i:], b)
		return
	}
	b = (b + 0x7fff + b>>16&1) >> 16
	if f != f {
		b = 0x7fff
	}
	binary.LittleEndian.PutUint16(v.data[2*i:], uint16(b))
}

// tf32 rounds a factor to ten bits.
func tf32(x float32) float32 {
	b := math.Float32bits(x)
	if b&0x7f800000 == 0x7f800000 {
		return x
	}
	return math.Float32frombits((b + 0x1000) &^ 0x1fff)
}

// view returns n elements from an address, or an error of a library's call.
func (d *Driver) view(call string, addr uintptr, t device.Type, n int, align uintptr) (view, error) {
	b := d.bytes(addr, n*t.Size())
	if b == nil || n == 0 {
		return view{}, fail(call, 7, "CUBLAS_STATUS_INVALID_VALUE",
			fmt.Sprintf("%d elements of %v at %#x, which lie in no allocation", n, t, addr))
	}
	if addr%align != 0 {
		return view{}, fail(call, 7, "CUBLAS_STATUS_INVALID_VALUE", fmt.Sprintf("the address %#x is not aligned to %d", addr, align))
	}
	return view{b, t}, nil
}

func (d *Driver) Matmul(p *cuda.Matmul) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	const call = "cublasLtMatmul"
	if err := d.call(call); err != nil {
		return err
	}
	m := *p
	return d.do(cuda.Compute, func() error { return d.matmul(call, &m) })
}

func (d *Driver) matmul(call string, m *cuda.Matmul) error {
	batch := max(m.Batch, 1)
	what := fmt.Sprintf("a product of %d × %d × %d", m.M, m.N, m.K)
	if m.M < 1 || m.N < 1 || m.K < 1 || m.A.Type != m.B.Type || m.C.Trans || m.Batch < 0 {
		return fail(call, 7, "CUBLAS_STATUS_INVALID_VALUE", what)
	}
	if (m.Bias != 0 || m.Add != 0) && (batch > 1 || m.Accumulate) {
		return fail(call, 15, "CUBLAS_STATUS_NOT_SUPPORTED", what+" with a bias or a sum")
	}
	var views [3]view
	for i, x := range []struct {
		cuda.Matrix
		rows, cols int
	}{{m.A, m.M, m.K}, {m.B, m.K, m.N}, {m.C, m.M, m.N}} {
		if x.Trans {
			x.rows, x.cols = x.cols, x.rows
		}
		if x.Stride < x.cols || x.Type != device.Float32 && x.Type != device.BFloat16 {
			return fail(call, 7, "CUBLAS_STATUS_INVALID_VALUE", what+fmt.Sprintf(": a stride of %d for %d", x.Stride, x.cols))
		}
		n := (batch-1)*x.Step + (x.rows-1)*x.Stride + x.cols
		v, err := d.view(call, x.Addr, x.Type, n, uintptr(x.Type.Size()))
		if err != nil {
			return err
		}
		views[i] = v
	}
	bias, add := make([]float64, m.N), view{}
	if m.Bias != 0 {
		v, err := d.view(call, m.Bias, m.C.Type, m.N, 16)
		if err != nil {
			return err
		}
		for i := range bias {
			bias[i] = float64(v.at(i))
		}
	}
	if m.Add != 0 {
		v, err := d.view(call, m.Add, m.C.Type, (m.M-1)*m.C.Stride+m.N, 16)
		if err != nil {
			return err
		}
		add = v
	}
	c := d.count("matmul")
	c.Read += int64(batch) * int64(m.M*m.K*m.A.Type.Size()+m.K*m.N*m.B.Type.Size())
	c.Wrote += int64(batch) * int64(m.M*m.N*m.C.Type.Size())
	a, b := make([]float64, m.M*m.K), make([]float64, m.K*m.N)
	sums := make([]float64, m.N)
	for i := range batch {
		gather(a, views[0], i*m.A.Step, m.A, m.M, m.K, m.TF32)
		gather(b, views[1], i*m.B.Step, m.B, m.K, m.N, m.TF32)
		for y := range m.M {
			clear(sums)
			for k := range m.K {
				f := a[y*m.K+k]
				for x, v := range b[k*m.N:][:m.N] {
					sums[x] += f * v
				}
			}
			at := i*m.C.Step + y*m.C.Stride
			for x, sum := range sums {
				sum += bias[x]
				if m.Accumulate {
					sum += float64(views[2].at(at + x))
				}
				if m.Add != 0 {
					sum += float64(add.at(at + x))
				}
				views[2].set(at+x, sum)
			}
		}
	}
	return nil
}

// gather reads a matrix as it takes part.
func gather(to []float64, v view, at int, x cuda.Matrix, rows, cols int, short bool) {
	for r := range rows {
		for c := range cols {
			i := at + r*x.Stride + c
			if x.Trans {
				i = at + c*x.Stride + r
			}
			f := v.at(i)
			if short && v.t == device.Float32 {
				f = tf32(f)
			}
			to[r*cols+c] = float64(f)
		}
	}
}

func (d *Driver) Convolve(p *cuda.Convolution) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	call := "cudnnConvolution" + [...]string{"Forward", "BackwardData", "BackwardFilter"}[p.Kind]
	if err := d.call(call); err != nil {
		return err
	}
	c := *p
	return d.do(cuda.Compute, func() error { return d.convolve(call, &c) })
}

func (d *Driver) convolve(call string, p *cuda.Convolution) error {
	s := p.Shape
	oh, ow := s.OutH(), s.OutW()
	if s.N < 1 || s.C < 1 || s.K < 1 || oh < 1 || ow < 1 || p.Type != device.Float32 && p.Type != device.BFloat16 {
		return fail(call, 3, "CUDNN_STATUS_BAD_PARAM", fmt.Sprintf("a convolution %+v", s))
	}
	nx, ny, nw := s.N*s.H*s.W*s.C, s.N*oh*ow*s.K, s.K*s.R*s.S*s.C
	x, err := d.view(call, p.X, p.Type, nx, 16)
	if err != nil {
		return err
	}
	y, err := d.view(call, p.Y, p.Type, ny, 16)
	if err != nil {
		return err
	}
	w, err := d.view(call, p.W, p.Type, nw, 16)
	if err != nil {
		return err
	}
	size := int64(p.Type.Size())
	c := d.count("convolve " + p.Kind.String())
	wrote := [...]int{ny, nx, nw}[p.Kind]
	c.Read += size * int64(nx+ny+nw-wrote)
	c.Wrote += size * int64(wrote)
	out := [...]view{y, x, w}[p.Kind]
	xs, ys, ws := load(x, nx, p.TF32), load(y, ny, p.TF32), load(w, nw, p.TF32)
	sums := [...][]float64{ys, xs, ws}[p.Kind]
	clear(sums)
	for n := range s.N {
		for i := range oh * ow {
			for r := range s.R {
				for q := range s.S {
					h, v := i/ow*s.Stride+r-s.Pad, i%ow*s.Stride+q-s.PadW()
					if h < 0 || h >= s.H || v < 0 || v >= s.W {
						continue
					}
					xi := xs[((n*s.H+h)*s.W+v)*s.C:][:s.C]
					yi := ys[(n*oh*ow+i)*s.K:][:s.K]
					for k := range yi {
						tap(p.Kind, xi, &yi[k], ws[((k*s.R+r)*s.S+q)*s.C:][:s.C])
					}
				}
			}
		}
	}
	for i, v := range sums {
		out.set(i, v)
	}
	return nil
}

// tap adds the products of one output channel at one place.
func tap(kind cuda.Kind, x []float64, y *float64, w []float64) {
	switch kind {
	case cuda.Forward:
		for c, v := range x {
			*y += v * w[c]
		}
	case cuda.InputGrad:
		for c := range x {
			x[c] += *y * w[c]
		}
	default:
		for c, v := range x {
			w[c] += *y * v
		}
	}
}

func load(v view, n int, short bool) []float64 {
	x := make([]float64, n)
	for i := range x {
		f := v.at(i)
		if short && v.t == device.Float32 {
			f = tf32(f)
		}
		x[i] = float64(f)
	}
	return x
}
