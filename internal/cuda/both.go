package cuda

import (
	"vicreg/internal/device"
)

// bothParams is Both of both.cu.
type bothParams struct {
	g         grad
	x         source
	w, dx     uint64
	add, dot  uint64
	sums      fusedPartials
	partials  uint64
	rows, m   uint32
	masked, _ uint32
}

// bothForm is a kernel for convolutions of so many channels.
type bothForm struct {
	c, k, shared int
	kernel       kernel[bothParams]
}

func newBoth(c, k int, name string) bothForm {
	shared := 2*(64*c+2*64*k)*2 + c*k*2 + 64*(4*c+32)
	return bothForm{c, k, shared, declare[bothParams]("both", name, shared)}
}

var bothForms = []bothForm{
	newBoth(64, 64, "both_64x64"),
	newBoth(64, 256, "both_64x256"),
}

// bothBlocks is how many blocks a card is to have at once.
const bothBlocks = 132

// fusedBoth computes both gradients of a 1 × 1 convolution at once, or returns false.
func (d *Device) fusedBoth(dx, dw device.Array, s device.Conv, g device.Grad, src device.Source, w device.Array,
	f device.Finish) bool {
	if !pointwise(s) || g.A.None() || dw.Type() != device.Float32 || dx.Same(g.D) || !d.together() {
		return false
	}
	masked := !f.Mask.X.None()
	if masked && f.Mask != src {
		return false
	}
	values := [...]device.Array{dx, g.D, g.Y, src.X, f.Add, f.Dot}
	if !fits(s, values[:], g.A, g.B, g.K, src.Scale, src.Shift, dw) {
		return false
	}
	for i := range bothForms {
		form := &bothForms[i]
		if form.c != s.C || form.k != s.K {
			continue
		}
		f = d.spread(f, s.C)
		m := g.D.Len() / s.K
		rows := over(over(m, d.fused.blocksOr(bothBlocks)), 64) * 64
		pieces, n := over(m, rows), s.C*s.K
		p := bothParams{g: d.grad(g), x: d.source(src), w: uint64(d.weight(w, s, asStored, device.BFloat16)),
			dx: d.addr(dx), add: d.addr(f.Add), dot: d.addr(f.Dot), partials: uint64(d.room(forPartials, 4*n*pieces)),
			rows: uint32(rows), m: uint32(m)}
		if !f.Sums.A.None() {
			p.sums.wide = d.partials(f.Sums, pieces, s.C)
		}
		if masked {
			p.masked = 1
		}
		form.kernel.launch(d, [3]int{pieces, 1, 1}, 512, form.shared, p)
		d.addWeightPieces(dw, p.partials, pieces)
		return true
	}
	return false
}
