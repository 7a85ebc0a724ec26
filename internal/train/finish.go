package train

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"vicreg/internal/batch"
	"vicreg/internal/checkpoint"
	"vicreg/internal/eval"
	"vicreg/internal/host"
	"vicreg/internal/model"
	"vicreg/internal/pretrained"
	"vicreg/internal/runlog"
)

// finish writes the model, scores it and writes the summary, which is nil where another
// process does so.
func (r *run) finish(ctx context.Context) (s *runlog.Summary, err error) {
	err = r.only(func() (err error) {
		s, err = r.conclude(ctx)
		return err
	})
	if errors.Is(err, ErrInterrupted) {
		err = r.interrupt()
	}
	return s, err
}

func (r *run) conclude(ctx context.Context) (*runlog.Summary, error) {
	r.report.Phase("saving the model")
	if err := r.saveModel(); err != nil {
		return nil, err
	}
	s, err := r.summary()
	if err == nil {
		err = r.seal(s)
	}
	if err != nil {
		return nil, err
	}
	told := "" // why there are no scores
	if r.corpus.scored() > 0 {
		score := r.score
		if r.config.Tune != nil {
			score = r.grade
		}
		err := score(ctx, s)
		if ctx.Err() != nil {
			return nil, ErrInterrupted
		}
		if failure(err) {
			return nil, err
		}
		if err != nil {
			told = err.Error()
			err = r.warn("the encoder is trained and saved, but has no scores: %s", told)
		}
		if err != nil {
			return nil, err
		}
	}
	if err := r.retrieve(ctx, s); ctx.Err() != nil {
		return nil, ErrInterrupted
	} else if failure(err) {
		return nil, err
	} else if err != nil {
		if err := r.warn("the encoders are trained and saved, but retrieval failed: %s", err); err != nil {
			return nil, err
		}
	}
	if err := r.judge(ctx, s); ctx.Err() != nil {
		return nil, ErrInterrupted
	} else if failure(err) {
		return nil, err
	} else if err != nil && err.Error() != told {
		if err := r.warn("the encoder is trained and saved, but has no verdict: %s", err); err != nil {
			return nil, err
		}
	}
	s.Seconds = r.clock.elapsed()
	s.PeakRSSMiB = host.PeakRSS()
	s.Finished = time.Now().UTC().Round(time.Second)
	mark, err := r.sync()
	if err != nil {
		return nil, err
	}
	s.Notes, s.Files[runlog.MetricsFile] = r.at.Notes, mark.Sum
	if err := runlog.WriteSummary(r.folder, s); err != nil {
		return nil, fmt.Errorf("%w; %s", err, r.lastGood())
	}
	r.report.Done(*s)
	return s, nil
}

// seal records in a summary the checksums of the files that the run ends with. The log
// is left out, as scoring may still write to it.
func (r *run) seal(s *runlog.Summary) error {
	s.Files = map[string]string{runlog.ConfigFile: r.at.ConfigSum}
	names := append([]string{runlog.CheckpointFile}, runlog.ModelFiles[:len(r.method.Branches())]...)
	for _, name := range names {
		sum, err := runlog.Sum(r.folder, name)
		if err != nil {
			return fmt.Errorf("cannot read %s: %w; %s", r.file(name), err, r.lastGood())
		}
		s.Files[name] = sum
	}
	return nil
}

// summary is what is known before scoring.
func (r *run) summary() (*runlog.Summary, error) {
	c := r.config
	last := r.at.Last
	if last == nil { // an older version wrote the checkpoint
		m, err := runlog.ReadMetrics(r.folder)
		if err != nil {
			return nil, err
		}
		if len(m.Epochs) == 0 {
			return nil, fmt.Errorf("%s has no epoch", r.file(runlog.MetricsFile))
		}
		last = &m.Epochs[len(m.Epochs)-1]
	}
	s := &runlog.Summary{
		Method: c.Method, Dataset: r.corpus.name(), Images: r.corpus.len(), Epochs: c.Epochs, Steps: r.at.Steps,
		Loss: last.Loss, Terms: last.Terms,
		EmbeddingStd: last.EmbeddingStd, Correlation: last.Correlation, Rank: last.Rank, Collapsed: last.Collapsed,
		TrainSeconds: r.at.TrainSeconds, ImagesPerSecond: per(float64(r.at.Steps*c.Batch), r.at.TrainSeconds),
		WaitShare:  per(r.at.WaitSeconds, r.at.TrainSeconds),
		Parameters: model.Count(r.method.Branches()[0].Encoder.Params()),
		Notes:      r.at.Notes, Variants: r.at.Variants, Device: r.computer(), Version: host.Version(),
		Started: r.at.Started,
	}
	for _, bad := range [][]checkpoint.Bad{r.at.BadTrain, r.at.BadTest, r.at.BadLate} {
		s.BadImages += len(bad)
		for _, b := range bad {
			s.Bad = append(s.Bad, b.Reason)
		}
	}
	return s, nil
}

