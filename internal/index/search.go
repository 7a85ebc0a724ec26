package index

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"slices"
	"sync/atomic"

	"vicreg/internal/kernel/product"
	"vicreg/internal/parallel"
)

// MostNearest is how many of the nearest a search gives at most.
const MostNearest = 1000

// Options say how to search.
type Options struct {
	K     int // how many of the nearest
	Probe int // groups to read, of an index with lists; 0: File.Probe; Lists or more: all
}

// Match is an image that was found.
type Match struct {
	Item   int     // of File.Items
	Cosine float32 // of the angle to the query, from -1 to 1
}

const (
	panel  = 16   // queries that are multiplied at once
	most   = 256  // queries for which a block is read once
	stripe = 1024 // blocks between two looks at the context
)

// Search returns the nearest images of each query, n × D, the nearest first; of equal
// cosines the earlier image comes first. Queries may have any length above 0, and a
// query of zeros has the cosine 0 with all. A query gives the same bits alone and among
// others, for any number of workers. Without lists, and where all groups are read, no
// image is missed. A damaged file is an error, as is the end of ctx.
func (f *File) Search(ctx context.Context, queries []float32, o Options) ([][]Match, error) {
	if len(queries)%f.D != 0 || o.K < 1 || o.Probe < 0 {
		panic(fmt.Sprintf("index: %d values of queries of %d, %d nearest, %d groups", len(queries), f.D, o.K, o.Probe))
	}
	q := slices.Clone(queries)
	unit(q, f.D)
	n := len(q) / f.D
	s := newScan(f, min(o.K, len(f.Items)), min(n, most))
	out := make([][]Match, 0, n)
	probe := cmp.Or(o.Probe, f.Probe)
	if f.Lists > 0 && probe < f.Lists && n*probe < f.Lists {
		return s.groups(ctx, q, probe)
	}
	all := spread(len(f.blocks), len(f.blocks))
	for part := range slices.Chunk(q, most*f.D) {
		if f.Lists > 0 && probe < f.Lists {
			s.choose(part, probe)
		}
		found, err := s.run(ctx, part, all)
		if err != nil {
			return nil, err
		}
		out = append(out, found...)
	}
	return out, nil
}

// groups reads for one query after the other the groups that are nearest to it.
func (s *scan) groups(ctx context.Context, queries []float32, probe int) (out [][]Match, err error) {
	f := s.f
	var blocks []int
	near := newRanking(f.centroids, f.D)
	for part := range slices.Chunk(queries, f.D) {
		blocks = blocks[:0]
		for _, l := range near.of(part)[:probe] {
			for i := f.starts[l]; i < f.starts[l+1]; i++ {
				blocks = append(blocks, i)
			}
		}
		found, err := s.run(ctx, part, blocks)
		if err != nil {
			return nil, err
		}
		out = append(out, found...)
	}
	return out, nil
}

// choose marks the groups that are nearest to each query: to go through all of them once
// takes less time than to go through some of them for each of many queries, and finds the
// same.
func (s *scan) choose(queries []float32, probe int) {
	s.wants = s.wants[:0]
	near := newRanking(s.f.centroids, s.f.D)
	for q := range slices.Chunk(queries, s.f.D) {
		wants := make([]bool, s.f.Lists)
		for _, l := range near.of(q)[:probe] {
			wants[l] = true
		}
		s.wants = append(s.wants, wants)
	}
}

// scan goes through blocks with some queries.
type scan struct {
	f       *File
	k       int
	queries int
	packed  []float32 // of every panel
	wants   [][]bool  // of every query, the groups that are looked at; nil: all
	blocks  []int
	workers []scanner
	failed  atomic.Pointer[failure]
}

// scanner is the memory of one worker.
type scanner struct {
	features, cosines []float32
	best              []nearest // of each query
}

// failure is the error of the first of the blocks that failed.
type failure struct {
	at  int
	err error
}

func newScan(f *File, k, queries int) *scan {
	s := &scan{f: f, k: k, workers: make([]scanner, parallel.Workers())}
	s.packed = make([]float32, (queries+panel-1)/panel*product.PackedLen(f.D, panel))
	return s
}

