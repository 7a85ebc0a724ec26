package model

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"vicreg/internal/check"
	"vicreg/internal/device"
	"vicreg/internal/kernel/shape"
	"vicreg/internal/nn"
	"vicreg/internal/tensor"
)

// BenchmarkTransformer times forward and backward of two views; median-ms is
// that of a step.
func BenchmarkTransformer(b *testing.B) {
	rng := rand.New(rand.NewPCG(1, 2))
	vit := func(size, patch int) Encoder {
		m, err := NewViT(ViTConfig{Arch: "vit-tiny", Height: size, Width: size, Channels: 3, Patch: patch}, rng)
		if err != nil {
			b.Fatal(err)
		}
		return m
	}
	text, err := NewText(TextConfig{}, rng)
	if err != nil {
		b.Fatal(err)
	}
	letters := tensor.New(64, 128)
	for i := range letters.Data {
		letters.Data[i] = float32(1 + rng.IntN(256))
	}
	for _, c := range []struct {
		name string
		m    Encoder
		x    *tensor.Tensor
	}{
		{"tiny224", vit(224, 16), images(1, 16, 224, 3)},
		{"tiny32", vit(32, 4), images(1, 64, 32, 3)},
		{"text128", text, letters},
	} {
		for _, precision := range []struct {
			name string
			p    shape.Precision
		}{{"float32", shape.Float32}, {"bf16", shape.BF16}} {
			b.Run(c.name+"/"+precision.name, func(b *testing.B) {
				c.m.SetPrecision(precision.p)
				arena := new(nn.Arena)
				p, q := nn.NewPass(arena, true), nn.NewPass(arena, true)
				dy := check.Random(3, c.x.Shape[0]*c.m.Dim())
				params := c.m.Params()
				step := func() {
					for _, p := range params {
						clear(p.Grad.Host())
					}
					p.Reset()
					q.Reset()
					c.m.Forward(p, c.x)
					c.m.Forward(q, c.x)
					c.m.Backward(q, device.Of(dy), device.Array{})
					c.m.Backward(p, device.Of(dy), device.Array{})
				}
				step()
				var times []time.Duration
				for b.Loop() {
					start := time.Now()
					step()
					times = append(times, time.Since(start))
				}
				slices.Sort(times)
				median := times[len(times)/2]
				b.ReportMetric(float64(median.Microseconds())/1e3, "median-ms")
				b.ReportMetric(6*float64(c.m.Flops(c.x.Shape...))/median.Seconds()/1e9, "gflop/s")
			})
		}
	}
}
