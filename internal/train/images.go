package train

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"vicreg/internal/batch"
	"vicreg/internal/checkpoint"
	"vicreg/internal/dataset"
	"vicreg/internal/imagefile"
	"vicreg/internal/method"
	"vicreg/internal/pretrained"
	"vicreg/internal/recipe"
	"vicreg/internal/show"
)

// images is a corpus of images, of which views are drawn.
type images struct {
	trainData, testData     *dataset.Dataset // testData is nil without labels
	trainSource, testSource *batch.Source
	cache                   int64 // as [batch.SourceOptions] has it
	limits                  recipe.Data
	own                     bool // of the user, and no known set
	deep                    int  // bytes of a sample; 0: one
	looks                   map[*dataset.Dataset]*looks
	watch                   func(what string, done, total int) error // see [dataset.Options]; may be nil
	sums                    string                                   // of the files, see [dataset.Files.Sums]; empty: not known
}

func (s *images) list(c recipe.Config) (err error) {
	d := c.Data
	s.limits = d
	s.trainData, s.testData, err = dataset.Open(d.Source,
		dataset.Options{Labels: d.Labels, Holdout: d.Holdout, Watch: s.watch})
	if err != nil {
		return err
	}
	if c.Method == recipe.Supervised && s.trainData.Classes != nil {
		if n := s.trainData.KeepLabelled(); n > 0 {
			s.trainData.Notes = append(s.trainData.Notes, fmt.Sprintf("%s not trained on for want of a label, as method %s learns from labels", isOrAre(n, "image"), c.Method))
		}
	}
	for _, part := range []*dataset.Dataset{s.trainData, s.testData} {
		if part == nil {
			continue
		}
		if err := part.Choose(d.Bands); err != nil {
			return err
		}
	}
	if err := s.choose(c); err != nil {
		return err
	}
	s.trainData.Limit(d.Limit)
	s.own = dataset.Own(d.Source)
	return nil
}

// isOrAre begins a sentence on so many things.
func isOrAre(n int, what string) string {
	if n == 1 {
		return "1 " + what + " is"
	}
	return fmt.Sprintf("%d %ss are", n, what)
}

func (s *images) fingerprint() string {
	sum := s.trainData.Fingerprint()
	if s.testData != nil {
		sum += "+" + s.testData.Fingerprint()
	}
	return sum
}

func (s *images) files() dataset.Files { return dataset.FilesOf(s.trainData, s.testData) }

func (s *images) readable(path string) bool {
	_, err := imagefile.Read(path, s.limits.Limits())
	return err == nil
}

func (s *images) name() string { return s.trainData.Name }
func (s *images) kind() string { return "images" }
func (s *images) len() int     { return len(s.trainData.Items) }

func (s *images) notes() []string { return s.trainData.Notes }

func (s *images) labels() ([]int, int) {
	return s.trainData.Labels(), len(s.trainData.Classes)
}

func (s *images) scored() int {
	if s.testData == nil {
		return 0
	}
	return len(s.testData.Items)
}

func (s *images) retrieved() int { return 0 }

func (s *images) views(c recipe.Config) string {
	colour := "colour"
	switch {
	case c.Channels == 1 && c.Data.Values == "":
		colour = "grey"
	case c.Data.Values == recipe.Raw:
		colour = show.Count(c.Channels, "channel")
	}
	about, n := "", 0
	crops := c.Crops()
	for i, v := range crops {
		n++
		if i+1 < len(crops) && crops[i+1].Size == v.Size {
			continue
		}
		if about != "" {
			about += " and "
		}
		about += fmt.Sprintf("%d of %d × %d pixels", n, v.Size, v.Size)
		n = 0
	}
	return about + ", " + colour
}

// options say how the images of a part are decoded.
func (s *images) options(d *dataset.Dataset, c *recipe.Config) batch.SourceOptions {
	o := batch.SourceOptions{Channels: c.Channels, Raw: s.limits.Values == recipe.Raw, Cache: s.cache,
		Limits: s.limits.Limits(), Most: s.limits.MaxBad}
	if d == s.trainData {
		for _, v := range c.Crops() {
			o.View = max(o.View, v.Size)
		}
	}
	return o
}

