package main

import (
	"bytes"
	"cmp"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"vicreg/internal/atlas"
	"vicreg/internal/durable"
	"vicreg/internal/host"
	"vicreg/internal/pretrained"
	"vicreg/internal/recipe"
	"vicreg/internal/report"
	"vicreg/internal/runlog"
	"vicreg/internal/show"
)

// htmlReport is the kind of the pages that vicreg report writes.
var htmlReport = kind{"a report that vicreg wrote", func(path string) bool { return begins(path, report.Mark) }}

func newReport() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "report RUN",
		Short: "Write what a run learned as one HTML file",
		Long: `Writes what a run was, how it went and what it came to as one HTML file, for
people who were not there: in plain sentences what was trained on what, the verdict,
scores beside the untrained encoder's with their noise, the curves with what a good
one looks like, what the features tell without labels, the map of the embedding where
vicreg map has drawn it, how the configuration differs from the recipe, the machine
and checksums. The file needs nothing beside it and no network, and prints well.

The run may still go on, or have stopped. Of a model without a run it tells what
there is.`,
		Example: `  vicreg report runs/photos                      # writes runs/photos/report.html
  vicreg report runs/photos --out photos.html`,
		Args: oneArg("run folder"),
	}
	var (
		out string
		g   guard
	)
	cmd.Flags().StringVar(&out, "out", "", "HTML `file` to write (default report.html in the run folder)")
	g.forcible(cmd.Flags())
	cmd.RunE = func(_ *cobra.Command, args []string) error {
		folder := args[0]
		out := out
		switch {
		case out == "" && cmd.Flags().Changed("out"):
			return usagef("--out is empty; name a file")
		case out == "":
			out = "report.html"
			if st, err := os.Stat(folder); err == nil && st.IsDir() {
				out = filepath.Join(folder, out)
			}
		}
		if ext := strings.ToLower(filepath.Ext(out)); ext != ".html" && ext != ".htm" {
			return usagef("--out %q must name a file that ends in .html", out)
		}
		r, err := reportOf(folder)
		if err != nil {
			return err
		}
		g.run(folder)
		where, err := g.output("--out", out, htmlReport)
		if err != nil {
			return err
		}
		var b bytes.Buffer
		if err := report.Write(&b, r); err != nil {
			return err
		}
		if err := durable.WriteFile(where, b.Bytes()); err != nil {
			return fmt.Errorf("cannot write %s: %w", where, err)
		}
		if _, err := fmt.Fprintf(stdout, "%s, %d KiB, needs nothing beside it\n", out, (b.Len()+1023)/1024); err != nil {
			return err
		}
		if r.Stale != "" {
			writeWarning(stdout, "its map is an old one. "+r.Stale)
		}
		return nil
	}
	return cmd
}

// reportOf collects what a report tells of a run, or of a model without one.
func reportOf(folder string) (*report.Run, error) {
	r := &report.Run{Name: runName(folder), Folder: folder, Made: "Written by vicreg " + host.Version() + "."}
	if alone(folder) {
		m, err := readModel(folder)
		if err != nil {
			return nil, err
		}
		r.Model = m.settings()
		return r, nil
	}
	info, err := readRun(folder)
	if err != nil {
		return nil, err
	}
	c := info.config
	r.Config, r.Summary, r.Strange = info.yaml, info.Summary, info.Strange
	if info.metrics != nil {
		r.Metrics = *info.metrics
	}
	r.Facts = report.Facts{Method: c.Method, Network: networkOf(info), Data: filepath.Base(c.Data.Source),
		Epochs: c.Epochs, K: cmp.Or(c.Eval.K, 20), Pairs: c.Pairs != nil, Tuned: c.Tune != nil, Every: c.LogEvery}
	if c.Init != nil {
		r.Facts.From = c.Init.Path
	}
	if m, err := recipe.MachineryOf(c.Method); err == nil {
		r.Facts.Title = m.Title
	}
	if c.Method == "vicreg" {
		r.Facts.Target = c.Loss.Gamma
	}
	if c.Recipe != "" && c.Tune == nil {
		if plain, err := recipe.LoadFor(c.Recipe, c.Method); err == nil {
			if text, err := plain.YAML(); err == nil {
				r.Recipe, r.Plain = c.Recipe, text
			}
		}
	}
	if r.Summary == nil {
		r.State = unended(info)
	}
	r.AddMap(filepath.Join(folder, atlas.Folder), func() string {
		m, err := pretrained.Open(folder, 0)
		if err != nil {
			return ""
		}
		return m.Weights()
	})
	return r, nil
}

// unended says how far a run has come that has no summary.
func unended(r *runInfo) string {
	far := fmt.Sprintf("%d of %s are done", r.EpochsDone, show.Count(r.Epochs, "epoch"))
	if running, known := runlog.ReadLocks().On(r.Folder); known && running {
		return far + ", and it goes on at this moment. Scores and the verdict come at its end."
	}
	return far + "; where it was stopped, pretrain --resume " + show.Name(r.Folder) + " goes on with it. Scores and the verdict come at its end."
}

// networkOf is the network of a run in a few words.
func networkOf(r *runInfo) string {
	if r.Branches != nil {
		return fmt.Sprintf("two encoders, %s and %s", r.Branches[0].Encoder, r.Branches[1].Encoder)
	}
	words := r.Encoder
	if w := r.config.Encoder.Width; w > 0 && strings.HasPrefix(words, "resnet") {
		words += fmt.Sprintf(" of width %d", w)
	}
	if n := r.EncoderParameters; n > 0 {
		words += fmt.Sprintf(", %.3g million parameters", float64(n)/1e6)
	}
	return words
}

// settings are what a model says of itself.
func (r *modelInfo) settings() []report.Setting {
	all := []report.Setting{{Key: "file", Value: r.Model}}
	add := func(key, value string) { all = append(all, report.Setting{Key: key, Value: value}) }
	if r.Source != nil {
		add("weights of", r.Source.String())
	} else {
		add("trained", fmt.Sprintf("%s on %s, %s", r.meta.Method, r.meta.Dataset, show.Count(r.meta.Images, "image")))
	}
	add("encoder", r.Encoder)
	add("input", shapeOf(r.Input))
	add("parameters", fmt.Sprintf("%.3g million", float64(r.EncoderParameters)/1e6))
	add("features", fmt.Sprint(r.Features))
	if r.Expander != "" {
		add("expander", fmt.Sprintf("%s, %.3g million parameters", r.Expander, float64(r.ExpanderParameters)/1e6))
	}
	if len(r.Mean) > 0 {
		add("pixels", fmt.Sprintf("mean %s, std %s", list(r.Mean), list(r.Std)))
	}
	for _, n := range r.Notes {
		add("note", n)
	}
	return all
}
