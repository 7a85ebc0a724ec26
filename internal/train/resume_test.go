package train

import (
	"bytes"
	"encoding/json"
	"errors"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"vicreg/internal/cpu"
	"vicreg/internal/kernel/winograd"
	"vicreg/internal/runlog"
	"vicreg/internal/safetensors"
)

// edit changes the state in a checkpoint, with checksums that are right again.
func edit(t *testing.T, path string, change map[string]any) {
	t.Helper()
	f, err := safetensors.Read(path)
	if err != nil {
		t.Fatal(err)
	}
	const key = "vicreg.state"
	state := map[string]any{}
	if err := json.Unmarshal([]byte(f.Metadata[key]), &state); err != nil {
		t.Fatal(err)
	}
	for k, v := range change {
		if _, ok := state[k]; !ok {
			t.Fatalf("the state has no %s", k)
		}
		state[k] = v
	}
	raw, err := json.Marshal(state)
	if err != nil {
		t.Fatal(err)
	}
	var tensors []safetensors.Tensor
	for _, info := range f.Tensors {
		v, err := f.Float32(info.Name)
		if err != nil {
			t.Fatal(err)
		}
		tensors = append(tensors, safetensors.Tensor{Name: info.Name, Shape: info.Shape, Data: v})
	}
	if err := safetensors.WriteSealedFile(path, tensors,
		map[string]string{"format": f.Metadata["format"], key: string(raw)}); err != nil {
		t.Fatal(err)
	}
}

// A checkpoint that was changed by hand to what no run comes to is refused.
func TestImpossiblePositions(t *testing.T) {
	c := config(t)
	if _, err := pretrain(c, &breaker{step: 7}); !errors.Is(err, ErrInterrupted) { // 2 epochs of 5
		t.Fatal(err)
	}
	path := filepath.Join(c.Out, runlog.CheckpointFile)
	good, _ := os.ReadFile(path)
	metrics, _ := os.ReadFile(filepath.Join(c.Out, runlog.MetricsFile))
	for _, tt := range []struct {
		change map[string]any
		want   string
	}{
		{map[string]any{"epoch": 99}, "it is in epoch 100 of 2"},
		{map[string]any{"step": -3}, "its step of the epoch is -3"},
		{map[string]any{"step": 6, "steps": 11}, "it has done 6 steps of an epoch of 5"},
		{map[string]any{"epoch": 2, "steps": 12}, "it has done 2 steps after the last epoch"},
		{map[string]any{"steps": 8}, "it has done 8 steps, but 1 epochs of 5 and 2 more are 7"},
		{map[string]any{"steps": -7}, "its step is -7"},
		{map[string]any{"metrics_size": -1}, "its size of the metrics is -1"},
		{map[string]any{"metrics_size": min(1<<40, math.MaxInt)}, "fewer than the 1099511627776 it had at the checkpoint"},
		{map[string]any{"train_seconds": -1}, "its time in steps is -1 seconds"},
		{map[string]any{"terms": []any{}}, "it sums 0 terms, but the loss has 3"},
		{map[string]any{"terms": []map[string]any{{"Name": "cosine"}, {"Name": "variance"}, {"Name": "covariance"}}}, `it sums a term "cosine" where the loss has "invariance"`},
		{map[string]any{"bad_train": []map[string]any{{"name": "nobody"}}}, "1 of its 1 bad images are not among the data"},
		{map[string]any{"last_epoch": map[string]any{"epoch": 2, "step": 10}}, "its last epoch is 2, but it has done 1"},
	} {
		os.WriteFile(path, good, 0o644)
		edit(t, path, tt.change)
		before, _ := os.ReadFile(path)
		_, err := Resume(t.Context(), c.Out, Options{})
		if err == nil || !strings.Contains(err.Error(), tt.want) || !strings.Contains(err.Error(), c.Out) {
			t.Errorf("%v: %v, want %s", tt.change, err, tt.want)
		}
		if after, _ := os.ReadFile(path); !bytes.Equal(after, before) {
			t.Errorf("%v: the checkpoint was replaced", tt.change)
		}
		if now, _ := os.ReadFile(filepath.Join(c.Out, runlog.MetricsFile)); !bytes.Equal(now, metrics) {
			t.Errorf("%v: the metrics were changed", tt.change)
		}
	}
	os.WriteFile(path, good, 0o644)
	edit(t, path, nil)
	if _, err := Resume(t.Context(), c.Out, Options{}); err != nil {
		t.Errorf("nothing changed: %v", err)
	}
}

