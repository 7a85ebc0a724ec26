package compare

import (
	"cmp"
	"image/color"
	"slices"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/text"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

// ends are words right of the ends of lines, in the lines' colours. Words that would
// overlap are moved apart.
type ends struct {
	labels []end
	style  draw.TextStyle
}

type end struct {
	x, y  float64 // where the line ends
	words string
	color color.Color
}

func newEnds(p *plot.Plot) *ends {
	style := p.X.Tick.Label
	style.Font.Size = vg.Points(9)
	style.XAlign, style.YAlign = text.XLeft, text.YCenter
	return &ends{style: style}
}

func (e *ends) add(x, y float64, words string, c color.Color) {
	e.labels = append(e.labels, end{x, y, words, c})
}

// gap is between the end of a line and its words.
const gap = vg.Length(5)

// Plot draws the words.
func (e *ends) Plot(c draw.Canvas, p *plot.Plot) {
	trX, trY := p.Transforms(&c)
	type place struct {
		end
		from, at vg.Length // where the line ends, where the words go
	}
	var places []place
	for _, l := range e.labels {
		y := trY(l.y)
		places = append(places, place{l, y, y})
	}
	slices.SortStableFunc(places, func(a, b place) int { return cmp.Compare(a.at, b.at) })
	// Neighbours that are too close are moved apart around their middle, a group at a
	// time, until none are.
	height := e.style.Height("x") * 1.9
	type group struct {
		first, n int
		low      vg.Length
	}
	var groups []group
	for i, l := range places {
		groups = append(groups, group{i, 1, l.at})
		for len(groups) > 1 {
			a, b := &groups[len(groups)-2], groups[len(groups)-1]
			if a.low+vg.Length(a.n)*height <= b.low {
				break
			}
			var sum vg.Length
			for k := range a.n + b.n {
				sum += places[a.first+k].from - vg.Length(k)*height
			}
			a.n += b.n
			a.low = sum / vg.Length(a.n)
			groups = groups[:len(groups)-1]
		}
	}
	for _, g := range groups {
		low := max(c.Min.Y, min(g.low, c.Max.Y-vg.Length(g.n-1)*height))
		for k := range g.n {
			places[g.first+k].at = low + vg.Length(k)*height
		}
	}
	for _, l := range places {
		x := trX(l.x)
		s := e.style
		s.Color = l.color
		right := c.Max.X + 3*gap
		c.StrokeLine2(draw.LineStyle{Color: l.color, Width: vg.Points(0.5)}, x+gap/2, l.from, right-gap/2, l.at)
		c.FillText(s, vg.Point{X: right, Y: l.at}, l.words)
	}
}

// GlyphBoxes keeps room for the words right of the plot.
func (e *ends) GlyphBoxes(p *plot.Plot) []plot.GlyphBox {
	var wide vg.Length
	for _, l := range e.labels {
		wide = max(wide, e.style.Width(l.words))
	}
	return []plot.GlyphBox{{X: 1, Y: 0.5, Rectangle: vg.Rectangle{Max: vg.Point{X: 4*gap + wide}}}}
}
