package product

import (
	"sync"

	"vicreg/internal/pages"
	"vicreg/internal/parallel"
)

// product is one call of Gemm: c, or its transpose if c.Trans, is m × n. It is cut into
// blocks of c by its shape alone; one worker computes a block.
type product struct {
	m, n, k    int
	c, a, b    Mat
	accumulate bool

	high, wide int       // size of a block of c
	deep       int       // step of k
	packed     []float32 // all of b, if several blocks need the same part of it: steps of k one after the other
	streams    bool      // b is read as it is
	pairs      bool      // operands are rounded to bfloat16
	down       int       // blocks below each other

	// Of products of pairs: all of a, rounded, if several blocks need the same rows.
	left       []float32
	leftStride int

	// Bodies of the parallel loops, made once.
	blockPiece, packPiece, leftPiece, packPairsPiece func(worker, piece int)
}

// streamRows is the most rows of c for which reading b is a large part of the work.
const streamRows = 64

// sharedLen is the most elements of b to pack before the blocks start: they
// should stay in the cache that workers share.
var sharedLen = 4 << 20

func (g *product) run() {
	g.pairs, g.streams = false, g.m <= streamRows && !g.b.Trans
	if g.streams {
		g.deep = 128
		g.cut(1024, g.m)
	} else {
		g.deep = Share(g.k, depth)
		wide := max(512, 128<<10/g.deep)
		if HasColumns() {
			wide *= 2
		}
		g.cut(wide, 28)
	}
	g.down = (g.m + g.high - 1) / g.high
	across := (g.n + g.wide - 1) / g.wide
	if !g.streams && g.down > 1 && PackedLen(g.k, g.n) <= sharedLen {
		s := shared.take()
		defer shared.put(s)
		g.packed = grow(&s.b, PackedLen(g.k, g.n))
		g.pack()
	}
	parallel.For(g.down*across, g.blockPiece)
}

func (g *product) runBlock(_, piece int) {
	s := private.take()
	defer private.put(s)
	i, j := piece%g.down*g.high, piece/g.down*g.wide
	m, n := min(g.high, g.m-i), min(g.wide, g.n-j)
	out, stride, acc := []float32(nil), n, false
	if g.c.Trans {
		out = grow(&s.c, m*n)
	} else {
		out, stride, acc = g.c.Data[i*g.c.Stride+j:], g.c.Stride, g.accumulate
	}
	switch {
	case g.pairs:
		g.blockPairs(s, i, m, j, n, out, stride, acc)
	case g.streams:
		g.stream(s, i, m, j, n, out, stride, acc)
	default:
		g.block(s, i, m, j, n, out, stride, acc)
	}
	if g.c.Trans {
		g.putTransposed(out, i, m, j, n)
	}
}

// cut chooses the size of the blocks. Wide blocks are good, since a block packs its part
// of b once and goes through it for each row of tiles; but there must be enough blocks
// for all workers, and they should be about high rows or more. Blocks begin where panels
// of b do, at multiples of 32.
func (g *product) cut(wide, high int) {
	const pieces, least = 32, 1 << 20 // blocks to have, and multiplications in each
	g.high, g.wide = g.m, min(g.n, wide&^31)
	for {
		down, across := (g.m+g.high-1)/g.high, (g.n+g.wide-1)/g.wide
		if down*across >= pieces || g.high*g.wide < least/g.k {
			return
		}
		if g.high > high && (g.high >= g.wide || g.wide == g.n) {
			g.high = (g.high + 1) / 2
		} else if g.wide > 32 {
			g.wide = (g.wide/2 + 31) &^ 31
		} else {
			return
		}
	}
}

// packWide is how many columns of b are packed at a time.
const packWide = 256

// pack packs all of b.
func (g *product) pack() {
	steps := (g.k + g.deep - 1) / g.deep
	across := (g.n + packWide - 1) / packWide
	parallel.For(steps*across, g.packPiece)
}

func (g *product) runPack(_, piece int) {
	across := (g.n + packWide - 1) / packWide
	p, j := piece/across*g.deep, piece%across*packWide
	kb := min(g.deep, g.k-p)
	PackB(g.packed[PackedLen(p, g.n)+j*kb:], g.b.part(p, j, kb, min(packWide, g.n-j)))
}

// columnRows is the most rows in a column of tiles. What it reads of a, columnRows ×
// depth, then stays in the second-level cache, and its panel of b in the first-level
// one.
const columnRows = 144

// block writes m × n elements of a·b, from row i and column j on, to out. It takes some
// rows of a at a time, and meanwhile fetches the next ones and a share of the next step
// of b.
func (g *product) block(s *space, i, m, j, n int, out []float32, stride int, accumulate bool) {
	high := 28 // two tiles
	switch {
	case HasColumns():
		high = Share(m, columnRows)
	case g.a.Trans:
		high = 112 // as rows of a are short
	}
	groups := (m + high - 1) / high
	for p := 0; p < g.k; p += g.deep {
		kb := min(g.deep, g.k-p)
		ahead := min(g.deep, g.k-p-kb)
		var b []float32
		if g.packed != nil {
			b = g.packed[PackedLen(p, g.n)+j*kb:]
		} else {
			b = grow(&s.b, PackedLen(kb, n))
			PackB(b, g.b.part(p, j, kb, n))
		}
		for group := range groups {
			r := group * high
			a := g.a.part(i+r, p, min(high, m-r), kb)
			if a.Stride%1024 == 0 { // its rows fall on the same cache lines
				a = copyApart(&s.a, a)
			}
			var f Fetcher
			if group+1 < groups {
				f.AddRows(g.a.part(i+r+high, p, min(high, m-r-high), kb))
			} else if ahead > 0 {
				f.AddRows(g.a.part(i, p+kb, min(high, m), ahead))
			}
			if g.packed == nil && ahead > 0 {
				lo, hi := group*ahead/groups, (group+1)*ahead/groups
				f.AddRows(g.b.part(p+kb+lo, j, hi-lo, n))
			}
			tiles(min(high, m-r), n, kb, out[r*stride:], stride, a, b, &f, accumulate || p > 0)
		}
	}
}

