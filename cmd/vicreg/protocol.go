package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"vicreg/internal/advice"
	"vicreg/internal/recipe"
	"vicreg/internal/reckon"
	"vicreg/internal/runlog"
	"vicreg/internal/show"
	"vicreg/internal/train"
)

// askProtocol has eval train a linear classifier as a paper does: on crops of the images,
// drawn anew each epoch, by SGD. That is a run with a folder of its own, which keeps the
// result.
func askProtocol() ask {
	var (
		name, out string
		epochs    int
	)
	return ask{
		flag:   "protocol",
		counts: true,
		bind: func(flags *pflag.FlagSet) {
			flags.StringVar(&name, "protocol", "", "train the probe as a `protocol` says: "+strings.Join(linear(), ", ")+"; "+recipe.Released+" is the paper's, "+recipe.Linear)
			flags.StringVar(&out, "out", "", "`folder` for the probe of --protocol, where asking again goes on (default one inside the run's)")
			flags.IntVar(&epochs, "epochs", 0, "`passes` over the images of --protocol (default the protocol's)")
		},
		run: func(e evaluation) error {
			c, err := probe(e, name)
			if err != nil {
				return err
			}
			if e.flags.Changed("epochs") {
				c.Epochs = epochs
			}
			if c.Out = out; out == "" {
				if e.flags.Changed("out") {
					return usagef("--out is empty; give it a name or leave it out")
				}
				folder := e.folder
				if st, err := os.Stat(folder); err == nil && !st.IsDir() {
					folder = filepath.Dir(folder)
				}
				c.Out = filepath.Join(folder, strings.TrimSuffix("linear-"+name, "-"+recipe.Linear))
			}
			return runProbe(c, e)
		},
	}
}

// linear names the protocols of linear probes.
func linear() []string {
	names := []string{recipe.Released}
	for _, name := range recipe.Protocols() {
		if c, err := recipe.LoadProtocol(name); err == nil && c.Tune.Frozen() && name != recipe.Linear {
			names = append(names, name)
		}
	}
	return names
}

// probe returns the configuration of a protocol for what eval looks at.
func probe(e evaluation, name string) (recipe.Config, error) {
	c, err := recipe.LoadProtocol(name)
	switch {
	case err != nil:
		return c, usageError{err}
	case !c.Tune.Frozen():
		return c, usagef("--protocol %s changes the encoder itself; vicreg finetune --protocol %[1]s does that. Those that score it as it is: %s", name, strings.Join(linear(), ", "))
	case e.in.paired:
		return c, usagef("--protocol is for images, but this run was trained on pairs; vicreg finetune --protocol %s takes its encoder of images", name)
	}
	branch := 0
	if e.flags.Lookup("branch").Value.String() == "b" {
		branch = 1
	}
	if c, err = train.TuneFrom(c, e.folder, branch); err != nil {
		return c, err
	}
	c.Data, c.Threads, c.Workers = recipe.Data(e.in.images), e.in.threads, e.in.workers
	return c, nil
}

// runProbe trains a probe, goes on with one, or takes the result of one that has ended.
func runProbe(c recipe.Config, e evaluation) error {
	where := &deviceFlag{e.o.Device}
	err := train.Check(c)
	if err == nil && !where.far() {
		_, err = reckon.Check(c, reckon.Data{})
	}
	if err != nil {
		return usageError{err}
	}
	begun, err := train.Begun(c)
	if err != nil {
		return err
	}
	r := &probing{counter: newCounter(), folder: c.Out, json: e.json, confusion: e.confusion}
	err = carryOut(func(ctx context.Context, _ train.Reporter) error {
		d, err := where.open()
		if err != nil {
			return err
		}
		o := train.Options{Reporter: r, Threads: c.Threads, Workers: c.Workers, Device: d}
		if begun {
			r.result, err = train.Resume(ctx, c.Out, o)
		} else {
			_, r.result, err = train.Pretrain(ctx, c, o)
		}
		return err
	}, r)
	r.counter.clear()
	at := new(train.Interrupted)
	switch {
	case errors.As(err, &at):
		return &broken{at}
	case errors.Is(err, train.ErrInterrupted): // before there was a folder
		return errStopped
	case err != nil:
		return err
	}
	return r.print(c)
}

