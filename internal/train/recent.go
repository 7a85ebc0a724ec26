package train

import "vicreg/internal/tensor"

// recent keeps the embeddings of the last rows images of an epoch, on which the
// figures that tell collapse are taken.
type recent struct {
	rows, d int
	data    []float32 // rows × d, a ring
}

// recentRows is how many embeddings are kept. An effective rank cannot exceed
// it, nor the width of an embedding.
const recentRows = 1024

// newRecent keeps at most recentRows embeddings of an epoch of images.
func newRecent(images, d int) recent {
	rows := min(recentRows, images)
	return recent{rows, d, make([]float32, rows*d)}
}

// add takes in the embeddings z (n × d) of a step, the step-th of its epoch
// from 0.
func (r *recent) add(step int, z *tensor.Tensor) {
	n := z.Shape[0]
	for i := range n {
		row := (step*n + i) % r.rows
		copy(r.data[row*r.d:(row+1)*r.d], z.Data[i*r.d:(i+1)*r.d])
	}
}
