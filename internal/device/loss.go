package device

// Losses is of devices that compute losses themselves.
type Losses interface {
	// VICReg computes VICReg's loss, and its gradients if DZ is there. Products are of
	// float32, not rounded to TF32; means, variances and sums are wider.
	VICReg(l VICReg) VICRegTerms
}

// VICReg is that loss of embeddings Z, n × d each, as package loss defines it. What
// differs between conventions is in the numbers. With centred embeddings Zc, variances v
// and S = √(v + Eps), the gradients are
//
//	dz = Pull·(z − z') + (S < Gamma ? Hinge/S : 0)·zc + Covariance·Zc·offdiagonal(ZcᵀZc)
type VICReg struct {
	Z, DZ      [2]Array
	N, D       int
	Gamma, Eps float64
	Pull       float64
	Hinge      [2]float64 // of each branch
	Covariance [2]float64
}

// VICRegTerms is what the terms are made of.
type VICRegTerms struct {
	Distance Number // Σ (z − z')²
	Branch   [2]struct{ Variance, Std, Covariance Number }
}
