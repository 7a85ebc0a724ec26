package pretrained

import (
	"context"
	"errors"
	"fmt"
	"math"

	"vicreg/internal/batch"
	"vicreg/internal/eval"
	"vicreg/internal/model"
	"vicreg/internal/nn"
	"vicreg/internal/pairs"
	"vicreg/internal/runlog"
)

// Sighting is how an encoder sees the views of some items.
type Sighting struct {
	runlog.Sight
	Chance float64 // of R1
	Items  int
	Views  int            // of each, 0 of pairs
	Layers *runlog.Layers // what was seen, measured; nil: it was not
}

// Views are images and how two views of each are drawn, by which encoders are judged
// without labels.
type Views struct {
	Source *batch.Source
	Items  []int
	Views  [2]batch.View
	Seed   uint64
	Rounds int // how often both are drawn
}

// MostJudged is how many items an encoder is judged by at most: few enough to take
// seconds, many enough to be hard to tell apart.
const MostJudged = 256

// NewViews returns the first two kinds of views of at most MostJudged of the images of
// a source that items lists (nil: all), spread evenly.
func NewViews(s *batch.Source, items []int, kinds []batch.View, seed uint64) Views {
	v := NewViewsOf(s, items, kinds, seed, MostJudged)
	v.Rounds = Rounds(len(v.Items))
	return v
}

// NewViewsOf is NewViews of at most so many images, each kind once.
func NewViewsOf(s *batch.Source, items []int, kinds []batch.View, seed uint64, most int) Views {
	v := Views{Source: s, Views: [2]batch.View{kinds[0], kinds[min(1, len(kinds)-1)]}, Seed: seed, Rounds: 1}
	n := len(items)
	if items == nil {
		n = len(s.Data().Items)
	}
	for i := range min(n, most) {
		at := i * n / min(n, most)
		if items != nil {
			at = items[at]
		}
		v.Items = append(v.Items, at)
	}
	return v
}

// Of returns an Embedder as this one, of another encoder without an expander, which it
// takes to the same device; free gives that memory back.
func (e *Embedder) Of(encoder model.Encoder) (other *Embedder, free func(), err error) {
	return e.With(encoder, nil)
}

// With is Of with a head, which goes to the device as well; it may be nil.
func (e *Embedder) With(encoder model.Encoder, head *model.Expander) (other *Embedder, free func(), err error) {
	o := *e
	o.Encoder, o.Expander, o.Head, o.engine = encoder, nil, head, nil
	d := model.DeviceOf(e.Encoder)
	var arena *nn.Arena // of its own
	if o.Arena == nil && !d.Shared() {
		arena = nn.NewArena(d)
		o.Arena = arena
	}
	free, err = bring(encoder, head, arena, d)
	return &o, free, err
}

// Rounds is how often views of so many images are drawn: of few images more often, so
// that chance averages out.
func Rounds(items int) int { return max(1, (MostJudged/2+items-1)/max(1, items)) }

// Sight returns how an encoder sees views of images.
func (e *Embedder) Sight(ctx context.Context, v Views) (s Sighting, err error) {
	s.Items = len(v.Items)
	rounds := v.Rounds
	s.Views = 2 * rounds
	d := e.Dim()
	var all, heads []float32
	one := *e
	if e.Measure {
		one.heads = &heads
	}
	defer func() { e.Arena = one.Arena }()
	for round := range rounds {
		var x [2][]float32
		for i := range x {
			if e.Progress != nil {
				one.Progress = func(done, _ int) { e.Progress((2*round+i)*s.Items+done, 2*rounds*s.Items) }
			}
			if x[i], err = one.Embed(ctx, e.view(v, round, i)); err != nil {
				return s, err
			}
		}
		ab, ba, err := eval.Retrieval(ctx, eval.Pairs{A: x[0], B: x[1], D: d})
		if err != nil {
			return s, err
		}
		s.R1 += (ab.At[0] + ba.At[0]) / float64(2*rounds)
		s.Chance = ab.Chance[0]
		all = append(append(all, x[0]...), x[1]...)
	}
	s.Rank, s.Std = eval.Spread(all, d)
	if err := s.finite(ctx); err != nil || !e.Measure {
		return s, err
	}
	return s, s.measure(ctx, all, heads, e)
}

// measure fills in the layers from features and what a head made of them.
func (s *Sighting) measure(ctx context.Context, features, heads []float32, e *Embedder) (err error) {
	s.Layers = new(runlog.Layers)
	if s.Layers.Representation, err = eval.Measure(features, s.Items, e.Dim()); err != nil || e.Head == nil {
		return err
	}
	if i, ok := notFinite(heads); ok {
		return fmt.Errorf("number %d of an embedding is %v: the expander is broken", i%e.Head.Dim()+1, heads[i])
	}
	m, err := eval.Measure(heads, s.Items, e.Head.Dim())
	s.Layers.Embedding = &m
	if err == nil {
		err = ctx.Err()
	}
	return err
}

// finite is an error if there is no rank, or ctx's.
func (s *Sighting) finite(ctx context.Context) error {
	if math.IsNaN(s.Rank) || math.IsNaN(s.Std) {
		return errors.New("the rank of the features of views is no number")
	}
	return ctx.Err()
}

// view is one of the two views of all images.
func (e *Embedder) view(v Views, round, which int) Input {
	in := e.Images(v.Source, v.Items)
	in.Load = func(m batch.Memory) *batch.Loader {
		return v.Source.Views(batch.ViewsConfig{Items: v.Items, View: v.Views[which], Which: which, Round: round,
			Seed:  v.Seed,
			Batch: e.Batch, Mean: e.Mean, Std: e.Std, Workers: e.Workers, Memory: m})
	}
	return in
}

// SightOfPairs returns how the two encoders of a run on pairs, each with its expander,
// see the rows of a source that items lists.
func SightOfPairs(ctx context.Context, sides [2]*Embedder, source *pairs.Source, items []int) (s Sighting, err error) {
	found, p, err := retrieve(ctx, sides, source, items)
	if err != nil {
		return s, err
	}
	s.Items = len(items)
	s.R1, s.Chance = (found.AToB.R1+found.BToA.R1)/2, (found.AToB.Chance1+found.BToA.Chance1)/2
	s.Rank, s.Std = eval.Spread(p.A, p.D)
	if rank, std := eval.Spread(p.B, p.D); rank < s.Rank { // whichever has come closer to collapse
		s.Rank, s.Std = rank, std
	}
	return s, s.finite(ctx)
}