// score fills in the scores of the trained encoders and of the untrained ones.
func (r *run) score(ctx context.Context, s *runlog.Summary) error {
	branches := r.method.Branches()
	for i := range branches {
		untrained, err := r.newEncoder(i)
		if err != nil {
			return err
		}
		e := r.embedders[i]
		named := func(what string) string {
			if len(branches) > 1 {
				what = "branch " + branchNames[i] + ": " + what
			}
			return what
		}
		phase := func(what string) {
			what = named(what)
			r.report.Phase(what)
			e.Progress = r.progress(what)
		}
		train, test := r.corpus.inputs(e, i, 0, r.at.BadLate)
		how, tell := r.scoring(), r.counted()
		how.Progress = func(what string, done, total int) {
			if total > 0 {
				tell(named(what), done, total)
			}
		}
		got, err := e.Score(ctx, untrained, train, test, how, phase)
		if err != nil {
			return err
		}
		if note := got.Trained.Note; note != "" {
			if err := r.warn("%s", note); err != nil {
				return err
			}
		}
		if below := eval.BelowUntrained(got.Trained, got.Untrained, r.training()); below != "" {
			below = named(below)
			if !slices.Contains(r.at.Notes, below) {
				r.at.Notes = append(r.at.Notes, below)
			}
			if err := r.warn("%s", below); err != nil {
				return err
			}
		}
		scores := &s.Scores
		if i == 1 {
			s.BranchB = new(runlog.Scores)
			scores = s.BranchB
		}
		scores.KNN, scores.Linear, scores.Scored = &got.Trained.KNN, &got.Trained.Linear, got.Trained.Test
		scores.RandomInitKNN, scores.RandomInitLinear = &got.Untrained.KNN, &got.Untrained.Linear
	}
	return nil
}

// retrieve fills in how well the pairs held out find each other.
func (r *run) retrieve(ctx context.Context, s *runlog.Summary) error {
	find := r.corpus.retrieval()
	if find == nil {
		return nil
	}
	what := "retrieval"
	r.report.Phase(what)
	var sides [2]*pretrained.Embedder
	branches := r.method.Branches()
	for i := range sides {
		b := min(i, len(branches)-1)
		e := *r.embedders[b]
		e.Expander, e.Progress = branches[b].Expander, r.progress(what)
		sides[i] = &e
	}
	found, err := find(ctx, sides, r.at.BadLate)
	if err == nil {
		s.Retrieval = found
	}
	return err
}

// training is what the run was, for a judgement of its scores.
func (r *run) training() eval.Training {
	c := r.config
	t := eval.Training{Method: c.Method, Images: r.corpus.len(), Batch: c.Batch, Steps: r.at.Steps,
		BaseRate: c.Optimizer.BaseLR}
	if r.at.Last != nil {
		t.Collapsed = r.at.Last.Collapsed
	}
	return t
}

func (r *run) scoring() eval.Options {
	return eval.Options{K: r.config.Eval.K, Temperature: r.config.Eval.Temperature}
}

// knn scores the first branch's encoder as it is now, on part of the items.
func (r *run) knn(ctx context.Context) (float64, error) {
	r.report.Phase("nearest neighbours")
	e := r.embedders[0]
	in, held := r.corpus.inputs(e, 0, r.config.Eval.Limit, r.at.BadLate)
	train, err := e.Set(ctx, in)
	if err != nil {
		return 0, err
	}
	test, err := e.Set(ctx, held)
	if err != nil {
		return 0, err
	}
	return eval.KNN(ctx, train, test, r.scoring())
}

// takeBad warns of images that have turned bad since the run started.
func (r *run) takeBad(late []checkpoint.Bad) error {
	for _, b := range late {
		r.at.BadLate = append(r.at.BadLate, b)
		if err := r.warn("one of the "+r.corpus.kind()+" turned bad and is replaced by its neighbour: %s", b.Reason); err != nil {
			return err
		}
	}
	if r.processes().Size() == 1 { // the loader has counted them
		return nil
	}
	all := batch.Tally{Total: r.corpus.len(), Kind: r.corpus.kind(), Most: r.config.Data.MaxBad}
	var bad []batch.Bad
	for _, b := range r.at.BadLate {
		bad = append(bad, batch.Bad{Name: b.Name, Err: errors.New(b.Reason)})
	}
	return all.Add(all.Total, bad)
}
