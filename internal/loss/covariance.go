package loss

import (
	"vicreg/internal/kernel/product"
	"vicreg/internal/tensor"
)

// The covariance term of centred embeddings Zc (n × d), with S = n − 1, is
//
//	c = 1/d · (‖ZcᵀZc‖²_F/S² − Σ_j Var_j²)               paper Eq. 3, 4
//	∂c/∂Zc = 4/(d·S) · Zc·(C − diag C),  C = ZcᵀZc/S
//
// which needs a d × d matrix. Since ‖ZcᵀZc‖_F = ‖ZcZcᵀ‖_F, the n × n Gram matrix
// G = ZcZcᵀ serves as well:
//
//	c = 1/d · (‖G‖²_F/S² − Σ_j Var_j²)
//	∂c/∂Zc = 4/(d·S) · (G·Zc/S − Zc·diag(Var))
//
// Both take two products of n·d·min(n, d). The gradient of the centring itself
// is the identity here: columns of ∂c/∂Zc sum to zero.

// route is a way to compute the covariance.
type route int

const (
	overRows    route = iota // through the n × n Gram matrix
	overColumns              // through the d × d covariance matrix
)

func cheaper(n, d int) route {
	if n <= d {
		return overRows
	}
	return overColumns
}

// cancels says when the n × n route loses too many digits of float32. It subtracts Σ
// Var² from ‖G‖²; what remains must be at least this share of Σ Var². It is less where a
// few dimensions have far more variance than all others. The d × d route is right even
// then: it never adds what it would have to subtract.
const cancels = 1.0 / 32

// covariance returns c(Z) of branch x. Unless dz is nil it gets the gradient of the
// whole loss.
func (ws *Workspace) covariance(x int, by route, nu float64, dz []float32) float64 {
	b := &ws.branch[x]
	ws.scale = ws.scales[x]
	s, d := float64(ws.n-1), float64(ws.d)
	if by == overRows {
		if rest, ok := b.withoutDiagonal(ws.overRows(b) / (s * s)); ok {
			if dz != nil {
				b.takeDiagonal(4 * nu / (d * s))
				ws.pull(x)
				product.Gemm(ws.matrix(dz), ws.squareMat(), ws.centred(b), true)
			}
			return rest / d
		}
	}
	if dz != nil {
		ws.pull(x)
	}
	return ws.overColumns(b, dz) / (s * s) / d
}

// withoutDiagonal takes the sum of all C² and returns the sum without the diagonal,
// Σ_{i≠j} C². ok is false if too few digits of it are left, see cancels. NaN is passed
// on as it is, with ok true.
func (b *branch) withoutDiagonal(all float64) (rest float64, ok bool) {
	var diagonal float64
	for _, v := range b.variance {
		diagonal += v * v
	}
	rest = all - diagonal
	return rest, !(rest < cancels*diagonal)
}

// takeDiagonal subtracts from coef what the product with G adds for the diagonal of C,
// which the gradient leaves out.
func (b *branch) takeDiagonal(scale float64) {
	for j, v := range b.variance {
		b.coef[j] -= float32(scale * v)
	}
}

func (ws *Workspace) centred(b *branch) product.Mat {
	return product.Mat{Data: b.zc, Rows: ws.n, Cols: ws.d, Stride: ws.stride}
}

func (ws *Workspace) matrix(z []float32) product.Mat {
	return product.Mat{Data: z, Rows: ws.n, Cols: ws.d, Stride: ws.d}
}

func (ws *Workspace) squareMat() product.Mat {
	return product.Mat{Data: ws.square, Rows: ws.m, Cols: ws.m}
}

// overRows returns ‖G‖²_F and leaves scale·G in square.
func (ws *Workspace) overRows(b *branch) float64 {
	ws.diagonal = true
	return ws.gram(ws.centred(b), ws.n)
}

// widest is the largest d for which the whole d × d matrix is held.
const widest = 4096

