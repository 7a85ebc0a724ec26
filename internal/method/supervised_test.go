package method

import (
	"slices"
	"strings"
	"testing"

	"vicreg/internal/check"
	"vicreg/internal/model"
	"vicreg/internal/recipe"
)

// A classifier whose gradient is put off lends the memory of that to a frozen encoder, and has
// it back in time.
func TestFrozenLends(t *testing.T) {
	was := model.DeferFrom
	defer func() { model.DeferFrom = was }()
	var want []float32
	for _, model.DeferFrom = range []int{1 << 20, 100} {
		c := config(t, "supervised")
		c.Batch, c.Tune = 8, &recipe.Tune{Freeze: []string{recipe.All}}
		m, err := New(c, many)
		if err != nil {
			t.Fatal(err)
		}
		for i := range 2 {
			step(t, m, noise(c, c.Batch, 0, i))
		}
		grad := m.Branches()[0].Expander.Params()[0].Grad.Host()
		if want == nil {
			want = slices.Clone(grad)
		}
		check.Close(t, "gradient", grad, want, 1e-5)
	}
}

// The baseline is no self-supervised method, has a classifier of each branch
// where the expander would be, and does not begin without labels.
func TestSupervised(t *testing.T) {
	for _, name := range Names() {
		if name == recipe.Supervised {
			t.Error("the baseline is among the self-supervised methods")
		}
	}
	c := config(t, recipe.Supervised)
	c.Branches = "separate"
	if err := c.Validate(); err != nil {
		t.Fatal(err)
	}
	m := build(t, c)
	b := views(0, 0)
	before, _ := step(t, m, b)
	if len(m.Branches()) != 2 || len(m.Embeddings()) != 2 {
		t.Fatalf("%d branches, %d embeddings", len(m.Branches()), len(m.Embeddings()))
	}
	for i, branch := range m.Branches() {
		if d := branch.Expander.Dim(); d != data.Classes || m.Embeddings()[i].D != d {
			t.Errorf("branch %d has %d logits, embeddings %v", i, d, m.Embeddings()[i].D)
		}
	}
	for range 20 {
		for _, p := range m.Params() {
			for j, g := range p.Grad.Host() {
				p.Value.Host()[j] -= 0.1 * g
			}
		}
		step(t, m, b)
	}
	after, terms, _ := m.Step(b)
	if after > 0.5*before || terms.Get("accuracy") < 0.9 {
		t.Errorf("after 20 steps on a batch the loss is %v (%v at first), the accuracy %v", after, before, terms.Get("accuracy"))
	}
	for _, labels := range [][]int{nil, make([]int, data.Items)} {
		d := data
		d.Labels = labels
		if _, err := New(c, d); err == nil || !strings.Contains(err.Error(), "method supervised learns from labels of two or more classes, which fashion-mnist has not") {
			t.Errorf("with labels %v: %v", labels, err)
		}
	}
}
