package train

import (
	"bytes"
	"encoding/binary"
	"errors"
	"path/filepath"
	"strings"
	"testing"

	"vicreg/internal/loss"
	"vicreg/internal/parallel"
	"vicreg/internal/recipe"
	"vicreg/internal/runlog"
	"vicreg/internal/safetensors"
)

// methodConfig is config for a method: 3 epochs of 5 steps.
func methodConfig(t *testing.T, method string) recipe.Config {
	t.Helper()
	small := config(t)
	c, err := recipe.LoadFor("fashion-mnist", method)
	if err != nil {
		t.Fatal(err)
	}
	c.Data, c.Out, c.Encoder, c.Size, c.Batch, c.LogEvery, c.Eval.Limit = small.Data, small.Out, small.Encoder,
		small.Size, small.Batch, small.LogEvery, small.Eval.Limit
	c.Epochs, c.Warmup, c.Expander = 3, 1, "16-4"
	if c.Heads.Predictor != recipe.None {
		c.Heads.Predictor = "8"
	}
	c.Queue.Size, c.Queue.Start = min(c.Queue.Size, 24), min(c.Queue.Start, 1) // of 3 batches
	for i := range c.Prototypes.Counts {
		c.Prototypes.Counts[i] = 5 + i
	}
	c.Whitening.Size = min(c.Whitening.Size, 8)
	return c
}

// Every method that is stopped within an epoch, and goes on with another number
// of workers, ends with the same bits, its own state included.
func TestEveryMethodResumes(t *testing.T) {
	defer parallel.SetWorkers(0)
	for _, method := range recipe.Methods() {
		t.Run(method, func(t *testing.T) {
			c := methodConfig(t, method)
			if _, err := pretrain(c, &breaker{}); err != nil {
				t.Fatal(err)
			}
			model, metrics := result(t, c.Out)
			state := arrays(t, c.Out)
			for _, stop := range []int{3, 5, 12} {
				c.Out = filepath.Join(t.TempDir(), "run")
				if _, err := pretrain(c, &breaker{step: stop}); !errors.Is(err, ErrInterrupted) {
					t.Fatal(err)
				}
				if _, err := Resume(t.Context(), c.Out, Options{Threads: 1}); err != nil {
					t.Fatal(err)
				}
				again, lines := result(t, c.Out)
				if !bytes.Equal(again, model) || lines != metrics {
					t.Errorf("stopped after step %d, it ends otherwise:\n%s\nwant\n%s", stop, lines, metrics)
				}
				for name, raw := range arrays(t, c.Out) {
					if !bytes.Equal(raw, state[name]) {
						t.Errorf("stopped after step %d, %s of the checkpoint differs", stop, name)
					}
				}
			}
		})
	}
}

// arrays are those of the checkpoint of a run, as bytes.
func arrays(t *testing.T, folder string) map[string][]byte {
	t.Helper()
	f, err := safetensors.Read(filepath.Join(folder, runlog.CheckpointFile))
	if err != nil {
		t.Fatal(err)
	}
	all := map[string][]byte{}
	for _, info := range f.Tensors {
		v, err := f.Float32(info.Name)
		if err != nil {
			t.Fatal(err)
		}
		all[info.Name] = float32Bytes(v)
	}
	return all
}

// A whitening that fails stops the run with a sentence.
func TestWhiteningThatFails(t *testing.T) {
	c := methodConfig(t, "wmse")
	c.Optimizer.BaseLR, c.Warmup = 1e30, 0
	_, err := pretrain(c, &breaker{})
	if err == nil {
		t.Fatal("a run with a learning rate of 10³⁰ ended well")
	}
	var nf *NotFinite
	if errors.As(err, &nf) {
		t.Fatalf("the embeddings went first: %v", err)
	}
	for _, want := range []string{"step 2: W-MSE cannot whiten", "the last good checkpoint is "} {
		if !errors.Is(err, loss.ErrSingular) || !strings.Contains(err.Error(), want) {
			t.Errorf("%q does not say %q", err, want)
		}
	}
}

