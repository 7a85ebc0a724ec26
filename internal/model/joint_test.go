package model

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"vicreg/internal/check"
	"vicreg/internal/device"
	"vicreg/internal/nn"
	"vicreg/internal/parallel"
	"vicreg/internal/tensor"
)

func newBranch(t testing.TB, config ResNetConfig, spec string, seed uint64) *Branch {
	t.Helper()
	rng := rand.New(rand.NewPCG(seed, 1))
	encoder, err := NewResNet(config, rng)
	if err != nil {
		t.Fatal(err)
	}
	expander, err := NewExpander(encoder.Dim(), spec, rng)
	if err != nil {
		t.Fatal(err)
	}
	return &Branch{Encoder: encoder, Expander: expander}
}

// forward and backward take two views through their branches.
func forward(j *Joint, x1, x2 *tensor.Tensor) (View, View) { return j.Forward(0, x1), j.Forward(1, x2) }

func backward(j *Joint, dz1, dz2 []float32) {
	j.Backward(1, device.Of(dz2), device.Array{})
	j.Backward(0, device.Of(dz1), device.Array{})
}

var tiny = ResNetConfig{Arch: "resnet10", Width: 4, Stem: "small", Channels: 1}

func images(seed uint64, n, size, c int) *tensor.Tensor {
	return tensor.From(check.Random(seed, n*size*size*c), n, size, size, c)
}

// snapshot copies the gradients.
func snapshot(ps []*nn.Param) (all []float32) {
	for _, p := range ps {
		all = append(all, p.Grad.Host()...)
	}
	return all
}

// TestJointShared: the gradient of shared weights is the sum of the two views',
// each as if it had been alone.
func TestJointShared(t *testing.T) {
	const n = 5
	b := newBranch(t, tiny, "16-8", 1)
	x1, x2 := images(1, n, 8, 1), images(2, n, 8, 1)
	dz1, dz2 := check.Random(3, n*8), check.Random(4, n*8)

	j := NewJoint(device.Local, b, b)
	alone := func(x *tensor.Tensor, dz []float32) []float32 {
		j.ZeroGrad()
		p := nn.NewPass(new(nn.Arena), true)
		b.Expander.Forward(p, b.Encoder.Forward(p, x))
		b.Encoder.Backward(p, b.Expander.Backward(p, device.Of(dz)), device.Array{})
		return snapshot(j.Params())
	}
	want := alone(x1, dz1)
	for i, v := range alone(x2, dz2) {
		want[i] += v
	}
	for range 2 { // the second step finds the first one's memory
		j.ZeroGrad()
		v1, v2 := forward(j, x1, x2)
		if v1.Z.N != n || v1.Z.C != 8 || v2.Y.C != b.Encoder.Dim() {
			t.Fatalf("shapes %v %v", [2]int{v1.Z.N, v1.Z.C}, [2]int{v2.Y.N, v2.Y.C})
		}
		backward(j, dz1, dz2)
		check.Close(t, "gradients", snapshot(j.Params()), want, 1e-6)
		if j.Arena().Lent() != 0 {
			t.Errorf("%d bytes still lent", j.Arena().Lent())
		}
	}
}

// TestJointSeparate: branches of different architecture each get their own
// gradients.
func TestJointSeparate(t *testing.T) {
	const n = 4
	wide := tiny
	wide.Width, wide.Channels = 6, 3
	a, b := newBranch(t, tiny, "8", 1), newBranch(t, wide, "12-8", 2)
	j := NewJoint(device.Local, a, b)
	if len(j.Params()) != len(a.Encoder.Params())+len(a.Expander.Params())+
		len(b.Encoder.Params())+len(b.Expander.Params()) {
		t.Errorf("%d parameters", len(j.Params()))
	}
	forward(j, images(1, n, 8, 1), images(2, n, 12, 3))
	backward(j, check.Random(3, n*8), make([]float32, n*8))
	for _, p := range j.Params() {
		zero := !slices.ContainsFunc(p.Grad.Host(), func(v float32) bool { return v != 0 })
		first := strings.HasPrefix(p.Name, "branch1.")
		if first == zero {
			t.Errorf("the gradient of %s is zero: %v", p.Name, zero)
		}
	}
}

