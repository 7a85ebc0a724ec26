package model

import (
	"testing"

	"vicreg/internal/check"
	"vicreg/internal/device"
	"vicreg/internal/nn"
)

// BenchmarkJoint times forward and backward of two views, without loss and
// optimizer; BenchmarkEncoder times inference.
func BenchmarkJoint(b *testing.B) {
	for _, c := range benchmarks {
		b.Run(c.name, func(b *testing.B) {
			branch := newBranch(b, c.config, c.expander, 1)
			j := NewJoint(device.Local, branch, branch)
			x1, x2 := images(1, c.n, c.size, c.config.Channels), images(2, c.n, c.size, c.config.Channels)
			dz := check.Random(3, c.n*branch.Expander.Dim())
			flops := 6 * float64(branch.Encoder.Flops(x1.Shape...)+branch.Expander.Flops(c.n))
			forward(j, x1, x2)
			backward(j, dz, dz)
			for b.Loop() {
				j.ZeroGrad()
				forward(j, x1, x2)
				backward(j, dz, dz)
			}
			perStep := b.Elapsed().Seconds() / float64(b.N)
			b.ReportMetric(flops/perStep/1e9, "gflop/s")
			b.ReportMetric(float64(j.Arena().Peak())/(1<<20), "MiB")
		})
	}
}

func BenchmarkEncoder(b *testing.B) {
	for _, c := range benchmarks {
		b.Run(c.name, func(b *testing.B) {
			encoder := newBranch(b, c.config, "8", 1).Encoder
			x := images(1, c.n, c.size, c.config.Channels)
			p := nn.NewPass(new(nn.Arena), false)
			for b.Loop() {
				p.Reset()
				encoder.Forward(p, x)
			}
			perStep := b.Elapsed().Seconds() / float64(b.N)
			b.ReportMetric(float64(c.n)/perStep, "images/s")
			b.ReportMetric(float64(p.Arena().Peak())/(1<<20), "MiB")
		})
	}
}

var benchmarks = []struct {
	name     string
	config   ResNetConfig
	expander string
	n, size  int
}{
	{"resnet18_w64_32px_n128", ResNetConfig{Arch: "resnet18", Width: 64, Stem: "small", Channels: 3}, "2048-2048-2048", 128, 32},
	{"resnet50_w64_224px_n16", ResNetConfig{Arch: "resnet50", Width: 64, Stem: "imagenet", Channels: 3}, "8192-8192-8192", 16, 224},
	{"resnet18_w16_28px_n256", ResNetConfig{Arch: "resnet18", Width: 16, Stem: "small", Channels: 1}, "512-512-512", 256, 28},
}
