package ptx

import (
	"math"
	"math/bits"
	"slices"
)

// whole faults unless all threads of a warp are there.
func (w *warp) whole(m uint32) {
	if m != all {
		w.fault(bits.TrailingZeros32(m), "only threads %s of the warp are here", lanes(m))
	}
}

// matrices adds ldmatrix and stmatrix: tiles of 8 × 8 elements of 16 bits, of which
// thread 8i + r gives the address of row r of the i-th.
func (c *compiler) matrices(load bool) {
	c.args(2)
	n := 0
	for _, m := range c.s.op[1:] {
		switch m {
		case "x1":
			n = 1
		case "x2":
			n = 2
		case "x4":
			n = 4
		}
	}
	if n == 0 || !c.has("m8n8") || !c.has("b16") {
		c.refuse("unknown instruction")
	}
	regs, at := &c.s.args[0], &c.s.args[1]
	if !load {
		regs, at = at, regs
	}
	list := c.parts(regs, n)
	r := make([]int32, n)
	for i := range list {
		if load {
			r[i] = c.dst(&list[i])
		} else {
			r[i] = c.src(&list[i], "b32")
		}
	}
	base, a := c.address(at)
	a.size, a.align, a.write = 16, 16, !load
	trans := c.has("trans")
	c.emit(inst{kind: meet, need: everyone, do: func(w *warp, m uint32) {
		w.whole(m)
		p := *w.row(base)
		for i := range r {
			w.count(255<<(8*i), &p, &a)
		}
		for i, r := range r {
			var rows [8][]byte
			for k := range rows {
				rows[k] = w.bytes(8*i+k, p[8*i+k]+a.off, &a)
			}
			for lane := range 32 {
				for h := range 2 {
					y, x := lane/4, lane%4*2+h
					if trans {
						y, x = x, y
					}
					e := rows[y][2*x : 2*x+2]
					if load {
						if h == 0 {
							w.r[r][lane] = 0
						}
						w.r[r][lane] |= (uint64(e[0]) | uint64(e[1])<<8) << (16 * h)
					} else {
						v := w.row(r)[lane] >> (16 * h)
						e[0], e[1] = byte(v), byte(v>>8)
					}
				}
			}
		}
	}})
}

// mma adds D = A·B + C of a warp: A is 16 × k, B k × 8.
func (c *compiler) mma() {
	c.args(4)
	op := c.s.op
	k := 0
	for _, m := range op {
		switch m {
		case "m16n8k4":
			k = 4
		case "m16n8k8":
			k = 8
		case "m16n8k16":
			k = 16
		}
	}
	at := slices.Index(op, "col")
	if at < 2 || op[at-1] != "row" || len(op) != at+5 || k == 0 {
		c.refuse("unknown instruction")
	}
	kind := op[at+2]
	if op[at+1] != "f32" || op[at+4] != "f32" || op[at+3] != kind {
		c.refuse("types that it has not")
	}
	as := decoder(kind)
	halves := kind == "bf16" || kind == "f16"
	if halves && k == 4 || !halves && (kind != "tf32" || k > 8) {
		c.refuse("a shape that it has not")
	}
	per, read := 1, func(v uint64, _ int) float32 { return f32(v &^ 0x1fff) } // the card ignores the last bits
	if halves {
		per, read = 2, func(v uint64, h int) float32 { return float32(as(v >> (16 * h) & 0xffff)) }
	}
	if kind == "bf16" {
		read = func(v uint64, h int) float32 { return math.Float32frombits(uint32(v>>(16*h)) << 16) }
	}
	var regs [4][]int32
	for i, n := range []int{4, 16 * k / 32 / per, 8 * k / 32 / per, 4} {
		list := c.parts(&c.s.args[i], n)
		for j := range list {
			if i == 0 {
				regs[i] = append(regs[i], c.dst(&list[j]))
			} else {
				regs[i] = append(regs[i], c.src(&list[j], "f32"))
			}
		}
	}
	c.emit(inst{kind: meet, need: everyone, do: func(w *warp, m uint32) {
		w.whole(m)
		var a [16][16]float32 // row, k
		var b [8][16]float32  // column, k
		for r, reg := range regs[1] {
			for lane, v := range w.row(reg) {
				for h := range per {
					a[lane/4+8*(r&1)][per*(lane%4)+h+4*per*(r>>1)] = read(v, h)
				}
			}
		}
		for r, reg := range regs[2] {
			for lane, v := range w.row(reg) {
				for h := range per {
					b[lane/4][per*(lane%4)+h+4*per*r] = read(v, h)
				}
			}
		}
		var out [4]row
		for r, reg := range regs[3] {
			for lane, v := range w.row(reg) {
				x, y := &a[lane/4+8*(r>>1)], &b[lane%4*2+r&1]
				sum := float64(f32(v))
				for i := range k {
					sum += float64(x[i]) * float64(y[i])
				}
				out[r][lane] = bits32(float32(sum))
			}
		}
		for r, reg := range regs[0] {
			w.r[reg] = out[r]
		}
	}})
}
