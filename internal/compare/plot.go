package compare

import (
	"bytes"
	"fmt"
	"image/color"
	"path/filepath"
	"strings"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/palette/brewer"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	_ "gonum.org/v1/plot/vg/vgimg" // .png
	_ "gonum.org/v1/plot/vg/vgsvg" // .svg

	"vicreg/internal/durable"
)

// Plot draws runs into a file, a .png or .svg: on the left the kNN score after
// each epoch, on the right both scores at the end, with those of the untrained
// encoder as lines.
func Plot(path string, runs []Run) error {
	if len(runs) == 0 {
		return fmt.Errorf("%s: there are no runs to draw", path)
	}
	epochs, err := learning(runs)
	if err != nil {
		return err
	}
	final, err := ends(runs)
	if err != nil {
		return err
	}
	const width, height = 30 * vg.Centimeter, 13 * vg.Centimeter
	c, err := draw.NewFormattedCanvas(width, height, strings.TrimPrefix(filepath.Ext(path), "."))
	if err != nil {
		return fmt.Errorf("%s: a plot ends in .png or .svg: %w", path, err)
	}
	tiles := draw.Tiles{Rows: 1, Cols: 2, PadX: vg.Centimeter, PadTop: vg.Millimeter, PadBottom: vg.Millimeter, PadLeft: vg.Millimeter, PadRight: 3 * vg.Millimeter}
	canvas := draw.New(c)
	for i, p := range []*plot.Plot{epochs, final} {
		p.Draw(tiles.At(canvas, i, 0))
	}
	var b bytes.Buffer
	if _, err := c.WriteTo(&b); err != nil {
		return err
	}
	if err := durable.WriteFile(path, b.Bytes()); err != nil {
		return fmt.Errorf("cannot write %s: %w", path, err)
	}
	return nil
}

// colours are as many as there are runs, told apart as well as may be.
func colours(n int) []color.Color {
	p, err := brewer.GetPalette(brewer.TypeQualitative, "Paired", min(max(n, 3), 12))
	if err != nil {
		panic("compare: " + err.Error()) // the palette exists for 3 to 12
	}
	return p.Colors()
}

// learning plots kNN against epochs.
func learning(runs []Run) (*plot.Plot, error) {
	p := plot.New()
	p.Title.Text = "kNN while training"
	p.X.Label.Text, p.Y.Label.Text = "epoch", "kNN, %"
	p.Add(plotter.NewGrid())
	all := colours(len(runs))
	last := 0
	for i, r := range runs {
		last = max(last, len(r.Epochs))
		var xy plotter.XYs
		if r.Summary.RandomInitKNN != nil {
			xy = append(xy, plotter.XY{X: 0, Y: 100 * *r.Summary.RandomInitKNN})
		}
		for _, e := range r.Epochs {
			if e.KNN != nil {
				xy = append(xy, plotter.XY{X: float64(e.Epoch), Y: 100 * *e.KNN})
			}
		}
		if len(xy) == 0 {
			continue
		}
		line, points, err := plotter.NewLinePoints(xy)
		if err != nil {
			return nil, err
		}
		line.Color, line.Width = all[i%len(all)], vg.Points(2)
		if i >= len(all) {
			line.Dashes = []vg.Length{vg.Points(5), vg.Points(3)}
		}
		points.Color, points.Shape = line.Color, draw.CircleGlyph{}
		p.Add(line, points)
		p.Legend.Add(r.Name, line, points)
	}
	p.X.Tick.Marker = plot.TickerFunc(func(lo, hi float64) (ticks []plot.Tick) {
		step := max(1, int(hi-lo)/10)
		for x := int(lo); x <= last; x += step {
			ticks = append(ticks, plot.Tick{Value: float64(x), Label: fmt.Sprint(x)})
		}
		return ticks
	})
	p.X.Max += 0.35 * (p.X.Max - p.X.Min) // room for the legend
	p.Legend.Padding, p.Legend.Top = vg.Millimeter, true
	return p, nil
}

// ends plots the scores at the end as bars.
func ends(runs []Run) (*plot.Plot, error) {
	p := plot.New()
	p.Title.Text = "at the end (lines: untrained)"
	p.Y.Label.Text = "%"
	var names []string
	knn, linear := make(plotter.Values, len(runs)), make(plotter.Values, len(runs))
	for i, r := range runs {
		names = append(names, r.Name)
		knn[i], linear[i] = value(r.Summary.KNN), value(r.Summary.Linear)
	}
	all := colours(4)
	for i, part := range []struct {
		name   string
		values plotter.Values
		before *float64
	}{{"kNN", knn, runs[0].Summary.RandomInitKNN}, {"linear probe", linear, runs[0].Summary.RandomInitLinear}} {
		bars, err := plotter.NewBarChart(part.values, vg.Points(11))
		if err != nil {
			return nil, err
		}
		bars.Color, bars.LineStyle.Width, bars.Offset = all[1+2*i], 0, vg.Points(float64(12*i-6))
		p.Add(bars)
		p.Legend.Add(part.name, bars)
		if part.before != nil {
			line, err := plotter.NewLine(plotter.XYs{{X: -0.6, Y: 100 * *part.before}, {X: float64(len(runs)) - 0.4, Y: 100 * *part.before}})
			if err != nil {
				return nil, err
			}
			line.Color, line.Dashes = all[1+2*i], []vg.Length{vg.Points(4), vg.Points(3)}
			p.Add(line)
		}
	}
	p.NominalX(names...)
	p.X.Tick.Label.Rotation, p.X.Tick.Label.XAlign, p.X.Tick.Label.YAlign = 0.7, draw.XRight, draw.YCenter
	p.Y.Min, p.Y.Max = 0, 115 // room for the legend
	p.Legend.Top = true
	return p, nil
}

func value(share *float64) float64 {
	if share == nil {
		return 0
	}
	return 100 * *share
}
