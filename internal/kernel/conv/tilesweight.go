package conv

import (
	"vicreg/internal/kernel/product"
	"vicreg/internal/kernel/row"
	"vicreg/internal/kernel/scratch"
	"vicreg/internal/kernel/shape"
	"vicreg/internal/kernel/winograd"
	"vicreg/internal/parallel"
)

// On tiles, the weight gradient of a convolution of stride 1 needs no columns either. The
// input of a band is turned, so that a row holds a channel's pixels, with the border. What
// the tap (r, s) of the weights meets are the same rows from pixel r·width + s on; where
// that is odd, they begin in the middle of a pair. The output gradient gets as many columns
// of zeros as its rows are shorter, and as many rows between images, so that pixels of both
// lie at the same distances:
//
//	dw[r, s] += x[:, r·width + s:] · g

// tiledPass is how many cycles Winograd's passes take for a channel of a pixel.
var tiledPass = 2.0

// tiledWeight reports whether a weight gradient goes this way. Winograd's algorithm takes
// a quarter of the products, and passes over the channels which take some cycles for each
// of a pixel's; the products of this way grow by the border. So it pays for fewer channels,
// and for images that are not too small.
func tiledWeight(s shape.Conv) bool {
	if !product.HasRuns() || !s.BF16() || s.Stride != 1 || s.Sequence || s.R < 2 || s.Pad >= min(s.R, s.S) ||
		s.S-1 > s.OutW() {
		return false
	}
	const product = 512 // multiplications a cycle
	border := float64((s.OutH()+s.R-1)*(s.OutW()+s.S-1)) / float64(s.OutH()*s.OutW())
	direct := float64(s.R*s.S*s.C*s.K) * border / product
	if winograd.Fits(s, true) {
		return direct < float64(s.R*s.S*s.C*s.K)/4/product+tiledPass*float64(s.C+s.K)
	}
	return border < 3
}

// tiledGrad is the weight gradient under way. Its parts are added up as those of weight.
var tiledGrad struct {
	shape.Conv
	in, grad row.Image
	bands    scratch.Bands
}

// tiledGradFloats is tiledFloats of this way, which goes through its operands nine times, but through no weights.
var tiledGradFloats = 256 << 10

// tiledParts is the most parts of the pixels that have a gradient of their own.
const tiledParts = 32

func tiledWeightGrad(dw []float32, s shape.Conv, g shape.Grad, src shape.Source) {
	d, w := &tiledGrad, &weight
	d.Conv = s
	d.in = row.Image{Reader: row.ReadSource(src, s.C), H: s.H, W: s.W, Left: s.Pad, Right: s.Pad}
	d.grad = row.Image{Reader: row.ReadGrad(g, s.K), H: s.OutH(), W: s.OutW(), Right: s.S - 1}
	perRow := d.in.Width() * (3*s.C/2 + s.K + 1)
	rows := max(1, tiledGradFloats/perRow)
	d.bands = scratch.Cut(s.N, s.OutH(), min(rows, (s.N*s.OutH()+tiledParts-1)/tiledParts), 1)
	all, met := tiledPixels(s, d.in.Width(), d.bands.Images, d.bands.Rows)
	cRow := scratch.RoundUp(s.C, scratch.LineFloats)
	scratch.Reserve(scratch.Room(product.Half((all+2)*s.C), product.Half(all+2)*cRow, s.C*tiledRow(all),
		product.Half(all*s.K), product.Half(met)*scratch.Padded(s.K)))

	pieces := d.bands.Count()
	w.dw, w.perPart = dw, (pieces+tiledParts-1)/tiledParts
	w.parts = (pieces + w.perPart - 1) / w.perPart
	scratch.Shared.Reset(scratch.Room(w.parts * len(dw)))
	w.partial = scratch.Shared.Take(w.parts * len(dw))
	parallel.For(w.parts, tiledWeightPart)
	parallel.For((len(dw)+4095)/4096, weightAddParts)
	w.dw, w.partial, d.in, d.grad = nil, nil, row.Image{}, row.Image{}
}

// tiledPixels returns how many pixels, with the border, some rows of some images have, and how
// many of them, from the first, the gradient meets.
func tiledPixels(s shape.Conv, width, images, rows int) (all, met int) {
	all = images * (rows + s.R - 1) * width
	return all, all - (s.R-1)*width - (s.S - 1)
}

// tiledRow is the length of the turned input's rows: there are two pixels of zeros at its
// end, as pairs may go on behind the last.
func tiledRow(all int) int { return scratch.Padded(product.Half(all + 2)) }

func tiledWeightPart(worker, part int) {
	d, w := &tiledGrad, &weight
	dw := w.partial[part*len(w.dw):][:len(w.dw)]
	clear(dw)
	for piece := part * w.perPart; piece < min((part+1)*w.perPart, d.bands.Count()); piece++ {
		m := &scratch.Arenas[worker]
		m.Used = 0
		b := d.bands.At(piece)
		width, images, rows := d.in.Width(), b.N1-b.N0, b.Y1-b.Y0
		all, met := tiledPixels(d.Conv, width, images, rows)
		each := all / images
		cRow, kRow, deep := scratch.RoundUp(d.C, scratch.LineFloats), scratch.Padded(d.K), product.Half(met)

		x := row.Halves(m.Take(product.Half((all + 2) * d.C)))
		for n := range images {
			d.in.LoadRows(shape.Halves(x[n*each*d.C:]), b.N0+n, b.Y0-d.Pad, b.Y1-d.Pad+d.R-1)
		}
		clear(x[all*d.C:])
		pairs, turned := m.Take(product.Half(all+2)*cRow), m.Take(d.C*tiledRow(all))
		row.PairHalves(pairs, cRow, x, d.C, all+2, d.C)
		product.TransposePairs(turned, tiledRow(all), pairs, cRow, d.C, product.Half(all+2))

		g := row.Halves(m.Take(product.Half(all * d.K)))
		for n := range images {
			to := g[n*each*d.K:][:each*d.K]
			d.grad.LoadRows(shape.Halves(to), b.N0+n, b.Y0, b.Y1)
			clear(to[rows*width*d.K:])
		}
		gPairs := m.Take(deep * kRow)
		row.PairHalves(gPairs, kRow, g, d.K, met, d.K)

		for r := range d.R {
			for s := range d.S {
				shift, tap := r*width+s, (r*d.S+s)*d.C*d.K
				product.AddRows(d.C, d.K, dw[tap:], d.K, product.Runs{Data: turned[shift/2:], Odd: shift%2 == 1,
					Step: tiledRow(all), Count: 1, Length: deep, Blocks: 1}, gPairs, kRow)
			}
		}
	}
}
