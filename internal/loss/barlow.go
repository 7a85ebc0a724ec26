package loss

import (
	"fmt"
	"math"

	"vicreg/internal/kernel/product"
	"vicreg/internal/kernel/vector"
	"vicreg/internal/parallel"
	"vicreg/internal/tensor"
)

// BarlowTwins is the loss of Zbontar, Jing, Misra, LeCun and Deny, "Barlow Twins:
// self-supervised learning via redundancy reduction" (ICML 2021, arXiv:2103.03230), Eq.
// 1, 2; facebookresearch/barlowtwins at 046eec3, main.py, BarlowTwins.forward. N(z) are
// the embeddings with their dimensions normalised over the batch, as BatchNorm1d without
// weights does (biased variance, ε under the root):
//
//	C = N(z1)ᵀ·N(z2)/n
//	ℓ = scale·( Σ_j (C_jj − 1)² + λ·Σ_{i≠j} C_ij² )
//
// The d × d matrix is not needed where n ≤ d: with the Gram matrices G = N·Nᵀ, ‖C‖²_F =
// ⟨G1, G2⟩/n², and in the gradient N(z2)·Cᵀ = G2·N(z1)/n.
type BarlowTwins struct {
	Lambda float64 // weight of the off-diagonal
	Scale  float64 // of the whole
	Eps    float64 // under the root of the variance
}

// NewBarlowTwins returns the published λ, with the scale of solo-learn's recipes.
func NewBarlowTwins() BarlowTwins { return BarlowTwins{Lambda: 0.0051, Scale: 0.1, Eps: 1e-5} }

// Check says what is wrong with the constants.
func (b BarlowTwins) Check() error {
	switch {
	case !(b.Lambda >= 0) || math.IsInf(b.Lambda, 0):
		return fmt.Errorf("barlow-twins' lambda is %v, but must be 0 or more; 0.0051 is usual", b.Lambda)
	case !(b.Scale > 0) || math.IsInf(b.Scale, 0):
		return fmt.Errorf("barlow-twins' scale is %v, but must be above 0; 0.1 and 1 are usual", b.Scale)
	case !(b.Eps > 0) || math.IsInf(b.Eps, 0):
		return fmt.Errorf("barlow-twins' eps is %v, but must be above 0; 1e-5 is usual", b.Eps)
	}
	return nil
}

// BarlowTerms are the parts of the loss: Total with its weights, the others without.
type BarlowTerms struct {
	Total      float64
	Invariance float64 // Σ_j (C_jj − 1)²
	Redundancy float64 // Σ_{i≠j} C_ij²
}

// Eval computes the loss of embeddings z1, z2 (n × d each) and, unless they are
// nil, its gradients dz1, dz2 (n × d each). The cheaper of both routes is taken.
func (b BarlowTwins) Eval(ws *Workspace, z1, z2 []float32, n, d int, dz1, dz2 []float32) BarlowTerms {
	return b.eval(ws, z1, z2, n, d, dz1, dz2, cheaper(n, d))
}

func (b BarlowTwins) eval(ws *Workspace, z1, z2 []float32, n, d int, dz1, dz2 []float32, by route) BarlowTerms {
	if n < 2 {
		panic(fmt.Sprintf("loss: Barlow Twins of %d embeddings; at least 2 are needed", n))
	}
	checkLen("embeddings", n, d, len(z1), len(z2))
	grads := dz1 != nil || dz2 != nil
	if grads {
		checkLen("gradients", n, d, len(dz1), len(dz2))
	}
	ws.reset(z1, z2, n, d)
	ws.centre()
	w := &ws.barlow
	w.start(ws, b.Eps)
	parallel.For(w.pieces, w.normalise)

	// Besides the products, dN(z) of dimension j has own_j times the other N(z).
	t := BarlowTerms{}
	var diagonal float64
	for j, c := range w.diagonal {
		w.diagonal[j] = c / float64(n)
		c = w.diagonal[j]
		t.Invariance += (c - 1) * (c - 1)
		diagonal += c * c
	}
	ws.dz = [2][]float32{dz1, dz2}
	nf, left := float64(n), 0.0 // of C_jj, in the products
	if by == overRows {
		t.Redundancy = ws.crossRows()/(nf*nf) - diagonal
		if t.Redundancy < cancels*diagonal { // NaN is not
			by = overColumns
		} else if left = 1; grads {
			product.Gemm(ws.matrix(dz1), w.gram[1], ws.centred(&ws.branch[0]), false)
			product.Gemm(ws.matrix(dz2), w.gram[0], ws.centred(&ws.branch[1]), false)
		}
	}
	if by == overColumns {
		t.Redundancy = ws.crossColumns(grads) / (nf * nf)
	}
	if grads {
		w.product = float32(2 * b.Scale * b.Lambda / (nf * nf))
		for j, c := range w.diagonal {
			w.own[j] = 2 * b.Scale / nf * ((1-b.Lambda*left)*c - 1)
		}
		parallel.For(w.pieces, w.back)
	}
	ws.z, ws.dz = [2][]float32{}, [2][]float32{} // the caller's
	t.Total = b.Scale * (t.Invariance + b.Lambda*t.Redundancy)
	return t
}

// barlow is the workspace of Barlow Twins. The normalised embeddings take the
// place of the centred ones in the branches.
type barlow struct {
	ws       *Workspace
	eps      float64
	diagonal []float64      // d: C_jj
	own      []float64      // d
	inverse  [2][]float64   // d: of the deviations
	gram     [2]product.Mat // n × n
	second   []float32      // memory of one Gram matrix; the other is in square
	product  float32        // of the products in dz, on the way back
	pieces   int

	normalise, back func(worker, piece int)
}

// barlowStrip is how many columns make a piece.
const barlowStrip = 64

