package report

import (
	"fmt"
	"math"
	"slices"

	"vicreg/internal/runlog"
	"vicreg/internal/show"
)

// curve is a panel before it is drawn. The last of its lines is the strong one.
type curve struct {
	title, about, unit string
	place              func(float64) string // writes a value
	lines              []Line
	refs               []Ref
	marks              []Moment
	low                bool // the axis need not reach down to 0
}

// chart is the picture, with the last value of the strong line beside it.
func (c curve) chart() Chart {
	strong := &c.lines[len(c.lines)-1]
	if n := len(strong.Y); n > 0 {
		strong.Label = c.place(strong.Y[n-1])
	}
	chart := Chart{X: "epoch", Y: c.unit, Lines: c.lines, Refs: c.refs, Place: c.place, Marks: c.marks}
	if !c.low {
		chart.Floor = new(float64)
	}
	return chart
}

func four(v float64) string { return fmt.Sprintf("%.4g", v) }
func three(v float64) string {
	if math.Abs(v) >= 1000 {
		return fmt.Sprintf("%.3g", v)
	}
	return fmt.Sprintf("%.3f", v)
}
func tenths(v float64) string { return fmt.Sprintf("%.1f", v) }
func shared(v float64) string { return fmt.Sprintf("%.1f%%", v) }

// panels are the curves of a run.
func (r *Run) panels() (all []Panel) {
	if len(r.Metrics.Epochs) == 0 && len(r.Metrics.Steps) < 2 {
		return nil
	}
	curves := append(r.scored(), r.losses()...)
	if !r.Facts.Tuned {
		curves = append(curves, r.spread()...)
	}
	curves = append(curves, r.pace()...)
	charts := make([]Chart, len(curves))
	room := 0.0
	for i, c := range curves {
		charts[i] = c.chart()
		room = max(room, charts[i].room())
	}
	for i, c := range curves { // an epoch lies at the same place in all
		charts[i].To, charts[i].Room = r.reached(), room
		if svg := charts[i].SVG(); svg != "" {
			all = append(all, Panel{Title: c.title, About: c.about, SVG: svg})
		}
	}
	return append(all, r.spectrum()...)
}

// spectrum draws the eigenvalues of the embedding at a few epochs.
func (r *Run) spectrum() []Panel {
	var known []runlog.Epoch
	for _, e := range r.Metrics.Epochs {
		if e.Spectrum != nil {
			known = append(known, e)
		}
	}
	if len(known) == 0 {
		return nil
	}
	c := Chart{X: "direction, the largest first", Y: "variance", Log: true}
	const shown = 4
	n := min(shown, len(known))
	for i := range n {
		e := known[i*(len(known)-1)/max(1, n-1)]
		l := Line{Y: e.Spectrum.Values, Class: "other"}
		for _, rank := range e.Spectrum.Ranks {
			l.X = append(l.X, float64(rank))
		}
		l.X, l.Y = l.X[:min(len(l.X), len(l.Y))], l.Y[:min(len(l.X), len(l.Y))]
		l.Label = fmt.Sprintf("epoch %d", e.Epoch)
		if i == n-1 {
			l.Class = "line"
		}
		c.Lines = append(c.Lines, l)
	}
	svg := c.SVG()
	if svg == "" {
		return nil
	}
	return []Panel{{Title: "Spectrum of the embedding", SVG: svg,
		About: "How much the embedding varies in each of its directions. Flat is good; a line that drops early is a collapse."}}
}

// byStep is a line through what was logged of steps.
func (r *Run) byStep(of func(runlog.Step) float64) (l Line) {
	l.Class = "faint"
	each := r.stepsPerEpoch()
	for _, s := range r.Metrics.Steps {
		l.X, l.Y = append(l.X, float64(s.Step)/each), append(l.Y, of(s))
	}
	return l
}

