package train

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"vicreg/internal/advice"
	"vicreg/internal/batch"
	"vicreg/internal/dataset"
	"vicreg/internal/host"
	"vicreg/internal/parallel"
	"vicreg/internal/recipe"
	"vicreg/internal/reckon"
	"vicreg/internal/show"
)

// choose fills in what the configuration leaves open, and remembers why. A few steps
// are timed, to tell how long the run takes and how many epochs go into a given time.
func (r *run) choose(ctx context.Context) error {
	c, f := &r.config, r.facts()
	open := c.Open()
	if s, ok := r.corpus.(*images); ok && len(open) > 0 {
		f.Side = s.looked(s.trainData).side
		r.choices = advice.Choose(c, f)
	}
	if c.Optimizer.BaseLRAuto {
		r.choices = append(r.choices, advice.Rate(c))
	}
	if err := r.enough(); err != nil {
		return err
	}
	r.report.Phase("timing a few steps")
	var err error
	r.speed, err = r.timed(ctx)
	if ctx.Err() != nil {
		return ErrInterrupted
	}
	if failure(err) {
		return r.failed(err)
	}
	if err != nil {
		r.speed = advice.Speed{}
		r.untimed = fmt.Sprintf("no steps could be timed: %v", err) // for a plan; a run comes to it and tells
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
	return advice.Facts{Images: r.corpus.len(), Scored: r.corpus.scored(), Judged: r.looks(),
		Retrieved: r.corpus.retrieved(), Taught: r.config.Tune != nil,
		Threads: parallel.Workers(), Memory: host.MemoryLimit().Bytes, Card: r.card()}
}

// looks are what the headers of some images of a data set say, spread evenly.
type looks struct {
	side    int       // the shorter one, in the median; 0: none can be read
	areas   []float64 // pixels of each, in their order,
	pixels  float64   // in the mean,
	largest float64   // and at most
}

// looked returns what the headers of some images of d say. They are read once.
func (s *images) looked(d *dataset.Dataset) *looks {
	if l := s.looks[d]; l != nil {
		return l
	}
	const most = 300
	l, sides := new(looks), []int(nil)
	for _, i := range spread(len(d.Items), most, func(int) bool { return true }) {
		item := &d.Items[i]
		w, h, err := item.Stat(s.limits.Limits())
		if err != nil {
			continue
		}
		a := float64(w) * float64(h)
		sides, l.areas = append(sides, min(w, h)), append(l.areas, a)
		l.pixels, l.largest = l.pixels+a, max(l.largest, a)
	}
	if n := len(sides); n > 0 {
		slices.Sort(sides)
		l.side, l.pixels = sides[n/2], l.pixels/float64(n)
	}
	if s.looks == nil {
		s.looks = map[*dataset.Dataset]*looks{}
	}
	s.looks[d] = l
	return l
}

// room is how many bytes of decoded images are kept.
func (s *images) room() int64 { return max(0, cmp.Or(s.cache, batch.DefaultCache)) }

// stay says of some of n images which of them stay decoded, where each stays for which
// there is room left when its turn comes, how many pixels are decoded again, and how
// many an image has, both in the mean over all of these.
func stay(areas []float64, n int, channels, room float64) (stays []bool, again, mean float64) {
	left := room * float64(len(areas)) / float64(n)
	stays = make([]bool, len(areas))
	for i, a := range areas {
		mean += a / float64(len(areas))
		if stays[i] = a*channels <= left; stays[i] {
			left -= a * channels
		} else {
			again += a / float64(len(areas))
		}
	}
	return stays, again, mean
}

// scoring is how many bytes of garbage scoring leaves beside a run, as measured.
const scoring = 100e6

// outlook returns how long the run takes, 0 if nothing was measured, and how much memory of
// the host and of the device.
func (r *run) outlook() (seconds, bytes, device float64) {
	f, counts := r.facts(), r.counts()
	counts.Card = f.Card
	if need, err := reckon.Run(r.config, counts); err == nil {
		bytes = need.OnHost(f.Card)
		if f.Card != nil {
			device = need.OnCard()
		}
		if f.Scored > 0 {
			bytes += scoring
		}
		if s, ok := r.corpus.(*images); ok {
			bytes += s.decoded(r.config.Channels, workersOf(r.config))
		}
	}
	seconds, _ = advice.Seconds(r.config, f, r.speed)
	return seconds, bytes, device
}

// decoded returns about how many bytes decoded images take. Those that stay count twice,
// as that much garbage gathers before it is collected; those that workers are decoding
// count as well.
func (s *images) decoded(channels, workers int) (bytes float64) {
	const working = 12 // bytes of a pixel while it is decoded
	for _, d := range []*dataset.Dataset{s.trainData, s.testData} {
		if d != nil && len(d.Items) > 0 && !d.Items[0].Held() {
			l := s.looked(d)
			each := float64(cmp.Or(channels, 3) * max(1, s.deep))
			bytes += 2 * min(float64(s.room()), l.pixels*each*float64(len(d.Items)))
			if d == s.trainData && d.Items[0].Encoded() {
				bytes += max(working, float64(2*channels*s.deep)) * l.largest * float64(workers)
			}
		}
	}
	return bytes
}

// needs says so for people.
func (r *run) needs() string {
	seconds, bytes, device := r.outlook()
	all := r.config.Epochs * batch.Steps(r.corpus.len(), r.config.Batch)
	about := show.Count(all, "step") + " in all"
	if done := r.at.Steps; done > 0 {
		left := all - done
		about += fmt.Sprintf(", %d of them to come", left)
		if r.at.TrainSeconds > 0 && left > 0 {
			about += fmt.Sprintf(", about %s as fast as those before", advice.Span(r.at.TrainSeconds/float64(done)*float64(left)))
		}
	} else if seconds > 0 {
		about += fmt.Sprintf(", about %s", advice.Span(seconds))
	}
	if bytes > 0 {
		about += fmt.Sprintf(", at least %s of memory", host.Bytes(bytes))
	}
	if device > 0 {
		about += fmt.Sprintf(" and %s of the device's", host.Bytes(device))
	}
	return about
}

// short says that a plan has too few steps for images of the user's own; empty if it has not.
func (r *run) short(c recipe.Config) string {
	if s, ok := r.corpus.(*images); ok && s.own && c.Tune == nil {
		return advice.Short(c, s.len())
	}
	return ""
}

// advise lists what is unwise in the configuration.
func (r *run) advise() []string {
	if r.config.Tune != nil {
		return nil
	}
	if s, ok := r.corpus.(*images); ok && s.own {
		all := advice.Warnings(r.config, r.corpus.len())
		if d := advice.Decoding(r.config, r.facts(), r.speed); d != "" && s.trainData.Items[0].Encoded() {
			all = append(all, d)
		}
		return all
	}
	return nil
}
