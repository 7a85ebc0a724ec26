package atlas

import (
	"context"

	"vicreg/internal/index"
)

// near are the nearest neighbours of some images by cosine.
type near struct {
	k      int
	index  []int32   // n × k, the nearest first
	cosine []float32 // of each
}

// of returns those of one image.
func (m *near) of(i int) []int32 { return m.index[i*m.k : (i+1)*m.k] }

// nearest finds the k nearest of each of n images among the others, exactly; of equal ones
// the earlier comes first. It scales the features x, n × d, to length 1. Progress is told how
// many are done.
func nearest(ctx context.Context, x []float32, d, k int, progress func(done, total int)) (*near, error) {
	n := len(x) / d
	k = min(k, n-1)
	all := index.Of(index.Meta{}, make([]index.Item, n), x, d)
	m := &near{k: k, index: make([]int32, 0, n*k), cosine: make([]float32, 0, n*k)}
	const part = 256 // for which the features are read once
	for lo := 0; lo < n; lo += part {
		progress(lo, n)
		found, err := all.Search(ctx, x[lo*d:min(n, lo+part)*d], index.Options{K: k + 1})
		if err != nil {
			return nil, err
		}
		for q, matches := range found {
			kept := 0
			for _, f := range matches {
				if f.Item != lo+q && kept < k { // duplicates may stand before the image itself
					m.index = append(m.index, int32(f.Item))
					m.cosine = append(m.cosine, f.Cosine)
					kept++
				}
			}
		}
	}
	progress(n, n)
	return m, nil
}
