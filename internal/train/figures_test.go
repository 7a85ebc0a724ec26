package train

import (
	"bytes"
	"errors"
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

// The first number of a step that is none is named, the gradient's norm too.
func TestWhatIsNotFinite(t *testing.T) {
	r := &run{folder: t.TempDir(), savedStep: -1}
	terms := runlog.Terms{{Name: "variance", Value: 1}}
	if err := r.checkFinite(1, terms, 1); err != nil {
		t.Error(err)
	}
	for _, v := range []float64{math.NaN(), math.Inf(1), math.Inf(-1)} {
		for what, err := range map[string]error{
			"the variance term":        r.checkFinite(v, runlog.Terms{{Name: "variance", Value: v}}, v),
			"the loss":                 r.checkFinite(v, terms, v),
			"the norm of the gradient": r.checkFinite(1, terms, v),
		} {
			if bad := new(NotFinite); !errors.As(err, &bad) || bad.What != what {
				t.Errorf("%s is %v: %v", what, v, err)
			}
		}
	}
}

// A method counts steps from 1: with a rate from 0 on, the momentum encoder is the
// network itself after the first.
func TestFirstStepOfMomentum(t *testing.T) {
	c := methodConfig(t, "byol")
	c.Momentum.Base, c.Momentum.Final = 0, 1
	if _, err := pretrain(c, &breaker{step: 1}); !errors.Is(err, ErrInterrupted) {
		t.Fatal(err)
	}
	all := arrays(t, c.Out)
	if own := all["method.momentum.backbone.conv1.weight"]; own == nil || !bytes.Equal(own, all["backbone.conv1.weight"]) {
		t.Error("the momentum encoder is not where the first step takes it")
	}
}
