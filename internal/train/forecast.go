package train

import (
	"context"
	"fmt"
	"slices"

	"vicreg/internal/advice"
	"vicreg/internal/batch"
	"vicreg/internal/dataset"
	"vicreg/internal/device"
	"vicreg/internal/recipe"
)

// Forecast is what a run would do.
type Forecast struct {
	Config        recipe.Config // without what is open
	Choices       []advice.Choice
	Warnings      []string
	Notes         []string // on the data
	Dataset       string
	Images        int // to train on,
	Scored        int // and to score on
	Kind          string
	StepsPerEpoch int
	Steps         int
	Seconds       float64 // until its summary; 0: not known
	Bytes         float64 // of memory
	Device        string  // that computes; empty: the processor
	DeviceBytes   float64 // of its memory; 0: not known
}

// Preview says what Pretrain would do with c, and makes no folder.
func Preview(ctx context.Context, c recipe.Config, o Options) (p *Forecast, err error) {
	defer device.Catch(&err)
	r, err := prepare(ctx, c, o)
	if err != nil {
		return nil, err
	}
	n := r.corpus.len()
	p = &Forecast{Config: r.config, Choices: r.choices, Warnings: r.advise(), Notes: r.corpus.notes(),
		Dataset: r.corpus.name(), Images: n, Scored: r.corpus.scored(), Kind: r.corpus.kind(),
		StepsPerEpoch: batch.Steps(n, r.config.Batch), Device: r.computer()}
	if r.adapted != "" {
		p.Warnings = append(p.Warnings, r.adapted)
	}
	if r.shrunk != "" {
		p.Notes = append(slices.Clip(p.Notes), r.shrunk)
	}
	for _, said := range []string{r.memory, r.untimed} {
		if said != "" {
			p.Warnings = append(p.Warnings, said)
		}
	}
	p.Steps = p.StepsPerEpoch * r.config.Epochs
	p.Seconds, p.Bytes, p.DeviceBytes = r.outlook()
	return p, nil
}

// prepare lists the data of a new run and chooses what its configuration leaves open.
func prepare(ctx context.Context, c recipe.Config, o Options) (r *run, err error) {
	defer device.Catch(&err)
	if err := c.Validate(); err != nil {
		return nil, err
	}
	c.Data.Source = absolute(c.Data.Source)
	if file := dataset.LabelFile(c.Data.Labels); file != "" {
		c.Data.Labels = absolute(file)
	}
	if c.Tune != nil && c.Tune.Subset != "" {
		t := *c.Tune
		t.Subset = absolute(t.Subset)
		c.Tune = &t
	}
	r = newRun(c, o)
	if err := r.list(ctx); err != nil {
		return nil, err
	}
	r.suit()
	if err := r.origin(); err != nil {
		return nil, err
	}
	return r, r.choose(ctx)
}

// About says what is chosen and what the run needs, a line each, for people.
func (r *run) about() (text string) {
	if r.config.Recipe != "" {
		text = "\nrecipe   " + r.config.Recipe
	}
	for _, c := range r.choices {
		text += fmt.Sprintf("\nchosen   %s", c)
	}
	return text
}
