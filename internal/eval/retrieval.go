package eval

import (
	"context"
	"fmt"
	"math"
	"slices"

	"vicreg/internal/kernel/product"
)

// Pairs are the embeddings of n rows on two sides; row i of A belongs to row i of B.
//
// Several rows may share an item of a side, as several captions do an image. Items are
// numbered: rows with the same number are one item of that side and have the same
// embedding.
type Pairs struct {
	A, B         []float32 // n × D each
	D            int
	ItemA, ItemB []int // n, or nil: every row is an item of its own
}

// Recall is how well the items of one side find their partners among the items
// of the other, by cosine. A query counts for R@k if one of its partners is
// among the k nearest.
type Recall struct {
	At      [3]float64 // R@1, R@5 and R@10: shares of the queries, from 0 to 1
	Chance  [3]float64 // what a random order would give
	Median  float64    // rank of the nearest partner, from 1
	Queries int
	Gallery int // items to choose from
}

// RecallAt are the k of [Recall].
var RecallAt = [3]int{1, 5, 10}

// tie is how near two cosines may lie to count as equal. It is above the
// rounding of float32 products, so that ranks do not depend on the processor.
const tie = 1e-6

// Retrieval returns how well A's items find B's, and the other way round. Of equal
// cosines the partner's counts as the farthest, so that collapsed embeddings find
// nothing.
func Retrieval(ctx context.Context, p Pairs) (ab, ba Recall, err error) {
	n := 0
	if p.D > 0 {
		n = len(p.A) / p.D
	}
	if p.D < 1 || len(p.A) != n*p.D || len(p.B) != n*p.D || p.ItemA != nil && len(p.ItemA) != n ||
		p.ItemB != nil && len(p.ItemB) != n {
		panic(fmt.Sprintf("eval: retrieval among %d and %d values of width %d, with %d and %d items", len(p.A), len(p.B), p.D, len(p.ItemA), len(p.ItemB)))
	}
	for _, s := range []struct {
		side string
		x    []float32
	}{{"first", p.A}, {"second", p.B}} {
		for i, v := range s.x {
			if math.IsNaN(float64(v)) || math.IsInf(float64(v), 0) {
				return ab, ba, fmt.Errorf("the embedding of row %d on the %s side is not finite: the encoder is broken", i/p.D, s.side)
			}
		}
	}
	a, b := newItems(p.A, p.D, p.ItemA), newItems(p.B, p.D, p.ItemB)
	if len(a.first) < 2 || len(b.first) < 2 {
		return ab, ba, fmt.Errorf("retrieval needs at least 2 different items on each side, but there are %d and %d", len(a.first), len(b.first))
	}
	ab, ba = recall(ctx, a, b, p.D), recall(ctx, b, a, p.D)
	return ab, ba, ctx.Err()
}

// items are the different items of a side.
type items struct {
	x     []float32 // item × d, of length 1
	of    []int     // the item of each row
	first []int     // the first row of each item
}

func newItems(x []float32, d int, number []int) items {
	n := len(x) / d
	s := items{of: make([]int, n)}
	seen := map[int]int{}
	for i := range n {
		item := i
		if number != nil {
			var ok bool
			if item, ok = seen[number[i]]; !ok {
				item = len(s.first)
				seen[number[i]] = item
			}
		}
		s.of[i] = item
		if item == len(s.first) {
			s.first = append(s.first, i)
		}
	}
	s.x = make([]float32, 0, len(s.first)*d)
	for _, i := range s.first {
		s.x = append(s.x, x[i*d:(i+1)*d]...)
	}
	s.x = unit(s.x, d)
	return s
}

// recall lets every item of q look for its partners among the items of g. What it
// returns means nothing once ctx has ended.
func recall(ctx context.Context, q, g items, d int) Recall {
	n, m := len(q.first), len(g.first)
	partners := make([][]int, n) // items of g, in order, each once
	for i, item := range q.of {
		partners[item] = append(partners[item], g.of[i])
	}
	best := make([]float64, n) // cosine of the nearest partner
	rows(n, func(lo, hi int) {
		for i := lo; i < hi; i++ {
			slices.Sort(partners[i])
			partners[i] = slices.Compact(partners[i])
			best[i] = math.Inf(-1)
			for _, j := range partners[i] {
				best[i] = max(best[i], cosine(q.x[i*d:(i+1)*d], g.x[j*d:(j+1)*d]))
			}
		}
	})

	// The rank of a query is 1 plus the number of items that are no partner of it and at
	// least as near as its best partner. Cosines come in blocks.
	const high, wide = 256, 2048
	cos := make([]float32, high*wide)
	rank := make([]int, n)
	for i := 0; i < n && ctx.Err() == nil; i += high {
		h := min(high, n-i)
		for j := 0; j < m; j += wide {
			w := min(wide, m-j)
			product.Gemm(product.Mat{Data: cos, Rows: h, Cols: w},
				product.Mat{Data: q.x[i*d:], Rows: h, Cols: d},
				product.Mat{Data: g.x[j*d:], Rows: w, Cols: d, Trans: true}, false)
			rows(h, func(lo, hi int) {
				for r := lo; r < hi; r++ {
					line, bar := cos[r*w:(r+1)*w], float32(best[i+r]-tie)
					for _, p := range partners[i+r] {
						if j <= p && p < j+w {
							line[p-j] = float32(math.Inf(-1))
						}
					}
					for _, c := range line {
						if c >= bar {
							rank[i+r]++
						}
					}
				}
			})
		}
	}

	out := Recall{Queries: n, Gallery: m}
	for i := range rank {
		rank[i]++
		for k, at := range RecallAt {
			if rank[i] <= at {
				out.At[k]++
			}
			out.Chance[k] += chance(m, len(partners[i]), at)
		}
	}
	for k := range out.At {
		out.At[k] /= float64(n)
		out.Chance[k] /= float64(n)
	}
	slices.Sort(rank)
	out.Median = float64(rank[(n-1)/2]+rank[n/2]) / 2
	return out
}

// cosine is the dot product of unit vectors.
func cosine(a, b []float32) float64 {
	var sum float64
	for i, v := range a {
		sum += float64(v) * float64(b[i])
	}
	return sum
}

// chance is the probability that k of m items drawn at random contain one of p.
func chance(m, p, k int) float64 {
	miss := 1.0
	for i := range min(k, m) {
		miss *= float64(max(0, m-p-i)) / float64(m-i)
	}
	return 1 - miss
}
