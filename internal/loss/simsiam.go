package loss

// SimSiam is the loss of Chen and He, "Exploring simple Siamese representation
// learning" (CVPR 2021, arXiv:2011.10566), Eq. 1, 2; facebookresearch/simsiam
// main_simsiam.py, train. With predictions p and projections z,
//
//	D(p, z) = −1/n Σ_i cos(p_i, z_i)
//	ℓ = D(p1, z2)/2 + D(p2, z1)/2
type SimSiam struct{}

// Eval computes the loss of predictions p1, p2 and projections z1, z2 of both views (n ×
// d each). It fills those gradients that are not nil. The gradients of the projections
// are what the stop-gradient discards (Eq. 3, 4).
func (SimSiam) Eval(ws *Workspace, p1, p2, z1, z2 []float32, n, d int, dp1, dp2, dz1, dz2 []float32) CosineTerms {
	a := ws.cosine.run(p1, z2, n, d, dp1, dz2, -0.5)
	b := ws.cosine.run(p2, z1, n, d, dp2, dz1, -0.5)
	return CosineTerms{-(a + b) / 2, (a + b) / 2}
}

// Pair is one direction, D(p, z).
func (SimSiam) Pair(ws *Workspace, p, z []float32, n, d int, dp, dz []float32) CosineTerms {
	cos := ws.cosine.run(p, z, n, d, dp, dz, -1)
	return CosineTerms{-cos, cos}
}

func init() {
	alone("simsiam", Alone{
		Constants: []Constant{stopGradient},
		Eval: func(g *Given) error {
			g.cosine(SimSiam{}.Pair(&g.ws, g.Z[0], g.Z[1], g.N, g.D, g.DZ[0], g.target()))
			return nil
		},
	})
}
