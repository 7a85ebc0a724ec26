package vicreg

import (
	"context"
	"errors"
	"path/filepath"
	"strings"
	"testing"
)

// A run's encoder is taught classes, stopped and resumed, and opens like any other.
func TestFinetune(t *testing.T) {
	ctx := context.Background()
	c, err := Recipe("quick")
	if err != nil {
		t.Fatal(err)
	}
	c.Out, c.Size, c.Batch, c.Epochs, c.Warmup = filepath.Join(t.TempDir(), "run"), 12, 16, 1, 0
	c.Data.Limit, c.Encoder.Arch, c.Encoder.Width, c.Expander = 200, "resnet10", 2, "8-8"
	before, err := Pretrain(ctx, c)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Finetune(ctx, c); err == nil || !strings.Contains(err.Error(), "take one from Protocol") {
		t.Error(err)
	}
	if _, err := Protocol("none", before.Folder); err == nil || !strings.Contains(err.Error(), `unknown protocol "none"`) {
		t.Error(err)
	}
	if _, err := Protocol("semi-1percent", "nosuch"); err == nil || !strings.Contains(err.Error(), "nosuch") {
		t.Error(err)
	}
	for _, name := range append(Protocols(), "released") {
		tune, err := Protocol(name, before.Folder)
		if err != nil {
			t.Fatal(err)
		}
		if tune.Size != 12 || tune.Encoder != c.Encoder || tune.Init == nil || len(tune.Views) != 1 {
			t.Errorf("%s: %+v", name, tune)
		}
		if err := Check(tune); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	tune, _ := Protocol("semi-10percent", before.Folder)
	tune.Data, tune.Out, tune.Epochs, tune.Batch = c.Data, filepath.Join(t.TempDir(), "tuned"), 3, 16
	tune.Data.Limit, tune.Tune.Fraction = 0, 0.01
	stop, cancel := context.WithCancel(ctx)
	if _, err := Finetune(stop, tune, WithReporter(&stopper{cancel: cancel})); !errors.Is(err, ErrInterrupted) {
		t.Fatal(err)
	}
	run, err := Resume(ctx, tune.Out)
	if err != nil {
		t.Fatal(err)
	}
	got := run.Summary.Classifier
	if got == nil || got.Top5 == nil || got.Scored != 2000 || len(got.Classes) != 10 || run.Summary.Images != 80 {
		t.Errorf("%+v of %d images", got, run.Summary.Images)
	}
	m, err := Open(run.Folder)
	if err != nil || m.Info().Method != "supervised" {
		t.Errorf("%v, %v", m, err)
	}
	if _, err := Extend(ctx, run.Folder, 9); err == nil || !strings.Contains(err.Error(), "cannot be changed on the way") {
		t.Error(err)
	}
}

// stopper stops a run at its seventh step.
type stopper struct {
	Silent
	cancel func()
}

func (s *stopper) Step(step Step) {
	if step.Step == 7 {
		s.cancel()
	}
}
