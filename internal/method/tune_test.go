package method

import (
	"math"
	"slices"
	"strings"
	"testing"

	"vicreg/internal/batch"
	"vicreg/internal/check"
	"vicreg/internal/device"
	"vicreg/internal/device/far"
	"vicreg/internal/nn"
	"vicreg/internal/recipe"
	"vicreg/internal/tensor"
)

// taught returns the configuration of one of the ways of testdata/tune.py.
func taught(t testing.TB, g *check.GoldenFile, way string) recipe.Config {
	t.Helper()
	c, err := recipe.LoadProtocol("semi-10percent")
	if err != nil {
		t.Fatal(err)
	}
	c.Channels, c.Size, c.Batch = 1, 12, 8
	c.Encoder.Arch, c.Encoder.Width = "resnet10", 2
	scale := 256 / float64(c.Batch) // the rates of the file are those of its batch
	c.Optimizer.BaseLR, c.Tune.EncoderLR = scale*g.Float("head"), scale*g.Float("backbone")
	c.Optimizer.WeightDecay = g.Float("weight_decay")
	switch way {
	case "linear":
		c.Tune.Freeze, c.Tune.EncoderLR = []string{recipe.All}, 0
	case "stages":
		c.Tune.Freeze = []string{"stem", "layer1"}
	case "running":
		c.Tune.Statistics = recipe.Running
	}
	return c
}

// Three steps of SGD are PyTorch's: of a classifier on an encoder that stays as it is, of
// both at two rates, of some stages, and by running statistics. So they are on a device
// whose memory the host cannot touch.
func TestTuneGolden(t *testing.T) {
	g := check.Golden(t, "testdata/tune.safetensors")
	var labels []int
	for _, name := range []string{"labels0", "labels1", "labels2"} {
		for _, y := range g.F64(name) {
			labels = append(labels, int(y))
		}
	}
	for _, way := range []string{"linear", "finetune", "stages", "running"} {
		for _, on := range []device.Device{nil, far.New()} {
			c, d := taught(t, g, way), Data{Items: 24, Steps: 3, Labels: labels, Classes: 5, Device: on}
			Complete(&c, d)
			m, err := New(c, d)
			if err != nil {
				t.Fatal(err)
			}
			all := slices.Concat(m.Params(), m.Buffers())
			each := func(f func(p *nn.Param)) {
				for _, p := range all {
					if !strings.HasSuffix(p.Name, "num_batches_tracked") {
						f(p)
					}
				}
			}
			each(func(p *nn.Param) { p.SetTorch(g.F32("init." + p.Name)) })
			o, err := NewOptimizer(c, m.Params())
			if err != nil {
				t.Fatal(err)
			}
			for step, want := range g.F64(way + ".loss") {
				name := "x" + string(rune('0'+step))
				x := tensor.From(check.NHWC(g.F32(name), 8, 1, 12, 12), 8, 12, 12, 1)
				b := &batch.Batch{Step: step, Views: []*tensor.Tensor{x}}
				for i := range 8 {
					b.Items = append(b.Items, 8*step+i)
				}
				loss, _, err := m.Step(b)
				if err != nil || math.Abs(loss-want) > 1e-5*want {
					t.Errorf("%s: loss %v of step %d, want %v; %v", way, loss, step, want, err)
				}
				if step == 0 {
					for _, p := range m.Branches()[0].Expander.Params() {
						check.Close(t, way+": gradient of "+p.Name, p.TorchGrad(), g.F32(way+".grad.projector."+p.Name), 1e-5)
					}
				}
				o.Norm()
				o.Step(c.PeakLR())
			}
			each(func(p *nn.Param) {
				check.Close(t, way+": "+p.Name, p.Torch(), g.F32(way+".after."+p.Name), 1e-4)
			})
			m.Close()
		}
	}
}
