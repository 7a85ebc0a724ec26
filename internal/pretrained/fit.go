package pretrained

import (
	"fmt"

	"vicreg/internal/eval"
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
	if d := model.DeviceOf(m.Encoder); !d.Shared() {
		return m.fitsDevice(d, n, model.LentBy(m.Meta.Encoder, m.Meta.Expander, nil, n))
	}
	need := host.PeakRSS()*(1<<20) + m.batchBytes(n)
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

// batchBytes is how much memory of the host a batch of n items takes.
func (m *Model) batchBytes(n int) float64 {
	read := waiting * float64(n) * float64(tensor.Count(m.Meta.Encoder.Input.Shape))
	if !model.DeviceOf(m.Encoder).Shared() {
		return 4 * read
	}
	lent := model.LentBy(m.Meta.Encoder, m.Meta.Expander, nil, n)
	return 4 * (lent.Target + lent.Aside + read)
}

// keeps says whether the features of what is fitted on are to be kept in a file, as memory
// has no room for them, and then a sentence on it. Scoring that would not fit even so is an
// error, unless it ends a run, whose memory was seen to before.
func (e *Embedder) keeps(train, test Input, o eval.Options) (file bool, note string, err error) {
	known := map[int]bool{}
	for _, l := range train.Labels {
		known[l] = l >= 0
	}
	d := e.Encoder.Dim()
	need := eval.Need(train.Items, test.Items, d, len(known), o)
	now, limit := host.PeakRSS()*(1<<20), host.MemoryLimit()
	if e.model != nil {
		now += e.model.batchBytes(max(1, min(e.Batch, max(train.Items, test.Items))))
	}
	if now+need.Held <= limit.Bytes {
		return false, "", nil
	}
	if now+need.Stored > limit.Bytes && e.model != nil {
		return false, "", fmt.Errorf("scoring %d by %d, %d features each, takes about %s of memory even with the "+
			"features of the latter in a file, but %s; score fewer (--limit), or use a machine with more",
			test.Items, train.Items, d, host.Bytes(now+need.Stored), limit)
	}
	return true, fmt.Sprintf("the features of %d images to fit on (%s) are in a temporary file in %s: to hold all "+
		"takes about %s of memory, but %s", train.Items, host.Bytes(4*float64(train.Items)*float64(d)),
		eval.StoreFolder(), host.Bytes(now+need.Held), limit), nil
}
