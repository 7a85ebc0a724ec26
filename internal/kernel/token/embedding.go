package token

import (
	"fmt"

	"vicreg/internal/kernel/row"
	"vicreg/internal/kernel/scratch"
	"vicreg/internal/kernel/shape"
	"vicreg/internal/parallel"
)

// What turns images and numbers into tokens, and tokens into a row for each
// sequence. Sums over tokens run in the order of the tokens: they are cut by
// channels, not by rows.

// Patches is the shape of images as tokens: of each of n images, patches tokens of
// c channels, and before them a class token if there is one.
type Patches struct {
	N, Patches, C int
	Class         bool
}

// Tokens returns how many tokens an image makes.
func (s Patches) Tokens() int {
	if s.Class {
		return s.Patches + 1
	}
	return s.Patches
}

func (s Patches) check(tokens, position, class, bias int) {
	c := 0
	if s.Class {
		c = s.C
	}
	if tokens != s.N*s.Tokens()*s.C || position != s.Tokens()*s.C || class != c || bias != s.C {
		panic(fmt.Sprintf("kernel: patches %+v meet %d tokens, %d places, a class token of %d and a bias of %d elements", s, tokens, position, class, bias))
	}
}

// embedding is the call under way.
var embedding struct {
	Patches
	y, x                  shape.Values
	table                 []float32
	position, class, bias []float32
	ids, starts           []int32
	c, rows               int
}

// runEmbedding runs body over pieces and forgets the operands.
func runEmbedding(pieces int, body func(worker, piece int)) {
	parallel.For(pieces, body)
	j := &embedding
	j.y, j.x = shape.Values{}, shape.Values{}
	j.table, j.position, j.class, j.bias, j.ids, j.starts = nil, nil, nil, nil, nil, nil
}

// PatchTokens writes the tokens of images, given their patches x (n·patches × c):
//
//	y = position + class          of the class token
//	y = position + (x + bias)     of a patch
func PatchTokens(y shape.Values, s Patches, x shape.Values, position, class, bias []float32) {
	s.check(y.Len(), len(position), len(class), len(bias))
	scratch.Busy.Lock()
	defer scratch.Busy.Unlock()
	row.Constants(s.C)
	j := &embedding
	j.Patches, j.y, j.x, j.position, j.class, j.bias = s, y, x, position, class, bias
	scratch.Reserve(scratch.Room(s.Tokens()*s.C, s.Tokens()*s.C))
	runEmbedding(s.N, patchTokensPiece)
}

func patchTokensPiece(worker, i int) {
	j := &embedding
	m := &scratch.Arenas[worker]
	m.Used = 0
	t, c := j.Tokens(), j.C
	to := j.y.Part(i*t*c, (i+1)*t*c)
	whole := roomFor(m, to, t, c)
	y, place := whole, j.position
	if j.Class {
		copy(y, place[:c])
		row.Axpy(y[:c], 1, j.class)
		y, place = y[c:], place[c:]
	}
	x := widened(m, j.x.From(i*j.Patches.Patches*c), j.Patches.Patches, c)
	row.Join(y, x, place, j.Patches.Patches, c, row.Ones, j.bias, row.Ones, row.Zeros, row.MinusInf,
		row.MinusInf, row.MinusInf, false)
	narrowed(to, whole, t*c)
}

// PatchTokensGrad adds the gradients of position, class token and bias, given that
// of the tokens, d; dPosition may be nil. The gradients of the patches close up to
// n·patches × c at the start of d.
func PatchTokensGrad(d shape.Values, s Patches, dPosition, dClass, dBias []float32) {
	places := len(dPosition)
	if dPosition == nil {
		places = s.Tokens() * s.C
	}
	s.check(d.Len(), places, len(dClass), len(dBias))
	scratch.Busy.Lock()
	defer scratch.Busy.Unlock()
	j := &embedding
	j.Patches, j.y, j.position, j.class, j.bias = s, d, dPosition, dClass, dBias
	runEmbedding(scratch.Strips(s.C), patchTokensGradPiece)
}

func patchTokensGradPiece(_, piece int) {
	j := &embedding
	c, t := j.C, j.Tokens()
	lo, hi := scratch.Strip(piece, c)
	var room [scratch.StripChannels]float32
	to := 0
	for i := range j.N {
		for k := range t {
			from := j.y.Part((i*t+k)*c+lo, (i*t+k)*c+hi)
			one := strip(&room, from)
			if j.position != nil {
				row.Axpy(j.position[k*c+lo:k*c+hi], 1, one)
			}
			if k == 0 && j.Class {
				row.Axpy(j.class[lo:hi], 1, one)
				continue
			}
			row.Axpy(j.bias[lo:hi], 1, one)
			row.CopyTo(j.y.From(to*c+lo), hi-lo, from, hi-lo, 1, hi-lo)
			to++
		}
	}
}

// Lookup writes rows of c channels: token r is row ids[2r] of a table plus row
// ids[2r+1] of the positions.
func Lookup(y shape.Values, c int, ids []int32, table, position []float32) {
	shape.CheckRows("Lookup", c, y.Len(), len(ids)/2*c)
	scratch.Busy.Lock()
	defer scratch.Busy.Unlock()
	j := &embedding
	j.c, j.rows, j.y, j.ids, j.table, j.position = c, len(ids)/2, y, ids, table, position
	scratch.Reserve(scratch.Room(c))
	runEmbedding((j.rows+denseRows-1)/denseRows, lookupPiece)
}

