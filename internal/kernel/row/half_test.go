package row

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"vicreg/internal/check"
	"vicreg/internal/kernel/shape"
)

// guardedHalves is check.Guarded for random values of bfloat16.
func guardedHalves(t *testing.T, r *rand.Rand, n int, low bool) []uint16 {
	h := Halves(check.Guarded(t, (n+1)/2, low))
	if low {
		h = h[:n]
	} else {
		h = h[len(h)-n:]
	}
	for i := range h {
		h[i] = shape.Narrow(float32(r.NormFloat64()))
	}
	return h
}

// near checks that values are those of a twin, but for the last bit of bfloat16: twins
// round products that the fast variants do not.
func near(t *testing.T, what string, got, want shape.Values) {
	t.Helper()
	if !got.Half() {
		check.CloseAbs(t, what, got.F, want.F, 1e-6, 1e-6)
		return
	}
	for i, w := range want.H {
		if off := math.Abs(float64(got.At(i) - want.At(i))); off > math.Abs(float64(want.At(i)))/127+1e-6 {
			t.Fatalf("%s: element %d is %v, want %v", what, i, got.At(i), shape.Widen(w))
		}
	}
}

// Passes over bfloat16 do what their twins do, and read and write their operands and
// nothing beside them.
func TestHalfRows(t *testing.T) {
	check.EachVariant(t, func(t *testing.T) {
		for _, low := range []bool{false, true} {
			r := rand.New(rand.NewPCG(33, 24))
			for _, c := range append([]int{24, 40, 100}, check.Widths...) {
				for _, rows := range []int{2, SumBlock + 3} {
					testHalfRows(t, r, c, rows, low)
				}
			}
		}
	})
}

func testHalfRows(t *testing.T, r *rand.Rand, c, rows int, low bool) {
	const gap = 3
	stride := c + gap
	n := (rows-1)*stride + c
	floats := func(n int) []float32 {
		s := check.Guarded(t, n, low)
		for i := range s {
			s[i] = float32(r.NormFloat64())
		}
		return s
	}
	full := func() shape.Values { return shape.Floats(floats(n)) }
	half := func() shape.Values { return shape.Halves(guardedHalves(t, r, n, low)) }
	twin := func(v shape.Values) shape.Values { return shape.Values{F: slices.Clone(v.F), H: slices.Clone(v.H)} }
	a, b, k, l := floats(c), floats(c), floats(c), floats(c)
	types := []func() shape.Values{half, full}
	for _, to := range types {
		for _, from := range types {
			dst, x, y := to(), from(), from()
			want := twin(dst)
			AffineTo(dst, stride, x, stride, rows, c, a, b, -0.5)
			affineValues(want, stride, x, stride, rows, 0, c, a, b, -0.5)
			near(t, "affine", dst, want)
			GradTo(dst, stride, x, y, stride, rows, c, a, b, k)
			gradValues(want, stride, x, y, stride, rows, 0, c, a, b, k)
			near(t, "grad", dst, want)
			GradTo(dst, stride, full(), y, stride, rows, c, a, b, k)
			CopyTo(dst, stride, x, stride, rows, c)
			for r := range rows {
				for i := range c {
					want.Set(r*stride+i, x.At(r*stride+i))
				}
			}
			near(t, "copy", dst, want)
			j := &Joining{AS: a, AT: b, BS: k, BT: l, Lo: -1, LoA: -0.5, LoB: MinusInf}
			other := half()
			JoinTo(dst, stride, x, stride, other, stride, rows, c, j, false)
			joinValues(want, stride, x, stride, other, stride, rows, 0, c, j)
			near(t, "join", dst, want)
		}
	}

	prod, y, part := floats(n), half(), floats(2*c)
	want := twin(y)
	sums, wantSums := make([]float64, 2*c), make([]float64, 2*c)
	for i := range sums {
		sums[i] = float64(i)
	}
	Store(y, 0, stride, prod, stride, rows, c, sums[:c], sums[c:], part)
	for r := range rows {
		for i := range c {
			want.Set(r*stride+i, prod[r*stride+i])
		}
	}
	for i := range c {
		wantSums[i], wantSums[c+i] = float64(i), float64(c+i)
		for r := range rows {
			v := float64(want.At(r*stride + i))
			wantSums[i] += v
			wantSums[c+i] += v * v
		}
	}
	if !slices.Equal(y.H, want.H) {
		t.Fatalf("store of %d × %d rounds in another way", rows, c)
	}
	check.CloseAbs64(t, "sums of what was stored", sums, wantSums, 1e-5, 1e-5)

	for opt := range 16 {
		var f shape.Finish
		if opt&1 != 0 {
			f.Add = half()
		}
		if opt&2 != 0 {
			f.Mask.X = half()
			if opt&4 != 0 {
				f.Mask.Scale, f.Mask.Shift = a, b
			}
		}
		clear(sums)
		clear(wantSums)
		if opt&8 != 0 {
			f.Dot, f.Sums = half(), new(shape.Sums)
		}
		dst := half()
		want := twin(dst)
		fin := NewFinisher(dst, f, c)
		products := prod
		if opt == 3 {
			products = nil
		}
		clear(part)
		fin.Store(dst, 0, stride, products, stride, rows, sums[:c], sums[c:], part)
		fin.storeMixed(want, 0, stride, products, stride, rows, 0, c, wantSums[:c], wantSums[c:])
		near(t, "finish", dst, want)
		check.CloseAbs64(t, "sums of a gradient", sums, wantSums, 2e-2, 2e-2)
	}

	h := half()
	pairs, wantPairs := floats((rows+1)/2*c), make([]float32, (rows+1)/2*c)
	PairHalves(pairs, c, h.H, stride, rows, c)
	pairValues(wantPairs, c, h.H, stride, rows, 0, c)
	check.SameBits(t, "pairs", pairs, wantPairs)
}

// Every variant rounds to nearest, ties to even, and denormal numbers to zero.
func TestHalfRounding(t *testing.T) {
	check.EachVariant(t, func(t *testing.T) {
		r := rand.New(rand.NewPCG(2, 16))
		x := make([]float32, 1<<12)
		for i := range x {
			x[i] = math.Float32frombits(r.Uint32())
		}
		for i, bits := range []uint32{0, 1, 0x80000000, 0x80000001, 0x007fffff, 0x00800000, 0x3f800000, 0x3f808000,
			0x3f808001, 0x3f818000, 0x3f817fff, 0x7f7fffff, 0x7f800000, 0xff800000, 0x7fc00000, 0x7f800001,
			0xffc12345} {
			x[i] = math.Float32frombits(bits)
		}
		h := make([]uint16, len(x))
		CopyTo(shape.Halves(h), 64, shape.Floats(x), 64, len(x)/64, 64)
		back := make([]float32, len(x))
		CopyTo(shape.Floats(back), 64, shape.Halves(h), 64, len(x)/64, 64)
		for i, v := range x {
			if h[i] != shape.Narrow(v) {
				t.Fatalf("%08x rounds to %04x, want %04x", math.Float32bits(v), h[i], shape.Narrow(v))
			}
			if got := math.Float32bits(back[i]); got != uint32(h[i])<<16 {
				t.Fatalf("%04x widens to %08x", h[i], got)
			}
		}
	})
}
