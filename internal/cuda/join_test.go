package cuda_test

import (
	"fmt"
	"testing"

	"vicreg/internal/check"
	"vicreg/internal/cuda"
	"vicreg/internal/device"
	"vicreg/internal/kernel/plain"
	"vicreg/internal/kernel/shape"
)

// The sum at the end of a residual block is made by the convolution that reads it next, or by
// itself where another operation comes first.
func TestJoined(t *testing.T) {
	for i, k := range []int{24, 128, 200, 264} {
		for _, between := range []bool{false, true} {
			t.Run(fmt.Sprintf("%d channels, between %v", k, between), func(t *testing.T) {
				o := newFusedOps(t)
				o.s = device.Conv{N: 1, H: 13, W: 11, C: 72 + 64*i, K: k, R: 1, S: 1, Stride: 1}
				n := o.s.InLen()
				ha, a := o.source("a", o.s.C, true, false)
				hb, b := o.source("b", o.s.C, i%2 == 0, false)
				o.values("w", device.Float32, o.s.WeightLen())
				x, y := o.d.Alloc(device.BFloat16, n), o.d.Alloc(device.BFloat16, o.s.OutLen())
				signs, sums := o.d.Alloc(device.Uint8, n/8), device.NewSums(o.d, k)
				other := o.d.Alloc(device.Float32, 8)
				o.d.AddSigned(x, signs, a, b, o.s.C)
				if between {
					o.d.Fill(other, 1)
				}
				o.d.ConvForward(y, o.s, device.Source{X: x}, o.card["w"], sums)

				want := make([]float32, n)
				for j := range want {
					want[j] = max(0, ha.At(j, j%o.s.C)+hb.At(j, j%o.s.C))
				}
				got := o.down(x)
				check.Close(t, "sum", got, want, fusedError)
				product, total := make([]float32, o.s.OutLen()), shape.NewSums(k)
				plain.Conv(shape.Floats(product), o.s, shape.Source{X: shape.Floats(got)}, o.host["w"], total)
				check.Close(t, "y", o.down(y), product, fusedError)
				check.Close(t, "Σ y", o.sums(sums.A), narrow(total.A), fusedError)
				check.Close(t, "Σ y²", o.sums(sums.B), narrow(total.B), fusedError)
				bits := make([]byte, n/8)
				if err := o.d.Driver().Download(cuda.Compute, bits, signs.Addr()); err != nil {
					t.Fatal(err)
				}
				for j, v := range got {
					if bits[j/8]>>(j%8)&1 == 1 != (v > 0) {
						t.Fatalf("the sign of element %d, %g, is wrong", j, v)
					}
				}
				if o.sim == nil {
					return
				}
				joined := o.sim.Launches("join_128x64w") + o.sim.Launches("join_128x128w") + o.sim.Launches("join_128x256w")
				if want := !between && k <= 256; joined > 0 != want {
					t.Errorf("%d joined; all that ran: %v", joined, o.sim.Names())
				}
			})
		}
	}
}

// What waits is there for whoever reads it, and is made before what it reads changes.
func TestSumWaits(t *testing.T) {
	o := newFusedOps(t)
	o.s = device.Conv{N: 1, H: 5, W: 8, C: 64, K: 64, R: 1, S: 1, Stride: 1}
	n := o.s.InLen()
	ha, a := o.source("a", 64, true, false)
	hb, b := o.source("b", 64, false, false)
	o.values("w", device.Float32, o.s.WeightLen())
	want := make([]float32, n)
	for j := range want {
		want[j] = max(0, ha.At(j, j%64)+hb.At(j, j%64))
	}
	x := o.d.Alloc(device.BFloat16, n)
	o.d.AddReLU(x, a, b, 64, true)
	check.Close(t, "a sum that comes down", o.down(x), want, fusedError)
	o.d.AddReLU(x, a, b, 64, true)
	o.d.Fill(b.X, 0)
	check.Close(t, "a sum of what changed since", o.down(x), want, fusedError)
	o.d.Up(b.X, o.host["b"])
	o.d.AddReLU(x, a, b, 64, true)
	o.d.ConvForward(b.X, o.s, device.Source{X: x}, o.card["w"], device.Sums{}) // over what the sum reads
	check.Close(t, "a sum that is written over", o.down(x), want, fusedError)
	product := make([]float32, o.s.OutLen())
	plain.Conv(shape.Floats(product), o.s, shape.Source{X: shape.Floats(o.down(x))}, o.host["w"], nil)
	check.Close(t, "a product over a summand", o.down(b.X), product, fusedError)
}
