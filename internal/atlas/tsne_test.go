package atlas

import (
	"context"
	"math"
	"slices"
	"testing"

	"gonum.org/v1/gonum/mat"
	"gonum.org/v1/gonum/stat"

	"vicreg/internal/parallel"
	"vicreg/internal/rng"
)

func quiet(int, int) {}

// groups are n points of d features around some directions.
func groups(n, d, of int, spread float64) []float32 {
	r := rng.New(9, uint64(n))
	centres := make([]float64, of*d)
	for i := range centres {
		centres[i] = r.NormFloat64()
	}
	x := make([]float32, n*d)
	for i := range x {
		x[i] = float32(centres[i/d%of*d+i%d] + spread*r.NormFloat64())
	}
	return x
}

// near of many points, without a test's context.
func nearestOf(t *testing.T, x []float32, d, k int) *near {
	t.Helper()
	m, err := nearest(t.Context(), x, d, k, quiet)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func TestNearest(t *testing.T) {
	const n, d, k = 300, 7, 9
	x := groups(n, d, 4, 1)
	copy(x[5*d:6*d], x[3*d:4*d]) // duplicates do not hide an image from itself
	copy(x[200*d:201*d], x[3*d:4*d])
	m := nearestOf(t, x, d, k)
	for i := range n {
		type other struct {
			at     int32
			cosine float64
		}
		var all []other
		for j := range n {
			dot := 0.0
			for c := range d {
				dot += float64(x[i*d+c]) * float64(x[j*d+c])
			}
			if i != j {
				all = append(all, other{int32(j), dot})
			}
		}
		slices.SortStableFunc(all, func(a, b other) int {
			if math.Abs(a.cosine-b.cosine) < 1e-6 {
				return int(a.at - b.at)
			}
			if a.cosine > b.cosine {
				return -1
			}
			return 1
		})
		for a, j := range m.of(i) {
			if j != all[a].at || math.Abs(float64(m.cosine[i*k+a])-all[a].cosine) > 1e-5 {
				t.Fatalf("point %d: neighbour %d is %d at %v, want %v", i, a, j, m.cosine[i*k+a], all[a])
			}
		}
	}
	if m := nearestOf(t, groups(4, d, 2, 1), d, k); m.k != 3 || slices.Contains(m.of(2), 2) {
		t.Errorf("of 4 points %v", m)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := nearest(ctx, x, d, k, quiet); err == nil {
		t.Error("it goes on after the end")
	}
}

func TestPrincipal(t *testing.T) {
	for _, s := range []struct{ n, d int }{{50, 3}, {40, 60}, {300, 20}, {7, 2}} {
		x := groups(s.n, s.d, 5, 0.5)
		at, share := principal(x, s.d)
		dense := mat.NewDense(s.n, s.d, nil)
		for i := range x {
			dense.Set(i/s.d, i%s.d, float64(x[i]))
		}
		var pc stat.PC
		if !pc.PrincipalComponents(dense, nil) {
			t.Fatal("no principal components")
		}
		var turn mat.Dense
		pc.VectorsTo(&turn)
		vars := pc.VarsTo(nil)
		total := 0.0
		for _, v := range vars {
			total += v
		}
		var want mat.Dense
		want.Mul(dense, turn.Slice(0, s.d, 0, 2))
		for c := range 2 {
			if math.Abs(share[c]-vars[c]/total) > 1e-4 {
				t.Errorf("%+v: share %d is %v, want %v", s, c, share[c], vars[c]/total)
			}
			mean, dot := 0.0, 0.0
			for i := range s.n {
				mean += want.At(i, c) / float64(s.n)
			}
			for i := range s.n {
				dot += at[2*i+c] * (want.At(i, c) - mean)
			}
			for i := range s.n {
				w := math.Copysign(1, dot) * (want.At(i, c) - mean)
				if math.Abs(at[2*i+c]-w) > 5e-3*math.Sqrt(vars[c]) {
					t.Fatalf("%+v: point %d is at %v along %d, want %v", s, i, at[2*i+c], c, w)
				}
			}
		}
	}
	same := make([]float32, 30)
	for i := range same {
		same[i] = 0.5
	}
	if at, share := principal(same, 3); share != [2]float64{} || slices.Max(at) != 0 {
		t.Errorf("equal points at %v with %v", at, share)
	}
	at, share := principal([]float32{1, -1, 1, 1}, 1)
	if math.Abs(share[0]-1) > 1e-6 || math.Abs(math.Abs(at[2])-1.5) > 1e-6 {
		t.Errorf("a single feature: %v with %v", at, share)
	}
}

// divergence is what t-SNE makes small: Σ p log(p/q).
func (t *tsne) divergence() float64 {
	z, sum := 0.0, 0.0
	q := func(i, j int) float64 {
		dx, dy := t.y[2*i]-t.y[2*j], t.y[2*i+1]-t.y[2*j+1]
		return 1 / (1 + dx*dx + dy*dy)
	}
	for i := range t.n {
		for j := range t.n {
			if i != j {
				z += q(i, j)
			}
		}
	}
	for i := range t.n {
		for e := t.start[i]; e < t.start[i+1]; e++ {
			if t.p[e] > 0 {
				sum += t.p[e] * math.Log(t.p[e]*z/q(i, int(t.to[e])))
			}
		}
	}
	return sum
}

// The forces are a quarter of the gradient of the divergence, by its differences; with cells
// that count as one point they are near it.
func TestForces(t *testing.T) {
	const n, d = 60, 5
	x := groups(n, d, 3, 0.6)
	m := nearestOf(t, x, d, n-1)
	at, _ := principal(x, d)
	s := newTSNE(m, at)
	r := rng.New(4)
	for i := range s.y {
		s.y[i] = 4 * r.NormFloat64()
	}
	s.y[2*7], s.y[2*7+1] = s.y[2*6], s.y[2*6+1] // at one place
	sum := 0.0
	for _, p := range s.p {
		sum += p
	}
	if math.Abs(sum-1) > 1e-9 {
		t.Errorf("p adds up to %v", sum)
	}
	s.theta = 0
	z := s.forces()
	exact := make([]float64, 2*n)
	for i := range exact {
		exact[i] = s.pull[i] - s.push[i]/z
		const h = 1e-5
		was := s.y[i]
		s.y[i] = was + h
		up := s.divergence()
		s.y[i] = was - h
		down := s.divergence()
		s.y[i] = was
		if want := (up - down) / (2 * h) / 4; math.Abs(exact[i]-want) > 1e-7+1e-5*math.Abs(want) {
			t.Fatalf("force %d is %v, want %v", i, exact[i], want)
		}
	}
	s.theta = theta
	z = s.forces()
	off, all := 0.0, 0.0
	for i, want := range exact {
		got := s.pull[i] - s.push[i]/z
		off += (got - want) * (got - want)
		all += want * want
	}
	if share := math.Sqrt(off / all); share > 0.03 || share == 0 {
		t.Errorf("cells are off by %v of the forces", share)
	}
}

// The shares of a point's neighbours have the entropy of the perplexity.
func TestShares(t *testing.T) {
	cosine := []float32{0.999, 0.99, 0.95, 0.9, 0.9, 0.8, 0.7, 0.2, 0.1}
	for _, scale := range []float32{1, 1e-4} {
		far := make([]float32, len(cosine))
		for i, c := range cosine {
			far[i] = 1 - scale*(1-c)
		}
		out := make([]float64, len(cosine))
		shares(out, far, math.Log(3))
		h, sum := 0.0, 0.0
		for i, p := range out {
			h -= p * math.Log(p)
			sum += p
			if i > 0 && p > out[i-1] {
				t.Errorf("a farther neighbour has more: %v", out)
			}
		}
		if math.Abs(h-math.Log(3)) > 1e-4 || math.Abs(sum-1) > 1e-9 {
			t.Errorf("entropy %v of %v", h, out)
		}
	}
	same := make([]float64, 4)
	shares(same, []float32{1, 1, 1, 1}, math.Log(2))
	if !slices.Equal(same, []float64{0.25, 0.25, 0.25, 0.25}) {
		t.Errorf("equal neighbours have %v", same)
	}
}

// kept is the share of the k nearest neighbours in the plane that are neighbours.
func kept(m *near, y []float64, k int) float64 {
	n := len(y) / 2
	hits := 0
	for i := range n {
		order := make([]int, n)
		for j := range order {
			order[j] = j
		}
		far := func(j int) float64 { return math.Hypot(y[2*i]-y[2*j], y[2*i+1]-y[2*j+1]) }
		slices.SortFunc(order, func(a, b int) int {
			if far(a) < far(b) {
				return -1
			}
			return 1
		})
		for _, j := range order[1 : k+1] {
			if slices.Contains(m.of(i)[:k], int32(j)) {
				hits++
			}
		}
	}
	return float64(hits) / float64(n*k)
}

// Points that are near stay near, better than in the best plane, groups do not mix, and the
// number of workers does not matter.
func TestTSNE(t *testing.T) {
	defer parallel.SetWorkers(0)
	const n, d, of, k = 400, 30, 8, 10
	x := groups(n, d, of, 0.3)
	m := nearestOf(t, x, d, 90)
	at, _ := principal(x, d)
	var first []float64
	for workers := 1; workers <= 3; workers++ {
		parallel.SetWorkers(workers)
		s := newTSNE(m, at)
		before := s.divergence()
		for range 20 { // which tell
			s.step(exaggerate, 0.5)
		}
		if workers > 1 {
			if !slices.Equal(first, s.y) {
				t.Errorf("%d workers give other bits than 1", workers)
			}
			continue
		}
		first = slices.Clone(s.y)
		if err := s.run(t.Context(), quiet); err != nil {
			t.Fatal(err)
		}
		if now := s.divergence(); now > 0.7*before || now > 1.2 {
			t.Errorf("the divergence fell from %v to %v", before, now)
		}
		plane, map_ := kept(m, at, k), kept(m, s.y, k)
		if map_ < 0.35 || map_ < 1.4*plane {
			t.Errorf("%.2f of the neighbours are kept, in the plane %.2f", map_, plane)
		}
		mixed := 0
		for i := range n {
			best, near := math.Inf(1), 0
			for j := range n {
				if far := math.Hypot(s.y[2*i]-s.y[2*j], s.y[2*i+1]-s.y[2*j+1]); j != i && far < best {
					best, near = far, j
				}
			}
			if near%of != i%of {
				mixed++
			}
		}
		if mixed > n/50 {
			t.Errorf("%d of %d points lie beside one of another group", mixed, n)
		}
	}
	// Of points that are all alike, and of few, something finite comes out.
	for _, n := range []int{2, 3, 40} {
		x := make([]float32, 2*n)
		for i := range x {
			x[i] = 1
		}
		s := newTSNE(nearestOf(t, x, 2, 30), make([]float64, 2*n))
		if err := s.run(t.Context(), quiet); err != nil {
			t.Fatal(err)
		}
		for _, v := range s.y {
			if v-v != 0 {
				t.Fatalf("%d equal points at %v", n, s.y)
			}
		}
	}
}

func BenchmarkTSNE(b *testing.B) {
	const n, d = 20000, 64
	x := groups(n, d, 40, 0.7)
	m, err := nearest(b.Context(), x, d, 90, quiet)
	if err != nil {
		b.Fatal(err)
	}
	at, _ := principal(x, d)
	for b.Loop() {
		if err := newTSNE(m, at).run(b.Context(), quiet); err != nil {
			b.Fatal(err)
		}
	}
}
