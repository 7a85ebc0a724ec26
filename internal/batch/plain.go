package batch

import (
	"slices"
)

// PlainConfig says what batches to make for evaluation: each item once, in
// order, without chance.
type PlainConfig struct {
	Items     []int // nil: all
	Size      int
	Batch     int // images; the last batch may have fewer
	Mean, Std []float64
	Workers   int // goroutines; 0: one for each processor
	Ahead     int
	Memory    Memory // that views are made in; nil: Go's
	Resize    bool   // images of size × size as well
}

// Plain starts making batches for evaluation from the items listed (nil: all),
// each once and in order; the last batch may have fewer. An item that cannot be
// made ends it with an error.
func (r Rows) Plain(items []int) *Loader {
	l := newLoader(r)
	if items == nil {
		items = make([]int, r.Items)
		for i := range items {
			items[i] = i
		}
	}
	l.place = func(w *Worker, b *slot, row int) error {
		item := b.wanted[row]
		b.Items[row] = item
		return l.fill(w, b, row, item, item)
	}
	l.start(min(r.Batch, max(1, len(items))), func(yield func(epoch, step int, items []int) bool) {
		step := 0
		for part := range slices.Chunk(items, r.Batch) {
			if !yield(0, step, part) {
				return
			}
			step++
		}
	})
	return l
}

// Plain starts making batches of images for evaluation: those of size × size
// as they are unless Resize, others with the shorter side resized to size·256/224 and
// the middle cut out, as is usual for 224 pixels. There is one view.
func (s *Source) Plain(c PlainConfig) *Loader {
	norm := s.norm(c.Mean, c.Std)
	r := s.rows(c.Batch, c.Workers, c.Ahead)
	r.Memory = c.Memory
	r.Shapes = [][]int{{c.Size, c.Size, s.channels}}
	r.Make = func(w *Worker, row *Row) error {
		m, held, err := s.image(row.Item, &w.packed)
		if err != nil {
			return err
		}
		defer held.Release()
		if c.Resize {
			w.scratch.Middle(row.Views[0], m, c.Size, norm)
		} else {
			w.scratch.Plain(row.Views[0], m, c.Size, norm)
		}
		return nil
	}
	return r.Plain(c.Items)
}
