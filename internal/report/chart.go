package report

import (
	"fmt"
	"html"
	"html/template"
	"math"
	"strings"
)

// Chart is a small picture of one figure: lines with their last values beside them.
// Its colours are those of the page, and its words are text.
type Chart struct {
	X, Y  string // titles of the axes
	Lines []Line
	Refs  []Ref // what to hold the lines against
	Marks []Moment
	Floor *float64 // that the axis of y reaches down to
	To    float64  // that the axis of x reaches at least
	Room  float64  // for labels beside the plot, at least
	Log   bool     // both axes

	Place func(float64) string // writes a value; nil: to three figures
}

// Line is a line through points.
type Line struct {
	X, Y  []float64
	Class string // line, faint or other
	Dots  bool   // each point is drawn, as there are few
	Error []float64
	Label string // at its end; empty: none
}

// Ref is a level with its name.
type Ref struct {
	Y    float64
	Name string
}

// Moment is a place along x with its name.
type Moment struct {
	X     float64
	Name  string
	Class string // bad or plain
}

// Size of a chart in its own units, which are pixels on a wide screen.
const (
	chartWidth, chartHeight = 340.0, 208.0
	left, top, bottom       = 46.0, 22.0, 38.0
	letter                  = 6.9  // width of one, about
	row                     = 12.0 // height of one of names above the plot
	mostRows                = 3
)

// scale maps values to places.
type scale struct {
	lo, hi   float64
	from, to float64
	log      bool
}

func (s scale) at(v float64) float64 {
	lo, hi := s.lo, s.hi
	if s.log {
		v, lo, hi = math.Log10(v), math.Log10(lo), math.Log10(hi)
	}
	return s.from + (v-lo)/(hi-lo)*(s.to-s.from)
}

// SVG returns the chart as inline SVG, empty if it has no point.
func (c *Chart) SVG() template.HTML {
	const width = chartWidth
	x, y, any := c.reach()
	if !any {
		return ""
	}
	place := c.Place
	if place == nil {
		place = figure
	}
	x.from, x.to, x.log = left, width-c.room(), c.Log
	names, rows := c.named(x)
	y.from, y.to, y.log = chartHeight-bottom, top+row*float64(rows), c.Log
	var b strings.Builder
	fmt.Fprintf(&b, `<svg viewBox="0 0 %g %g" role="img" aria-label="%s">`, width, chartHeight, html.EscapeString(c.spoken(place)))
	for _, t := range ticks(y, 4) {
		at := y.at(t)
		fmt.Fprintf(&b, `<path class="grid" d="M%g %.1fH%.1f"/><text class="tick" x="%g" y="%.1f" text-anchor="end">%s</text>`,
			left, at, x.to, left-6, at+3.5, figure(t))
	}
	for _, t := range ticks(x, 6) {
		at := x.at(t)
		fmt.Fprintf(&b, `<path class="axis" d="M%.1f %gv4"/><text class="tick" x="%.1f" y="%g" text-anchor="middle">%s</text>`,
			at, y.from, at, y.from+15, figure(t))
	}
	fmt.Fprintf(&b, `<path class="axis" d="M%g %gH%.1f"/>`, left, y.from, x.to)
	fmt.Fprintf(&b, `<text class="tick" x="%.1f" y="%g" text-anchor="end">%s</text>`, x.to, chartHeight-6, html.EscapeString(c.X))
	fmt.Fprintf(&b, `<text class="tick" x="%g" y="%g">%s</text>`, 2.0, 9.0, html.EscapeString(c.Y))
	for _, r := range c.Refs {
		at := y.at(r.Y)
		fmt.Fprintf(&b, `<path class="ref" d="M%g %.1fH%.1f"/><text class="tick" x="%.1f" y="%.1f" text-anchor="end">%s</text>`,
			left, at, x.to, x.to-3, at-3, html.EscapeString(r.Name))
	}
	for _, m := range c.Marks {
		fmt.Fprintf(&b, `<path class="mark %s" d="M%.1f %gV%g"/>`, m.Class, x.at(m.X), y.to, y.from)
	}
	for _, n := range names {
		fmt.Fprintf(&b, `<text class="%s" x="%.1f" y="%.1f">%s</text>`, n.Class, n.from, y.to-5-row*float64(n.row), html.EscapeString(n.Name))
	}
	c.draw(&b, x, y)
	b.WriteString("</svg>")
	return template.HTML(b.String())
}

// room is how wide the labels beside the plot are.
func (c *Chart) room() float64 {
	room := max(c.Room, 10)
	for _, l := range c.Lines {
		room = max(room, letter*float64(len([]rune(l.Label)))+8)
	}
	return room
}

// name is that of a moment, at a place above the plot.
type name struct {
	Moment
	from float64
	row  int // from below
}

// named places the names of moments above the plot, where no curve runs through them: each in
// the lowest row where it does not overlap an earlier one. What fits into no row has its line
// alone.
func (c *Chart) named(x scale) (all []name, rows int) {
	var ends []float64 // of the last name in each row
	for _, m := range c.Marks {
		wide := letter * float64(len([]rune(m.Name)))
		n := name{Moment: m, from: max(left, min(x.at(m.X)-wide/2, chartWidth-wide))}
		for n.row < len(ends) && n.from < ends[n.row]+letter {
			n.row++
		}
		if n.row == mostRows {
			continue
		}
		if n.row == len(ends) {
			ends = append(ends, 0)
		}
		ends[n.row] = n.from + wide
		all = append(all, n)
	}
	return all, len(ends)
}

