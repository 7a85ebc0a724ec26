package train

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"sync/atomic"
	"time"

	"vicreg/internal/batch"
	"vicreg/internal/dataset"
	"vicreg/internal/imagefile"
	"vicreg/internal/pairs"
	"vicreg/internal/pretrained"
	"vicreg/internal/recipe"
	"vicreg/internal/rng"
)

// sample is a corpus of which a few items are at hand: steps are timed with them. As
// in the whole, some of them stay decoded and others are decoded each time. All but
// the batches is that of the whole.
type sample struct {
	corpus
	part, kept corpus // those items, and those of them that stay decoded
	input      func(e *pretrained.Embedder, branch int) pretrained.Input

	look float64 // seconds of an item of the whole at the first look at all of them
	more float64 // how much more there is to decode of an item of the whole; 1: as much
}

func (s *sample) batches(c recipe.Config, o batch.Order, memory batch.Memory) (*batch.Loader, error) {
	return s.part.batches(c, o, memory)
}

// How many items are decoded for a sample, and for how long.
const (
	mostSampled    = 300
	leastSampled   = 8
	sampledSeconds = 1.5
)

// sampled decodes items of n, spread evenly, on several goroutines and in no order,
// until it has enough of them, or has been at it for so many seconds and has the least,
// and returns those it came to.
func sampled(ctx context.Context, workers, n int, seconds float64, decode func(item int)) (items []int) {
	spread := spread(n, mostSampled, func(int) bool { return true })
	order := rng.Perm(len(spread), 0, rng.Sample)
	var done atomic.Int64
	came := make([]bool, len(order))
	began := time.Now()
	batch.Each(ctx, workers, len(order), func(_, k int) {
		if done.Load() >= leastSampled && time.Since(began).Seconds() >= seconds {
			return
		}
		decode(spread[order[k]])
		came[k] = true
		done.Add(1)
	})
	for k, ok := range came {
		if ok {
			items = append(items, spread[order[k]])
		}
	}
	slices.Sort(items)
	return items
}

// repeated returns n of some items, each in turn.
func repeated[T any](some []T, n int) []T {
	all := make([]T, n)
	for i := range all {
		all[i] = some[i%len(some)]
	}
	return all
}

// sample decodes some images.
func (s *images) sample(ctx context.Context, c *recipe.Config) (*sample, error) {
	type decoded struct {
		image   imagefile.Image
		area    float64
		looking float64
		c, deep int
		plain   bool
	}
	all := make([]decoded, s.len())
	var room atomic.Int64
	room.Store(max(s.room(), 1<<20))
	limits, raw := s.options(s.trainData, c).Asked()
	items := sampled(ctx, c.Workers, s.len(), sampledSeconds, func(i int) {
		began := time.Now()
		item := &s.trainData.Items[i]
		m, held, err := item.Hold(limits, new([]byte))
		defer held.Release()
		if err == nil {
			m, err = batch.Fit(m, c.Channels, raw)
		}
		if err != nil {
			return
		}
		if m.Plain() {
			m.Moments()
		} else {
			m.Measure()
		}
		d := decoded{area: float64(m.W) * float64(m.H), looking: time.Since(began).Seconds(), c: m.C,
			deep: m.Type.Size(), plain: m.Plain()}
		if item.Held() || !held.Unearned() && room.Add(-int64(len(m.Pix))) >= 0 {
			d.image = m
		}
		all[i] = d
	})
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	grey, kinds := true, batch.Kinds{Raw: raw}
	var areas []float64
	var looking float64
	items = slices.DeleteFunc(items, func(i int) bool { return all[i].area == 0 })
	for _, i := range items {
		areas, looking = append(areas, all[i].area), looking+all[i].looking
		grey = grey && all[i].image.C <= 1
		kinds.Add(all[i].c, all[i].plain, s.trainData.Items[i].Name)
		s.deep = max(s.deep, all[i].deep)
	}
	if len(items) == 0 {
		return nil, errors.New("no image that was tried can be read")
	}
	many, err := kinds.One(s.trainData.Name)
	if err != nil {
		return nil, err
	}
	if many > 0 {
		c.Channels, c.Data.Values = many, recipe.Raw
		if err := s.measure(ctx, items, c); err != nil {
			return nil, err
		}
	}
	if c.Channels == 0 {
		c.Channels = cmp.Or(len(c.Normalize.Mean), 3)
		if grey && len(c.Normalize.Mean) == 0 {
			c.Channels = 1
		}
	}
	if len(c.Normalize.Mean) == 0 {
		c.Normalize = recipe.Normalize{Mean: slices.Repeat([]float64{0.5}, c.Channels),
			Std: slices.Repeat([]float64{0.25}, c.Channels)}
	}

	// Photographs differ much in size: time goes by the pixel, and the largest do not
	// stay.
	whole := s.looked(s.trainData)
	each := float64(c.Channels * max(1, s.deep))
	_, missed, mean := stay(whole.areas, s.len(), each, float64(s.room()))
	stays, missedHere, meanHere := stay(areas, s.len(), each, float64(s.room()))
	var some, kept []dataset.Item
	for k, i := range items {
		item := s.trainData.Items[i]
		if all[i].image.Pix != nil && (stays[k] || item.Held()) {
			m := all[i].image // alone, or the others would stay as long
			item.Path, item.Stored, item.Image = "", nil, &m
			kept = append(kept, item)
		}
		some = append(some, item)
	}
	out := &sample{corpus: s, part: s.of(some, c),
		look: looking / float64(len(items)) * mean / meanHere / float64(workersOf(*c)), more: 1}
	if missed > 0 && missedHere > 0 && len(kept) > 0 {
		out.kept, out.more = s.of(kept, c), missed/missedHere
	}
	out.input = func(e *pretrained.Embedder, branch int) pretrained.Input {
		return e.Images(out.part.(*images).trainSource, nil)
	}
	return out, nil
}

