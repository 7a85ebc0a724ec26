package batch

import (
	"fmt"
	"slices"

	"vicreg/internal/augment"
	"vicreg/internal/rng"
)

// Order is the order of training: each epoch is a new permutation of the items, without
// those left over after the last full batch. See Rows.Runs for items that are not
// reached alone.
type Order struct {
	Seed   uint64
	Epochs int // where to end
	Epoch  int // where to start,
	Step   int // within that epoch

	// Of batches that several processes share, this one's part: the Part-th of so many
	// equal ones of every Piece rows. Parts of 0: the whole. Piece of 0: of all rows.
	Part, Parts, Piece int
}

// share appends those of the items of a batch that are made here.
func (o *Order) share(own, items []int) []int {
	piece := o.Piece
	if piece == 0 {
		piece = len(items)
	}
	for len(items) > 0 {
		n := min(piece, len(items))
		if n%o.Parts != 0 {
			panic(fmt.Sprintf("batch: %d rows for %d processes", n, o.Parts))
		}
		part := n / o.Parts
		own = append(own, items[o.Part*part:(o.Part+1)*part]...)
		items = items[n:]
	}
	return own
}

// Steps returns the number of batches of an epoch over n items; items left
// over are dropped.
func Steps(n, batch int) int { return n / batch }

// Train starts making batches for training. An item that cannot be made is replaced by
// the next good one, until more are bad than is allowed. Views are the same whatever the
// number of processes that share a batch.
func (r Rows) Train(o Order) (*Loader, error) {
	n := r.Items
	if r.Batch > n {
		return nil, fmt.Errorf("a batch of %d %s is larger than the data set (%s: %d %[2]s); take a smaller batch or more %[2]s", r.Batch, r.Kind, r.Data, n)
	}
	l := newLoader(r)
	l.place = func(w *Worker, b *slot, row int) error { return l.placeGood(w, b, row) }
	steps, rows := Steps(n, r.Batch), r.Batch
	if o.Parts > 1 {
		rows /= o.Parts
	}
	l.start(rows, func(yield func(epoch, step int, items []int) bool) {
		step := o.Step
		for epoch := o.Epoch; epoch < o.Epochs; epoch++ {
			items := r.order(o.Seed, uint64(epoch))
			for ; step < steps; step++ {
				batch := items[step*r.Batch : (step+1)*r.Batch]
				if o.Parts > 1 {
					batch = o.share(nil, batch)
				}
				if !yield(epoch, step, batch) {
					return
				}
			}
			step = 0
		}
	})
	return l, nil
}

// placeGood fills a row with the item due, or with the next that is not bad.
func (l *Loader) placeGood(w *Worker, b *slot, row int) error {
	due, n := b.wanted[row], l.rows.Items
	for k := range n {
		item := (due + k) % n
		if l.isBad(item) {
			continue
		}
		err := l.fill(w, b, row, item, due)
		if err == nil {
			b.Items[row] = item
			return nil
		}
		l.mu.Lock()
		l.bad[item] = err
		many := tooMany(len(l.bad), n, l.rows.Most)
		l.mu.Unlock()
		if many {
			break
		}
	}
	return &TooManyBad{Bad: l.Bad(), Total: n, Kind: l.rows.Kind, Most: l.rows.Most}
}

func (l *Loader) isBad(i int) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.bad[i] != nil
}

// Bad returns the items that turned bad after the Scan, in the order of the
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
		list[k] = Bad{Name: l.rows.Name(i), Err: l.bad[i]}
	}
	return list
}

// Config says what batches of images to make for training.
type Config struct {
	Order
	Views     []View
	Batch     int // images
	Mean, Std []float64
	Workers   int
	Ahead     int
	Memory    Memory // that views are made in; nil: Go's
}

// View is one view of an image.
type View struct {
	augment.View
	Size int // pixels, width and height
}

// Train starts making batches of augmented images.
func (s *Source) Train(c Config) (*Loader, error) {
	norm := s.norm(c.Mean, c.Std)
	r := s.rows(c.Batch, c.Workers, c.Ahead)
	r.Memory = c.Memory
	for _, v := range c.Views {
		r.Shapes = append(r.Shapes, []int{v.Size, v.Size, s.channels})
	}
	r.Make = func(w *Worker, row *Row) error {
		w.part = part{worker: w, row: row, config: &c, channels: s.channels, draws: w.part.draws}
		m, held, err := s.fitted(row.Item, &w.packed, &w.part)
		if err != nil {
			return err
		}
		defer held.Release()
		for v := range c.Views {
			if m.W < w.part.width {
				w.scratch.Drawn(row.Views[v], m, &w.part.draws[v], w.part.by, c.Views[v].Size, norm)
				continue
			}
			w.part.seed(v)
			w.scratch.View(row.Views[v], w.Rand, m, &c.Views[v].View, c.Views[v].Size, norm)
		}
		return nil
	}
	return r.Train(c.Order)
}

// part draws the views of a large JPEG file before it is decoded, since they decide at
// which part of its size.
type part struct {
	worker   *Worker
	row      *Row
	config   *Config
	channels int

	width, by int // of the whole, and the part; 0: it was not asked for
	draws     []augment.Draw
}

// seed makes chance ready for a view. It is keyed by the item that was due: two rows never
// hold the same view.
func (p *part) seed(view int) {
	p.worker.Seed(p.config.Seed, rng.Augment, uint64(p.row.Epoch), uint64(p.row.Due), uint64(view))
}

func (p *part) fit(w, h int) int {
	p.width, p.by, p.draws = w, 8, p.draws[:0]
	for v := range p.config.Views {
		p.seed(v)
		view := &p.config.Views[v]
		p.draws = append(p.draws, view.Draw(p.worker.Rand, w, h, p.channels))
		p.by = min(p.by, p.draws[v].Crop.Shrink(view.Size))
	}
	return p.by
}

// rows are the source's rows, without shapes and what makes them.
func (s *Source) rows(batch, workers, ahead int) Rows {
	runs, room := s.data.Runs()
	return Rows{Data: s.data.Name, Kind: "images", Items: len(s.data.Items), Runs: runs, Room: room,
		Name:  func(i int) string { return s.data.Items[i].Name },
		Batch: batch, Workers: workers, Ahead: ahead, Most: s.most}
}

// norm returns what turns pixels into numbers.
func (s *Source) norm(mean, std []float64) *augment.Norm {
	if s.channels == 0 {
		panic("batch: the number of channels is not known; scan first")
	}
	if len(mean) != s.channels {
		panic(fmt.Sprintf("batch: %d means for %d channels", len(mean), s.channels))
	}
	if s.raw {
		return augment.NewRawNorm(mean, std)
	}
	return augment.NewNorm(mean, std)
}
