package train

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"vicreg/internal/checkpoint"
	"vicreg/internal/parallel"
	"vicreg/internal/recipe"
	"vicreg/internal/rng"
	"vicreg/internal/runlog"
	"vicreg/internal/safetensors"
)

// idx writes n labelled images of side × side in the MNIST format: three kinds
// of stripes in noise.
func idx(t *testing.T, dir, part string, n int) {
	t.Helper()
	const side = 12
	r := rng.New(uint64(n), rng.Bench)
	pixels := binary.BigEndian.AppendUint32(nil, 0x803)
	labels := binary.BigEndian.AppendUint32(nil, 0x801)
	for _, v := range []int{n, side, side} {
		pixels = binary.BigEndian.AppendUint32(pixels, uint32(v))
	}
	labels = binary.BigEndian.AppendUint32(labels, uint32(n))
	for i := range n {
		for y := range side {
			for x := range side {
				stripe := []int{x, y, x + y}[i%3]/2%2*100 + 50
				pixels = append(pixels, byte(stripe+r.IntN(60)))
			}
		}
		labels = append(labels, byte(i%3))
	}
	for name, raw := range map[string][]byte{"images-idx3": pixels, "labels-idx1": labels} {
		if err := os.WriteFile(filepath.Join(dir, part+"-"+name+"-ubyte"), raw, 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// config returns a run of 2 epochs of 5 steps, with 30 images to score on.
func config(t *testing.T) recipe.Config {
	t.Helper()
	data := t.TempDir()
	idx(t, data, "train", 42)
	idx(t, data, "t10k", 30)
	c, err := recipe.Load("fashion-mnist")
	if err != nil {
		t.Fatal(err)
	}
	c.Data.Source, c.Out = data, filepath.Join(t.TempDir(), "run")
	c.Encoder.Arch, c.Encoder.Width, c.Expander, c.Size = "resnet10", 4, "16-16", 12
	c.Batch, c.Epochs, c.LogEvery = 8, 2, 1
	c.Eval.Limit = 20
	return c
}

// breaker is a Reporter that cancels the run at a step or at a phase.
type breaker struct {
	Silent
	cancel   context.CancelFunc
	step     int
	phase    string
	times    int // the phase is let pass before
	warnings []string
}

func (b *breaker) Step(s runlog.Step) {
	if s.Step == b.step {
		b.cancel()
	}
}

func (b *breaker) Phase(what string) {
	if what == b.phase {
		if b.times--; b.times < 0 {
			b.cancel()
		}
	}
}

func (b *breaker) Warning(w runlog.Warning) { b.warnings = append(b.warnings, w.Message) }

// pretrain runs c to its end, or until b breaks it.
func pretrain(c recipe.Config, b *breaker) (*runlog.Summary, error) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	b.cancel = cancel
	_, s, err := Pretrain(ctx, c, Options{Reporter: b})
	return s, err
}

// result is what must not depend on how a run came to its end: the model's
// bytes, and the metrics without times.
func result(t *testing.T, folder string) (model []byte, metrics string) {
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
		metrics += fmt.Sprint(s.Epoch, s.Step, s.Loss, s.Terms, s.LR, s.GradNorm, "\n")
	}
	for _, e := range m.Epochs {
		if !(e.Images > 0) {
			t.Errorf("epoch %d at %v images a second", e.Epoch, e.Images)
		}
		metrics += fmt.Sprint(e.Epoch, e.Step, e.Loss, e.Terms, e.LR, e.EmbeddingStd, e.Correlation, e.Rank, *e.KNN, "\n")
		if e.Views != nil {
			metrics += fmt.Sprintln(*e.Views)
		}
	}
	for _, w := range m.Warnings {
		metrics += fmt.Sprint(w, "\n")
	}
	return model, metrics
}

func TestAnyInterruptionEndsWithTheSameBits(t *testing.T) {
	c := config(t)
	whole, err := pretrain(c, &breaker{})
	if err != nil {
		t.Fatal(err)
	}
	model, metrics := result(t, c.Out)
	if n := strings.Count(metrics, "\n"); n < 12 {
		t.Fatalf("metrics have %d lines:\n%s", n, metrics)
	}
	m, err := runlog.ReadMetrics(c.Out)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range m.Epochs { // every step is logged
		var loss, variance float64
		for _, s := range m.Steps[5*(e.Epoch-1) : 5*e.Epoch] {
			loss, variance = loss+s.Loss/5, variance+s.Terms.Get("variance")/5
		}
		if math.Abs(e.Loss-loss) > 1e-9*loss || math.Abs(e.Terms.Get("variance")-variance) > 1e-9*variance {
			t.Errorf("epoch %d: loss %v, variance %v; its steps' means are %v and %v", e.Epoch, e.Loss, e.Terms.Get("variance"), loss, variance)
		}
	}
	for _, b := range []breaker{
		{step: 1}, {step: 3}, {step: 5}, {step: 6}, {step: 10},
		{phase: "looking at the images"},
		{phase: "nearest neighbours"},
		{phase: "nearest neighbours", times: 1},
		{phase: "saving the model"},
		{phase: "scoring the untrained encoder"},
	} {
		t.Run(fmt.Sprintf("step %d %s %d", b.step, b.phase, b.times), func(t *testing.T) {
			c := c
			c.Out = filepath.Join(t.TempDir(), "run")
			_, err := pretrain(c, &b)
			if !errors.Is(err, ErrInterrupted) || !strings.Contains(err.Error(), "--resume "+c.Out) {
				t.Fatalf("interrupted: %v", err)
			}
			// The same again in a moved folder, after losing the last lines.
			moved := c.Out + "2"
			if err := os.Rename(c.Out, moved); err != nil {
				t.Fatal(err)
			}
			f, err := os.OpenFile(filepath.Join(moved, runlog.MetricsFile), os.O_APPEND|os.O_WRONLY|os.O_CREATE, 0o644)
			if err != nil {
				t.Fatal(err)
			}
			f.WriteString(`{"event":"step","ep`)
			f.Close()
			s, err := Resume(t.Context(), moved, Options{})
			if err != nil {
				t.Fatal(err)
			}
			gotModel, gotMetrics := result(t, moved)
			if !bytes.Equal(gotModel, model) {
				t.Error("the model differs from that of a run never stopped")
			}
			if gotMetrics != metrics {
				t.Errorf("metrics\n%s\nwant\n%s", gotMetrics, metrics)
			}
			if *s.KNN != *whole.KNN || *s.Linear != *whole.Linear || s.Loss != whole.Loss || s.Steps != 10 {
				t.Errorf("summary %+v\nwant %+v", s, whole)
			}
		})
	}
}

func TestAnyNumberOfWorkersGivesTheSameBits(t *testing.T) {
	defer parallel.SetWorkers(0)
	c := config(t)
	var model []byte
	var metrics string
	for _, n := range []int{1, 2, 3} {
		c.Out = filepath.Join(t.TempDir(), "run")
		c.Threads, c.Workers = n, n
		if _, err := pretrain(c, &breaker{}); err != nil {
			t.Fatal(err)
		}
		m, x := result(t, c.Out)
		if n > 1 && (!bytes.Equal(m, model) || x != metrics) {
			t.Errorf("%d workers give another result than %d", n, n-1)
		}
		model, metrics = m, x
	}
}

func TestProgressIsReportedNowAndThen(t *testing.T) {
	b := &phases{}
	progress := (&run{report: b}).progress("looking")
	for done := range 1000 {
		progress(done, 1000)
	}
	time.Sleep(progressPause)
	progress(1000, 1000)
	if len(b.said) > 2 || !slices.Equal(b.said[len(b.said)-1:], []string{"looking: 1000 of 1000"}) {
		t.Errorf("reported %q", b.said)
	}
}

type phases struct {
	Silent
	said []string
}

func (p *phases) Phase(what string) { p.said = append(p.said, what) }

// The figures of an epoch are taken on the embeddings of all its steps.
func TestRecentEmbeddingsOfEveryStep(t *testing.T) {
	c := config(t)
	if _, err := pretrain(c, &breaker{step: 3}); !errors.Is(err, ErrInterrupted) {
		t.Fatal(err)
	}
	f, err := safetensors.Read(filepath.Join(c.Out, runlog.CheckpointFile))
	if err != nil {
		t.Fatal(err)
	}
	z, err := f.Float32(recentName)
	if err != nil || len(z) != 40*16 {
		t.Fatalf("%d values, %v", len(z), err)
	}
	for row := range 40 {
		there := slices.ContainsFunc(z[16*row:16*row+16], func(v float32) bool { return v != 0 })
		if there != (row < 24) { // three steps of eight
			t.Errorf("row %d has an embedding: %v", row, there)
		}
	}
}

// Where mean and standard deviation are given, they say how many channels.
func TestChannelsOfTheNormalisation(t *testing.T) {
	c := config(t)
	c.Epochs = 1
	c.Normalize = recipe.Normalize{Mean: []float64{0.5, 0.4, 0.3}, Std: []float64{0.2, 0.2, 0.2}}
	if _, err := pretrain(c, &breaker{}); err != nil {
		t.Fatal(err)
	}
	got, err := recipe.ReadFile(filepath.Join(c.Out, runlog.ConfigFile))
	if err != nil || got.Channels != 3 || !slices.Equal(got.Normalize.Mean, c.Normalize.Mean) {
		t.Errorf("%d channels, mean %v, %v", got.Channels, got.Normalize.Mean, err)
	}
}

// looker reads the checkpoint of a run at every step.
type looker struct {
	Silent
	path  string
	saved []int // steps, as the checkpoint has them
}

func (l *looker) Step(runlog.Step) {
	if s, err := checkpoint.Peek(l.path); err == nil {
		l.saved = append(l.saved, s.Steps)
	}
}

func TestCheckpointsAndLinesAsOften(t *testing.T) {
	c := config(t)
	for _, tt := range []struct {
		minutes  float64
		logEvery int
		saved    []int // before the checkpoint that follows a step
		logged   []int
	}{
		{0, 3, []int{0, 0, 0, 0, 0, 5, 5, 5, 5, 5}, []int{3, 6, 9}},
		{1e-9, 4, []int{0, 1, 2, 3, 4, 5, 6, 7, 8, 9}, []int{4, 8}},
	} {
		c.Out, c.CheckpointMinutes, c.LogEvery = filepath.Join(t.TempDir(), "run"), tt.minutes, tt.logEvery
		l := &looker{path: filepath.Join(c.Out, runlog.CheckpointFile)}
		if _, _, err := Pretrain(t.Context(), c, Options{Reporter: l}); err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(l.saved, tt.saved) {
			t.Errorf("every %v minutes: the steps found a checkpoint of %v, want %v", tt.minutes, l.saved, tt.saved)
		}
		m, err := runlog.ReadMetrics(c.Out)
		if err != nil {
			t.Fatal(err)
		}
		var logged []int
		for _, s := range m.Steps {
			logged = append(logged, s.Step)
		}
		if !slices.Equal(logged, tt.logged) {
			t.Errorf("every %d steps: lines of the steps %v, want %v", tt.logEvery, logged, tt.logged)
		}
	}
}

func TestSeedMatters(t *testing.T) {
	c := config(t)
	c.Epochs, c.Warmup = 1, 0
	var models [][]byte
	for seed := range uint64(2) {
		c.Seed, c.Out = seed, filepath.Join(t.TempDir(), "run")
		if _, err := pretrain(c, &breaker{}); err != nil {
			t.Fatal(err)
		}
		m, _ := result(t, c.Out)
		models = append(models, m)
	}
	if bytes.Equal(models[0], models[1]) {
		t.Error("two seeds give the same model")
	}
}

func TestNotFiniteStopsAndNamesTheCheckpoint(t *testing.T) {
	c := config(t)
	c.Optimizer.Name, c.Optimizer.BaseLR, c.Warmup = "sgd", 1e25, 0
	_, err := pretrain(c, &breaker{})
	var nf *NotFinite
	if !errors.As(err, &nf) || nf.Step < 2 {
		t.Fatalf("a learning rate of 10²⁵: %v", err)
	}
	for _, want := range []string{"step ", " is ", "the last good checkpoint is " + filepath.Join(c.Out, "checkpoint"), "lower base learning rate"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q does not say %q", err, want)
		}
	}
	if _, err := os.Stat(filepath.Join(c.Out, runlog.ModelFile)); err == nil {
		t.Error("a broken model was written")
	}
}

