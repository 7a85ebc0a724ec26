package loss

import (
	"vicreg/internal/kernel/product"
)

// Score sets scores (n × k) to the products of unit embeddings u (n × d) with
// prototypes w (k × d), a row each: a linear layer without bias. SwAV and
// DeepCluster take such scores.
func Score(scores, u, w []float32, n, d, k int) {
	checkLen("scores", n, k, len(scores))
	checkLen("embeddings", n, d, len(u))
	checkLen("prototypes", k, d, len(w))
	product.Gemm(product.Mat{Data: scores, Rows: n, Cols: k}, product.Mat{Data: u, Rows: n, Cols: d},
		product.Mat{Data: w, Rows: k, Cols: d}.T(), false)
}

// ScoreGrad sets du (n × d), the gradient of the unit embeddings, and adds to dw
// (k × d), that of the prototypes, given that of the scores. Prototypes that do
// not learn have a dw of nil.
func ScoreGrad(du, dw, dscores, u, w []float32, n, d, k int) {
	checkLen("scores", n, k, len(dscores))
	checkLen("embeddings", n, d, len(u), len(du))
	checkLen("prototypes", k, d, len(w))
	checkGrad(k, d, dw)
	ds := product.Mat{Data: dscores, Rows: n, Cols: k}
	product.Gemm(product.Mat{Data: du, Rows: n, Cols: d}, ds, product.Mat{Data: w, Rows: k, Cols: d}, false)
	if dw != nil {
		product.Gemm(product.Mat{Data: dw, Rows: k, Cols: d}, ds.T(), product.Mat{Data: u, Rows: n, Cols: d}, true)
	}
}
