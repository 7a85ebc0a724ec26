package batch

import (
	"vicreg/internal/dataset"
	"vicreg/internal/rng"
)

// order returns the order of the items in an epoch. Items that are reached alone are
// permuted as a whole. Where they are read in runs, the runs are permuted, then cut into
// windows of at most Room bytes (or one run), and the items of each window are permuted:
// so each run is read about once in an epoch, by any number of goroutines, and every item
// may be beside every other.
func (r *Rows) order(seed, epoch uint64) []int {
	n := r.Items
	if len(r.Runs) == 0 {
		return rng.Perm(n, seed, rng.Shuffle, epoch)
	}
	chance := rng.New(seed, rng.Shuffle, epoch)
	items := make([]int, 0, n)
	from, bytes := 0, int64(0) // of the window
	shuffle := func() {
		window := items[from:]
		chance.Shuffle(len(window), func(i, j int) { window[i], window[j] = window[j], window[i] })
		from, bytes = len(items), 0
	}
	for _, k := range chance.Perm(len(r.Runs)) {
		run := &r.Runs[k]
		if bytes > 0 && bytes+run.Bytes > r.Room {
			shuffle()
		}
		bytes += run.Bytes
		for i := range run.Items {
			items = append(items, run.First+i)
		}
	}
	shuffle()
	return items
}

// choose is Chosen where items are read in runs: it takes whole runs, spread evenly, that
// have at least so many items together.
func choose(runs []dataset.Run, decode, n int) func(item int) bool {
	if decode == 0 {
		decode = 50_000
	}
	if decode < 0 || decode >= n || len(runs) == 0 {
		return Chosen(decode, n)
	}
	take := make([]bool, n)
	some := Chosen(max(1, (decode*len(runs)+n-1)/n), len(runs))
	for k, run := range runs {
		for i := range run.Items {
			take[run.First+i] = some(k)
		}
	}
	return func(i int) bool { return take[i] }
}
