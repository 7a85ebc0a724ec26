// Package winograd computes 3 × 3 convolutions by Winograd's algorithm.
package winograd

import (
	"os"

	"vicreg/internal/kernel/pass"
	"vicreg/internal/kernel/row"
	"vicreg/internal/kernel/scratch"
	"vicreg/internal/kernel/shape"
)

// Winograd convolution in three steps. Overlapping windows of the input are transformed
// to tiles of values; at each position of a tile, the convolution is a matrix product;
// and the products are transformed to tiles of the output. plain.go has the
// matrices.
//
// A 3 × 3 convolution of stride 1 reads windows of 6 × 6 and makes tiles of 4 × 4 with
// 36 products of c × k instead of 144: F(4×4, 3×3). One of stride 2 is the sum of a
// convolution with 2 × 2 of the weights over the odd pixels and of smaller ones over the
// others; it reads windows of 9 × 9 and takes 81 products instead of 144. The input
// gradient is the transpose. For stride 1 that is the same with the weights turned by
// 180°; for stride 2 it reads windows of 5 × 5 and makes tiles of 8 × 8.

var enabled = os.Getenv("VICREG_WINOGRAD") != "0"

// Set sets whether convolutions use Winograd's algorithm where that is faster,
// and returns what was set before. At first it is true, or false if the environment
// variable VICREG_WINOGRAD is 0. It rounds a little more: its error is about 7e-7 of a
// result's norm, that of direct convolution 2e-7.
func Set(on bool) (was bool) {
	scratch.Busy.Lock()
	defer scratch.Busy.Unlock()
	was, enabled = enabled, on
	return was
}

// On reports what Set has set.
func On() bool { return enabled }

// Always makes every convolution that can use it do so, for tests.
var Always bool

// Fits reports whether to use it for the forward pass of s, or for its weight
// gradient. It does not pay where there are so few channels that the transforms take
// longer than the products, nor where much of the tiles lies outside of the output. The
// limits are where it was as fast as direct convolution. With stride 2 it gains less,
// and least for the weight gradient, whose transform makes 81 values out of 16. In
// bfloat16, direct convolution is faster with stride 2.
func Fits(s shape.Conv, weight bool) bool { return fitsFrom(s, 32, weight) }

// FitsBack reports whether to use it for the input gradient. With stride 2, direct
// convolution is slower there, so that it pays with fewer channels.
func FitsBack(s shape.Conv) bool { return fitsFrom(s, 16, false) }

// fitsFrom reports whether to use it, where stride 2 needs at least least channels.
func fitsFrom(s shape.Conv, least int, weight bool) bool {
	unit, half := s.Stride == 1 && s.Pad <= 2, s.Stride == 2 && s.Pad == 1
	if !enabled || s.R != 3 || s.S != 3 || !unit && !half || half && s.BF16() {
		return false
	}
	channels := min(s.C, s.K)
	tiles := schemeUnit.tiles(s.OutH()) * schemeUnit.tiles(s.OutW())
	waste := float64(16*tiles) / float64(s.OutH()*s.OutW())
	switch {
	case Always:
		return true
	case unit:
		return channels >= 8 && waste < 2.6
	case weight:
		return channels >= 64 && waste < 1.1
	}
	return channels >= least && waste < 1.4
}

// scheme is where the kinds of Winograd convolution differ.
type scheme struct {
	window int // pixels that a tile reads, in each direction
	hop    int // from window to window
	side   int // values of a tile, in each direction
	tile   int // pixels that it makes, in each direction
}

var (
	schemeUnit = scheme{window: 6, hop: 4, side: 6, tile: 4} // stride 1
	schemeHalf = scheme{window: 9, hop: 8, side: 9, tile: 4} // stride 2
	schemeBack = scheme{window: 5, hop: 4, side: 9, tile: 8} // stride 2, input gradient
)

// positions returns the number of values of a tile.
func (s *scheme) positions() int { return s.side * s.side }

// plane returns which of the 6 × 6 transformed weights belongs to a position of a tile:
// with stride 2, rows 5 to 8 share theirs, and so do columns.
func (s *scheme) plane(position int) int {
	return min(5, position/s.side)*6 + min(5, position%s.side)
}

// tiles returns how many tiles make n pixels.
func (s *scheme) tiles(n int) int { return (n + s.tile - 1) / s.tile }

// pixels returns how many pixels some tiles read, in each direction.
func (s *scheme) pixels(tiles int) int { return s.hop*(tiles-1) + s.window }

func (s *scheme) input(p *winogradArgs, channels int) {
	switch s.window {
	case 6:
		winogradInput(p, channels)
	case 9:
		winogradInput2(p, channels)
	default:
		winogradBack2(p, channels)
	}
}

func (s *scheme) output(p *winogradArgs, channels int) {
	switch s.window {
	case 6:
		winogradOutput(p, channels)
	case 9:
		winogradOutput2(p, channels)
	default:
		winogradBackOutput2(p, channels)
	}
}

func (s *scheme) grad(p *winogradArgs, channels int) {
	if s.side == 6 {
		winogradGrad(p, channels)
	} else {
		winogradGrad2(p, channels)
	}
}

func (s *scheme) weight(p *winogradArgs, channels int) {
	if s.side == 6 {
		winogradWeight(p, channels)
	} else {
		winogradWeight2(p, channels)
	}
}

func (s *scheme) weightGrad(p *winogradArgs, channels int) {
	if s.side == 6 {
		winogradWeightGrad(p, channels)
	} else {
		winogradWeightGrad2(p, channels)
	}
}

func Forward(y shape.Values, s shape.Conv, src shape.Source, w []float32, sums *shape.Sums, t pass.Tail) {
	j := &wino
	*j = winogradJob{
		scheme: schemeOf(s), in: row.Image{Reader: row.ReadSource(src, s.C), H: s.H, W: s.W},
		h: s.OutH(), w: s.OutW(), c: s.C, k: s.K, pad: s.Pad,
		weights: w, out: y, sums: sums != nil, tail: t, shape: s,
	}
	j.run(s.N, sums)
}

// schemeOf returns the scheme of s. Its input gradient has another.
func schemeOf(s shape.Conv) scheme {
	if s.Stride == 2 {
		return schemeHalf
	}
	return schemeUnit
}

func InputGrad(dx shape.Values, s shape.Conv, g shape.Grad, w []float32, f shape.Finish) {
	j := &wino
	*j = winogradJob{
		scheme: schemeUnit, in: row.Image{Reader: row.ReadGrad(g, s.K), H: s.OutH(), W: s.OutW()},
		h: s.H, w: s.W, c: s.K, k: s.C, pad: 2 - s.Pad,
		weights: w, backward: true, out: dx, fin: row.NewFinisher(dx, f, s.C), sums: f.Sums != nil,
	}
	if s.Stride == 2 {
		j.scheme, j.pad = schemeBack, 0
	}
	j.run(s.N, f.Sums)
}
