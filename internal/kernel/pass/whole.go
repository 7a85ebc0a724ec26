package pass

import (
	"vicreg/internal/kernel/row"
	"vicreg/internal/kernel/scratch"
	"vicreg/internal/kernel/shape"
	"vicreg/internal/parallel"
)

// long is the pass over values without channels under way.
var long struct {
	y, x shape.Values
	a    float32
}

// runLong runs body over pieces of values of both types. Package vector does that where
// all are float32.
func runLong(y, x shape.Values, a float32, body func(worker, piece int)) {
	shape.CheckVectors("a pass", y.Len(), x.Len())
	scratch.Busy.Lock()
	defer scratch.Busy.Unlock()
	long.y, long.x, long.a = y, x, a
	scratch.Reserve(scratch.Room(passFloats, passFloats))
	parallel.For((y.Len()+passFloats-1)/passFloats, body)
	long.y, long.x = shape.Values{}, shape.Values{}
}

// piece returns the values of a piece, and how many they are.
func longPiece(piece int) (y, x shape.Values, n int) {
	lo := piece * passFloats
	n = min(passFloats, long.y.Len()-lo)
	return long.y.Part(lo, lo+n), long.x.Part(lo, lo+n), n
}

// Copy copies values, and converts them.
func Copy(to, from shape.Values) { runLong(to, from, 0, copyPiece) }

func copyPiece(_, piece int) {
	to, from, n := longPiece(piece)
	row.CopyTo(to, n, from, n, 1, n)
}

// Axpy computes y += a·x.
func Axpy(y shape.Values, a float32, x shape.Values) { runLong(y, x, a, axpyPiece) }

func axpyPiece(worker, piece int) {
	m := &scratch.Arenas[worker]
	m.Used = 0
	y, x, n := longPiece(piece)
	sum, more := m.Take(n), m.Take(n)
	row.CopyTo(shape.Floats(sum), n, y, n, 1, n)
	row.CopyTo(shape.Floats(more), n, x, n, 1, n)
	row.Axpy(sum, long.a, more)
	row.CopyTo(y, n, shape.Floats(sum), n, 1, n)
}

// Fill sets all values to v.
func Fill(y shape.Values, v float32) { runLong(y, y, v, fillPiece) }

func fillPiece(_, piece int) {
	y, _, n := longPiece(piece)
	for i := range n {
		y.Set(i, long.a)
	}
}
