package batch

import (
	"fmt"
	"slices"

	"vicreg/internal/augment"
	"vicreg/internal/imagefile"
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
}

// Plain starts making batches for evaluation: images of size × size as they
// are, others with the shorter side resized to size·256/224 and the middle cut
// out, as is usual for 224 pixels. There is one view. An image that cannot be
// read ends it with an error.
func (s *Source) Plain(c PlainConfig) *Loader {
	if c.Batch < 1 {
		panic(fmt.Sprintf("batch: %d images", c.Batch))
	}
	items := c.Items
	if items == nil {
		items = make([]int, len(s.data.Items))
		for i := range items {
			items[i] = i
		}
	}
	l := s.loader(c.Size, c.Mean, c.Std)
	l.make = func(w *worker, b *slot, row int) error {
		item := b.wanted[row]
		m, err := s.Image(item)
		if err != nil {
			return err
		}
		b.Items[row] = item
		w.plain(b.row(0, row), m, c.Size, l.norm)
		return nil
	}
	l.start(min(c.Batch, max(1, len(items))), 1, c.Workers, c.Ahead, func(yield func(epoch, step int, items []int) bool) {
		step := 0
		for part := range slices.Chunk(items, c.Batch) {
			if !yield(0, step, part) {
				return
			}
			step++
		}
	})
	return l
}

// longest is how much wider than high, or higher than wide, an image may be
// before its ends are cut off, which the cut-out middle cannot show anyway.
const longest = 8

// plain writes an image as evaluation sees it.
func (w *worker) plain(dst []float32, m imagefile.Image, size int, norm *augment.Norm) {
	if m.W == size && m.H == size {
		norm.ToFloat(dst, m)
		return
	}
	if m.W > longest*m.H || m.H > longest*m.W {
		augment.CenterCrop(&w.middle, m, min(m.W, longest*m.H), min(m.H, longest*m.W))
		m = w.middle
	}
	w.scratch.Center(dst, m, (size*256+112)/224, size, norm)
}
