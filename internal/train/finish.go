package train

import (
	"context"
	"fmt"
	"time"

	"vicreg/internal/batch"
	"vicreg/internal/checkpoint"
	"vicreg/internal/eval"
	"vicreg/internal/host"
	"vicreg/internal/method"
	"vicreg/internal/model"
	"vicreg/internal/pretrained"
	"vicreg/internal/runlog"
)

// finish writes the model, scores it and writes the summary.
func (r *run) finish(ctx context.Context) (*runlog.Summary, error) {
	r.report.Phase("saving the model")
	if err := r.saveModel(); err != nil {
		return nil, err
	}
	s, err := r.summary()
	if err != nil {
		return nil, err
	}
	if r.testData != nil {
		err := r.score(ctx, s)
		if ctx.Err() != nil {
			return nil, r.interrupt()
		}
		if err != nil {
			err = r.warn("the encoder is trained and saved, but has no scores: %s", err)
		}
		if err != nil {
			return nil, err
		}
	}
	s.Seconds = r.clock.elapsed()
	s.PeakRSSMiB = host.PeakRSS()
	s.Finished = time.Now().UTC().Round(time.Second)
	if err := runlog.WriteSummary(r.folder, s); err != nil {
		return nil, fmt.Errorf("%w; %s", err, r.lastGood())
	}
	r.report.Done(*s)
	return s, nil
}

// summary is what is known before scoring.
func (r *run) summary() (*runlog.Summary, error) {
	c := r.config
	m, err := runlog.ReadMetrics(r.folder)
	if err != nil {
		return nil, err
	}
	if len(m.Epochs) == 0 {
		return nil, fmt.Errorf("%s has no epoch", r.file(runlog.MetricsFile))
	}
	last := m.Epochs[len(m.Epochs)-1]
	s := &runlog.Summary{
		Method: c.Method, Dataset: r.trainData.Name, Images: len(r.trainData.Items), Epochs: c.Epochs, Steps: r.at.Steps,
		Loss: last.Loss, Terms: last.Terms,
		EmbeddingStd: last.EmbeddingStd, Correlation: last.Correlation, Rank: last.Rank, Collapsed: last.Collapsed,
		TrainSeconds: r.at.TrainSeconds, ImagesPerSecond: per(float64(r.at.Steps*c.Batch), r.at.TrainSeconds),
		WaitShare: per(r.at.WaitSeconds, r.at.TrainSeconds), Parameters: model.Count(r.method.Encoder().Params()),
		Version: host.Version(), Started: r.at.Started,
	}
	for _, bad := range [][]checkpoint.Bad{r.at.BadTrain, r.at.BadTest, r.at.BadLate} {
		s.BadImages += len(bad)
		for _, b := range bad {
			s.Bad = append(s.Bad, b.Reason)
		}
	}
	return s, nil
}

// score fills in the scores of the trained encoder and of the untrained one.
func (r *run) score(ctx context.Context, s *runlog.Summary) error {
	untrained, err := method.NewEncoder(method.EncoderConfig(r.config), r.config.Seed)
	if err != nil {
		return err
	}
	phase := func(what string) {
		r.report.Phase(what)
		r.embedder.Progress = r.progress(what)
	}
	got, err := r.embedder.Score(ctx, untrained, r.good(r.trainSource, 0), r.good(r.testSource, 0), r.scoring(), phase)
	if err != nil {
		return err
	}
	s.KNN, s.Linear = &got.Trained.KNN, &got.Trained.Linear
	s.RandomInitKNN, s.RandomInitLinear = &got.Untrained.KNN, &got.Untrained.Linear
	return nil
}

func (r *run) scoring() eval.Options {
	return eval.Options{K: r.config.Eval.K, Temperature: r.config.Eval.Temperature}
}

// knn scores the encoder as it is now, on part of the images.
func (r *run) knn(ctx context.Context) (float64, error) {
	r.report.Phase("nearest neighbours")
	train, err := r.embedder.Set(ctx, r.good(r.trainSource, r.config.Eval.Limit))
	if err != nil {
		return 0, err
	}
	test, err := r.embedder.Set(ctx, r.good(r.testSource, r.config.Eval.Limit))
	if err != nil {
		return 0, err
	}
	return eval.KNN(train, test, r.scoring())
}

// good returns most images of a source (0: all), spread evenly, without those
// that have turned bad.
func (r *run) good(s *batch.Source, most int) pretrained.Images {
	bad := map[string]bool{}
	for _, b := range r.at.BadLate {
		bad[b.Name] = true
	}
	var items []int
	for i, item := range s.Data().Items {
		if !bad[item.Name] {
			items = append(items, i)
		}
	}
	if n := len(items); 0 < most && most < n {
		for i := range most {
			items[i] = items[i*n/most]
		}
		items = items[:most]
	}
	return pretrained.Images{Source: s, Items: items}
}

// takeBad warns of images that have turned bad since the run started.
func (r *run) takeBad(late []batch.Bad) error {
	if len(late) == 0 {
		return nil
	}
	known := map[string]bool{}
	for _, b := range r.at.BadLate {
		known[b.Name] = true
	}
	for _, b := range badImages(late) {
		if known[b.Name] {
			continue
		}
		r.at.BadLate = append(r.at.BadLate, b)
		if err := r.warn("an image turned bad and is replaced by its neighbour: %s", b.Reason); err != nil {
			return err
		}
	}
	return nil
}

func badImages(list []batch.Bad) []checkpoint.Bad {
	var out []checkpoint.Bad
	for _, b := range list {
		out = append(out, checkpoint.Bad{Name: b.Name, Reason: b.Err.Error()})
	}
	return out
}
