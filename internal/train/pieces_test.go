package train

import (
	"bytes"
	"errors"
	"path/filepath"
	"strings"
	"testing"

	"vicreg/internal/device/far"
	"vicreg/internal/parallel"
)

// A run whose batches go through in pieces ends with the same bits if it is stopped and goes
// on with another number of workers, or on another device.
func TestPiecesResume(t *testing.T) {
	defer parallel.SetWorkers(0)
	for _, method := range []string{"vicreg", "byol", "swav"} {
		t.Run(method, func(t *testing.T) {
			c := methodConfig(t, method)
			whole := c
			c.MicroBatch = 3
			run := func(stop int, then Options) ([]byte, string) {
				c.Out = filepath.Join(t.TempDir(), "run")
				_, err := pretrain(c, &breaker{step: stop})
				if stop > 0 {
					if !errors.Is(err, ErrInterrupted) {
						t.Fatal(err)
					}
					_, err = Resume(t.Context(), c.Out, then)
				}
				if err != nil {
					t.Fatal(err)
				}
				return result(t, c.Out)
			}
			model, metrics := run(0, Options{})
			state := arrays(t, c.Out)
			d := far.New()
			defer d.Close()
			for _, o := range []Options{{Threads: 1}, {Device: d}} {
				again, lines := run(7, o)
				// A warning that the device changed comes last.
				if !bytes.Equal(model, again) || !strings.HasPrefix(lines, metrics) {
					t.Errorf("resumed with %+v it ends with other bits:\n%s\n%s", o, metrics, lines)
				}
				for name, values := range arrays(t, c.Out) {
					if !bytes.Equal(values, state[name]) {
						t.Errorf("%s differs", name)
					}
				}
			}
			if d.Met == 0 {
				t.Error("no view had gone up ahead")
			}
			whole.Out = filepath.Join(t.TempDir(), "run")
			if _, err := pretrain(whole, &breaker{}); err != nil {
				t.Fatal(err)
			}
			if other, _ := result(t, whole.Out); bytes.Equal(other, model) {
				t.Error("batches in pieces have the statistics of whole ones")
			}
		})
	}
}
