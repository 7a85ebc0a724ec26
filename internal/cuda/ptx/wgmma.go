package ptx

import (
	"encoding/binary"
	"math"
	"math/bits"
	"slices"
	"strconv"
	"strings"
)

// products are a warp's part of products of a warpgroup that are under way. They are done
// when the warp waits for them; until then the registers of the results hold no numbers.
type products struct {
	list  []product
	group int
	held  map[int32]*row // the values of registers under way
}

type product struct {
	group int
	d     []*row
	run   func(d []*row)
}

// wgmma adds products of a warpgroup, 64 × n.
func (c *compiler) wgmma() {
	op := c.s.op
	if len(op) < 2 {
		c.refuse("unknown instruction")
	}
	switch op[1] {
	case "fence":
		return
	case "commit_group":
		c.emit(inst{kind: meet, need: everyone, do: func(w *warp, _ uint32) { w.products.group++ }})
		return
	case "wait_group":
		if len(c.s.args) != 1 || !c.s.args[0].num {
			c.refuse("a number should stand here")
		}
		n := int(min(c.s.args[0].val, math.MaxInt32))
		c.emit(inst{kind: meet, need: everyone, do: func(w *warp, _ uint32) { w.multiplied(w.products.group - n) }})
		return
	case "mma_async":
	default:
		c.refuse("unknown instruction")
	}
	n := 0
	if len(op) == 8 {
		if _, s, ok := strings.Cut(op[4], "m64n"); ok {
			s, _, _ = strings.Cut(s, "k")
			n, _ = strconv.Atoi(s)
		}
	}
	if n < 8 || n > 256 || n%8 != 0 || op[5] != "f32" || op[6] != op[7] {
		c.refuse("a shape that it has not")
	}
	kind := op[6]
	as := decoder(kind)
	size, k := 2, 16
	if kind == "tf32" {
		size, k = 4, 8
	} else if kind != "bf16" && kind != "f16" {
		c.refuse("types that it has not")
	}
	if op[4] != "m64n"+strconv.Itoa(n)+"k"+strconv.Itoa(k) || len(c.s.args) < 6 {
		c.refuse("a shape that it has not")
	}
	args := c.s.args
	list := c.parts(&args[0], n/2)
	d := make([]int32, n/2)
	for i := range list {
		d[i] = c.dst(&list[i])
	}
	var a []int32 // registers, or none
	descA := c.none
	if args[1].list != nil {
		for _, o := range c.parts(&args[1], 4) {
			a = append(a, c.src(&o, "b32"))
		}
	} else {
		descA = c.src(&args[1], "b64")
	}
	descB, scale := c.src(&args[2], "b64"), int32(0)
	if args[3].num && args[3].val == 0 {
		scale = -1
	} else {
		scale = c.predicate(&args[3])
	}
	imm := func(i int) int64 {
		if i >= len(args) {
			return 0
		}
		if !args[i].num {
			c.refuse("a number should stand here")
		}
		return int64(args[i].val)
	}
	sign := float64(imm(4) * imm(5))
	transA, transB := imm(6) != 0 && a == nil, imm(len(args)-1) != 0 && len(args) > 6
	if math.Abs(sign) != 1 || size == 4 && (transA || transB) {
		c.refuse("factors that it has not")
	}
	c.emit(inst{kind: meet, need: everyone, do: func(w *warp, m uint32) {
		w.whole(m)
		if len(w.b.warps)%4 != 0 {
			w.fault(0, "a block of %d warps, which are no warpgroups of four", len(w.b.warps))
		}
		from, b := matrixAt(w.row(descA)[0], size), matrixAt(w.row(descB)[0], size)
		var left [16][16]float64
		for r, reg := range a {
			for lane, v := range w.row(reg) {
				for h := range 4 / size {
					left[lane/4+8*(r&1)][4/size*(lane%4)+h+16/size*(r>>1)] = element(v>>(16*h), kind, as)
				}
			}
		}
		keep := scale >= 0 && w.p[scale]&1 != 0
		line := w.pc
		w.multiply(d, func(d []*row) {
			now := w.pc
			w.pc = line // of faults
			if a == nil {
				w.gather(from, 16*(w.index%4), left[:], k, transA, kind)
			}
			if len(w.right) < n {
				w.right = make([][16]float64, 256)
			}
			right := w.right[:n]
			if k < 16 {
				clear(right)
			}
			w.gather(b, 0, right, k, transB, kind)
			w.pc = now
			for r, reg := range d {
				for lane := range reg {
					sum := 0.0
					if keep {
						sum = float64(f32(reg[lane]))
					}
					x, y := &left[lane/4+8*(r>>1&1)], &right[r>>2*8+lane%4*2+r&1]
					dot := 0.0
					for i, v := range x {
						dot += v * y[i]
					}
					sum += sign * dot
					reg[lane] = bits32(float32(sum))
				}
			}
		})
	}})
}

