package winograd

import (
	"math"
	"unsafe"

	"vicreg/internal/kernel/shape"
)

// On convolution F(4×4, 3×3) (Lavin and Gray 2016, equation 11): a tile
// of 4 × 4 outputs is
//
//	Y = Aᵀ·[(G·g·Gᵀ) ⊙ (Bᵀ·d·B)]·A
//
// for 6 × 6 inputs d and 3 × 3 weights g, and summed over channels the ⊙ turns
// into 36 matrix products. The matrices belong to the points 0, ±a, ±b and ∞
// with a = 1/√2 and b = √2, whose rounding error is half that of 0, ±1, ±2, ∞.
// By transposition the gradient of the weights is
//
//	dg = Gᵀ·[(Bᵀ·d·B) ⊙ (A·dY·Aᵀ)]·G
const (
	pointA = math.Sqrt2 / 2
	pointB = math.Sqrt2
)

// winogradMatrix is one of the matrices, out × in.
type winogradMatrix struct {
	in, out int
	m       [9][9]float32
}

var (
	winogradB = winogradMatrix{6, 6, [9][9]float32{
		{1, 0, -2.5, 0, 1, 0},
		{0, -2 * pointA, -2, pointA, 1, 0},
		{0, 2 * pointA, -2, -pointA, 1, 0},
		{0, -pointB / 2, -0.5, pointB, 1, 0},
		{0, pointB / 2, -0.5, -pointB, 1, 0},
		{0, 1, 0, -2.5, 0, 1},
	}}
	winogradA = winogradMatrix{4, 6, [9][9]float32{
		{1, 0, 0, 0},
		{1, pointA, 0.5, pointA / 2},
		{1, -pointA, 0.5, -pointA / 2},
		{1, pointB, 2, 2 * pointB},
		{1, -pointB, 2, -2 * pointB},
		{0, 0, 0, 1},
	}}
	winogradG = winogradMatrix{3, 6, [9][9]float32{
		{1, 0, 0},
		{-2.0 / 3, -2 * pointA / 3, -1.0 / 3},
		{-2.0 / 3, 2 * pointA / 3, -1.0 / 3},
		{1.0 / 6, pointB / 6, 1.0 / 3},
		{1.0 / 6, -pointB / 6, 1.0 / 3},
		{0, 0, 1},
	}}
	winogradAT = winogradA.transposed()
	winogradGT = winogradG.transposed()
)

// The matrices of stride 2. In one dimension, output i is a sum of two parts. Weights 0
// and 2 meet the odd pixels i and i+1: F(4, 2) with the points ±a, ±b and ∞ makes that
// from five values, rows 0 to 4. Weight 1 meets the even pixel i, which stays as it is:
// rows 5 to 8.
var (
	winogradB2 = winogradMatrix{9, 9, [9][9]float32{
		{-2 * pointA, 0, -2, 0, pointA, 0, 1, 0, 0},
		{2 * pointA, 0, -2, 0, -pointA, 0, 1, 0, 0},
		{-pointB / 2, 0, -0.5, 0, pointB, 0, 1, 0, 0},
		{pointB / 2, 0, -0.5, 0, -pointB, 0, 1, 0, 0},
		{1, 0, 0, 0, -2.5, 0, 0, 0, 1},
		{0, 1, 0, 0, 0, 0, 0, 0, 0},
		{0, 0, 0, 1, 0, 0, 0, 0, 0},
		{0, 0, 0, 0, 0, 1, 0, 0, 0},
		{0, 0, 0, 0, 0, 0, 0, 1, 0},
	}}
	winogradA2 = winogradMatrix{4, 9, [9][9]float32{
		{1, pointA, 0.5, pointA / 2},
		{1, -pointA, 0.5, -pointA / 2},
		{1, pointB, 2, 2 * pointB},
		{1, -pointB, 2, -2 * pointB},
		{0, 0, 0, 1},
		{1, 0, 0, 0},
		{0, 1, 0, 0},
		{0, 0, 1, 0},
		{0, 0, 0, 1},
	}}
	winogradG2 = winogradMatrix{3, 6, [9][9]float32{
		{-pointB / 3, 0, -1.0 / 3},
		{pointB / 3, 0, -1.0 / 3},
		{pointA / 3, 0, 1.0 / 3},
		{-pointA / 3, 0, 1.0 / 3},
		{0, 0, 1},
		{0, 1, 0},
	}}
	winogradA2T = winogradA2.transposed()
	winogradG2T = winogradG2.transposed()

	// Input gradient: weights 2 and 0 take output pixels i and i+1 to pixel 2i+1, weight
	// 1 takes output pixel i to pixel 2i.
	winogradBack = winogradMatrix{5, 9, [9][9]float32{
		{-2 * pointA, -2, pointA, 1, 0},
		{2 * pointA, -2, -pointA, 1, 0},
		{-pointB / 2, -0.5, pointB, 1, 0},
		{pointB / 2, -0.5, -pointB, 1, 0},
		{1, 0, -2.5, 0, 1},
		{1, 0, 0, 0, 0},
		{0, 1, 0, 0, 0},
		{0, 0, 1, 0, 0},
		{0, 0, 0, 1, 0},
	}}
	winogradBackT = winogradMatrix{9, 8, [9][9]float32{
		{0, 0, 0, 0, 0, 1},
		{1, 1, 1, 1, 0},
		{0, 0, 0, 0, 0, 0, 1},
		{pointA, -pointA, pointB, -pointB, 0},
		{0, 0, 0, 0, 0, 0, 0, 1},
		{0.5, 0.5, 2, 2, 0},
		{0, 0, 0, 0, 0, 0, 0, 0, 1},
		{pointA / 2, -pointA / 2, 2 * pointB, -2 * pointB, 1},
	}}
)

