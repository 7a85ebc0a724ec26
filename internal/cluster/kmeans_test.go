package cluster

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"vicreg/internal/parallel"
	"vicreg/internal/rng"
)

// bank returns n unit rows around groups directions, and the group of each.
func bank(n, d, groups int, spread float64) ([]float32, []int) {
	r := rng.New(uint64(n), uint64(d))
	centres := make([]float64, groups*d)
	for i := range centres {
		centres[i] = r.NormFloat64()
	}
	rows, of := make([]float32, n*d), make([]int, n)
	for i := range n {
		of[i] = i % groups
		row := make([]float64, d)
		sum := 0.0
		for j := range row {
			row[j] = centres[of[i]*d+j] + spread*r.NormFloat64()
			sum += row[j] * row[j]
		}
		for j := range row {
			rows[i*d+j] = float32(row[j] / math.Sqrt(sum))
		}
	}
	return rows, of
}

// reference is the same in float64, as cluster_memory goes about it.
func reference(bank []float32, n, d int, centroids []float64, iterations int) []int32 {
	k := len(centroids) / d
	labels := make([]int32, n)
	for it := 0; ; it++ {
		for i := range n {
			best := math.Inf(-1)
			for j := range k {
				dot := 0.0
				for c := range d {
					dot += float64(bank[i*d+c]) * centroids[j*d+c]
				}
				if dot > best {
					best, labels[i] = dot, int32(j)
				}
			}
		}
		if it == iterations {
			return labels
		}
		for j := range k {
			sum, count := make([]float64, d), 0
			for i, l := range labels {
				if int(l) == j {
					count++
					for c := range d {
						sum[c] += float64(bank[i*d+c])
					}
				}
			}
			if count > 0 {
				for c := range d {
					centroids[j*d+c] = sum[c] / float64(count)
				}
			}
			norm := 0.0
			for c := range d {
				norm += centroids[j*d+c] * centroids[j*d+c]
			}
			for c := range d {
				centroids[j*d+c] /= math.Sqrt(norm)
			}
		}
	}
}

func TestAgainstReference(t *testing.T) {
	for _, s := range []struct{ n, d, k, groups, iterations int }{
		{60, 5, 4, 4, 10}, {200, 16, 30, 12, 3}, {97, 33, 9, 5, 0}, {40, 8, 40, 10, 2}, {3000, 7, 2, 2, 4},
		{20, 3, 1, 2, 5},
	} {
		what := fmt.Sprintf("%+v", s)
		rows, _ := bank(s.n, s.d, s.groups, 0.5)
		centroids, labels := make([]float32, s.k*s.d), make([]int32, s.n)
		var m KMeans
		// Without iterations, the centroids are where the others start.
		if _, err := m.Run(rng.New(1), rows, s.n, s.d, centroids, labels, 0); err != nil {
			t.Fatal(err)
		}
		seen := map[string]bool{}
		start := make([]float64, len(centroids))
		for j := range s.k {
			row := centroids[j*s.d:][:s.d]
			at := -1
			for i := range s.n {
				if slices.Equal(row, rows[i*s.d:][:s.d]) {
					at = i
				}
			}
			if at < 0 || seen[fmt.Sprint(row)] {
				t.Fatalf("%s: centroid %d starts as row %d, or twice", what, j, at)
			}
			seen[fmt.Sprint(row)] = true
			for c, v := range row {
				start[j*s.d+c] = float64(v)
			}
		}
		cosine, err := m.Run(rng.New(1), rows, s.n, s.d, centroids, labels, s.iterations)
		if err != nil {
			t.Fatal(err)
		}
		want := reference(rows, s.n, s.d, start, s.iterations)
		if !slices.Equal(labels, want) {
			t.Errorf("%s: labels %v, want %v", what, labels, want)
		}
		mean := 0.0
		for i, l := range labels {
			for c := range s.d {
				if math.Abs(float64(centroids[int(l)*s.d+c])-start[int(l)*s.d+c]) > 1e-6 {
					t.Fatalf("%s: centroid %d is off", what, l)
				}
				mean += float64(rows[i*s.d+c]) * start[int(l)*s.d+c] / float64(s.n)
			}
		}
		if math.Abs(cosine-mean) > 1e-6 {
			t.Errorf("%s: cosine %v, want %v", what, cosine, mean)
		}
	}
}