// atEpochs is a line through the figures of those epochs that have them.
func (r *Run) atEpochs(of func(runlog.Epoch) *float64) (l Line) {
	l.Class = "line"
	for _, e := range r.Metrics.Epochs {
		if v := of(e); v != nil {
			l.X, l.Y = append(l.X, float64(e.Epoch)), append(l.Y, *v)
		}
	}
	l.Dots = len(l.X) < 30
	return l
}

// means is a line through means of epochs, each at the epoch's middle.
func (r *Run) means(of func(runlog.Epoch) float64) Line {
	l := r.atEpochs(func(e runlog.Epoch) *float64 { return new(of(e)) })
	for i := range l.X {
		l.X[i] -= 0.5
	}
	return l
}

// scored are the curves of what is right.
func (r *Run) scored() []curve {
	s := r.Summary
	knn := curve{title: "kNN", unit: "% right", place: shared, marks: r.replans(), low: true,
		about: "Share of images whose nearest neighbours name their class. It should rise above the untrained network's.",
		lines: []Line{r.atEpochs(func(e runlog.Epoch) *float64 { return hundred(e.KNN) })}}
	if s != nil && s.RandomInitKNN != nil {
		knn.refs = []Ref{{100 * *s.RandomInitKNN, "untrained"}}
	}
	top := curve{title: "Top-1", unit: "% right", place: shared, low: true,
		about: "Share of images whose class is named. It should rise and then stay.",
		lines: []Line{r.atEpochs(func(e runlog.Epoch) *float64 {
			if e.Classified == nil {
				return nil
			}
			return hundred(&e.Classified.Top1)
		})}}
	if s != nil && s.Classifier != nil {
		top.refs = []Ref{{100 * s.Classifier.Commonest(), "always the commonest class"}}
	}
	views := curve{title: "Views that find each other", unit: "%", place: shared, marks: r.replans(),
		about: "Share of views whose other view is the nearest of all. It needs no labels, and should rise.",
		lines: []Line{r.atEpochs(func(e runlog.Epoch) *float64 {
			if e.Views == nil {
				return nil
			}
			return hundred(&e.Views.R1)
		})}}
	if s != nil && s.Verdict != nil && s.Verdict.Untrained != nil {
		views.refs = []Ref{{100 * s.Verdict.Untrained.R1, "untrained"}}
	}
	return []curve{knn, top, views}
}

// hundred is a share in per cent.
func hundred(share *float64) *float64 {
	if share == nil {
		return nil
	}
	return new(100 * *share)
}

// losses are the curves of the loss and its terms.
func (r *Run) losses() []curve {
	all := []curve{{title: "Loss", unit: "loss", place: four, marks: r.replans(), low: true,
		about: "All terms together. It should fall; alone it says little, as it falls in a collapse too.",
		lines: []Line{r.byStep(func(s runlog.Step) float64 { return s.Loss }),
			r.means(func(e runlog.Epoch) float64 { return e.Loss })}}}
	for _, name := range r.terms() {
		all = append(all, curve{title: sentence(name), about: terms[name], unit: name, place: four,
			lines: []Line{r.byStep(func(s runlog.Step) float64 { return s.Terms.Get(name) }),
				r.means(func(e runlog.Epoch) float64 { return e.Terms.Get(name) })}})
	}
	return all
}

// spread are the curves that show a collapse.
func (r *Run) spread() []curve {
	std := curve{title: "Standard deviation", unit: "std", place: three, marks: r.collapse(),
		about: "How much a number of the embedding changes from image to image. 0 is a collapse.",
		lines: []Line{r.atEpochs(func(e runlog.Epoch) *float64 { return &e.EmbeddingStd })}}
	if t := r.Facts.Target; t > 0 {
		std.refs = []Ref{{t, "what it aims at"}}
	}
	return []curve{std,
		{title: "Correlation", unit: "mean absolute", place: three, marks: r.collapse(),
			about: "How much two numbers of the embedding say the same. It should be low; 1 is a collapse.",
			lines: []Line{r.atEpochs(func(e runlog.Epoch) *float64 { return &e.Correlation })}},
		{title: "Effective rank of the embedding", unit: "directions", place: tenths, marks: r.collapse(),
			about: "In how many directions embeddings differ from their mean. High is good; near 1 is a collapse.",
			lines: []Line{r.atEpochs(func(e runlog.Epoch) *float64 { return &e.Rank })}}}
}

