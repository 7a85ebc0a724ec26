package compare

import (
	"fmt"
	"image/color"
	"math"
	"slices"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"

	"vicreg/internal/runlog"
)

// Curves draws what one run went through, a panel for each figure: the loss and
// its terms, by step and as means of epochs, and after each epoch what shows a
// collapse and the kNN score, or how views find each other. path ends in .png or .svg.
func Curves(path string, r Run) error {
	if len(r.Epochs) == 0 {
		return fmt.Errorf("%s: run %s has no epoch to draw", path, r.Name)
	}
	last := r.Epochs[len(r.Epochs)-1]
	steps := float64(last.Step) / float64(last.Epoch) // in an epoch
	byStep := func(of func(runlog.Step) float64) (xy plotter.XYs) {
		for _, s := range r.Steps {
			xy = append(xy, plotter.XY{X: float64(s.Step) / steps, Y: of(s)})
		}
		return xy
	}
	byEpoch := func(shift float64, of func(runlog.Epoch) float64) (xy plotter.XYs) {
		for _, e := range r.Epochs {
			xy = append(xy, plotter.XY{X: float64(e.Epoch) - shift, Y: of(e)})
		}
		return xy
	}
	collapsed := func(p *plot.Plot) {
		for _, e := range r.Epochs {
			if e.Collapsed {
				p.Add(&plotter.Line{XYs: plotter.XYs{{X: float64(e.Epoch), Y: p.Y.Min},
					{X: float64(e.Epoch), Y: p.Y.Max}},
					LineStyle: draw.LineStyle{Color: palette[1], Width: vg.Points(1.2)}})
				p.Add(words(p, float64(e.Epoch), p.Y.Max, " collapsed", palette[1], draw.XLeft))
				return
			}
		}
	}

	// Means of an epoch stand at its middle.
	panels := []*plot.Plot{panel("loss", byStep(func(s runlog.Step) float64 { return s.Loss }),
		byEpoch(0.5, func(e runlog.Epoch) float64 { return e.Loss }))}
	for _, t := range last.Terms {
		panels = append(panels, panel(t.Name, byStep(func(s runlog.Step) float64 { return s.Terms.Get(t.Name) }),
			byEpoch(0.5, func(e runlog.Epoch) float64 { return e.Terms.Get(t.Name) })))
	}
	if slices.ContainsFunc(r.Epochs, func(e runlog.Epoch) bool { return e.Embedded() }) {
		std := panel("standard deviation of the embedding", nil, byEpoch(0, func(e runlog.Epoch) float64 { return e.EmbeddingStd }))
		collapsed(std)
		panels = append(panels, std,
			panel("correlation in the embedding", nil, byEpoch(0, func(e runlog.Epoch) float64 { return e.Correlation })),
			panel("effective rank of the embedding", nil, byEpoch(0, func(e runlog.Epoch) float64 { return e.Rank })))
	}
	if curve, _ := Groups([]Run{r})[0].knn(); len(curve) > 0 {
		p := panel("kNN, %", nil, curve)
		untrained(p, r.Summary.RandomInitKNN)
		panels = append(panels, p)
	} else if curve := r.views(); len(curve) > 0 {
		p := panel("views that find each other, %", nil, curve)
		if v := r.Summary.Verdict; v != nil && v.Untrained != nil {
			untrained(p, &v.Untrained.R1)
		}
		panels = append(panels, p)
	} else if curve := r.taught(); len(curve) > 0 {
		panels = append(panels, panel("top-1, %", nil, curve))
	}
	for _, p := range panels {
		roomy(p)
		p.X.Label.Text, p.X.Max = "epoch", float64(last.Epoch)
	}
	columns := min(4, (len(panels)+1)/2)
	rows := (len(panels) + columns - 1) / columns
	return write(path, vg.Length(8*columns)*vg.Centimeter, vg.Length(7*float64(rows))*vg.Centimeter, rows, columns,
		panels)
}

// views is how many views found the other one of their image, in percent by epoch.
func (r *Run) views() (xy plotter.XYs) {
	for _, e := range r.Epochs {
		if e.Views != nil {
			xy = append(xy, plotter.XY{X: float64(e.Epoch), Y: 100 * e.Views.R1})
		}
	}
	return xy
}

// taught is how many images a classifier gets right, in percent by epoch.
func (r *Run) taught() (xy plotter.XYs) {
	for _, e := range r.Epochs {
		if e.Classified != nil {
			xy = append(xy, plotter.XY{X: float64(e.Epoch), Y: 100 * e.Classified.Top1})
		}
	}
	return xy
}

// roomy gives a figure that has but one value, or none, a range around it, which is not of both
// signs unless the value is 0.
func roomy(p *plot.Plot) {
	if y := &p.Y; y.Max-y.Min <= 1e-9*math.Abs(y.Max) {
		margin := max(0.1*math.Abs(y.Max), 1e-3)
		y.Min, y.Max = y.Min-margin, y.Max+margin
	}
}

// untrained draws the share that the untrained encoder comes to, if it is known.
func untrained(p *plot.Plot, share *float64) {
	if share == nil {
		return
	}
	y, right := 100**share, p.X.Max
	p.Add(&plotter.Line{XYs: plotter.XYs{{X: 0, Y: y}, {X: right, Y: y}},
		LineStyle: draw.LineStyle{Color: quiet, Width: vg.Points(0.8),
			Dashes: []vg.Length{vg.Points(3), vg.Points(3)}}},
		words(p, right, y, "untrained", quiet, draw.XRight))
}

// panel draws a figure over the epochs: a faint line by step, if there are any,
// and a strong one by epoch.
func panel(title string, steps, epochs plotter.XYs) *plot.Plot {
	p := newPlot(title)
	p.Add(grid(false, true))
	pale := color.RGBA{0xb8, 0xb2, 0xdc, 0xff}
	if len(steps) > 1 {
		p.Add(&plotter.Line{XYs: steps, LineStyle: draw.LineStyle{Color: pale, Width: vg.Points(0.8)}})
	}
	p.Add(&plotter.Line{XYs: epochs, LineStyle: stroke(0)})
	if len(epochs) < 40 {
		p.Add(&plotter.Scatter{XYs: epochs, GlyphStyle: draw.GlyphStyle{Color: palette[0], Radius: vg.Points(2),
			Shape: draw.CircleGlyph{}}})
	}
	p.X.Min = 0
	p.X.Tick.Marker = plot.TickerFunc(whole)
	p.Y.Tick.Marker = plot.TickerFunc(few)
	return p
}
