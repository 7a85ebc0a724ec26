package loss

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"vicreg/internal/check"
	"vicreg/internal/rng"
)

// logSoftmax returns log softmax(s/T)[at] in float64.
func logSoftmax(s []float64, temperature float64, at int) float64 {
	top, sum := slices.Max(s), 0.0
	for _, v := range s {
		sum += math.Exp((v - top) / temperature)
	}
	return (s[at]-top)/temperature - math.Log(sum)
}

// cosines returns the cosines of all rows of a with all rows of b.
func cosines(a, b []float32, d int) [][]float64 {
	out := make([][]float64, len(a)/d)
	for i := range out {
		for j := range len(b) / d {
			var aa, bb, ab float64
			for c := range d {
				x, y := float64(a[i*d+c]), float64(b[j*d+c])
				aa, bb, ab = aa+x*x, bb+y*y, ab+x*y
			}
			out[i] = append(out[i], ab/math.Sqrt(aa*bb))
		}
	}
	return out
}

func TestMoCoAgainstFormula(t *testing.T) {
	const n, d, temperature = 9, 14, 0.25
	q1, q2, k1, k2 := check.Random(1, n*d), check.Random(2, n*d), check.Random(3, n*d), check.Random(4, n*d)
	v3 := func(q, k []float32) (sum float64) {
		for i, row := range cosines(q, k, d) {
			sum -= 2 * temperature * logSoftmax(row, temperature, i) / n
		}
		return sum
	}
	got := MoCoV3{temperature}.Eval(new(Workspace), q1, q2, k1, k2, n, d, nil, nil, nil, nil)
	check.Scalar(t, "MoCo v3", got.Total, v3(q1, k2)+v3(q2, k1), 1e-6)

	// Queues of less and of more than a block, and one that holds a key itself.
	for _, size := range []int{1, 100, queueBlock, 2*queueBlock + 7} {
		queue := [2][]float32{slices.Clone(new(Units).Forward(check.Random(5, size*d), size, d)),
			slices.Clone(new(Units).Forward(check.Random(6, size*d), size, d))}
		copy(queue[0], new(Units).Forward(q2[:d], 1, d))
		v2 := func(q, k, queue []float32) (sum float64) {
			own, old := cosines(q, k, d), cosines(q, queue, d)
			for i := range n {
				sum -= logSoftmax(append([]float64{own[i][i]}, old[i]...), temperature, 0) / n
			}
			return sum
		}
		got := MoCo{temperature}.Eval(new(Workspace), q1, q2, k1, k2, queue[0], queue[1], n, d, nil, nil, nil, nil)
		want := (v2(q1, k2, queue[1]) + v2(q2, k1, queue[0])) / 2
		check.Scalar(t, fmt.Sprintf("MoCo with %d keys", size), got.Total, want, 1e-6)
	}
	// Where all is alike, nobody finds the positive.
	one := make([]float32, n*d)
	for i := range one {
		one[i] = 1
	}
	if got := NewMoCo().Pair(new(Workspace), one, one, new(Units).Forward(one, n, d), n, d, nil,
		nil); got.Accuracy != 0 || !(got.Positive > 0.999) {
		t.Errorf("MoCo of collapsed embeddings: %+v", got)
	}
	// A tiny temperature: scores lie hundreds apart after it.
	row := cosines(q1, k2, d)
	sum := 0.0
	for i := range row {
		sum -= 2 * 0.001 * logSoftmax(row[i], 0.001, i) / n
	}
	check.Scalar(t, "temperature 0.001", MoCoV3{0.001}.Pair(new(Workspace), q1, k2, n, d, nil, nil).Total, sum, 1e-5)
}

// sinkhornReference is distributed_sinkhorn of one process, m × k, in float64.
func sinkhornReference(scores []float32, k int, eps float64, iterations int) []float64 {
	m := len(scores) / k
	q := make([]float64, len(scores))
	sum := 0.0
	for i, v := range scores {
		q[i] = math.Exp(float64(v) / eps)
		sum += q[i]
	}
	for i := range q {
		q[i] /= sum
	}
	for range iterations {
		for j := range k {
			u := 0.0
			for i := range m {
				u += q[i*k+j]
			}
			for i := range m {
				q[i*k+j] /= u * float64(k)
			}
		}
		for i := range m {
			u := 0.0
			for _, v := range q[i*k:][:k] {
				u += v
			}
			for j := range k {
				q[i*k+j] /= u * float64(m)
			}
		}
	}
	for i := range q {
		q[i] *= float64(m)
	}
	return q
}

