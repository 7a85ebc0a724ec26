package train

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"vicreg/internal/device"
	"vicreg/internal/device/far"
)

// A run on a device whose memory the host cannot touch ends with the model and the
// figures of one on the CPU, also if it was stopped and resumed there: parameters and
// state cross in checkpoints, features for scores. So does one on a device that stores
// activations as bfloat16, if that loses nothing.
func TestFarDevice(t *testing.T) {
	defer func(was bool) { device.KeepHalf = was }(device.KeepHalf)
	device.KeepHalf = false // what the devices are compared with
	t.Run("float32", func(t *testing.T) { onFar(t, far.New) })
	t.Run("bf16", func(t *testing.T) { onFar(t, far.NewExact) })
}

func onFar(t *testing.T, open func() *far.Device) {
	c := config(t)
	_, c.Precision, _ = strings.Cut(t.Name(), "/")
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
		d := open()
		defer d.Close()
		farModel, farMetrics := run(d, stop)
		if d.Held != 0 {
			t.Errorf("stopped at step %d: %d arrays were not given back", stop, d.Held)
		}
		if d.Met < 2*10 {
			t.Errorf("stopped at step %d: %d views had gone up ahead", stop, d.Met)
		}
		if !bytes.Equal(model, farModel) {
			t.Errorf("stopped at step %d: the model differs", stop)
		}
		if metrics != farMetrics {
			t.Errorf("stopped at step %d: the metrics differ:\n%s\n%s", stop, metrics, farMetrics)
		}
	}
}

// full is a device's memory at its end.
type full struct{}

func (full) Error() string     { return "far: no memory for 3 GiB" }
func (full) OutOfMemory() bool { return true }

// A run whose device fails, wherever that is, ends with one sentence that says what is
// saved, and ends on the processor when it is resumed.
func TestDeviceFails(t *testing.T) {
	c := config(t)
	c.Batch, c.CheckpointMinutes = 16, 1e-9
	count := far.New()
	defer count.Close()
	c.Out = filepath.Join(t.TempDir(), "run")
	if _, _, err := Pretrain(context.Background(), c, Options{Device: count}); err != nil {
		t.Fatal(err)
	}
	for _, fault := range []error{errors.New("far: the card is lost"), full{}} {
		for part := range 5 {
			c.Out = filepath.Join(t.TempDir(), "run")
			d := far.New()
			d.Fault, d.Lost, d.FailAt = fault, fault != full{}, 1+(2*part+1)*count.Calls/10
			folder, s, err := Pretrain(context.Background(), c, Options{Device: d})
			where := fmt.Sprintf("%v at call %d of %d", fault, d.FailAt, count.Calls)
			if err == nil { // it failed once, where memory goes back
				if d.Lost {
					t.Errorf("%s: the run ended with %v", where, s)
				}
				continue
			}
			wants := []string{fault.Error()}
			if folder != "" { // else steps were timed
				wants = append(wants, "checkpoint", "--resume "+folder)
			}
			if !d.Lost {
				wants = append(wants, "a batch of ", " would fit")
			}
			for _, want := range wants {
				if !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "\n") {
					t.Errorf("%s: %q does not say %q", where, err, want)
				}
			}
			if folder == "" {
				continue
			}
			s, err = Resume(context.Background(), folder, Options{})
			if err != nil || s.Steps != 4 || s.KNN == nil || s.Device != "" {
				t.Errorf("%s: resumed: %v, %v", where, s, err)
			}
			d.Close()
		}
	}
}
