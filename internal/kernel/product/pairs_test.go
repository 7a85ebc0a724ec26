package product

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"vicreg/internal/amx"
	"vicreg/internal/check"
	"vicreg/internal/cpu"
	"vicreg/internal/parallel"
)

// Where the processor has no AMX, its variant is tested under a tracer.
func TestAMX(t *testing.T) {
	amx.Run(t, "^(TestPairs|TestPairsRows|TestGemmPairs|TestMultiplyRuns|TestPeak)$/^amx$")
}

// pairs returns rows × n random pairs, with rows gap elements further apart than they need
// be, and a guard page right before or after.
func pairs(t *testing.T, r *rand.Rand, rows, n, gap int) (p []float32, stride int) {
	stride = n + gap
	p = check.Guarded(t, (rows-1)*stride+n, r.IntN(2) == 0)
	for i := range p {
		if p[i] = pairOf(float32(r.NormFloat64()), float32(r.NormFloat64())); i%stride >= n {
			p[i] = float32(math.NaN())
		}
	}
	return p, stride
}

// wantPairs compares c with before + a·b, computed in float64, to within 1e-6 of the sum
// of magnitudes, and checks that the elements between its rows are as they were.
func wantPairs(t *testing.T, m, n, k int, c, before []float32, crs int, a []float32, ars, aks int, b []float32, brs int,
	accumulate bool) {
	t.Helper()
	for i := range m {
		for j := range crs {
			at := i*crs + j
			if at >= len(c) {
				continue
			}
			if j >= n {
				if math.Float32bits(c[at]) != math.Float32bits(before[at]) {
					t.Fatalf("m=%d n=%d k=%d: element (%d, %d), between rows, changed", m, n, k, i, j)
				}
				continue
			}
			var sum, size float64
			if accumulate {
				sum = float64(before[at])
				size = math.Abs(sum)
			}
			for p := range k {
				a0, a1 := values(a[i*ars+p*aks])
				b0, b1 := values(b[p*brs+j])
				x, y := float64(a0)*float64(b0), float64(a1)*float64(b1)
				sum, size = sum+x+y, size+math.Abs(x)+math.Abs(y)
			}
			if g := float64(c[at]); !(math.Abs(g-sum) <= 1e-6*size) {
				t.Fatalf("m=%d n=%d k=%d, accumulate %v: c[%d,%d] = %g, want %g", m, n, k, accumulate, i, j, g, sum)
			}
		}
	}
}

// packed packs b, which already holds pairs.
func packed(t *testing.T, b []float32, brs, k, n int) []float32 {
	packed := check.Guarded(t, PackedLen(k, n), false)
	PackB(packed, Mat{Data: b, Rows: k, Cols: n, Stride: brs})
	return packed
}

// Products of pairs are right in every shape, read and write nothing beside their
// operands, and are the same whatever they fetch on the way.
func TestPairs(t *testing.T) {
	check.EachVariant(t, func(t *testing.T) {
		r := rand.New(rand.NewPCG(7, 16))
		far := make([]float32, 1<<12)
		rounds := 120
		if amx.Traced() {
			rounds = 40
		}
		for i := range rounds {
			m, n, k := 1+r.IntN(70), 1+r.IntN(100), 1+r.IntN(60)
			if i%20 == 0 {
				k = depth - 2 + r.IntN(depth)
			}
			accumulate := r.IntN(2) == 0
			b, brs := pairs(t, r, k, n, r.IntN(8))
			c, crs := check.Guarded(t, m*(n+3)-3, r.IntN(2) == 0), n+3
			for j := range c {
				c[j] = float32(r.NormFloat64())
			}
			before := append([]float32(nil), c...)
			again := func() { copy(c, before) }
			var f Fetcher
			for range i % 3 {
				f.Add(far)
			}
			f.Plan(Steps(m, n))

			a, ars := pairs(t, r, m, k, r.IntN(8))
			panels := packed(t, b, brs, k, n)
			Block(true, m, n, k, c, crs, a, ars, 1, panels, 0, accumulate)
			wantPairs(t, m, n, k, c, before, crs, a, ars, 1, b, brs, accumulate)
			block := append([]float32(nil), c...)
			if !accumulate {
				again()
				Multiply(true, m, n, k, c, crs, a, ars, panels, &f)
				check.SameBits(t, "Multiply", c, block)
			}

			a, ars = pairs(t, r, k, m, r.IntN(8))
			again()
			Block(true, m, n, k, c, crs, a, 1, ars, b, brs, accumulate)
			wantPairs(t, m, n, k, c, before, crs, a, 1, ars, b, brs, accumulate)
			copy(block, c)
			again()
			MultiplyTN(true, m, n, k, c, crs, a, ars, b, brs, accumulate, &f)
			check.SameBits(t, "MultiplyTN", c, block)
		}
	})
}

