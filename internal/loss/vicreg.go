// Package loss holds the losses: embeddings in, every term and the gradients of the
// embeddings out. It knows no layers. [VICReg] and the methods that it is compared with
// have a file each. A loss is a struct of its constants. Its Eval (and Pair, one
// direction of two) takes a [Workspace], and its Check names mistakes.
//
// References: "the paper" is Bardes, Ponce, LeCun, VICReg (ICLR 2022, arXiv:2105.04906);
// "released" is main_vicreg.py of facebookresearch/vicreg at commit 4e12602.
package loss

import (
	"fmt"
	"math"
)

// Convention names one of the three ways in which the paper's equations, its
// pseudo-code and its released code compute the loss. Per branch they agree:
//
//	v(Z) = 1/d Σ_j max(0, γ − √(Var(z_j) + ε))          paper Eq. 1, 2
//	c(Z) = 1/d Σ_{i≠j} C(Z)²_ij                         paper Eq. 3, 4
//
// with the unbiased variance and C(Z) = Σ_i (z_i − z̄)(z_i − z̄)ᵀ/(n − 1). They
// differ in what they make of these:
//
//	            invariance             variance              covariance
//	Released    Σ(z − z')²/(n·d)       (v(Z) + v(Z'))/2      c(Z) + c(Z')
//	Formula     Σ(z − z')²/n           v(Z) + v(Z')          c(Z) + c(Z')
//	Pseudocode  Σ(z − z')²/(n·d)       v(Z) + v(Z')          c(Z) + c(Z')
//
// The covariance divides by the rows actually present; released line 208
// divides by the batch size of the command line, which is the same.
type Convention int

const (
	Released   Convention = iota // released lines 196–213; the published numbers
	Formula                      // paper Eq. 1–6
	Pseudocode                   // paper Algorithm 1
)

var conventionNames = [...]string{"released", "formula", "pseudocode"}

// String returns the convention's name.
func (c Convention) String() string {
	if c < 0 || int(c) >= len(conventionNames) {
		return fmt.Sprintf("Convention(%d)", int(c))
	}
	return conventionNames[c]
}

// ParseConvention returns the convention of a name.
func ParseConvention(name string) (Convention, error) {
	for i, s := range conventionNames {
		if s == name {
			return Convention(i), nil
		}
	}
	return 0, fmt.Errorf("unknown loss convention %q; known: released, formula, pseudocode", name)
}

// VICReg is the loss
//
//	ℓ = λ·invariance + μ·variance + ν·covariance         paper Eq. 6; released lines 215–219
type VICReg struct {
	Lambda, Mu, Nu float64
	Gamma          float64 // target of the standard deviation
	Eps            float64 // under the root of the variance
	Convention     Convention

	// B are μ and ν of the second branch; nil: the first one's.
	B *Coefficients
}

// Coefficients are those of one branch's own terms.
type Coefficients struct{ Mu, Nu float64 }

// coefficients returns those of both branches.
func (v *VICReg) coefficients() [2]Coefficients {
	own := [2]Coefficients{{v.Mu, v.Nu}, {v.Mu, v.Nu}}
	if v.B != nil {
		own[1] = *v.B
	}
	return own
}

// NewVICReg returns the published coefficients in the released convention.
func NewVICReg() VICReg {
	return VICReg{Lambda: 25, Mu: 25, Nu: 1, Gamma: 1, Eps: 1e-4}
}

// Terms are the parts of the loss: Total with its weights, the others without.
type Terms struct {
	Invariance, Variance, Covariance, Total float64

	Branch [2]Branch
}

// Branch is what one of the two embeddings contributes.
type Branch struct {
	Variance   float64 // v(Z)
	Covariance float64 // c(Z)
	Std        float64 // mean over the dimensions of √Var(z_j), without ε
}

// Eval computes the loss of embeddings z1, z2 (n × d each) and, unless they are
// nil, its gradients dz1, dz2 (n × d each). Products are float32; means,
// variances and sums are float64. The cheaper of two routes to the covariance
// is taken, see covariance.go. The same bits come out for any number of workers.
// It allocates only while ws grows.
func (v VICReg) Eval(ws *Workspace, z1, z2 []float32, n, d int, dz1, dz2 []float32) Terms {
	return v.eval(ws, z1, z2, n, d, dz1, dz2, cheaper(n, d))
}

