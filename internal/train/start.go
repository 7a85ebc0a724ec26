package train

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"vicreg/internal/batch"
	"vicreg/internal/checkpoint"
	"vicreg/internal/dataset"
	"vicreg/internal/method"
	"vicreg/internal/model"
	"vicreg/internal/optim"
	"vicreg/internal/parallel"
	"vicreg/internal/pretrained"
	"vicreg/internal/recipe"
	"vicreg/internal/runlog"
)

// Options change how a run works, not what it computes.
type Options struct {
	Reporter         Reporter
	Threads, Workers int // override the configuration's unless 0
}

// run is a run in progress.
type run struct {
	config recipe.Config
	folder string
	report Reporter
	log    *runlog.Log

	trainData, testData     *dataset.Dataset // testData is nil without labels
	trainSource, testSource *batch.Source
	steps                   int // in an epoch

	method    method.Method
	optimizer optim.Optimizer
	grads     *gradNorm
	recent    recent
	embedder  *pretrained.Embedder

	at        checkpoint.State // where the run stands
	clock     clock
	saved     time.Time // when the last checkpoint was written,
	savedStep int       // and after which step; -1: there is none
}

// Pretrain makes a folder and does in it what c says, from the start to the
// summary.
func Pretrain(ctx context.Context, c recipe.Config, o Options) (folder string, s *runlog.Summary, err error) {
	if err := c.Validate(); err != nil {
		return "", nil, err
	}
	c.Data.Source = absolute(c.Data.Source)
	r := newRun(c, o)
	if err := r.list(); err != nil { // before there is a folder
		return "", nil, err
	}
	if r.folder, err = newFolder(&c); err != nil {
		return "", nil, err
	}
	unlock, err := runlog.Lock(r.folder)
	if err != nil {
		return "", nil, err
	}
	defer unlock()
	if err := unused(r.folder); err != nil {
		return "", nil, err
	}
	if err := r.writeConfig(); err != nil {
		return r.folder, nil, err
	}
	s, err = r.do(ctx)
	return r.folder, s, err
}

// Resume goes on with the run in folder from its last checkpoint, or from its
// start if it had not come to one.
func Resume(ctx context.Context, folder string, o Options) (*runlog.Summary, error) {
	path := filepath.Join(folder, runlog.ConfigFile)
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%s holds no run to go on with: it has no %s", folder, runlog.ConfigFile)
	}
	c, err := recipe.ReadFile(path)
	if err != nil {
		return nil, err
	}
	if err := c.Validate(); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	r := newRun(c, o)
	r.folder = folder
	if s, err := runlog.ReadSummary(folder); err == nil { // it has ended
		r.report.Done(*s)
		return s, nil
	}
	unlock, err := runlog.Lock(folder)
	if err != nil {
		return nil, err
	}
	defer unlock()
	if err := r.list(); err != nil {
		return nil, err
	}
	return r.do(ctx)
}

func newRun(c recipe.Config, o Options) *run {
	if o.Threads > 0 {
		c.Threads = o.Threads
	}
	if o.Workers > 0 {
		c.Workers = o.Workers
	}
	parallel.SetWorkers(c.Threads)
	r := &run{config: c, report: o.Reporter, savedStep: -1}
	if r.report == nil {
		r.report = Silent{}
	}
	r.clock.began = time.Now()
	return r
}

// do brings the run from where its folder says it stands to its summary.
func (r *run) do(ctx context.Context) (*runlog.Summary, error) {
	if err := runlog.Clean(r.folder); err != nil {
		return nil, err
	}
	resumed, err := r.position()
	if err != nil {
		return nil, err
	}
	if resumed {
		r.withoutBad()
	} else if err := r.scan(ctx); err != nil {
		return nil, err
	}
	unscored := r.withoutOneClass()
	if err := r.build(); err != nil {
		return nil, err
	}
	if resumed {
		err = r.restore()
	}
	if err == nil {
		r.log, err = runlog.Open(r.folder, r.at.MetricsSize)
	}
	if err != nil {
		return nil, err
	}
	defer r.log.Close()
	r.report.Start(r.plan())
	if !resumed {
		if err := r.start(unscored); err != nil {
			return nil, err
		}
	}
	if err := r.train(ctx); err != nil {
		return nil, err
	}
	return r.finish(ctx)
}

