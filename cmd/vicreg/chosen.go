package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"vicreg/internal/advice"
	"vicreg/internal/host"
	"vicreg/internal/recipe"
	"vicreg/internal/show"
	"vicreg/internal/train"
)

// timeFlag is how long a run may train, in minutes.
type timeFlag struct{ minutes float64 }

func (v *timeFlag) String() string {
	if v.minutes == 0 {
		return ""
	}
	return time.Duration(v.minutes * float64(time.Minute)).String()
}

func (v *timeFlag) Type() string { return "time" }

func (v *timeFlag) Set(s string) error {
	d, err := time.ParseDuration(strings.TrimSpace(s))
	if err != nil || d < time.Second {
		return notNumber("a time of a second or more, such as 10m, 1h or 1h30m")
	}
	v.minutes = d.Minutes()
	return nil
}

// time binds the flag that chooses epochs.
func (f *configFlags) time() {
	v := new(timeFlag)
	f.flags.Var(v, "time", "train for about so long, by the epochs (photos: 10m)")
	f.set["time"] = func(c *recipe.Config) { c.Minutes = v.minutes }
}

// leaveEpochs leaves epochs and warm-up open where a time was given for them.
func (f *configFlags) leaveEpochs(c *recipe.Config) {
	if !f.flags.Changed("time") || f.flags.Changed("epochs") {
		return
	}
	c.Epochs = 0
	if !f.flags.Changed("warmup") {
		c.Warmup = recipe.Automatic
	}
}

// widths gives an encoder that a flag names its usual width, unless a flag or the
// file at path names another: the width of a recipe is that of its own encoder.
func (f *configFlags) widths(c *recipe.Config, path string) {
	given := f.flags.Changed
	named := given("width")
	if path != "" {
		file := recipe.Config{Encoder: recipe.Encoder{Width: -1}}
		named = named || file.MergeFile(path) == nil && file.Encoder.Width != -1
	}
	if (given("encoder") || given("encoder-a")) && !named {
		c.Encoder.Width = recipe.UsualWidth(c.Encoder.Arch)
	}
	if given("encoder-b") && !given("width-b") && !named && c.EncoderB.Width == 0 {
		c.EncoderB.Width = recipe.UsualWidth(c.EncoderB.Arch)
	}
}

// images returns what --data names.
func (f *configFlags) images() string {
	c := recipe.Config{}
	f.set["data"](&c)
	return c.Data.Source
}

// preview says what the run would do.
func (f *pretrainFlags) preview(config *configFlags) error {
	if f.resume != "" {
		return usagef("--plan is of a new run, and --resume goes on with an old one; give one")
	}
	c, err := f.configuration(config)
	if err != nil {
		return err
	}
	return previewRun(c, f.device, f.json)
}

// previewRun says what a run would do, on a device.
func previewRun(c recipe.Config, on *deviceFlag, asJSON bool) error {
	ctx, release := interruptible(context.Background(), nil)
	defer release()
	d, err := on.open()
	if err != nil {
		return err
	}
	p, err := train.Preview(ctx, c, train.Options{Device: d})
	if err != nil {
		return err
	}
	if asJSON {
		return printJSON(planned(p))
	}
	writePlan(p)
	return nil
}

