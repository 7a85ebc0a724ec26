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
	y, x                  []float32
	position, class, bias []float32
	ids, starts           []int32
	c, rows               int
}

// runEmbedding runs body over pieces and forgets the operands.
func runEmbedding(pieces int, body func(worker, piece int)) {
	parallel.For(pieces, body)
	j := &embedding
	j.y, j.x, j.position, j.class, j.bias, j.ids, j.starts = nil, nil, nil, nil, nil, nil, nil
}

// PatchTokens writes the tokens of images, given their patches x (n·patches × c):
//
//	y = position + class          of the class token
//	y = position + (x + bias)     of a patch
func PatchTokens(y []float32, s Patches, x, position, class, bias []float32) {
	s.check(len(y), len(position), len(class), len(bias))
	scratch.Busy.Lock()
	defer scratch.Busy.Unlock()
	row.Constants(s.C)
	j := &embedding
	j.Patches, j.y, j.x, j.position, j.class, j.bias = s, y, x, position, class, bias
	runEmbedding(s.N, patchTokensPiece)
}

func patchTokensPiece(_, i int) {
	j := &embedding
	t, c := j.Tokens(), j.C
	y, place := j.y[i*t*c:][:t*c], j.position
	if j.Class {
		copy(y, place[:c])
		row.Axpy(y[:c], 1, j.class)
		y, place = y[c:], place[c:]
	}
	x := j.x[i*j.Patches.Patches*c:][:j.Patches.Patches*c]
	row.Join(y, x, place, j.Patches.Patches, c, row.Ones, j.bias, row.Ones, row.Zeros, row.MinusInf,
		row.MinusInf, row.MinusInf, false)
}

// PatchTokensGrad adds the gradients of position, class token and bias, given that
// of the tokens, d; dPosition may be nil. The gradients of the patches close up to
// n·patches × c at the start of d.
func PatchTokensGrad(d []float32, s Patches, dPosition, dClass, dBias []float32) {
	places := len(dPosition)
	if dPosition == nil {
		places = s.Tokens() * s.C
	}
	s.check(len(d), places, len(dClass), len(dBias))
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
	to := 0
	for i := range j.N {
		for k := range t {
			one := j.y[(i*t+k)*c+lo : (i*t+k)*c+hi]
			if j.position != nil {
				row.Axpy(j.position[k*c+lo:k*c+hi], 1, one)
			}
			if k == 0 && j.Class {
				row.Axpy(j.class[lo:hi], 1, one)
				continue
			}
			row.Axpy(j.bias[lo:hi], 1, one)
			copy(j.y[to*c+lo:], one)
			to++
		}
	}
}

// Lookup writes rows of c channels: token r is row ids[2r] of a table plus row
// ids[2r+1] of the positions.
func Lookup(y []float32, c int, ids []int32, table, position []float32) {
	shape.CheckRows("Lookup", c, len(y), len(ids)/2*c)
	scratch.Busy.Lock()
	defer scratch.Busy.Unlock()
	j := &embedding
	j.c, j.rows, j.y, j.ids, j.x, j.position = c, len(ids)/2, y, ids, table, position
	runEmbedding((j.rows+denseRows-1)/denseRows, lookupPiece)
}

func lookupPiece(_, piece int) {
	j := &embedding
	for r := piece * denseRows; r < min((piece+1)*denseRows, j.rows); r++ {
		y := j.y[r*j.c:][:j.c]
		copy(y, j.x[int(j.ids[2*r])*j.c:])
		row.Axpy(y, 1, j.position[int(j.ids[2*r+1])*j.c:][:j.c])
	}
}

// LookupGrad adds the gradients of table and positions, given that of the rows.
func LookupGrad(d []float32, c int, ids []int32, dTable, dPosition []float32) {
	shape.CheckRows("LookupGrad", c, len(d), len(ids)/2*c)
	scratch.Busy.Lock()
	defer scratch.Busy.Unlock()
	j := &embedding
	j.c, j.rows, j.y, j.ids, j.x, j.position = c, len(ids)/2, d, ids, dTable, dPosition
	runEmbedding(scratch.Strips(c), lookupGradPiece)
}

func lookupGradPiece(_, piece int) {
	j := &embedding
	lo, hi := scratch.Strip(piece, j.c)
	for r := range j.rows {
		one := j.y[r*j.c+lo : r*j.c+hi]
		table, place := int(j.ids[2*r])*j.c, int(j.ids[2*r+1])*j.c
		row.Axpy(j.x[table+lo:table+hi], 1, one)
		row.Axpy(j.position[place+lo:place+hi], 1, one)
	}
}

// TokenMean writes the mean over the rows of each sequence, which are
// [starts[i], starts[i+1]), to row i of y; of none it is zero.
func TokenMean(y []float32, c int, starts []int32, x []float32) {
	runSequences("TokenMean", y, x, c, starts, tokenMeanPiece)
}

func tokenMeanPiece(_, i int) {
	j := &embedding
	y := j.y[i*j.c:][:j.c]
	clear(y)
	from, to := int(j.starts[i]), int(j.starts[i+1])
	for r := from; r < to; r++ {
		row.Axpy(y, 1, j.x[r*j.c:][:j.c])
	}
	if to > from {
		row.Scale(y, 1/float32(to-from))
	}
}

// TokenMeanGrad writes the gradient of the rows, given that of TokenMean's result.
func TokenMeanGrad(dx []float32, c int, starts []int32, d []float32) {
	runSequences("TokenMeanGrad", d, dx, c, starts, tokenMeanGradPiece)
}

func tokenMeanGradPiece(_, i int) {
	j := &embedding
	from, to := int(j.starts[i]), int(j.starts[i+1])
	for r := from; r < to; r++ {
		one := j.x[r*j.c:][:j.c]
		copy(one, j.y[i*j.c:])
		row.Scale(one, 1/float32(to-from))
	}
}

// FirstToken copies the first row of each sequence to row i of y.
func FirstToken(y []float32, c int, starts []int32, x []float32) {
	runSequences("FirstToken", y, x, c, starts, firstTokenPiece)
}

func firstTokenPiece(_, i int) {
	j := &embedding
	copy(j.y[i*j.c:][:j.c], j.x[int(j.starts[i])*j.c:])
}

// FirstTokenGrad writes the gradient of all rows, given that of FirstToken's
// result.
func FirstTokenGrad(dx []float32, c int, starts []int32, d []float32) {
	runSequences("FirstTokenGrad", d, dx, c, starts, firstTokenGradPiece)
}

func firstTokenGradPiece(_, i int) {
	j := &embedding
	from, to := int(j.starts[i])*j.c, int(j.starts[i+1])*j.c
	clear(j.x[from:to])
	copy(j.x[from:][:j.c], j.y[i*j.c:])
}

// runSequences runs body for each sequence: y has a row of each, x all their rows.
func runSequences(what string, y, x []float32, c int, starts []int32, body func(worker, piece int)) {
	n := len(starts) - 1
	shape.CheckRows(what, c, len(y), n*c)
	shape.CheckRows(what, c, len(x), int(starts[n])*c)
	scratch.Busy.Lock()
	defer scratch.Busy.Unlock()
	j := &embedding
	j.c, j.y, j.x, j.starts = c, y, x, starts
	runEmbedding(n, body)
}
