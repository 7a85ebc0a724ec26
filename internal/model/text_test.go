package model

import (
	"math/rand/v2"
	"strings"
	"testing"

	"vicreg/internal/check"
	"vicreg/internal/device"
	"vicreg/internal/nn"
	"vicreg/internal/tensor"
)

func TestTextGolden(t *testing.T) {
	g := check.Golden(t, "testdata/text.safetensors")
	m, err := NewText(TextConfig{number(t, g, "dim"), number(t, g, "depth"), number(t, g, "heads"), number(t, g, "context")}, nil)
	if err != nil {
		t.Fatal(err)
	}
	load(t, g, "state.", m.Params())
	compare(t, g, m, tensor.From(g.F32("x"), g.Shape("x")...))
}

// Padding changes nothing, at the end or in between, and nothing but padding
// gives zeros.
func TestTextPadding(t *testing.T) {
	m, err := NewText(TextConfig{Depth: 1, Context: 12}, rand.New(rand.NewPCG(1, 2)))
	if err != nil {
		t.Fatal(err)
	}
	embed := func(rows ...[]float32) []float32 {
		var all []float32
		for _, r := range rows {
			all = append(all, r...)
		}
		p := nn.NewPass(new(nn.Arena), true)
		y := append([]float32(nil), m.Forward(p, tensor.From(all, len(rows), len(rows[0]))).X.Host()...)
		m.Backward(p, device.Of(y), device.Array{})
		return y
	}
	short := embed([]float32{66, 67, 257})
	check.Close(t, "padded", embed([]float32{66, 67, 257, 0, 0}), short, 1e-6)
	both := embed([]float32{66, 67, 257, 0, 0}, make([]float32, 5))
	check.Close(t, "beside another", both[:m.Dim()], short, 1e-6)
	check.Close(t, "nothing but padding", both[m.Dim():], make([]float32, m.Dim()), 0)
	check.Close(t, "nothing at all", embed(make([]float32, 5)), make([]float32, m.Dim()), 0)
	if distance(embed([]float32{66, 0, 67, 257}), short) < 1e-3 {
		t.Error("places do not matter")
	}
}

func TestTextErrors(t *testing.T) {
	for want, c := range map[string]TextConfig{
		"context is -1":                    {Context: -1},
		"width 100 does not divide into 3": {Dim: 100},
	} {
		if _, err := NewText(c, nil); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: error %v, want %q", c, err, want)
		}
	}
}
