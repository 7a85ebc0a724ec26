package loss

// BYOL is the loss of Grill et al., "Bootstrap your own latent" (NeurIPS 2020,
// arXiv:2006.07733), Eq. 2; google-deepmind/deepmind-research byol/utils/helpers.py,
// regression_loss, of both views in byol_experiment.py, loss_fn. It is the squared
// distance between the unit vectors of prediction q and target k:
//
//	ℓ(q, k) = 1/n Σ_i ‖q̂_i − k̂_i‖² = 2 − 2/n Σ_i cos(q_i, k_i)
//	ℓ = ℓ(q1, k2) + ℓ(q2, k1)
type BYOL struct{}

// Eval computes the loss of predictions q1, q2 and targets k1, k2 of both views (n × d
// each). It fills those gradients that are not nil. The gradients of the targets are
// what the stop-gradient discards.
func (b BYOL) Eval(ws *Workspace, q1, q2, k1, k2 []float32, n, d int, dq1, dq2, dk1, dk2 []float32) CosineTerms {
	t, u := b.Pair(ws, q1, k2, n, d, dq1, dk2), b.Pair(ws, q2, k1, n, d, dq2, dk1)
	return CosineTerms{t.Total + u.Total, (t.Cosine + u.Cosine) / 2}
}

// Pair is one direction, ℓ(q, k).
func (BYOL) Pair(ws *Workspace, q, k []float32, n, d int, dq, dk []float32) CosineTerms {
	cos := ws.cosine.run(q, k, n, d, dq, dk, -2)
	return CosineTerms{2 - 2*cos, cos}
}

func init() {
	alone("byol", Alone{
		Constants: []Constant{stopGradient},
		Eval: func(g *Given) error {
			g.cosine(BYOL{}.Pair(&g.ws, g.Z[0], g.Z[1], g.N, g.D, g.DZ[0], g.target()))
			return nil
		},
	})
}
