package eval

import (
	"math"
	"slices"
	"strings"
	"testing"

	"vicreg/internal/parallel"
	"vicreg/internal/rng"
)

// noisy returns n embeddings of two sides: the same vectors with noise of their
// own on each side.
func noisy(n, d int, noise float64, seed uint64) Pairs {
	r := rng.New(seed, rng.Eval)
	p := Pairs{A: make([]float32, n*d), B: make([]float32, n*d), D: d}
	for i := range p.A {
		v := r.NormFloat64()
		p.A[i] = float32(v + noise*r.NormFloat64())
		p.B[i] = float32(v+noise*r.NormFloat64()) * 3 // cosine does not see lengths
	}
	return p
}

// share gives rows items, every row of an item the embedding of its first.
func share(x []float32, d, n, items int, seed uint64) []int {
	r := rng.New(seed, rng.Sample)
	of, first := make([]int, n), map[int]int{}
	for i := range of {
		of[i] = 1000 + 7*r.IntN(items)
		if f, ok := first[of[i]]; ok {
			copy(x[i*d:(i+1)*d], x[f*d:(f+1)*d])
		} else {
			first[of[i]] = i
		}
	}
	return of
}

// naive is Recall from the definition: sort all items for each query.
func naive(q, g []float32, d int, itemQ, itemG []int) Recall {
	n := len(q) / d
	number := func(items []int) []int {
		if items != nil {
			return items
		}
		out := make([]int, n)
		for i := range out {
			out[i] = i
		}
		return out
	}
	itemQ, itemG = number(itemQ), number(itemG)
	firsts := func(items []int) []int { // rows
		var out []int
		seen := map[int]bool{}
		for i, item := range items {
			if !seen[item] {
				out = append(out, i)
			}
			seen[item] = true
		}
		return out
	}
	queries, gallery := firsts(itemQ), firsts(itemG)
	cos := func(i, j int) float64 {
		var ab, aa, bb float64
		for k := range d {
			a, b := float64(q[i*d+k]), float64(g[j*d+k])
			ab, aa, bb = ab+a*b, aa+a*a, bb+b*b
		}
		if aa == 0 || bb == 0 {
			return 0
		}
		return ab / math.Sqrt(aa*bb)
	}
	var out Recall
	var ranks []int
	for _, i := range queries {
		partner := map[int]bool{}
		for r := range n {
			if itemQ[r] == itemQ[i] {
				partner[itemG[r]] = true
			}
		}
		best, others := math.Inf(-1), []float64{}
		for _, j := range gallery {
			if partner[itemG[j]] {
				best = max(best, cos(i, j))
			} else {
				others = append(others, cos(i, j))
			}
		}
		rank := 1
		for _, c := range others {
			if c > best-tie {
				rank++
			}
		}
		ranks = append(ranks, rank)
		out.Gallery = len(others) + len(partner)
		for k, at := range RecallAt {
			if rank <= at {
				out.At[k]++
			}
			// Every place of the first partner is as likely as its remaining places say.
			p := 0.0
			for place := 1; place <= min(at, out.Gallery); place++ {
				p += binomial(out.Gallery-place, len(partner)-1) / binomial(out.Gallery, len(partner))
			}
			out.Chance[k] += p
		}
	}
	out.Queries = len(ranks)
	for k := range out.At {
		out.At[k] /= float64(len(ranks))
		out.Chance[k] /= float64(len(ranks))
	}
	slices.Sort(ranks)
	out.Median = float64(ranks[(len(ranks)-1)/2]+ranks[len(ranks)/2]) / 2
	return out
}

func binomial(n, k int) float64 {
	if k > n {
		return 0
	}
	v := 1.0
	for i := range k {
		v *= float64(n-i) / float64(i+1)
	}
	return v
}

func same(a, b Recall) bool {
	for k := range a.Chance {
		if math.Abs(a.Chance[k]-b.Chance[k]) > 1e-9 {
			return false
		}
	}
	return a.At == b.At && a.Median == b.Median && a.Queries == b.Queries && a.Gallery == b.Gallery
}

