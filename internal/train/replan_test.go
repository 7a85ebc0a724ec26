package train

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"vicreg/internal/durable"
	"vicreg/internal/pretrained"
	"vicreg/internal/recipe"
	"vicreg/internal/runlog"
)

// extend goes on with a run to so many epochs, or until b breaks it.
func extend(t *testing.T, folder string, epochs int, b *breaker) (*runlog.Summary, error) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	b.cancel = cancel
	return Extend(ctx, folder, Goal{Epochs: epochs}, Options{Reporter: b})
}

// copied returns a copy of a run's folder.
func copied(t *testing.T, folder string) string {
	t.Helper()
	to := filepath.Join(t.TempDir(), "run")
	if err := os.CopyFS(to, os.DirFS(folder)); err != nil {
		t.Fatal(err)
	}
	return to
}

// A run that has ended goes on at the stated rates, and any interruption of that
// ends with the same bits; so does a new run with its configuration.
func TestLonger(t *testing.T) {
	c := config(t)
	c.Warmup = 1
	if _, err := pretrain(c, &breaker{}); err != nil { // 2 epochs of 5 steps
		t.Fatal(err)
	}
	ended, _ := result(t, c.Out)
	whole := copied(t, c.Out)
	s, err := extend(t, whole, 12, &breaker{})
	if err != nil || s.Epochs != 12 || s.Steps != 60 || len(s.Changed) > 0 {
		t.Fatalf("%+v, %v", s, err)
	}
	again, err := runlog.ReadSummary(whole)
	if err != nil || len(again.Changed) > 0 {
		t.Fatalf("%v, %v", again, err)
	}
	const note = "12 epochs instead of 2, from epoch 2 (step 10) on: in 1 epochs the learning rate goes from "
	if len(s.Notes) == 0 || !strings.HasPrefix(s.Notes[0], note) {
		t.Errorf("notes %q", s.Notes)
	}
	model, metrics := result(t, whole)

	m, err := runlog.ReadMetrics(whole)
	if err != nil || len(m.Steps) != 60 || len(m.Epochs) != 12 {
		t.Fatalf("%d steps, %v", len(m.Steps), err)
	}
	peak := c.PeakLR()
	cosine := func(step, top, steps int) float64 { // from the peak at step top
		q := 0.5 * (1 + math.Cos(math.Pi*float64(step-top)/float64(steps-top)))
		return peak*q + c.Optimizer.EndLRFactor*peak*(1-q)
	}
	for i, step := range m.Steps {
		want := cosine(i, 15, 60)
		switch last := cosine(9, 5, 10); {
		case i < 5:
			want = peak * float64(i) / 5
		case i < 10:
			want = cosine(i, 5, 10)
		case i < 15:
			want = last + (peak-last)*float64(i-9)/6
		}
		if math.Abs(step.LR-want) > 1e-12 {
			t.Errorf("step %d has the rate %v, want %v", i+1, step.LR, want)
		}
	}
	event := runlog.Replan{Event: "replan", Epoch: 2, Step: 10, From: 2, To: 12, LR: m.Steps[9].LR,
		NextLR: m.Steps[15].LR, Passage: 1}
	if len(m.Replans) != 1 || !reflect.DeepEqual(m.Replans[0], event) {
		t.Errorf("the log has %+v, want %+v", m.Replans, event)
	}

	// The run as it ended is kept, and is a run.
	kept := filepath.Join(whole, "epochs-2")
	old, err := runlog.ReadSummary(kept)
	if err != nil || old.Epochs != 2 || len(old.Changed) > 0 {
		t.Errorf("kept: %+v, %v", old, err)
	}
	if m, err := pretrained.Open(kept, 0); err != nil || len(m.Notes) > 0 {
		t.Errorf("kept model: %v", err)
	}
	if raw, _ := os.ReadFile(filepath.Join(kept, runlog.ModelFile)); !bytes.Equal(raw, ended) {
		t.Error("the kept model is another")
	}

	for _, b := range []breaker{{step: 11}, {step: 13}, {step: 15}, {step: 29}, {step: 60},
		{phase: "nearest neighbours"}, {phase: "saving the model"}, {phase: "scoring the untrained encoder"}} {
		folder := copied(t, c.Out)
		if _, err := extend(t, folder, 12, &b); !errors.Is(err, ErrInterrupted) {
			t.Fatalf("%+v: %v", b, err)
		}
		goal := Goal{}
		if b.step%2 == 0 {
			goal.Epochs = 12 // the same again changes nothing
		}
		s, err := Extend(t.Context(), folder, goal, Options{})
		if err != nil || len(s.Changed) > 0 {
			t.Fatalf("%+v: %v", b, err)
		}
		gotModel, gotMetrics := result(t, folder)
		if !bytes.Equal(gotModel, model) || gotMetrics != metrics || !slices.Equal(s.Notes, again.Notes) {
			t.Errorf("stopped at step %d or %s, it ends otherwise; notes %q", b.step, b.phase, s.Notes)
		}
	}

	fresh, err := recipe.ReadFile(filepath.Join(whole, runlog.ConfigFile))
	if err != nil {
		t.Fatal(err)
	}
	fresh.Out = filepath.Join(t.TempDir(), "run")
	if _, err := pretrain(fresh, &breaker{}); err != nil {
		t.Fatal(err)
	}
	if got, _ := result(t, fresh.Out); !bytes.Equal(got, model) {
		t.Error("a new run with the configuration of the longer one ends otherwise")
	}
}