// What a method cannot do is said before there is a folder.
func TestMethodMistakesAreNamed(t *testing.T) {
	for _, tt := range []struct {
		method string
		change func(*recipe.Config)
		want   string
	}{
		{"wmse", func(c *recipe.Config) { c.Expander = "16-5" }, "sub-batch of 8 is under twice the embedding width of 5"},
		{"moco-v2", func(c *recipe.Config) { c.Queue.Size = 20 }, "queue of 20 keys must be a multiple of the batch of 8"},
		{"moco-v2", func(c *recipe.Config) { c.Queue.Size = 0 }, "queue of 0 keys"},
		{"deepcluster", func(c *recipe.Config) { c.Prototypes.Counts = []int{5, 41} }, "head 2 of DeepCluster has 41 prototypes for 40 images"},
		{"swav", func(c *recipe.Config) { c.Prototypes.Counts = []int{43} }, "43 prototypes for 42 images"},
		{"swav", func(c *recipe.Config) { c.Prototypes.Counts = []int{5, 5} }, "one clustering"},
		{"swav", func(c *recipe.Config) { c.Queue.Start = 3 }, "queue start is 3, but must be before the run ends, after 3 epochs"},
		{"swav", func(c *recipe.Config) { c.Queue.Size = 20 }, "must be a multiple of the batch"},
		{"simclr", func(c *recipe.Config) { c.Temperature = 0 }, "temperature is 0, but must be above 0"},
		{"byol", func(c *recipe.Config) { c.Branches = "separate" }, "method byol cannot have separate branches: its target is a moving average"},
		{"byol", func(c *recipe.Config) { c.Heads.StopGradient = false }, "momentum encoder, which never gets a gradient"},
		{"byol", func(c *recipe.Config) { c.Heads.Predictor = "8-x" }, `predictor "8-x" is not a list of widths`},
		{"simclr", func(c *recipe.Config) { c.Heads.Predictor = "8" }, "method simclr has no predictor"},
		{"vicreg", func(c *recipe.Config) { c.Regularize.Variance = 1 }, "set mu and nu instead"},
		{"vicreg", func(c *recipe.Config) { c.Views = append(c.Views, c.Views[0]) }, "there are 3 views"},
		{"simsiam", func(c *recipe.Config) { c.Regularize.Covariance = -1 }, "regularize covariance is -1"},
	} {
		c := methodConfig(t, tt.method)
		tt.change(&c)
		if _, err := pretrain(c, &breaker{}); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v, want %s", tt.method, err, tt.want)
		}
	}
}

func float32Bytes(v []float32) []byte {
	var b bytes.Buffer
	if err := binary.Write(&b, binary.LittleEndian, v); err != nil {
		panic(err)
	}
	return b.Bytes()
}

// Without what keeps it from collapsing a method collapses, and that is named,
// though its loss sees unit rows alone; with variance and covariance on top it
// does not (paper, table 4).
func TestCollapseOfUnitRows(t *testing.T) {
	for _, reg := range []recipe.Regularize{{}, {Variance: 5, Covariance: 5}} {
		c := methodConfig(t, "simsiam")
		c.Heads.StopGradient, c.Heads.Predictor, c.Heads.Norm = false, recipe.None, false
		c.Regularize = reg
		c.Epochs, c.Warmup, c.Optimizer.BaseLR = 20, 0, 0.5
		b := &breaker{}
		s, err := pretrain(c, b)
		if err != nil {
			t.Fatal(err)
		}
		t.Logf("%v: std %v, correlation %v, rank %v", reg, s.EmbeddingStd, s.Correlation, s.Rank)
		if said := strings.Contains(strings.Join(b.warnings, " "), "collapsed"); s.Collapsed == reg.On() || !said && !reg.On() {
			t.Errorf("%v: std %v, correlation %v, rank %v, collapsed %v, warnings %q", reg, s.EmbeddingStd, s.Correlation, s.Rank, s.Collapsed, b.warnings)
		}
	}
}