// run returns the nearest of each query among the images of some blocks.
func (s *scan) run(ctx context.Context, queries []float32, blocks []int) ([][]Match, error) {
	d := s.f.D
	s.queries, s.failed = len(queries)/d, atomic.Pointer[failure]{}
	wide := product.PackedLen(d, panel)
	full := make([]float32, panel*d) // the same width for few and for many
	for i := 0; i < s.queries; i += panel {
		clear(full)
		copy(full, queries[i*d:min(len(queries), (i+panel)*d)])
		product.PackB(s.packed[i/panel*wide:][:wide], product.Mat{Data: full, Rows: panel, Cols: d}.T())
	}
	for w := range s.workers {
		s.workers[w].best = make([]nearest, s.queries)
	}
	for s.blocks = blocks; len(s.blocks) > 0; s.blocks = s.blocks[min(stripe, len(s.blocks)):] {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		parallel.For(min(stripe, len(s.blocks)), s.block)
		if failed := s.failed.Load(); failed != nil {
			return nil, failed.err
		}
	}
	out := make([][]Match, s.queries)
	for q := range out {
		all := nearest{}
		for w := range s.workers {
			for _, m := range s.workers[w].best[q] {
				all.offer(m, s.k)
			}
		}
		for i := range all {
			all[i].Cosine = max(-1, min(1, all[i].Cosine))
		}
		out[q] = all
	}
	return out, nil
}

// block shows every query the images of a block.
func (s *scan) block(worker, piece int) {
	w := &s.workers[worker]
	d := s.f.D
	if w.cosines == nil {
		w.cosines = make([]float32, blockRows*panel)
		if s.f.r != nil {
			w.features = make([]float32, blockRows*d)
		}
	}
	x, err := s.f.read(s.blocks[piece], w.features)
	if err != nil {
		s.fail(piece, err)
		return
	}
	b := s.f.blocks[s.blocks[piece]]
	wide := product.PackedLen(d, panel)
	for first := 0; first < s.queries; first += panel {
		product.BlockNN(b.rows, panel, d, w.cosines, panel, x, d, s.packed[first/panel*wide:], false)
		for q := first; q < min(first+panel, s.queries); q++ {
			if s.wants != nil && !s.wants[q][b.group] {
				continue
			}
			best := &w.best[q]
			worst := best.worst(s.k)
			for r := range b.rows {
				c := w.cosines[r*panel+q-first]
				if c < worst {
					continue
				}
				best.offer(Match{s.f.item(b.row + r), c}, s.k)
				worst = best.worst(s.k)
			}
		}
	}
}

// fail keeps the error of the earliest block.
func (s *scan) fail(at int, err error) {
	for {
		old := s.failed.Load()
		if old != nil && old.at <= at || s.failed.CompareAndSwap(old, &failure{at, err}) {
			return
		}
	}
}

// nearest are the best matches so far, in order.
type nearest []Match

// before is the order of matches: no two are equal.
func before(a, b Match) int {
	return cmp.Or(cmp.Compare(b.Cosine, a.Cosine), cmp.Compare(a.Item, b.Item))
}

// worst returns the cosine below which nothing is among the k best.
func (n nearest) worst(k int) float32 {
	if len(n) < k {
		return float32(math.Inf(-1))
	}
	return n[k-1].Cosine
}

// offer keeps a match if it is among the k best.
func (n *nearest) offer(m Match, k int) {
	at, _ := slices.BinarySearchFunc(*n, m, before)
	if at == k {
		return
	}
	if len(*n) == k {
		*n = (*n)[:k-1]
	}
	*n = slices.Insert(*n, at, m)
}

// ranking orders centroids by how near they are.
type ranking struct {
	c      []float32
	d      int
	scores []Match
	order  []int
}

func newRanking(centroids []float32, d int) *ranking {
	return &ranking{c: centroids, d: d, scores: make([]Match, len(centroids)/d), order: make([]int, len(centroids)/d)}
}

// of returns the centroids in order, the nearest to q first, until it is called again.
func (r *ranking) of(q []float32) []int {
	for i := range r.scores {
		var sum float32
		for j, v := range r.c[i*r.d : (i+1)*r.d] {
			sum += v * q[j]
		}
		r.scores[i] = Match{i, sum}
	}
	slices.SortFunc(r.scores, before)
	for i, m := range r.scores {
		r.order[i] = m.Item
	}
	return r.order
}

// unit scales the rows of x, each of d values, to length 1; a row of zeros stays.
func unit(x []float32, d int) {
	for i := 0; i < len(x); i += d {
		row := x[i : i+d]
		var sum float64
		for _, v := range row {
			sum += float64(v) * float64(v)
		}
		if sum == 0 {
			continue
		}
		inverse := 1 / math.Sqrt(sum)
		for j, v := range row {
			row[j] = float32(float64(v) * inverse)
		}
	}
}