// writePlan says it to people.
func writePlan(p *train.Forecast) {
	line := func(what, format string, args ...any) {
		fmt.Fprintf(stdout, "%-9s%s\n", what, show.Line(fmt.Sprintf(format, args...)))
	}
	c := p.Config
	about := ""
	if p.Scored > 0 {
		about = fmt.Sprintf(", and %d to score on", p.Scored)
	}
	line("data", "%s, %d %s%s", p.Dataset, p.Images, p.Kind, about)
	head := "expander"
	if c.Tune != nil {
		head = "classifier"
		line("teaches", "%s", train.Teaching(c))
	} else {
		line("recipe", "%s", c.Recipe)
	}
	for _, choice := range p.Choices {
		line("chosen", "%s", choice)
	}
	for b := range 2 {
		e := c.EncoderOf(b)
		if b == 1 && !c.Separate() {
			break
		}
		width := ""
		if e.Width > 0 {
			width = fmt.Sprintf(" of width %d", e.Width)
		}
		line("network", "%s%s, %s %s", e.Arch, width, head, c.ExpanderOf(b))
	}
	if c.Pairs != nil {
		line("branches", "%s", train.Sharing(c))
	}
	line("run", "%s, %s of %s of %d %s%s: %s in all", c.Method, show.Count(c.Epochs, "epoch"),
		show.Count(p.StepsPerEpoch, "step"), c.Batch, p.Kind, c.InPieces(), show.Count(p.Steps, "step"))
	if p.Seconds > 0 {
		line("time", "about %s, scoring included, on this machine as it is now", advice.Span(p.Seconds))
	}
	if p.Device != "" {
		line("device", "%s, %s", p.Device, c.Precision)
	}
	ofDevice := ""
	if p.DeviceBytes > 0 {
		ofDevice = fmt.Sprintf(", and %s of the device's", host.Bytes(p.DeviceBytes))
	}
	line("memory", "about %s%s", host.Bytes(p.Bytes), ofDevice)
	for _, w := range p.Warnings {
		fmt.Fprintf(stdout, "warning: %s\n", show.Line(w))
	}
	writeNotes(stdout, p.Notes)
	fmt.Fprintln(stdout, "Nothing was trained or written; the same command without --plan does it.")
}

// chosenValue is one choice as programs read it.
type chosenValue struct {
	Key    string `json:"key"`
	Value  any    `json:"value"`
	Reason string `json:"reason"`
}

// plannedRun is a plan as programs read it.
type plannedRun struct {
	Event         string        `json:"event"`
	Recipe        string        `json:"recipe,omitempty"`
	Dataset       string        `json:"dataset"`
	Images        int           `json:"images"`
	Scored        int           `json:"scored"`
	Chosen        []chosenValue `json:"chosen"`
	Method        string        `json:"method"`
	Encoder       string        `json:"encoder"`
	Width         int           `json:"width"`
	Stem          string        `json:"stem"`
	Expander      string        `json:"expander"`
	Branches      string        `json:"branches"` // shared or separate
	Size          int           `json:"size"`
	Batch         int           `json:"batch"`
	MicroBatch    int           `json:"micro_batch,omitempty"`
	Epochs        int           `json:"epochs"`
	Warmup        float64       `json:"warmup"`
	StepsPerEpoch int           `json:"steps_per_epoch"`
	Steps         int           `json:"steps"`
	Seconds       *float64      `json:"seconds"` // null: not known
	Memory        float64       `json:"memory_bytes"`
	Device        string        `json:"device,omitempty"`
	DeviceMemory  float64       `json:"device_memory_bytes,omitempty"`
	Warnings      []string      `json:"warnings"`
	Notes         []string      `json:"notes"`
}

func planned(p *train.Forecast) plannedRun {
	c := p.Config
	out := plannedRun{Event: "plan", Recipe: c.Recipe, Dataset: p.Dataset, Images: p.Images, Scored: p.Scored,
		Chosen: []chosenValue{},
		Method: c.Method, Encoder: c.Encoder.Arch, Width: c.Encoder.Width, Stem: c.Encoder.Stem,
		Expander: c.Expander, Branches: c.Branches,
		Size: c.Size, Batch: c.Batch, MicroBatch: c.MicroBatch,
		Epochs: c.Epochs, Warmup: c.Warmup, StepsPerEpoch: p.StepsPerEpoch,
		Steps:  p.Steps,
		Memory: p.Bytes, Device: p.Device, DeviceMemory: p.DeviceBytes,
		Warnings: append([]string{}, p.Warnings...), Notes: append([]string{}, p.Notes...)}
	for _, choice := range p.Choices {
		out.Chosen = append(out.Chosen, chosenValue(choice))
	}
	if p.Seconds > 0 {
		out.Seconds = &p.Seconds
	}
	return out
}
