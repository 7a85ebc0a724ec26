package train

import (
	"math"
	"testing"

	"vicreg/internal/runlog"
)

// What the log tells of an epoch is the mean over its steps and the rate of the last;
// a method counts its steps from 1, and the first rate is that of step 0.
func TestFiguresOfAnEpoch(t *testing.T) {
	c := config(t)
	c.Eval.Every = 2
	if _, err := pretrain(c, &breaker{}); err != nil {
		t.Fatal(err)
	}
	m, err := runlog.ReadMetrics(c.Out)
	if err != nil {
		t.Fatal(err)
	}
	if len(m.Steps) != 10 || len(m.Epochs) != 2 {
		t.Fatalf("%d steps and %d epochs", len(m.Steps), len(m.Epochs))
	}
	near := func(what string, epoch int, got, want float64) {
		if math.Abs(got-want) > 1e-9*math.Abs(want) {
			t.Errorf("epoch %d: %s %v, want %v", epoch, what, got, want)
		}
	}
	for i, e := range m.Epochs {
		steps := m.Steps[5*i : 5*i+5]
		loss, terms := 0.0, map[string]float64{}
		for _, s := range steps {
			if s.Epoch != i+1 {
				t.Errorf("step %d is of epoch %d", s.Step, s.Epoch)
			}
			loss += s.Loss / 5
			for _, term := range s.Terms {
				terms[term.Name] += term.Value / 5
			}
		}
		near("loss", i+1, e.Loss, loss)
		near("rate", i+1, e.LR, steps[4].LR)
		if len(terms) != 3 || len(e.Terms) != 3 {
			t.Errorf("epoch %d: terms %v", i+1, e.Terms)
		}
		for _, term := range e.Terms {
			near(term.Name, i+1, term.Value, terms[term.Name])
		}
		if scored := e.KNN != nil; scored != (i == 1) {
			t.Errorf("epoch %d of 2 has a score, with one every 2 epochs: %v", i+1, scored)
		}
	}
	if first := m.Steps[0].LR; first != 0 {
		t.Errorf("the first rate of the warm-up is %v, want 0", first)
	}
}