// A checkpoint right before the step that is not finite is not a good one.
func TestNotFiniteAfterACheckpoint(t *testing.T) {
	c := config(t)
	c.Optimizer.Name, c.Optimizer.BaseLR, c.Warmup = "sgd", 1e25, 0
	c.Batch, c.Epochs = 42, 4 // an epoch is a step
	_, err := pretrain(c, &breaker{})
	var nf *NotFinite
	if !errors.As(err, &nf) {
		t.Fatalf("a learning rate of 10²⁵: %v", err)
	}
	want := fmt.Sprintf("the last good checkpoint is %s.previous, after step %d", filepath.Join(c.Out, "checkpoint"), nf.Step-2)
	if !strings.Contains(err.Error(), want) {
		t.Errorf("%q does not say %q", err, want)
	}
}

func TestCollapseIsWarnedOf(t *testing.T) {
	c := config(t)
	c.Loss.Mu, c.Loss.Nu, c.Epochs, c.Warmup = 0, 0, 12, 0 // invariance alone: the paper's table 7
	c.Optimizer.BaseLR = 30
	b := &breaker{}
	s, err := pretrain(c, b)
	if err != nil {
		t.Fatal(err)
	}
	if !s.Collapsed || len(b.warnings) == 0 || !strings.Contains(strings.Join(b.warnings, " "), "collapsed") {
		t.Errorf("invariance alone: std %v, rank %v, warnings %q", s.EmbeddingStd, s.Rank, b.warnings)
	}
}

