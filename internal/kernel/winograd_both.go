package kernel

import "vicreg/internal/parallel"

// Input and weight gradient at once, for convolutions of few channels, whose time goes
// to reading memory: this way the output gradient is read once. When a piece has its
// input gradient, it transforms the output gradient that it has loaded, and the input,
// to tiles, and adds the products of these to dU. The pieces are shared out among parts,
// each with a dU of its own. Parts depend on the shape alone and are added in order.

const (
	bothChannels = 64      // at most: dU must stay in the cache
	bothParts    = 32      // at most
	bothTotal    = 1 << 20 // dU of all parts, at most
)

// bothFloats is how much of the cache the tiles of a piece may take.
var bothFloats = 96 << 10

// winogradFitsBoth says whether to compute both gradients of s at once.
func winogradFitsBoth(s Conv) bool {
	return winogradFits(s, false) && winogradFits(s, true) && s.Stride == 1 && s.Pad == 1 && !s.bf16() &&
		s.C <= bothChannels && s.K <= bothChannels && 36*s.C*s.K < wideWeights
}

// both is what winogradJob needs to compute the weight gradient as well.
type both struct {
	source         image
	du             []float32 // [parts][36][k][c16]: gradients of the weights' tiles
	size           int       // of a part
	parts, perPart int
}

func winogradBackward(dx, dw []float32, s Conv, g Grad, src Source, w []float32, f Finish) {
	j := &wino
	*j = winogradJob{
		scheme: schemeUnit, in: image{reader: gradReader(g, s.K), h: s.OutH(), w: s.OutW()},
		h: s.H, w: s.W, c: s.K, k: s.C, pad: 1,
		weights: w, backward: true, out: dx, fin: newFinisher(dx, f, s.C), sums: f.Sums != nil,
	}
	j.both = &winogradPair
	j.both.source = image{reader: sourceReader(src, s.C), h: s.H, w: s.W}
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
	b.size = 36 * c * roundUp(k, 16)
	b.parts = min(pieces, max(8, min(bothParts, bothTotal/b.size)))
	b.perPart = (pieces + b.parts - 1) / b.parts
	b.parts = (pieces + b.perPart - 1) / b.perPart
	return b.parts * b.size
}

func winogradPart(worker, part int) {
	j := &wino
	b := j.both
	last := min((part+1)*b.perPart, j.bands.count())
	for piece := part * b.perPart; piece < last; piece++ {
		winogradPiece(worker, piece)
		j.addWeights(worker, piece, piece+1 < last, b.du[part*b.size:][:b.size], piece > part*b.perPart)
	}
}

// images returns the elements of one image of a piece, and of all.
func (j *winogradJob) images(b bands) (one, all int) {
	one = j.pixels(b.rows) * j.in.width() * roundUp(j.c, 16)
	if j.both != nil {
		return one, b.images * one
	}
	return one, one
}

// addWeights adds what a piece contributes to du. The output gradient that winogradPiece
// has loaded is the first thing in the arena.
func (j *winogradJob) addWeights(worker, piece int, more bool, du []float32, accumulate bool) {
	m := &arenas[worker]
	m.used = 0
	b := j.bands.at(piece)
	rows := b.y1 - b.y0
	tiles := (b.n1 - b.n0) * rows * j.across
	k16, c16 := roundUp(j.c, 16), roundUp(j.k, 16) // of the convolution: j is turned round
	one, all := j.images(j.bands)
	grads := m.take(all)
	dPlane, vPlane := oddLines(tiles*k16), oddLines(tiles*c16)
	d, v := m.take(36*dPlane), m.take(36*vPlane)
	img := m.take(j.pixels(rows) * j.in.width() * c16)

	s := &j.both.source
	line, imgLine := j.in.width()*k16, j.in.width()*c16
	for n := b.n0; n < b.n1; n++ {
		lo, hi := j.reads(b.y0, b.y1)
		s.loadWide(img, c16, n, lo, hi)
		for y := range rows {
			tile := ((n-b.n0)*rows + y) * j.across
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
				src:     &grads[(n-b.n0)*one+(4*y+1)*line+k16], srcRow: 4 * uintptr(line), srcCol: 4 * uintptr(k16),
				srcItem: 4 * uintptr(4*k16),
				items:   j.across,
			}
			winogradGrad(&args, k16)
		}
	}
	for p := range 36 {
		var f fetcher
		if more {
			j.fetchNext(&f, j.bands.at(piece+1), p, tiles*k16)
		}
		multiplyTN(false, j.k, k16, tiles, du[p*j.k*k16:], k16, v[p*vPlane:], c16, d[p*dPlane:], k16, accumulate, &f)
	}
}

// fetchNext queues one share, of n elements, of the output gradient that a band reads.
func (j *winogradJob) fetchNext(f *fetcher, b band, share, n int) {
	lo, hi := (b.n0*j.in.h+4*b.y0)*j.in.w*j.c, ((b.n1-1)*j.in.h+min(4*b.y1, j.in.h))*j.in.w*j.c
	from := j.in.x
	if share >= 18 && j.in.other != nil {
		from, share = j.in.y, share-18
	}
	if lo += share * n; lo < hi {
		f.add(from[lo:min(lo+n, hi)])
	}
}

// winogradAddParts adds up all parts of one of 36 planes.
func winogradAddParts(_, piece int) {
	b, r := &winogradPair, &winoWeight
	plane := r.wino.c * roundUp(r.wino.k, 16)
	to := b.du[piece*plane:][:plane]
	for part := 1; part < b.parts; part++ {
		axpy(to, 1, b.du[part*b.size+piece*plane:][:plane])
	}
}
