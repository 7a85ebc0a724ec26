// Package scratch holds the memory that kernels keep from call to call, and cuts work into
// pieces by its shape.
package scratch

import (
	"sync"

	"vicreg/internal/kernel/shape"
	"vicreg/internal/pages"
	"vicreg/internal/parallel"
)

// Arena hands out slices of one buffer, which is kept from call to call.
type Arena struct {
	Buf  []float32
	Used int
}

// LineFloats is a cache line; slices of an arena start on one.
const LineFloats = 16

func RoundUp(n, to int) int { return (n + to - 1) / to * to }

// Reset empties the arena and makes sure that it holds n elements.
func (a *Arena) Reset(n int) {
	if len(a.Buf) < n {
		a.Buf = pages.Floats(n)
	}
	a.Used = 0
}

// Take returns n elements, which hold whatever was there before.
func (a *Arena) Take(n int) []float32 {
	s := a.Buf[a.Used : a.Used+n : a.Used+n]
	a.Used += RoundUp(n, LineFloats)
	return s
}

// Room returns how large an arena must be for slices of these sizes.
func Room(sizes ...int) int {
	total := 0
	for _, n := range sizes {
		total += RoundUp(n, LineFloats)
	}
	return total
}

// What kernels keep from call to call. One call runs at a time and holds busy meanwhile.
var (
	Busy     sync.Mutex
	Shared   Arena     // read by all workers
	Arenas   []Arena   // one for each worker
	Partials []float64 // sums of the pieces of a call
)

// Reserve makes room for n elements in the arena of every worker.
func Reserve(n int) {
	if w := parallel.Workers(); len(Arenas) < w {
		Arenas = append(Arenas, make([]Arena, w-len(Arenas))...)
	}
	for i := range Arenas {
		Arenas[i].Reset(n)
	}
}

// MakePartials makes room for n partial sums, of which every piece sets its own to zero.
func MakePartials(n int) {
	if len(Partials) < n {
		Partials = make([]float64, n)
	}
}

// ZeroPartials makes partials hold n zeros.
func ZeroPartials(n int) {
	MakePartials(n)
	clear(Partials[:n])
}

// PiecePartials returns the sums of a piece, set to zero.
func PiecePartials(piece, c int) (a, b []float64) {
	part := Partials[piece*2*c:][:2*c]
	clear(part)
	return part[:c], part[c:]
}

// adding is the AddPartials under way.
var adding struct {
	sums      *shape.Sums
	pieces, c int
}

const (
	addStrip = 16      // channels of a piece of AddPartials: two cache lines
	addOnOne = 1 << 12 // partial sums up to which one worker adds them faster
)

// AddPartials sets s to the sum of the partial sums of all pieces, in order.
func AddPartials(s *shape.Sums, pieces, c int) {
	adding.sums, adding.pieces, adding.c = s, pieces, c
	if pieces*2*c <= addOnOne {
		addRange(0, 2*c)
	} else {
		parallel.For((2*c+addStrip-1)/addStrip, addPiece)
	}
	adding.sums = nil
}

func addPiece(_, piece int) {
	addRange(piece*addStrip, min((piece+1)*addStrip, 2*adding.c))
}

// addRange adds columns [lo, hi) of the partial sums: those of A and B one after the other.
func addRange(lo, hi int) {
	c := adding.c
	for at := lo; at < hi; {
		to, first, end := adding.sums.A, at, min(hi, c)
		if at >= c {
			to, first, end = adding.sums.B, at-c, hi
		}
		sum := to[first:][:end-at]
		clear(sum)
		for p := range adding.pieces {
			for i, v := range Partials[p*2*c+at:][:len(sum)] {
				sum[i] += v
			}
		}
		at = end
	}
}

// Bands cuts n images of h rows into pieces of several whole images, or of
// some rows of one.
type Bands struct {
	n, h         int
	Images, Rows int // of a piece, at most
	perImage     int
}

// Band is rows [y0, y1) of images [n0, n1).
type Band struct{ N0, N1, Y0, Y1 int }

// Cut makes pieces of about rows rows; where it cuts an image, it cuts at a
// multiple of every.
func Cut(n, h, rows, every int) Bands {
	if rows >= h {
		return Bands{n, h, min(n, rows/h), h, 1}
	}
	per := (h + rows - 1) / rows
	rows = min(h, RoundUp((h+per-1)/per, every))
	return Bands{n, h, 1, rows, (h + rows - 1) / rows}
}

func (b Bands) Count() int { return (b.n + b.Images - 1) / b.Images * b.perImage }

func (b Bands) At(piece int) Band {
	n, y := piece/b.perImage*b.Images, piece%b.perImage*b.Rows
	return Band{n, min(n+b.Images, b.n), min(y, b.h), min(y+b.Rows, b.h)}
}

// Padded returns a row length of at least n, so that rows do not lie a multiple of 4 KiB
// apart.
func Padded(n int) int {
	n = RoundUp(n, LineFloats)
	if n%256 == 0 {
		n += LineFloats
	}
	return n
}

// StripChannels is how many channels of all rows make a piece of a sum over rows.
const StripChannels = 32

func Strips(c int) int { return (c + StripChannels - 1) / StripChannels }

// Strip returns the channels of a piece.
func Strip(piece, c int) (lo, hi int) {
	return piece * StripChannels, min((piece+1)*StripChannels, c)
}
