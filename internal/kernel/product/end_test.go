package product

import (
	"math"
	"math/rand/v2"
	"testing"
	"unsafe"

	"vicreg/internal/check"
)

// guardedHalves returns n random values of bfloat16 with a guard page right before or after.
func guardedHalves(t *testing.T, r *rand.Rand, n int) []uint16 {
	low := r.IntN(2) == 0
	f := check.Guarded(t, (n+1)/2, low)
	h := unsafe.Slice((*uint16)(unsafe.Pointer(&f[0])), 2*len(f))
	if !low {
		h = h[len(h)-n:]
	}
	for i := range n {
		h[i] = uint16(roundBF16(float32(r.NormFloat64())))
	}
	return h[:n]
}

// Products that are finished in registers are what the definition makes of them, give or
// take a unit of bfloat16's last place, and nothing beside them is read or written.
func TestMultiplyEnd(t *testing.T) {
	check.EachVariant(t, func(t *testing.T) {
		if !Ends(endColumns) {
			t.Skip("this variant finishes no products in registers")
		}
		r := rand.New(rand.NewPCG(13, 16))
		far := make([]float32, 1<<12)
		for i := range 60 {
			m, n, k := 1+r.IntN(45), endColumns*(1+r.IntN(3)), 1+r.IntN(60)
			if i%6 == 0 {
				k = depth - 2 + r.IntN(2*depth)
			}
			a, ars := pairs(t, r, m, k, r.IntN(8))
			b, brs := pairs(t, r, k, n, 0)
			panels := packed(t, b, brs, k, n)
			stride := n + r.IntN(5)
			size := (m-1)*stride + n
			e := End{Y: guardedHalves(t, r, size), Stride: stride, Scale: check.Guarded(t, n, i%2 == 0),
				Shift: check.Guarded(t, n, i%3 == 0), Lo: float32(math.Inf(-1))}
			if i%2 == 0 {
				e.Lo = 0
			}
			if i%4 < 2 {
				e.Add = guardedHalves(t, r, size)
			}
			copy(e.Scale, check.Normal(r, n))
			copy(e.Shift, check.Normal(r, n))
			before := append([]uint16(nil), e.Y...)
			var f Fetcher
			for range i % 3 {
				f.Add(far)
			}
			f.Plan(Steps(m, n))
			MultiplyEnd(&e, m, n, k, check.Guarded(t, EndRoom(m, k), i%2 == 0), a, ars, panels, &f)

			want := e
			want.Y = append([]uint16(nil), before...)
			for j := 0; j < n; j += endColumns {
				for y := range m {
					plainEndTile(&want, y, j, 1, k, nil, a[y*ars:], ars, panels[j*k:])
				}
			}
			for at, h := range e.Y {
				got, w := math.Float32frombits(uint32(h)<<16), math.Float32frombits(uint32(want.Y[at])<<16)
				switch {
				case at%stride >= n && h != before[at]:
					t.Fatalf("m=%d n=%d k=%d: value %d, between rows, changed", m, n, k, at)
				case math.Abs(float64(got-w)) > math.Abs(float64(w))/127+1e-4:
					t.Fatalf("m=%d n=%d k=%d, tail %v %v: value %d is %v, want %v", m, n, k, e.Lo, e.Add != nil, at, got, w)
				}
			}
		}
	})
}
