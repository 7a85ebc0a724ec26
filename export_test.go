package vicreg_test

import (
	"context"
	"image"
	"image/color"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"vicreg"
	"vicreg/internal/onnx"
)

// A graph reads a picture as other programs hand it over, red first, and gives what Embed
// gives.
func TestExport(t *testing.T) {
	const size = 16
	m := untrained(t, "resnet10", 8, size)
	picture := image.NewRGBA(image.Rect(0, 0, size, size))
	pixels := make([]float32, 3*size*size)
	for y := range size {
		for x := range size {
			c := [3]uint8{uint8(200 + x), uint8(3 * y), uint8(x * y % 50)}
			picture.SetRGBA(x, y, color.RGBA{c[0], c[1], c[2], 255})
			for i, v := range c {
				pixels[(i*size+y)*size+x] = float32(v) / 255
			}
		}
	}
	want, err := m.Embed(context.Background(), picture)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "encoder.onnx")
	e, err := m.Export(context.Background(), path, vicreg.ExportOptions{Format: "onnx"})
	if err != nil {
		t.Fatal(err)
	}
	if e.Outputs[0].Width != m.Info().Features || e.Difference > 1e-5 || e.Items == 0 {
		t.Errorf("%+v", e)
	}
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	graph, err := onnx.Parse(raw)
	if err != nil {
		t.Fatal(err)
	}
	out, err := graph.Graph.Run(context.Background(),
		map[string]onnx.Array{"pixels": {Shape: []int{1, 3, size, size}, Floats: pixels}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	for i, v := range out["features"].Floats {
		if d := math.Abs(float64(v - want[0][i])); d > 1e-5 {
			t.Errorf("feature %d is %v, want %v", i, v, want[0][i])
		}
	}
	if _, err := m.Export(context.Background(), path, vicreg.ExportOptions{Format: "gguf"}); err == nil ||
		!strings.Contains(err.Error(), "known: onnx, timm, safetensors, torch") {
		t.Errorf("%v", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	other := filepath.Join(t.TempDir(), "other.onnx")
	if _, err := m.Export(ctx, other, vicreg.ExportOptions{Format: "onnx"}); err != context.Canceled {
		t.Errorf("cancelled: %v", err)
	}
	if left, _ := os.ReadDir(filepath.Dir(other)); len(left) > 0 {
		t.Errorf("%v is left", left)
	}
}
