package product

import (
	"math"
	"math/rand/v2"
	"testing"

	"vicreg/internal/check"
)

// The processor rounds to the very bits of the plain twins: nearest, ties to
// even, denormal values to zero.
func TestBF16Rounding(t *testing.T) {
	check.NeedBF16(t)
	const rows, n = 3, 64
	src := check.Guarded(t, rows*n, false)
	r := rand.New(rand.NewPCG(2, 16))
	for i := range src {
		src[i] = math.Float32frombits(r.Uint32())
	}
	for i, bits := range []uint32{0, 1, 0x80000000, 0x80000001, 0x007fffff, 0x00800000, 0x3f800000, 0x3f808000,
		0x3f808001,
		0x3f818000, 0x3f817fff, 0x7f7fffff, 0x7f800000, 0xff800000, 0x7fc00000, 0x7f800001, 0xffc12345} {
		src[i] = math.Float32frombits(bits)
	}
	for _, low := range []bool{false, true} {
		got, want := check.Guarded(t, rows*n/2, low), make([]float32, rows*n/2)
		NarrowRows(got, n/2, src, n, rows, n)
		plainNarrowRows(want, n/2, src, n, rows, n)
		check.SameBits(t, "narrowRows", got, want)
		copied := append([]float32(nil), src...)
		NarrowRows(copied, n, copied, n, rows, n)
		for r := range rows {
			check.SameBits(t, "narrowRows in place", copied[r*n:], want[r*n/2:][:n/2])
		}

		got, want = check.Guarded(t, 2*n, low), make([]float32, 2*n)
		PairRows(got, n, src, n, rows, n)
		plainPairRows(want, n, src, n, rows, n, 0)
		check.SameBits(t, "pairRows", got, want)
		copy(copied, src)
		PairRows(copied, n, copied, n, rows, n)
		check.SameBits(t, "pairRows in place", copied, want)
	}
	for _, v := range []struct{ in, out uint32 }{
		{0x3f808000, 0x3f80}, {0x3f818000, 0x3f82}, {0x3f808001, 0x3f81}, {0x7f7fffff, 0x7f80}, {0x80000001, 0x8000},
		{0x7f800001, 0x7fc0},
	} {
		if got := roundBF16(math.Float32frombits(v.in)); got != v.out {
			t.Errorf("%08x rounds to %04x, want %04x", v.in, got, v.out)
		}
	}
}

// Tiles give what their plain twin gives, but for the order of sums.
func TestBF16Tiles(t *testing.T) {
	check.NeedBF16(t)
	r := rand.New(rand.NewPCG(1, 16))
	for rows := 1; rows <= 14; rows++ {
		for _, cols := range []int{16, 32} {
			k, low := 1+r.IntN(40), rows%2 == 0
			a, b, c := check.Guarded(t, rows*k, low), check.Guarded(t, k*cols, low), check.Normal(r, rows*cols)
			plainNarrowRows(a, k, check.Normal(r, rows*2*k), 2*k, rows, 2*k)
			plainPairRows(b, cols, check.Normal(r, 2*k*cols), cols, 2*k, cols, 0)
			for _, accumulate := range []bool{false, true} {
				got, want := check.Guarded(t, len(c), low), append([]float32(nil), c...)
				copy(got, c)
				tileBF16(rows, cols, k, got, cols, a, k, 1, b, cols, 100, accumulate)
				plainTileBF16(rows, cols, k, want, cols, a, k, 1, b, cols, accumulate)
				check.Close(t, "tile", got, want, 1e-6)
			}
		}
	}
}