// Whatever moment a run is killed at while it is made longer, it is either as it was
// or goes on to the new end.
func TestKilledWhileMadeLonger(t *testing.T) {
	c := config(t)
	if _, err := pretrain(c, &breaker{}); err != nil {
		t.Fatal(err)
	}
	whole := copied(t, c.Out)
	if _, err := extend(t, whole, 3, &breaker{}); err != nil {
		t.Fatal(err)
	}
	model, metrics := result(t, whole)
	longer, err := os.ReadFile(filepath.Join(whole, runlog.ConfigFile))
	if err != nil {
		t.Fatal(err)
	}
	for name, at := range map[string]func(folder string) error{
		"while the run is kept": func(folder string) error {
			return os.CopyFS(filepath.Join(folder, ".vicreg-keep-123"), os.DirFS(filepath.Join(whole, "epochs-2")))
		},
		"when it is kept": func(folder string) error {
			return os.CopyFS(filepath.Join(folder, "epochs-2"), os.DirFS(filepath.Join(whole, "epochs-2")))
		},
		"before the summary goes": func(folder string) error {
			return os.WriteFile(filepath.Join(folder, runlog.ConfigFile), longer, 0o644)
		},
		"when the summary is gone": func(folder string) error {
			return errors.Join(os.WriteFile(filepath.Join(folder, runlog.ConfigFile), longer, 0o644),
				os.Remove(filepath.Join(folder, runlog.SummaryFile)))
		},
	} {
		folder := copied(t, c.Out)
		if err := at(folder); err != nil {
			t.Fatal(err)
		}
		if s, err := runlog.ReadSummary(folder); err == nil && s.Epochs != 2 {
			t.Errorf("killed %s: %v", name, err)
		}
		if m, err := pretrained.Open(folder, 0); err != nil || len(m.Notes) > 0 && name != "before the summary goes" {
			t.Errorf("killed %s: the model has notes %q, %v", name, m.Notes, err)
		}
		goal := Goal{}
		if strings.Contains(name, "kept") { // else the new end stands in the folder
			goal.Epochs = 3
		}
		if _, err := Extend(t.Context(), folder, goal, Options{}); err != nil {
			t.Errorf("killed %s: %v", name, err)
			continue
		}
		if gotModel, gotMetrics := result(t, folder); !bytes.Equal(gotModel, model) || gotMetrics != metrics {
			t.Errorf("killed %s: it ends otherwise", name)
		}
		left, _ := filepath.Glob(filepath.Join(folder, "*-[12]*"))
		if strings.Contains(name, "kept") && len(left) != 1 || !strings.Contains(name, "kept") && len(left) != 0 {
			t.Errorf("killed %s: there are %q", name, left)
		}
	}
}

// Whatever operation on a file fails, or is the last, while a run goes on beyond its
// end, it is as it was or goes on to the same bits.
func TestEveryOperationOfALongerRunMayFail(t *testing.T) {
	c := smallest(t)
	if _, err := pretrain(c, &breaker{}); err != nil {
		t.Fatal(err)
	}
	whole := copied(t, c.Out)
	count := &disk{}
	restore := durable.Inject(count.fault)
	_, err := extend(t, whole, 2, &breaker{})
	restore()
	if err != nil {
		t.Fatal(err)
	}
	model, metrics := result(t, whole)
	every := 1
	if testing.Short() {
		every = 5
	}
	for nth := 1; nth <= count.n; nth += every {
		folder := copied(t, c.Out)
		d := &disk{nth: nth, forever: nth%2 == 0, at: func() {}}
		restore := durable.Inject(d.fault)
		_, err := extend(t, folder, 2, &breaker{})
		restore()
		at := fmt.Sprintf("operation %d, %s %s, and what follows %v", nth, d.failed, d.path, d.forever)
		if err != nil && !strings.Contains(err.Error(), folder) {
			t.Errorf("%s: the error is %v", at, err)
		}
		if s, err := runlog.ReadSummary(folder); err != nil || s.Epochs == 1 {
			if m, err := pretrained.Open(folder, 0); err != nil {
				t.Errorf("%s: there is no model: %v, %v", at, m, err)
			}
		}
		if _, err := extend(t, folder, 2, &breaker{}); err != nil {
			t.Errorf("%s: it does not go on: %v", at, err)
			continue
		}
		again, lines := result(t, folder)
		lines, _, _ = strings.Cut(lines, "{warning")
		want, _, _ := strings.Cut(metrics, "{warning")
		if !bytes.Equal(again, model) || lines != want {
			t.Errorf("%s: it ends otherwise:\n%s\nwant\n%s", at, lines, want)
		}
		if s, err := runlog.ReadSummary(filepath.Join(folder, "epochs-1")); err != nil || len(s.Changed) > 0 {
			t.Errorf("%s: the run as it ended is not kept: %v", at, err)
		}
	}
	t.Logf("%d operations", count.n)
}

