package train

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"vicreg/internal/checkpoint"
	"vicreg/internal/device"
	"vicreg/internal/device/far"
	"vicreg/internal/eval"
	"vicreg/internal/pretrained"
	"vicreg/internal/recipe"
	"vicreg/internal/runlog"
	"vicreg/internal/safetensors"
)

// tuning returns a pretrained run, and a protocol for its encoder: 3 epochs of 5 steps.
func tuning(t *testing.T, protocol string) (from string, c recipe.Config) {
	t.Helper()
	before := config(t)
	before.Epochs = 1
	from, _, err := Pretrain(context.Background(), before, Options{})
	if err != nil {
		t.Fatal(err)
	}
	if c, err = recipe.LoadProtocol(protocol); err != nil {
		t.Fatal(err)
	}
	if c, err = TuneFrom(c, from, 0); err != nil {
		t.Fatal(err)
	}
	c.Tune.Fraction = 0
	c.Data.Source, c.Batch, c.Epochs, c.LogEvery = before.Data.Source, 8, 3, 1
	c.Optimizer.BaseLR, c.Eval.Limit = 1, 0
	return from, c
}

// tune runs c and returns its folder.
func tune(t *testing.T, c recipe.Config) (string, *runlog.Summary) {
	t.Helper()
	c.Out = filepath.Join(t.TempDir(), "run")
	folder, s, err := Pretrain(context.Background(), c, Options{})
	if err != nil {
		t.Fatal(err)
	}
	return folder, s
}

// values are the arrays of a model, by name.
func values(t *testing.T, folder string) map[string][]float32 {
	t.Helper()
	f, err := safetensors.Open(filepath.Join(folder, runlog.ModelFile))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	all := map[string][]float32{}
	for _, i := range f.Tensors {
		if all[i.Name], err = f.Float32(i.Name); err != nil {
			t.Fatal(err)
		}
	}
	return all
}

// graded is what must not depend on how a run that teaches classes came to its end: the
// model's bytes, and the metrics and the result without times.
func graded(t *testing.T, folder string) (model []byte, text string) {
	t.Helper()
	model, err := os.ReadFile(filepath.Join(folder, runlog.ModelFile))
	if err != nil {
		t.Fatal(err)
	}
	m, err := runlog.ReadMetrics(folder)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range m.Steps {
		text += fmt.Sprintln(s.Epoch, s.Step, s.Loss, s.Terms, s.LR, s.GradNorm)
	}
	for _, e := range m.Epochs {
		text += fmt.Sprintln(e.Epoch, e.Step, e.Loss, e.Terms, e.LR, *e.Classified)
	}
	s, err := runlog.ReadSummary(folder)
	if err != nil {
		t.Fatal(err)
	}
	return model, text + fmt.Sprintf("%+v", *s.Classifier)
}

// What is frozen keeps its bits, running statistics too, and all else changes; a linear
// probe learns.
func TestFrozen(t *testing.T) {
	from, c := tuning(t, recipe.Linear)
	c.Epochs, c.Eval.Every = 12, 0
	before := values(t, from)
	for _, tt := range []struct {
		freeze     []string
		statistics string
		pieces     int
		stay       func(name string) bool
	}{
		{[]string{recipe.All}, "", 0, func(name string) bool { return !strings.HasPrefix(name, "expander.") }},
		{[]string{"layer1", "stem"}, "", 0, func(name string) bool {
			return strings.HasPrefix(name, "conv1") || strings.HasPrefix(name, "bn1") || strings.HasPrefix(name, "layer1")
		}},
		{[]string{"layer1", "stem"}, "", 4, func(name string) bool {
			return strings.HasPrefix(name, "conv1") || strings.HasPrefix(name, "bn1") || strings.HasPrefix(name, "layer1")
		}},
		{[]string{"stem"}, recipe.Running, 0, func(name string) bool {
			return strings.HasPrefix(name, "conv1") || strings.HasPrefix(name, "bn1") ||
				strings.Contains(name, "running") || strings.HasSuffix(name, "tracked")
		}},
		{nil, "", 0, func(name string) bool { return false }},
	} {
		c := c
		t2 := *c.Tune
		c.Tune = &t2
		c.Tune.Freeze, c.Tune.Statistics, c.MicroBatch = tt.freeze, tt.statistics, tt.pieces
		if !c.Tune.Frozen() {
			c.Tune.EncoderLR = 0.5
		}
		folder, s := tune(t, c)
		for name, v := range values(t, folder) {
			was, ok := before[name]
			if strings.HasPrefix(name, "expander.") {
				continue // it is another one
			}
			if stays := ok && slices.Equal(v, was); stays != tt.stay(name) {
				t.Errorf("freeze %v: %s stays: %v", tt.freeze, name, stays)
			}
		}
		if s.Classifier == nil || s.Classifier.Top1 < 0.6 && tt.statistics == "" || s.Classifier.Top5 != nil {
			t.Errorf("freeze %v: %+v", tt.freeze, s.Classifier)
		}
	}
}

