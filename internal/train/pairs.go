package train

import (
	"context"
	"fmt"
	"os"
	"slices"

	"vicreg/internal/augment"
	"vicreg/internal/batch"
	"vicreg/internal/checkpoint"
	"vicreg/internal/dataset"
	"vicreg/internal/method"
	"vicreg/internal/pairs"
	"vicreg/internal/pretrained"
	"vicreg/internal/recipe"
	"vicreg/internal/runlog"
)

// pairing is a corpus of pairs: a view is a side of a row.
type pairing struct {
	trainData, testData     *pairs.Data // testData is nil if nothing is held out
	trainSource, testSource *pairs.Source
	found                   []string // notes of the scan
	labelled                bool
}

func (s *pairing) list(c recipe.Config) (err error) {
	p, d := c.Pairs, c.Data
	s.trainData, s.testData, err = pairs.Open(d.Source, c.Sides(),
		pairs.Options{Label: p.Label, Split: p.Split, Holdout: d.Holdout, Limit: d.Limit,
			Images: d.Limits(), Most: d.MaxBad})
	s.labelled = p.Label != ""
	return err
}

func (s *pairing) fingerprint() string {
	sum := s.trainData.Fingerprint()
	if s.testData != nil {
		sum += "+" + s.testData.Fingerprint()
	}
	return sum
}

func (s *pairing) files() dataset.Files { return pairs.FilesOf(s.trainData, s.testData) }

// readable reports whether a file exists and is not empty: what it should hold depends
// on the side.
func (s *pairing) readable(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Size() > 0
}

func (s *pairing) name() string    { return s.trainData.Name }
func (s *pairing) kind() string    { return "pairs" }
func (s *pairing) len() int        { return len(s.trainData.Rows) }
func (s *pairing) notes() []string { return slices.Concat(s.trainData.Notes, s.found) }

func (s *pairing) labels() ([]int, int) {
	return s.trainData.Labels(), len(s.trainData.Classes)
}

func (s *pairing) scored() int {
	if s.testData == nil || !s.labelled {
		return 0
	}
	return len(s.testData.Rows)
}

func (s *pairing) retrieved() int {
	if s.testData == nil {
		return 0
	}
	return len(s.testData.Rows)
}

func (s *pairing) views(c recipe.Config) string {
	sides := c.Sides()
	about := fmt.Sprintf("a %s\n         b %s", sides[0].About(), sides[1].About())
	if s.testData != nil && !s.labelled {
		about += fmt.Sprintf("\n         %d pairs are kept for retrieval", len(s.testData.Rows))
	}
	return about
}

// scan resolves both sides.
func (s *pairing) scan(ctx context.Context, c *recipe.Config, progress func(done, total int)) (train,
	test []checkpoint.Bad, err error) {
	o := pairs.ScanOptions{Workers: c.Workers, Progress: progress, Parts: pairs.NewParts(s.trainData, s.testData),
		Part: "rows to train on"}
	s.trainSource = pairs.NewSource(s.trainData, c.Sides(), 0)
	found, err := s.trainSource.Scan(ctx, o)
	if err != nil {
		return nil, nil, err
	}
	s.found = found.Notes
	sides := s.trainSource.Sides()
	resolved := *c.Pairs
	resolved.A, resolved.B = sides[0], sides[1]
	c.Pairs = &resolved
	if err := alike(c); err != nil {
		return nil, nil, err
	}
	if s.testData != nil {
		s.testSource = pairs.NewSource(s.testData, sides, 0)
		o.Part = "rows to score on"
		held, err := s.testSource.Scan(ctx, o)
		if err != nil {
			return nil, nil, err
		}
		test = badItems(held.Bad)
		s.found = append(s.found, held.Notes...)
	}
	return badItems(found.Bad), test, nil
}

// alike returns an error if one network has to read both sides, which are resolved, and
// their views have different shapes.
func alike(c *recipe.Config) error {
	sides := c.Sides()
	if a, b := sides[0].Shape(), sides[1].Shape(); !c.Separate() && !slices.Equal(a, b) {
		return fmt.Errorf("branches are shared, but a view of %s is of shape %v and one of %s of %v; set branches to separate", &sides[0], a, &sides[1], b)
	}
	return nil
}

func (s *pairing) without(c recipe.Config, train, test []checkpoint.Bad) {
	open := func(d *pairs.Data, bad []checkpoint.Bad) *pairs.Source {
		var names []string
		for _, b := range bad {
			names = append(names, b.Name)
		}
		d.Remove(names)
		return pairs.NewSource(d, c.Sides(), 0)
	}
	s.trainSource = open(s.trainData, train)
	if s.testData != nil {
		s.testSource = open(s.testData, test)
	}
}

func (s *pairing) unscored() string {
	if s.scored() == 0 || method.Distinct(s.trainData.Labels()) {
		return ""
	}
	s.labelled = false
	return "the training pairs are all of one class, so there will be no scores"
}

func (s *pairing) batches(c recipe.Config, o batch.Order, memory batch.Memory) (*batch.Loader, error) {
	var views []augment.View
	for _, v := range c.Crops() {
		views = append(views, v.View)
	}
	return s.trainSource.Train(pairs.Config{Order: o, Images: views, Batch: c.Batch, Workers: c.Workers,
		Ahead: c.Ahead(), Memory: memory})
}

func (s *pairing) inputs(e *pretrained.Embedder, branch, most int, late []checkpoint.Bad) (train,
	test pretrained.Input) {
	return e.Pairs(s.trainSource, branch, good(s.trainSource, most, late)),
		e.Pairs(s.testSource, branch, good(s.testSource, most, late))
}

// good returns rows of a source as corpus.inputs does.
func good(s *pairs.Source, most int, late []checkpoint.Bad) []int {
	bad := names(late)
	d := s.Data()
	return spread(len(d.Rows), most, func(i int) bool { return !bad[d.RowName(i)] })
}

func (s *pairing) retrieval() retrieval {
	if s.testData == nil {
		return nil
	}
	return func(ctx context.Context, sides [2]*pretrained.Embedder, late []checkpoint.Bad) (*runlog.Retrieval, error) {
		return pretrained.Retrieve(ctx, sides, s.testSource, good(s.testSource, 0, late))
	}
}
