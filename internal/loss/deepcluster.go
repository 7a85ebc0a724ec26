package loss

import "fmt"

// DeepCluster is the loss of DeepCluster v2 (Caron et al., arXiv:2006.09882,
// appendix); facebookresearch/swav at 04b8f43, main_deepclusterv2.py, train: every
// view of an image must find the prototype that k-means gave the image, in each of
// several clusterings (heads). Scores are products of unit embeddings with the
// prototypes of a head, which are the centroids and do not learn. Of H heads and V
// views,
//
//	ℓ = 1/H Σ_h 1/(V·n) Σ_v Σ_i −log softmax(scores_hvi/T)[label_hi]
//
// Images without a label (below 0), which were not in the memory bank, do not
// count (ignore_index of the reference).
type DeepCluster struct {
	Temperature float64
}

// NewDeepCluster returns the published temperature.
func NewDeepCluster() DeepCluster { return DeepCluster{Temperature: 0.1} }

// Check says what is wrong with the constants, or with the numbers of prototypes
// of the heads for so many images.
func (c DeepCluster) Check(prototypes []int, images int) error {
	if err := checkTemperature("DeepCluster", c.Temperature); err != nil {
		return err
	}
	if len(prototypes) == 0 {
		return fmt.Errorf("DeepCluster has no heads; give the number of prototypes of at least one")
	}
	for i, k := range prototypes {
		switch {
		case k < 2:
			return fmt.Errorf("head %d of DeepCluster has %d prototypes, but needs at least 2", i+1, k)
		case k > images:
			return fmt.Errorf("head %d of DeepCluster has %d prototypes for %d images; each prototype starts from an image of its own, so take at most %d, better a tenth of that", i+1, k, images, images)
		}
	}
	return nil
}

// Head is one clustering: its number of prototypes, the scores of every view
// (n × K each), the label of every image (n), and where to put the gradients, or nil.
// Gradients may be the scores themselves.
type Head struct {
	K       int
	Scores  [][]float32
	Labels  []int32
	DScores [][]float32
}

// DeepClusterTerms are the parts of the loss.
type DeepClusterTerms struct {
	Total    float64
	Accuracy float64 // share of views whose highest score is at their label
}

// Eval computes the loss of n images in all heads.
func (c DeepCluster) Eval(ws *Workspace, heads []Head, n int) DeepClusterTerms {
	var t DeepClusterTerms
	for h := range heads {
		head := &heads[h]
		if len(head.Labels) != n || len(head.Scores) == 0 ||
			head.DScores != nil && len(head.DScores) != len(head.Scores) {
			panic(fmt.Sprintf("loss: head %d has %d views, %d gradients and %d labels for %d images", h, len(head.Scores), len(head.DScores), len(head.Labels), n))
		}
		counted := 0
		for _, l := range head.Labels {
			if int(l) >= head.K {
				panic(fmt.Sprintf("loss: head %d has a label %d, but only %d prototypes", h, l, head.K))
			}
			if l >= 0 {
				counted++
			}
		}
		weight := 0.0
		if counted > 0 {
			weight = 1 / float64(len(heads)*len(head.Scores)*counted)
		}
		for v, scores := range head.Scores {
			checkLen("scores", n, head.K, len(scores))
			x := &ws.softmax
			x.scores, x.cols, x.labels = scores, head.K, head.Labels
			x.inverse, x.weight = 1/c.Temperature, weight
			if head.DScores != nil {
				checkLen("gradients", n, head.K, len(head.DScores[v]))
				x.grads = head.DScores[v]
			}
			loss, hits, _ := x.run(n)
			t.Total += weight * loss
			t.Accuracy += weight * float64(hits)
		}
	}
	return t
}

func init() {
	alone("deepcluster", Alone{
		Constants: []Constant{temperature(NewDeepCluster().Temperature)},
		Scores:    true,
		Eval:      (*Given).deepcluster,
	})
}

func (g *Given) deepcluster() error {
	shape, ok := g.Others.Shape("assignment")
	if !ok {
		return fmt.Errorf("it has no tensor assignment; deepcluster reads z1 and z2, scores n × K, and assignment, the prototype of each image, n")
	}
	if len(shape) != 1 || shape[0] != g.N {
		return fmt.Errorf("assignment has shape %v, but must hold one label for each of the %d rows of z1", shape, g.N)
	}
	wide, err := g.Others.Int64("assignment")
	if err != nil {
		return err
	}
	labels := make([]int32, g.N)
	for i, l := range wide {
		if l >= int64(g.D) {
			return fmt.Errorf("assignment holds %d in place %d (from 0), but there are %d prototypes, 0 to %d", l, i, g.D, g.D-1)
		}
		labels[i] = int32(max(l, -1)) // below 0: none
	}
	head := Head{K: g.D, Scores: g.Z[:], Labels: labels, DScores: g.gradients()}
	t := DeepCluster{Temperature: g.Set["temperature"]}.Eval(&g.ws, []Head{head}, g.N)
	g.Terms = []Term{{"accuracy", t.Accuracy}, {"total", t.Total}}
	return nil
}
