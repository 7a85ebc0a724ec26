package report

import (
	"cmp"
	"fmt"
	"html"
	"html/template"
	"math"
	"slices"
	"strings"

	"vicreg/internal/compare"
	"vicreg/internal/runlog"
	"vicreg/internal/show"
)

// scored is of how many items the scores of a group are shares, 0 if unknown.
func scored(e entry) int { return e.Runs[0].Summary.Scored }

// dotted draws the scores at the end, a row for each group.
func dotted(all []entry, best int) (panels []Panel) {
	for _, kind := range []struct {
		title, unit string
		of, before  func(entry) compare.Stat
		items       func(entry) int
	}{
		{"Linear probe", "right, %", func(e entry) compare.Stat { return e.Linear },
			func(e entry) compare.Stat { return e.UntrainedLinear }, scored},
		{"kNN", "right, %", func(e entry) compare.Stat { return e.KNN },
			func(e entry) compare.Stat { return e.UntrainedKNN }, scored},
		{"Views that find each other", "views, %", func(e entry) compare.Stat { return e.views },
			func(e entry) compare.Stat { return e.viewsBefore }, func(e entry) int {
				if v := e.Runs[0].Summary.Verdict; v != nil {
					return v.Items
				}
				return 0
			}},
	} {
		var rows []dot
		before := math.NaN()
		for i, e := range all {
			s := kind.of(e)
			if s.N == 0 {
				continue
			}
			d := dot{name: e.Name, at: s.Mean, spread: s.Deviation, best: i == best}
			if s.N == 1 {
				d.spread = single(s.Mean, kind.items(e))
			}
			rows = append(rows, d)
			if b := kind.before(e); b.N > 0 && i == best {
				before = b.Mean
			}
		}
		if len(rows) == 0 {
			continue
		}
		slices.SortStableFunc(rows, func(a, b dot) int { return cmp.Compare(b.at, a.at) })
		panels = append(panels, Panel{Title: kind.title, SVG: dots(rows, before, kind.unit)})
	}
	return panels
}

// dot is a row of a picture of scores.
type dot struct {
	name       string
	at, spread float64
	best       bool
}

// dots draws rows of a name, a dot, a bar of its error and its value, and where the untrained
// encoder stands.
func dots(rows []dot, before float64, unit string) template.HTML {
	const line = 22.0
	const longest = 24
	name := 0
	x := scale{lo: math.Inf(1), hi: math.Inf(-1)}
	for _, r := range rows {
		name = max(name, min(longest, len([]rune(r.name))))
		x.lo, x.hi = min(x.lo, r.at-r.spread), max(x.hi, r.at+r.spread)
	}
	if !math.IsNaN(before) {
		x.lo, x.hi = min(x.lo, before), max(x.hi, before)
	}
	margin := max(0.06*(x.hi-x.lo), 0.5)
	x.lo, x.hi = max(0, x.lo-margin), x.hi+margin
	const width, values = 460.0, 52.0
	x.from, x.to = letter*float64(name)+14, width-values
	bottom := 22 + line*float64(len(rows))
	var b strings.Builder
	fmt.Fprintf(&b, `<svg viewBox="0 0 %g %g" role="img" aria-label="%s">`, width, bottom+36,
		html.EscapeString(fmt.Sprintf("scores of %d runs, from %.1f to %.1f", len(rows), rows[len(rows)-1].at, rows[0].at)))
	for _, t := range ticks(x, 5) {
		at := x.at(t)
		fmt.Fprintf(&b, `<path class="grid" d="M%.1f 18V%.1f"/><text class="tick" x="%.1f" y="%.1f" text-anchor="middle">%s</text>`,
			at, bottom, at, bottom+15, figure(t))
	}
	fmt.Fprintf(&b, `<path class="axis" d="M%.1f %.1fH%.1f"/><text class="tick" x="%.1f" y="%.1f" text-anchor="end">%s</text>`,
		x.from, bottom, x.to, x.to, bottom+31, html.EscapeString(unit))
	if !math.IsNaN(before) {
		at := x.at(before)
		fmt.Fprintf(&b, `<path class="ref" d="M%.1f 16V%.1f"/><text class="tick" x="%.1f" y="11" text-anchor="middle">untrained %.1f</text>`,
			at, bottom, min(max(at, x.from+30), x.to-30), before)
	}
	for i, r := range rows {
		y := 22 + line*(float64(i)+0.5)
		class := "other"
		if r.best {
			class = "line"
		}
		words := []rune(show.Line(r.name))
		if len(words) > longest {
			words = append(words[:longest-1], '…')
		}
		fmt.Fprintf(&b, `<text class="end %s" x="%.1f" y="%.1f" text-anchor="end">%s</text>`, class, x.from-8, y+4, html.EscapeString(string(words)))
		if r.spread > 0 {
			fmt.Fprintf(&b, `<path class="%s" d="M%.1f %.1fH%.1f"/>`, class, x.at(r.at-r.spread), y, x.at(r.at+r.spread))
		}
		fmt.Fprintf(&b, `<circle class="%s" cx="%.1f" cy="%.1f" r="4"/><text class="end %s" x="%.1f" y="%.1f">%.1f</text>`,
			class, x.at(r.at), y, class, x.to+10, y+4, r.at)
	}
	b.WriteString("</svg>")
	return template.HTML(b.String())
}

