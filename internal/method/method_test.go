package method

import (
	"math"
	"slices"
	"testing"

	"vicreg/internal/batch"
	"vicreg/internal/recipe"
	"vicreg/internal/rng"
	"vicreg/internal/tensor"
)

func config(t *testing.T, name string) recipe.Config {
	t.Helper()
	c, err := recipe.Load("fashion-mnist")
	if err != nil {
		t.Fatal(err)
	}
	c.Method, c.Channels, c.Size = name, 1, 16
	c.Encoder.Arch, c.Encoder.Width, c.Expander = "resnet10", 4, "16-24"
	if err := c.Validate(); err != nil {
		t.Fatal(err)
	}
	return c
}

func views(n int) *batch.Batch {
	r := rng.New(1, rng.Bench)
	v := []*tensor.Tensor{tensor.New(n, 16, 16, 1), tensor.New(n, 16, 16, 1)}
	for _, x := range v {
		for i := range x.Data {
			x.Data[i] = float32(r.NormFloat64())
		}
	}
	b := &batch.Batch{Views: v, Items: make([]int, n)}
	for i := range b.Items {
		b.Items[i] = i
	}
	return b
}

func TestEveryMethod(t *testing.T) {
	const n = 8
	for _, name := range Names() {
		t.Run(name, func(t *testing.T) {
			c := config(t, name)
			m, err := New(c, Data{Items: 64, Steps: 4})
			if err != nil {
				t.Fatal(err)
			}
			seen := map[string]bool{}
			for _, p := range slices.Concat(m.Params(), m.Buffers(), m.State()) {
				if seen[p.Name] {
					t.Errorf("two arrays are called %s", p.Name)
				}
				seen[p.Name] = true
			}
			v := views(n)
			loss, terms := m.Step(v)
			if math.IsNaN(loss) || len(terms) == 0 {
				t.Fatalf("loss %v, terms %v", loss, terms)
			}
			z := m.Embeddings()[0]
			if z.Shape[0] != n || z.Shape[1] != m.Branches()[0].Expander.Dim() {
				t.Errorf("embeddings are %v", z.Shape)
			}
			grads := map[string][]float32{}
			for _, p := range m.Params() {
				grads[p.Name] = slices.Clone(p.Grad)
			}
			again, _ := m.Step(v)
			if again != loss {
				t.Errorf("the same batch gives %v, then %v", loss, again)
			}
			for _, p := range m.Params() {
				if !slices.Equal(p.Grad, grads[p.Name]) {
					t.Errorf("%s: the gradient of the same batch differs the second time", p.Name)
				}
			}
		})
	}
	if _, err := New(recipe.Config{Method: "nosuch"}, Data{}); err == nil {
		t.Error("an unknown method was built")
	}
}

// The terms must add up to the loss by the coefficients of the configuration,
// and a step against the gradient must lower it.
func TestVICRegStep(t *testing.T) {
	c := config(t, "vicreg")
	c.Loss.Lambda, c.Loss.Mu, c.Loss.Nu = 3, 5, 7
	m, err := New(c, Data{Items: 64, Steps: 4})
	if err != nil {
		t.Fatal(err)
	}
	v := views(16)
	before, terms := m.Step(v)
	sum := 3*terms.Get("invariance") + 5*terms.Get("variance") + 7*terms.Get("covariance")
	if math.Abs(before-sum) > 1e-9*before {
		t.Errorf("loss %v, terms add up to %v", before, sum)
	}
	norm := 0.0
	for _, p := range m.Params() {
		for _, g := range p.Grad {
			norm += float64(g) * float64(g)
		}
	}
	const step = 1e-3
	for _, p := range m.Params() {
		for i, g := range p.Grad {
			p.Value[i] -= float32(step * float64(g) / norm)
		}
	}
	after, _ := m.Step(v)
	if drop := (before - after) / step; drop < 0.9 || drop > 1.1 {
		t.Errorf("a step of %v along the gradient lowers the loss by %v", step, before-after)
	}
}

// The embeddings shown are those of the first view, by its own batch statistics.
func TestEmbeddingsAreOfTheFirstView(t *testing.T) {
	c := config(t, "vicreg")
	embeddings := func(views ...*tensor.Tensor) []float32 {
		m, err := New(c, Data{Items: 64, Steps: 4})
		if err != nil {
			t.Fatal(err)
		}
		m.Step(&batch.Batch{Views: views})
		return slices.Clone(m.Embeddings()[0].Data)
	}
	v := views(8)
	want := embeddings(v.Views[0], v.Views[1])
	if !slices.Equal(embeddings(v.Views[0], v.Views[0]), want) {
		t.Error("another second view changes them")
	}
	if slices.Equal(embeddings(v.Views[1], v.Views[0]), want) {
		t.Error("another first view does not change them")
	}
}
