package model

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"testing"

	"vicreg/internal/check"
	"vicreg/internal/device"
	"vicreg/internal/kernel/winograd"
	"vicreg/internal/nn"
	"vicreg/internal/tensor"
)

// Tolerances of ‖ours − golden‖ / ‖golden‖. No ReLU of these files stands so near zero
// that rounding can take it over; docs/golden.md says how near.
const (
	outTol      = 1e-4
	gradTol     = 1e-4
	winogradTol = 5e-4 // of gradients, where Winograd is on
)

// eachConvolution runs a test without and with Winograd convolution.
func eachConvolution(t *testing.T, test func(t *testing.T, winograd bool)) {
	for _, on := range []bool{false, true} {
		name := "direct"
		if on {
			name = "winograd"
		}
		t.Run(name, func(t *testing.T) {
			defer winograd.Set(winograd.Set(on))
			test(t, on)
		})
	}
}

// load sets parameters and buffers from the tensors of a golden file that start
// with prefix.
func load(t testing.TB, g *check.GoldenFile, prefix string, params ...[]*nn.Param) {
	t.Helper()
	for _, ps := range params {
		for _, p := range ps {
			if !strings.HasSuffix(p.Name, "num_batches_tracked") {
				if want := g.Shape(prefix + p.Name); fmt.Sprint(want) != fmt.Sprint(p.Shape) {
					t.Fatalf("%s has shape %v, golden %v", p.Name, p.Shape, want)
				}
				p.SetTorch(g.F32(prefix + p.Name))
			}
		}
	}
}

// image returns an NCHW tensor of a golden file as NHWC.
func image(g *check.GoldenFile, name string) *tensor.Tensor {
	s := g.Shape(name)
	return tensor.From(check.NHWC(g.F32(name), s[0], s[1], s[2], s[3]), s[0], s[2], s[3], s[1])
}

func TestResNetGolden(t *testing.T) {
	for _, name := range []string{"resnet18_w4_imagenet", "resnet18_w4_small", "resnet34_w4_small", "resnet50_w4_imagenet"} {
		t.Run(name, func(t *testing.T) {
			eachConvolution(t, func(t *testing.T, winograd bool) { testResNet(t, name, winograd) })
		})
	}
}

func testResNet(t *testing.T, name string, winograd bool) {
	g := check.Golden(t, "testdata/"+name+".safetensors")
	part := strings.Split(name, "_")
	width, _ := strconv.Atoi(part[1][1:])
	x := image(g, "x")
	m, err := NewResNet(ResNetConfig{Arch: part[0], Width: width, Stem: part[2], Channels: x.Shape[3]}, nil)
	if err != nil {
		t.Fatal(err)
	}
	load(t, g, "state.", m.Params(), m.Buffers())
	names := 0
	for _, name := range g.Names() {
		if strings.HasPrefix(name, "state.") {
			names++
		}
	}
	if got := len(m.Params()) + len(m.Buffers())*2/3; got != names {
		t.Errorf("%d tensors, golden %d", got, names)
	}

	arena := new(nn.Arena)
	eval := nn.NewPass(arena, false)
	check.Close(t, "eval_out", m.Forward(eval, x).X.Host(), g.F32("eval_out"), outTol)
	eval.Reset()

	train := nn.NewPass(arena, true)
	check.Close(t, "train_out", m.Forward(train, x).X.Host(), g.F32("train_out"), outTol)
	for _, p := range m.Buffers() {
		if strings.HasSuffix(p.Name, "num_batches_tracked") {
			if p.Value.Host()[0] != 1 {
				t.Errorf("%s = %v after one batch", p.Name, p.Value.Host()[0])
			}
			continue
		}
		check.Close(t, "after."+p.Name, p.Value.Host(), g.F32("after."+p.Name), outTol)
	}

	tol := gradTol
	if winograd {
		tol = winogradTol
	}
	dx := make([]float32, x.Len())
	m.Backward(train, device.Of(g.F32("dout")), device.Of(dx))
	check.Close(t, "dx", dx, image(g, "dx").Data, tol)
	for _, p := range m.Params() {
		check.Close(t, p.Name, p.TorchGrad(), g.F32("grad."+p.Name), tol)
	}
	if arena.Lent() != 0 {
		t.Errorf("%d bytes still lent", arena.Lent())
	}
}

// distance returns ‖got − want‖ / ‖want‖.
func distance(got, want []float32) float64 {
	var diff, norm float64
	for i, w := range want {
		d := float64(got[i]) - float64(w)
		diff, norm = diff+d*d, norm+float64(w)*float64(w)
	}
	return math.Sqrt(diff / norm)
}

func TestExpanderGolden(t *testing.T) {
	g := check.Golden(t, "testdata/expander.safetensors")
	n, in := g.Shape("x")[0], g.Shape("x")[1]
	e, err := NewExpander(in, g.Meta["spec"], nil)
	if err != nil {
		t.Fatal(err)
	}
	load(t, g, "state.", e.Params(), e.Buffers())
	p := nn.NewPass(new(nn.Arena), true)
	out := e.Forward(p, p.Input(g.F32("x"), n, 1, 1, in))
	check.Close(t, "out", out.X.Host(), g.F32("out"), outTol)
	dx := e.Backward(p, device.Of(g.F32("dout")))
	check.Close(t, "dx", dx.Host(), g.F32("dx"), gradTol)
	for _, q := range e.Params() {
		if strings.HasSuffix(q.Name, ".bias") && g.Has("state."+strings.TrimSuffix(q.Name, "bias")+"running_mean") {
			check.Close(t, q.Name, q.Grad.Host(), g.F32("grad."+q.Name), gradTol) // β
			continue
		}
		if strings.HasSuffix(q.Name, ".bias") { // before a normalisation: golden holds rounding
			for _, v := range q.Grad.Host() {
				if v != 0 {
					t.Errorf("the gradient of %s is %v, must be exactly 0", q.Name, v)
				}
			}
			continue
		}
		check.Close(t, q.Name, q.TorchGrad(), g.F32("grad."+q.Name), gradTol)
	}
}
