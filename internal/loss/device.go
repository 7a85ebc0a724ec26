package loss

import (
	"vicreg/internal/device"
)

// Queued is a loss that a device computes.
type Queued struct {
	loss  VICReg
	n, d  int
	terms device.VICRegTerms
}

// Queue has a device compute the loss of embeddings that are there, and their gradients
// unless these are none. It does not wait.
func (v VICReg) Queue(dev device.Losses, z1, z2 device.Array, n, d int, dz1, dz2 device.Array) Queued {
	pairs, half := v.divisors(n, d)
	l := device.VICReg{Z: [2]device.Array{z1, z2}, DZ: [2]device.Array{dz1, dz2}, N: n, D: d,
		Gamma: v.Gamma, Eps: v.Eps, Pull: 2 * v.Lambda / pairs}
	for i, c := range v.coefficients() {
		l.Hinge[i], l.Covariance[i] = c.hinge(half, n, d), c.matrix(n, d)
	}
	return Queued{v, n, d, dev.VICReg(l)}
}

// Terms returns the terms, when they are there.
func (q *Queued) Terms() (t Terms) {
	pairs, half := q.loss.divisors(q.n, q.d)
	t.Invariance = q.terms.Distance.Read() / pairs
	for i, b := range q.terms.Branch {
		t.Branch[i] = Branch{Variance: b.Variance.Read(), Std: b.Std.Read(), Covariance: b.Covariance.Read()}
	}
	q.loss.sum(&t, half)
	return t
}
