package product

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"vicreg/internal/check"
	"vicreg/internal/parallel"
)

// randomMat returns a matrix that stands for rows × cols, its rows gap elements
// further apart than they need to be, with a guard page right before or after.
func randomMat(t *testing.T, r *rand.Rand, rows, cols int, trans bool, gap int) Mat {
	if trans {
		rows, cols = cols, rows
	}
	n := 0
	if rows > 0 && cols > 0 {
		n = (rows-1)*(cols+gap) + cols
	}
	data := check.Guarded(t, n, r.IntN(2) == 0)
	for i := range data {
		data[i] = float32(r.NormFloat64())
	}
	return Mat{data, rows, cols, cols + gap, trans}
}

func (m Mat) at(i, j int) float64 {
	rs, cs := m.steps()
	return float64(m.Data[i*rs+j*cs])
}

func cloneMat(m Mat) Mat {
	m.Data = slices.Clone(m.Data)
	return m
}

// wantElement compares an element of got with that of a·b, or before + a·b,
// computed in float64, to within 1e-6 of |before| + Σ |a|·|b|.
func wantElement(t *testing.T, i, j int, got, before, a, b Mat, accumulate bool) {
	t.Helper()
	_, k := a.Dims()
	var sum, size float64
	if accumulate {
		sum = before.at(i, j)
		size = math.Abs(sum)
	}
	for p := range k {
		v := a.at(i, p) * b.at(p, j)
		sum += v
		size += math.Abs(v)
	}
	if g := got.at(i, j); !(math.Abs(g-sum) <= 1e-6*size) {
		m, n := got.Dims()
		t.Fatalf("m=%d n=%d k=%d, transposed a %v b %v c %v, accumulate %v: c[%d,%d] = %g, want %g",
			m, n, k, a.Trans, b.Trans, got.Trans, accumulate, i, j, g, sum)
	}
}

// wantProduct checks every element of got, and that the elements between its
// rows are as they were.
func wantProduct(t *testing.T, got, before, a, b Mat, accumulate bool) {
	t.Helper()
	m, n := got.Dims()
	for i := range m {
		for j := range n {
			wantElement(t, i, j, got, before, a, b, accumulate)
		}
	}
	for i, v := range got.Data {
		if i%got.Stride >= got.Cols && v != before.Data[i] {
			t.Fatalf("%d × %d with stride %d: element %d, between rows, changed", got.Rows, got.Cols, got.Stride, i)
		}
	}
}

func TestGemm(t *testing.T) {
	check.EachVariant(t, func(t *testing.T) {
		r := rand.New(rand.NewPCG(1, 2))
		size := func() int {
			if r.IntN(30) == 0 {
				return 0
			}
			return 1 + r.IntN(40)
		}
		for range 1000 {
			m, n, k := size(), size(), size()
			a := randomMat(t, r, m, k, r.IntN(2) == 0, r.IntN(8))
			b := randomMat(t, r, k, n, r.IntN(2) == 0, r.IntN(8))
			c := randomMat(t, r, m, n, r.IntN(8) == 0, r.IntN(8))
			before := cloneMat(c)
			accumulate := r.IntN(2) == 0
			Gemm(c, a, b, accumulate)
			wantProduct(t, c, before, a, b, accumulate)
		}
	})
}

func TestBlocks(t *testing.T) {
	check.EachVariant(t, func(t *testing.T) {
		r := rand.New(rand.NewPCG(3, 4))
		for i := range 600 {
			m, n, k := r.IntN(35), r.IntN(70), r.IntN(20)
			if i%20 == 0 {
				k = depth - 2 + r.IntN(2*depth)
			}
			b := randomMat(t, r, k, n, r.IntN(2) == 0, r.IntN(8))
			c := randomMat(t, r, m, n, false, r.IntN(8))
			before := cloneMat(c)
			accumulate := r.IntN(2) == 0

			a := randomMat(t, r, m, k, false, r.IntN(8))
			packed := check.Guarded(t, PackedLen(k, n), i%2 == 0)
			PackB(packed, b)
			BlockNN(m, n, k, c.Data, c.Stride, a.Data, a.Stride, packed, accumulate)
			wantProduct(t, c, before, a, b, accumulate)

			a = randomMat(t, r, m, k, true, r.IntN(8))
			b = randomMat(t, r, k, n, false, r.IntN(8))
			copy(c.Data, before.Data)
			BlockTN(m, n, k, c.Data, c.Stride, a.Data, a.Stride, b.Data, b.Stride, accumulate)
			wantProduct(t, c, before, a, b, accumulate)
		}
	})
}

