package train

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"vicreg/internal/durable"
	"vicreg/internal/tensorboard"
)

// TensorBoard is told of a run that is stopped and goes on, in a file for each part, and the
// run ends with the bits that it has without.
func TestTensorBoardChangesNothing(t *testing.T) {
	c := config(t)
	if _, err := pretrain(c, &breaker{}); err != nil {
		t.Fatal(err)
	}
	want, metrics := result(t, c.Out)
	if _, err := os.Stat(filepath.Join(c.Out, tensorboard.Folder)); err == nil {
		t.Error("there is a folder for TensorBoard, which nobody asked for")
	}
	c.Out = filepath.Join(t.TempDir(), "board")
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	_, _, err := Pretrain(ctx, c, Options{Reporter: &breaker{step: 7, cancel: cancel}, TensorBoard: true})
	if !errors.Is(err, ErrInterrupted) {
		t.Fatal(err)
	}
	if _, err := Resume(t.Context(), c.Out, Options{}); err != nil {
		t.Fatal(err)
	}
	got, others := result(t, c.Out)
	if !bytes.Equal(got, want) || others != metrics {
		t.Error("the run ends with other bits")
	}
	files, err := filepath.Glob(filepath.Join(c.Out, tensorboard.Folder, "events.out.tfevents.*"))
	if err != nil || len(files) != 2 {
		t.Fatalf("event files are %v, %v", files, err)
	}
	slices.Sort(files)
	for i, tags := range [][]string{
		{"step/loss", "step/invariance", "epoch/kNN", "epoch/effective rank", "views/1", "views/2", "\x89PNG"},
		{"step/loss", "epoch/views that find each other", "embedding/standard deviations"},
	} {
		b, err := os.ReadFile(files[i])
		if err != nil {
			t.Fatal(err)
		}
		for _, tag := range tags {
			if !bytes.Contains(b, []byte(tag)) {
				t.Errorf("file %d lacks %q", i+1, tag)
			}
		}
		if i == 1 && bytes.Contains(b, []byte("views/1")) {
			t.Error("views are shown again")
		}
	}
}

// A disk that fails where events go leaves the run alone.
func TestTensorBoardIsNeverInTheWay(t *testing.T) {
	c := smallest(t)
	if _, err := pretrain(c, &breaker{}); err != nil {
		t.Fatal(err)
	}
	want, _ := result(t, c.Out)
	for _, failing := range []string{"create", "write"} {
		c.Out = filepath.Join(t.TempDir(), "run")
		restore := durable.Inject(func(op, path string) error {
			if op == failing && strings.Contains(path, "tfevents") {
				return syscall.ENOSPC
			}
			return nil
		})
		b := &breaker{}
		_, _, err := Pretrain(t.Context(), c, Options{Reporter: b, TensorBoard: true})
		restore()
		if err != nil {
			t.Fatalf("%s: %v", failing, err)
		}
		told := slices.DeleteFunc(b.warnings, func(w string) bool {
			return !strings.HasPrefix(w, "TensorBoard is told no more")
		})
		if len(told) != 1 || !strings.Contains(told[0], "the disk is full") {
			t.Errorf("%s: warnings are %q", failing, b.warnings)
		}
		if got, _ := result(t, c.Out); !bytes.Equal(got, want) {
			t.Errorf("%s: the run ends with other bits", failing)
		}
	}
}