// list lists the images.
func (r *run) list() (err error) {
	d := r.config.Data
	r.trainData, r.testData, err = dataset.Open(d.Source, dataset.Options{Labels: d.Labels, Holdout: d.Holdout})
	if err != nil {
		return err
	}
	r.trainData.Limit(d.Limit)
	r.at.Fingerprint = r.trainData.Fingerprint()
	if r.testData != nil {
		r.at.Fingerprint += "+" + r.testData.Fingerprint()
	}
	return r.enough()
}

// enough checks that the images fill a batch.
func (r *run) enough() error {
	if n := len(r.trainData.Items); n < r.config.Batch {
		return fmt.Errorf("a batch of %d is larger than the data, %d images; take a smaller batch or more images", r.config.Batch, n)
	}
	return nil
}

// position reads where the run stands, if it has come to a checkpoint, and
// checks that it is still the same run.
func (r *run) position() (resumed bool, err error) {
	path := r.file(runlog.CheckpointFile)
	at, err := checkpoint.Peek(path)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	config, err := digest(r.config)
	switch {
	case err != nil:
		return false, err
	case at.Config != config:
		if err := r.build(); err != nil {
			return false, fmt.Errorf("%s: %w", r.file(runlog.ConfigFile), err)
		}
		if err := checkpoint.Match(path, r.arrays(), ofNetwork); err != nil {
			return false, err
		}
		return false, fmt.Errorf("%s was changed since the checkpoint was written, or the checkpoint is another run's; undo that, or start a new run with --config %[1]s", r.file(runlog.ConfigFile))
	case at.Fingerprint != r.at.Fingerprint:
		return false, fmt.Errorf("the images in %s are no longer those the run started with (%s then, %s now); put them back, or start a new run", r.config.Data.Source, at.Fingerprint, r.at.Fingerprint)
	}
	r.at = at
	return true, nil
}

// scan finds bad images and what the configuration leaves to be measured, and
// writes the configuration anew.
func (r *run) scan(ctx context.Context) error {
	c := &r.config
	r.report.Phase("looking at the images")
	look := func(d *dataset.Dataset, bad *[]checkpoint.Bad) (*batch.Source, *batch.Report, error) {
		s := batch.NewSource(d, batch.SourceOptions{Channels: c.Channels})
		found, err := s.Scan(ctx, batch.ScanOptions{Workers: c.Workers, Progress: r.progress("looking at the images")})
		if ctx.Err() != nil {
			return nil, nil, &Interrupted{Folder: r.folder, Epoch: 1}
		}
		if err != nil {
			return nil, nil, err
		}
		*bad = append(*bad, badImages(found.Bad)...)
		return s, found, nil
	}
	source, found, err := look(r.trainData, &r.at.BadTrain)
	if err != nil {
		return err
	}
	r.trainSource = source
	if c.Channels == 0 {
		c.Channels = found.Channels
		if n := len(c.Normalize.Mean); n != 0 {
			c.Channels = n
			r.trainSource = batch.NewSource(r.trainData, batch.SourceOptions{Channels: n})
		}
	}
	if len(c.Normalize.Mean) == 0 {
		c.Normalize = recipe.Normalize{Mean: found.Mean, Std: found.Std}
	}
	if r.testData != nil {
		if r.testSource, _, err = look(r.testData, &r.at.BadTest); err != nil {
			return err
		}
	}
	if err := r.enough(); err != nil {
		return err
	}
	return r.writeConfig()
}