// scan finds the channels and their mean and standard deviation.
func (s *images) scan(ctx context.Context, c *recipe.Config, progress func(done, total int)) (train,
	test []checkpoint.Bad, err error) {
	tally := &batch.Tally{Total: s.len() + s.scored(), Most: c.Data.MaxBad}
	look := func(d *dataset.Dataset, part string, bad *[]checkpoint.Bad) (*batch.Source, *batch.Report, error) {
		source := batch.NewSource(d, s.options(d, c))
		before := *d
		found, err := source.Scan(ctx, batch.ScanOptions{Workers: c.Workers, Progress: progress, Tally: tally,
			Part: part, Key: s.sums})
		if err != nil {
			return nil, nil, err
		}
		*bad = badItems(found.Bad)
		if lost := before.Losing(names(*bad)); len(lost) > 0 {
			s.trainData.Notes = append(s.trainData.Notes,
				fmt.Sprintf("no image of %d of the %d classes of the %s can be read: %s", len(lost), len(d.Classes), part, show.Some(lost, 5)))
		}
		return source, found, nil
	}
	var found *batch.Report
	if s.trainSource, found, err = look(s.trainData, "images to train on", &train); err != nil {
		return nil, nil, err
	}
	if found.Raw {
		if n := len(c.Normalize.Mean); n != 0 && n != found.Channels {
			return nil, nil, fmt.Errorf("normalize has %s, but the images have %d", show.Count(n, "channel"), found.Channels)
		}
		c.Channels, c.Data.Values, s.limits.Values = found.Channels, recipe.Raw, recipe.Raw
		s.trainData.Notes = append(s.trainData.Notes, leftOut(*c)...)
	}
	if c.Channels == 0 {
		c.Channels = found.Channels
		switch n := len(c.Normalize.Mean); {
		case n == 0:
		case n != 1 && n != 3:
			return nil, nil, fmt.Errorf("normalize has %d channels, but the images are pictures, which have 1 or 3", n)
		default:
			c.Channels = n
			s.trainSource = batch.NewSource(s.trainData, s.options(s.trainData, c))
		}
	}
	if len(c.Normalize.Mean) == 0 {
		c.Normalize = recipe.Normalize{Mean: found.Mean, Std: found.Std}
	}
	if s.testData != nil {
		if s.testSource, _, err = look(s.testData, "images to score on", &test); err != nil {
			return nil, nil, err
		}
	}
	return train, test, nil
}

// leftOut says what of the views has no meaning for images that are no pictures.
func leftOut(c recipe.Config) []string {
	var all []string
	for _, v := range c.Views {
		for _, what := range v.LeftOut() {
			if !slices.Contains(all, what) {
				all = append(all, what)
			}
		}
	}
	if len(all) == 0 {
		return nil
	}
	return []string{fmt.Sprintf("the images are no pictures, so the views leave out what means colours: %s", strings.Join(all, ", "))}
}

func (s *images) without(c recipe.Config, train, test []checkpoint.Bad) {
	open := func(d *dataset.Dataset, bad []checkpoint.Bad) *batch.Source {
		bads := names(bad)
		var drop []int
		for i, item := range d.Items {
			if bads[item.Name] {
				drop = append(drop, i)
			}
		}
		d.Remove(drop)
		return batch.NewSource(d, s.options(d, &c))
	}
	s.trainSource = open(s.trainData, train)
	if s.testData != nil {
		s.testSource = open(s.testData, test)
	}
}

func (s *images) unscored() string {
	if s.testData == nil || method.Distinct(s.trainData.Labels()) {
		return ""
	}
	s.testData, s.testSource = nil, nil
	return "the training images are all of one class, so there will be no scores"
}

func (s *images) batches(c recipe.Config, o batch.Order, memory batch.Memory) (*batch.Loader, error) {
	return s.trainSource.Train(batch.Config{Order: o, Views: c.Crops(), Batch: c.Batch,
		Mean: c.Normalize.Mean, Std: c.Normalize.Std, Workers: c.Workers, Ahead: c.Ahead(), Memory: memory})
}

func (s *images) inputs(e *pretrained.Embedder, branch, most int, late []checkpoint.Bad) (train,
	test pretrained.Input) {
	bad := names(late)
	input := func(source *batch.Source) pretrained.Input {
		items := source.Data().Items
		return e.Images(source, spread(len(items), most,
			func(i int) bool { return items[i].Label >= 0 && !bad[items[i].Name] }))
	}
	return input(s.trainSource), input(s.testSource)
}

func (s *images) retrieval() retrieval { return nil }
