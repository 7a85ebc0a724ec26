package train

import (
	"bytes"
	"context"
	"errors"
	"path/filepath"
	"testing"

	"vicreg/internal/device"
	"vicreg/internal/device/far"
)

// A run on a device whose memory the host cannot touch ends with the model and the
// figures of one on the CPU, also if it was stopped and resumed there: parameters and
// state cross in checkpoints, features for scores.
func TestFarDevice(t *testing.T) {
	c := config(t)
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
			_, err = Resume(context.Background(), folder, Options{Device: d})
		}
		if err != nil {
			t.Fatal(err)
		}
		return result(t, folder)
	}
	model, metrics := run(nil, 0)
	for _, stop := range []int{0, 7} {
		d := far.New()
		defer d.Close()
		farModel, farMetrics := run(d, stop)
		if !bytes.Equal(model, farModel) {
			t.Errorf("stopped at step %d: the model differs", stop)
		}
		if metrics != farMetrics {
			t.Errorf("stopped at step %d: the metrics differ:\n%s\n%s", stop, metrics, farMetrics)
		}
	}
}
