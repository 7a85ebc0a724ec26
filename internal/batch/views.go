package batch

import "vicreg/internal/rng"

// ViewsConfig says which view of which images to make outside of training.
type ViewsConfig struct {
	Items     []int // each once, in order
	View      View
	Which     int // of the views of an image: others are drawn differently,
	Round     int // and so are those of other rounds
	Seed      uint64
	Batch     int // images; the last batch may have fewer
	Mean, Std []float64
	Workers   int    // goroutines; 0: one for each processor
	Memory    Memory // that views are made in; nil: Go's
}

// Views starts making augmented views of images, one of each. They depend on the seed,
// round, view and image alone, so that two encoders, or one at two times, see the same.
func (s *Source) Views(c ViewsConfig) *Loader {
	norm := s.norm(c.Mean, c.Std)
	r := s.rows(c.Batch, c.Workers, 1)
	r.Memory = c.Memory
	r.Shapes = [][]int{{c.View.Size, c.View.Size, s.channels}}
	r.Make = func(w *Worker, row *Row) error {
		m, held, err := s.image(row.Item, &w.packed)
		if err != nil {
			return err
		}
		defer held.Release()
		w.Seed(c.Seed, rng.Judge, uint64(c.Round), uint64(row.Item), uint64(c.Which))
		w.scratch.View(row.Views[0], w.Rand, m, &c.View.View, c.View.Size, norm)
		return nil
	}
	return r.Plain(c.Items)
}
