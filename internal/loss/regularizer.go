package loss

import (
	"vicreg/internal/kernel/vector"
	"vicreg/internal/tensor"
)

// Regularizer is the variance and covariance of VICReg on the embeddings of
// another method (paper, table 4): μ·variance + ν·covariance, in
// one of VICReg's conventions.
type Regularizer struct {
	Mu, Nu     float64
	Gamma      float64 // target of the standard deviation
	Eps        float64 // under the root of the variance
	Convention Convention
}

// Eval computes the terms of embeddings z1, z2 (n × d each) and adds the gradients
// of their weighted sum to dz1, dz2 (n × d each), unless those are nil. Total is
// that sum; Invariance is there to be looked at.
func (r Regularizer) Eval(ws *Workspace, z1, z2 []float32, n, d int, dz1, dz2 []float32) Terms {
	v := VICReg{Mu: r.Mu, Nu: r.Nu, Gamma: r.Gamma, Eps: r.Eps, Convention: r.Convention}
	if dz1 == nil && dz2 == nil {
		return v.Eval(ws, z1, z2, n, d, nil, nil)
	}
	checkLen("gradients", n, d, len(dz1), len(dz2))
	for i := range ws.extra {
		ws.extra[i] = tensor.Grow(ws.extra[i], n*d)
	}
	t := v.Eval(ws, z1, z2, n, d, ws.extra[0], ws.extra[1])
	vector.Axpy(dz1, 1, ws.extra[0])
	vector.Axpy(dz2, 1, ws.extra[1])
	return t
}