func TestRetrievalMatchesNaive(t *testing.T) {
	for _, c := range []struct {
		n, d           int
		noise          float64
		itemsA, itemsB int
	}{
		{2, 3, 0.1, 0, 0},
		{50, 8, 1, 0, 0},
		{300, 16, 1.2, 0, 0}, // more than one block of queries
		{300, 16, 0.8, 60, 0},
		{300, 16, 0.8, 0, 70},
		{300, 5, 0.3, 100, 90},
		{60, 1, 0.5, 0, 0}, // cosines of ±1: nothing but ties
	} {
		p := noisy(c.n, c.d, c.noise, uint64(c.n+c.d))
		if c.itemsA > 0 {
			p.ItemA = share(p.A, c.d, c.n, c.itemsA, 1)
		}
		if c.itemsB > 0 {
			p.ItemB = share(p.B, c.d, c.n, c.itemsB, 2)
		}
		ab, ba, err := Retrieval(t.Context(), p)
		if err != nil {
			t.Fatal(err)
		}
		if want := naive(p.A, p.B, p.D, p.ItemA, p.ItemB); !same(ab, want) {
			t.Errorf("%+v, a to b:\ngot  %+v\nwant %+v", c, ab, want)
		}
		if want := naive(p.B, p.A, p.D, p.ItemB, p.ItemA); !same(ba, want) {
			t.Errorf("%+v, b to a:\ngot  %+v\nwant %+v", c, ba, want)
		}
	}
}

// A gallery wider than a block, and the same for any number of workers.
func TestRetrievalWide(t *testing.T) {
	p := noisy(2500, 6, 0.7, 3)
	want := naive(p.A, p.B, p.D, nil, nil)
	defer parallel.SetWorkers(0)
	for workers := 1; workers <= 3; workers++ {
		parallel.SetWorkers(workers)
		ab, _, err := Retrieval(t.Context(), p)
		if err != nil || !same(ab, want) {
			t.Errorf("%d workers: %+v, want %+v (%v)", workers, ab, want, err)
		}
	}
}

func TestRetrievalKnown(t *testing.T) {
	// Partners that are exact are found, and cannot be told from collapse by luck.
	exact := noisy(40, 8, 0, 1)
	ab, ba, err := Retrieval(t.Context(), exact)
	if err != nil || ab.At != [3]float64{1, 1, 1} || ba.At != ab.At || ab.Median != 1 ||
		math.Abs(ab.Chance[1]-5./40) > 1e-12 {
		t.Errorf("%+v %+v %v", ab, ba, err)
	}
	for _, v := range []float32{0, 1} {
		flat := Pairs{A: make([]float32, 40*8), B: make([]float32, 40*8), D: 8}
		for i := range flat.A {
			flat.A[i], flat.B[i] = v, v
		}
		if ab, _, err := Retrieval(t.Context(), flat); err != nil || ab.At != [3]float64{} || ab.Median != 40 {
			t.Errorf("collapsed to %v: %+v %v", v, ab, err)
		}
	}
	// Four captions of one image and one of another: any of the four counts.
	p := Pairs{D: 2, ItemA: []int{5, 5, 5, 5, 9},
		A: []float32{1, 0, 1, 0, 1, 0, 1, 0, 0, 1},
		B: []float32{0, 1, 0.1, 1, 1, 0.1, 0.2, 1, 0.9, 1}}
	ab, ba, err = Retrieval(t.Context(), p)
	if err != nil || ab.Queries != 2 || ab.Gallery != 5 || ba.Queries != 5 || ba.Gallery != 2 {
		t.Fatalf("%+v %+v %v", ab, ba, err)
	}
	// The first image's third caption is nearest to it; three captions of it are
	// nearer to the other image than that one's own.
	if ab.At != [3]float64{0.5, 1, 1} || ba.At != [3]float64{2. / 5, 1, 1} || math.Abs(ab.Chance[0]-0.5) > 1e-12 ||
		ba.Chance[0] != 0.5 {
		t.Errorf("%+v %+v", ab, ba)
	}

	bad := noisy(4, 2, 0, 1)
	bad.B[5] = float32(math.NaN())
	if _, _, err := Retrieval(t.Context(), bad); err == nil || !strings.Contains(err.Error(), "row 2 on the second side is not finite") {
		t.Error(err)
	}
	if _, _, err := Retrieval(t.Context(), Pairs{A: []float32{1}, B: []float32{1}, D: 1}); err == nil ||
		!strings.Contains(err.Error(), "at least 2") {
		t.Error(err)
	}
}