// overColumns returns Σ_{i≠j} (ZcᵀZc)²_ij and, if dz is not nil, adds
// scale·Zc·offdiagonal(ZcᵀZc) to it.
func (ws *Workspace) overColumns(b *branch, dz []float32) float64 {
	zc := ws.centred(b)
	ws.diagonal = false
	if ws.d <= widest {
		sum := ws.gram(zc.T(), ws.d)
		if dz != nil {
			product.Gemm(ws.matrix(dz), zc, ws.squareMat(), true)
		}
		return sum
	}
	width := blockWidth(ws.d)
	ws.square = tensor.Grow(ws.square, ws.d*width)
	var sum float64
	for ws.lo = 0; ws.lo < ws.d; ws.lo += width {
		ws.m = min(width, ws.d-ws.lo)
		c := product.Mat{Data: ws.square, Rows: ws.d, Cols: ws.m}
		product.Gemm(c, zc.T(), columns(zc, ws.lo, ws.m), false)
		sum += ws.run(ws.d, ws.passes.block)
		if dz != nil {
			product.Gemm(columns(ws.matrix(dz), ws.lo, ws.m), zc, c, true)
		}
	}
	return sum
}

// blockWidth is how many columns of the d × d matrix are held at a time: 1024, or
// as many as take 256 MiB.
func blockWidth(d int) int { return max(16, min(1024, 1<<26/d)) }

// columns returns n columns of m, from column lo.
func columns(m product.Mat, lo, n int) product.Mat {
	m.Data, m.Cols = m.Data[lo:], n
	return m
}

// blockRow handles row i of a block of the d × d matrix: it sums up its squares without
// the diagonal, then scales it.
func (ws *Workspace) blockRow(_, i int) {
	row := ws.square[i*ws.m:][:ws.m]
	if j := i - ws.lo; j >= 0 && j < ws.m {
		row[j] = 0
	}
	var sum float64
	for j, v := range row {
		sum += float64(v) * float64(v)
		row[j] = v * ws.scale
	}
	ws.part[i] = sum
}

// tile is the width of the pieces in which a square matrix is mirrored.
const tile = 64

// gram computes the symmetric m × m matrix a·aᵀ into square: blocks on and above
// the diagonal by products, the rest mirrored. Its diagonal becomes zero unless
// ws.diagonal. It returns the sum of squares and leaves the matrix scaled.
func (ws *Workspace) gram(a product.Mat, m int) float64 {
	ws.m = m
	ws.square = tensor.Grow(ws.square, m*m)
	step := gramStep(m)
	for lo := 0; lo < m; lo += step {
		rows := min(step, m-lo)
		c := product.Mat{Data: ws.square[lo*m+lo:], Rows: rows, Cols: m - lo, Stride: m}
		product.Gemm(c, part(a, lo, rows), part(a, lo, m-lo).T(), false)
	}
	tiles := (m + tile - 1) / tile
	return ws.run(tiles*(tiles+1)/2, ws.passes.tile)
}

// gramStep returns how many rows a product takes: small steps compute less of the lower
// half in vain, large ones are faster products.
func gramStep(m int) int {
	switch {
	case m < 512:
		return m
	case m < 1024:
		return (m/2 + tile - 1) / tile * tile
	}
	return (m/8 + tile - 1) / tile * tile
}

// part returns n rows, from row lo on, of a or, if a.Trans, of its transpose.
func part(a product.Mat, lo, n int) product.Mat {
	if a.Trans {
		return columns(a, lo, n)
	}
	a.Data, a.Rows = a.Data[lo*a.Stride:], n
	return a
}

// tileOf returns row and column of tile number at. Tiles are counted on and above the
// diagonal of a matrix of side × side tiles.
func tileOf(at, side int) (r, c int) {
	for at >= side-r {
		at -= side - r
		r++
	}
	return r, r + at
}

// tilePiece scales one tile on or above the diagonal, writes its mirror image
// and sums the squares of both.
func (ws *Workspace) tilePiece(_, piece int) {
	m, scale := ws.m, ws.scale
	r, c := tileOf(piece, (m+tile-1)/tile)
	var sum float64
	for i := r * tile; i < min((r+1)*tile, m); i++ {
		from := c * tile
		if r == c {
			from = i + 1
			v := float64(ws.square[i*m+i])
			if ws.diagonal {
				sum += v * v
			} else {
				v = 0
			}
			ws.square[i*m+i] = float32(v) * scale
		}
		to := min((c+1)*tile, m)
		for j := from; j < to; j++ {
			v := ws.square[i*m+j]
			sum += 2 * float64(v) * float64(v)
			v *= scale
			ws.square[i*m+j], ws.square[j*m+i] = v, v
		}
	}
	ws.part[piece] = sum
}
