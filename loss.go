package vicreg

import (
	"fmt"
	"math"
	"sync"

	"vicreg/internal/loss"
)

// Convention names one of three ways to compute the loss: the paper's equations,
// its pseudo-code and its released code differ in how they average. With n
// embeddings of d dimensions, v and c the variance and covariance of one branch,
//
//	            invariance             variance              covariance
//	Released    Σ(z1 − z2)²/(n·d)      (v(z1) + v(z2))/2     c(z1) + c(z2)
//	Formula     Σ(z1 − z2)²/n          v(z1) + v(z2)         c(z1) + c(z2)
//	Pseudocode  Σ(z1 − z2)²/(n·d)      v(z1) + v(z2)         c(z1) + c(z2)
type Convention int

// The conventions. The published numbers came from Released.
const (
	Released Convention = iota
	Formula
	Pseudocode
)

// String returns released, formula or pseudocode.
func (c Convention) String() string { return loss.Convention(c).String() }

// ParseConvention returns the convention called released, formula or pseudocode. Another
// name is an error.
func ParseConvention(name string) (Convention, error) {
	c, err := loss.ParseConvention(name)
	return Convention(c), err
}

// Terms are the terms of the loss, before their coefficients, and the total, with them.
type Terms struct {
	Invariance float64 // of both embeddings
	Variance   float64 // of both, as the convention joins them
	Covariance float64 // likewise
	Total      float64 // the loss

	Branch [2]BranchTerms // what each of the two embeddings contributes
}

// BranchTerms are what one embedding contributes to the loss.
type BranchTerms struct {
	Variance   float64 // v(z)
	Covariance float64 // c(z)
	Std        float64 // √Var(z_j), mean over the dimensions, without Eps
}

// Loss is the VICReg loss of two embeddings of the same n inputs (paper Eq. 6,
// https://arxiv.org/abs/2105.04906):
//
//	Lambda·invariance + Mu·variance + Nu·covariance
//
//	v(z) = 1/d Σ_j max(0, Gamma − √(Var(z_j) + Eps))       Eq. 1, 2
//	c(z) = 1/d Σ_{i≠j} C_ij(z)²                            Eq. 3, 4
//
// Var and the covariance matrix C divide by n − 1. The paper's coefficients are
// what [NewLoss] returns. A Loss may be used by several goroutines at once.
type Loss struct {
	Lambda     float64    // weight of the invariance term, 0 or more
	Mu         float64    // weight of the variance term, 0 or more
	Nu         float64    // weight of the covariance term, 0 or more
	Gamma      float64    // target standard deviation of each dimension
	Eps        float64    // under the root
	Convention Convention // how the two embeddings are averaged

	// B are Mu and Nu of the second embedding's own terms; nil: the same.
	B *Coefficients
}

// Coefficients are those of one embedding's own terms.
type Coefficients struct {
	Mu float64 // weight of its variance, 0 or more
	Nu float64 // weight of its covariance, 0 or more
}

// NewLoss returns the published loss: 25, 25, 1, with Gamma 1 and Eps 1e-4, in
// the released convention.
func NewLoss() Loss { return outer[Loss](loss.NewVICReg()) }

// inner returns l as package loss knows it.
func (l *Loss) inner() loss.VICReg {
	v := loss.VICReg{Lambda: l.Lambda, Mu: l.Mu, Nu: l.Nu, Gamma: l.Gamma, Eps: l.Eps}
	v.Convention = loss.Convention(l.Convention)
	if l.B != nil {
		v.B = &loss.Coefficients{Mu: l.B.Mu, Nu: l.B.Nu}
	}
	return v
}

// termsOf returns the terms as this package shows them.
func termsOf(t loss.Terms) Terms {
	return Terms{
		Invariance: t.Invariance, Variance: t.Variance, Covariance: t.Covariance, Total: t.Total,
		Branch: [2]BranchTerms{BranchTerms(t.Branch[0]), BranchTerms(t.Branch[1])},
	}
}

var workspaces = sync.Pool{New: func() any { return new(loss.Workspace) }}

// Eval returns the terms of the loss of z1 and z2, both n × d, row by row. If
// dz1 and dz2 are not nil they have the same size and receive the gradients of
// the total.
//
// It is an error if n is less than 2, a slice has another length than n·d, a
// coefficient is negative or not finite, or an embedding, a term or a gradient is
// not finite. The work grows with n·d·min(n, d). Results are the same bits for any
// GOMAXPROCS.
func (l Loss) Eval(z1, z2 []float32, n, d int, dz1, dz2 []float32) (Terms, error) {
	if err := l.check(); err != nil {
		return Terms{}, err
	}
	if n < 2 || d < 1 || n > math.MaxInt/d {
		return Terms{}, fmt.Errorf("the loss wants at least 2 embeddings of at least 1 dimension, got %d × %d", n, d)
	}
	gradients := dz1 != nil || dz2 != nil
	for _, x := range []struct {
		name string
		data []float32
		skip bool
	}{{"z1", z1, false}, {"z2", z2, false}, {"dz1", dz1, !gradients}, {"dz2", dz2, !gradients}} {
		if !x.skip && len(x.data) != n*d {
			return Terms{}, fmt.Errorf("%s has %d values, want %d × %d = %d", x.name, len(x.data), n, d, n*d)
		}
	}
	ws := workspaces.Get().(*loss.Workspace)
	defer workspaces.Put(ws)
	t := termsOf(l.inner().Eval(ws, z1, z2, n, d, dz1, dz2))
	if !finite(t.Invariance, t.Variance, t.Covariance, t.Total) {
		if err := notFinite("z1", z1, d); err != nil {
			return t, err
		}
		if err := notFinite("z2", z2, d); err != nil {
			return t, err
		}
		return t, fmt.Errorf("the loss is %v: the embeddings are too large", t.Total)
	}
	for _, x := range []struct {
		name string
		data []float32
	}{{"dz1", dz1}, {"dz2", dz2}} {
		if err := notFinite(x.name, x.data, d); err != nil {
			return t, fmt.Errorf("%w: the embeddings or the coefficients are too large", err)
		}
	}
	return t, nil
}

func finite(values ...float64) bool {
	for _, v := range values {
		if v-v != 0 { // NaN, or infinite
			return false
		}
	}
	return true
}

func (l Loss) check() error {
	var b Coefficients
	if l.B != nil {
		b = *l.B
	}
	for _, c := range []struct {
		name  string
		value float64
	}{
		{"lambda", l.Lambda}, {"mu", l.Mu}, {"nu", l.Nu}, {"gamma", l.Gamma}, {"eps", l.Eps},
		{"B.mu", b.Mu}, {"B.nu", b.Nu},
	} {
		if !(c.value >= 0) || math.IsInf(c.value, 0) {
			return fmt.Errorf("the loss's %s is %v; it must be 0 or more", c.name, c.value)
		}
	}
	if l.Convention < Released || l.Convention > Pseudocode {
		return fmt.Errorf("the loss's convention is %v; take Released, Formula or Pseudocode", l.Convention)
	}
	return nil
}

// notFinite names the first value of z, rows of d, that is not finite.
func notFinite(name string, z []float32, d int) error {
	for i, v := range z {
		if v-v != 0 {
			return fmt.Errorf("%s has the value %v in row %d, column %d (counted from 0)", name, v, i/d, i%d)
		}
	}
	return nil
}
