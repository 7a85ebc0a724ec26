package atlas

import (
	"context"
	"math"
	"slices"

	"vicreg/internal/parallel"
	"vicreg/internal/rng"
)

// What is usual for t-SNE (van der Maaten and Hinton, 2008; van der Maaten, 2014), as openTSNE
// has it: 250 rounds with attraction 12 times as strong, then 500.
const (
	perplexity = 30
	early      = 250
	late       = 500
	exaggerate = 12
	theta      = 0.5 // side of a cell by its distance, from which on the cell counts as one point
)

// tsne moves points in the plane until those that are near each other are the neighbours.
type tsne struct {
	n       int
	start   []int32   // n + 1: where the neighbours of a point start
	to      []int32   // neighbours of all points
	p       []float64 // how strongly each attracts: symmetric, 1 in all
	y       []float64 // n × 2
	pull    []float64 // n × 2
	push    []float64 // n × 2, before the division by z
	z       []float64 // of each piece
	update  []float64
	gain    []float64
	tree    tree
	theta   float64
	attract func(worker, piece int)
	repel   func(worker, piece int)
}

// piece is how many points a worker moves at a time.
const piece = 128

// newTSNE starts from places, n × 2, scaled to a standard deviation of 10⁻⁴ along the first
// axis (Kobak and Berens, 2019), and with a little chance that keeps equal places apart.
func newTSNE(m *near, places []float64) *tsne {
	n := len(m.index) / m.k
	t := &tsne{n: n, theta: theta, y: make([]float64, 2*n), pull: make([]float64, 2*n), push: make([]float64, 2*n),
		update: make([]float64, 2*n), gain: make([]float64, 2*n), z: make([]float64, (n+piece-1)/piece)}
	t.attract, t.repel = t.attractPiece, t.repelPiece
	square := 0.0
	for i := range n {
		square += places[2*i] * places[2*i] / float64(n)
	}
	scale := 0.0
	if square > 0 {
		scale = 1e-4 / math.Sqrt(square)
	}
	r := rng.New(0, rng.Map, 2)
	for i := range t.y {
		t.y[i] = scale*places[i] + 1e-6*r.NormFloat64()
		t.gain[i] = 1
	}
	t.weigh(m)
	return t
}

// weigh fills in how strongly points attract each other. Of a point, its neighbours at the
// squared distance s = 2 − 2·cosine have the shares exp(−β·s), with β such that the entropy of
// shares is the logarithm of the perplexity.
func (t *tsne) weigh(m *near) {
	n, k := t.n, m.k
	share := make([]float64, n*k)
	parallel.For((n+piece-1)/piece, func(_, at int) {
		for i := at * piece; i < min(n, (at+1)*piece); i++ {
			shares(share[i*k:(i+1)*k], m.cosine[i*k:(i+1)*k], math.Log(min(perplexity, max(1, float64(k)/3))))
		}
	})
	// p[i,j] = (share of j at i + share of i at j) / 2n
	type edge struct {
		from, to int32
		p        float64
	}
	edges := make([]edge, 0, 2*n*k)
	for i := range n {
		for a, j := range m.of(i) {
			p := share[i*k+a] / float64(2*n)
			edges = append(edges, edge{int32(i), j, p}, edge{j, int32(i), p})
		}
	}
	slices.SortFunc(edges, func(a, b edge) int {
		if a.from != b.from {
			return int(a.from) - int(b.from)
		}
		if a.to != b.to {
			return int(a.to) - int(b.to)
		}
		switch { // both sums of a pair are in one order
		case a.p < b.p:
			return -1
		case a.p > b.p:
			return 1
		}
		return 0
	})
	t.start = make([]int32, n+1)
	for i, e := range edges {
		if i > 0 && edges[i-1].from == e.from && edges[i-1].to == e.to {
			t.p[len(t.p)-1] += e.p
			continue
		}
		t.to, t.p = append(t.to, e.to), append(t.p, e.p)
		t.start[e.from+1]++
	}
	for i := range n {
		t.start[i+1] += t.start[i]
	}
}