// photos makes a folder of n colour images, some of them broken.
func photos(t *testing.T, n int, broken ...int) string {
	t.Helper()
	dir := t.TempDir()
	for i := range n {
		var raw bytes.Buffer
		m := image.NewRGBA(image.Rect(0, 0, 10+i, 14))
		for j := range m.Bounds().Dx() * 14 {
			m.Set(j/14, j%14, color.RGBA{byte(j * i), byte(j), byte(i * 9), 255})
		}
		if err := png.Encode(&raw, m); err != nil {
			t.Fatal(err)
		}
		b := raw.Bytes()
		for _, k := range broken {
			if k == i {
				b = b[:len(b)/2]
			}
		}
		if err := os.WriteFile(filepath.Join(dir, fmt.Sprintf("%02d.png", i)), b, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestBadImagesAreSkippedCountedAndListed(t *testing.T) {
	c := config(t)
	c.Data.Source = photos(t, 30, 4, 17)
	b := &breaker{step: 4}
	if _, err := pretrain(c, b); !errors.Is(err, ErrInterrupted) {
		t.Fatal(err)
	}
	if skipped := plain(b.warnings); len(skipped) != 2 || !strings.Contains(skipped[1], "17.png") {
		t.Errorf("skipped %q", skipped)
	}
	s, err := Resume(t.Context(), c.Out, Options{})
	if err != nil {
		t.Fatal(err)
	}
	if s.Images != 28 || s.BadImages != 2 || !strings.Contains(s.Bad[0], "04.png") || s.KNN != nil || s.Linear != nil {
		t.Errorf("summary %+v", s)
	}

	c.Out, c.Data.Source = filepath.Join(t.TempDir(), "run"), photos(t, 30, 1, 2, 3, 4)
	if _, err := pretrain(c, &breaker{}); err == nil || !strings.Contains(err.Error(), "4 of 30 images cannot be read, more than a tenth") {
		t.Errorf("4 of 30 bad: %v", err)
	}
}

// Images that turn bad after the start are replaced, and left out of the scores;
// where a test image does, there are no scores, but a model all the same.
func TestImagesThatTurnBad(t *testing.T) {
	c := config(t)
	c.Data.Source = t.TempDir()
	for part, n := range map[string]int{"train": 12, "test": 5} {
		for _, class := range []string{"a", "b"} {
			folder := filepath.Join(c.Data.Source, part, class)
			if err := errors.Join(os.MkdirAll(filepath.Dir(folder), 0o755),
				os.Rename(photos(t, n), folder)); err != nil {
				t.Fatal(err)
			}
		}
	}
	resume := func(broken string) (*runlog.Summary, []string) {
		t.Helper()
		c.Out = filepath.Join(t.TempDir(), "run")
		if _, err := pretrain(c, &breaker{step: 2}); !errors.Is(err, ErrInterrupted) {
			t.Fatal(err)
		}
		path := filepath.Join(c.Data.Source, broken)
		if err := os.Truncate(path, 40); err != nil {
			t.Fatal(err)
		}
		b := &breaker{}
		s, err := Resume(t.Context(), c.Out, Options{Reporter: b})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := os.Stat(filepath.Join(c.Out, runlog.ModelFile)); err != nil {
			t.Error(err)
		}
		for _, w := range plain(b.warnings) {
			if !strings.Contains(w, path) {
				t.Errorf("a warning without %s: %s", path, w)
			}
		}
		return s, b.warnings
	}
	s, warnings := resume("train/b/05.png")
	if strings.Count(strings.Join(warnings, " "), "turned bad") != 1 || s.BadImages != 1 || s.KNN == nil || s.Linear == nil {
		t.Errorf("a training image: %+v, warnings %q", s, warnings)
	}
	s, warnings = resume("test/b/03.png")
	if len(warnings) != 3 || s.KNN != nil || s.Linear != nil || s.Steps != 4 { // two epochs and the end
		t.Errorf("a test image: %+v, warnings %q", s, warnings)
	}
}

// Labels are never needed: where they do not suffice, the run goes on without.
func TestFewLabels(t *testing.T) {
	c := config(t)
	c.Data.Source, c.Data.Labels, c.Epochs = t.TempDir(), "folders", 1
	class := func(name string) {
		if err := os.Rename(photos(t, 12), filepath.Join(c.Data.Source, name)); err != nil {
			t.Fatal(err)
		}
	}
	class("only")
	b := &breaker{}
	s, err := pretrain(c, b)
	if err != nil || s.KNN != nil || len(plain(b.warnings)) != 1 || !strings.Contains(plain(b.warnings)[0], "all of one class") {
		t.Errorf("one class: %+v, %v, warnings %q", s, err, b.warnings)
	}

	class("other") // 20 images to train on, fewer than vote with one left out
	c.Out, c.Data.Limit = filepath.Join(t.TempDir(), "run"), 19
	b = &breaker{}
	if s, err = pretrain(c, b); err != nil || s.KNN == nil || s.Linear == nil || len(plain(b.warnings)) != 0 {
		t.Errorf("19 images: %+v, %v, warnings %q", s, err, b.warnings)
	}
}

func TestMistakesAreNamed(t *testing.T) {
	c := config(t)
	c.Batch = 43
	if _, err := pretrain(c, &breaker{}); err == nil || !strings.Contains(err.Error(), "a batch of 43 is larger than the data, 42 images") {
		t.Errorf("large batch: %v", err)
	}
	c.Batch, c.Data.Labels = 80, "none" // the part that scores is left out, which is said
	if _, err := pretrain(c, &breaker{}); err == nil || !strings.Contains(err.Error(), "more images. Of the data: t10k-images-idx3-ubyte (30 images)") {
		t.Errorf("large batch, without labels: %v", err)
	}
	c.Data.Labels = "auto"
	if _, err := os.Stat(c.Out); err == nil {
		t.Error("a run that cannot start left a folder")
	}
	c.Batch = 8
	if _, err := pretrain(c, &breaker{step: 7}); !errors.Is(err, ErrInterrupted) {
		t.Fatal(err)
	}
	if _, err := pretrain(c, &breaker{}); err == nil || !strings.Contains(err.Error(), "already holds a run; go on with it by --resume") {
		t.Errorf("an occupied folder: %v", err)
	}
	unlock, err := runlog.Lock(c.Out)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Resume(t.Context(), c.Out, Options{}); runtime.GOOS != "windows" &&
		(err == nil || !strings.Contains(err.Error(), "is in use by another process")) {
		t.Errorf("a run that goes on elsewhere: %v", err)
	}
	unlock()
	if _, err := Resume(t.Context(), t.TempDir(), Options{}); err == nil || !strings.Contains(err.Error(), "there is no run to go on with") {
		t.Errorf("an empty folder: %v", err)
	}

	resume := func(what, want string) {
		t.Helper()
		if _, err := Resume(t.Context(), c.Out, Options{}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", what, err, want)
		}
	}
	checkpoint := filepath.Join(c.Out, runlog.CheckpointFile)
	raw, _ := os.ReadFile(checkpoint)
	os.WriteFile(checkpoint, raw[:len(raw)-100], 0o644)
	resume("a cut checkpoint", "is cut short")
	os.WriteFile(checkpoint, raw, 0o644)

	path := filepath.Join(c.Out, runlog.ConfigFile)
	yaml, _ := os.ReadFile(path)
	os.WriteFile(path, bytes.Replace(yaml, []byte("epochs: 2"), []byte("epochs: 3"), 1), 0o644)
	resume("a changed configuration", "config.yaml was changed since the checkpoint was written")
	os.WriteFile(path, bytes.Replace(yaml, []byte("name: lars"), []byte("name: adamw"), 1), 0o644)
	resume("another optimizer", "config.yaml was changed since the checkpoint was written")
	os.WriteFile(path, bytes.Replace(yaml, []byte("expander: 16-16"), []byte("expander: 16-16-16"), 1), 0o644)
	resume("another expander", "is of another architecture: it has no projector.3.bias")
	resume("another expander", "config.yaml was changed since the checkpoint was written")
	os.WriteFile(path, bytes.Replace(yaml, []byte("checkpoint_minutes: 10"), []byte("checkpoint_minutes: 9"), 1), 0o644)
	changed, _ := os.ReadFile(path)
	os.WriteFile(path, bytes.Replace(changed, []byte("  k: 20"), []byte("  k: 5"), 1), 0o644) // scoring may change
	idx(t, c.Data.Source, "train", 45)
	resume("changed data", "are no longer those the run started with")
}