// The scores are those of a tally over embedded features, and what is best is the first
// epoch that no other is better than.
func TestScoresAreATallys(t *testing.T) {
	_, c := tuning(t, "semi-10percent")
	c.Tune.Resize = false
	folder, s := tune(t, c)
	m, err := pretrained.Open(folder, 0)
	if err != nil {
		t.Fatal(err)
	}
	var data images
	if err := data.list(c); err != nil {
		t.Fatal(err)
	}
	data.without(recipe.Config{Channels: 1}, nil, nil)
	e := m.Embedder(7, 1)
	e.Expander = m.Expander
	set, err := e.Set(context.Background(), e.Images(data.testSource, nil))
	if err != nil {
		t.Fatal(err)
	}
	tally := eval.NewTally(3)
	tally.Add(set.X, set.Labels)
	o := tally.Outcome()
	if got := s.Classifier; got.Top1 != o.Top1 || got.Scored != o.Items || len(got.Classes) != 3 {
		t.Errorf("%+v, want %+v", got, o)
	}
	for i, class := range s.Classifier.Classes {
		if class.Right != o.Classes[i].Right || class.Items != 10 || class.Name != fmt.Sprint(i) {
			t.Errorf("class %d: %+v, want %+v", i, class, o.Classes[i])
		}
	}
	if len(s.Classifier.Confusion) != len(o.Confusion) {
		t.Errorf("confusion %v, want %v", s.Classifier.Confusion, o.Confusion)
	}
	metrics, err := runlog.ReadMetrics(folder)
	if err != nil {
		t.Fatal(err)
	}
	best, at := -1.0, 0
	for _, e := range metrics.Epochs {
		if e.KNN != nil || e.Views != nil || e.Classified == nil {
			t.Fatalf("an epoch is scored by %+v", e)
		}
		if e.Classified.Top1 > best {
			best, at = e.Classified.Top1, e.Epoch
		}
	}
	if s.Classifier.Best.Top1 != best || s.Classifier.BestEpoch != at || s.KNN != nil || s.Verdict != nil {
		t.Errorf("best %v in epoch %d: %+v", best, at, s)
	}
}

// A run that teaches classes ends with the same bits if it was stopped and resumed, on a
// device whose memory the host cannot touch as well.
func TestTuneResumes(t *testing.T) {
	for _, protocol := range []string{recipe.Linear, "semi-1percent"} {
		_, c := tuning(t, protocol)
		if !c.Tune.Frozen() {
			c.Tune.Freeze = []string{"stem"}
		}
		run := func(d device.Device, stop int) ([]byte, string) {
			c := c
			c.Out = filepath.Join(t.TempDir(), "run")
			ctx, cancel := context.WithCancel(context.Background())
			defer cancel()
			folder, _, err := Pretrain(ctx, c, Options{Reporter: &breaker{cancel: cancel, step: stop}, Device: d})
			if stop > 0 {
				if !errors.Is(err, ErrInterrupted) {
					t.Fatal(err)
				}
				if _, err = Extend(context.Background(), folder, Goal{Epochs: 9}, Options{}); err == nil ||
					!strings.Contains(err.Error(), "cannot be changed on the way") {
					t.Errorf("another number of epochs: %v", err)
				}
				_, err = Resume(context.Background(), folder, Options{Device: d})
			}
			if err != nil {
				t.Fatal(err)
			}
			return graded(t, folder)
		}
		model, metrics := run(nil, 0)
		same := func(d device.Device, stop int) {
			m, text := run(d, stop)
			if !bytes.Equal(m, model) || text != metrics {
				t.Errorf("%s, stopped at step %d: model equal: %v;\n%s\n%s", protocol, stop, bytes.Equal(m, model), text, metrics)
			}
			if f, ok := d.(*far.Device); ok {
				if f.Held != 0 {
					t.Errorf("%s: %d arrays were not given back", protocol, f.Held)
				}
				f.Close()
			}
		}
		same(nil, 7)
		same(far.New(), 0)
		same(far.New(), 7)
		device.KeepHalf = false // what the device is compared with
		defer func() { device.KeepHalf = true }()
		c.Precision = "bf16"
		model, metrics = run(nil, 0)
		same(far.NewExact(), 7)
	}
}

