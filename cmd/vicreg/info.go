package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"vicreg/internal/devices"
	"vicreg/internal/method"
	"vicreg/internal/model"
	"vicreg/internal/pretrained"
	"vicreg/internal/recipe"
	"vicreg/internal/runlog"
	"vicreg/internal/show"
)

func newInfo() *cobra.Command {
	var asJSON, machine bool
	cmd := &cobra.Command{
		Use:   "info RUN",
		Short: "Show what a run is and how far it came, or what this machine can compute on",
		Long: `Shows a run folder: network, its parameters and operations, configuration,
epochs done and scores. The run need not have ended. Of a model without a run, a file or
a folder that vicreg import made, it shows the network and where its weights are from.

With --devices it shows instead what this machine can compute on: the processor, what
reads JPEG files there, and each NVIDIA card with its driver and libraries, or what is
missing and how to get it.`,
		Example: "  vicreg info runs/photos\n  vicreg info --devices",
		Args: func(cmd *cobra.Command, args []string) error {
			if machine {
				return noArgs(cmd, args)
			}
			return oneArg("run folder")(cmd, args)
		},
		RunE: func(_ *cobra.Command, args []string) error {
			if machine {
				return printDevices(asJSON)
			}
			if alone(args[0]) {
				m, err := readModel(args[0])
				if err != nil {
					return err
				}
				if asJSON {
					return printJSON(m)
				}
				return m.print()
			}
			r, err := readRun(args[0])
			if err != nil {
				return err
			}
			if asJSON {
				return printJSON(r)
			}
			return r.print()
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	cmd.Flags().BoolVar(&machine, "devices", false, "show what this machine can compute on")
	return cmd
}

// printDevices tells what there is to compute on.
func printDevices(asJSON bool) error {
	all := devices.List()
	if asJSON {
		return printJSON(all)
	}
	w := tabwriter.NewWriter(stdout, 0, 0, 2, ' ', 0)
	for _, d := range all {
		lines := d.Details
		if d.What != "" {
			lines = append([]string{d.What}, lines...)
		}
		if d.Trouble != "" {
			lines = append(lines, "not usable: "+d.Trouble)
		}
		for i, line := range lines {
			name := d.Name
			if i > 0 {
				name = ""
			}
			fmt.Fprintf(w, "%s\t%s\n", name, show.Line(line))
		}
	}
	return w.Flush()
}

// runInfo is what a run folder says.
type runInfo struct {
	Folder     string          `json:"folder"`
	Finished   bool            `json:"finished"`
	EpochsDone int             `json:"epochs_done"`
	Epochs     int             `json:"epochs"`
	branchInfo                 // of the only branch, or of the first
	Branches   []branchInfo    `json:"branches,omitempty"` // both, if they have weights of their own
	Summary    *runlog.Summary `json:"summary,omitempty"`
	LastEpoch  *runlog.Epoch   `json:"last_epoch,omitempty"`
	Strange    []string        `json:"warnings,omitempty"` // what in the folder is not this run's, a sentence each

	config  recipe.Config
	yaml    []byte
	metrics *runlog.Metrics // nil: there are none
}

// branchInfo describes the networks of a branch.
type branchInfo struct {
	Encoder            string `json:"encoder"`
	Input              []int  `json:"input"` // shape of one item
	EncoderParameters  int    `json:"encoder_parameters"`
	Expander           string `json:"expander"`
	ExpanderParameters int    `json:"expander_parameters"`
	Features           int    `json:"features"`
	ForwardFlops       int    `json:"forward_flops"` // of the encoder on one item; a multiply-add is two
}

func readRun(folder string) (*runInfo, error) {
	path := filepath.Join(folder, runlog.ConfigFile)
	if err := runlog.CheckFolder(folder); err != nil {
		return nil, err
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("cannot read the run: %w", err)
	}
	r := &runInfo{Folder: folder, yaml: text}
	if r.config, err = recipe.ReadFile(path); err != nil {
		return nil, err
	}
	r.Epochs = r.config.Epochs
	if err := r.network(); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	metrics, err := runlog.ReadMetrics(folder)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	r.metrics = metrics
	if metrics != nil && len(metrics.Epochs) > 0 {
		r.LastEpoch = &metrics.Epochs[len(metrics.Epochs)-1]
		r.EpochsDone = r.LastEpoch.Epoch
	}
	r.Summary, err = runlog.ReadSummary(folder)
	foreign := new(runlog.Foreign)
	switch {
	case errors.As(err, &foreign):
		r.Strange = append(r.Strange, err.Error())
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return nil, err
	case err == nil:
		for _, name := range r.Summary.Changed {
			r.Strange = append(r.Strange, runlog.Altered(folder, name))
		}
	}
	for _, name := range runlog.ModelFiles {
		for _, strange := range pretrained.Strange(filepath.Join(folder, name)) {
			if !slices.Contains(r.Strange, strange) {
				r.Strange = append(r.Strange, strange)
			}
		}
	}
	if r.Finished = r.Summary != nil; r.Finished {
		r.EpochsDone = r.Summary.Epochs
	}
	return r, nil
}

// network counts the network that the configuration names.
func (r *runInfo) network() error {
	c := r.config
	if c.Channels == 0 { // stopped before it had looked at the images
		c.Channels = 3
	}
	branches := 1
	if c.Separate() {
		branches = 2
	}
	for i := range branches {
		config := method.EncoderConfig(c, i)
		if len(config.Input.Shape) == 0 { // stopped before it had looked at the pairs
			r.Branches = append(r.Branches, branchInfo{Encoder: config.Arch, Expander: c.ExpanderOf(i)})
			continue
		}
		encoder, err := model.New(config, nil)
		if err != nil {
			return err
		}
		expander, err := model.NewHead(encoder.Dim(), c.Projector(i), nil)
		if err != nil {
			return err
		}
		r.Branches = append(r.Branches, branchInfo{
			Encoder: c.EncoderOf(i).Arch, Input: config.Input.Shape, EncoderParameters: model.Count(encoder.Params()),
			Expander: c.ExpanderOf(i), ExpanderParameters: model.Count(expander.Params()), Features: encoder.Dim(),
			ForwardFlops: encoder.Flops(append([]int{1}, config.Input.Shape...)...),
		})
	}
	r.branchInfo = r.Branches[0]
	if branches == 1 {
		r.Branches = nil
	}
	return nil
}

// shapeOf writes the shape of an item.
func shapeOf(shape []int) string {
	return strings.Trim(strings.ReplaceAll(fmt.Sprint(shape), " ", " × "), "[]")
}

// network writes the networks of a branch that reads in.
func (b branchInfo) network(w io.Writer, e model.Config, in string) {
	name := e.Arch
	if strings.HasPrefix(name, "resnet") {
		name += fmt.Sprintf(", width %d, %s stem", e.Width, e.Stem)
	}
	if e.Dim > 0 {
		name += fmt.Sprintf(", %s of width %d", show.Count(e.Blocks, "block"), e.Dim)
	}
	if e.Heads > 0 {
		name += ", " + show.Count(e.Heads, "head")
	}
	if e.Positions == "sincos" {
		name += ", fixed positions"
	}
	fmt.Fprintf(w, "encoder\t%s, %s in, %d features out\n", name, in, b.Features)
	fmt.Fprintf(w, "\t%.3g M parameters, %.3g Gflop an image\n", float64(b.EncoderParameters)/1e6, float64(b.ForwardFlops)/1e9)
	if b.Expander == "" {
		fmt.Fprintln(w, "expander\tnone")
		return
	}
	fmt.Fprintf(w, "expander\t%s, %.3g M parameters\n", b.Expander, float64(b.ExpanderParameters)/1e6)
}

func (r *runInfo) print() error {
	c := r.config
	w := tabwriter.NewWriter(stdout, 0, 0, 2, ' ', 0)
	state := "not finished; if it was stopped, pretrain --resume " + r.Folder + " goes on with it"
	if r.Finished {
		state = "finished"
	}
	fmt.Fprintf(w, "run\t%s, %d of %d epochs, %s\n", r.Folder, r.EpochsDone, r.Epochs, state)
	fmt.Fprintf(w, "data\t%s\n", c.Data.Source)
	if len(c.Data.Bands) > 0 {
		fmt.Fprintf(w, "bands\t%v of the channels of files\n", c.Data.Bands)
	}
	channels := fmt.Sprint(c.Channels)
	if c.Channels == 0 {
		channels = "?"
	}
	branches := r.Branches
	if branches == nil {
		branches = []branchInfo{r.branchInfo}
	}
	for i, b := range branches {
		e := method.EncoderConfig(c, i)
		in := fmt.Sprintf("%d × %d × %s", c.Size, c.Size, channels)
		if c.Pairs != nil {
			side := c.Sides()[i]
			fmt.Fprintf(w, "side %s\t%s\n", [2]string{"a", "b"}[i], &side)
			in = shapeOf(b.Input)
		}
		b.network(w, e, in)
	}
	if e := r.LastEpoch; e != nil {
		fmt.Fprintf(w, "epoch %d\tloss %.4g", e.Epoch, e.Loss)
		for _, t := range e.Terms {
			fmt.Fprintf(w, ", %s %.4g", t.Name, t.Value)
		}
		if e.Embedded() {
			fmt.Fprintf(w, "\n\tembedding std %.3f, corr %.3f, rank %.1f", e.EmbeddingStd, e.Correlation, e.Rank)
		}
		if e.Collapsed {
			fmt.Fprint(w, ": collapsed")
		}
		if e.KNN != nil {
			fmt.Fprintf(w, ", kNN %s", percent(e.KNN))
		}
		if e.Classified != nil {
			fmt.Fprintf(w, ", %s", top(*e.Classified))
		}
		fmt.Fprintln(w)
	}
	if err := w.Flush(); err != nil {
		return err
	}
	for _, strange := range r.Strange {
		fmt.Fprintf(stdout, "%s %s\n", painted(stdout, yellow, "warning:"), show.Line(strange))
	}
	if s := r.Summary; s != nil {
		fmt.Fprintf(stdout, "\n%d images in %s, %.0f images/s%s\n", s.Images,
			took(s.Seconds), s.ImagesPerSecond, show.Line(computedOn(s.Device)))
		writeScores(stdout, *s)
		writeVerdict(stdout, s.Verdict, r.Folder)
		writeBrief(stdout, *s)
		writeBad(stdout, c.Pairs != nil, s.Bad)
		writeNotes(stdout, s.Notes)
	}
	stdout.verbatim()
	_, err := fmt.Fprintf(stdout, "\n%s:\n%s", runlog.ConfigFile, r.yaml)
	return err
}