// Groups that lie well apart are found where each has a centroid to start from.
func TestFindsGroups(t *testing.T) {
	const n, d, groups = 400, 24, 4
	rows, of := bank(n, d, groups, 0.1)
	best := 0.0
	for seed := range uint64(20) {
		centroids, labels := make([]float32, groups*d), make([]int32, n)
		cosine, err := new(KMeans).Run(rng.New(seed), rows, n, d, centroids, labels, 10)
		if err != nil {
			t.Fatal(err)
		}
		if cosine <= best {
			continue
		}
		best = cosine
		name := map[int]int32{}
		pure := true
		for i, g := range of {
			if l, known := name[g]; known && l != labels[i] {
				pure = false
			}
			name[g] = labels[i]
		}
		if cosine > 0.99 && !pure {
			t.Error("tight clusters that mix groups")
		}
	}
	if best < 0.99 {
		t.Errorf("best mean cosine %v of 20 starts", best)
	}
}

// A centroid without rows stays where it is.
func TestEmptyClusters(t *testing.T) {
	const n, d, k = 10, 3, 4
	rows := make([]float32, n*d)
	for i := range n {
		rows[i*d] = 1 // all alike: all go to the first centroid
	}
	centroids, labels := make([]float32, k*d), make([]int32, n)
	if _, err := new(KMeans).Run(rng.New(3), rows, n, d, centroids, labels, 10); err != nil {
		t.Fatal(err)
	}
	for i, l := range labels {
		if l != 0 {
			t.Errorf("row %d went to centroid %d", i, l)
		}
	}
	for j := range k {
		if !slices.Equal(centroids[j*d:][:d], []float32{1, 0, 0}) {
			t.Errorf("centroid %d is %v", j, centroids[j*d:][:d])
		}
	}
}

func TestSameBitsForAnyWorkers(t *testing.T) {
	defer parallel.SetWorkers(0)
	const n, d, k = 900, 40, 70
	rows, _ := bank(n, d, 50, 1)
	var want []float32
	var wantLabels []int32
	for workers := 1; workers <= 3; workers++ {
		parallel.SetWorkers(workers)
		centroids, labels := make([]float32, k*d), make([]int32, n)
		if _, err := new(KMeans).Run(rng.New(5), rows, n, d, centroids, labels, 6); err != nil {
			t.Fatal(err)
		}
		if workers == 1 {
			want, wantLabels = centroids, labels
		} else if !slices.Equal(centroids, want) || !slices.Equal(labels, wantLabels) {
			t.Errorf("%d workers give other bits than 1", workers)
		}
	}
}

func TestNoAllocation(t *testing.T) {
	parallel.SetWorkers(1)
	defer parallel.SetWorkers(0)
	rows, _ := bank(300, 20, 9, 1)
	centroids, labels := make([]float32, 30*20), make([]int32, 300)
	r := rng.New(1)
	var m KMeans
	if got := testing.AllocsPerRun(3, func() { m.Run(r, rows, 300, 20, centroids, labels, 4) }); got > 0 {
		t.Errorf("%v allocations per call", got)
	}
}

func TestRefusals(t *testing.T) {
	rows, _ := bank(5, 3, 2, 1)
	_, err := new(KMeans).Run(rng.New(1), rows, 5, 3, make([]float32, 6*3), make([]int32, 5), 1)
	if err == nil || !strings.Contains(err.Error(), "take at most 5") {
		t.Errorf("6 centroids of 5 rows: %v", err)
	}
	if Check(0, 5) == nil || Check(5, 5) != nil {
		t.Error("Check is wrong")
	}
	defer func() {
		if r := recover(); r == nil || !strings.HasPrefix(r.(string), "cluster: ") {
			t.Errorf("recovered %v", r)
		}
	}()
	new(KMeans).Run(rng.New(1), rows, 4, 3, make([]float32, 3), make([]int32, 5), 1)
}

func BenchmarkKMeans(b *testing.B) {
	const n, d, k = 20000, 128, 1000
	rows, _ := bank(n, d, 500, 1)
	centroids, labels := make([]float32, k*d), make([]int32, n)
	var m KMeans
	for b.Loop() {
		m.Run(rng.New(1), rows, n, d, centroids, labels, 10)
	}
}