// measure finds how the values of some images, which are no pictures, are normalised.
func (s *images) measure(ctx context.Context, some []int, c *recipe.Config) error {
	if len(c.Normalize.Mean) > 0 {
		return nil
	}
	d := &dataset.Dataset{Name: s.trainData.Name}
	for _, i := range some[:min(len(some), leastSampled)] {
		d.Items = append(d.Items, s.trainData.Items[i])
	}
	o := s.options(s.trainData, c)
	o.Cache, o.Raw = -1, true
	found, err := batch.NewSource(d, o).Scan(ctx, batch.ScanOptions{Workers: c.Workers})
	if err == nil {
		c.Normalize = recipe.Normalize{Mean: found.Mean, Std: found.Std}
	}
	return err
}

// of returns a corpus of some images, repeated until they fill a batch, of which it
// keeps no more decoded than are.
func (s *images) of(items []dataset.Item, c *recipe.Config) *images {
	o := s.options(s.trainData, c)
	o.Cache, o.Raw = -1, c.Data.Values == recipe.Raw
	some := &dataset.Dataset{Name: s.trainData.Name, Items: repeated(items, max(c.Batch, len(items)))}
	return &images{trainData: some, trainSource: batch.NewSource(some, o)}
}

// sample decodes some rows, and resolves the sides by them.
func (s *pairing) sample(ctx context.Context, c *recipe.Config) (*sample, error) {
	n := s.len()
	source, look, err := s.looking(ctx, c, min(n, leastSampled))
	if err != nil {
		return nil, err
	}
	if more := min(n, mostSampled, int(sampledSeconds/look)); more > leastSampled {
		if source, look, err = s.looking(ctx, c, more); err != nil {
			return nil, err
		}
	}
	resolved := *c.Pairs
	sides := source.Sides()
	resolved.A, resolved.B = sides[0], sides[1]
	c.Pairs = &resolved
	if err := alike(c); err != nil {
		return nil, err
	}
	rows := len(source.Data().Rows)
	some := source.Data().Some(repeated(spread(rows, 0, func(int) bool { return true }), max(c.Batch, rows)))
	of := func(cache int64) *pairing {
		return &pairing{trainData: some, trainSource: pairs.NewSource(some, sides, cache)}
	}
	fill := func(s *pairing) (kept float64, err error) {
		err = batch.Each(ctx, c.Workers, rows, func(_, i int) {
			for k := range sides {
				s.trainSource.Sample(i, k)
			}
		})
		return float64(s.trainSource.Kept()) / float64(rows) * float64(n), err
	}
	out := &sample{corpus: s, look: look, more: 1}
	all := of(0)
	out.part = all
	kept, err := fill(all)
	if err == nil && kept > pairs.DefaultCache {
		part := of(max(1, int64(pairs.DefaultCache)*int64(rows)/int64(n)))
		out.part, out.kept = part, all
		_, err = fill(part)
	}
	out.input = func(e *pretrained.Embedder, branch int) pretrained.Input {
		return e.Pairs(out.part.(*pairing).trainSource, branch, nil)
	}
	return out, err
}

// looking scans so many rows, spread evenly, and returns how long each took.
func (s *pairing) looking(ctx context.Context, c *recipe.Config, rows int) (*pairs.Source, float64, error) {
	some := s.trainData.Some(spread(s.len(), rows, func(int) bool { return true }))
	source := pairs.NewSource(some, c.Sides(), 0)
	began := time.Now()
	_, err := source.Scan(ctx, pairs.ScanOptions{Workers: c.Workers})
	return source, time.Since(began).Seconds() / float64(rows), err
}
