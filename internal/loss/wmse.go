package loss

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"

	"vicreg/internal/parallel"
	"vicreg/internal/rng"
)

// WMSE is the whitened mean squared error of Ermolov, Siarohin, Sangineto and
// Sebe, "Whitening for self-supervised representation learning" (ICML 2021,
// arXiv:2007.06346); htdt/self-supervised at d0cdce2, methods/w_mse.py, whitening.py,
// norm_mse.py. Each view's embeddings are whitened in random sub-batches of Size
// rows, the same rows in all views; with the unit rows w of whitened embeddings,
//
//	ℓ = mean over pairs of views of 1/n Σ_i ‖w_i − w'_i‖²
//
// averaged over Iterations ways to cut the batch. The gradient flows through the
// whitening of both views: nothing is detached. (solo-learn's wmse.py detaches the
// second view in its default, simplified form, and so is another loss.)
type WMSE struct {
	Size       int // rows of a sub-batch; 0: the whole batch
	Iterations int
	Eps        float64 // share of the identity in the covariance
}

// NewWMSE returns the published constants.
func NewWMSE() WMSE { return WMSE{Size: 128, Iterations: 1} }

// Check says what is wrong with the constants for a batch of n embeddings of d
// dimensions. A sub-batch must have twice as many rows as dimensions, or its covariance
// comes too close to singular (htdt/self-supervised issue 7; lightly loss/wmse_loss.py,
// line 198, refuses less).
func (w WMSE) Check(n, d int) error {
	size := w.size(n)
	switch {
	case !(w.Eps >= 0 && w.Eps < 1):
		return fmt.Errorf("W-MSE's eps is %v, but must be at least 0 and below 1; 0 is usual", w.Eps)
	case w.Iterations < 1:
		return fmt.Errorf("W-MSE's iterations are %d, but must be 1 or more", w.Iterations)
	case w.Size < 0 || size > n || n%size != 0:
		return fmt.Errorf("W-MSE's sub-batches of %d must divide the batch of %d; take another sub-batch size or batch", w.Size, n)
	case size < 2*d:
		return fmt.Errorf("W-MSE's sub-batch of %d is under twice the embedding width of %d: its covariance would be nearly singular; take sub-batches (and a batch) of at least %d, or embeddings of at most %d dimensions", size, d, 2*d, size/2)
	}
	return nil
}

func (w WMSE) size(n int) int {
	if w.Size == 0 {
		return n
	}
	return w.Size
}

// WMSETerms are the parts of the loss.
type WMSETerms struct {
	Total  float64
	Cosine float64 // mean, of the whitened embeddings of two views
}

// ErrSingular is what the error of a failed whitening wraps.
var ErrSingular = errors.New("the covariance of the embeddings is not positive definite")

// Eval computes the loss of views z, n × d each and at least two. Unless dz is nil it
// gets the gradients. Sub-batches are drawn from r; if that is nil they are cut in
// order. All is float64 inside. Where a covariance is singular, Eval returns an error
// that wraps ErrSingular, NaN as Total, and zero gradients.
func (w WMSE) Eval(ws *Workspace, r *rand.Rand, z [][]float32, n, d int, dz [][]float32) (WMSETerms, error) {
	x := &ws.whiten
	size := w.size(n)
	if len(z) < 2 || dz != nil && len(dz) != len(z) || n%size != 0 || size < 2 || w.Iterations < 1 {
		panic(fmt.Sprintf("loss: W-MSE of %d views, %d gradients, %d rows in sub-batches of %d, %d iterations", len(z), len(dz), n, size, w.Iterations))
	}
	for v := range z {
		checkLen("embeddings", n, d, len(z[v]))
		if dz != nil {
			checkLen("gradients", n, d, len(dz[v]))
		}
	}
	x.start(z, n, d, size, w.Eps)
	pairs := len(z) * (len(z) - 1) / 2
	weight := 1 / float64(pairs*n*w.Iterations)
	var cos float64
	for range w.Iterations {
		x.shuffle(r)
		parallel.For(len(x.batch), x.forward)
		for i := range x.batch {
			if b := &x.batch[i]; b.failed >= 0 {
				for _, g := range dz {
					clear(g)
				}
				x.z = nil
				return WMSETerms{math.NaN(), math.NaN()}, x.explain(b, w.Eps)
			}
		}
		cos += x.distance(2 * weight)
		if dz != nil {
			parallel.For(len(x.batch), x.backward)
		}
	}
	for v, g := range dz {
		for i, s := range x.dz[v*n*d:][:n*d] {
			g[i] = float32(s)
		}
	}
	x.z = nil
	cos *= weight
	return WMSETerms{2 - 2*cos, cos}, nil
}

// explain says which whitening failed and what helps.
func (x *whiten) explain(b *subBatch, eps float64) error {
	what := "they have collapsed onto fewer dimensions"
	if x.size <= x.d {
		what = "that needs more rows than dimensions"
	}
	return fmt.Errorf("W-MSE cannot whiten %d embeddings of %d dimensions of view %d: %w (Cholesky, pivot %d); %s: take larger sub-batches, narrower embeddings, a smaller learning rate, or an eps of %v",
		x.size, x.d, b.view+1, ErrSingular, b.failed+1, what, max(0.01, min(10*eps, 0.5)))
}

func init() {
	w := NewWMSE()
	alone("wmse", Alone{
		Constants: []Constant{
			{Name: "size", Equal: true, Whole: true}, // the whole batch, unless it is set
			{Name: "iterations", Value: float64(w.Iterations), Whole: true, Most: mostRounds},
			{Name: "eps", Value: w.Eps, Equal: true},
			{Name: "seed", Equal: true, Whole: true},
		},
		Shift:  true,
		Memory: func(n, d float64, _ Others) float64 { return 12*n*d + 8*min(n, d)*min(n, d) }, // in float64
		Eval:   (*Given).wmse,
	})
}

func (g *Given) wmse() error {
	w := WMSE{Size: int(g.Set["size"]), Iterations: int(g.Set["iterations"]), Eps: g.Set["eps"]}
	if err := w.Check(g.N, g.D); err != nil {
		return err
	}
	var r *rand.Rand
	if w.Size != 0 {
		r = rng.New(uint64(g.Set["seed"]), rng.Method)
	}
	t, err := w.Eval(&g.ws, r, g.Z[:], g.N, g.D, g.gradients())
	g.Terms = []Term{{"cosine", t.Cosine}, {"total", t.Total}}
	return err
}