// tiles computes c = a·b, or c += a·b, with b packed, and fetches after each tile.
func tiles(m, n, k int, c []float32, crs int, a Mat, b []float32, f *Fetcher, accumulate bool) {
	ars, aks := a.steps()
	most, w := TileShape(n)
	if HasColumns() {
		f.Plan((n + w - 1) / w)
		for j := 0; j < n; j += w {
			column(false, m, n-j, w, k, c[j:], crs, a.Data, ars, aks, b[j*k:], w, k*w, 1, accumulate)
			f.Step()
		}
		return
	}
	high := Share(m, most)
	f.Plan((m + high - 1) / high * ((n + w - 1) / w))
	for i := 0; i < m; i += high {
		for j := 0; j < n; j += w {
			_, w = TileShape(n - j)
			part(false, min(high, m-i), n-j, w, k, c[i*crs+j:], crs, a.Data[i*ars:], ars, aks, b[j*k:], w, 0,
				accumulate)
			f.Step()
		}
	}
}

// copyApart returns a copy of m with rows an odd number of cache lines apart.
func copyApart(buf *[]float32, m Mat) Mat {
	stride := ((m.Cols+15)/16 | 1) * 16
	data := grow(buf, stride*m.Rows)
	for r := range m.Rows {
		copy(data[r*stride:][:m.Cols], m.Data[r*m.Stride:])
	}
	m.Data, m.Stride = data, stride
	return m
}

// stream does what block does, but does not pack b and reads it just once. A step takes
// so few rows of b that they can be read side by side, and fetches those of the next
// step while it computes.
func (g *product) stream(s *space, i, m, j, n int, out []float32, stride int, accumulate bool) {
	most, _ := TileShape(n)
	high := Share(m, most)
	for p := 0; p < g.k; p += g.deep {
		kb := min(g.deep, g.k-p)
		a := copyApart(&s.a, g.a.part(i, p, m, kb))
		ars, aks := a.steps()
		for x := 0; x < n; {
			_, w := TileShape(n - x)
			b := g.b.Data[p*g.b.Stride+j+x:]
			ahead := g.deep * g.b.Stride // past the end of b in the last step, which does no harm
			for y := 0; y < m; y += high {
				part(false, min(high, m-y), n-x, w, kb, out[y*stride+x:], stride, a.Data[y*ars:], ars, aks, b,
					g.b.Stride, ahead, accumulate || p > 0)
				ahead = 0
			}
			x += w
		}
	}
}

// putTransposed writes out, which holds m × n elements of the product from row i and
// column j on, to c, which is transposed.
func (g *product) putTransposed(out []float32, i, m, j, n int) {
	const some = 16 // rows at a time, so that what is read stays cached
	for r := 0; r < m; r += some {
		for x := range n {
			col := g.c.Data[(j+x)*g.c.Stride+i+r:][:min(some, m-r)]
			if g.accumulate {
				for y := range col {
					col[y] += out[(r+y)*n+x]
				}
			} else {
				for y := range col {
					col[y] = out[(r+y)*n+x]
				}
			}
		}
	}
}

// space is the scratch memory of one block, or of one product.
type space struct{ a, b, c, left []float32 }

// productList keeps the products that are not in use, so that no call allocates one.
type productList struct {
	sync.Mutex
	free []*product
}

var products productList

func (l *productList) take() *product {
	l.Lock()
	defer l.Unlock()
	if n := len(l.free); n > 0 {
		g := l.free[n-1]
		l.free = l.free[:n-1]
		return g
	}
	g := new(product)
	g.blockPiece, g.packPiece = g.runBlock, g.runPack
	g.leftPiece, g.packPairsPiece = g.runLeft, g.runPackPairs
	return g
}

func (l *productList) put(g *product) {
	g.c, g.a, g.b, g.packed, g.left = Mat{}, Mat{}, Mat{}, nil, nil // the caller's
	l.Lock()
	l.free = append(l.free, g)
	l.Unlock()
}

// spaces keeps the scratch memory that is not in use. What was used last is given out
// first, as more of it is in the cache.
type spaces struct {
	sync.Mutex
	free []*space
}

var private, shared spaces

func (p *spaces) take() *space {
	p.Lock()
	defer p.Unlock()
	n := len(p.free)
	if n == 0 {
		return new(space)
	}
	s := p.free[n-1]
	p.free = p.free[:n-1]
	return s
}

func (p *spaces) put(s *space) {
	p.Lock()
	p.free = append(p.free, s)
	p.Unlock()
}

// grow returns n elements of memory that buf keeps; they hold any values.
func grow(buf *[]float32, n int) []float32 {
	if cap(*buf) < n {
		*buf = pages.Floats(n)
	}
	return (*buf)[:n]
}
