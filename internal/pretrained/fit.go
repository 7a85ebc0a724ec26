package pretrained

import (
	"fmt"

	"vicreg/internal/host"
	"vicreg/internal/model"
	"vicreg/internal/tensor"
)

// How many images are embedded at once where nobody says: as many as have cachedPixels
// together, so that activations are used again while they are cached; but at least
// fewBatch, as long as these do not have more than mostPixels.
const (
	mostBatch    = 256
	cachedPixels = 1 << 20
	fewBatch     = 16
	mostPixels   = 1 << 22
)

// Embedder returns the model at work on batches of n items, 0: as many as suit it
// and fit into memory.
func (m *Model) Embedder(n, workers int) *Embedder {
	e := &Embedder{Encoder: m.Encoder, Size: m.Size, Mean: m.Mean, Std: m.Std, Batch: n, Workers: workers,
		engine: m.engine, model: m}
	if n <= 0 {
		one := m.Size * m.Size
		e.Batch = max(1, min(mostBatch, max(cachedPixels/one, min(fewBatch, mostPixels/one))))
		if !model.DeviceOf(m.Encoder).Shared() {
			e.Batch = mostBatch // no cache is that large
		}
		for e.Batch > 1 && m.fitsMemory(e.Batch) != nil {
			e.Batch /= 2
		}
	}
	return e
}

// waiting is how many batches there are: being made, ready, and in use.
const waiting = 3

// fitsMemory returns an error if embedding a batch of n items needs more memory than
// there is.
func (m *Model) fitsMemory(n int) error {
	if int64(n) <= m.engine.most.Load() {
		return nil // it was there before
	}
	input := m.Meta.Encoder.Input
	lent := model.LentBy(m.Meta.Encoder, m.Meta.Expander, nil, n)
	if d := model.DeviceOf(m.Encoder); !d.Shared() {
		return m.fitsDevice(d, n, lent)
	}
	need := host.PeakRSS()*(1<<20) + 4*(lent.Target+lent.Aside+waiting*float64(n)*float64(tensor.Count(input.Shape)))
	limit := host.MemoryLimit()
	if need <= limit.Bytes {
		return nil
	}
	what, help := fmt.Sprintf("%d of its %s, %v values each,", n, input.Kind, input.Shape), "take a smaller batch"
	if n == 1 {
		what, help = fmt.Sprintf("one of its %s, %v values,", input.Kind, input.Shape), "use a machine with more"
	}
	return fmt.Errorf("%s: embedding %s takes about %s of memory, but %s; %s", m.Path, what, host.Bytes(need), limit, help)
}
