package product

import (
	"vicreg/internal/kernel/scratch"
	"vicreg/internal/parallel"
)

// A product of pairs is cut like one of float32. Both operands are rounded on the way:
// b while it is packed, and a to rows of pairs. What several blocks need is rounded once,
// before they start.

// leftRows is how many rows of a are rounded at a time.
const leftRows = 64

func (g *product) runPairs() {
	g.pairs, g.streams = true, false
	g.deep = scratch.RoundUp(Share(g.k, 2*depth), 2*scratch.LineFloats)
	g.cut(max(512, 256<<10/g.deep), 2*scratch.LineFloats)
	g.down = (g.m + g.high - 1) / g.high
	across := (g.n + g.wide - 1) / g.wide
	s := shared.take()
	defer shared.put(s)
	g.leftStride = scratch.Padded(Half(g.k))
	if across > 1 {
		g.left = grow(&s.a, g.m*g.leftStride)
		parallel.For((g.m+leftRows-1)/leftRows, g.leftPiece)
	}
	if size := PackedLen(Half(g.k), g.n); g.down > 1 && size <= sharedLen {
		g.packed = grow(&s.b, size)
		steps := (g.k + g.deep - 1) / g.deep
		parallel.For(steps*((g.n+packWide-1)/packWide), g.packPairsPiece)
	}
	parallel.For(g.down*across, g.blockPiece)
}

func (g *product) runLeft(_, piece int) {
	s := private.take()
	defer private.put(s)
	i := piece * leftRows
	rowsOfPairs(s, g.left[i*g.leftStride:], g.leftStride, g.a.part(i, 0, min(leftRows, g.m-i), g.k))
}

func (g *product) runPackPairs(_, piece int) {
	s := private.take()
	defer private.put(s)
	across := (g.n + packWide - 1) / packWide
	p, j := piece/across*g.deep, piece%across*packWide
	kb := min(g.deep, g.k-p)
	packPairs(s, g.packed[PackedLen(p/2, g.n)+j*Half(kb):], g.b.part(p, j, kb, min(packWide, g.n-j)))
}

// blockPairs does what block does, of operands that are rounded.
func (g *product) blockPairs(s *space, i, m, j, n int, out []float32, stride int, accumulate bool) {
	for p := 0; p < g.k; p += g.deep {
		kb := min(g.deep, g.k-p)
		b := []float32(nil)
		if g.packed != nil {
			b = g.packed[PackedLen(p/2, g.n)+j*Half(kb):]
		} else {
			b = grow(&s.b, PackedLen(Half(kb), n))
			packPairs(s, b, g.b.part(p, j, kb, n))
		}
		a, ars := []float32(nil), g.leftStride
		if g.left != nil {
			a = g.left[i*ars+p/2:]
		} else {
			ars = scratch.Padded(Half(kb))
			a = grow(&s.left, m*ars)
			rowsOfPairs(s, a, ars, g.a.part(i, p, m, kb))
		}
		Block(true, m, n, Half(kb), out, stride, a, ars, 1, b, 0, accumulate || p > 0)
	}
}

// packPairs does what PackPairs does. Rows that lie as they are packed are rounded on the
// way.
func packPairs(s *space, dst []float32, b Mat) {
	k, n := b.Dims()
	whole := 0
	if !b.Trans {
		for n-whole >= 16 {
			_, w := TileShape(n - whole)
			if w > n-whole {
				break
			}
			PairRows(dst[whole*Half(k):], w, b.Data[whole:], b.Stride, k, w)
			whole += w
		}
	}
	if rest := n - whole; rest > 0 {
		temp := grow(&s.a, PackedLen(k, rest))
		PackPairs(dst[whole*Half(k):], temp, b.part(0, whole, k, rest))
	}
}

// rowsOfPairs rounds rows of a to pairs, ds apart.
func rowsOfPairs(s *space, dst []float32, ds int, a Mat) {
	m, k := a.Dims()
	if !a.Trans {
		whole := k &^ 15
		NarrowRows(dst, ds, a.Data, a.Stride, m, whole)
		for r := range m {
			row := a.Data[r*a.Stride:][:k]
			for p := whole; p < k; p += 2 {
				hi := float32(0)
				if p+1 < k {
					hi = row[p+1]
				}
				dst[r*ds+p/2] = pairOf(row[p], hi)
			}
		}
		return
	}
	wide := scratch.RoundUp(m, scratch.LineFloats)
	temp := grow(&s.a, Half(k)*wide)
	whole := m &^ 15
	PairRows(temp, wide, a.Data, a.Stride, k, whole)
	if whole < m {
		plainPairRows(temp[whole:], wide, a.Data[whole:], a.Stride, k, m-whole, 0)
	}
	transposePairs(dst, ds, temp, wide, m, Half(k))
}
