package train

import (
	"context"
	"errors"
	"path/filepath"
	"strings"
	"testing"

	"vicreg/internal/pretrained"
	"vicreg/internal/runlog"
)

// A run that was stopped leaves a model that says how far it is; at the end it is
// the one of a run that was not stopped.
func TestModelAtEveryStop(t *testing.T) {
	c := config(t)
	ctx, cancel := context.WithCancel(t.Context())
	stop := &stopAt{step: 5, cancel: cancel}
	folder, _, err := Pretrain(ctx, c, Options{Reporter: stop})
	if !errors.Is(err, ErrInterrupted) {
		t.Fatal(err)
	}
	m, err := pretrained.Open(folder, 0)
	if err != nil {
		t.Fatal(err)
	}
	if m.Step != stop.done || m.Step >= m.Steps || len(m.Notes) != 1 || !strings.Contains(m.Notes[0], "had not ended") {
		t.Errorf("after step %d of %d, stopped after %d; notes %q", m.Step, m.Steps, stop.done, m.Notes)
	}
	if _, err := Resume(t.Context(), folder, Options{}); err != nil {
		t.Fatal(err)
	}
	if m, err = pretrained.Open(filepath.Join(folder, runlog.ModelFile), 0); err != nil || m.Step != m.Steps ||
		len(m.Notes) != 0 {
		t.Errorf("at the end: %v, %+v", err, m)
	}
}

// stopAt stops a run during a step.
type stopAt struct {
	Silent
	step, done int
	cancel     context.CancelFunc
}

func (s *stopAt) Step(e runlog.Step) {
	if s.done = e.Step; e.Step == s.step {
		s.cancel()
	}
}
