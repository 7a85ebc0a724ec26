package atlas

import (
	"bytes"
	"cmp"
	"fmt"
	"html"
	"html/template"
	"slices"

	"vicreg/internal/show"
)

// Drawing says how [SVG] draws a map. The zero value is what is usual.
type Drawing struct {
	By     string // what colours tell: class, cluster or none; empty: the class, or else the cluster
	PCA    bool   // places by PCA; else by t-SNE
	Size   int    // width and height; 0: 720
	Points int    // that are drawn at most, spread evenly; 0: all
}

// Palette are the colours of classes and clusters, over again from the first where there are
// more: light enough for dark paper, dark enough for white.
var Palette = []string{"#4e79a7", "#f28e2b", "#59a14f", "#e15759", "#b07aa1",
	"#9c755f", "#d4a72c", "#e377a2", "#4aa5a0", "#8c8c8c"}

// plain is the colour of points where colours tell nothing.
const plain = "#4e79a7"

// mostLabels is how many groups are named on a map. More names would hide it.
const mostLabels = 24

// SVG draws a map: a dot for each image and the name of each class or cluster in its midst.
// It stands in a page or alone, on light paper and on dark.
func SVG(m *Map, o Drawing) template.HTML {
	size := cmp.Or(o.Size, 720)
	group, names := m.groups(o.By)
	const margin = 12
	scale := float64(size)/2 - margin
	place := func(p *Point) (x, y float64) {
		at := p.TSNE
		if o.PCA {
			at = p.PCA
		}
		return float64(size)/2 + scale*float64(at[0]), float64(size)/2 - scale*float64(at[1])
	}
	n := len(m.Points)
	shown := n
	if o.Points > 0 {
		shown = min(n, o.Points)
	}
	paths := make([]bytes.Buffer, len(Palette)+1)
	xs, ys := make([][]float64, len(names)), make([][]float64, len(names))
	for s := range shown {
		p := &m.Points[s*n/shown]
		x, y := place(p)
		g := group(p)
		at := len(Palette)
		if g >= 0 {
			at = g % len(Palette)
			xs[g], ys[g] = append(xs[g], x), append(ys[g], y)
		}
		fmt.Fprintf(&paths[at], "M%.1f %.1fh0", x, y)
	}
	var b bytes.Buffer
	what := "t-SNE"
	if o.PCA {
		what = "PCA"
	}
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %[1]d" width="100%%" role="img" `+
		`aria-label="Map of %s by %s" style="max-width:%[1]dpx;font:600 %[4]dpx system-ui,sans-serif">`, size, html.EscapeString(show.Count(shown, "image")), what, max(10, size/52))
	dot := 4.6
	if shown > 1000 {
		dot = 3.2
	}
	if shown > 6000 {
		dot = 2.2
	}
	for i := range paths {
		if paths[i].Len() == 0 {
			continue
		}
		colour := plain
		switch {
		case i < len(Palette):
			colour = Palette[i]
		case len(names) > 0:
			colour = "#8c8c8c" // has no label among those that have
		}
		fmt.Fprintf(&b, `<path d="%s" fill="none" stroke="%s" stroke-width="%.1f" stroke-linecap="round" `+
			`stroke-opacity="0.75"/>`, paths[i].Bytes(), colour, dot*float64(size)/720)
	}
	for _, l := range labels(names, xs, ys, float64(size)) {
		fmt.Fprintf(&b, `<text x="%.1f" y="%.1f" text-anchor="middle" dominant-baseline="middle" fill="currentColor" `+
			`style="paint-order:stroke;stroke:var(--paper,Canvas);stroke-width:4px;stroke-linejoin:round">%s</text>`, l.x, l.y, html.EscapeString(l.name))
	}
	b.WriteString("</svg>")
	return template.HTML(b.String())
}

// groups returns what colours tell of a point, -1 for nothing, and the names of all groups.
func (m *Map) groups(by string) (of func(*Point) int, names []string) {
	switch {
	case (by == "" || by == "class") && len(m.Classes) > 0:
		for _, c := range m.Classes {
			names = append(names, show.Line(c))
		}
		return func(p *Point) int { return p.Class }, names
	case (by == "" || by == "cluster") && len(m.Clusters) > 0:
		for i := range m.Clusters {
			names = append(names, fmt.Sprint(i+1))
		}
		return func(p *Point) int { return p.Cluster }, names
	}
	return func(*Point) int { return -1 }, nil
}

// label is a name on a map.
type label struct {
	name string
	x, y float64
}

// labels puts the names of the largest groups at the medians of their points, and moves
// those down or up that would lie on another.
func labels(names []string, xs, ys [][]float64, size float64) []label {
	var order []int
	for g := range names {
		if len(xs[g]) > 0 {
			order = append(order, g)
		}
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(len(xs[b]), len(xs[a])) })
	if len(order) > mostLabels {
		order = order[:mostLabels]
	}
	high := max(10, size/52) * 1.25
	var placed []label
	for _, g := range order {
		name := []rune(names[g])
		if len(name) > 24 {
			name = append(name[:23], '…')
		}
		l := label{string(name), median(xs[g]), median(ys[g])}
		wide := 0.3 * high * float64(len(name))
		l.x = max(wide, min(size-wide, l.x))
		free := func(y float64) bool {
			for _, o := range placed {
				gap := wide + 0.3*high*float64(len([]rune(o.name)))
				if dx, dy := l.x-o.x, y-o.y; dx < gap && -dx < gap && dy < high && -dy < high {
					return false
				}
			}
			return y > high/2 && y < size-high/2
		}
		for step := range 12 {
			move := float64((step+1)/2) * high
			if step%2 == 1 {
				move = -move
			}
			if free(l.y + move) {
				l.y += move
				break
			}
		}
		placed = append(placed, l)
	}
	return placed
}

// median sorts x.
func median(x []float64) float64 {
	slices.Sort(x)
	return x[len(x)/2]
}
