package method

import (
	"errors"
	"math"
	"slices"
	"strings"
	"testing"

	"vicreg/internal/batch"
	"vicreg/internal/loss"
	"vicreg/internal/nn"
	"vicreg/internal/parallel"
	"vicreg/internal/recipe"
	"vicreg/internal/rng"
	"vicreg/internal/tensor"
)

const rows = 16 // images in a batch

// config returns a small run of a method, machinery and all.
func config(t testing.TB, name string) recipe.Config {
	t.Helper()
	c, err := recipe.LoadFor("fashion-mnist", name)
	if err != nil {
		t.Fatal(err)
	}
	c.Channels, c.Size, c.Batch = 1, 16, rows
	c.Encoder.Arch, c.Encoder.Width, c.Expander = "resnet10", 4, "16-8"
	if c.Heads.Predictor != recipe.None {
		c.Heads.Predictor = "12"
	}
	c.Queue.Size, c.Queue.Start = min(c.Queue.Size, 2*rows), min(c.Queue.Start, 1)
	for i := range c.Prototypes.Counts {
		c.Prototypes.Counts[i] = 6 + i
	}
	c.Whitening.Size = min(c.Whitening.Size, rows)
	Complete(&c, data)
	if err := errors.Join(c.Validate(), Check(c, data)); err != nil {
		t.Fatal(err)
	}
	return c
}

var data = Data{Items: 4 * rows, Steps: 4, Labels: labels(), Classes: 8}

// labels of all items, some of which have none.
func labels() []int {
	l := make([]int, 4*rows)
	for i := range l {
		l[i] = (i*5+3)%9 - 1
	}
	return l
}

// every names the methods, those that learn from labels too.
func every() []string { return append(Names(), recipe.Supervised) }

