package model

import (
	"math/rand/v2"
	"slices"
	"testing"

	"vicreg/internal/check"
	"vicreg/internal/cuda"
	"vicreg/internal/cuda/sim"
	"vicreg/internal/device"
	"vicreg/internal/device/blank"
	"vicreg/internal/kernel/shape"
	"vicreg/internal/nn"
	"vicreg/internal/tensor"
)

// reading is a card that keeps sums up to a size, and signed one that reads their signs, and
// knows gradients of some pixels alone.
type (
	reading struct {
		device.Device
		kept int
	}
	signed struct {
		reading
		device.Signed
		device.Sparse
	}
)

func (r reading) KeptSum(device.Type) int { return r.kept }

// A mask that is read as signs is the mask, and what is not read has no gradient: networks
// make the same bits, of sums that are kept and of ones that are made again.
func TestSigns(t *testing.T) {
	for _, c := range []Config{
		{Arch: "resnet10", Width: 8, Stem: "small", Input: ImageInput(9, 3)},
		{Arch: "resnet50", Width: 8, Stem: "imagenet", Input: ImageInput(40, 1)},
		{Arch: "resnet10", Width: 3, Stem: "small", Input: ImageInput(9, 3)}, // not all sums have signs
		{Arch: "resnet1d-10", Width: 8, Stem: "large", Input: Input{Sequences, []int{200, 1}}},
	} {
		for _, precision := range []device.Precision{shape.Float32, shape.BF16} {
			for _, kept := range []int{1 << 27, 1000} {
				if c.Arch == "resnet50" && precision == shape.Float32 {
					continue // the same layers
				}
				run := func(bits bool) (m made, read int64) {
					driver := sim.New(sim.Options{})
					card, err := cuda.New(driver)
					if err != nil {
						t.Fatal(err)
					}
					defer card.Close()
					var d device.Device = reading{card, kept}
					if bits {
						d = signed{reading{card, kept}, card, card}
					}
					e, err := New(c, rand.New(rand.NewPCG(1, 2)))
					if err != nil {
						t.Fatal(err)
					}
					e.SetPrecision(precision)
					for _, p := range slices.Concat(e.Params(), e.Buffers()) {
						p.To(d)
					}
					const n = 3
					pass, room, dy := nn.NewPass(nn.NewArena(d), true), []float32(nil), device.Array{}
					m = made{}
					for seed := range uint64(2) {
						pass.Reset()
						m["y"] = append(m["y"], pass.Read(e.Forward(pass, view(c, 1+seed, n)), &room)...)
						e.Backward(pass, device.Lift(d, &dy, check.Random(3+seed, n*e.Dim())), device.Array{})
					}
					m.grads(e.Params())
					for _, name := range driver.Names() {
						read += driver.Kernel(name).Read
					}
					return m, read
				}
				want, all := run(false)
				got, less := run(true)
				for name := range want {
					if !slices.Equal(got[name], want[name]) {
						t.Errorf("%s %v, sums up to %d kept: %s differ by %g", c.Arch, precision, kept, name,
							distance(got[name], want[name]))
					}
				}
				if c.Width == 8 && less >= all {
					t.Errorf("%s %v: %d bytes were read with signs, %d without", c.Arch, precision, less, all)
				}
			}
		}
	}
}

// signedBlank computes nothing, and is what a card is besides.
type signedBlank struct{ *blank.Device }

func (signedBlank) AddSigned(y, signs device.Array, a, b device.Source, c int) {}
func (signedBlank) Sparse()                                                    {}

// What a card takes for them is reckoned, and given back.
func TestLentSigns(t *testing.T) {
	const n = 4
	head := Head{Widths: "16"}
	for _, c := range []Config{
		{Arch: "resnet18", Width: 8, Stem: "small", Input: ImageInput(12, 3)},
		{Arch: "resnet50", Width: 8, Stem: "imagenet", Input: ImageInput(64, 3)},
	} {
		held := func(d device.Device, b *blank.Device) (bytes int) {
			e, err := New(c, rand.New(rand.NewPCG(1, 2)))
			if err != nil {
				t.Fatal(err)
			}
			expander, err := NewHead(e.Dim(), head, rand.New(rand.NewPCG(1, 2)))
			if err != nil {
				t.Fatal(err)
			}
			e.SetPrecision(shape.BF16)
			branch := &Branch{Encoder: e, Expander: expander}
			j := NewJoint(d, branch, branch)
			x := tensor.New(append([]int{n}, c.Input.Shape...)...)
			for range 2 {
				j.ZeroGrad()
				dz := d.Alloc(device.Float32, n*16)
				j.Forward(0, x)
				j.Forward(1, x)
				j.Backward(1, dz, device.Array{})
				j.Backward(0, dz, device.Array{})
				d.Free(dz)
			}
			bytes = b.Held
			if j.Close(); b.Held != 0 {
				t.Errorf("%d bytes were not given back", b.Held)
			}
			return bytes
		}
		for _, kept := range []int{1 << 27, 1000} {
			e, err := New(c, rand.New(rand.NewPCG(1, 2)))
			if err != nil {
				t.Fatal(err)
			}
			e.SetPrecision(shape.BF16)
			compareLent(t, signedBlank{&blank.Device{Half: true, Kept: kept}}, shape.BF16, c, e, Head{Widths: "24-40-16"})
		}
		plain := &blank.Device{Half: true, Kept: 1 << 27}
		bits := signedBlank{&blank.Device{Half: true, Kept: 1 << 27}}
		more := LentOn(bits, shape.BF16, c, head, nil, n).Aside - LentOn(plain, shape.BF16, c, head, nil, n).Aside
		if got := held(bits, bits.Device) - held(plain, plain); more == 0 || float64(got) != 2*more {
			t.Errorf("%s: signs take %d bytes, reckoned %v", c.Arch, got, 2*more)
		}
	}
}