// The rates are those that PyTorch's CosineAnnealingLR and MultiStepLR give when they are
// stepped once an epoch.
func TestTuneRates(t *testing.T) {
	_, c := tuning(t, recipe.Linear)
	c.Batch, c.Optimizer.BaseLR = 8, 256./8
	for drops, want := range map[int][]float64{0: {1, 0.75, 0.25}, 1: {1, 0.1, 0.1}} {
		c := c
		t2 := *c.Tune
		if c.Tune = &t2; drops > 0 {
			c.Tune.Drops = []int{1}
		}
		folder, _ := tune(t, c)
		m, err := runlog.ReadMetrics(folder)
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range m.Steps {
			if math.Abs(s.LR-want[s.Epoch-1]) > 1e-12 {
				t.Errorf("drops %d: step %d of epoch %d has rate %v, want %v", drops, s.Step, s.Epoch, s.LR, want[s.Epoch-1])
			}
		}
	}
}

// A share is taken of each class by the seed, a list by its names; both say so. The batch
// is as small as they are.
func TestTuneTakesAPart(t *testing.T) {
	_, c := tuning(t, "semi-1percent")
	part := func(change func(c *recipe.Config)) (*images, error) {
		c := c
		t2 := *c.Tune
		c.Tune = &t2
		change(&c)
		s := new(images)
		return s, s.list(c)
	}
	count := func(s *images) (n [3]int) {
		for _, item := range s.trainData.Items {
			n[item.Label]++
		}
		return n
	}
	names := func(s *images) (all []string) {
		for _, item := range s.trainData.Items {
			all = append(all, item.Name)
		}
		return all
	}
	var seeds [3][]string
	for i, seed := range []uint64{1, 1, 2} {
		s, err := part(func(c *recipe.Config) { c.Tune.Fraction, c.Seed = 0.3, seed })
		if err != nil {
			t.Fatal(err)
		}
		if n := count(s); n != [3]int{4, 4, 4} {
			t.Errorf("30%% of 14 of each class are %v", n)
		}
		seeds[i] = names(s)
	}
	if !slices.Equal(seeds[0], seeds[1]) || slices.Equal(seeds[0], seeds[2]) {
		t.Error("a seed does not choose one share")
	}
	if s, err := part(func(c *recipe.Config) { c.Tune.Fraction = 0.001 }); err != nil || count(s) != [3]int{1, 1, 1} {
		t.Errorf("a thousandth of 14: %v", err)
	}

	all, err := part(func(*recipe.Config) {})
	if err != nil {
		t.Fatal(err)
	}
	list := filepath.Join(t.TempDir(), "1percent.txt")
	some := names(all)
	write := func(lines ...string) {
		if err := os.WriteFile(list, []byte(strings.Join(lines, "\r\n")+"\n"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	write(some[9], some[2], "", some[9], "n01440764_10074.JPEG", all.testData.Items[0].Name)
	s, err := part(func(c *recipe.Config) { c.Tune.Subset = list })
	if err != nil {
		t.Fatal(err)
	}
	if got := names(s); !slices.Equal(got, []string{some[2], some[9]}) {
		t.Errorf("the list gives %v", got)
	}
	notes := strings.Join(s.notes(), "\n")
	for _, want := range []string{
		"1percent.txt: names 2 of the 42 labelled images",
		"1 line names no image and is passed over: n01440764_10074.JPEG",
		"1 image is kept to score on", "1 line names an image again", "1 class has no image to train on: 1",
	} {
		if !strings.Contains(notes, want) {
			t.Errorf("notes do not say %q:\n%s", want, notes)
		}
	}
	write("n01440764_10074.JPEG")
	if _, err := part(func(c *recipe.Config) { c.Tune.Subset = list }); err == nil ||
		!strings.Contains(err.Error(), "1percent.txt: 1 line names no image") {
		t.Error(err)
	}
	if _, err := part(func(c *recipe.Config) { c.Tune.Subset = list + "x" }); err == nil ||
		!strings.Contains(err.Error(), "1percent.txtx") {
		t.Error(err)
	}

	c.Tune.Fraction, c.Batch = 0.3, 256
	folder, summary := tune(t, c)
	if note := strings.Join(summary.Notes, "\n"); !strings.Contains(note, "12 of 42 labelled images are trained on, 30% of each class") ||
		!strings.Contains(note, "there are only 12 images to train on, so the batch is 12 instead of 256") {
		t.Error(note)
	}
	at, err := checkpoint.Peek(filepath.Join(folder, runlog.CheckpointFile))
	if err != nil || at.Steps != 3 || at.Best == nil {
		t.Errorf("%+v, %v", at, err)
	}
}
