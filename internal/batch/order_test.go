package batch

import (
	"slices"
	"testing"

	"vicreg/internal/dataset"
	"vicreg/internal/rng"
)

func TestOrderOfRuns(t *testing.T) {
	var runs []dataset.Run
	n := 0
	for k := range 40 {
		items := 5 + k%7
		runs = append(runs, dataset.Run{First: n, Items: items, Bytes: int64(10 * items)})
		n += items
	}
	r := Rows{Items: n, Runs: runs, Room: 400}
	first := r.order(1, 0)
	all := slices.Sorted(slices.Values(first))
	for i, item := range all {
		if item != i {
			t.Fatalf("an epoch has %v", all)
		}
	}
	if !slices.Equal(first, r.order(1, 0)) || slices.Equal(first, r.order(1, 1)) || slices.Equal(first, r.order(2, 0)) {
		t.Error("the order does not depend on seed and epoch alone")
	}
	if plain := (&Rows{Items: n}); !slices.Equal(plain.order(1, 3), rng.Perm(n, 1, rng.Shuffle, 3)) {
		t.Error("without runs, it is another permutation")
	}

	// Runs are taken once each, no more at a time than there is room for, and are mixed.
	runOf := make([]int, n)
	for k, run := range runs {
		for i := range run.Items {
			runOf[run.First+i] = k
		}
	}
	last, seen, mixed := map[int]int{}, map[int]int{}, 0
	for at, item := range first {
		last[runOf[item]] = at
	}
	open := map[int]bool{}
	most := int64(0)
	for at, item := range first {
		k := runOf[item]
		if at > 0 && runOf[first[at-1]] != k {
			mixed++
		}
		open[k] = true
		seen[k]++
		bytes := int64(0)
		for k := range open {
			bytes += runs[k].Bytes
		}
		most = max(most, bytes)
		if last[k] == at {
			delete(open, k)
		}
	}
	if most > r.Room || mixed < n/2 {
		t.Errorf("%d bytes in use at a time, at most %d; %d changes of run in %d items", most, r.Room, mixed, n)
	}
	for k, run := range runs {
		if seen[k] != run.Items {
			t.Errorf("run %d: %d items of %d", k, seen[k], run.Items)
		}
	}

	chosen := choose(runs, 60, n)
	count := 0
	for k, run := range runs {
		for i := range run.Items {
			if chosen(run.First+i) != chosen(run.First) {
				t.Errorf("run %d is chosen in part", k)
			}
			if chosen(run.First + i) {
				count++
			}
		}
	}
	if count < 40 || count > 90 {
		t.Errorf("%d items are chosen, not about 60", count)
	}
}
