package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"text/tabwriter"

	"github.com/spf13/pflag"

	"vicreg"
	"vicreg/internal/runlog"
	"vicreg/internal/show"
)

// unlabelled is eval --unlabelled: what an encoder is worth without labels.
func unlabelled() ask {
	var images, views int
	return ask{
		flag: "unlabelled",
		bind: func(flags *pflag.FlagSet) {
			flags.Bool("unlabelled", false, "say what the encoder has learned without labels, by views of images")
			flags.IntVar(&images, "images", 256, "with --unlabelled: how `many` images are measured")
			flags.IntVar(&views, "views", 2, "with --unlabelled: `views` of each, an even number (of few images: more)")
		},
		run: func(e evaluation) error {
			if e.in.paired {
				return usagef("--unlabelled is about views of images, and this run was trained on pairs; " +
					"vicreg eval RUN --retrieval needs no labels either")
			}
			if images < 2 || images > 100_000 {
				return usagef("--images is %d, but must be from 2 to 100000", images)
			}
			if views < 2 || views > 1000 || views%2 > 0 {
				return usagef("--views is %d, but must be an even number from 2 to 1000", views)
			}
			if e.flags.Changed("images") {
				e.o.Images = images
			}
			if e.flags.Changed("views") {
				e.o.Views = views
			}
			return evalViews(e.folder, e.in.model, e.in.images, e.o, true, e.json)
		},
	}
}

// evalViews prints what an encoder is worth without labels. Where that was not asked for
// it says why.
func evalViews(folder string, m *vicreg.Model, data vicreg.Data, o vicreg.EvalOptions, asked, asJSON bool) error {
	j, err := counting(func(ctx context.Context, c *counter) (*vicreg.Judged, error) {
		o.Progress = c.describe
		return m.Judge(ctx, data, o)
	})
	if err != nil {
		return err
	}
	v, u := recorded(&j.Verdict), measured(&j.Unlabelled)
	if asJSON {
		all := map[string]any{"dataset": j.Dataset, "verdict": v, "unlabelled": u,
			"bad_images": len(j.Bad), "bad_image_list": append([]string{}, j.Bad...), "notes": append([]string{}, j.Notes...)}
		return printJSON(all)
	}
	writeNotes(stdout, j.Notes)
	writeBad(stdout, false, j.Bad)
	why := ""
	if !asked {
		why = " has no labels, so no scores"
	}
	fmt.Fprintf(stdout, "%s%s: views of %d of its images are looked at\n", show.Line(j.Dataset), why, j.Items)
	writeSight(stdout, v)
	fmt.Fprintf(stdout, "\nMeasured on %d views of each of %s:\n", u.Views, show.Count(u.Images, "image"))
	writeMeasures(stdout, u)
	if v.Is != "" {
		writeVerdict(stdout, v, folder)
	}
	return nil
}

// recorded is a verdict as a run's folder has it.
func recorded(v *vicreg.Verdict) *runlog.Verdict {
	r := &runlog.Verdict{Is: v.Is, Text: v.Text, Next: v.Next, Trained: runlog.Sight(v.Trained),
		Untrained: new(runlog.Sight(*v.Untrained)),
		Chance:    v.Chance, Items: v.Items, HeldOut: v.HeldOut, Rising: v.Rising}
	for _, t := range v.Trend {
		r.Trend = append(r.Trend, runlog.Seen{Epoch: t.Epoch, Step: t.Step, Sight: runlog.Sight(t.Sight)})
	}
	return r
}

// measured are measures as a run's folder has them.
func measured(u *vicreg.Unlabelled) *runlog.Unlabelled {
	layers := func(l vicreg.Layers) runlog.Layers {
		return runlog.Layers{Representation: runlog.Measures(l.Representation),
			Embedding: (*runlog.Measures)(l.Embedding)}
	}
	return &runlog.Unlabelled{Trained: layers(u.Trained), Untrained: layers(u.Untrained), Images: u.Images,
		Views: u.Views, HeldOut: u.HeldOut}
}

// measure is one of the measures without labels, and what is a good value.
type measure struct {
	name, good string
	of         func(runlog.Measures) string
}

var measures = []measure{
	{"standard deviation", "above 0", func(m runlog.Measures) string { return fmt.Sprintf("%.3f", m.Std) }},
	{"correlation", "near 0", func(m runlog.Measures) string { return fmt.Sprintf("%.3f", m.Correlation) }},
	{"RankMe", "high", func(m runlog.Measures) string { return fmt.Sprintf("%.1f", m.RankMe) }},
	{"LiDAR", "high", func(m runlog.Measures) string { return fmt.Sprintf("%.1f", m.LiDAR) }},
	{"α-ReQ", "near 1", func(m runlog.Measures) string {
		if m.AlphaReQ == nil {
			return "-"
		}
		return fmt.Sprintf("%.2f", *m.AlphaReQ)
	}},
	{"alignment", "low", func(m runlog.Measures) string { return fmt.Sprintf("%.3f", m.Alignment) }},
	{"uniformity", "low", func(m runlog.Measures) string { return fmt.Sprintf("%.2f", m.Uniformity) }},
}

// writeMeasures writes all measures of both layers, untrained and trained.
func writeMeasures(out io.Writer, u *runlog.Unlabelled) {
	type layer struct {
		what               string
		untrained, trained *runlog.Measures
	}
	layers := []layer{{"representation", &u.Untrained.Representation, &u.Trained.Representation}}
	if u.Trained.Embedding != nil {
		layers = append(layers, layer{"embedding", u.Untrained.Embedding, u.Trained.Embedding})
	}
	for i, l := range layers {
		if i > 0 {
			fmt.Fprintln(out)
		}
		var table bytes.Buffer
		w := tabwriter.NewWriter(&table, 0, 0, 3, ' ', tabwriter.AlignRight)
		fmt.Fprintf(w, "%s, %d values\tuntrained\ttrained\tgood is\t\n", l.what, l.trained.Width)
		for _, m := range measures {
			before := "-"
			if l.untrained != nil {
				before = m.of(*l.untrained)
			}
			fmt.Fprintf(w, "%s\t%s\t%s\t%s\t\n", m.name, before, m.of(*l.trained), m.good)
		}
		w.Flush()
		out.Write(table.Bytes())
	}
}

// writeBrief writes what a run without labels is measured by: what can be held against
// the untrained encoder. LiDAR and α-ReQ cannot.
func writeBrief(out io.Writer, s runlog.Summary) {
	u := s.Unlabelled
	if u == nil || s.KNN != nil {
		return
	}
	w := tabwriter.NewWriter(out, 0, 0, 3, ' ', tabwriter.AlignRight)
	line := func(what string, of func(runlog.Layers) string, good string) {
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t\n", what, of(u.Untrained), of(u.Trained), good)
	}
	fmt.Fprintln(w, "\tuntrained\ttrained\tgood is\t")
	line("RankMe of the representation", func(l runlog.Layers) string {
		return fmt.Sprintf("%.1f", l.Representation.RankMe)
	}, "high")
	if u.Trained.Embedding != nil && u.Untrained.Embedding != nil {
		line("RankMe of the embedding", func(l runlog.Layers) string { return fmt.Sprintf("%.1f", l.Embedding.RankMe) },
			"high")
	}
	line("alignment, uniformity", func(l runlog.Layers) string {
		return fmt.Sprintf("%.2f, %.2f", l.Representation.Alignment, l.Representation.Uniformity)
	}, "low, low")
	w.Flush()
}
