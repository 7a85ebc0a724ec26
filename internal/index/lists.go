package index

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"

	"vicreg/internal/cluster"
	"vicreg/internal/kernel/product"
	"vicreg/internal/parallel"
)

// How groups are made. Centroids come of a sample of the images. The number of groups
// to read is the smallest that finds more than the promised 95% of the ten nearest of
// images that were held back, since it must do so for others, too.
const (
	sampled    = 64   // images of the sample for each centroid
	iterations = 10   // of k-means
	heldBack   = 256  // images at most
	neighbours = 10   // of each
	aim        = 0.97 // share of them to be found
)

// checkLists says what is wrong with so many groups of n images.
func checkLists(lists, n int) error {
	if lists > n/4 {
		return fmt.Errorf("%d lists are too many for %d images: take at most a quarter of them, or none", lists, n)
	}
	return nil
}

// group makes the groups of all images that were added, and writes the features of one
// after the other.
func (w *Writer) group(ctx context.Context, phase func(string)) error {
	f, x, d := &w.f, w.held, w.f.D
	n := len(x) / d
	if err := checkLists(f.Lists, n); err != nil { // of those that could be read
		return err
	}
	held := spread(n, min(heldBack, max(1, n/10)))
	phase("grouping the images")
	rest := slices.DeleteFunc(spread(n, n), func(i int) bool {
		_, is := slices.BinarySearch(held, i)
		return is
	})
	sample := spread(len(rest), min(len(rest), max(sampled*f.Lists, 1<<12)))
	bank := make([]float32, 0, len(sample)*d)
	for _, i := range sample {
		bank = append(bank, x[rest[i]*d:][:d]...)
	}
	f.centroids = make([]float32, f.Lists*d)
	r := rand.New(rand.NewPCG(1, 0))
	labels := make([]int32, len(sample))
	if _, err := new(cluster.KMeans).Run(r, bank, len(sample), d, f.centroids, labels, iterations); err != nil {
		return err
	}
	list, err := assign(ctx, x, f.centroids, d)
	if err != nil {
		return err
	}
	f.lengths = make([]int, f.Lists)
	for _, l := range list {
		f.lengths[l]++
	}
	at := make([]int, f.Lists)
	for l := 1; l < f.Lists; l++ {
		at[l] = at[l-1] + f.lengths[l-1]
	}
	f.order = make([]uint32, n)
	for i, l := range list {
		f.order[at[l]] = uint32(i)
		at[l]++
	}
	phase("measuring the recall")
	if err := w.measure(ctx, held, list); err != nil {
		return err
	}
	f.cut()
	for _, b := range f.blocks {
		for _, i := range f.order[b.row : b.row+b.rows] {
			w.part = append(w.part, x[int(i)*d:][:d]...)
		}
		if err := w.block(); err != nil {
			return err
		}
	}
	return nil
}

// spread returns k of n numbers, spread evenly.
func spread(n, k int) []int {
	out := make([]int, k)
	for i := range out {
		out[i] = int(int64(i) * int64(n) / int64(k))
	}
	return out
}

// assign returns the nearest centroid of every row, the first of equals.
func assign(ctx context.Context, x, centroids []float32, d int) ([]int32, error) {
	n, k := len(x)/d, len(centroids)/d
	list := make([]int32, n)
	high := max(32, (1<<22)/k)
	scores := make([]float32, min(n, high)*k)
	c := product.Mat{Data: centroids, Rows: k, Cols: d}
	for lo := 0; lo < n; lo += high {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		rows := min(high, n-lo)
		product.Gemm(product.Mat{Data: scores, Rows: rows, Cols: k},
			product.Mat{Data: x[lo*d:], Rows: rows, Cols: d}, c.T(), false)
		parallel.For((rows+31)/32, func(_, piece int) {
			for i := piece * 32; i < min((piece+1)*32, rows); i++ {
				s := scores[i*k:][:k]
				best := 0
				for j, v := range s {
					if v > s[best] {
						best = j
					}
				}
				list[lo+i] = int32(best)
			}
		})
	}
	return list, nil
}

// measure chooses how many groups a search reads: with so many, at least the aimed-at
// share of the nearest of the held images would be found.
func (w *Writer) measure(ctx context.Context, held []int, list []int32) error {
	f, x, d := &w.f, w.held, w.f.D
	queries := make([]float32, 0, len(held)*d)
	for _, i := range held {
		queries = append(queries, x[i*d:][:d]...)
	}
	whole := &File{D: d, Items: make([]Item, len(x)/d), rows: x, lengths: []int{len(x) / d}}
	whole.cut()
	exact, err := whole.Search(ctx, queries, Options{K: neighbours + 1})
	if err != nil {
		return err
	}
	needs := make([]int, f.Lists+1) // how many of the nearest are found with so many groups, but not with fewer
	total := 0
	near, place := newRanking(f.centroids, d), make([]int, f.Lists)
	for q, i := range held {
		for at, l := range near.of(queries[q*d:][:d]) {
			place[l] = at + 1
		}
		others := slices.DeleteFunc(exact[q], func(m Match) bool { return m.Item == i })
		for _, m := range others[:min(neighbours, len(others))] {
			needs[place[list[m.Item]]]++
			total++
		}
	}
	found := 0
	for f.Probe = 1; f.Probe <= f.Lists; f.Probe++ {
		if found += needs[f.Probe]; float64(found) >= aim*float64(total) {
			break
		}
	}
	f.Probe = min(f.Probe, f.Lists)
	f.Recall = float64(found) / float64(total)
	return nil
}
