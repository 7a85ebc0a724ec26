package loss

import "fmt"

// CrossEntropy is the loss of a classifier. With logits z, and labels y of the n rows
// that have one,
//
//	ℓ = 1/n Σ_i −log softmax(z_i)_{y_i}
type CrossEntropy struct{}

// CrossEntropyTerms are the parts of the loss.
type CrossEntropyTerms struct {
	Total    float64
	Accuracy float64 // share of the labelled rows whose largest logit is the label's
}

// Eval computes the loss of logits n × k. Rows whose label is below 0 do not count;
// where no row has a label the loss is 0. Unless dz (n × k) is nil it gets the gradient.
func (CrossEntropy) Eval(ws *Workspace, z []float32, labels []int, n, k int, dz []float32) CrossEntropyTerms {
	checkLen("logits", n, k, len(z))
	checkGrad(n, k, dz)
	if len(labels) != n {
		panic(fmt.Sprintf("loss: %d labels of %d rows", len(labels), n))
	}
	ws.labels = growLabels(ws.labels, n)
	labelled := 0
	for i, y := range labels {
		if y >= k {
			panic(fmt.Sprintf("loss: label %d of %d classes", y, k))
		}
		if y >= 0 {
			labelled++
		}
		ws.labels[i] = int32(max(y, -1))
	}
	count := float64(max(labelled, 1))
	x := &ws.softmax
	x.scores, x.grads, x.cols, x.labels = z, dz, k, ws.labels
	x.inverse, x.weight = 1, 1/count
	total, hits, _ := x.run(n)
	return CrossEntropyTerms{total / count, float64(hits) / count}
}