// withoutBad takes out the images that were found bad when the run started.
func (r *run) withoutBad() {
	open := func(d *dataset.Dataset, bad []checkpoint.Bad) *batch.Source {
		names := map[string]bool{}
		for _, b := range bad {
			names[b.Name] = true
		}
		var drop []int
		for i, item := range d.Items {
			if names[item.Name] {
				drop = append(drop, i)
			}
		}
		d.Remove(drop)
		return batch.NewSource(d, batch.SourceOptions{Channels: r.config.Channels})
	}
	r.trainSource = open(r.trainData, r.at.BadTrain)
	if r.testData != nil {
		r.testSource = open(r.testData, r.at.BadTest)
	}
}

// withoutOneClass forgets labels that cannot score an encoder, and says why.
func (r *run) withoutOneClass() (why string) {
	if r.testData == nil {
		return ""
	}
	classes := map[int]bool{}
	for _, item := range r.trainData.Items {
		classes[item.Label] = true
	}
	if len(classes) > 1 {
		return ""
	}
	r.testData, r.testSource = nil, nil
	return "the training images are all of one class, so there will be no scores"
}

// build makes everything that computes, as it is before the first step.
func (r *run) build() (err error) {
	c := r.config
	if r.method, err = method.New(c); err != nil {
		return err
	}
	if r.optimizer, err = method.NewOptimizer(c, r.method.Params()); err != nil {
		return err
	}
	r.steps = batch.Steps(len(r.trainData.Items), c.Batch)
	r.grads = newGradNorm(r.method.Params())
	r.recent = newRecent(r.steps*c.Batch, r.method.Heads().Dim())
	r.embedder = &pretrained.Embedder{Encoder: r.method.Encoder(), Size: c.Size, Mean: c.Normalize.Mean, Std: c.Normalize.Std,
		Batch: min(c.Batch, 256), Workers: c.Workers}
	return nil
}

// start writes what stands in a run before its first step, and a warning that is
// not empty.
func (r *run) start(warning string) (err error) {
	if r.at.Config, err = digest(r.config); err != nil {
		return err
	}
	r.at.Started = time.Now().UTC().Round(time.Second)
	for _, bad := range [][]checkpoint.Bad{r.at.BadTrain, r.at.BadTest} {
		for _, b := range bad {
			if err := r.warn("skipped a bad image: %s", b.Reason); err != nil {
				return err
			}
		}
	}
	if missing := method.Precision(r.config).Missing(); missing != "" {
		if err := r.warn("%s", missing); err != nil {
			return err
		}
	}
	if warning != "" {
		if err := r.warn("%s", warning); err != nil {
			return err
		}
	}
	return r.save()
}

// plan tells what is going to happen.
func (r *run) plan() Plan {
	c := r.config
	n := len(r.trainData.Items)
	about := fmt.Sprintf("data     %s, %d images", r.trainData.Name, n)
	if r.testData != nil {
		about += fmt.Sprintf(", and %d to score on", len(r.testData.Items))
	}
	colour := "colour"
	if c.Channels == 1 {
		colour = "grey"
	}
	about += fmt.Sprintf("\nviews    %d × %d pixels, %s", c.Size, c.Size, colour)
	encoder, heads := r.method.Encoder(), r.method.Heads()
	about += fmt.Sprintf("\nnetwork  %s of width %d, %.2f million parameters, %d features; expander %s, %.2f million",
		c.Encoder.Arch, c.Encoder.Width, float64(model.Count(encoder.Params()))/1e6, encoder.Dim(), c.Expander, float64(model.Count(heads.Params()))/1e6)
	about += fmt.Sprintf("\nrun      %s, %d epochs of %d steps of %d images, %d threads", r.folder, c.Epochs, r.steps, c.Batch, parallel.Workers())
	if r.at.Steps > 0 {
		about += fmt.Sprintf("; going on after step %d", r.at.Steps)
	}
	return Plan{Folder: r.folder, About: about, Epochs: c.Epochs, Steps: c.Epochs * r.steps, Done: r.at.Steps,
		Batch: c.Batch, Dataset: r.trainData.Name, Images: n}
}
