package compare

import (
	"bytes"
	"cmp"
	"fmt"
	"image/color"
	"math"
	"path/filepath"
	"slices"
	"strings"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgimg"
	_ "gonum.org/v1/plot/vg/vgsvg" // .svg

	"vicreg/internal/durable"
)

// Plot draws how the runs learned and where they ended, as a picture at path,
// which ends in .png or .svg. Runs of one name that differ in their seed are
// drawn as one, with mean and standard deviation.
func Plot(path string, runs []Run) error {
	if len(runs) == 0 {
		return fmt.Errorf("%s: there are no runs to draw", path)
	}
	groups := Groups(runs)
	panels := []*plot.Plot{scores(groups)}
	if curves := learning(groups); curves != nil {
		panels = append([]*plot.Plot{curves}, panels...)
	}
	height := max(9, 0.62*float64(len(groups))+3.5)
	return write(path, vg.Length(15*len(panels))*vg.Centimeter, vg.Length(height)*vg.Centimeter, 1, len(panels), panels)
}

// write draws panels in rows and saves them durably. A PNG has twice the pixels of
// a screen's usual resolution.
func write(path string, width, height vg.Length, rows, columns int, panels []*plot.Plot) error {
	var c vg.CanvasWriterTo
	switch ext := strings.TrimPrefix(filepath.Ext(path), "."); ext {
	case "png":
		c = vgimg.PngCanvas{Canvas: vgimg.NewWith(vgimg.UseWH(width, height), vgimg.UseDPI(192))}
	default:
		var err error
		if c, err = draw.NewFormattedCanvas(width, height, ext); err != nil || ext != "svg" {
			return fmt.Errorf("%s: a picture ends in .png or .svg", path)
		}
	}
	tiles := draw.Tiles{Rows: rows, Cols: columns, PadX: 8 * vg.Millimeter, PadY: 6 * vg.Millimeter,
		PadTop: 2 * vg.Millimeter, PadBottom: 2 * vg.Millimeter, PadLeft: 2 * vg.Millimeter,
		PadRight: 3 * vg.Millimeter}
	canvas := draw.New(c)
	for i, p := range panels {
		if p != nil {
			p.Draw(tiles.At(canvas, i%columns, i/columns))
		}
	}
	var b bytes.Buffer
	if _, err := c.WriteTo(&b); err != nil {
		return err
	}
	if err := durable.WriteFile(path, Sign(b.Bytes())); err != nil {
		return fmt.Errorf("cannot write %s: %w", path, err)
	}
	return nil
}

// learning draws the kNN score over the epochs, nil if no run has any. The name of
// a run stands at the end of its line.
func learning(groups []Group) *plot.Plot {
	p := newPlot("kNN while training, %")
	p.X.Label.Text, p.Y.Label.Text = "epoch", "right, %"
	p.Add(grid(false, true))
	names := newEnds(p)
	drawn := false
	for i, g := range groups {
		curve, spread := g.knn()
		if len(curve) == 0 {
			continue
		}
		drawn = true
		style := stroke(i)
		for k, at := range curve {
			if s := spread[k]; s > 0 {
				bar := &plotter.Line{XYs: plotter.XYs{{X: at.X, Y: at.Y - s}, {X: at.X, Y: at.Y + s}},
					LineStyle: draw.LineStyle{Color: style.Color, Width: vg.Points(0.7)}}
				p.Add(bar)
			}
		}
		p.Add(&plotter.Line{XYs: curve, LineStyle: style})
		last := curve[len(curve)-1]
		names.add(last.X, last.Y, g.Name, style.Color)
	}
	if !drawn {
		return nil
	}
	p.Add(names)
	p.X.Min = 0
	p.X.Tick.Marker = plot.TickerFunc(whole)
	p.Y.Tick.Marker = plot.TickerFunc(few)
	return p
}