func TestSinkhorn(t *testing.T) {
	for _, s := range []struct{ n, older, k, iterations int }{{2, 0, 2, 1}, {24, 0, 40, 3}, {17, 51, 130, 5},
		{40, 80, 3, 3}} {
		scores, older := check.Random(1, s.n*s.k), check.Random(2, s.older*s.k)
		for i := range scores {
			scores[i] = float32(math.Tanh(float64(scores[i])))
		}
		swav := SwAV{Temperature: 0.1, Epsilon: 0.1, Iterations: s.iterations}
		q := make([]float32, s.n*s.k)
		swav.Assign(new(Workspace), q, scores, older, s.n, s.k)
		want := sinkhornReference(append(slices.Clone(older), scores...), s.k, swav.Epsilon, s.iterations)[s.older*s.k:]
		check.Close64(t, fmt.Sprintf("%+v", s), widen(q), want, 1e-5)
	}
	// Scores so far apart that exp(s/ε) is neither finite nor above 0.
	const n, k = 30, 6
	scores := check.Random(3, n*k)
	for i := range scores {
		scores[i] *= 1000
	}
	q := make([]float32, n*k)
	NewSwAV().Assign(new(Workspace), q, scores, nil, n, k)
	for i := range n {
		sum := 0.0
		for _, v := range q[i*k:][:k] {
			sum += float64(v)
		}
		if !(math.Abs(sum-1) < 1e-5) {
			t.Errorf("row %d adds up to %v", i, sum)
		}
	}
}

// Several crops and a queue, against the formula.
func TestSwAVAgainstFormula(t *testing.T) {
	const n, k, views, temperature = 10, 12, 5, 0.2
	s := SwAV{Temperature: temperature, Epsilon: 0.2, Iterations: 3}
	var scores [][]float32
	for v := range uint64(views) {
		scores = append(scores, check.Random(v, n*k))
	}
	older := [2][]float32{check.Random(11, 20*k), nil}
	got := s.Eval(new(Workspace), scores, older, n, k, nil)
	want := 0.0
	for a := range 2 {
		q := sinkhornReference(append(slices.Clone(older[a]), scores[a]...), k, s.Epsilon, 3)[len(older[a]):]
		for v := range views {
			if v == a {
				continue
			}
			wide := widen(scores[v])
			for i := range n {
				for j := range k {
					want -= q[i*k+j] * logSoftmax(wide[i*k:][:k], temperature, j) / n / (views - 1) / 2
				}
			}
		}
	}
	check.Scalar(t, "SwAV", got.Total, want, 1e-5)
}

func TestDeepClusterAgainstFormula(t *testing.T) {
	const n, temperature = 11, 0.3
	c := DeepCluster{temperature}
	var heads []Head
	want := 0.0
	for h, k := range []int{5, 8, 20} {
		head := Head{K: k, Labels: make([]int32, n)}
		for i := range head.Labels {
			head.Labels[i] = int32((i*7 + h) % k)
		}
		head.Labels[h], head.Labels[n-1] = -1, -100
		for v := range 4 {
			s := check.Random(uint64(10*h+v), n*k)
			head.Scores = append(head.Scores, s)
			for i, l := range head.Labels {
				if l >= 0 {
					want -= logSoftmax(widen(s)[i*k:][:k], temperature, int(l)) / 3 / 4 / (n - 2)
				}
			}
		}
		heads = append(heads, head)
	}
	check.Scalar(t, "DeepCluster", c.Eval(new(Workspace), heads, n).Total, want, 1e-6)
	for i := range heads {
		for j := range heads[i].Labels {
			heads[i].Labels[j] = -1
		}
		heads[i].DScores = heads[i].Scores
	}
	if got := c.Eval(new(Workspace), heads, n).Total; got != 0 || heads[0].Scores[0][3] != 0 {
		t.Errorf("without labels the loss is %v and a gradient %v", got, heads[0].Scores[0][3])
	}
}

