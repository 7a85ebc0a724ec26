package cuda_test

import (
	"math"
	"slices"
	"testing"

	"vicreg/internal/cuda"
	"vicreg/internal/device"
)

// signsOf returns the signs that bytes must be of values.
func signsOf(x []float64) []float64 {
	bytes := make([]float64, len(x)/8)
	for i, v := range x {
		if !(v <= 0) {
			bytes[i/8] += float64(int(1) << (i % 8))
		}
	}
	return bytes
}

// What is written is what AddReLU writes, and signs are its own, those of NaN too.
func TestAddSigned(t *testing.T) {
	d := open(t)
	eachForm(t, func(t *testing.T, rows, c int, a, b, y device.Type) {
		if rows*c%8 != 0 {
			return
		}
		for _, opt := range []int{0, 7, 10} {
			s := &side{Device: d, rand: newRand()}
			x, z := s.source(a, rows*c, c, opt&1 != 0, opt&2 != 0), s.source(b, rows*c, c, opt&4 != 0, opt&8 != 0)
			if opt == 0 {
				odd := make([]float32, rows*c)
				odd[rows*c-1], odd[0] = float32(math.NaN()), 1e-40
				x.X, z.X = s.array(a, odd), s.array(b, make([]float32, rows*c))
			}
			want, got, bytes := s.empty(y, rows*c), s.empty(y, rows*c), rows*c/8
			signs := d.Alloc(device.Uint8, bytes+5).Slice(5, bytes+5)
			s.AddReLU(want, x, z, c, true)
			d.AddSigned(got, signs, x, z, c)
			values := s.values(got)
			same := func(a, b float64) bool { return a == b || a != a && b != b }
			if !slices.EqualFunc(values, s.values(want), same) {
				t.Errorf("options %d: other values", opt)
			}
			if w := signsOf(values); !slices.Equal(s.values(signs), w) {
				t.Errorf("options %d: signs %v, want %v", opt, s.values(signs), w)
			}
		}
	})
	// Where threads have no eight channels.
	s := &side{Device: d, rand: newRand()}
	const n = 24 * 5
	x, y, signs := s.normal(half, n), s.empty(half, n+1).Slice(1, n+1), d.Alloc(device.Uint8, n/8)
	d.AddSigned(y, signs, device.Source{X: x}, device.Source{X: x}, 24)
	whole := s.empty(half, n)
	d.Copy(whole, y)
	if w := signsOf(s.values(whole)); !slices.Equal(s.values(signs), w) {
		t.Errorf("signs %v, want %v", s.values(signs), w)
	}
}

// masked runs an operation with a mask that is a sum, and with its signs: all that it writes
// must be the same to the bit. A NaN lets a gradient through.
func masked(t *testing.T, d *cuda.Device, b device.Type, n, c int, run func(s *side, mask device.Finish)) {
	t.Helper()
	var all [2][]shown
	for i := range all {
		s := &side{Device: d, rand: newRand()}
		f := device.Finish{Mask: device.Source{X: s.empty(b, n)}}
		signs := d.Alloc(device.Uint8, n/8)
		x := s.normal(b, n)
		d.AddSigned(f.Mask.X, signs, device.Source{X: x}, device.Source{X: x}, c)
		if i == 1 {
			f.Signs = signs
			d.Copy(x, f.Mask.X) // where nobody looks
			d.Fill(f.Mask.X, 0)
		}
		run(s, f)
		all[i] = s.shown
	}
	for i, want := range all[0] {
		if !slices.Equal(all[1][i].x, want.x) {
			t.Errorf("%s by signs is not %s by a mask", want.name, want.name)
		}
	}
}

func TestFinishSigned(t *testing.T) {
	d := open(t)
	eachForm(t, func(t *testing.T, rows, c int, a, b, y device.Type) {
		n := rows * c
		if n%8 != 0 || b != y {
			return // a mask of another type has another kernel
		}
		for _, opt := range []int{0, 3} {
			finish := func(s *side, f device.Finish) device.Finish {
				more := s.finishing(a, b, n, c, opt&1|opt&2<<2)
				more.Mask, more.Signs = f.Mask, f.Signs
				return more
			}
			masked(t, d, b, n, c, func(s *side, f device.Finish) {
				f = finish(s, f)
				to := s.normal(y, n)
				s.FinishGrad(to, c, f)
				s.showFinished(to, f)
			})
			masked(t, d, b, n, c, func(s *side, f device.Finish) {
				f = finish(s, f)
				to := s.empty(y, n)
				s.AvgPoolGrad(to, s.normal(a, c), 1, rows, c, f)
				s.showFinished(to, f)
			})
		}
	})
	for _, pool := range []device.Conv{
		{N: 2, H: 7, W: 6, C: 16, K: 16, R: 3, S: 3, Stride: 2, Pad: 1},
		{N: 2, H: 8, W: 4, C: 3, K: 3, R: 2, S: 2, Stride: 2},
	} {
		masked(t, d, half, pool.InLen(), pool.C, func(s *side, f device.Finish) {
			y, dx := s.empty(half, pool.OutLen()), s.empty(half, pool.InLen())
			argmax := s.Alloc(device.Uint8, pool.OutLen())
			s.MaxPool(y, argmax, pool, device.Source{X: s.normal(half, pool.InLen())})
			s.MaxPoolGrad(dx, s.normal(half, pool.OutLen()), argmax, pool, f)
			s.showValues("pooled", dx)
		})
	}
}

func TestFusedSigned(t *testing.T) {
	d := open(t)
	for _, form := range append(d.Forms(cuda.InputGrad), "library") {
		d.Force(cuda.InputGrad, form)
		for i, c := range fusedShapes {
			if i > 1 && i != 5 {
				continue
			}
			for _, opt := range []int{0, 3} {
				masked(t, d, half, c.InLen(), c.C, func(s *side, f device.Finish) {
					more := s.finishing(half, half, c.InLen(), c.C, opt&1|opt&2<<2)
					more.Mask, more.Signs = f.Mask, f.Signs
					dx := s.empty(half, c.InLen())
					s.ConvInputGrad(dx, c, s.grad(half, half, c.OutLen(), c.K), s.channels(c.WeightLen()), more)
					s.showFinished(dx, more)
				})
			}
		}
	}
}
