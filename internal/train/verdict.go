package train

import (
	"context"

	"vicreg/internal/checkpoint"
	"vicreg/internal/eval"
	"vicreg/internal/method"
	"vicreg/internal/model"
	"vicreg/internal/pretrained"
	"vicreg/internal/recipe"
	"vicreg/internal/reckon"
	"vicreg/internal/runlog"
)

// looks is of how many items, each as often as it counts, two views are seen each time
// the encoder is looked at.
func (r *run) looks() int {
	if r.config.Tune != nil { // its classifier tells
		return 0
	}
	n := r.corpus.judges()
	if r.config.Pairs != nil {
		return n
	}
	return n * pretrained.Rounds(n)
}

// due reports whether the encoder is looked at, for the trend, at the end of an
// epoch, counted from 1.
func (r *run) due(epoch int) bool {
	items := r.looks()
	if items == 0 {
		return false
	}
	looks := eval.Looks(r.config.Epochs, r.corpus.len(), items)
	return epoch*looks/r.config.Epochs > (epoch-1)*looks/r.config.Epochs
}

// watch fills in what the encoder is worth at the end of an epoch: its score, how it
// sees views, or both. The last look is measured.
func (r *run) watch(ctx context.Context, e *runlog.Epoch, score, look bool) error {
	if score && r.config.Tune != nil {
		o, err := r.classify(ctx, r.config.Eval.Limit)
		if err != nil {
			return err
		}
		e.Classified = classified(o)
	} else if score {
		knn, err := r.knn(ctx)
		if err != nil {
			return err
		}
		e.KNN = &knn
	}
	if look {
		last := e.Epoch == r.config.Epochs
		found, err := r.sight(ctx, r.viewers, last)
		if err != nil {
			return err
		}
		e.Views = &found.Sight
		if last {
			r.layers = found.Layers
		}
	}
	return nil
}

// sight returns how encoders, by branch, see views, which are measured if that is asked
// for.
func (r *run) sight(ctx context.Context, viewers []*pretrained.Embedder, measure bool) (pretrained.Sighting, error) {
	what := "looking at views"
	r.report.Phase(what)
	for _, v := range viewers {
		v.Progress, v.Measure = r.progress(what), measure
	}
	return r.corpus.sight(ctx, r.config, viewers, r.at.BadLate)
}

// newViewers returns what the encoders look through, by branch.
func (r *run) newViewers() (all []*pretrained.Embedder) {
	for i, e := range r.embedders {
		v := *e
		v.Batch = min(r.config.Batch, reckon.Viewed(r.config.Size))
		switch expander := r.method.Branches()[i].Expander; {
		case r.config.Pairs != nil:
			v.Expander = expander
		case !pretrained.Classifies(r.config.Method):
			v.Head = expander
		}
		all = append(all, &v)
	}
	return all
}

// judge fills in the verdict on a run, and what its features tell without labels.
func (r *run) judge(ctx context.Context, s *runlog.Summary) error {
	if r.looks() == 0 {
		return nil
	}
	j := r.judgement(s)
	j.HeldOut = r.corpus.heldOut()
	images := r.config.Pairs == nil
	var before pretrained.Sighting
	if images {
		var err error
		if before, err = r.untrained(ctx); err != nil {
			return err
		}
		j.Untrained, j.Chance, j.Items = &before.Sight, before.Chance, before.Items
	}
	if n := len(j.Trend); n > 0 && j.Trend[n-1].Step == r.at.Steps && j.Items > 0 {
		j.Trained = j.Trend[n-1].Sight
	} else {
		now, err := r.sight(ctx, r.viewers, images)
		if err != nil {
			return err
		}
		j.Trained, j.Chance, j.Items, r.layers = now.Sight, now.Chance, now.Items, now.Layers
	}
	s.Verdict = new(eval.Judge(j))
	if !images {
		return nil
	}
	if r.layers == nil { // an earlier process had the last look
		now, err := r.sight(ctx, r.viewers, true)
		if err != nil {
			return err
		}
		r.layers = now.Layers
	}
	s.Unlabelled = &runlog.Unlabelled{Trained: *r.layers, Untrained: *before.Layers, Images: before.Items,
		Views: before.Views, HeldOut: j.HeldOut}
	return nil
}

// newEncoder builds the encoder of a branch as it was before training, to be compared with what it
// has become: it computes with numbers of the same precision.
func (r *run) newEncoder(branch int) (model.Encoder, error) {
	e, err := method.NewEncoder(method.EncoderConfig(r.config, branch), r.config.Seed, branch)
	if err == nil {
		e.SetPrecision(method.Precision(r.config))
	}
	return e, err
}

// untrained returns how the encoder of images saw views before any training.
func (r *run) untrained(ctx context.Context) (s pretrained.Sighting, err error) {
	encoder, err := r.newEncoder(0)
	if err != nil {
		return s, err
	}
	var head *model.Expander
	if r.viewers[0].Head != nil {
		if head, err = method.NewExpander(encoder.Dim(), r.config.Projector(0), r.config.Seed, 0); err != nil {
			return s, err
		}
	}
	other, free, err := r.viewers[0].With(encoder, head)
	if err != nil {
		return s, err
	}
	defer free()
	return r.sight(ctx, []*pretrained.Embedder{other}, true)
}

// judgement is what a run is judged by, but for how its encoder sees views.
func (r *run) judgement(s *runlog.Summary) eval.Judgement {
	j := eval.Judgement{Training: r.training(), Epochs: r.config.Epochs, Trend: r.at.Trend}
	if r.config.Method == "vicreg" {
		j.Mu = r.config.Loss.Mu
	}
	if s.KNN != nil && s.Linear != nil {
		j.Scores = &[2]eval.Scores{{KNN: *s.KNN, Linear: *s.Linear},
			{KNN: *s.RandomInitKNN, Linear: *s.RandomInitLinear}}
	}
	return j
}

func (s *images) heldOut() bool { return s.testData != nil }

func (s *images) judges() int {
	n := min(pretrained.MostJudged, len(s.trainData.Items))
	if s.testData != nil {
		n = min(pretrained.MostJudged, len(s.testData.Items))
	}
	if n < 2 {
		return 0
	}
	return n
}

func (s *images) sight(ctx context.Context, c recipe.Config, viewers []*pretrained.Embedder,
	late []checkpoint.Bad) (pretrained.Sighting, error) {
	source, bad := s.trainSource, names(late)
	if s.testData != nil { // to score on
		source = s.testSource
	}
	all := source.Data().Items
	v := pretrained.NewViews(source, spread(len(all), 0, func(i int) bool { return !bad[all[i].Name] }), c.Crops(),
		c.Seed)
	return viewers[0].Sight(ctx, v)
}

func (s *pairing) heldOut() bool { return true }

func (s *pairing) judges() int {
	if s.testData == nil || len(s.testData.Rows) < 2 {
		return 0
	}
	return min(pretrained.MostJudged, len(s.testData.Rows))
}

func (s *pairing) sight(ctx context.Context, c recipe.Config, viewers []*pretrained.Embedder,
	late []checkpoint.Bad) (pretrained.Sighting, error) {
	sides := [2]*pretrained.Embedder{viewers[0], viewers[len(viewers)-1]}
	return pretrained.SightOfPairs(ctx, sides, s.testSource, good(s.testSource, pretrained.MostJudged, late))
}