// Many shapes, and dimensions for which the n × n route would cancel.
func TestBarlowRoutesAgree(t *testing.T) {
	var ws Workspace
	b := BarlowTwins{Lambda: 0.2, Scale: 1, Eps: 1e-5}
	for _, s := range [][2]int{{2, 7}, {5, 4100}, {17, 65}, {64, 64}, {70, 130}, {300, 40}, {260, 300}} {
		n, d := s[0], s[1]
		for name, spread := range map[string]func(int) float64{"even": even,
			"some constant": func(j int) float64 { return float64(j % 2) }} {
			z1, z2 := embeddings(n, d, spread)
			if n == 64 {
				z2 = z1 // C is nearly the identity plus noise
			}
			var terms [2]BarlowTerms
			var dz [2][2][]float32
			for i, by := range routes {
				dz[i] = [2][]float32{make([]float32, n*d), make([]float32, n*d)}
				terms[i] = b.eval(&ws, z1, z2, n, d, dz[i][0], dz[i][1], by)
			}
			what := fmt.Sprintf("%d × %d, %s: ", n, d, name)
			check.Scalar(t, what+"loss", terms[0].Total, terms[1].Total, 1e-5)
			check.Scalar(t, what+"redundancy", terms[0].Redundancy, terms[1].Redundancy, 1e-5)
			for x := range 2 {
				if n > 2 {
					check.Close(t, what+"dz", dz[0][x], dz[1][x], 2e-5)
				}
			}
		}
	}
	// Orthogonal dimensions: nothing is left off the diagonal.
	const n, d = 8, 8
	z := make([]float32, n*d)
	for i := range n {
		for j := 1; j < d; j++ { // Walsh functions; column 0 is constant
			z[i*d+j] = float32(1 - 2*(popcount(i&j)%2))
		}
	}
	t1 := b.eval(&ws, z, z, n, d, nil, nil, overRows)
	if !(t1.Redundancy < 1e-6) || math.Abs(t1.Invariance-1) > 1e-3 {
		t.Errorf("of orthogonal dimensions: %+v", t1)
	}
}

func popcount(x int) (n int) {
	for ; x > 0; x >>= 1 {
		n += x & 1
	}
	return n
}

func TestSingular(t *testing.T) {
	const n, d = 32, 4
	z := [][]float32{check.Random(1, n*d), check.Random(2, n*d)}
	for i := range n {
		z[1][i*d+2] = z[1][i*d] + z[1][i*d+1]
	}
	dz := [][]float32{make([]float32, n*d), make([]float32, n*d)}
	dz[0][3] = 1
	w := WMSE{Iterations: 1}
	var ws Workspace
	got, err := w.Eval(&ws, nil, z, n, d, dz)
	if !errors.Is(err, ErrSingular) || !strings.Contains(err.Error(), "view 2") || !strings.Contains(err.Error(), "an eps of 0.01") {
		t.Errorf("of dependent dimensions: %v", err)
	}
	if !math.IsNaN(got.Total) || dz[0][3] != 0 {
		t.Errorf("of dependent dimensions: loss %v, gradient %v", got.Total, dz[0][3])
	}
	w.Eps = 0.01
	if got, err := w.Eval(&ws, nil, z, n, d, dz); err != nil || math.IsNaN(got.Total) {
		t.Errorf("with eps: %v, %v", got, err)
	}
	z[0][0] = float32(math.NaN())
	if _, err := w.Eval(&ws, nil, z, n, d, dz); err == nil {
		t.Error("a NaN was whitened")
	}
}

// Whitened embeddings have the identity for covariance, and do not change when the
// embeddings are mapped by a lower triangular matrix.
func TestWhitening(t *testing.T) {
	const n, d = 40, 7
	z := [][]float32{check.Random(1, n*d), check.Random(2, n*d)}
	var ws Workspace
	got, err := WMSE{Size: n / 2, Iterations: 1}.Eval(&ws, rng.New(2), z, n, d, nil)
	if err != nil {
		t.Fatal(err)
	}
	for b := range 2 {
		y := ws.whiten.y[b*n/2*d:][:n/2*d]
		for i := range d {
			for j := range d {
				sum := 0.0
				for r := range n / 2 {
					sum += y[r*d+i] * y[r*d+j] / (n/2 - 1)
				}
				want := 0.0
				if i == j {
					want = 1
				}
				if math.Abs(sum-want) > 1e-10 {
					t.Errorf("sub-batch %d: covariance (%d, %d) is %v", b, i, j, sum)
				}
			}
		}
	}
	for i := range n {
		for j := d - 1; j > 0; j-- {
			z[0][i*d+j] = 2*z[0][i*d+j] - z[0][i*d+j-1] + 3
		}
	}
	again, err := WMSE{Size: n / 2, Iterations: 1}.Eval(&ws, rng.New(2), z, n, d, nil)
	if err != nil {
		t.Fatal(err)
	}
	check.Scalar(t, "after a triangular map", again.Total, got.Total, 1e-5)
	// Iterations draw their sub-batches one after the other.
	one, _ := WMSE{Size: n / 2, Iterations: 1}.Eval(&ws, rng.New(3), z, n, d, nil)
	r := rng.New(3)
	two, _ := WMSE{Size: n / 2, Iterations: 2}.Eval(&ws, r, z, n, d, nil)
	if one == two {
		t.Error("a second iteration changes nothing")
	}
}

