// Package winograd computes 3 × 3 convolutions by Winograd's algorithm.
package winograd

import (
	"fmt"
	"os"

	"vicreg/internal/kernel/pass"
	"vicreg/internal/kernel/product"
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

// Variable turns Winograd's algorithm off if it is 0.
const Variable = "VICREG_WINOGRAD"

var enabled = os.Getenv(Variable) != "0"

// EnvError says what is wrong with the value of Variable, which is then passed over.
func EnvError() error {
	if v := os.Getenv(Variable); v != "" && v != "0" && v != "1" {
		return fmt.Errorf("%s is %q, but must be 0, which turns Winograd's algorithm off, or 1", Variable, v)
	}
	return nil
}

// Set sets whether convolutions use Winograd's algorithm where that is faster,
// and returns what was set before. At first it is true, or false if the environment
// has Variable as 0. It rounds a little more: its error is about 7e-7 of a
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

// PairsLeast is the number of channels, of input and output, from which FitsPairs holds.
var PairsLeast = 128

// FitsPairs reports whether inference should take tiles of 2 × 2 and products of bfloat16 for a
// convolution that Fits. They take 16 products of pairs for 4 pixels where the 36 of float32 are for
// 16, so they gain little where a tile of 4 × 4 is wholly used, but much where a part of it lies outside,
// or where so many weights come from memory. Training stays with float32: the gradient
// would have the error of all passes. With few channels it gains too little for its error.
func FitsPairs(s shape.Conv) bool {
	return Fits(s, false) && s.BF16() && !product.HasRuns() && s.Stride == 1 && min(s.C, s.K) >= PairsLeast
}

// scheme is where the kinds of Winograd convolution differ.
type scheme struct {
	window int // pixels that a tile reads, in each direction
	hop    int // from window to window
	side   int // values of a tile, in each direction
	tile   int // pixels that it makes, in each direction
	filter int // transformed weights, in each direction
}

var (
	schemeUnit  = scheme{window: 6, hop: 4, side: 6, tile: 4, filter: 6} // stride 1
	schemeHalf  = scheme{window: 9, hop: 8, side: 9, tile: 4, filter: 6} // stride 2
	schemeBack  = scheme{window: 5, hop: 4, side: 9, tile: 8, filter: 6} // stride 2, input gradient
	schemePairs = scheme{window: 4, hop: 2, side: 4, tile: 2, filter: 4} // stride 1, products of bfloat16
)

// positions returns the number of values of a tile, planes that of transformed weights.
func (s *scheme) positions() int { return s.side * s.side }
func (s *scheme) planes() int    { return s.filter * s.filter }

// plane returns which of the transformed weights belongs to a position of a tile: with
// stride 2, rows 5 to 8 share theirs, and so do columns.
func (s *scheme) plane(position int) int {
	last := s.filter - 1
	return min(last, position/s.side)*s.filter + min(last, position%s.side)
}

// pairs says whether values and weights are rounded to bfloat16 when they are transformed.
func (s *scheme) pairs() bool { return s.side == 4 }

// elements returns how many elements n channels take.
func (s *scheme) elements(n int) int {
	if s.pairs() {
		return product.Half(n)
	}
	return n
}

// tiles returns how many tiles make n pixels.
func (s *scheme) tiles(n int) int { return (n + s.tile - 1) / s.tile }

// pixels returns how many pixels some tiles read, in each direction.
func (s *scheme) pixels(tiles int) int { return s.hop*(tiles-1) + s.window }

func (s *scheme) input(p *winogradArgs, channels int) {
	switch s.window {
	case 4:
		winogradInputPairs(p, channels)
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
	case 4:
		winogradOutputPairs(p, channels)
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
	switch s.side {
	case 4:
		winogradWeightPairs(p, channels)
	case 6:
		winogradWeight(p, channels)
	default:
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
	forward(y, s, src, w, sums, t, schemeOf(s))
}

// Infer is Forward without sums. It takes products of bfloat16 where FitsPairs says so.
func Infer(y shape.Values, s shape.Conv, src shape.Source, w []float32, t pass.Tail) {
	scheme := schemeOf(s)
	if FitsPairs(s) {
		scheme = schemePairs
	}
	forward(y, s, src, w, nil, t, scheme)
}

func forward(y shape.Values, s shape.Conv, src shape.Source, w []float32, sums *shape.Sums, t pass.Tail, as scheme) {
	j := &wino
	*j = winogradJob{
		scheme: as, in: row.Image{Reader: row.ReadSource(src, s.C), H: s.H, W: s.W},
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