func build(t testing.TB, c recipe.Config) Method {
	t.Helper()
	m, err := New(c, data)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// views returns a batch of random images, the step-th of its epoch.
func views(epoch, step int) *batch.Batch {
	r := rng.New(1, rng.Bench, uint64(step))
	v := []*tensor.Tensor{tensor.New(rows, 16, 16, 1), tensor.New(rows, 16, 16, 1)}
	for _, x := range v {
		for i := range x.Data {
			x.Data[i] = float32(r.NormFloat64())
		}
	}
	b := &batch.Batch{Epoch: epoch, Step: step, Views: v, Items: make([]int, rows)}
	for i := range b.Items {
		b.Items[i] = step*rows + i
	}
	return b
}

func step(t testing.TB, m Method, b *batch.Batch) (float64, []string) {
	t.Helper()
	loss, terms, err := m.Step(b)
	if err != nil || math.IsNaN(loss) || len(terms) == 0 {
		t.Fatalf("loss %v, terms %v, %v", loss, terms, err)
	}
	var names []string
	for _, x := range terms {
		names = append(names, x.Name)
	}
	return loss, names
}

// epoch takes a method through an epoch, whose steps change the parameters as
// gradient descent does.
func epoch(t testing.TB, m Method, number int) {
	t.Helper()
	m.StartEpoch(number)
	for i := range data.Steps {
		step(t, m, views(number, i))
		for _, p := range m.Params() {
			for j, g := range p.Grad.Host() {
				p.Value.Host()[j] -= 1e-3 * g
			}
		}
		m.AfterStep(number*data.Steps+i+1, 100)
	}
}

// all are the arrays of a method.
func all(m Method) []*nn.Param { return slices.Concat(m.Params(), m.Buffers(), m.State()) }

func TestEveryMethod(t *testing.T) {
	if !slices.Equal(Names(), slices.Sorted(slices.Values(recipe.Methods()))) {
		t.Errorf("methods %q, but recipes for %q", Names(), recipe.Methods())
	}
	for _, name := range every() {
		t.Run(name, func(t *testing.T) {
			m := build(t, config(t, name))
			seen := map[string]bool{}
			for _, p := range all(m) {
				if seen[p.Name] {
					t.Errorf("two arrays are called %s", p.Name)
				}
				seen[p.Name] = true
			}
			epoch(t, m, 0)
			epoch(t, m, 1)
			m.StartEpoch(2)
			b := views(2, 0)
			before, _ := step(t, m, b)
			z := m.Embeddings()
			if len(z) != 1 || z[0].N != rows || z[0].D != 8 || z[0].Values.Len() != rows*8 {
				t.Errorf("embeddings are %d × %d", z[0].N, z[0].D)
			}
			grads := map[string][]float32{}
			for _, p := range m.Params() {
				grads[p.Name] = slices.Clone(p.Grad.Host())
			}
			again, _ := step(t, m, b)
			if again != before {
				t.Errorf("the same batch gives %v, then %v", before, again)
			}
			norm := 0.0
			for _, p := range m.Params() {
				if !slices.Equal(p.Grad.Host(), grads[p.Name]) {
					t.Errorf("%s: the gradient of the same batch differs the second time", p.Name)
				}
				for _, g := range p.Grad.Host() {
					norm += float64(g) * float64(g)
				}
			}
			descends(t, m, b, norm)
		})
	}
	if _, err := New(recipe.Config{Method: "nosuch"}, Data{}); err == nil || !strings.Contains(err.Error(), "known: barlow-twins, byol") {
		t.Errorf("an unknown method: %v", err)
	}
}

// descends checks that a small step along the gradient changes the loss as its
// norm says, by differences in both directions.
func descends(t *testing.T, m Method, b *batch.Batch, norm float64) {
	t.Helper()
	var grads [][]float32
	for _, p := range m.Params() {
		grads = append(grads, slices.Clone(p.Grad.Host()))
	}
	value := valueOf(t, m, b)
	move := func(by float64) {
		for i, p := range m.Params() {
			for j, g := range grads[i] {
				p.Value.Host()[j] += float32(by * float64(g) / norm)
			}
		}
	}
	const eps = 1e-3
	move(-eps)
	low := value()
	move(2 * eps)
	high := value()
	move(-eps)
	if slope := (high - low) / (2 * eps); math.Abs(slope-1) > 0.02 {
		t.Errorf("along the gradient the loss rises by %v times what it should (%v to %v)", slope, low, high)
	}
}

// valueOf returns a function that computes the loss. What carries no gradient in
// it, keys of the encoder itself and assignments, stays as it is now.
func valueOf(t *testing.T, m Method, b *batch.Batch) func() float64 {
	switch m := m.(type) {
	case *simsiam:
		if !m.stop {
			break
		}
		var k [2][]float32
		m.forward(b)
		for i := range k {
			k[i] = slices.Clone(m.k[i])
		}
		m.abandon()
		return func() float64 {
			m.forward(b)
			defer m.abandon()
			return m.loss.Eval(&m.ws, m.q[0], m.q[1], k[0], k[1], m.n, m.d, nil, nil, nil, nil).Total
		}
	case *swav:
		scores := func() (older [2][]float32) {
			w := m.prototypes
			m.forward(b)
			w.score(m.z, w.read(), m.n)
			for i, q := range m.queues {
				if !q.full() || b.Epoch < m.start {
					t.Fatal("the queue is not in use")
				}
				older[i] = make([]float32, q.size*w.k)
				loss.Score(older[i], q.rows.Value.Host(), w.weight.Value.Host(), q.size, m.d, w.k)
			}
			return older
		}
		var q [2][]float32
		older := scores()
		for i := range q {
			q[i] = make([]float32, m.n*m.prototypes.k)
			m.loss.Assign(&m.ws, q[i], m.prototypes.scores[i], older[i], m.n, m.prototypes.k)
		}
		m.abandon()
		return func() float64 {
			scores()
			defer m.abandon()
			return m.loss.EvalAssigned(&m.ws, m.prototypes.scores, q, m.n, m.prototypes.k, nil).Total
		}
	}
	return func() float64 { v, _ := step(t, m, b); return v }
}

// Everything a method computes is the same bits for any number of workers.
func TestWorkers(t *testing.T) {
	defer parallel.SetWorkers(0)
	for i, name := range every() {
		c := config(t, name)
		if i%3 == 0 {
			c.Precision = "bf16"
		}
		var want []*nn.Param
		for workers := 1; workers <= 3; workers++ {
			parallel.SetWorkers(workers)
			m := build(t, c)
			epoch(t, m, 0)
			epoch(t, m, 1)
			for i, p := range all(m) {
				if workers > 1 && !slices.Equal(p.Value.Host(), want[i].Value.Host()) {
					t.Errorf("%s: %s differs with %d workers", name, p.Name, workers)
				}
			}
			want = all(m)
		}
	}
}

// What is in the arrays is all that a method goes on from.
func TestStateIsWhole(t *testing.T) {
	for _, name := range every() {
		m, resumed := build(t, config(t, name)), build(t, config(t, name))
		epoch(t, m, 0)
		m.StartEpoch(1)
		step(t, m, views(1, 0))
		m.AfterStep(data.Steps+1, 100)
		for i, p := range all(resumed) {
			copy(p.Value.Host(), all(m)[i].Value.Host())
		}
		a, _ := step(t, m, views(1, 1))
		b, _ := step(t, resumed, views(1, 1))
		if a != b {
			t.Errorf("%s: the loss is %v, but %v in a method of the same arrays", name, a, b)
		}
		m.AfterStep(data.Steps+2, 100)
		resumed.AfterStep(data.Steps+2, 100)
		for i, p := range all(resumed) {
			if !slices.Equal(p.Value.Host(), all(m)[i].Value.Host()) {
				t.Errorf("%s: %s differs", name, p.Name)
			}
		}
	}
}

// The terms must add up to the loss by the coefficients of the configuration.
func TestVICRegTerms(t *testing.T) {
	c := config(t, "vicreg")
	c.Loss.Lambda, c.Loss.Mu, c.Loss.Nu = 3, 5, 7
	v := views(0, 0)
	for _, predictor := range []string{recipe.None, "12"} {
		for _, stop := range []bool{false, true} {
			c.Heads.Predictor, c.Heads.StopGradient = predictor, stop
			m := build(t, c)
			loss, terms, _ := m.Step(v)
			sum := 3*terms.Get("invariance") + 5*terms.Get("variance") + 7*terms.Get("covariance")
			if math.Abs(loss-sum) > 1e-9*loss {
				t.Errorf("loss %v, terms add up to %v", loss, sum)
			}
			if !stop {
				norm := 0.0
				for _, p := range m.Params() {
					for _, g := range p.Grad.Host() {
						norm += float64(g) * float64(g)
					}
				}
				descends(t, m, v, norm)
			}
		}
	}
}

// The embeddings shown are those of the first view, by its own batch statistics.
func TestEmbeddingsAreOfTheFirstView(t *testing.T) {
	embeddings := func(views ...*tensor.Tensor) []float32 {
		m := build(t, config(t, "vicreg"))
		m.Step(&batch.Batch{Views: views})
		return slices.Clone(m.Embeddings()[0].Values.Host())
	}
	v := views(0, 0)
	want := embeddings(v.Views[0], v.Views[1])
	if !slices.Equal(embeddings(v.Views[0], v.Views[0]), want) {
		t.Error("another second view changes them")
	}
	if slices.Equal(embeddings(v.Views[1], v.Views[0]), want) {
		t.Error("another first view does not change them")
	}
}