func (v VICReg) eval(ws *Workspace, z1, z2 []float32, n, d int, dz1, dz2 []float32, by route) Terms {
	switch grads := dz1 != nil || dz2 != nil; {
	case n < 2 || d < 1:
		panic(fmt.Sprintf("loss: embeddings of %d × %d; at least 2 × 1 are needed", n, d))
	case len(z1) != n*d || len(z2) != n*d:
		panic(fmt.Sprintf("loss: embeddings of %d × %d come with %d and %d values", n, d, len(z1), len(z2)))
	case grads && (len(dz1) != n*d || len(dz2) != n*d):
		panic(fmt.Sprintf("loss: gradients of %d × %d come with %d and %d values", n, d, len(dz1), len(dz2)))
	}
	ws.reset(z1, z2, n, d)
	nf, df := float64(n), float64(d)
	pairs, half := v.divisors(n, d)
	ws.beta = float32(2 * v.Lambda / pairs)
	own := v.coefficients()
	for i, c := range own {
		ws.scales[i] = float32(c.matrix(n, d))
	}
	ws.dz = [2][]float32{dz1, dz2}
	hinge := func(i int) float64 { return own[i].hinge(half, n, d) }

	var t Terms
	few := by == overRows && n <= fewRows
	if few {
		distance, squares := ws.grams()
		t.Invariance = distance / pairs
		for i := range ws.branch {
			b := &ws.branch[i]
			t.Branch[i].Variance, t.Branch[i].Std = b.hinge(v.Gamma, v.Eps, hinge(i))
			rest, ok := b.withoutDiagonal(squares[i] / ((nf - 1) * (nf - 1)))
			t.Branch[i].Covariance = rest / df
			b.takeDiagonal(4 * own[i].Nu / (df * (nf - 1)))
			few = few && ok
		}
		if few && dz1 != nil {
			ws.pullStrips()
		}
	}
	if !few {
		t.Invariance = ws.centre() / pairs
		for i := range ws.branch {
			b := &ws.branch[i]
			t.Branch[i].Variance, t.Branch[i].Std = b.hinge(v.Gamma, v.Eps, hinge(i))
			t.Branch[i].Covariance = ws.covariance(i, by, own[i].Nu, ws.dz[i])
		}
	}
	ws.z, ws.dz = [2][]float32{}, [2][]float32{} // the caller's

	v.sum(&t, half)
	return t
}

// divisors returns what the invariance is divided by, and the weight of the variances.
func (v *VICReg) divisors(n, d int) (pairs, half float64) {
	switch v.Convention {
	case Released: // lines 196, 206
		return float64(n) * float64(d), 0.5
	case Formula: // Eq. 5
		return float64(n), 1
	}
	return float64(n) * float64(d), 1
}

// matrix is the weight of Zc·offdiagonal(ZcᵀZc) in the gradient, hinge that of zc/S.
func (c Coefficients) matrix(n, d int) float64 {
	nf, df := float64(n), float64(d)
	return 4 * c.Nu / (df * (nf - 1) * (nf - 1))
}

func (c Coefficients) hinge(half float64, n, d int) float64 {
	return -c.Mu * half / (float64(d) * (float64(n) - 1))
}

// sum makes the terms of both branches into those of the loss.
func (v *VICReg) sum(t *Terms, half float64) {
	t.Variance = half * (t.Branch[0].Variance + t.Branch[1].Variance)
	t.Covariance = t.Branch[0].Covariance + t.Branch[1].Covariance
	t.Total = v.Lambda*t.Invariance + v.Mu*t.Variance + v.Nu*t.Covariance
	if v.B != nil {
		t.Total += half*(v.B.Mu-v.Mu)*t.Branch[1].Variance + (v.B.Nu-v.Nu)*t.Branch[1].Covariance
	}
}

// hinge returns v(Z) and the mean standard deviation, from the variances. It
// sets coef to the gradient of the hinge: with S_j = √(Var_j + ε),
//
//	∂v/∂z_ij = −1/(d·(n − 1)) · zc_ij/S_j  where S_j < γ, else 0
//
// that is coef_j = scale/S_j, where scale is −1/(d·(n − 1)) times the weight. At
// S_j = 0, which ε > 0 excludes, the gradient is taken as 0.
func (b *branch) hinge(gamma, eps, scale float64) (v, std float64) {
	for j, variance := range b.variance {
		s := math.Sqrt(variance + eps)
		v += max(0, gamma-s)
		std += math.Sqrt(variance)
		b.coef[j] = 0
		if s < gamma && s > 0 {
			b.coef[j] = float32(scale / s)
		}
	}
	d := float64(len(b.variance))
	return v / d, std / d
}
