// Package batch turns a data set into batches: images decoded, augmented,
// normalised, and ready before they are asked for.
//
//	source := batch.NewSource(data, batch.SourceOptions{Channels: 3})
//	report, err := source.Scan(ctx, batch.ScanOptions{}) // bad images out, mean and std
//	loader, err := source.Train(batch.Config{...})       // or source.Plain, to evaluate
//	defer loader.Close()
//	for {
//		b, err := loader.Next() // valid until the next call; io.EOF at the end
//	}
//
// What a batch holds depends on the data, the seed, the epoch and the step, not
// on the number of goroutines at work. They are the package's own: the pool of
// package parallel is for computing.
package batch

import (
	"cmp"
	"fmt"
	"sync/atomic"

	"vicreg/internal/dataset"
	"vicreg/internal/imagefile"
	"vicreg/internal/show"
)

// DefaultCache is the room for decoded images, in bytes.
const DefaultCache = 512 << 20

// SourceOptions say how images are decoded.
type SourceOptions struct {
	Channels int   // of pictures 1 or 3, converted if need be; of other images those they have; 0: as Scan finds them
	Raw      bool  // values are those of the files, whatever the number of channels; true of any but 1 and 3
	Cache    int64 // bytes of decoded images to keep; 0: DefaultCache, -1: none
	Limits   imagefile.Limits
	Most     *float64 // the share of the images that may be bad; nil: a tenth

	// View is the side of the largest view, in pixels. JPEG files whose shorter side is at
	// least [Room] times as long, and at least [Large] pixels, are decoded at a part of their
	// size for views in training, where crops and the decoder allow it, and none of them is
	// kept. 0: none are.
	View int
}

// JPEG files with fewer pixels are decoded whole: some hundreds of them fit into the cache,
// which spares to decode them at all.
const (
	Room  = 4
	Large = 768
)

// Asked is what a source with these options asks of files, and whether it knows already that
// their images are no pictures.
func (o SourceOptions) Asked() (limits imagefile.Limits, raws bool) {
	limits = o.Limits
	limits.Raw, limits.All = limits.Raw || o.Raw, limits.All || raw(o.Channels)
	return limits, o.Raw || raw(o.Channels)
}

// Source decodes the images of a data set and keeps as many as fit into its
// cache, pixel for pixel. Any number of goroutines may use it.
type Source struct {
	data     *dataset.Dataset
	channels int
	raw      bool // no pictures
	limits   imagefile.Limits
	most     *float64
	large    int                               // the shorter side of large files, see SourceOptions.View; 0: none
	cache    []atomic.Pointer[imagefile.Image] // by item
	room     atomic.Int64                      // bytes
}

// NewSource returns a source of d's images. If channels are not given it must
// be scanned before it makes batches.
func NewSource(d *dataset.Dataset, o SourceOptions) *Source {
	if o.Channels < 0 || o.Channels > imagefile.MostChannels {
		panic(fmt.Sprintf("batch: %d channels", o.Channels))
	}
	limits, raws := o.Asked()
	s := &Source{data: d, channels: o.Channels, raw: raws, limits: limits, most: o.Most,
		cache: make([]atomic.Pointer[imagefile.Image], len(d.Items))}
	if o.View > 0 {
		s.large = max(Room*o.View, Large)
	}
	switch {
	case o.Cache == 0:
		s.room.Store(DefaultCache)
	case o.Cache > 0:
		s.room.Store(o.Cache)
	}
	return s
}

// Data returns the data set, after a Scan without its bad images.
func (s *Source) Data() *dataset.Dataset { return s.data }

// Raw reports whether the images are no pictures, but have values of their own.
func (s *Source) Raw() bool { return s.raw }

// Image returns the pixels of item i, with the source's channels. They are not
// to be changed.
func (s *Source) Image(i int) (imagefile.Image, error) {
	m, held, err := s.image(i, new([]byte))
	held.Release()
	if err == nil && s.channels != 0 && !s.raw {
		m = m.Convert(s.channels)
	}
	return m, err
}

// nothing is what is held of pixels that are in memory anyway.
var nothing imagefile.Held

// image is Image for a goroutine that needs the pixels only until it releases them. The
// pixels of a packed image that is not kept lie in buf, which grows; files within others
// are read into it. The image may be grey although the source's are colour. An image
// that takes far more memory than its file justifies is not kept.
func (s *Source) image(i int, buf *[]byte) (imagefile.Image, *imagefile.Held, error) {
	return s.fitted(i, buf, nil)
}

// fitted is image at a part of its size, if it is a large JPEG file and p is not nil. Such
// are never kept, so that none is seen now in one size and now in another.
func (s *Source) fitted(i int, buf *[]byte, p *part) (imagefile.Image, *imagefile.Held, error) {
	item := &s.data.Items[i]
	if m := s.cache[i].Load(); m != nil {
		m, err := s.fit(item, *m)
		return m, &nothing, err
	}
	if item.Held() && (s.channels != 1 || item.Image.C == 1) {
		m, err := s.fit(item, *item.Image)
		return m, &nothing, err
	}
	limits, large := s.limits, false
	if s.large > 0 && !s.raw {
		limits.Fit = func(w, h int) int {
			if large = min(w, h) >= s.large; !large || p == nil {
				return 1
			}
			return p.fit(w, h)
		}
	}
	m, held, err := item.Hold(limits, buf)
	if err != nil {
		return m, held, err
	}
	if m, err = s.fit(item, m); err != nil {
		held.Release()
		return m, &nothing, err
	}
	size := int64(len(m.Pix))
	if held.Unearned() || large {
		return m, held, nil
	}
	if s.room.Add(-size) < 0 {
		s.room.Add(size)
		return m, held, nil
	}
	if same(m.Pix, *buf) {
		*buf = nil // kept, perhaps
	}
	if !s.cache[i].CompareAndSwap(nil, &m) {
		s.room.Add(size) // another goroutine was first
	}
	return m, held, nil
}

// same reports whether two slices begin at one place.
func same(a, b []byte) bool { return cap(a) > 0 && cap(b) > 0 && &a[:1][0] == &b[:1][0] }

// fit is Fit with an error that names the item.
func (s *Source) fit(item *dataset.Item, m imagefile.Image) (imagefile.Image, error) {
	m, err := Fit(m, s.channels, s.raw)
	if err != nil {
		return m, fmt.Errorf("%s: %w", cmp.Or(item.Path, show.Name(item.Name)), err)
	}
	return m, nil
}

// remove drops bad items, which are in order, from the data set and the cache.
func (s *Source) remove(bad []int) {
	if len(bad) == 0 {
		return
	}
	s.data.Remove(bad)
	cache := make([]atomic.Pointer[imagefile.Image], len(s.data.Items))
	to := 0
	for i := range s.cache {
		if len(bad) > 0 && i == bad[0] {
			bad = bad[1:]
			continue
		}
		cache[to].Store(s.cache[i].Load())
		to++
	}
	s.cache = cache
}
