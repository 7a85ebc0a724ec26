package batch

import (
	"context"
	"fmt"

	"vicreg/internal/augment"
	"vicreg/internal/dataset"
	"vicreg/internal/imagefile"
	"vicreg/internal/pack"
)

// PackOptions say how images are packed.
type PackOptions struct {
	Short    int // pixels to which a longer shorter side is resized; 0: as decoded
	Limits   imagefile.Limits
	Most     *float64              // the share of the images that may be bad; nil: a tenth
	Workers  int                   // 0: one for each processor
	Progress func(done, total int) // called now and then; may be nil
}

// Packed is what Pack wrote.
type Packed struct {
	Train, Test int   // images
	Classes     int   // of which there are images
	Bytes       int64 // of the file
	Bad         []Bad // left out, in the order of the data set
}

// Pack writes the decoded images of a data set, and of the part to score on if test is
// not nil, to a file that takes its place at path when it is complete. Images that
// cannot be read are left out; if that is more than a tenth of all, or a whole part, it
// is an error of type *TooManyBad. The same images make the same bytes.
func Pack(ctx context.Context, path string, train, test *dataset.Dataset, o PackOptions) (*Packed, error) {
	items := train.Items
	if test != nil {
		items = append(items[:len(items):len(items)], test.Items...)
	}
	if len(items) == 0 {
		return nil, fmt.Errorf("%s: the data set has no images", train.Name)
	}
	w, err := pack.Create(path, train.Name, train.Classes)
	if err != nil {
		return nil, err
	}
	var depths imagefile.Depths
	p, err := packAll(ctx, w, items, len(train.Items), &depths, o)
	if err == nil {
		err = p.whole(train, test)
	}
	if err != nil {
		w.Abort()
		return nil, err
	}
	if p.Bytes, err = w.Close(); err != nil {
		return nil, err
	}
	train.Notes = append(train.Notes, depths.Notes()...)
	return p, nil
}

// whole checks that no part has lost all its images.
func (p *Packed) whole(train, test *dataset.Dataset) error {
	n := len(train.Items)
	if p.Train == 0 {
		return &TooManyBad{Bad: p.Bad[:n], Total: n, Kind: toTrain}
	}
	if test != nil && p.Test == 0 {
		return &TooManyBad{Bad: p.Bad[len(p.Bad)-len(test.Items):], Total: len(test.Items), Kind: toScore}
	}
	return nil
}

// packAll adds the items, as many at a time as fit into a window. The first train of
// them are those to train on.
func packAll(ctx context.Context, w *pack.Writer, items []dataset.Item, train int, depths *imagefile.Depths,
	o PackOptions) (*Packed, error) {
	workers := workersOr(o.Workers)
	window := make([]struct {
		image imagefile.Image
		err   error
		large bool // to be decoded when it is written
	}, 8*workers)
	scratch := make([]augment.Scratch, workers)
	p, tally := new(Packed), &Tally{Total: len(items), Most: o.Most}
	classes := map[int]bool{}
	for start := 0; start < len(items); start += len(window) {
		part := items[start:min(start+len(window), len(items))]
		err := Each(ctx, workers, len(part), func(worker, k int) {
			if window[k].large = o.Short == 0 && part[k].Large(); window[k].large {
				return
			}
			var held *imagefile.Held
			window[k].image, held, window[k].err = decoded(&scratch[worker], &part[k], o)
			held.Release()
		})
		if err != nil {
			return nil, err
		}
		for k, item := range part {
			held := &nothing
			if window[k].large {
				window[k].image, held, window[k].err = decoded(&scratch[0], &part[k], o)
			}
			if err := window[k].err; err != nil {
				p.Bad = append(p.Bad, Bad{Name: item.Name, Err: err})
				if err := tally.Add(1, p.Bad[len(p.Bad)-1:]); err != nil {
					return nil, err
				}
				continue
			}
			tally.seen++
			depths.Count(window[k].image)
			if item.Label >= 0 {
				classes[item.Label] = true
			}
			scores := start+k >= train
			if scores {
				p.Test++
			} else {
				p.Train++
			}
			err := w.Add(pack.Item{Name: item.Name, Label: item.Label, Image: window[k].image}, scores)
			window[k].image = imagefile.Image{}
			held.Release()
			if err != nil {
				return nil, err
			}
		}
		if o.Progress != nil {
			o.Progress(start+len(part), len(items))
		}
	}
	p.Classes = len(classes)
	return p, nil
}

// decoded returns the image of an item as it is packed. Release what is held of it.
func decoded(s *augment.Scratch, item *dataset.Item, o PackOptions) (imagefile.Image, *imagefile.Held, error) {
	m, held, err := item.Hold(o.Limits, new([]byte))
	if err != nil {
		return m, held, err
	}
	short := min(m.W, m.H)
	if o.Short == 0 || short <= o.Short {
		return m, held, nil
	}
	w, h := max(1, m.W*o.Short/short), max(1, m.H*o.Short/short)
	if !m.Plain() {
		return s.RawResize(m, w, h), held, nil
	}
	var small imagefile.Image
	s.Resize(&small, m, w, h)
	small.Depth, small.Cut, small.Extra = m.Depth, m.Cut, m.Extra
	return small, held, nil
}