// multiply puts a product under way.
func (w *warp) multiply(d []int32, run func(d []*row)) {
	p := &w.products
	if p.held == nil {
		p.held = map[int32]*row{}
	}
	values := make([]*row, len(d))
	for i, reg := range d {
		if p.held[reg] == nil {
			v := w.r[reg]
			p.held[reg] = &v
			fill(&w.r[reg], 0x7fc17fc1)
		}
		values[i] = p.held[reg]
	}
	p.list = append(p.list, product{p.group, values, run})
}

// move copies a register, which may be under way: then the copy is too.
func (w *warp) move(d, s int32, m uint32) {
	if p := &w.products; len(p.held) > 0 {
		if v := p.held[s]; v != nil {
			p.held[d] = v
		} else {
			delete(p.held, d)
		}
	}
	to, from := &w.r[d], w.row(s)
	for ; m != 0; m &= m - 1 {
		i := bits.TrailingZeros32(m) & 31
		to[i] = from[i]
	}
}

// multiplied does the products of groups before one.
func (w *warp) multiplied(group int) {
	p := &w.products
	n := 0
	for ; n < len(p.list) && p.list[n].group < group; n++ {
		p.list[n].run(p.list[n].d)
	}
	p.list = slices.Delete(p.list, 0, n)
	busy := map[*row]bool{}
	for _, q := range p.list {
		for _, v := range q.d {
			busy[v] = true
		}
	}
	for reg, v := range p.held {
		if !busy[v] {
			w.r[reg] = *v
			delete(p.held, reg)
		}
	}
}

// layout says where a matrix lies in shared memory.
type layout struct {
	start, lead, stride uint64
	width               uint64 // bytes of a row of the pattern that is stirred; 16: none is
	size                int
}

// matrixAt reads a descriptor.
func matrixAt(v uint64, size int) layout {
	return layout{start: v & 0x3fff << 4, lead: v >> 16 & 0x3fff << 4, stride: v >> 32 & 0x3fff << 4,
		width: [...]uint64{16, 128, 64, 32}[v>>62], size: size}
}

// at returns the address of an element, mn along the rows of A or the columns of B. With
// trans, elements that follow each other lie along mn.
func (l *layout) at(mn, k int, trans bool) uint64 {
	y, x := uint64(mn), uint64(k*l.size)
	var o uint64
	switch {
	case !trans && l.width == 16:
		o = y/8*l.stride + x/16*l.lead + y%8*16 + x%16
	case !trans:
		o = y/8*l.stride + y%8*l.width + x
	case l.width == 16:
		o = y/8*l.stride + uint64(k)/8*l.lead + uint64(k)%8*16 + y%8*2
	default:
		o = 2*y/l.width*l.lead + 2*y%l.width + uint64(k)%8*l.width + uint64(k)/8*l.stride
	}
	addr := l.start + o
	return addr ^ addr>>7&(l.width/16-1)<<4
}

// gather reads rows from the mn-th on, k elements of each, in pieces of 16 bytes.
func (w *warp) gather(l layout, mn int, to [][16]float64, k int, trans bool, kind string) {
	as, per, n := decoder(kind), 16/l.size, len(to)
	for piece := range n * k / per {
		y, x := piece*per/k, piece*per%k
		if trans {
			y, x = piece*per%n, piece*per/n
		}
		addr := l.at(mn+y, x, trans)
		o := addr - sharedStart
		if o >= uint64(len(w.b.shared)) || o+16 > uint64(len(w.b.shared)) {
			w.fault(0, "element %d, %d of a matrix lies at %#x of shared memory, which goes from %#x to %#x", mn+y, x, addr,
				sharedStart, sharedStart+len(w.b.shared))
		}
		if w.b.races != nil {
			w.b.races.async(w, 0, o, 16, false)
		}
		b := w.b.shared[o : o+16]
		for i := range per {
			var v float64
			if kind == "bf16" {
				v = fromBF16(uint64(binary.LittleEndian.Uint16(b[2*i:])))
			} else {
				v = element(load(b[i*l.size:], l.size), kind, as)
			}
			if trans {
				to[y+i][x] = v
			} else {
				to[y][x+i] = v
			}
		}
	}
}

func element(v uint64, kind string, as func(uint64) float64) float64 {
	if kind == "tf32" {
		return float64(f32(v &^ 0x1fff))
	}
	return as(v & 0xffff)
}
