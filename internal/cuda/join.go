package cuda

import "vicreg/internal/device"

// The sum that ends a residual block is read by the first convolution of the next one right
// after. So it waits until the next operation is known: if that is such a convolution, its
// kernel makes the sum on the way in, and stores it for those who read it later; before any
// other operation the sum is made by itself.

// waiting is a sum that is still to be made, of channels c; or none.
type waiting struct {
	there    bool
	y, signs device.Array
	a, b     device.Source
	c        int
}

// joinedParams is Join of join.h.
type joinedParams struct {
	a, b           source
	x, signs, w, y uint64
	partials       fusedPartials
	m, c, k, _     uint32
}

// joinForm is a kernel for outputs of up to bn channels.
type joinForm struct {
	bn, shared int
	kernel     kernel[joinedParams]
}

func newJoin(bn, stages int, name string) joinForm {
	shared := stages * (2*128 + bn) * 128
	return joinForm{bn, shared, declare[joinedParams](hopper, name, shared)}
}

var joinForms = []joinForm{
	newJoin(64, 2, "join_128x64w"),
	newJoin(128, 2, "join_128x128w"),
	newJoin(256, 3, "join_128x256w"),
}

// postpone has a sum wait, or returns false.
func (d *Device) postpone(y, signs device.Array, a, b device.Source, c int) bool {
	d.await()
	if !d.hopper() || d.fused.apart || a.ReLU || b.ReLU || a.X.Same(y) || b.X.Same(y) || c < 64 ||
		!wide(c, a.X, b.X, y, a.Scale, a.Shift, b.Scale, b.Shift) {
		return false
	}
	for _, x := range []device.Array{y, a.X, b.X} {
		if x.Type() != device.BFloat16 {
			return false
		}
	}
	d.waiting = waiting{true, y, signs, a, b, c}
	return true
}

// await makes a sum that waits. It comes before every other operation.
func (d *Device) await() {
	if w := d.waiting; w.there {
		d.waiting = waiting{}
		d.sumReLU(w.y, w.signs, w.a, w.b, w.c, true)
	}
}

// joined computes a convolution of a sum that waits, with the sum, or returns false.
func (d *Device) joined(y device.Array, s device.Conv, src device.Source, w device.Array, sums device.Sums) bool {
	j := d.waiting
	if !j.there || !src.X.Same(j.y) || src.X.Len() != j.y.Len() || !plain(src) || !pointwise(s) || s.C != j.c ||
		overlap(y, j.a.X) || overlap(y, j.b.X) || !fits(s, []device.Array{src.X, y}) {
		return false
	}
	for i := range joinForms {
		f := &joinForms[i]
		if s.K > f.bn {
			continue
		}
		d.waiting = waiting{} // from here on other operations may come before
		m := y.Len() / s.K
		tiles := over(m, 128)
		p := joinedParams{a: d.source(j.a), b: d.source(j.b), x: d.addr(j.y), signs: d.u8(j.signs),
			w: uint64(d.weight(w, s, asStored, device.BFloat16)), y: d.addr(y),
			partials: d.fusedPartials(sums, tiles, s.K), m: uint32(m), c: uint32(s.C), k: uint32(s.K)}
		f.kernel.launch(d, [3]int{tiles, 1, 1}, 256, f.shared, p)
		d.fold(p.partials, sums, tiles, s.K)
		return true
	}
	return false
}

// overlap says that two arrays share memory.
func overlap(a, b device.Array) bool {
	end := func(a device.Array) uintptr { return a.Addr() + uintptr(a.Len()*a.Type().Size()) }
	return a.Addr() < end(b) && b.Addr() < end(a)
}
