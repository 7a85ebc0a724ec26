package winograd

import (
	"vicreg/internal/kernel/product"
	"vicreg/internal/kernel/row"
	"vicreg/internal/kernel/scratch"
	"vicreg/internal/kernel/shape"
	"vicreg/internal/parallel"
)

// Input and weight gradient at once, for convolutions of few channels, whose time goes
// to reading memory: this way the output gradient is read once. When a piece has its
// input gradient, it transforms the output gradient that it has loaded, and the input,
// to tiles, and adds the products of these to dU. The pieces are shared out among parts,
// each with a dU of its own. Parts depend on the shape alone and are added in order.

const (
	bothChannels = 64      // at most: dU must stay in the cache
	bothParts    = 32      // at most
	bothTotal    = 1 << 23 // dU of all parts, at most
)

// BothFloats is how much of the cache the tiles of a piece may take.
var BothFloats = 96 << 10

// FitsBoth says whether to compute both gradients of s at once.
func FitsBoth(s shape.Conv) bool {
	return Fits(s, false) && Fits(s, true) && s.Stride == 1 && s.Pad == 1 && !s.BF16() &&
		s.C <= bothChannels && s.K <= bothChannels && 36*s.C*s.K < WideWeights
}

// both is what winogradJob needs to compute the weight gradient as well.
type both struct {
	source         row.Image
	du             []float32 // [parts][36][k][c16]: gradients of the weights' tiles
	size           int       // of a part
	parts, perPart int
}

func Grads(dx shape.Values, dw []float32, s shape.Conv, g shape.Grad, src shape.Source, w []float32, f shape.Finish) {
	j := &wino
	*j = winogradJob{
		scheme: schemeUnit, in: row.Image{Reader: row.ReadGrad(g, s.K), H: s.OutH(), W: s.OutW()},
		h: s.H, w: s.W, c: s.K, k: s.C, pad: 1,
		weights: w, backward: true, out: dx, fin: row.NewFinisher(dx, f, s.C), sums: f.Sums != nil,
	}
	j.both = &winogradPair
	j.both.source = row.Image{Reader: row.ReadSource(src, s.C), H: s.H, W: s.W}
	j.run(s.N, f.Sums)

	b, r := &winogradPair, &winoWeight
	*r = winogradWeightJob{wino: winogradJob{scheme: schemeUnit, c: s.C, k: s.K}, dw: dw, du: b.du}
	parallel.For(36, winogradAddParts)
	parallel.For((s.C+winogradFinish-1)/winogradFinish, winogradFinishRows)
	*r, *b = winogradWeightJob{}, both{}
}

// winogradPair is the pair under way.
var winogradPair both

// lay shares out the pieces and returns how many elements all the dU take.
func (b *both) lay(pieces, c, k int) int {
	b.size = 36 * c * scratch.RoundUp(k, 16)
	b.parts = min(pieces, min(bothParts, bothTotal/b.size))
	b.perPart = (pieces + b.parts - 1) / b.parts
	b.parts = (pieces + b.perPart - 1) / b.perPart
	return b.parts * b.size
}

func winogradPart(worker, part int) {
	j := &wino
	b := j.both
	last := min((part+1)*b.perPart, j.bands.Count())
	for piece := part * b.perPart; piece < last; piece++ {
		winogradPiece(worker, piece)
		j.addWeights(worker, piece, piece+1 < last, b.du[part*b.size:][:b.size], piece > part*b.perPart)
	}
}

// images returns the elements of one image of a piece, and of all.
func (j *winogradJob) images(b scratch.Bands) (one, all int) {
	one = j.pixels(b.Rows) * j.in.Width() * scratch.RoundUp(j.c, 16)
	if j.both != nil {
		return one, b.Images * one
	}
	return one, one
}

// addWeights adds what a piece contributes to du. The output gradient that winogradPiece
// has loaded is the first thing in the arena.
func (j *winogradJob) addWeights(worker, piece int, more bool, du []float32, accumulate bool) {
	m := &scratch.Arenas[worker]
	m.Used = 0
	b := j.bands.At(piece)
	rows := b.Y1 - b.Y0
	tiles := (b.N1 - b.N0) * rows * j.across
	k16, c16 := scratch.RoundUp(j.c, 16), scratch.RoundUp(j.k, 16) // of the convolution: j is turned round
	one, all := j.images(j.bands)
	grads := m.Take(all)
	dPlane, vPlane := oddLines(tiles*k16), oddLines(tiles*c16)
	d, v := m.Take(36*dPlane), m.Take(36*vPlane)
	img := m.Take(j.pixels(rows) * j.in.Width() * c16)

	s := &j.both.source
	line, imgLine := j.in.Width()*k16, j.in.Width()*c16
	for n := b.N0; n < b.N1; n++ {
		lo, hi := j.reads(b.Y0, b.Y1)
		s.LoadWide(shape.Floats(img), c16, n, lo, hi)
		for y := range rows {
			tile := ((n-b.N0)*rows + y) * j.across
			args := winogradArgs{
				dst: &v[tile*c16], dstRow: 4 * uintptr(6*vPlane), dstCol: 4 * uintptr(vPlane),
				dstItem: 4 * uintptr(c16),
				src:     &img[4*y*imgLine], srcRow: 4 * uintptr(imgLine), srcCol: 4 * uintptr(c16),
				srcItem: 4 * uintptr(4*c16),
				items:   j.across,
			}
			winogradInput(&args, c16)
			args = winogradArgs{ // past the border of one pixel
				dst: &d[tile*k16], dstRow: 4 * uintptr(6*dPlane), dstCol: 4 * uintptr(dPlane),
				dstItem: 4 * uintptr(k16),
				src:     &grads[(n-b.N0)*one+(4*y+1)*line+k16], srcRow: 4 * uintptr(line), srcCol: 4 * uintptr(k16),
				srcItem: 4 * uintptr(4*k16),
				items:   j.across,
			}
			winogradGrad(&args, k16)
		}
	}
	for p := range 36 {
		var f product.Fetcher
		if more {
			j.fetchNext(&f, j.bands.At(piece+1), p, tiles*k16)
		}
		product.MultiplyTN(false, j.k, k16, tiles, du[p*j.k*k16:], k16, v[p*vPlane:], c16, d[p*dPlane:], k16,
			accumulate, &f)
	}
}

// fetchNext queues one share, of n elements, of the output gradient that a band reads.
func (j *winogradJob) fetchNext(f *product.Fetcher, b scratch.Band, share, n int) {
	lo, hi := (b.N0*j.in.H+4*b.Y0)*j.in.W*j.c, ((b.N1-1)*j.in.H+min(4*b.Y1, j.in.H))*j.in.W*j.c
	from := j.in.X
	if share >= 18 && j.in.Other != nil {
		from, share = j.in.Y, share-18
	}
	if lo += share * n; lo < hi {
		f.Add(from.Memory(lo, min(lo+n, hi)))
	}
}

// winogradAddParts adds up all parts of one of 36 planes.
func winogradAddParts(_, piece int) {
	b, r := &winogradPair, &winoWeight
	plane := r.wino.c * scratch.RoundUp(r.wino.k, 16)
	to := b.du[piece*plane:][:plane]
	for part := 1; part < b.parts; part++ {
		row.Axpy(to, 1, b.du[part*b.size+piece*plane:][:plane])
	}
}