// plain returns messages without those that any run of a few steps has: advice on its
// steps, and what is said of its scores.
func plain(messages []string) []string {
	return slices.DeleteFunc(slices.Clone(messages), func(m string) bool {
		for _, usual := range []string{"the untrained encoder's", " images has only ", " in all, and an encoder hardly learns",
			"are left out of each epoch"} {
			if strings.Contains(m, usual) {
				return true
			}
		}
		return false
	})
}

// A run that goes on with other kernels says so, and keeps it.
func TestOtherKernels(t *testing.T) {
	c := smallest(t)
	if _, err := pretrain(c, &breaker{step: 1}); !errors.Is(err, ErrInterrupted) {
		t.Fatal(err)
	}
	first := hostVariant(c)
	defer winograd.Set(winograd.Set(false))
	second := hostVariant(c)
	if second != first+" without Winograd" {
		t.Fatalf("without Winograd the variant is %q", second)
	}
	b := &breaker{step: 1}
	s, err := Resume(t.Context(), c.Out, Options{Reporter: b})
	if err != nil {
		t.Fatal(err)
	}
	want := "up to step 1 the run used the kernels of " + first + ", from there on those of " + second
	b.warnings, s.Notes = plain(b.warnings), plain(s.Notes)
	if len(b.warnings) != 1 || !strings.HasPrefix(b.warnings[0], want) || !slices.Equal(s.Notes, b.warnings) ||
		!slices.Equal(s.Variants, []string{first, second}) {
		t.Errorf("warnings %q, notes %q, variants %q", b.warnings, s.Notes, s.Variants)
	}
	m, err := runlog.ReadMetrics(c.Out)
	if err != nil || len(m.Warnings) == 0 || m.Warnings[0].Message != b.warnings[0] {
		t.Errorf("metrics: %v, %v", m.Warnings, err)
	}
}

// A run that goes on in another variant says in what way.
func TestMoved(t *testing.T) {
	const turbo, card = ", JPEG by libjpeg-turbo", "cuda X in tf32 beside avx2"
	for _, c := range []struct{ last, now, want string }{
		{"avx512", "avx2", "up to step 7 the run used the kernels of avx512, from there on those of avx2: "},
		{"avx512", "avx512 r2", "up to step 7 the run used the kernels of another version of vicreg, avx512, from there on those of this one, avx512 r2: they add in another order, "},
		{"avx2 r2 without Winograd", "avx2 r13 without Winograd", "up to step 7 the run used the kernels of another version of vicreg, avx2 r2 without Winograd, "},
		{"avx2", "plain r2", "up to step 7 the run used the kernels of avx2, from there on those of plain r2: it ends"},
		{card, card + " r2", "up to step 7 the run used the kernels of another version of vicreg, "},
		{"avx512", "avx512" + turbo, "up to step 7 the run's JPEG files were read by Go's decoder, from there on by libjpeg-turbo: "},
		{card + turbo, card, "up to step 7 the run's JPEG files were read by libjpeg-turbo, from there on by Go's decoder: "},
		{"avx2", card + turbo, "up to step 7 the run was computed on avx2, from there on on " + card + turbo + ": "},
		{"avx512", "avx2" + turbo, "up to step 7 the run used the kernels of avx512, from there on those of avx2" + turbo + ": "},
	} {
		if got := moved(7, c.last, c.now); !strings.HasPrefix(got, c.want) || !strings.Contains(got, "ends with other bits") {
			t.Errorf("%s, then %s: %s", c.last, c.now, got)
		}
	}
}

