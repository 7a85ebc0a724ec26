//go:build native && linux && (amd64 || arm64)

package cuda_test

import (
	"fmt"
	"testing"

	"vicreg/internal/device"
)

// TestTokenSpeed prints what the parts of a block of ViT-S/16 take at 224 px, in a batch of
// 256, and how fast attention multiplies.
func TestTokenSpeed(t *testing.T) {
	if !*speed {
		t.Skip("-speed runs it")
	}
	d := open(t)
	const images, tokens, c, heads = 256, 197, 384, 6
	const rows, hidden = images * tokens, 4 * c
	x := &side{Device: d, rand: newRand()}
	at := make([]int32, images+1)
	for i := range at {
		at[i] = int32(i * tokens)
	}
	for _, kind := range []device.Type{device.BFloat16, device.Float32} {
		n := kind.Size()
		big := func(n int) device.Array { // random values, repeated
			a := d.Alloc(kind, n)
			d.Copy(a.Slice(0, 1<<16), x.normal(kind, 1<<16))
			for done := 1 << 16; done < n; {
				m := min(done, n-done)
				d.Copy(a.Slice(done, done+m), a.Slice(0, m))
				done += m
			}
			return a
		}
		one, dOne, wide, dWide := big(rows*c), big(rows*c), big(rows*hidden), big(rows*hidden)
		qkv, dqkv := big(rows*3*c), big(rows*3*c)
		w, dw, bias := x.channels(c*hidden), x.channels(c*hidden), x.channels(hidden)
		norm, out := x.rowNorm(rows, c), big(rows*c)
		fmt.Println(kind)
		timed(d, "layer norm", 2*n*rows*c, func() { d.LayerNorm(out, one, norm) })
		d.LayerNorm(out, one, norm)
		back := device.RowFinish{X: one, Norm: norm, DGamma: x.channels(c), DBeta: x.channels(c), Add: out}
		timed(d, "layer norm, gradient", 5*n*rows*c, func() { d.LayerNormGrad(dOne, dOne, back) })
		up, down := device.Dense{N: rows, C: c, K: hidden}, device.Dense{N: rows, C: hidden, K: c}
		timed(d, "fc1", n*rows*(2*c+c+hidden), func() {
			d.DenseForward(wide, up, device.RowSource{X: one, Norm: norm}, w, bias, device.Array{})
		})
		timed(d, "fc2", n*rows*(3*hidden+2*c), func() {
			d.DenseForward(out, down, device.RowSource{X: wide, GELU: true}, w, bias.Slice(0, c), one)
		})
		timed(d, "fc2, input", n*rows*(2*c+5*hidden), func() {
			d.DenseInputGrad(dWide, down, out, w, bias.Slice(0, c), device.RowFinish{U: wide})
		})
		timed(d, "fc2, weights", n*rows*(c+hidden), func() { d.DenseWeightGrad(dw, down, wide, out) })
		timed(d, "fc1, input", n*rows*(2*hidden+6*c), func() { d.DenseInputGrad(dOne, up, dWide, w, bias, back) })
		timed(d, "fc1, weights", n*rows*(c+hidden), func() { d.DenseWeightGrad(dw, up, one, dWide) })

		a := device.Attention{Starts: at, At: x.ints(at), C: c, Heads: heads}
		lse := x.channels(rows * heads)
		timed(d, "attention", n*rows*4*c, func() { d.AttentionForward(out, lse, a, qkv) })
		timed(d, "attention, gradient", n*rows*8*c, func() { d.AttentionGrad(dqkv, a, qkv, out, dOne, lse) })
		fmt.Printf("attention is %.1f and %.1f Gflop\n", float64(a.Flops())/1e9, 2.5*float64(a.Flops())/1e9)
		for _, b := range []device.Array{one, dOne, wide, dWide, qkv, dqkv, out} {
			d.Free(b)
		}
	}

	const ids, width = 256 * 256, 192 // bytes of texts
	dd, table, places := d.Alloc(device.BFloat16, ids*width), x.channels(258*width), x.channels(256*width)
	numbers := make([]int32, 2*ids)
	for i := range ids {
		numbers[2*i], numbers[2*i+1] = int32(min(x.rand.IntN(258), x.rand.IntN(258), 99)), int32(i%256)
	}
	on := x.ints(numbers)
	timed(d, "lookup", 2*ids*width, func() { d.Lookup(dd, width, on, table, places) })
	timed(d, "lookup, gradient", 4*ids*width, func() { d.LookupGrad(dd, width, on, table, places) })
}
