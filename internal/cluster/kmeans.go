// Package cluster groups embeddings. [KMeans] is the spherical k-means with which
// DeepCluster v2 makes its prototypes and the labels of its images.
package cluster

import (
	"fmt"
	"math"
	"math/rand/v2"

	"vicreg/internal/kernel/product"
	"vicreg/internal/parallel"
	"vicreg/internal/tensor"
)

// KMeans is the memory of spherical k-means; the zero value is ready, and it serves
// one call at a time. See [KMeans.Run].
type KMeans struct {
	n, d, k   int
	bank      []float32 // n × d
	centroids []float32 // k × d
	labels    []int32   // n

	scores  []float32 // of a block of rows with all centroids
	lo      int       // first row of the block
	rows    int       // in a piece
	cosine  []float32 // n: of a row and its centroid
	start   []int     // k + 1: where the members of a centroid start
	members []int32   // n: rows by centroid, in order
	order   []int32   // n: a permutation
	sums    []float64 // d of every worker

	assign, move func(worker, piece int)
}

// Check says what is wrong with k centroids for n rows.
func Check(k, n int) error {
	switch {
	case k < 1:
		return fmt.Errorf("k-means of %d centroids; it needs at least 1", k)
	case k > n:
		return fmt.Errorf("k-means of %d centroids for %d embeddings: each starts from an embedding of its own; take at most %d", k, n, n)
	}
	return nil
}

// Run groups the unit rows of a bank, n × d, around unit centroids, k × d, which start
// as different rows drawn from r. It fills centroids and labels (n) and returns the mean
// cosine of a row and its centroid. An iteration assigns every row to the centroid of
// the largest product, the first of equals, and then turns every centroid into the
// direction of the sum of its rows; a centroid without rows stays. After the last
// iteration rows are assigned once more.
//
// It does what facebookresearch/swav main_deepclusterv2.py, cluster_memory, does (10
// iterations there). Same bits for any number of workers; it allocates only while it
// grows.
func (m *KMeans) Run(r *rand.Rand, bank []float32, n, d int, centroids []float32, labels []int32,
	iterations int) (cosine float64, err error) {
	if n < 1 || d < 1 || len(bank) != n*d || len(labels) != n || len(centroids) == 0 || len(centroids)%d != 0 ||
		iterations < 0 {
		panic(fmt.Sprintf("cluster: a bank of %d × %d with %d values, %d labels, %d values of centroids, %d iterations",
			n, d, len(bank), len(labels), len(centroids), iterations))
	}
	k := len(centroids) / d
	if err := Check(k, n); err != nil {
		return 0, err
	}
	m.reset(bank, n, d, centroids, labels, k)
	m.draw(r)
	for i := 0; ; i++ {
		m.assignAll()
		if i == iterations {
			break
		}
		m.sort()
		parallel.For(k, m.move)
	}
	for _, c := range m.cosine {
		cosine += float64(c)
	}
	m.bank, m.centroids, m.labels = nil, nil, nil
	return cosine / float64(n), nil
}

func (m *KMeans) reset(bank []float32, n, d int, centroids []float32, labels []int32, k int) {
	if m.assign == nil {
		m.assign, m.move = m.assignPiece, m.moveCentroid
	}
	m.n, m.d, m.k, m.bank, m.centroids, m.labels = n, d, k, bank, centroids, labels
	m.cosine = tensor.Grow(m.cosine, n)
	m.members, m.order = grow(m.members, n), grow(m.order, n)
	m.start = grow(m.start, k+1)
	m.sums = grow(m.sums, parallel.Workers()*d)
}

func grow[T any](buf []T, n int) []T {
	if cap(buf) >= n {
		return buf[:n]
	}
	return make([]T, n)
}

// draw starts the centroids as the first k of a permutation of the rows.
func (m *KMeans) draw(r *rand.Rand) {
	for i := range m.order {
		m.order[i] = int32(i)
	}
	for i := range m.k {
		j := i + r.IntN(m.n-i)
		m.order[i], m.order[j] = m.order[j], m.order[i]
		copy(m.centroids[i*m.d:][:m.d], m.bank[int(m.order[i])*m.d:])
	}
}

// blockFloats is how many products are held at a time.
const blockFloats = 1 << 21

// assignAll gives every row its label and cosine.
func (m *KMeans) assignAll() {
	block := min(m.n, max(32, blockFloats/m.k))
	m.scores = tensor.Grow(m.scores, block*m.k)
	m.rows = max(1, 1<<14/m.k)
	c := product.Mat{Data: m.centroids, Rows: m.k, Cols: m.d}
	for m.lo = 0; m.lo < m.n; m.lo += block {
		rows := min(block, m.n-m.lo)
		x := product.Mat{Data: m.bank[m.lo*m.d:], Rows: rows, Cols: m.d}
		m.scores = m.scores[:rows*m.k]
		product.Gemm(product.Mat{Data: m.scores, Rows: rows, Cols: m.k}, x, c.T(), false)
		parallel.For((rows+m.rows-1)/m.rows, m.assign)
	}
}

func (m *KMeans) assignPiece(_, piece int) {
	for i := piece * m.rows; i < min((piece+1)*m.rows, len(m.scores)/m.k); i++ {
		s := m.scores[i*m.k:][:m.k]
		best, at := s[0], 0
		for j, v := range s {
			if v > best {
				best, at = v, j
			}
		}
		m.labels[m.lo+i], m.cosine[m.lo+i] = int32(at), best
	}
}

// sort lists the rows of every centroid, in order.
func (m *KMeans) sort() {
	clear(m.start)
	for _, l := range m.labels {
		m.start[l+1]++
	}
	for j := range m.k {
		m.start[j+1] += m.start[j]
	}
	for i, l := range m.labels {
		m.members[m.start[l]] = int32(i)
		m.start[l]++
	}
	copy(m.start[1:], m.start[:m.k]) // each has moved on to where the next began
	m.start[0] = 0
}

// moveCentroid turns a centroid in the direction of the sum of its rows. It stays if it
// has no rows, or if they cancel out.
func (m *KMeans) moveCentroid(worker, j int) {
	members := m.members[m.start[j]:m.start[j+1]]
	if len(members) == 0 {
		return
	}
	sum := m.sums[worker*m.d:][:m.d]
	clear(sum)
	for _, i := range members {
		for c, v := range m.bank[int(i)*m.d:][:m.d] {
			sum[c] += float64(v)
		}
	}
	var square float64
	for _, v := range sum {
		square += v * v
	}
	if square == 0 {
		return
	}
	inverse := 1 / math.Sqrt(square)
	for c, v := range sum {
		m.centroids[j*m.d+c] = float32(v * inverse)
	}
}