// pace are the curves of how fast it went.
func (r *Run) pace() []curve {
	lr := r.atEpochs(func(e runlog.Epoch) *float64 { return &e.LR })
	if steps := r.byStep(func(s runlog.Step) float64 { return s.LR }); len(steps.X) > len(lr.X) {
		if n, m := len(lr.X), len(steps.X); n > 0 && lr.X[n-1] > steps.X[m-1] { // where it has come to
			steps.X, steps.Y = append(steps.X, lr.X[n-1]), append(steps.Y, lr.Y[n-1])
		}
		lr.X, lr.Y, lr.Dots = steps.X, steps.Y, false
	}
	return []curve{
		{title: "Learning rate", unit: "rate", place: four, marks: r.replans(), lines: []Line{lr},
			about: "How large the steps are. It rises during the warm-up and falls to the end."},
		{title: "Speed", unit: "images/s", place: figure, about: "Images a second.",
			lines: []Line{r.byStep(func(s runlog.Step) float64 { return s.Images }),
				r.means(func(e runlog.Epoch) float64 { return e.Images })}},
		{title: "Waiting for data", unit: "% of the time", place: shared,
			about: "Share of the time in which the network waits for images to be read. Near 0 is good.",
			lines: []Line{r.means(func(e runlog.Epoch) float64 { return 100 * e.WaitShare })}}}
}

// stepsPerEpoch is how many steps an epoch has.
func (r *Run) stepsPerEpoch() float64 {
	if n := len(r.Metrics.Epochs); n > 0 && r.Metrics.Epochs[n-1].Epoch > 0 {
		return max(1, float64(r.Metrics.Epochs[n-1].Step)/float64(r.Metrics.Epochs[n-1].Epoch))
	}
	last := 1
	for _, s := range r.Metrics.Steps { // all in the first epoch
		last = max(last, s.Step)
	}
	return float64(last)
}

// reached is how many epochs the run has come to, with a share of one that has begun.
func (r *Run) reached() (epochs float64) {
	if n := len(r.Metrics.Epochs); n > 0 {
		epochs = float64(r.Metrics.Epochs[n-1].Epoch)
	}
	if n := len(r.Metrics.Steps); n > 0 {
		epochs = max(epochs, float64(r.Metrics.Steps[n-1].Step)/r.stepsPerEpoch())
	}
	return epochs
}

// terms are the names of the terms of the loss.
func (r *Run) terms() (names []string) {
	add := func(all runlog.Terms) {
		for _, t := range all {
			if !slices.Contains(names, t.Name) {
				names = append(names, t.Name)
			}
		}
	}
	if n := len(r.Metrics.Epochs); n > 0 {
		add(r.Metrics.Epochs[n-1].Terms)
	}
	if n := len(r.Metrics.Steps); n > 0 {
		add(r.Metrics.Steps[n-1].Terms)
	}
	return names
}

// replans marks where the number of epochs was changed.
func (r *Run) replans() (all []Moment) {
	for _, p := range r.Metrics.Replans {
		all = append(all, Moment{float64(p.Epoch), fmt.Sprintf("to %s", show.Count(p.To, "epoch")), "plain"})
	}
	return all
}

// collapse marks the first epoch that counts as collapsed.
func (r *Run) collapse() []Moment {
	for _, e := range r.Metrics.Epochs {
		if e.Collapsed {
			return []Moment{{float64(e.Epoch), "collapsed", "bad"}}
		}
	}
	return nil
}
