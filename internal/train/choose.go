package train

import (
	"cmp"
	"context"
	"fmt"
	"runtime"
	"slices"

	"vicreg/internal/advice"
	"vicreg/internal/batch"
	"vicreg/internal/dataset"
	"vicreg/internal/host"
	"vicreg/internal/imagefile"
	"vicreg/internal/parallel"
	"vicreg/internal/recipe"
	"vicreg/internal/reckon"
)

// choose fills in what the configuration leaves open, and remembers why. A few steps
// are timed if the number of epochs depends on it or measure asks for it.
func (r *run) choose(ctx context.Context, measure bool) error {
	c, f := &r.config, r.facts()
	open := c.Open()
	s, ok := r.corpus.(*images)
	if ok && len(open) > 0 {
		f.Side, _, _ = s.sizes(s.trainData)
		r.choices = advice.Choose(c, f)
	}
	if ok && (measure || c.Epochs == 0) {
		if err := r.enough(); err != nil {
			return err
		}
		r.report.Phase("timing a few steps")
		var err error
		r.speed, err = r.timed(ctx, s)
		if ctx.Err() != nil {
			return ErrInterrupted
		}
		if err != nil {
			r.speed = advice.Speed{} // the run comes to it as well, and tells
		}
	}
	if c.Epochs == 0 {
		made := advice.Epochs(*c, f, r.speed)
		c.Epochs = made.Value.(int)
		r.choices = append(r.choices, made)
	}
	automatic := c.Warmup == recipe.Automatic
	c.Warmup, r.adapted = advice.Rise(*c)
	if automatic {
		r.choices = append(r.choices, advice.Choice{Key: "warmup", Value: c.Warmup, Reason: "epochs, a tenth of them and at most 10"})
	}
	if c.Eval.Every == recipe.Automatic {
		c.Eval.Every = recipe.UsualEvery(c.Epochs)
	}
	c.Minutes = 0 // nothing is open any more
	if err := c.Validate(); err != nil {
		return err
	}
	return r.enough()
}

// facts are what is known of data and machine before a look at the images.
func (r *run) facts() advice.Facts {
	return advice.Facts{Images: r.corpus.len(), Scored: r.corpus.scored(), Judged: r.looks(), Threads: parallel.Workers(), Memory: host.MemoryLimit().Bytes}
}

// sizes returns the shorter side in the median and the number of pixels, in the mean
// and at most, of some images, spread evenly; 0 where none can be read.
func (s *images) sizes(d *dataset.Dataset) (side int, pixels, largest float64) {
	sides, areas := s.areas(d)
	if len(sides) == 0 {
		return 0, 0, 0
	}
	for _, a := range areas {
		pixels += a
		largest = max(largest, a)
	}
	slices.Sort(sides)
	return sides[len(sides)/2], pixels / float64(len(areas)), largest
}

// areas returns the shorter sides and the numbers of pixels of some images, in their
// order.
func (s *images) areas(d *dataset.Dataset) (sides []int, areas []float64) {
	const most = 300
	for _, i := range spread(len(d.Items), most, func(int) bool { return true }) {
		item := &d.Items[i]
		w, h := item.Image.W, item.Image.H
		if item.Path != "" {
			var err error
			if w, h, err = imagefile.Stat(item.Path, imagefile.Limits{Pixels: s.limits.Pixels()}); err != nil {
				continue
			}
		}
		sides = append(sides, min(w, h))
		areas = append(areas, float64(w)*float64(h))
	}
	return sides, areas
}

// stay returns which share of all pixels belongs to images that stay decoded, where
// each stays for which there is room left when its turn comes, and the pixels of an
// image in the mean.
func stay(areas []float64, n int, channels, room float64) (share, mean float64) {
	left := room * float64(len(areas)) / float64(n)
	kept, all := 0.0, 0.0
	for _, a := range areas {
		all += a
		if a*channels <= left {
			left -= a * channels
			kept += a
		}
	}
	if all == 0 {
		return 0, 0
	}
	return kept / all, all / float64(len(areas))
}

// scoring is about how many bytes of garbage scores leave beside a run, as measured.
const scoring = 100e6

// outlook is how long the run takes and how much memory; no time where none was
// measured.
func (r *run) outlook() (seconds, bytes float64) {
	f := r.facts()
	if need, err := reckon.Run(r.config, reckon.Data{Items: f.Images, Scored: f.Scored}); err == nil {
		bytes = need.Total()
		if f.Scored > 0 {
			bytes += scoring
		}
		if s, ok := r.corpus.(*images); ok {
			bytes += s.decoded(r.config.Channels, cmp.Or(r.config.Workers, runtime.GOMAXPROCS(0)))
		}
	}
	seconds, _ = advice.Seconds(r.config, f, r.speed)
	return seconds, bytes
}

// decoded returns about how many bytes decoded images take: those that stay, twice,
// as there is that much garbage before it is collected, and those that the workers
// are at.
func (s *images) decoded(channels, workers int) (bytes float64) {
	const working = 12 // bytes of a pixel while it is decoded
	room := float64(max(0, cmp.Or(s.cache, batch.DefaultCache)))
	for _, d := range []*dataset.Dataset{s.trainData, s.testData} {
		if d != nil && len(d.Items) > 0 && !d.Items[0].Held() {
			_, pixels, largest := s.sizes(d)
			bytes += 2 * min(room, pixels*float64(cmp.Or(channels, 3))*float64(len(d.Items)))
			if d == s.trainData && d.Items[0].Path != "" {
				bytes += working * largest * float64(workers)
			}
		}
	}
	return bytes
}

// needs tells people of it.
func (r *run) needs() string {
	seconds, bytes := r.outlook()
	about := fmt.Sprintf("%d steps in all", r.config.Epochs*batch.Steps(r.corpus.len(), r.config.Batch))
	if seconds > 0 {
		about += fmt.Sprintf(", about %s", advice.Span(seconds))
	}
	if bytes > 0 {
		about += fmt.Sprintf(", about %s of memory", host.Bytes(bytes))
	}
	return about
}

// advise lists what is unwise in the configuration.
func (r *run) advise() []string {
	if s, ok := r.corpus.(*images); ok && s.own {
		all := advice.Warnings(r.config, r.corpus.len())
		if d := advice.Decoding(r.config, r.facts(), r.speed); d != "" && s.trainData.Items[0].Path != "" {
			all = append(all, d)
		}
		return all
	}
	return nil
}