// The bits of a row do not depend on how many are computed at once.
func TestPairsRows(t *testing.T) {
	check.EachVariant(t, func(t *testing.T) {
		r := rand.New(rand.NewPCG(8, 16))
		const m, n = 50, 24
		for _, k := range []int{9, 16, 53, depth + 40} {
			a, ars := pairs(t, r, m, k, 0)
			b, brs := pairs(t, r, k, n, 0)
			panels := packed(t, b, brs, k, n)
			want := make([]float32, m*n)
			Block(true, m, n, k, want, n, a, ars, 1, panels, 0, false)
			for _, rows := range []int{1, 13, 17, 33} {
				got := make([]float32, m*n)
				for i := 0; i < m; i += rows {
					Block(true, min(rows, m-i), n, k, got[i*n:], n, a[i*ars:], ars, 1, panels, 0, false)
				}
				check.SameBits(t, "in parts", got, want)
			}
		}
	})
}

// GemmPairs is right whichever way it goes, and its bits do not depend on the number of
// workers.
func TestGemmPairs(t *testing.T) {
	defer parallel.SetWorkers(0)
	defer func(n int) { sharedLen = n }(sharedLen)
	check.EachVariant(t, func(t *testing.T) {
		r := rand.New(rand.NewPCG(11, 16))
		rounded := func(m Mat) Mat {
			for i, v := range m.Data {
				m.Data[i], _ = values(pairOf(v, 0))
			}
			return m
		}
		try := func(m, n, k int, aTrans, bTrans, cTrans bool, gap int) {
			a := rounded(randomMat(t, r, m, k, aTrans, gap))
			b := rounded(randomMat(t, r, k, n, bTrans, gap))
			c := randomMat(t, r, m, n, cTrans, gap)
			before, accumulate := cloneMat(c), r.IntN(2) == 0
			parallel.SetWorkers(1)
			GemmPairs(c, a, b, accumulate)
			for range 300 {
				wantElement(t, r.IntN(m), r.IntN(n), c, before, a, b, accumulate)
			}
			wantElement(t, 0, 0, c, before, a, b, accumulate)
			wantElement(t, m-1, n-1, c, before, a, b, accumulate)
			one := slices.Clone(c.Data)
			copy(c.Data, before.Data)
			parallel.SetWorkers(3)
			GemmPairs(c, a, b, accumulate)
			check.SameBits(t, "with three workers", c.Data, one)
		}
		for i, l := range large {
			sharedLen = i % 2 << 20
			if cpu.AVX512BF16 && (!amx.Traced() || i%6 == 2) {
				try(l.m, l.n, l.k, l.aTrans, l.bTrans, false, l.gap)
			}
			try(1+r.IntN(70), 1+r.IntN(70), 1+r.IntN(70), l.aTrans, l.bTrans, i%4 == 0, l.gap)
		}
	})
}

// Rows that overlap and consist of runs are multiplied as if they were copied together.
func TestMultiplyRuns(t *testing.T) {
	defer func(n int) { tilePanels = n }(tilePanels)
	check.EachVariant(t, func(t *testing.T) {
		if !HasRuns() {
			t.Skip("this variant has no such products")
		}
		r := rand.New(rand.NewPCG(12, 16))
		for i := range 30 {
			tilePanels = i % 3 * 1000 // some go through b panel by panel
			m, n := 1+r.IntN(50), 1+r.IntN(80)
			step := 1 + r.IntN(24)
			a := Runs{Step: step, Count: 2 + r.IntN(2), Length: step * (1 + r.IntN(3)), Blocks: 1 + r.IntN(3)}
			a.Apart = m*step + r.IntN(5)
			a.Next = (a.Count+1)*a.Apart + r.IntN(9)
			rows, depth := RunDepth(a.Length), a.Count*RunDepth(a.Length)
			a.Data, _ = pairs(t, r, 1, (a.Blocks-1)*a.Next+(m-1)*step+(a.Count-1)*a.Apart+rows, 0)
			b, _ := pairs(t, r, depth, n, 0)
			for p := range depth {
				if p%rows >= a.Length {
					clear(b[p*n:][:n])
				}
			}
			crs, next := n+r.IntN(4), m*(n+5)
			c := check.Guarded(t, (a.Blocks-1)*next+(m-1)*crs+n, i%2 == 0)
			for i := range c {
				c[i] = 7
			}
			var f Fetcher
			f.Add(make([]float32, 16*r.IntN(300)))
			MultiplyRuns(m, n, c, crs, next, a, packed(t, b, n, depth, n), &f)
			for block := range a.Blocks {
				whole := make([]float32, m*depth)
				for i := range m {
					for run := range a.Count {
						from := a.Data[block*a.Next+i*step+run*a.Apart:]
						copy(whole[i*depth+run*rows:], from[:rows])
					}
				}
				out := c[block*next:]
				seven := make([]float32, m*crs)
				for i := range seven {
					seven[i] = 7
				}
				out = out[:min(len(out), m*crs)]
				wantPairs(t, m, n, depth, out, seven, crs, whole, depth, 1, b, n, false)
			}
		}
	})
}
