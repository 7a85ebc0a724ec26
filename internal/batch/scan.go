package batch

import (
	"context"
	"fmt"
	"math"

	"vicreg/internal/imagefile"
)

// ScanOptions say how thoroughly to look.
type ScanOptions struct {
	Workers int // 0: one for each processor
	// Decode is how many files to decode, or how many packed images to look at the pixels
	// of, spread evenly; of the others only the size is read. 0: 50,000, -1: all.
	Decode   int
	Progress func(done, total int) // called now and then, done growing; may be nil
	Tally    *Tally                // of all parts, if these images are a part; nil: they are all
	Part     string                // what these are, if they are a part: "images to score on"

	// Key names the files and their sizes. If it is given, what is found of very many
	// images is kept in the user's cache folder, and taken from there the next time.
	Key string
}

// Report is what a Scan found, of the images that are left.
type Report struct {
	Images     int
	Decoded    int  // of them, and measured
	Grey       int  // images with one channel in their file, among those decoded
	Channels   int  // of pictures 1 if all are grey, else 3; or as the source was told
	Raw        bool // they are no pictures, but have values of their own
	MinW, MaxW int  // pixels
	MinH, MaxH int
	Bytes      int       // that a decoded pixel takes, at most
	Mean, Std  []float64 // by channel, of pixels in [0, 1], or of values as they are
	Bad        []Bad     // in the order of the data set; no longer in it
}

// found is what a Scan learns of one item.
type found struct {
	w, h, c int
	mean    [3]float64          // over the pixels, in [0, 1]
	square  [3]float64          // mean of squares
	all     *imagefile.Measures // instead, if it is no picture
	depth   uint8               // see imagefile.Image
	deep    uint8               // bytes of a sample
	plain   bool
	cut     bool
	extra   bool
	pages   bool
	decoded bool
	unseen  bool // a look would have read others with it
	err     error
}

// image is what is counted of an image.
func (f *found) image() imagefile.Image {
	m := imagefile.Image{Depth: int(f.depth), Cut: f.cut, Pages: f.pages}
	if f.extra {
		m.Extra = 1
	}
	return m
}

// Scan looks at every image once, removes those that cannot be read from the data set,
// and measures the rest. Mean and standard deviation are those of all pixels, each image
// counting the same whatever its size; a channel that never varies gets a standard
// deviation of 1. If more images are bad than is allowed, of all that the tally counts,
// or none is left, that is an error of type *TooManyBad. What had to be guessed of the
// images is added to the data set's notes.
//
// Files may still turn bad later: see Loader.Bad.
func (s *Source) Scan(ctx context.Context, o ScanOptions) (*Report, error) {
	n := len(s.data.Items)
	if n == 0 {
		return nil, fmt.Errorf("%s: the data set has no images", s.data.Name)
	}
	path, key := s.keptAt(o)
	if r, ok, err := s.recall(path, key, o); ok {
		return r, err
	}
	had := len(s.data.Notes)
	all := make([]found, n)
	runs, _ := s.data.Runs()
	chosen, progress := choose(runs, o.Decode, n), Counter{Total: n, Report: o.Progress}
	err := Each(ctx, o.Workers, n, func(_, i int) {
		s.look(i, &all[i], s.data.Items[i].Held() || chosen(i))
		progress.Add()
	})
	if err != nil {
		return nil, err
	}
	tally := o.Tally
	if tally == nil {
		tally = &Tally{Total: n, Most: s.most}
	}
	r, err := s.conclude(all, tally, o.Part)
	if err == nil {
		s.retain(path, key, r, s.data.Notes[had:])
	}
	return r, err
}

// look fills in what Scan needs to know of item i.
func (s *Source) look(i int, f *found, decode bool) {
	item := &s.data.Items[i]
	switch {
	case decode:
	case item.Dear():
		f.unseen = true
		return
	default:
		f.w, f.h, f.err = item.Stat(s.limits)
		return
	}
	m, held, err := s.image(i, new([]byte))
	if err != nil {
		f.err = err
		return
	}
	defer held.Release()
	f.decoded, f.w, f.h, f.c = true, m.W, m.H, m.C
	if s.raw || s.limits.Raw || !m.Plain() {
		all := m.Measure()
		f.all = &all
	} else {
		f.mean, f.square = m.Moments()
	}
	f.deep = uint8(m.Type.Size())
	f.depth, f.plain, f.cut, f.extra = uint8(m.Depth), m.Plain(), m.Cut, m.Extra > 0
	f.pages = m.Pages
}

// conclude adds everything up in the order of the items, so that the result does not
// depend on the number of goroutines.
func (s *Source) conclude(all []found, tally *Tally, part string) (*Report, error) {
	r := &Report{MinW: math.MaxInt, MinH: math.MaxInt}
	var bad []int
	var mean, square [3]float64
	var depths imagefile.Depths
	var measured moments
	kinds := Kinds{Raw: s.raw || s.limits.Raw}
	for i := range all {
		f := &all[i]
		if f.err != nil {
			bad = append(bad, i)
			r.Bad = append(r.Bad, Bad{Name: s.data.Items[i].Name, Err: f.err})
			continue
		}
		r.Images++
		if f.unseen {
			continue
		}
		r.MinW, r.MaxW = min(r.MinW, f.w), max(r.MaxW, f.w)
		r.MinH, r.MaxH = min(r.MinH, f.h), max(r.MaxH, f.h)
		if !f.decoded {
			continue
		}
		r.Decoded++
		r.Bytes = max(r.Bytes, f.c*int(f.deep))
		if f.c == 1 {
			r.Grey++
		}
		depths.Count(f.image())
		kinds.Add(f.c, f.plain, s.data.Items[i].Name)
		if f.all != nil {
			measured.add(*f.all)
		}
		for c := range 3 {
			mean[c] += f.mean[c]
			square[c] += f.square[c]
		}
	}
	if err := tally.Add(len(all), r.Bad); err != nil {
		return nil, err
	}
	if r.Decoded == 0 {
		return nil, &TooManyBad{Bad: r.Bad, Total: len(r.Bad), Kind: part}
	}
	many, err := kinds.One(s.data.Name)
	if err != nil {
		return nil, err
	}
	switch {
	case many > 0:
		s.channels, s.raw = many, true
	case s.channels == 0:
		s.channels = 3
		if r.Grey == r.Decoded {
			s.channels = 1
		}
	}
	r.Channels, r.Raw = s.channels, s.raw
	if s.raw {
		for c := range r.Channels {
			m, std, _ := measured.of(c)
			r.Mean, r.Std = append(r.Mean, m), append(r.Std, std)
		}
		s.remove(bad)
		s.data.Notes = append(append(s.data.Notes, depths.Notes()...), measured.notes()...)
		return r, nil
	}
	for c := range r.Channels {
		m := mean[c] / float64(r.Decoded)
		std := math.Sqrt(max(0, square[c]/float64(r.Decoded)-m*m))
		if std < 1e-6 {
			std = 1
		}
		r.Mean, r.Std = append(r.Mean, m), append(r.Std, std)
	}
	s.remove(bad)
	s.data.Notes = append(s.data.Notes, depths.Notes()...)
	return r, nil
}