// A run may be changed in mid-course, often, to fewer epochs as well.
func TestChangedOnTheWay(t *testing.T) {
	c := config(t)
	c.Epochs, c.Method = 4, "vicreg"
	if _, err := pretrain(c, &breaker{step: 7}); !errors.Is(err, ErrInterrupted) {
		t.Fatal(err)
	}
	var models [2][]byte
	var logs [2]string
	for i := range models {
		folder := copied(t, c.Out)
		stops := []int{11}
		if i == 1 {
			stops = []int{8, 9, 11}
		}
		for _, step := range stops {
			if _, err := extend(t, folder, 6, &breaker{step: step}); !errors.Is(err, ErrInterrupted) {
				t.Fatal(err)
			}
		}
		if _, err := extend(t, folder, 3, &breaker{step: 12}); !errors.Is(err, ErrInterrupted) {
			t.Fatal(err)
		}
		s, err := extend(t, folder, 5, &breaker{})
		if err != nil || s.Epochs != 5 || s.Steps != 25 {
			t.Fatalf("%+v, %v", s, err)
		}
		m, _ := runlog.ReadMetrics(folder)
		var changes []string
		for _, e := range m.Replans {
			changes = append(changes, fmt.Sprint(e.Step, e.From, e.To))
		}
		if want := []string{"7 4 6", "11 6 3", "12 3 5"}; !slices.Equal(changes, want) {
			t.Errorf("changes %q, want %q", changes, want)
		}
		models[i], logs[i] = result(t, folder)
	}
	if !bytes.Equal(models[0], models[1]) || logs[0] != logs[1] {
		t.Error("interruptions change what comes of it")
	}
}

// Schedules that methods have over the whole run follow the plan that holds.
func TestMethodsGoOnLonger(t *testing.T) {
	for _, method := range []string{"byol", "moco-v2", "swav", "deepcluster"} {
		c := methodConfig(t, method)
		if _, err := pretrain(c, &breaker{}); err != nil {
			t.Fatalf("%s: %v", method, err)
		}
		whole, broken := copied(t, c.Out), copied(t, c.Out)
		s, err := extend(t, whole, c.Epochs+2, &breaker{})
		if err != nil {
			t.Fatalf("%s: %v", method, err)
		}
		if _, err := extend(t, broken, c.Epochs+2, &breaker{step: s.Steps - 1}); !errors.Is(err, ErrInterrupted) {
			t.Fatalf("%s: %v", method, err)
		}
		if _, err := Resume(t.Context(), broken, Options{}); err != nil {
			t.Fatalf("%s: %v", method, err)
		}
		a, _ := os.ReadFile(filepath.Join(whole, runlog.ModelFile))
		b, _ := os.ReadFile(filepath.Join(broken, runlog.ModelFile))
		if !bytes.Equal(a, b) {
			t.Errorf("%s: an interruption changes what comes of it", method)
		}
	}
}

func TestGoalsThatAreNone(t *testing.T) {
	c := config(t)
	if _, err := pretrain(c, &breaker{}); err != nil {
		t.Fatal(err)
	}
	files := func() (all []string) {
		for _, name := range append(runlog.Present(c.Out), "epochs-2") {
			sum, _ := runlog.Sum(c.Out, name)
			all = append(all, name+sum)
		}
		return all
	}
	before := files()
	for _, tt := range []struct {
		goal Goal
		want string
	}{
		{Goal{Epochs: 1}, "has done 2 of 2 epochs, so it cannot end after 1; give --epochs 3 or more"},
		{Goal{Epochs: 1 << 30}, "epochs is 1073741824, but must be at most 1000000"},
	} {
		if _, err := Extend(t.Context(), c.Out, tt.goal, Options{}); err == nil ||
			!strings.Contains(err.Error(), tt.want) {
			t.Errorf("%+v: %v, want %s", tt.goal, err, tt.want)
		}
	}
	if s, err := Extend(t.Context(), c.Out, Goal{Epochs: 2}, Options{}); err != nil || s.Epochs != 2 {
		t.Errorf("as many as it has: %v", err)
	}
	if now := files(); !slices.Equal(now, before) {
		t.Errorf("files are %q, and were %q", now, before)
	}
	s, err := Extend(t.Context(), c.Out, Goal{Minutes: 1e-9}, Options{})
	if err != nil || s.Epochs != 3 {
		t.Errorf("a moment more: %+v, %v", s, err)
	}
}
