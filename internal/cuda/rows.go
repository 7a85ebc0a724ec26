package cuda

import (
	"fmt"
	"math"

	"vicreg/internal/device"
)

// rows is how a pass over rows of c channels is cut among blocks, as Rows of rows.h. The
// cut depends on the shape alone, and so do the bits of sums.
type rows struct {
	rows, c    uint32
	wide, high uint32 // threads of a block across, each with a vector of channels, and down
	piece      uint32 // rows of a block
	_          uint32
}

const (
	block     = 256  // threads
	across    = 32   // threads of a block side by side, at most
	manyTall  = 1056 // blocks, about, of a pass that leaves sums
	manyShort = 8448 // of one that leaves none
	stepTall  = 8    // a thread goes through a multiple of so many rows
	stepShort = 4
)

// lanes are how many channels a thread takes at once, by kind of kernel: eight of
// bfloat16, eight of either type, one.
var lanes = [3]int{8, 8, 1}

// kindOf returns which kind of kernel goes through rows of c channels of these arrays.
func kindOf(c int, arrays ...device.Array) int {
	if !wide(c, arrays...) {
		return 2
	}
	for _, a := range arrays {
		if !a.None() && a.Type() != device.BFloat16 {
			return 1
		}
	}
	return 0
}

// aligned returns a kind for constants of channels, which are read eight at a time too.
func aligned(kind int, constants ...device.Array) int {
	if !wide(8, constants...) {
		return 2
	}
	return kind
}

// three are kernels for the three kinds.
func three[P any](module, name string) [3]kernel[P] {
	return [3]kernel[P]{declare[P](module, name+"8h", 0), declare[P](module, name+"8", 0),
		declare[P](module, name+"1", 0)}
}

// tall cuts n elements, rows of c channels, for a pass that leaves sums: in pieces that
// are long, but in enough of them.
func tall(n, c, kind int) (r rows, grid [3]int) { return cut(n, c, lanes[kind], manyTall, stepTall) }

// short cuts them for a pass that leaves none.
func short(n, c, kind int) (r rows, grid [3]int) { return cut(n, c, lanes[kind], manyShort, stepShort) }

func cut(n, c, lanes, many, step int) (r rows, grid [3]int) {
	if c < 1 || n%c != 0 || n/c > math.MaxInt32 {
		panic(fmt.Sprintf("cuda: a pass over %d elements in rows of %d channels", n, c))
	}
	count, vectors := n/c, c/lanes
	tiles := over(vectors, across)
	w := over(vectors, tiles)
	high := block / w
	each := over(over(count, max(1, many/tiles)), high)
	piece := max(1, over(each, step)) * step * high
	r = rows{rows: uint32(count), c: uint32(c), wide: uint32(w), high: uint32(high), piece: uint32(piece)}
	return r, [3]int{max(1, over(count, piece)), tiles, 1}
}

// over returns n/m, rounded up.
func over(n, m int) int { return (n + m - 1) / m }

// flat is how many channels elements that are all alike are taken to have.
func flat(n int) int {
	if n%8 == 0 {
		return 8
	}
	return 1
}

// same panics unless operands have as many elements as they must.
func same(what string, n int, arrays ...device.Array) {
	for _, a := range arrays {
		if !a.None() && a.Len() != n {
			panic(fmt.Sprintf("cuda: %s of %d elements meets an operand of %d", what, n, a.Len()))
		}
	}
}
