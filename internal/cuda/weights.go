package cuda

import (
	"cmp"
	"slices"

	"vicreg/internal/device"
	"vicreg/internal/kernel/shape"
)

// weights are copies of parameters as products read them: bfloat16, in the libraries'
// order. One is made anew when its parameter may have changed.
type weights struct {
	copies map[weight]*copied
	of     []parameter // that there are copies of, by address
	number int         // of the copies made and dropped so far
}

// weight says what a copy is of.
type weight struct {
	addr  uintptr
	order order
	t     device.Type
}

// order is how a copy lies.
type order uint8

const (
	asStored     order = iota // r × s × c × k
	krsc                      // k × r × s × c, as cuDNN reads it
	filled                    // that of the wide form of few channels, see widen
	filledStored              // as filled, but wide r × s × c × k
)

type copied struct {
	p     uintptr
	stale bool
}

// parameter is the memory of one: from, up to but without to.
type parameter struct{ from, to uintptr }

func (w *weights) init() { w.copies = map[weight]*copied{} }

// find returns which parameter address p is within.
func (w *weights) find(p uintptr) (int, bool) {
	i, exact := slices.BinarySearchFunc(w.of, p, func(q parameter, p uintptr) int { return cmp.Compare(q.from, p) })
	if exact {
		return i, true
	}
	i--
	return i, i >= 0 && p < w.of[i].to
}

// changed says that an operation writes to a.
func (w *weights) changed(a device.Array) {
	if a.Type() != device.Float32 {
		return
	}
	if i, ok := w.find(a.Addr()); ok {
		w.each(w.of[i].from, func(_ weight, c *copied) { c.stale = true })
	}
}

// each calls f with all copies of the parameter at an address.
func (w *weights) each(addr uintptr, f func(weight, *copied)) {
	for _, o := range []order{asStored, krsc, filled, filledStored} {
		for _, t := range []device.Type{device.Float32, device.BFloat16} {
			k := weight{addr, o, t}
			if c := w.copies[k]; c != nil {
				f(k, c)
			}
		}
	}
}

// forget drops the copies of what is freed.
func (w *weights) forget(d *Device, addr uintptr) {
	i, ok := w.find(addr)
	if !ok {
		return
	}
	w.of = slices.Delete(w.of, i, i+1)
	for k, c := range w.copies {
		if k.addr == addr {
			d.put(c.p)
			delete(w.copies, k)
			w.number++
		}
	}
}

// weight returns where the weights a of a convolution are, in an order and of a type.
func (d *Device) weight(a device.Array, s device.Conv, o order, t device.Type) uintptr {
	if s.K == 1 && o == krsc {
		o = asStored // it is the same
	}
	size := a.Len()
	if o == filled || o == filledStored {
		size = widen(s).conv.WeightLen()
	}
	if o == asStored && t == device.Float32 {
		return a.Addr()
	}
	w := &d.weights
	key := weight{a.Addr(), o, t}
	c := w.copies[key]
	if c == nil {
		if i, ok := w.find(a.Addr()); !ok {
			end := a.Addr() + uintptr(4*a.Len())
			w.of = slices.Insert(w.of, i+1, parameter{a.Addr(), end})
		}
		c = &copied{p: d.get(size * t.Size()), stale: true}
		w.copies[key] = c
		w.number++
	}
	if c.stale {
		to := device.At(c.p, t, size)
		switch o {
		case asStored:
			d.cast(to, a)
		case krsc:
			d.reorder(to, a, s, false)
		case filled, filledStored:
			p := d.narrowWeights(to, a, s, widen(s))
			if o == filledStored {
				p.stored = 1
			}
			narrowWeights.launch(d, d.grid1(size, 256), 256, 0, p)
		}
		c.stale = false
	}
	return c.p
}

// reorderParams is Reorder of pass.cu.
type reorderParams struct {
	to, from arr
	rsc, k   uint32
	back     uint32
	_        uint32
}

var reorderKernel = declare[reorderParams]("pass", "reorder", 0)

// reorder writes weights r × s × c × k as k × r × s × c; or back, and then adds them to
// what is there.
func (d *Device) reorder(to, from device.Array, s device.Conv, back bool) {
	p := reorderParams{to: d.arr(to), from: d.arr(from), rsc: uint32(s.R * s.S * s.C), k: uint32(s.K)}
	grid := [3]int{over(s.K, 32), over(s.R*s.S*s.C, 32), 1}
	if back {
		p.back = 1
	}
	reorderKernel.launch(d, grid, 256, 0, p)
}

// precise says whether a product of float32 must not round its factors to TF32.
func precise(s device.Conv) bool { return s.Precision != shape.TF32 }
