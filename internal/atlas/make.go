package atlas

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"slices"

	"vicreg/internal/cluster"
	"vicreg/internal/rng"
)

// Fewest is how many images a map needs.
const Fewest = 4

const (
	neighbours = 10 // of each point
	attracting = 90 // of each point, in t-SNE: three times the perplexity
	examples   = 12 // of each cluster
	outlying   = 24 // that are named
)

// Options say how [Make] goes about it.
type Options struct {
	Clusters int // 0: a quarter of the square root of the number of points, from 2 to 40
	// Progress is told what is under way, and how far; may be nil.
	Progress func(what string, done, total int)
}

// Make fills in what features tell of the points of a map, whose names and classes are there:
// places, neighbours, clusters, duplicates and outliers. Features of the encoder, points × d,
// and of the same one untrained, as many or none, are scaled to length 1 meanwhile. The same
// features give the same map for any number of workers.
func (m *Map) Make(ctx context.Context, x, untrained []float32, d int, g *Gallery, o Options) error {
	n := len(m.Points)
	if len(x) != n*d || g.done != n || untrained != nil && len(untrained) != len(x) || n < Fewest {
		panic(fmt.Sprintf("atlas: %d points, %d values of %d, %d untrained, %d pictures", n, len(x), d, len(untrained), g.done))
	}
	tell := func(what string) func(done, total int) {
		return func(done, total int) {
			if o.Progress != nil {
				o.Progress(what, done, total)
			}
		}
	}
	m.Sheets = g.layout
	now, err := nearest(ctx, x, d, attracting, tell("finding neighbours"))
	if err != nil {
		return err
	}
	k := min(neighbours, now.k)
	if untrained != nil {
		before, err := nearest(ctx, untrained, d, k, tell("finding neighbours with the untrained encoder"))
		if err != nil {
			return err
		}
		for i := range m.Points {
			m.Points[i].Before = ints(before.of(i))
		}
	}
	for i := range m.Points {
		p := &m.Points[i]
		p.Neighbours = ints(now.of(i)[:k])
		sum := 0.0
		for _, c := range now.cosine[i*now.k:][:k] {
			sum += float64(c)
		}
		p.Outlier = float32(max(0, 1-sum/float64(k)))
	}
	m.outliers()
	m.Duplicates = duplicates(now, g)
	if err := m.group(x, d, o.Clusters); err != nil {
		return err
	}
	at, share := principal(x, d)
	if share == [2]float64{} {
		m.Note = append(m.Note, "the encoder gives all images the same features: the map shows nothing but rounding")
	}
	m.Variance = [2]float32{float32(share[0]), float32(share[1])}
	t := newTSNE(now, at)
	if err := t.run(ctx, tell("drawing the map")); err != nil {
		return err
	}
	pca, tsne := fit(at), fit(t.y)
	for i := range m.Points {
		m.Points[i].PCA, m.Points[i].TSNE = pca[i], tsne[i]
	}
	return nil
}

func ints(x []int32) []int {
	out := make([]int, len(x))
	for i, v := range x {
		out[i] = int(v)
	}
	return out
}

// outliers lists the points that lie farthest from others.
func (m *Map) outliers() {
	order := make([]int, len(m.Points))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(m.Points[b].Outlier, m.Points[a].Outlier) })
	m.Outliers = order[:min(outlying, len(order))]
}

// fit scales places, n × 2, so that none is more than 1 from the middle of those at the rim.
func fit(y []float64) [][2]float32 {
	lo, hi := [2]float64{y[0], y[1]}, [2]float64{y[0], y[1]}
	for i, v := range y {
		lo[i%2], hi[i%2] = min(lo[i%2], v), max(hi[i%2], v)
	}
	half := max(hi[0]-lo[0], hi[1]-lo[1]) / 2
	if half == 0 {
		half = 1
	}
	out := make([][2]float32, len(y)/2)
	for i, v := range y {
		out[i/2][i%2] = float32((v - (lo[i%2]+hi[i%2])/2) / half)
	}
	return out
}

// group gives every point a cluster, of the best of a few starts of spherical k-means. The
// largest cluster comes first.
func (m *Map) group(x []float32, d, k int) error {
	n := len(m.Points)
	if k == 0 {
		k = max(2, min(40, int(math.Round(math.Sqrt(float64(n))/4))))
	}
	k = min(k, n)
	const starts, iterations = 4, 20
	var means cluster.KMeans
	best := math.Inf(-1)
	var centres []float32
	var labels []int32
	for start := range starts {
		c, l := make([]float32, k*d), make([]int32, n)
		cosine, err := means.Run(rng.New(0, rng.Map, 3, uint64(start)), x, n, d, c, l, iterations)
		if err != nil {
			return err
		}
		if cosine > best {
			best, centres, labels = cosine, c, l
		}
	}
	type member struct {
		point  int
		cosine float64
	}
	members := make([][]member, k)
	for i, l := range labels {
		dot := 0.0
		for j, v := range x[i*d : (i+1)*d] {
			dot += float64(v) * float64(centres[int(l)*d+j])
		}
		members[l] = append(members[l], member{i, dot})
	}
	members = slices.DeleteFunc(members, func(all []member) bool { return len(all) == 0 })
	slices.SortStableFunc(members, func(a, b []member) int { return cmp.Compare(len(b), len(a)) })
	m.Clusters = make([]Cluster, len(members))
	for c, all := range members {
		sum := 0.0
		for _, p := range all {
			m.Points[p.point].Cluster = c
			sum += p.cosine
		}
		slices.SortStableFunc(all, func(a, b member) int { return cmp.Compare(b.cosine, a.cosine) })
		m.Clusters[c] = Cluster{Size: len(all), Cosine: float32(sum / float64(len(all)))}
		for _, p := range all[:min(examples, len(all))] {
			m.Clusters[c].Examples = append(m.Clusters[c].Examples, p.point)
		}
	}
	return nil
}

// Sheets returns the files of thumbnails, which [Map.Write] takes.
func (g *Gallery) Sheets() [][]byte { return g.sheets }