func TestChecks(t *testing.T) {
	for what, err := range map[string]error{
		"MoCo's queue of 100 keys must be a multiple of the batch of 64; take another queue, such as 64,": NewMoCo().Check(100, 64),
		"W-MSE's sub-batch of 128 is under twice the embedding width of 65":                               NewWMSE().Check(256, 65),
		"sub-batches of 128 must divide the batch of 200":                                                 NewWMSE().Check(200, 64),
		"sub-batches of 128 must divide the batch of 64":                                                  NewWMSE().Check(64, 8),
		"eps is 1, but":                 WMSE{128, 1, 1}.Check(128, 64),
		"iterations are 0":              WMSE{128, 0, 0}.Check(128, 64),
		"3000 prototypes for 1000 imag": NewDeepCluster().Check([]int{500, 3000}, 1000),
		"no heads":                      NewDeepCluster().Check(nil, 1000),
		"temperature is 0":              SimCLR{}.Check(),
		"v3's temperature is -1":        MoCoV3{-1}.Check(),
		"queue of 100 embeddings must be a multiple of the batch of 64": NewSwAV().Check(10, 100, 64),
		"has 1 prototypes":          NewSwAV().Check(1, 0, 64),
		"Sinkhorn iterations are 0": SwAV{0.1, 0.05, 0}.Check(10, 0, 64),
		"epsilon is 0":              SwAV{0.1, 0, 3}.Check(10, 0, 64),
		"lambda is -1":              BarlowTwins{-1, 1, 1e-5}.Check(),
		"scale is 0":                BarlowTwins{1, 0, 1e-5}.Check(),
		"twins' eps is 0":           BarlowTwins{1, 1, 0}.Check(),
	} {
		if err == nil || !strings.Contains(err.Error(), what) {
			t.Errorf("want %q, got %v", what, err)
		}
	}
	for i, err := range []error{
		NewMoCo().Check(65536, 256), NewWMSE().Check(256, 64), WMSE{0, 1, 0}.Check(200, 100),
		NewDeepCluster().Check([]int{300, 300}, 1000),
		NewSimCLR().Check(), NewMoCoV3().Check(), NewSwAV().Check(3000, 3840, 256), NewSwAV().Check(3000, 0, 256),
		NewBarlowTwins().Check(),
	} {
		if err != nil {
			t.Errorf("%d: %v", i, err)
		}
	}
}

// One workspace serves all losses in any order and in changing shapes.
func TestOneWorkspaceForAll(t *testing.T) {
	var ws Workspace
	for round := range 2 {
		for _, s := range [][3]int{{6, 4, 5}, {40, 9, 12}, {12, 30, 3}} {
			for _, c := range rivalCases(s[0], s[1], s[2]) {
				want := c.eval(new(Workspace))
				var grads [][]float32
				for _, g := range c.dx {
					grads = append(grads, slices.Clone(g))
				}
				if got := c.eval(&ws); got != want {
					t.Errorf("round %d, %v: %s is %v after other losses, %v before", round, s, c.name, got, want)
				}
				for i, g := range c.dx {
					if !slices.Equal(g, grads[i]) {
						t.Errorf("round %d, %v: %s has another gradient %d after other losses", round, s, c.name, i)
					}
				}
			}
		}
	}
}

// Scores may give way to their gradients, and are left alone where none are wanted.
func TestGradientsInPlace(t *testing.T) {
	const n, k = 9, 21
	scores := func() [][]float32 {
		return [][]float32{check.Random(1, n*k), check.Random(2, n*k), check.Random(3, n*k)}
	}
	labels := make([]int32, n)
	var ws Workspace
	for name, eval := range map[string]func(s, ds [][]float32) float64{
		"SwAV": func(s, ds [][]float32) float64 { return NewSwAV().Eval(&ws, s, [2][]float32{}, n, k, ds).Total },
		"DeepCluster": func(s, ds [][]float32) float64 {
			return NewDeepCluster().Eval(&ws, []Head{{k, s, labels, ds}}, n).Total
		},
	} {
		s, apart := scores(), [][]float32{make([]float32, n*k), make([]float32, n*k), make([]float32, n*k)}
		want := eval(s, apart)
		alone := eval(s, nil)
		for v, x := range scores() {
			if !slices.Equal(s[v], x) {
				t.Errorf("%s changed the scores of view %d", name, v)
			}
		}
		got := eval(s, s)
		if got != want || alone != want {
			t.Errorf("%s: %v in place, %v without gradients, %v apart", name, got, alone, want)
		}
		for v := range s {
			if !slices.Equal(s[v], apart[v]) {
				t.Errorf("%s: another gradient of view %d in place", name, v)
			}
		}
	}
}