func lookupPiece(worker, piece int) {
	j := &embedding
	m := &scratch.Arenas[worker]
	for r := piece * denseRows; r < min((piece+1)*denseRows, j.rows); r++ {
		m.Used = 0
		to := j.y.Part(r*j.c, (r+1)*j.c)
		y := roomFor(m, to, 1, j.c)
		copy(y, j.table[int(j.ids[2*r])*j.c:][:j.c])
		row.Axpy(y, 1, j.position[int(j.ids[2*r+1])*j.c:][:j.c])
		narrowed(to, y, j.c)
	}
}

// LookupGrad adds the gradients of table and positions, given that of the rows.
func LookupGrad(d shape.Values, c int, ids []int32, dTable, dPosition []float32) {
	shape.CheckRows("LookupGrad", c, d.Len(), len(ids)/2*c)
	scratch.Busy.Lock()
	defer scratch.Busy.Unlock()
	j := &embedding
	j.c, j.rows, j.y, j.ids, j.table, j.position = c, len(ids)/2, d, ids, dTable, dPosition
	runEmbedding(scratch.Strips(c), lookupGradPiece)
}

func lookupGradPiece(_, piece int) {
	j := &embedding
	lo, hi := scratch.Strip(piece, j.c)
	var room [scratch.StripChannels]float32
	for r := range j.rows {
		one := strip(&room, j.y.Part(r*j.c+lo, r*j.c+hi))
		table, place := int(j.ids[2*r])*j.c, int(j.ids[2*r+1])*j.c
		row.Axpy(j.table[table+lo:table+hi], 1, one)
		row.Axpy(j.position[place+lo:place+hi], 1, one)
	}
}

// TokenMean writes the mean over the rows of each sequence, which are
// [starts[i], starts[i+1]), to row i of y; of none it is zero.
func TokenMean(y shape.Values, c int, starts []int32, x shape.Values) {
	runSequences("TokenMean", y, x, c, starts, tokenMeanPiece)
}

func tokenMeanPiece(worker, i int) {
	j := &embedding
	m := &scratch.Arenas[worker]
	m.Used = 0
	mean := j.y.Part(i*j.c, (i+1)*j.c)
	y := roomFor(m, mean, 1, j.c)
	clear(y)
	from, to := int(j.starts[i]), int(j.starts[i+1])
	mark := m.Used
	for r := from; r < to; r++ {
		m.Used = mark
		row.Axpy(y, 1, widened(m, j.x.Part(r*j.c, (r+1)*j.c), 1, j.c))
	}
	if to > from {
		row.Scale(y, 1/float32(to-from))
	}
	narrowed(mean, y, j.c)
}

// TokenMeanGrad writes the gradient of the rows, given that of TokenMean's result.
func TokenMeanGrad(dx shape.Values, c int, starts []int32, d shape.Values) {
	runSequences("TokenMeanGrad", d, dx, c, starts, tokenMeanGradPiece)
}

func tokenMeanGradPiece(worker, i int) {
	j := &embedding
	m := &scratch.Arenas[worker]
	m.Used = 0
	from, to := int(j.starts[i]), int(j.starts[i+1])
	one := m.Take(j.c)
	row.CopyTo(shape.Floats(one), j.c, j.y.From(i*j.c), j.c, 1, j.c)
	row.Scale(one, 1/float32(to-from))
	row.CopyTo(j.x.From(from*j.c), j.c, shape.Floats(one), 0, to-from, j.c)
}

// FirstToken copies the first row of each sequence to row i of y.
func FirstToken(y shape.Values, c int, starts []int32, x shape.Values) {
	runSequences("FirstToken", y, x, c, starts, firstTokenPiece)
}

func firstTokenPiece(_, i int) {
	j := &embedding
	row.CopyTo(j.y.From(i*j.c), j.c, j.x.From(int(j.starts[i])*j.c), j.c, 1, j.c)
}

// FirstTokenGrad writes the gradient of all rows, given that of FirstToken's
// result.
func FirstTokenGrad(dx shape.Values, c int, starts []int32, d shape.Values) {
	runSequences("FirstTokenGrad", d, dx, c, starts, firstTokenGradPiece)
}

func firstTokenGradPiece(_, i int) {
	j := &embedding
	from, to := int(j.starts[i])*j.c, int(j.starts[i+1])*j.c
	j.x.Clear(from, to)
	row.CopyTo(j.x.From(from), j.c, j.y.From(i*j.c), j.c, 1, j.c)
}

// strip returns some channels of a row in float32, in room if they are not that already.
func strip(room *[scratch.StripChannels]float32, x shape.Values) []float32 {
	if !x.Half() {
		return x.F
	}
	for i, h := range x.H {
		room[i] = shape.Widen(h)
	}
	return room[:len(x.H)]
}

// runSequences runs body for each sequence: y has a row of each, x all their rows.
func runSequences(what string, y, x shape.Values, c int, starts []int32, body func(worker, piece int)) {
	n := len(starts) - 1
	shape.CheckRows(what, c, y.Len(), n*c)
	shape.CheckRows(what, c, x.Len(), int(starts[n])*c)
	scratch.Busy.Lock()
	defer scratch.Busy.Unlock()
	j := &embedding
	j.c, j.y, j.x, j.starts = c, y, x, starts
	scratch.Reserve(scratch.Room(c, c))
	runEmbedding(n, body)
}