// shares fills out with those of the neighbours of a point.
func shares(out []float64, cosine []float32, entropy float64) {
	beta, lo, hi := 1.0, 0.0, math.Inf(1)
	nearest := 2 - 2*float64(cosine[0])
	for range 100 {
		sum, mean := 0.0, 0.0
		for a, c := range cosine {
			s := 2 - 2*float64(c) - nearest
			out[a] = math.Exp(-beta * s)
			sum += out[a]
			mean += s * out[a]
		}
		for a := range out {
			out[a] /= sum
		}
		h := math.Log(sum) + beta*mean/sum
		if math.Abs(h-entropy) < 1e-5 {
			return
		}
		if h > entropy {
			lo = beta
			if beta = (beta + hi) / 2; math.IsInf(hi, 1) {
				beta = 2 * lo
			}
		} else {
			hi = beta
			beta = (beta + lo) / 2
		}
		if beta > 1e12 {
			return // the neighbours are equally far
		}
	}
}

// run moves the points all the way.
func (t *tsne) run(ctx context.Context, progress func(done, total int)) error {
	for i := range early + late {
		if err := ctx.Err(); err != nil {
			return err
		}
		progress(i, early+late)
		if i < early {
			t.step(exaggerate, 0.5)
		} else {
			t.step(1, 0.8)
		}
	}
	progress(early+late, early+late)
	return nil
}

// step moves every point once. The rate is n over the exaggeration (Belkina et al., 2019), at
// least 200; gains are Jacobs's delta-bar-delta as in van der Maaten's program.
func (t *tsne) step(exaggeration, momentum float64) {
	z := t.forces()
	rate := max(200, float64(t.n)/exaggerate)
	var mean [2]float64
	for i := range t.y {
		g := exaggeration*t.pull[i] - t.push[i]/z
		if (g > 0) != (t.update[i] > 0) {
			t.gain[i] += 0.2
		} else {
			t.gain[i] = max(0.01, 0.8*t.gain[i])
		}
		t.update[i] = momentum*t.update[i] - rate*t.gain[i]*g
	}
	for i := 0; i < len(t.y); i += 2 {
		// No point moves more than 5 at once.
		if long := math.Hypot(t.update[i], t.update[i+1]); long > 5 {
			t.update[i] *= 5 / long
			t.update[i+1] *= 5 / long
		}
		t.y[i] += t.update[i]
		t.y[i+1] += t.update[i+1]
		mean[0] += t.y[i] / float64(t.n)
		mean[1] += t.y[i+1] / float64(t.n)
	}
	for i := range t.y {
		t.y[i] -= mean[i%2]
	}
}

// forces fills pull and push and returns z. The gradient of the divergence is
// 4 (pull − push/z) (van der Maaten, 2014, equation 5):
//
//	pull[i] = Σj p[i,j] q[i,j] (y[i] − y[j])    q[i,j] = 1 / (1 + |y[i] − y[j]|²)
//	push[i] = Σj q[i,j]² (y[i] − y[j])          z = Σi,j q[i,j]
func (t *tsne) forces() (z float64) {
	t.tree.build(t.y)
	pieces := (t.n + piece - 1) / piece
	parallel.For(pieces, t.attract)
	parallel.For(pieces, t.repel)
	for _, v := range t.z {
		z += v
	}
	return z
}

func (t *tsne) attractPiece(_, at int) {
	for i := at * piece; i < min(t.n, (at+1)*piece); i++ {
		x, y := t.y[2*i], t.y[2*i+1]
		var px, py float64
		for e := t.start[i]; e < t.start[i+1]; e++ {
			j := t.to[e]
			dx, dy := x-t.y[2*j], y-t.y[2*j+1]
			f := t.p[e] / (1 + dx*dx + dy*dy)
			px += f * dx
			py += f * dy
		}
		t.pull[2*i], t.pull[2*i+1] = px, py
	}
}

// repelPiece goes through points in the order of the tree, so that one looks at the cells that
// the one before looked at.
func (t *tsne) repelPiece(_, at int) {
	var z float64
	for _, o := range t.tree.order[at*piece : min(t.n, (at+1)*piece)] {
		i := int(uint32(o))
		px, py, q := t.tree.push(t.y[2*i], t.y[2*i+1], uint32(o>>32), t.theta*t.theta)
		t.push[2*i], t.push[2*i+1] = px, py
		z += q
	}
	t.z[at] = z
}