// large holds products that go every way through the parallel product.
var large = []struct {
	what           string
	m, n, k        int
	aTrans, bTrans bool
	gap            int
}{
	{"b packed by each block", 300, 530, 600, false, false, 3},
	{"b packed once", 200, 330, 600, false, true, 3},
	{"rows of a on the same cache lines", 150, 90, 1024, false, true, 0},
	{"columns of a on the same cache lines", 1024, 90, 150, true, false, 0},
	{"few rows, b streamed", 16, 2100, 70, false, false, 0},
	{"few rows, b streamed, a transposed", 30, 1100, 100, true, false, 5},
	{"few rows, c written transposed", 16, 2100, 300, false, true, 0},
	{"both transposed, streamed into transposed c", 1100, 20, 90, true, true, 2},
	{"both transposed", 200, 300, 280, true, true, 0},
	{"few columns", 2000, 10, 130, false, false, 0},
	{"a vector", 1, 3000, 300, false, true, 0},
	{"outer product", 1500, 1000, 1, true, false, 0},
}

// Multiply gives the bits of BlockNN, and MultiplyTN those of BlockTN, whatever they
// fetch on the way.
func TestMultiplyFetches(t *testing.T) {
	check.EachVariant(t, func(t *testing.T) {
		far := make([]float32, 1<<12)
		for _, m := range []int{0, 1, 5, 6, 7, 13, 40} {
			for _, n := range []int{3, 16, 40} {
				for _, k := range []int{1, 9, depth + 44} {
					for lists := range 3 {
						a, b := check.Ramp(m*k), check.Ramp(k*n)
						packed := make([]float32, PackedLen(k, n))
						PackB(packed, Mat{Data: b, Rows: k, Cols: n})
						fetches := func() *Fetcher {
							f := new(Fetcher)
							for i := range lists {
								f.Add(far[:len(far)>>i])
							}
							f.Plan(Steps(m, n))
							return f
						}
						got, want := make([]float32, m*n), make([]float32, m*n)
						Multiply(false, m, n, k, got, n, a, k, packed, fetches())
						BlockNN(m, n, k, want, n, a, k, packed, false)
						if !slices.Equal(got, want) {
							t.Fatalf("multiply of %d × %d × %d with %d lists to fetch differs from blockNN", m, n, k, lists)
						}
						if m == 0 {
							continue
						}
						MultiplyTN(false, m, n, k, got, n, a, m, b, n, true, fetches())
						BlockTN(m, n, k, want, n, a, m, b, n, true)
						if !slices.Equal(got, want) {
							t.Fatalf("multiplyTN of %d × %d × %d with %d lists to fetch differs from blockTN", m, n, k, lists)
						}
					}
				}
			}
		}
	})
}

// Bits must not depend on the number of workers, and enough elements of each
// block, its last row and column among them, must be right.
func TestGemmLarge(t *testing.T) {
	defer parallel.SetWorkers(0)
	defer func(n int) { sharedLen = n }(sharedLen)
	check.EachVariant(t, func(t *testing.T) {
		r := rand.New(rand.NewPCG(5, 6))
		for i, l := range large {
			sharedLen = i % 2 << 20 // for half of them, each block packs its own part of b
			for _, accumulate := range []bool{false, true} {
				a := randomMat(t, r, l.m, l.k, l.aTrans, l.gap)
				b := randomMat(t, r, l.k, l.n, l.bTrans, l.gap)
				c := randomMat(t, r, l.m, l.n, false, l.gap)
				before := cloneMat(c)
				var first []float32
				for workers := 1; workers <= 3; workers++ {
					parallel.SetWorkers(workers)
					copy(c.Data, before.Data)
					Gemm(c, a, b, accumulate)
					if workers == 1 {
						first = slices.Clone(c.Data)
					}
					for i := range first {
						if math.Float32bits(c.Data[i]) != math.Float32bits(first[i]) {
							t.Fatalf("%s: element %d is %g with 1 worker, %g with %d", l.what, i, first[i], c.Data[i], workers)
						}
					}
				}
				for range 400 {
					wantElement(t, r.IntN(l.m), r.IntN(l.n), c, before, a, b, accumulate)
				}
				for range 20 {
					wantElement(t, l.m-1, r.IntN(l.n), c, before, a, b, accumulate)
					wantElement(t, r.IntN(l.m), l.n-1, c, before, a, b, accumulate)
				}
				wantElement(t, 0, 0, c, before, a, b, accumulate)
				wantElement(t, l.m-1, l.n-1, c, before, a, b, accumulate)
			}
		}
	})
}

