package vector

import (
	"fmt"
	"math"
	"slices"

	"vicreg/internal/kernel/row"
	"vicreg/internal/kernel/scratch"
	"vicreg/internal/kernel/shape"
	"vicreg/internal/parallel"
)

// Arithmetic on whole arrays that has no faster form than its loop in Go. Where it
// pays, the loop runs on all workers.

// Fill sets x to v.
func Fill(x []float32, v float32) {
	scratch.Busy.Lock()
	defer scratch.Busy.Unlock()
	vector.w, vector.scale = x, v
	runVector(len(x), fillPiece)
}

func fillPiece(_, piece int) {
	lo, hi := vectorRange(piece)
	x := vector.w[lo:hi]
	if vector.scale == 0 {
		clear(x)
		return
	}
	for i := range x {
		x[i] = vector.scale
	}
}

// Copy copies x to y, of the same length.
func Copy(y, x []float32) {
	shape.CheckVectors("Copy", len(y), len(x))
	scratch.Busy.Lock()
	defer scratch.Busy.Unlock()
	vector.w, vector.g = y, x
	runVector(len(y), copyPiece)
}

func copyPiece(_, piece int) {
	lo, hi := vectorRange(piece)
	copy(vector.w[lo:hi], vector.g[lo:hi])
}

// Divide computes x /= a.
func Divide(x []float32, a float32) {
	scratch.Busy.Lock()
	defer scratch.Busy.Unlock()
	vector.w, vector.scale = x, a
	runVector(len(x), dividePiece)
}

func dividePiece(_, piece int) {
	lo, hi := vectorRange(piece)
	x := vector.w[lo:hi]
	for i := range x {
		x[i] /= vector.scale
	}
}

// Blend computes w = keep·w + take·x: an exponential moving average.
func Blend(w []float32, keep, take float32, x []float32) {
	shape.CheckVectors("Blend", len(w), len(x))
	scratch.Busy.Lock()
	defer scratch.Busy.Unlock()
	v := &vector
	v.w, v.g, v.mu, v.scale = w, x, keep, take
	runVector(len(w), blendPiece)
}

func blendPiece(_, piece int) {
	lo, hi := vectorRange(piece)
	w, keep, take := vector.w[lo:hi], vector.mu, vector.scale
	for i, v := range vector.g[lo:hi] {
		w[i] = keep*w[i] + take*v
	}
}

// AddSums adds sums of channels to x.
func AddSums(x []float32, sums []float64) {
	shape.CheckVectors("AddSums", len(x), len(sums))
	row.AddNarrow(x, sums)
}

// lengthPiece is how many elements of an array make a piece of Length.
const lengthPiece = 1 << 16

// lengths are the pieces of the call under way.
var lengths [][]float32

// Length returns the length of all arrays as one vector, √Σ x², in float64.
func Length(arrays ...[]float32) float64 {
	scratch.Busy.Lock()
	defer scratch.Busy.Unlock()
	lengths = lengths[:0]
	for _, x := range arrays {
		for lo := 0; lo < len(x); lo += lengthPiece {
			lengths = append(lengths, x[lo:min(lo+lengthPiece, len(x))])
		}
	}
	scratch.ZeroPartials(len(lengths))
	parallel.For(len(lengths), lengthOfPiece)
	total := 0.0
	for _, s := range scratch.Partials[:len(lengths)] {
		total += s
	}
	clear(lengths)
	return math.Sqrt(total)
}

func lengthOfPiece(_, piece int) {
	var a, b, c, d float64
	v := lengths[piece]
	for ; len(v) >= 4; v = v[4:] {
		a += float64(v[0]) * float64(v[0])
		b += float64(v[1]) * float64(v[1])
		c += float64(v[2]) * float64(v[2])
		d += float64(v[3]) * float64(v[3])
	}
	for _, x := range v {
		a += float64(x) * float64(x)
	}
	scratch.Partials[piece] = (a + b) + (c + d)
}

// Rows of a matrix by number, for what a method keeps of its items.

// GatherRows copies rows of src, of d elements, one after the other to dst:
// row i is row rows[i].
func GatherRows(dst, src []float32, d int, rows []int) {
	shape.CheckRows("GatherRows", d, len(dst), len(rows)*d)
	for i, r := range rows {
		copy(dst[i*d:][:d], src[r*d:][:d])
	}
}

// ScatterRows is the way back: row rows[i] of dst becomes row i of src.
func ScatterRows(dst, src []float32, d int, rows []int) {
	shape.CheckRows("ScatterRows", d, len(src), len(rows)*d)
	for i, r := range rows {
		copy(dst[r*d:][:d], src[i*d:][:d])
	}
}

// RingRows copies rows of src, of d elements, to those of dst from row at on, which
// goes on with its first row behind its last.
func RingRows(dst, src []float32, d, at int) {
	shape.CheckRows("RingRows", d, len(dst))
	shape.CheckRows("RingRows", d, len(src))
	size := len(dst) / d
	for i := range len(src) / d {
		copy(dst[(at+i)%size*d:][:d], src[i*d:])
	}
}

// FilledRows appends the numbers of the rows of x, of d elements, that are not all
// zero.
func FilledRows(rows []int, x []float32, d int) []int {
	for i := range len(x) / d {
		if slices.ContainsFunc(x[i*d:][:d], func(v float32) bool { return v != 0 }) {
			rows = append(rows, i)
		}
	}
	return rows
}

// GatherInts appends elements of x, which are whole numbers.
func GatherInts(to []int32, x []float32, items []int) []int32 {
	for _, i := range items {
		to = append(to, int32(x[i]))
	}
	return to
}

// ScatterInts sets elements of x to whole numbers, exact to 2²⁴.
func ScatterInts(x []float32, items []int, from []int32) {
	if len(items) != len(from) {
		panic(fmt.Sprintf("kernel: %d numbers for %d elements", len(from), len(items)))
	}
	for i, item := range items {
		x[item] = float32(from[i])
	}
}
