package train

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"vicreg/internal/recipe"
	"vicreg/internal/runlog"
)

// corrupt flips a bit of a file, at a place from its end.
func corrupt(t *testing.T, path string, fromEnd int) {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	b[len(b)-fromEnd] ^= 1
	if err := os.WriteFile(path, b, 0o644); err != nil {
		t.Fatal(err)
	}
}

// A model of a finished run that is damaged is written anew from the checkpoint, which has
// its weights, before anything replaces that.
func TestADamagedModelIsWrittenAnew(t *testing.T) {
	c := config(t)
	c.Branches = "separate"
	if _, err := pretrain(c, &breaker{}); err != nil {
		t.Fatal(err)
	}
	for _, name := range runlog.ModelFiles {
		good, err := os.ReadFile(filepath.Join(c.Out, name))
		if err != nil {
			t.Fatal(err)
		}
		for _, epochs := range []int{0, 3} { // 0: as many as it has
			for what, damage := range map[string]func(path string){
				"flipped": func(path string) { corrupt(t, path, 100) },
				"cut":     func(path string) { os.Truncate(path, int64(len(good)-1)) },
			} {
				folder := copied(t, c.Out)
				damage(filepath.Join(folder, name))
				b := &breaker{}
				if _, err := extend(t, folder, epochs, b); err != nil {
					t.Fatalf("%s, %s: %v", name, what, err)
				}
				if want := name + " was damaged; it is written anew, from the checkpoint"; !slices.Contains(b.warnings, want) {
					t.Errorf("%s, %s, %d epochs: warnings %q, want %s", name, what, epochs, b.warnings, want)
				}
				if epochs > 0 {
					folder = filepath.Join(folder, "epochs-2")
				}
				if raw, _ := os.ReadFile(filepath.Join(folder, name)); !bytes.Equal(raw, good) {
					t.Errorf("%s, %s, %d epochs: the model is not the one that the run ended with", name, what, epochs)
				}
			}
		}
	}
}

// Where a damaged model cannot be written anew, or what stands there may be another's, the run
// stays as it is.
func TestAModelThatIsLostIsNotKept(t *testing.T) {
	c := config(t)
	if _, err := pretrain(c, &breaker{}); err != nil {
		t.Fatal(err)
	}
	model := func(folder string) string { return filepath.Join(folder, runlog.ModelFile) }
	for want, damage := range map[string]func(folder string){
		"its model.safetensors is damaged and cannot be written anew": func(folder string) {
			corrupt(t, model(folder), 100)
			corrupt(t, filepath.Join(folder, runlog.CheckpointFile), 100)
		},
		"model.safetensors is not the one that this run wrote; move it away, and --resume ": func(folder string) {
			os.WriteFile(model(folder), []byte("mine"), 0o644)
		},
	} {
		folder := copied(t, c.Out)
		damage(folder)
		before, _ := os.ReadFile(model(folder))
		point, _ := os.ReadFile(filepath.Join(folder, runlog.CheckpointFile))
		if _, err := extend(t, folder, 3, &breaker{}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %s", err, want)
		}
		after, _ := os.ReadFile(model(folder))
		now, _ := os.ReadFile(filepath.Join(folder, runlog.CheckpointFile))
		if !bytes.Equal(before, after) || !bytes.Equal(now, point) {
			t.Error("a file was replaced")
		}
		if s, err := runlog.ReadSummary(folder); err != nil || s.Epochs != 2 {
			t.Errorf("the run has not ended any more: %v", err)
		}
	}
}

// What a run kept of itself is swept in its own folder alone, whatever its name.
func TestOnlyOwnFoldersAreSwept(t *testing.T) {
	parent := t.TempDir()
	for _, name := range []string{"r*", "rA", "r[A]"} {
		if err := os.MkdirAll(filepath.Join(parent, name, keeping+"1"), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"r*", "r[A]"} {
		(&run{folder: filepath.Join(parent, name)}).sweep()
		if left, err := os.ReadDir(filepath.Join(parent, name)); err != nil || len(left) > 0 {
			t.Errorf("%s: left %v, %v", name, left, err)
		}
	}
	if _, err := os.Stat(filepath.Join(parent, "rA", keeping+"1")); err != nil {
		t.Errorf("another run's was swept: %v", err)
	}
}

// A run takes its model for its own whatever its data's folder is called, and after that was
// moved.
func TestTheNameOfTheDataDoesNotMatter(t *testing.T) {
	c := config(t)
	parent := t.TempDir()
	odd, moved := filepath.Join(parent, "d\xff"), filepath.Join(parent, "moved")
	if err := os.CopyFS(odd, os.DirFS(photos(t, 30))); err != nil {
		t.Skipf("there are no such names here: %v", err)
	}
	c.Data.Source = odd
	for _, step := range []int{2, 4} {
		resume := func() error { _, err := extend(t, c.Out, 0, &breaker{step: step}); return err }
		if step == 2 {
			resume = func() error { _, err := pretrain(c, &breaker{step: step}); return err }
		}
		if err := resume(); !errors.Is(err, ErrInterrupted) {
			t.Fatalf("stopped at step %d: %v", step, err)
		}
	}
	if err := os.Rename(odd, moved); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(c.Out, runlog.ConfigFile)
	there, err := recipe.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	there.Data.Source = moved
	raw, err := there.YAML()
	if err == nil {
		err = os.WriteFile(path, raw, 0o644)
	}
	if err == nil {
		_, err = Resume(t.Context(), c.Out, Options{})
	}
	if err != nil {
		t.Fatal(err)
	}
	c.Data.Source = moved
	stopped := c.Out
	c.Out = filepath.Join(t.TempDir(), "run")
	if _, err := pretrain(c, &breaker{}); err != nil {
		t.Fatal(err)
	}
	a, err := os.ReadFile(filepath.Join(stopped, runlog.ModelFile))
	if b, _ := os.ReadFile(filepath.Join(c.Out, runlog.ModelFile)); err != nil || !bytes.Equal(a, b) {
		t.Error("the run ends with another model than one whose data was not moved")
	}
}