// Blocks that share a packed b must start where its panels do.
func TestCut(t *testing.T) {
	r := rand.New(rand.NewPCG(9, 10))
	for range 1000 {
		g := product{m: 1 + r.IntN(5000), n: 1 + r.IntN(5000), k: 1 + r.IntN(5000)}
		g.deep = Share(g.k, depth)
		g.cut(512+r.IntN(5000), 28)
		if g.high < 1 || g.wide < 1 || g.wide < g.n && g.wide%32 != 0 {
			t.Fatalf("m=%d n=%d k=%d: blocks of %d × %d", g.m, g.n, g.k, g.high, g.wide)
		}
	}
}

// A NaN in a makes its row of c NaN, one in b its column, and nothing else;
// zeros do not stop it, for 0·NaN is NaN; c is overwritten unless accumulated.
func TestGemmNaN(t *testing.T) {
	nan := float32(math.NaN())
	check.EachVariant(t, func(t *testing.T) {
		r := rand.New(rand.NewPCG(7, 8))
		for _, s := range [][3]int{{1, 1, 1}, {5, 7, 3}, {14, 32, 40}, {17, 50, 300}, {70, 45, 9}} {
			m, n, k := s[0], s[1], s[2]
			for trans := range 4 {
				a := randomMat(t, r, m, k, trans&1 != 0, 1)
				b := randomMat(t, r, k, n, trans&2 != 0, 1)
				c := randomMat(t, r, m, n, false, 1)
				row, col, at := m/2, n/3, k-1
				clear(a.Data)
				clear(b.Data)
				rs, cs := a.steps()
				a.Data[row*rs+at*cs] = nan
				rs, cs = b.steps()
				b.Data[at*rs+col*cs] = float32(math.Inf(1))
				for i := range c.Data {
					c.Data[i] = nan
				}
				Gemm(c, a, b, false)
				for i := range m {
					for j := range n {
						if got, want := math.IsNaN(c.at(i, j)), i == row || j == col; got != want {
							t.Fatalf("%v, transposition %d: c[%d,%d] = %g; NaN in row %d of a, Inf in column %d of b", s, trans, i, j, c.at(i, j), row, col)
						}
					}
				}
				Gemm(c, a, b, true)
				if !math.IsNaN(c.at(row, 0)) || m > 1 && n > 1 && c.at((row+1)%m, (col+1)%n) != 0 {
					t.Fatalf("%v, transposition %d: accumulating lost a NaN or made one", s, trans)
				}
			}
		}
	})
}

func TestGemmPanics(t *testing.T) {
	data := make([]float32, 12)
	for want, f := range map[string]func(){
		"kernel: product of 3 × 4 and 3 × 4 does not give 3 × 4": func() {
			m := Mat{Data: data, Rows: 3, Cols: 4}
			Gemm(m, m, m, false)
		},
		"kernel: matrix b of 3 rows, 5 columns and stride 5 does not fit 12 elements": func() {
			Gemm(Mat{Data: data, Rows: 1, Cols: 5}, Mat{Data: data, Rows: 1, Cols: 3},
				Mat{Data: data, Rows: 3, Cols: 5}, false)
		},
		"kernel: matrix a has 2 rows, 3 columns and stride 2": func() {
			Gemm(Mat{Data: data, Rows: 2, Cols: 1}, Mat{Data: data, Rows: 2, Cols: 3, Stride: 2},
				Mat{Data: data, Rows: 3, Cols: 1}, false)
		},
	} {
		func() {
			defer func() {
				if got := fmt.Sprint(recover()); !strings.Contains(got, want) {
					t.Errorf("panic %q, want %q", got, want)
				}
			}()
			f()
		}()
	}
}

// Block products allocate nothing, and Gemm nothing that grows with its size.
func TestGemmAllocations(t *testing.T) {
	const m, n, k = 100, 200, 300
	a, b, c := make([]float32, m*k), make([]float32, k*n), make([]float32, m*n)
	packed := make([]float32, PackedLen(k, n))
	if got := testing.AllocsPerRun(10, func() {
		PackB(packed, Mat{Data: b, Rows: k, Cols: n})
		BlockNN(m, n, k, c, n, a, k, packed, false)
		BlockTN(m, n, k, c, n, a, m, b, n, false)
		BlockTN(m-1, n-1, k, c, n, a, m, b, n, false)
	}); got != 0 {
		t.Errorf("block products allocate %g times", got)
	}
	if got := testing.AllocsPerRun(10, func() {
		Gemm(Mat{Data: c, Rows: m, Cols: n}, Mat{Data: a, Rows: m, Cols: k}, Mat{Data: b, Rows: k, Cols: n}, false)
		Gemm(Mat{Data: c, Rows: m, Cols: n}, Mat{Data: a, Rows: m, Cols: k},
			Mat{Data: b, Rows: n, Cols: k, Trans: true}, false)
	}); got > 10 {
		t.Errorf("two products allocate %g times", got)
	}
}
