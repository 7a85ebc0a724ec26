package train

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"vicreg/internal/pretrained"
	"vicreg/internal/recipe"
	"vicreg/internal/runlog"
	"vicreg/internal/safetensors"
)

// origin is a run to start others from.
func origin(t *testing.T, branches string) recipe.Config {
	t.Helper()
	c := config(t)
	c.Branches, c.Epochs = branches, 1
	if _, err := pretrain(c, &breaker{}); err != nil {
		t.Fatal(err)
	}
	return c
}

// from is a run of a step so small that it changes no weight.
func from(t *testing.T, path, method string) recipe.Config {
	t.Helper()
	c, err := From(methodConfig(t, method), path)
	if err != nil {
		t.Fatal(err)
	}
	c.Seed, c.Epochs, c.Warmup, c.Optimizer.BaseLR = 7, 1, 0, 1e-30
	return c
}

func arraysOf(t *testing.T, path string) *safetensors.File {
	t.Helper()
	f, err := safetensors.Read(path)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// A run begins with the weights it is to start from, those of its momentum encoder
// included.
func TestInit(t *testing.T) {
	for _, branches := range []string{"shared", "separate"} {
		old := origin(t, branches)
		for _, method := range []string{"vicreg", "byol"} {
			if method == "byol" && branches == "separate" {
				continue
			}
			c := from(t, old.Out, method)
			s, err := pretrain(c, &breaker{})
			if err != nil {
				t.Fatal(err)
			}
			names := runlog.ModelFiles[:1]
			if branches == "separate" {
				names = runlog.ModelFiles[:2]
			}
			for _, name := range names {
				was, is := arraysOf(t, filepath.Join(old.Out, name)), arraysOf(t, filepath.Join(c.Out, name))
				for _, info := range was.Tensors {
					if !strings.HasSuffix(info.Name, "weight") || strings.HasPrefix(info.Name, "expander.") && method != "vicreg" {
						continue
					}
					a, _ := was.Float32(info.Name)
					b, _ := is.Float32(info.Name)
					if !slices.Equal(a, b) {
						t.Errorf("%s, %s: %s of %s is another", branches, method, info.Name, name)
					}
				}
			}
			if method == "byol" {
				f := arraysOf(t, filepath.Join(c.Out, runlog.CheckpointFile))
				for _, name := range []string{"backbone.conv1.weight", "backbone.layer2.0.bn1.weight"} {
					a, err := f.Float32(name)
					b, err2 := f.Float32(methodPrefix + "momentum." + name)
					near := func(x, y float32) int { // it follows by rounded steps
						if x-y < 1e-6 && y-x < 1e-6 {
							return 0
						}
						return 1
					}
					if err != nil || err2 != nil || slices.CompareFunc(a, b, near) != 0 {
						t.Errorf("%s differs in the momentum encoder: %v, %v", name, err, err2)
					}
				}
			}
			what := "starts from the encoder and the expander of " + filepath.Join(old.Out, runlog.ModelFile) + ", step 5"
			if method == "byol" {
				what = "starts from the encoder of " + filepath.Join(old.Out, runlog.ModelFile) + ", step 5; the expander, which is another, starts untrained; kNN of these weights is "
			}
			if len(s.Notes) == 0 || !strings.HasPrefix(s.Notes[0], what) {
				t.Errorf("%s, %s: notes %q", branches, method, s.Notes)
			}
			if m, err := pretrained.Open(c.Out, 0); err != nil || !strings.HasPrefix(m.Init, "crc32c ") || len(m.Notes) > 0 {
				t.Errorf("the model says %q, %v", m.Init, err)
			}
		}
	}
}

// Once a run has begun, it does without what it started from.
func TestInitIsNeededOnce(t *testing.T) {
	old := origin(t, "shared")
	c := from(t, filepath.Join(old.Out, runlog.ModelFile), "vicreg")
	c.Optimizer.BaseLR, c.Epochs = 0.1, 2
	if _, err := pretrain(c, &breaker{}); err != nil {
		t.Fatal(err)
	}
	model, metrics := result(t, c.Out)
	raw, err := os.ReadFile(c.Init.Path)
	if err != nil {
		t.Fatal(err)
	}
	for _, b := range []breaker{{step: 1}, {step: 7}, {phase: "looking at the images"}} {
		c.Out = filepath.Join(t.TempDir(), "run")
		if _, err := pretrain(c, &b); !errors.Is(err, ErrInterrupted) {
			t.Fatal(err)
		}
		if b.phase == "" {
			os.Remove(c.Init.Path)
		} else {
			other := from(t, old.Out, "vicreg")
			if _, err := pretrain(other, &breaker{}); err != nil {
				t.Fatal(err)
			}
			if err := os.Rename(filepath.Join(other.Out, runlog.ModelFile), c.Init.Path); err != nil {
				t.Fatal(err)
			}
			if _, err := Resume(t.Context(), c.Out, Options{}); err == nil ||
				!strings.Contains(err.Error(), c.Init.Path+" is not the model that the run is to start from: its checksum is ") {
				t.Errorf("another model: %v", err)
			}
			os.WriteFile(c.Init.Path, raw, 0o644)
		}
		if _, err := Resume(t.Context(), c.Out, Options{}); err != nil {
			t.Fatal(err)
		}
		if got, lines := result(t, c.Out); !bytes.Equal(got, model) || lines != metrics {
			t.Errorf("stopped at step %d %s, it ends otherwise", b.step, b.phase)
		}
		os.WriteFile(c.Init.Path, raw, 0o644)
	}
}

func TestInitThatDoesNotFit(t *testing.T) {
	old := origin(t, "shared")
	for want, change := range map[string]func(*recipe.Config){
		"the width of " + old.Out + " is 4, and that of this run is 8":                 func(c *recipe.Config) { c.Encoder.Width = 8 },
		"the encoder of " + old.Out + " is resnet10, and that of this run is resnet18": func(c *recipe.Config) { c.Encoder.Arch = "resnet18" },
		"has the weights of one branch, and this run has separate branches":            func(c *recipe.Config) { c.Branches = "separate" },
		"its conv1.weight is [4 1 3 3], and that of this run is [4 3 3 3]":             func(c *recipe.Config) { c.Channels, c.Normalize = 3, recipe.Normalize{} },
		"is not the model that the run is to start from":                               func(c *recipe.Config) { c.Init = &recipe.Init{Path: old.Out, Sum: "12345678"} },
		"there is no run folder or model " + old.Out + "2":                             func(c *recipe.Config) { c.Init = &recipe.Init{Path: old.Out + "2"} },
	} {
		c := from(t, old.Out, "vicreg")
		change(&c)
		if _, err := pretrain(c, &breaker{}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %s", err, want)
		}
	}
	c := from(t, old.Out, "vicreg")
	c.Size = 16 // a ResNet takes any
	if _, err := pretrain(c, &breaker{}); err != nil {
		t.Error(err)
	}
}