func TestJointNames(t *testing.T) {
	b := newBranch(t, tiny, "16-8", 1)
	j := NewJoint(device.Local, b, b)
	names := map[string]bool{}
	for _, p := range append(slices.Clone(j.Params()), j.Buffers()...) {
		if names[p.Name] {
			t.Errorf("%s twice", p.Name)
		}
		names[p.Name] = true
	}
	g := check.Golden(t, "testdata/ten_steps.safetensors")
	c := newBranch(t, tiny, "32-32-32", 1)
	golden := 0
	for _, name := range g.Names() {
		if strings.HasPrefix(name, "init.") {
			golden++
		}
	}
	k := NewJoint(device.Local, c, c)
	found := 0
	for _, p := range append(slices.Clone(k.Params()), k.Buffers()...) {
		if g.Has("init." + p.Name) {
			found++
		} else if !strings.HasSuffix(p.Name, "num_batches_tracked") {
			t.Errorf("the golden file has no %s", p.Name)
		}
	}
	if found != golden {
		t.Errorf("%d of %d golden names", found, golden)
	}
}

// TestWorkers: the same bits for any number of workers, and with inference
// between forward and backward.
func TestWorkers(t *testing.T) {
	defer parallel.SetWorkers(0)
	const n = 7
	run := func(workers int, inference bool) (all []float32) {
		parallel.SetWorkers(workers)
		b := newBranch(t, ResNetConfig{Arch: "resnet50", Width: 4, Stem: "imagenet", Channels: 3}, "40-24", 1)
		j := NewJoint(device.Local, b, b)
		for range 2 {
			j.ZeroGrad()
			v1, v2 := forward(j, images(1, n, 33, 3), images(2, n, 33, 3))
			all = append(append(all, v1.Z.X.Host()...), v2.Z.X.Host()...)
			if inference {
				p := nn.NewPass(j.Arena(), false)
				b.Expander.Forward(p, b.Encoder.Forward(p, images(9, 3, 40, 3)))
				p.Reset()
			}
			backward(j, check.Random(3, n*24), check.Random(4, n*24))
			all = append(all, snapshot(j.Params())...)
		}
		for _, p := range j.Buffers() {
			all = append(all, p.Value.Host()...)
		}
		return all
	}
	want := run(1, false)
	for workers := 1; workers <= 3; workers++ {
		for i, v := range run(workers, true) {
			if v != want[i] {
				t.Fatalf("%d workers: value %d is %v, want %v", workers, i, v, want[i])
			}
		}
	}
}

// TestSteady: a step allocates next to nothing once it has run, and inference
// holds few activations.
func TestSteady(t *testing.T) {
	const n = 2
	b := newBranch(t, ResNetConfig{Arch: "resnet18", Width: 4, Stem: "small", Channels: 3}, "8-8", 1)
	j := NewJoint(device.Local, b, b)
	x1, x2 := images(1, n, 16, 3), images(2, n, 16, 3)
	dz := check.Random(3, n*8)
	step := func() {
		j.ZeroGrad()
		forward(j, x1, x2)
		backward(j, dz, dz)
	}
	step()
	peak := j.Arena().Peak()
	allocs := testing.AllocsPerRun(2, step)
	t.Logf("%v allocations a step", allocs)
	if allocs > 400 {
		t.Errorf("%v allocations a step", allocs)
	}
	if j.Arena().Peak() != peak {
		t.Errorf("the arena grew from %d to %d", peak, j.Arena().Peak())
	}

	arena := new(nn.Arena)
	p := nn.NewPass(arena, false)
	b.Encoder.Forward(p, x1)
	if largest := 4 * n * 16 * 16 * 4; arena.Peak() > 3*largest {
		t.Errorf("inference held %d bytes at once, the largest activation has %d", arena.Peak(), largest)
	}
}

func TestConfigErrors(t *testing.T) {
	for _, c := range []struct {
		change func(*ResNetConfig)
		want   string
	}{
		{func(c *ResNetConfig) { c.Arch = "resnet19" }, `unknown encoder "resnet19": known are resnet10, resnet18`},
		{func(c *ResNetConfig) { c.Stem = "big" }, `unknown stem "big": known are imagenet and small`},
		{func(c *ResNetConfig) { c.Width = 0 }, "encoder width is 0"},
		{func(c *ResNetConfig) { c.Channels = -1 }, "encoder channels are -1"},
	} {
		config := tiny
		c.change(&config)
		if _, err := NewResNet(config, nil); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("error %v, want %s", err, c.want)
		}
	}
	for _, spec := range []string{"", "8-", "8x8", "8-0", "-8", "8--8", "99999999999999999999"} {
		if _, err := NewExpander(4, spec, nil); err == nil || !strings.Contains(err.Error(), "joined by hyphens") {
			t.Errorf("spec %q: %v", spec, err)
		}
	}
}
