package pairs

import (
	"fmt"

	"vicreg/internal/augment"
	"vicreg/internal/batch"
	"vicreg/internal/rng"
)

// Config says what batches to make for training.
type Config struct {
	batch.Order
	Images  []augment.View // of each side, for those that are images
	Batch   int            // rows
	Workers int            // goroutines; 0: one for each processor
	Ahead   int            // batches to have ready; 0: 2, or 1 if they are large
	Memory  batch.Memory   // that views are made in; nil: Go's
}

// Train starts making batches for training, of one augmented view of each side.
func (s *Source) Train(c Config) (*batch.Loader, error) {
	if len(c.Images) != len(s.sides) {
		panic(fmt.Sprintf("pairs: %d views for %d sides", len(c.Images), len(s.sides)))
	}
	r := s.rows(c.Batch, c.Workers, c.Ahead)
	r.Memory = c.Memory
	makers := make([]*maker, len(s.sides))
	for k := range s.sides {
		makers[k] = newMaker(s.sides[k])
		r.Shapes = append(r.Shapes, s.sides[k].Shape())
	}
	r.Make = func(w *batch.Worker, row *batch.Row) error {
		for k, m := range makers {
			sample, err := s.Sample(row.Item, k)
			if err != nil {
				return err
			}
			// Keyed by the item that was due: two rows never hold the same view.
			w.Seed(c.Seed, rng.Augment, uint64(row.Epoch), uint64(row.Due), uint64(k))
			m.view(row.Views[k], w.Rand, &sample, &c.Images[k], memoryOf(w))
		}
		return nil
	}
	return r.Train(c.Order)
}

// PlainConfig says what batches to make for evaluation: each item once, in
// order, without chance.
type PlainConfig struct {
	Side    int
	Items   []int // nil: all
	Batch   int   // rows; the last batch may have fewer
	Workers int
	Ahead   int
	Memory  batch.Memory // that views are made in; nil: Go's
}

// Plain starts making batches for evaluation, of one view: the given side's. A
// row that cannot be read ends it with an error.
func (s *Source) Plain(c PlainConfig) *batch.Loader {
	m := newMaker(s.sides[c.Side])
	r := s.rows(c.Batch, c.Workers, c.Ahead)
	r.Memory = c.Memory
	r.Shapes = [][]int{s.sides[c.Side].Shape()}
	r.Make = func(w *batch.Worker, row *batch.Row) error {
		sample, err := s.Sample(row.Item, c.Side)
		if err != nil {
			return err
		}
		m.plain(row.Views[0], &sample, memoryOf(w))
		return nil
	}
	return r.Plain(c.Items)
}

// rows are the source's rows, without shapes and what makes them.
func (s *Source) rows(n, workers, ahead int) batch.Rows {
	return batch.Rows{Data: s.data.Name, Kind: "rows", Most: s.data.most, Items: len(s.data.Rows), Name: s.data.RowName,
		Batch: n, Workers: workers, Ahead: ahead}
}

// memoryOf returns the working memory of a goroutine.
func memoryOf(w *batch.Worker) *memory {
	m, ok := w.Memory.(*memory)
	if !ok {
		m = new(memory)
		w.Memory = m
	}
	return m
}
