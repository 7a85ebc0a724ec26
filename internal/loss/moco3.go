package loss

import (
	"vicreg/internal/kernel/product"
	"vicreg/internal/tensor"
)

// MoCoV3 is the loss of Chen, Xie and He, "An empirical study of training
// self-supervised vision transformers" (ICCV 2021, arXiv:2104.02057), Algorithm 1;
// facebookresearch/moco-v3 at 0c5d00a, moco/builder.py, MoCo.ctr_loss and forward. The
// keys of the other images of the batch are the negatives. With unit rows,
//
//	ℓ(q, k) = 2T · 1/n Σ_i −log( exp(q_i·k_i/T) / Σ_j exp(q_i·k_j/T) )
//	ℓ = ℓ(q1, k2) + ℓ(q2, k1)
type MoCoV3 struct {
	Temperature float64
}

// NewMoCoV3 returns the temperature of the recipes for small images.
func NewMoCoV3() MoCoV3 { return MoCoV3{Temperature: 0.2} }

// Check says what is wrong with the constants.
func (m MoCoV3) Check() error { return checkTemperature("MoCo v3", m.Temperature) }

// Eval computes the loss of the predictions q1, q2 and keys k1, k2 of both views (n × d
// each), which it normalises. It fills those gradients that are not nil. The gradients
// of the keys are what a stop-gradient discards.
func (m MoCoV3) Eval(ws *Workspace, q1, q2, k1, k2 []float32, n, d int, dq1, dq2, dk1, dk2 []float32) ContrastTerms {
	t := m.Pair(ws, q1, k2, n, d, dq1, dk2)
	u := m.Pair(ws, q2, k1, n, d, dq2, dk1)
	total := t.Total + u.Total
	t = mean(t, u)
	t.Total = total
	return t
}

// Pair is one direction, ℓ(q, k).
func (m MoCoV3) Pair(ws *Workspace, q, k []float32, n, d int, dq, dk []float32) ContrastTerms {
	checkLen("queries and keys", n, d, len(q), len(k))
	checkGrad(n, d, dq, dk)
	uq := product.Mat{Data: ws.units[0].Forward(q, n, d), Rows: n, Cols: d, Stride: d}
	uk := product.Mat{Data: ws.units[1].Forward(k, n, d), Rows: n, Cols: d, Stride: d}
	ws.labels = growLabels(ws.labels, n)
	for i := range ws.labels {
		ws.labels[i] = int32(i)
	}
	factor := 2 * m.Temperature
	x := scored{a: uq, b: uk, labels: ws.labels, inverse: 1 / m.Temperature, weight: factor / float64(n)}
	if dq != nil {
		ws.du = tensor.Grow(ws.du, n*d)
		x.da = product.Mat{Data: ws.du, Rows: n, Cols: d, Stride: d}
	}
	if dk != nil {
		ws.dk = tensor.Grow(ws.dk, n*d)
		x.db = product.Mat{Data: ws.dk, Rows: n, Cols: d, Stride: d}
	}
	loss, hits, positive := x.run(ws)
	if dq != nil {
		ws.units[0].Backward(dq, ws.du)
	}
	if dk != nil {
		ws.units[1].Backward(dk, ws.dk)
	}
	nf := float64(n)
	return ContrastTerms{factor * loss / nf, float64(hits) / nf, positive / nf}
}

func init() {
	alone("moco-v3", Alone{
		Constants: []Constant{temperature(NewMoCoV3().Temperature), stopGradient},
		Square:    Rows,
		Memory:    func(n, d float64, _ Others) float64 { return min(n*n, float64(heldScores)) + 4*n*d },
		Eval: func(g *Given) error {
			m := MoCoV3{Temperature: g.Set["temperature"]}
			g.contrast(m.Pair(&g.ws, g.Z[0], g.Z[1], g.N, g.D, g.DZ[0], g.target()))
			return nil
		},
	})
}