// The matrices of F(2×2, 3×3), of the same paper, with the points 0, ±1 and ∞: a tile of 2 × 2
// outputs is made of 4 × 4 inputs by 16 products. Its sums are so short that inputs and
// weights may be rounded to bfloat16 when they are transformed: the error of a layer is
// then twice that of direct products of bfloat16.
var (
	winogradBPairs = winogradMatrix{4, 4, [9][9]float32{
		{1, 0, -1, 0},
		{0, 1, 1, 0},
		{0, -1, 1, 0},
		{0, 1, 0, -1},
	}}
	winogradATPairs = winogradMatrix{4, 2, [9][9]float32{
		{1, 1, 1, 0},
		{0, 1, -1, -1},
	}}
	winogradGPairs = winogradMatrix{3, 4, [9][9]float32{
		{1, 0, 0},
		{0.5, 0.5, 0.5},
		{0.5, -0.5, 0.5},
		{0, 0, 1},
	}}
)

func (m winogradMatrix) transposed() winogradMatrix {
	t := winogradMatrix{in: m.out, out: m.in}
	for i := range m.out {
		for j := range m.in {
			t.m[j][i] = m.m[i][j]
		}
	}
	return t
}

// winogradArgs say where the elements of X and Y = T·X·Tᵀ are: vectors of
// channels, strides in bytes.
type winogradArgs struct {
	dst                     *float32
	dstRow, dstCol, dstItem uintptr
	src                     *float32
	srcRow, srcCol, srcItem uintptr
	items                   int
}

// plain applies the matrix on both sides of each item, for some channels.
func (t *winogradMatrix) plain(p *winogradArgs, channels int) {
	t.each(p, channels, 4, func(to unsafe.Pointer, v float32) { *(*float32)(to) = v })
}

// plainHalf does so, and rounds what it writes to bfloat16.
func (t *winogradMatrix) plainHalf(p *winogradArgs, channels int) {
	t.each(p, channels, 2, func(to unsafe.Pointer, v float32) { *(*uint16)(to) = shape.Narrow(v) })
}

// each applies the matrix on both sides of each item, and stores elements of size bytes.
func (t *winogradMatrix) each(p *winogradArgs, channels int, size uintptr, store func(to unsafe.Pointer, v float32)) {
	var x, y [9][9]float32
	for n := range p.items {
		for c := range channels {
			src := unsafe.Add(unsafe.Pointer(p.src), uintptr(n)*p.srcItem+uintptr(c)*4)
			dst := unsafe.Add(unsafe.Pointer(p.dst), uintptr(n)*p.dstItem+uintptr(c)*size)
			for i := range t.in {
				for j := range t.in {
					x[i][j] = *(*float32)(unsafe.Add(src, uintptr(i)*p.srcRow+uintptr(j)*p.srcCol))
				}
			}
			for i := range t.out {
				for j := range t.in {
					var v float32
					for k := range t.in {
						v += t.m[i][k] * x[k][j]
					}
					y[i][j] = v
				}
			}
			for i := range t.out {
				for j := range t.out {
					var v float32
					for k := range t.in {
						v += t.m[j][k] * y[i][k]
					}
					store(unsafe.Add(dst, uintptr(i)*p.dstRow+uintptr(j)*p.dstCol), v)
				}
			}
		}
	}
}
