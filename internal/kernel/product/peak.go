package product

import (
	"vicreg/internal/cpu"
	"vicreg/internal/kernel/shape"
	"vicreg/internal/parallel"
)

// PeakPieces is how many pieces Peak cuts its work into.
const PeakPieces = 64

// Peak does multiply-adds on registers, 64 pieces of n iterations, on all workers, and
// returns how many operations that was; a multiply-add is two. No product of that
// precision can be faster, so benchmarks compare with it.
func Peak(p shape.Precision, n int) int {
	kind := cpu.Float32
	switch {
	case p == shape.BF16 && cpu.AMX:
		kind = cpu.Tiles
	case p == shape.BF16 && cpu.AVX512BF16:
		kind = cpu.Pairs
	}
	var each [PeakPieces]int
	parallel.For(PeakPieces, func(_, piece int) { each[piece] = n * cpu.MultiplyAdds(kind, n) })
	total := 0
	for _, v := range each {
		total += v
	}
	return total
}