// mostLines is how many groups are drawn in a picture of curves.
const mostLines = 12

// curves are those by epoch, the mean of each group with its deviation; the best one is in
// colour.
func (m *Many) curves(all []entry, best int) (panels []Panel) {
	order := make([]int, 0, len(all))
	for i := range all {
		if i != best {
			order = append(order, i)
		}
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(all[b].score.Mean, all[a].score.Mean) })
	order = order[:min(len(order), mostLines-1)]
	slices.Reverse(order)
	if best >= 0 {
		order = append(order, best) // on top
	}
	last := 0
	for _, r := range m.Runs {
		if n := len(r.Epochs); n > 0 {
			last = max(last, r.Epochs[n-1].Epoch)
		}
	}
	for _, kind := range []struct {
		title, unit, about string
		floor              bool
		of                 func(runlog.Epoch) *float64
		before             func(entry) compare.Stat
	}{
		{"kNN while training", "right, %", "Share of images whose nearest neighbours name their class.", false,
			func(e runlog.Epoch) *float64 { return hundred(e.KNN) },
			func(e entry) compare.Stat { return e.UntrainedKNN }},
		{"Views that find each other", "views, %", "Share of views whose other view is the nearest of all; needs no labels.", true,
			func(e runlog.Epoch) *float64 {
				if e.Views == nil {
					return nil
				}
				return hundred(&e.Views.R1)
			}, func(e entry) compare.Stat { return e.viewsBefore }},
		{"Standard deviation", "std", "Of the embedding; 0 is a collapse.", true,
			func(e runlog.Epoch) *float64 { return ofEmbedding(e, e.EmbeddingStd) }, nil},
		{"Effective rank of the embedding", "directions", "In how many directions embeddings differ; near 1 is a collapse.", true,
			func(e runlog.Epoch) *float64 { return ofEmbedding(e, e.Rank) }, nil},
	} {
		c := Chart{X: "epoch", Y: kind.unit, To: float64(last)}
		if kind.floor {
			c.Floor = new(float64)
		}
		for _, i := range order {
			l := all[i].line(kind.of)
			if l.Label = show.Line(all[i].Name); len([]rune(l.Label)) > 16 {
				l.Label = string([]rune(l.Label)[:15]) + "…"
			}
			if l.Class = "other"; i == best {
				l.Class = "line"
			}
			c.Lines = append(c.Lines, l)
			if kind.before != nil && i == best && len(l.X) > 0 {
				if b := kind.before(all[i]); b.N > 0 {
					c.Refs = []Ref{{b.Mean, "untrained"}}
				}
			}
		}
		if svg := c.SVG(); svg != "" {
			panels = append(panels, Panel{Title: kind.title, About: kind.about, SVG: svg})
		}
	}
	return panels
}

// ofEmbedding is a figure of the embedding; nil of a run that has none.
func ofEmbedding(e runlog.Epoch, v float64) *float64 {
	if !e.Embedded() {
		return nil
	}
	return &v
}

// line is the mean over the runs of a group of a figure at the epochs that have it.
func (e *entry) line(of func(runlog.Epoch) *float64) (l Line) {
	values := map[int][]float64{}
	var epochs []int
	for _, r := range e.Runs {
		for _, at := range r.Epochs {
			if v := of(at); v != nil {
				if values[at.Epoch] == nil {
					epochs = append(epochs, at.Epoch)
				}
				values[at.Epoch] = append(values[at.Epoch], *v)
			}
		}
	}
	slices.Sort(epochs)
	for _, at := range epochs {
		s := compare.NewStat(values[at])
		l.X, l.Y, l.Error = append(l.X, float64(at)), append(l.Y, s.Mean), append(l.Error, s.Deviation)
	}
	l.Dots = len(l.X) < 30
	return l
}
