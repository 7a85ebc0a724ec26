package train

import (
	"vicreg/internal/device"
	"vicreg/internal/eval"
	"vicreg/internal/kernel/vector"
	"vicreg/internal/method"
	"vicreg/internal/runlog"
)

// recent keeps the embeddings of the last rows images of an epoch. The figures that show
// collapse are computed from them.
type recent struct {
	rows, d int
	data    []float32 // rows × d, a ring; or
	far     device.Array
	dev     device.Device // where far is; nil: the ring is data
}

// recentRows is how many embeddings are kept. An effective rank cannot exceed
// it, nor the width of an embedding.
const recentRows = 1024

// newRecent keeps at most recentRows embeddings of an epoch of images.
func newRecent(images, d int) recent {
	rows := min(recentRows, images)
	return recent{rows: rows, d: d, data: make([]float32, rows*d)}
}

// add takes in the embeddings of a step, the step-th of its epoch from 0. Where they are
// on a device the ring is as well.
func (r *recent) add(step int, z method.Rows) {
	at := step * z.N
	if z.Device.Shared() {
		vector.RingRows(r.data, device.Lower(z.Device, nil, z.Values), r.d, at)
		return
	}
	if r.dev == nil {
		r.dev = z.Device
		r.dev.Up(device.Room(r.dev, &r.far, device.Float32, len(r.data)), r.data)
	}
	from := max(0, z.N-r.rows) // rows before would be overwritten
	for from < z.N {
		to := (at + from) % r.rows
		n := min(z.N-from, r.rows-to)
		r.dev.Copy(r.far.Slice(to*r.d, (to+n)*r.d), z.Values.Slice(from*r.d, (from+n)*r.d))
		from += n
	}
}

// read returns the ring for the host to read.
func (r *recent) read() []float32 {
	if r.dev != nil {
		r.dev.Down(r.data, r.far)
	}
	return r.data
}

// set puts back what was read.
func (r *recent) set(data []float32) {
	copy(r.data, data)
	r.dev = nil
}

// recents keep the embeddings of every branch.
type recents []recent

// add takes in the embeddings of a step, by branch.
func (r recents) add(step int, z []method.Rows) {
	for i := range r {
		r[i].add(step, z[i])
	}
}

// figures fills in the figures of an epoch, which are the first branch's. It returns why
// embeddings count as collapsed, a line for each branch that has.
func (r recents) figures(e *runlog.Epoch, targetStd float64) (collapses []string) {
	for i := range r {
		s := eval.NewSpectrum(r[i].read(), r[i].rows, r[i].d)
		if i == 0 {
			e.EmbeddingStd, e.Correlation, e.Rank = s.Std, s.Correlation, s.Rank
			e.Spectrum = runlog.NewSpectrum(s.Eigenvalues)
		}
		collapsed, why := s.Collapsed(targetStd)
		if !collapsed {
			continue
		}
		e.Collapsed = true
		if len(r) > 1 {
			why = "branch " + branchNames[i] + ": " + why
		}
		collapses = append(collapses, why)
	}
	return collapses
}

// branchNames are what people call the two branches.
var branchNames = [2]string{"a", "b"}
