package loss

import (
	"vicreg/internal/kernel/product"
	"vicreg/internal/tensor"
)

// SimCLR is the normalised temperature-scaled cross-entropy, NT-Xent, of Chen,
// Kornblith, Norouzi and Hinton, "A simple framework for contrastive learning of visual
// representations" (ICML 2020, arXiv:2002.05709), Eq. 1; google-research/simclr at
// be133b3, objective.py, add_contrastive_loss. With the 2n unit vectors u of both views,
//
//	ℓ = 1/2n Σ_i −log( exp(u_i·u_j/T) / Σ_{k≠i} exp(u_i·u_k/T) ),  j the other view of i
//
// This is the paper's mean, which solo-learn and lightly keep. The released code adds
// both directions and takes the mean over n, which is twice that.
type SimCLR struct {
	Temperature float64
}

// NewSimCLR returns the temperature of the recipes for small images.
func NewSimCLR() SimCLR { return SimCLR{Temperature: 0.2} }

// Check says what is wrong with the constants.
func (s SimCLR) Check() error { return checkTemperature("SimCLR", s.Temperature) }

// ContrastTerms are the parts of a contrastive loss.
type ContrastTerms struct {
	Total    float64
	Accuracy float64 // share of rows that are nearest to their positive
	Positive float64 // mean cosine of a row and its positive
}

// Eval computes the loss of embeddings z1, z2 (n × d each), which it normalises,
// and, unless they are nil, its gradients dz1, dz2 (n × d each).
func (s SimCLR) Eval(ws *Workspace, z1, z2 []float32, n, d int, dz1, dz2 []float32) ContrastTerms {
	checkLen("embeddings", n, d, len(z1), len(z2))
	grads := dz1 != nil || dz2 != nil
	if grads {
		checkLen("gradients", n, d, len(dz1), len(dz2))
	}
	rows := 2 * n
	ws.both = tensor.Grow(ws.both, rows*d)
	ws.units[0].into(ws.both[:n*d:n*d], z1, n, d)
	ws.units[1].into(ws.both[n*d:rows*d:rows*d], z2, n, d)
	u := product.Mat{Data: ws.both, Rows: rows, Cols: d, Stride: d}
	ws.labels = growLabels(ws.labels, rows)
	for i := range ws.labels {
		ws.labels[i] = int32((i + n) % rows)
	}
	var du product.Mat
	if grads {
		ws.du = tensor.Grow(ws.du, rows*d)
		du = product.Mat{Data: ws.du, Rows: rows, Cols: d, Stride: d}
	}
	x := scored{a: u, b: u, da: du, db: du, self: true, labels: ws.labels, inverse: 1 / s.Temperature,
		weight: 1 / float64(rows)}
	loss, hits, positive := x.run(ws)
	if grads {
		ws.units[0].Backward(dz1, ws.du[:n*d])
		ws.units[1].Backward(dz2, ws.du[n*d:])
	}
	return ContrastTerms{loss / float64(rows), float64(hits) / float64(rows), positive / float64(rows)}
}

func init() {
	alone("simclr", Alone{
		Constants: []Constant{temperature(NewSimCLR().Temperature)},
		Square:    Rows,
		Memory:    func(n, d float64, _ Others) float64 { return min(4*n*n, float64(heldScores)) + 4*n*d },
		Eval: func(g *Given) error {
			s := SimCLR{Temperature: g.Set["temperature"]}
			g.contrast(s.Eval(&g.ws, g.Z[0], g.Z[1], g.N, g.D, g.DZ[0], g.DZ[1]))
			return nil
		},
	})
}
