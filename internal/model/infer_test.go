package model

import (
	"math/rand/v2"
	"testing"

	"vicreg/internal/check"
	"vicreg/internal/nn"
)

// A pass for many batches gives what one that forgets everything gives, but for
// rounding, for batches of any size, and holds hardly more memory.
func TestInferencePass(t *testing.T) {
	for _, config := range []ResNetConfig{
		{Arch: "resnet18", Width: 16, Stem: "small", Channels: 3},
		{Arch: "resnet50", Width: 8, Stem: "imagenet", Channels: 1},
	} {
		b := newBranch(t, config, "8-8", 1)
		for i, p := range append(b.Encoder.Buffers(), b.Encoder.Params()...) {
			if len(p.Shape) == 1 { // statistics, γ and β that differ from channel to channel
				r := rand.New(rand.NewPCG(9, uint64(i)))
				for c := range p.Value.Host() {
					p.Value.Host()[c] = 0.5 + r.Float32()
				}
			}
		}
		slow, fast := nn.NewPass(new(nn.Arena), false), nn.NewInferencePass(new(nn.Arena))
		for _, n := range []int{3, 3, 2} {
			x := images(uint64(n), n, 32, config.Channels)
			slow.Reset()
			fast.Reset()
			want, got := b.Encoder.Forward(slow, x), b.Encoder.Forward(fast, x)
			check.Close(t, config.Arch, got.X.Host(), want.X.Host(), 2e-6)
			want, got = b.Expander.Forward(slow, want), b.Expander.Forward(fast, got)
			check.Close(t, config.Arch+" and expander", got.X.Host(), want.X.Host(), 5e-6)
		}
		if s, f := slow.Arena().Peak(), fast.Arena().Peak(); 4*f > 5*s {
			t.Errorf("%s: it held %d bytes at once, a pass that forgets %d", config.Arch, f, s)
		}
	}
}
