package batch

import (
	"fmt"
	"slices"

	"vicreg/internal/augment"
	"vicreg/internal/imagefile"
	"vicreg/internal/rng"
)

// Config says what batches to make for training.
type Config struct {
	Views     []augment.View
	Size      int // pixels, width and height of a view
	Batch     int // images
	Mean, Std []float64
	Seed      uint64
	Epochs    int // where to end
	Epoch     int // where to start,
	Step      int // within that epoch
	Workers   int // goroutines; 0: one for each processor
	Ahead     int // batches to have ready; 0: 2, or 1 if they are large
}

// Steps returns the number of batches of an epoch over n images; images left
// over are dropped.
func Steps(n, batch int) int { return n / batch }

// Train starts making batches for training: each epoch is a new permutation of
// the images, without those left over after the last full batch.
func (s *Source) Train(c Config) (*Loader, error) {
	n := len(s.data.Items)
	if c.Batch < 1 || len(c.Views) == 0 {
		panic(fmt.Sprintf("batch: %d images of %d views", c.Batch, len(c.Views)))
	}
	if c.Batch > n {
		return nil, fmt.Errorf("a batch of %d images is larger than the data set (%s: %d images); take a smaller batch or more images", c.Batch, s.data.Name, n)
	}
	l := s.loader(c.Size, c.Mean, c.Std)
	l.make = func(w *worker, b *slot, row int) error {
		due := b.wanted[row]
		m, item, err := l.image(due)
		if err != nil {
			return err
		}
		b.Items[row] = item
		for v := range c.Views {
			// Keyed by the item that was due: two rows never hold the same view.
			rng.Seed(w.pcg, c.Seed, rng.Augment, uint64(b.Epoch), uint64(due), uint64(v))
			w.scratch.View(b.row(v, row), w.rand, m, &c.Views[v], c.Size, l.norm)
		}
		return nil
	}
	steps := Steps(n, c.Batch)
	l.start(c.Batch, len(c.Views), c.Workers, c.Ahead, func(yield func(epoch, step int, items []int) bool) {
		step := c.Step
		for epoch := c.Epoch; epoch < c.Epochs; epoch++ {
			items := rng.Perm(n, c.Seed, rng.Shuffle, uint64(epoch))
			for ; step < steps; step++ {
				if !yield(epoch, step, items[step*c.Batch:(step+1)*c.Batch]) {
					return
				}
			}
			step = 0
		}
	})
	return l, nil
}

// image returns item's pixels, or those of the next item that is not bad.
func (l *Loader) image(item int) (imagefile.Image, int, error) {
	n := len(l.source.data.Items)
	for k := range n {
		i := (item + k) % n
		if l.isBad(i) {
			continue
		}
		m, err := l.source.Image(i)
		if err == nil {
			return m, i, nil
		}
		l.mu.Lock()
		l.bad[i] = err
		many := tooMany(len(l.bad), n)
		l.mu.Unlock()
		if many {
			break
		}
	}
	return imagefile.Image{}, item, &TooManyBad{Bad: l.Bad(), Total: n}
}

func (l *Loader) isBad(i int) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.bad[i] != nil
}

// Bad returns the images that turned bad after the Scan, in the order of the
// data set. Each is replaced by the next good one.
func (l *Loader) Bad() []Bad {
	l.mu.Lock()
	defer l.mu.Unlock()
	var items []int
	for i := range l.bad {
		items = append(items, i)
	}
	slices.Sort(items)
	list := make([]Bad, len(items))
	for k, i := range items {
		list[k] = Bad{Name: l.source.data.Items[i].Name, Err: l.bad[i]}
	}
	return list
}
