package kernel

import (
	"sync"

	"vicreg/internal/pages"
	"vicreg/internal/parallel"
)

// arena hands out slices of one buffer, which is kept from call to call.
type arena struct {
	buf  []float32
	used int
}

// lineFloats is a cache line; slices of an arena start on one.
const lineFloats = 16

func roundUp(n, to int) int { return (n + to - 1) / to * to }

// reset empties the arena and makes sure that it holds n elements.
func (a *arena) reset(n int) {
	if len(a.buf) < n {
		a.buf = pages.Floats(n)
	}
	a.used = 0
}

// take returns n elements, which hold whatever was there before.
func (a *arena) take(n int) []float32 {
	s := a.buf[a.used : a.used+n : a.used+n]
	a.used += roundUp(n, lineFloats)
	return s
}

// room returns how large an arena must be for slices of these sizes.
func room(sizes ...int) int {
	total := 0
	for _, n := range sizes {
		total += roundUp(n, lineFloats)
	}
	return total
}

// What kernels keep from call to call. One call runs at a time and holds busy meanwhile.
var (
	busy        sync.Mutex
	sharedArena arena     // read by all workers
	arenas      []arena   // one for each worker
	partials    []float64 // sums of the pieces of a call
)

// reserve makes room for n elements in the arena of every worker.
func reserve(n int) {
	if w := parallel.Workers(); len(arenas) < w {
		arenas = append(arenas, make([]arena, w-len(arenas))...)
	}
	for i := range arenas {
		arenas[i].reset(n)
	}
}

// zeroPartials makes partials hold n zeros.
func zeroPartials(n int) {
	if len(partials) < n {
		partials = make([]float64, n)
	}
	clear(partials[:n])
}

// addPartials sets s to the sum of the partial sums of all pieces, in order.
func addPartials(s *Sums, pieces, c int) {
	clear(s.A)
	clear(s.B)
	for p := range pieces {
		part := partials[p*2*c:][:2*c]
		for i, v := range part[:c] {
			s.A[i] += v
		}
		for i, v := range part[c:] {
			s.B[i] += v
		}
	}
}

// piecePartials returns the sums of a piece.
func piecePartials(piece, c int) (a, b []float64) {
	part := partials[piece*2*c:][:2*c]
	return part[:c], part[c:]
}

// bands cuts n images of h rows into pieces of several whole images, or of
// some rows of one.
type bands struct {
	n, h         int
	images, rows int // of a piece, at most
	perImage     int
}

// band is rows [y0, y1) of images [n0, n1).
type band struct{ n0, n1, y0, y1 int }

// cut makes pieces of about rows rows; where it cuts an image, it cuts at a
// multiple of every.
func cut(n, h, rows, every int) bands {
	if rows >= h {
		return bands{n, h, min(n, rows/h), h, 1}
	}
	per := (h + rows - 1) / rows
	rows = min(h, roundUp((h+per-1)/per, every))
	return bands{n, h, 1, rows, (h + rows - 1) / rows}
}

func (b bands) count() int { return (b.n + b.images - 1) / b.images * b.perImage }

func (b bands) at(piece int) band {
	n, y := piece/b.perImage*b.images, piece%b.perImage*b.rows
	return band{n, min(n+b.images, b.n), min(y, b.h), min(y+b.rows, b.h)}
}

// padded returns a row length of at least n, so that rows do not lie a multiple of 4 KiB
// apart.
func padded(n int) int {
	n = roundUp(n, lineFloats)
	if n%256 == 0 {
		n += lineFloats
	}
	return n
}

// stripChannels is how many channels of all rows make a piece of a sum over rows.
const stripChannels = 32

func strips(c int) int { return (c + stripChannels - 1) / stripChannels }

// strip returns the channels of a piece.
func strip(piece, c int) (lo, hi int) {
	return piece * stripChannels, min((piece+1)*stripChannels, c)
}
