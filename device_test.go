package vicreg_test

import (
	"context"
	"strings"
	"testing"

	"vicreg"
)

// A device that there is not is an error of whatever would compute on it.
func TestNoSuchDevice(t *testing.T) {
	c, err := vicreg.Recipe("")
	if err != nil {
		t.Fatal(err)
	}
	c.Out = t.TempDir() + "/run"
	c.Data.Limit, c.Batch, c.Epochs, c.Encoder.Width, c.Expander, c.Size = 40, 8, 1, 2, "8-8", 12
	ctx := context.Background()
	none := vicreg.WithDevice("gpu")
	calls := map[string]func() error{
		"Pretrain": func() error { _, err := vicreg.Pretrain(ctx, c, none); return err },
		"Preview":  func() error { _, err := vicreg.Preview(ctx, c, none); return err },
		"Resume":   func() error { _, err := vicreg.Resume(ctx, c.Out, none); return err },
	}
	run, err := vicreg.Pretrain(ctx, c, vicreg.WithDevice("cpu"))
	if err != nil {
		t.Fatal(err)
	}
	m, err := vicreg.Open(run.Folder)
	if err != nil {
		t.Fatal(err)
	}
	data := vicreg.Data{Source: "sample", Limit: 8, Holdout: 0.5}
	calls["On"] = func() error { _, err := m.On("gpu"); return err }
	calls["EmbedData"] = func() error {
		_, err := m.EmbedData(ctx, data, vicreg.EmbedOptions{Device: "gpu"})
		return err
	}
	calls["Evaluate"] = func() error {
		_, err := m.Evaluate(ctx, data, vicreg.EvalOptions{Device: "gpu"})
		return err
	}
	calls["Judge"] = func() error {
		_, err := m.Judge(ctx, data, vicreg.EvalOptions{Device: "gpu"})
		return err
	}
	for name, call := range calls {
		if err := call(); err == nil || !strings.Contains(err.Error(), "there is no device gpu; known: cpu, cuda") {
			t.Errorf("%s: %v", name, err)
		}
	}
	if at, err := m.On("cpu"); err != nil {
		t.Error(err)
	} else if x, err := at.EmbedData(ctx, data, vicreg.EmbedOptions{Device: "cpu"}); err != nil || len(x.Features) != 8 {
		t.Errorf("on the processor by name: %v", err)
	}
}