// draw draws the lines, and labels that keep apart at their ends.
func (c *Chart) draw(b *strings.Builder, x, y scale) {
	type label struct {
		at          float64
		class, text string
	}
	var labels []label
	for _, l := range c.Lines {
		l = l.thinned(500)
		var d strings.Builder
		broken, last, end := true, math.NaN(), 0.0
		for i, v := range l.Y {
			if !c.drawable(l.X[i], v) {
				broken = true
				continue
			}
			verb := "L"
			if broken {
				verb = "M"
			}
			broken = false
			last, end = y.at(v), x.at(l.X[i])
			fmt.Fprintf(&d, "%s%.1f %.1f", verb, end, last)
		}
		if math.IsNaN(last) {
			continue
		}
		fmt.Fprintf(b, `<path class="%s" d="%s"/>`, l.Class, d.String())
		for i, v := range l.Y {
			if !c.drawable(l.X[i], v) {
				continue
			}
			if l.Error != nil && l.Error[i] > 0 {
				fmt.Fprintf(b, `<path class="%s" d="M%.1f %.1fV%.1f"/>`, l.Class, x.at(l.X[i]), y.at(v-l.Error[i]), y.at(v+l.Error[i]))
			}
			if l.Dots {
				fmt.Fprintf(b, `<circle class="%s" cx="%.1f" cy="%.1f" r="2.4"/>`, l.Class, x.at(l.X[i]), y.at(v))
			}
		}
		if l.Label != "" {
			if end < x.to-1 {
				fmt.Fprintf(b, `<path class="lead" d="M%.1f %.1fH%.1f"/>`, end+3, last, x.to)
			}
			labels = append(labels, label{last, l.Class, l.Label})
		}
	}
	const apart = 13.0
	for pass := range labels { // from the top down, each below the one before
		for i := pass; i < len(labels); i++ {
			if labels[i].at < labels[pass].at {
				labels[i], labels[pass] = labels[pass], labels[i]
			}
		}
	}
	for i := 1; i < len(labels); i++ {
		labels[i].at = max(labels[i].at, labels[i-1].at+apart)
	}
	low := y.from
	for i := len(labels) - 1; i >= 0; i-- {
		labels[i].at = min(labels[i].at, low)
		low = labels[i].at - apart
	}
	for _, l := range labels {
		fmt.Fprintf(b, `<text class="end %s" x="%.1f" y="%.1f">%s</text>`, l.class, x.to+5, l.at+4, html.EscapeString(l.text))
	}
}

// drawable reports whether a point has a place.
func (c *Chart) drawable(x, y float64) bool {
	finite := !math.IsNaN(x+y) && !math.IsInf(x+y, 0)
	return finite && (!c.Log || x > 0 && y > 0)
}

// reach returns the ranges of both axes, and whether there is any point.
func (c *Chart) reach() (x, y scale, any bool) {
	x, y = scale{lo: math.Inf(1), hi: math.Inf(-1)}, scale{lo: math.Inf(1), hi: math.Inf(-1)}
	grow := func(s *scale, v float64) { s.lo, s.hi = min(s.lo, v), max(s.hi, v) }
	for _, l := range c.Lines {
		for i, v := range l.Y {
			if !c.drawable(l.X[i], v) {
				continue
			}
			any = true
			grow(&x, l.X[i])
			spread := 0.0
			if l.Error != nil {
				spread = l.Error[i]
			}
			grow(&y, v-spread)
			grow(&y, v+spread)
		}
	}
	for _, r := range c.Refs {
		grow(&y, r.Y)
	}
	if c.Floor != nil {
		grow(&y, *c.Floor)
	}
	if c.Log {
		return widened(x), widened(y), any
	}
	grow(&x, 0)
	grow(&x, c.To)
	if x.hi <= x.lo {
		x.hi = x.lo + 1
	}
	if y.hi-y.lo <= 1e-9*math.Abs(y.hi) {
		y.lo, y.hi = y.lo-max(0.05*math.Abs(y.lo), 1e-3), y.hi+max(0.05*math.Abs(y.hi), 1e-3)
	}
	margin := 0.06 * (y.hi - y.lo)
	y.hi += margin
	if c.Floor == nil || y.lo < *c.Floor {
		y.lo -= margin
	}
	return x, y, any
}

// widened gives an axis of powers of ten some length.
func widened(s scale) scale {
	if s.hi <= s.lo {
		s.lo, s.hi = s.lo/2, s.hi*2
	}
	return s
}

// spoken says in words what the chart shows, for those who do not see it.
func (c *Chart) spoken(place func(float64) string) string {
	for _, l := range c.Lines {
		var seen []float64
		for i, v := range l.Y {
			if c.drawable(l.X[i], v) {
				seen = append(seen, v)
			}
		}
		if n := len(seen); l.Class == "line" && n > 0 {
			return fmt.Sprintf("%s by %s: from %s to %s", c.Y, c.X, place(seen[0]), place(seen[n-1]))
		}
	}
	return c.Y + " by " + c.X
}

// thinned keeps of a long line the lowest and the highest point of each of n/2 parts, so
// that no peak is lost.
func (l Line) thinned(n int) Line {
	if len(l.X) <= n {
		return l
	}
	thin := l
	thin.X, thin.Y, thin.Error = nil, nil, nil
	parts := n / 2
	for p := range parts {
		from, to := p*len(l.X)/parts, (p+1)*len(l.X)/parts
		low, high := from, from
		for i := from; i < to; i++ {
			if l.Y[i] < l.Y[low] {
				low = i
			}
			if l.Y[i] > l.Y[high] {
				high = i
			}
		}
		for _, i := range []int{min(low, high), max(low, high)} {
			if k := len(thin.X); k == 0 || thin.X[k-1] != l.X[i] {
				thin.X, thin.Y = append(thin.X, l.X[i]), append(thin.Y, l.Y[i])
			}
		}
	}
	return thin
}