// What of the configuration may change is named all the same.
func TestAChangedConfigurationIsNamed(t *testing.T) {
	c := smallest(t)
	if _, err := pretrain(c, &breaker{step: 1}); !errors.Is(err, ErrInterrupted) {
		t.Fatal(err)
	}
	path := filepath.Join(c.Out, runlog.ConfigFile)
	yaml, _ := os.ReadFile(path)
	os.WriteFile(path, bytes.Replace(yaml, []byte("  k: 20"), []byte("  k: 5"), 1), 0o644)
	b := &breaker{}
	s, err := Resume(t.Context(), c.Out, Options{Reporter: b})
	if err != nil || len(plain(s.Notes)) != 1 || !strings.Contains(s.Notes[0], "config.yaml was changed after step 1, but in nothing that training depends on") {
		t.Errorf("%v, warnings %q", err, b.warnings)
	}
}

// A folder that something was taken from is not begun anew.
func TestNothingIsBegunAnew(t *testing.T) {
	c := smallest(t)
	if _, err := pretrain(c, &breaker{}); err != nil {
		t.Fatal(err)
	}
	files := runlog.Present(c.Out)
	saved := map[string][]byte{}
	for _, name := range files {
		saved[name], _ = os.ReadFile(filepath.Join(c.Out, name))
	}
	// Every part of what is there, but for the checkpoint and the summary.
	rest := slices.DeleteFunc(slices.Clone(files), func(name string) bool {
		return name == runlog.ConfigFile || name == runlog.CheckpointFile || name == runlog.SummaryFile
	})
	if len(rest) != 3 {
		t.Fatalf("there are %q", files)
	}
	for set := 1; set < 1<<len(rest); set++ {
		kept := []string{runlog.ConfigFile}
		for i, name := range rest {
			if set>>i&1 == 1 {
				kept = append(kept, name)
			}
		}
		for _, name := range files {
			os.Remove(filepath.Join(c.Out, name))
		}
		for _, name := range kept {
			os.WriteFile(filepath.Join(c.Out, name), saved[name], 0o644)
		}
		_, err := Resume(t.Context(), c.Out, Options{})
		if err == nil || !strings.Contains(err.Error(),
			"there is no checkpoint "+filepath.Join(c.Out, runlog.CheckpointFile)) || !strings.Contains(err.Error(), "the run is not begun anew") {
			t.Errorf("%q: %v", kept, err)
		}
		if slices.Contains(kept, runlog.PreviousFile) != strings.Contains(err.Error(), "the one before it, after step 2, is whole: mv ") {
			t.Errorf("%q: %v", kept, err)
		}
		for _, name := range kept {
			if now, _ := os.ReadFile(filepath.Join(c.Out, name)); !bytes.Equal(now, saved[name]) {
				t.Errorf("%q: %s was changed", kept, name)
			}
		}
		if now := runlog.Present(c.Out); len(now) != len(kept) {
			t.Errorf("%q: there are %q", kept, now)
		}
	}
}

// Tiles multiply bfloat16 alone, so with float32 the kernels are those of AVX-512, which a
// run may have begun with.
func TestTilesInFloat32(t *testing.T) {
	if runtime.GOARCH != "amd64" {
		t.Skip("no tiles here")
	}
	defer func(was bool) { cpu.AMX = was }(cpu.AMX)
	cpu.AMX = true
	c := smallest(t)
	for precision, want := range map[string]string{
		"float32": "avx512" + revision, "bf16": cpu.Variant() + revision + " with bfloat16 activations",
	} {
		c.Precision = precision
		if got := strings.TrimSuffix(hostVariant(c), " and float32 products"); got != want {
			t.Errorf("%s: kernels of %q, want %q", precision, got, want)
		}
	}
}