// scores draws the final scores, the best linear probe at the top, with a line
// where the untrained encoder stands.
func scores(groups []Group) *plot.Plot {
	p := newPlot("at the end, %")
	p.X.Label.Text = "right, %"
	p.Add(grid(true, false))
	sorted := slices.Clone(groups)
	slices.SortStableFunc(sorted, func(a, b Group) int {
		return cmp.Compare(cmp.Or(a.Linear.Mean, a.KNN.Mean), cmp.Or(b.Linear.Mean, b.KNN.Mean))
	})
	var names []string
	top := float64(len(sorted)) - 0.5
	best := sorted[len(sorted)-1]
	for i, kind := range []struct {
		words  string
		of     func(Group) Stat
		before func(Group) Stat
		shape  draw.GlyphDrawer
	}{
		{"kNN", func(g Group) Stat { return g.KNN }, func(g Group) Stat { return g.UntrainedKNN }, draw.CircleGlyph{}},
		{"linear probe", func(g Group) Stat { return g.Linear }, func(g Group) Stat { return g.UntrainedLinear }, draw.BoxGlyph{}},
	} {
		ink := palette[i]
		var at plotter.XYs
		for row, g := range sorted {
			s := kind.of(g)
			if s.N == 0 {
				continue
			}
			at = append(at, plotter.XY{X: s.Mean, Y: float64(row)})
			if s.Deviation > 0 {
				p.Add(&plotter.Line{XYs: plotter.XYs{{X: s.Mean - s.Deviation, Y: float64(row)},
					{X: s.Mean + s.Deviation, Y: float64(row)}},
					LineStyle: draw.LineStyle{Color: ink, Width: vg.Points(1)}})
			}
		}
		if before := kind.before(best); before.N > 0 {
			if i == 0 || math.Abs(before.Mean-best.UntrainedKNN.Mean) > 1 {
				p.Add(words(p, before.Mean, -0.75, "untrained", quiet, draw.XLeft))
			}
			p.Add(&plotter.Line{XYs: plotter.XYs{{X: before.Mean, Y: -0.5}, {X: before.Mean, Y: top}},
				LineStyle: draw.LineStyle{Color: ink, Width: vg.Points(0.8),
					Dashes: []vg.Length{vg.Points(3), vg.Points(3)}}})
		}
		if len(at) > 0 {
			p.Add(&plotter.Scatter{XYs: at, GlyphStyle: draw.GlyphStyle{Color: ink, Radius: vg.Points(3.2),
				Shape: kind.shape}})
			align := draw.XRight // the lower of the two ends where the other begins
			if kind.of(best).Mean > min(best.KNN.Mean, best.Linear.Mean) || kind.of(best).N == 0 {
				align = draw.XLeft
			}
			p.Add(words(p, at[len(at)-1].X, top, kind.words, ink, align))
		}
	}
	for _, g := range sorted {
		names = append(names, g.Name)
	}
	p.NominalY(names...)
	p.Y.Min, p.Y.Max = -0.9, top+0.3
	p.Y.Tick.Label.Font.Size = vg.Points(9)
	p.X.Tick.Marker = plot.TickerFunc(few)
	if math.IsInf(p.X.Min, 0) { // nothing is scored
		p.X.Min, p.X.Max = 0, 100
	}
	if margin := 0.04 * (p.X.Max - p.X.Min); margin > 0 {
		p.X.Min, p.X.Max = p.X.Min-margin, p.X.Max+margin
	} else {
		p.X.Min, p.X.Max = p.X.Min-1, p.X.Max+1
	}
	for row, g := range sorted {
		if g.KNN.N == 0 && g.Linear.N == 0 {
			said := words(p, p.X.Min, float64(row), g.unscored(), quiet, draw.XLeft)
			said.TextStyle[0].YAlign, said.Offset = draw.YCenter, vg.Point{X: vg.Points(4)}
			p.Add(said)
		}
	}
	return p
}

// unscored says what there is in place of the scores of a group that has none.
func (g *Group) unscored() string {
	if top := g.stat(func(r Run) *float64 {
		if c := r.Summary.Classifier; c != nil {
			return &c.Top1
		}
		return nil
	}); top.N > 0 {
		return fmt.Sprintf("its classifier: %s%%", top)
	}
	return "not scored, for want of labels"
}

// words are a few of them at a place of a plot, aligned there.
func words(p *plot.Plot, x, y float64, text string, c color.Color, align draw.XAlignment) *plotter.Labels {
	style := p.X.Tick.Label
	style.Color, style.XAlign, style.YAlign = c, align, draw.YBottom
	return &plotter.Labels{XYs: plotter.XYs{{X: x, Y: y}}, Labels: []string{text}, TextStyle: []draw.TextStyle{style},
		Offset: vg.Point{Y: vg.Points(1.5)}}
}

func grid(vertical, horizontal bool) *plotter.Grid {
	g := plotter.NewGrid()
	style := draw.LineStyle{Color: faint, Width: vg.Points(0.6)}
	g.Vertical, g.Horizontal = draw.LineStyle{}, draw.LineStyle{}
	if vertical {
		g.Vertical = style
	}
	if horizontal {
		g.Horizontal = style
	}
	return g
}

// few places some five round numbers on an axis.
func few(lo, hi float64) []plot.Tick {
	return ticks(lo, hi, step((hi-lo)/5))
}

// whole is few of whole numbers.
func whole(lo, hi float64) []plot.Tick {
	return ticks(lo, hi, max(1, step((hi-lo)/8)))
}

// step is the round number nearest above x: 1, 2 or 5 times a power of ten.
func step(x float64) float64 {
	if !(x > 0) || math.IsInf(x, 0) {
		return 1
	}
	power := math.Pow(10, math.Floor(math.Log10(x)))
	for _, m := range []float64{1, 2, 5} {
		if m*power >= x*(1-1e-9) {
			return m * power
		}
	}
	return 10 * power
}

func ticks(lo, hi, step float64) (all []plot.Tick) {
	for k := math.Ceil(lo/step - 1e-9); k*step <= hi+1e-9*step && len(all) < 100; k++ {
		v := k * step
		if v == 0 {
			v = 0 // not -0
		}
		all = append(all, plot.Tick{Value: v, Label: fmt.Sprintf("%.6g", v)})
	}
	return all
}