// broken is the end of a probe that was stopped.
type broken struct{ *train.Interrupted }

func (b *broken) Error() string {
	return fmt.Sprintf("stopped in epoch %d, after step %d; everything is saved in %s, and the same command goes on",
		b.Epoch, b.Step, show.Name(b.Folder))
}

// probing shows how far a probe is.
type probing struct {
	train.Silent
	counter *counter
	folder  string
	json    bool

	confusion *confusionFlag
	plan      train.Plan
	began     time.Time
	score     string // at the end of the last epoch
	result    *runlog.Summary
	started   bool // this command did some of it
	warned    []string
}

func (p *probing) Start(plan train.Plan) {
	p.plan, p.began, p.started = plan, time.Now(), true
	if plan.Done > 0 && !p.json {
		p.counter.clear()
		fmt.Fprintf(stdout, "goes on after step %d of %d in %s\n", plan.Done, plan.Steps, show.Name(p.folder))
	}
}

func (p *probing) Step(s runlog.Step) {
	left := ""
	if done := s.Step - p.plan.Done; done > 0 {
		left = ", " + advice.Span(time.Since(p.began).Seconds()/float64(done)*float64(p.plan.Steps-s.Step)) + " left"
	}
	p.counter.describe(fmt.Sprintf("epoch %d of %d, step %d of %d%s%s", s.Epoch, p.plan.Epochs, s.Step, p.plan.Steps, left, p.score))
}

func (p *probing) Epoch(e runlog.Epoch) {
	if e.Classified != nil {
		p.score = ", " + top(*e.Classified)
	}
}

func (p *probing) Phase(what string) { p.counter.describe(show.Line(what)) }

// Warning keeps what the result does not say.
func (p *probing) Warning(w runlog.Warning) { p.warned = append(p.warned, w.Message) }

// warnings are those that are not among the notes or the bad images.
func (p *probing) warnings() []string {
	return slices.DeleteFunc(slices.Clone(p.warned), func(message string) bool {
		return slices.Contains(p.result.Notes, message) ||
			slices.Contains(p.result.Bad, strings.TrimPrefix(message, "skipped: "))
	})
}

// print prints the result.
func (p *probing) print(c recipe.Config) error {
	s := p.result
	if s.Classifier == nil {
		if w := p.warnings(); len(w) > 0 {
			return errors.New(w[len(w)-1])
		}
		return fmt.Errorf("%s has no images to score on: --holdout keeps a share of them for that", show.Name(s.Dataset))
	}
	o := s.Classifier
	notes, err := p.confusion.write(outcomeOf(o))
	if err != nil {
		return err
	}
	s.Notes = append(s.Notes, notes...)
	if p.json {
		classes := map[string]any{}
		for _, class := range o.Classes {
			classes[show.Valid(class.Name)] = map[string]any{"items": class.Items, "right": class.Right, "right5": class.Right5,
				"accuracy": shareOf(class.Right, class.Items)}
		}
		return printJSON(map[string]any{"protocol": c.Tune.Protocol, "folder": p.folder, "dataset": s.Dataset,
			"train_images": s.Images, "test_images": o.Scored, "classes": len(o.Classes), "epochs": s.Epochs,
			"top1": o.Top1, "top5": o.Top5, "by_class": classes, "best_top1": o.Best.Top1, "best_top5": o.Best.Top5,
			"best_epoch": o.BestEpoch, "best_of": o.Best.Scored,
			"bad_images": s.BadImages, "bad_image_list": append([]string{}, s.Bad...),
			"notes": append(append([]string{}, s.Notes...), p.warnings()...)})
	}
	if !p.started {
		fmt.Fprintf(stdout, "%s holds the result of this already\n", show.Name(p.folder))
	}
	for _, w := range p.warnings() {
		writeWarning(stdout, w)
	}
	writeNotes(stdout, s.Notes)
	writeBad(stdout, false, s.Bad)
	fmt.Fprintf(stdout, "%s: %d classes, a linear classifier by %s on %s, %s; scored on %d\n", show.Line(s.Dataset), len(o.Classes),
		c.Tune.Protocol, show.Count(s.Images, "image"), show.Count(s.Epochs, "epoch"), o.Scored)
	writeClassifier(stdout, o)
	return nil
}