func (w *barlow) start(ws *Workspace, eps float64) {
	if w.back == nil {
		w.normalise, w.back = w.normalisePiece, w.backPiece
	}
	d := ws.d
	w.ws, w.eps = ws, eps
	w.diagonal, w.own = grow(w.diagonal, d), grow(w.own, d)
	for x := range 2 {
		w.inverse[x] = grow(w.inverse[x], d)
	}
	w.pieces = (d + barlowStrip - 1) / barlowStrip
}

// normalisePiece divides a strip of columns by its deviations and leaves Σ N(z1)·N(z2).
func (w *barlow) normalisePiece(_, piece int) {
	ws := w.ws
	lo := piece * barlowStrip
	hi := min(lo+barlowStrip, ws.d)
	var scale [2][barlowStrip]float32
	for x := range scale {
		for j, v := range ws.branch[x].variance[lo:hi] {
			inverse := 1 / math.Sqrt(v*float64(ws.n-1)/float64(ws.n)+w.eps)
			w.inverse[x][lo+j], scale[x][j] = inverse, float32(inverse)
		}
	}
	diagonal := w.diagonal[lo:hi]
	clear(diagonal)
	for i := range ws.n {
		a := ws.branch[0].zc[i*ws.stride+lo:][:len(diagonal)]
		b := ws.branch[1].zc[i*ws.stride+lo:][:len(diagonal)]
		for j := range diagonal {
			p, q := a[j]*scale[0][j], b[j]*scale[1][j]
			a[j], b[j] = p, q
			diagonal[j] += float64(p) * float64(q)
		}
	}
}

// crossRows returns ⟨G1, G2⟩ and leaves both Gram matrices in barlow.gram.
func (ws *Workspace) crossRows() float64 {
	w, n := &ws.barlow, ws.n
	ws.diagonal, ws.scale = true, 1
	ws.gram(ws.centred(&ws.branch[0]), n)
	ws.square, w.second = w.second, ws.square
	ws.gram(ws.centred(&ws.branch[1]), n)
	w.gram = [2]product.Mat{{Data: w.second, Rows: n, Cols: n}, {Data: ws.square, Rows: n, Cols: n}}
	return vector.Dot(w.second[:n*n], ws.square[:n*n])
}

// crossColumns returns Σ_{i≠j} (n·C_ij)² and, if grads, sets dz1 and dz2 to the
// products with C without its diagonal: n·N(z2)·Cᵀ and n·N(z1)·C.
func (ws *Workspace) crossColumns(grads bool) float64 {
	a, b := ws.centred(&ws.branch[0]), ws.centred(&ws.branch[1])
	width := ws.d
	if width > widest {
		width = blockWidth(ws.d)
	}
	ws.square = tensor.Grow(ws.square, ws.d*width)
	ws.scale = 1
	var sum float64
	for ws.lo = 0; ws.lo < ws.d; ws.lo += width {
		ws.m = min(width, ws.d-ws.lo)
		c := product.Mat{Data: ws.square, Rows: ws.d, Cols: ws.m}
		strip := columns(b, ws.lo, ws.m)
		product.Gemm(c, a.T(), strip, false)
		sum += ws.run(ws.d, ws.passes.block)
		if grads {
			product.Gemm(ws.matrix(ws.dz[0]), strip, c.T(), ws.lo > 0)
			product.Gemm(columns(ws.matrix(ws.dz[1]), ws.lo, ws.m), a, c, false)
		}
	}
	return sum
}

// backPiece takes a strip of columns of both gradients back through the
// normalisation:
//
//	dN = product·dz + own·N',  dz = (dN − mean(dN) − N·mean(dN·N))/deviation
func (w *barlow) backPiece(_, piece int) {
	ws := w.ws
	lo := piece * barlowStrip
	cols := min(barlowStrip, ws.d-lo)
	var own [barlowStrip]float32
	for j, v := range w.own[lo:][:cols] {
		own[j] = float32(v)
	}
	for x, dz := range ws.dz {
		zc, other := ws.branch[x].zc, ws.branch[1-x].zc
		var sum, dot [barlowStrip]float64
		for i := range ws.n {
			g, a, b := dz[i*ws.d+lo:][:cols], zc[i*ws.stride+lo:][:cols], other[i*ws.stride+lo:][:cols]
			for j := range g {
				v := w.product*g[j] + own[j]*b[j]
				g[j] = v
				sum[j] += float64(v)
				dot[j] += float64(v) * float64(a[j])
			}
		}
		var mean, slope, scale [barlowStrip]float32
		for j := range cols {
			mean[j], slope[j] = float32(sum[j]/float64(ws.n)), float32(dot[j]/float64(ws.n))
			scale[j] = float32(w.inverse[x][lo+j])
		}
		for i := range ws.n {
			g, a := dz[i*ws.d+lo:][:cols], zc[i*ws.stride+lo:][:cols]
			for j := range g {
				g[j] = (g[j] - mean[j] - slope[j]*a[j]) * scale[j]
			}
		}
	}
}

func init() {
	b := NewBarlowTwins()
	alone("barlow-twins", Alone{
		Constants: []Constant{{Name: "lambda", Value: b.Lambda, Equal: true}, {Name: "scale", Value: b.Scale},
			{Name: "eps", Value: b.Eps}},
		Square: Columns, Shift: true,
		Eval: func(g *Given) error {
			b := BarlowTwins{Lambda: g.Set["lambda"], Scale: g.Set["scale"], Eps: g.Set["eps"]}
			t := b.Eval(&g.ws, g.Z[0], g.Z[1], g.N, g.D, g.DZ[0], g.DZ[1])
			g.Terms = []Term{{"invariance", t.Invariance}, {"redundancy", t.Redundancy}, {"total", t.Total}}
			return nil
		},
	})
}
