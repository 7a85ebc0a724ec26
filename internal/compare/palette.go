package compare

import (
	"image/color"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

// palette is Paul Tol's "muted" scheme, which people with any colour vision can
// tell apart (https://sronpersonalpages.nl/~pault, 2021), the strongest first.
var palette = []color.Color{
	color.RGBA{0x33, 0x22, 0x88, 0xff}, // indigo
	color.RGBA{0xcc, 0x66, 0x77, 0xff}, // rose
	color.RGBA{0x11, 0x77, 0x33, 0xff}, // green
	color.RGBA{0x88, 0xcc, 0xee, 0xff}, // cyan
	color.RGBA{0x99, 0x99, 0x33, 0xff}, // olive
	color.RGBA{0x88, 0x22, 0x55, 0xff}, // wine
	color.RGBA{0x44, 0xaa, 0x99, 0xff}, // teal
	color.RGBA{0xdd, 0xcc, 0x77, 0xff}, // sand
	color.RGBA{0xaa, 0x44, 0x99, 0xff}, // purple
	color.RGBA{0x66, 0x66, 0x66, 0xff}, // grey
}

// The greys of what is not data.
var (
	ink   = color.Gray{0x22} // words
	quiet = color.Gray{0x88} // axes, reference lines
	faint = color.Gray{0xe4} // grids
)

// stroke returns the line of the i-th of several runs: a colour, and dashes where
// the colours begin anew.
func stroke(i int) draw.LineStyle {
	s := draw.LineStyle{Color: palette[i%len(palette)], Width: vg.Points(1.8)}
	switch i / len(palette) % 3 {
	case 1:
		s.Dashes = []vg.Length{vg.Points(6), vg.Points(3)}
	case 2:
		s.Dashes = []vg.Length{vg.Points(2), vg.Points(2)}
	}
	return s
}

// newPlot returns a plot without data: words in one face, thin grey axes.
func newPlot(title string) *plot.Plot {
	p := plot.New()
	p.Title.Text = title
	p.Title.Padding = vg.Points(6)
	for _, s := range []*draw.TextStyle{&p.Title.TextStyle, &p.X.Label.TextStyle, &p.Y.Label.TextStyle,
		&p.X.Tick.Label, &p.Y.Tick.Label} {
		s.Font.Variant, s.Color = "Sans", ink
	}
	p.Title.TextStyle.Font.Size = vg.Points(11)
	for _, a := range []*plot.Axis{&p.X, &p.Y} {
		a.Label.TextStyle.Font.Size, a.Tick.Label.Font.Size = vg.Points(9), vg.Points(9)
		a.LineStyle.Color, a.LineStyle.Width = quiet, vg.Points(0.7)
		a.Tick.LineStyle = a.LineStyle
	}
	return p
}
