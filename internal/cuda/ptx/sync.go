package ptx

import (
	"math/bits"
	"slices"
)

// everyone is the need of what all of a warp's threads do together.
func everyone(w *warp, _ uint32) uint32 { return w.live }

// members returns the need of an instruction with a mask of its threads, and the row
// of that mask.
func (c *compiler) members(o *operand) (need func(*warp, uint32) uint32, mask int32) {
	mask = c.src(o, "b32")
	return func(w *warp, m uint32) uint32 {
		lane := bits.TrailingZeros32(m)
		set := uint32(w.row(mask)[lane])
		if set&m != m {
			w.fault(lane, "threads %s are here, but the mask has %s", lanes(m), lanes(set))
		}
		return set
	}, mask
}

// barrier adds bar.sync, bar.arrive, bar.red and bar.warp.sync.
func (c *compiler) barrier() {
	op := c.s.op[1:]
	op = slices.DeleteFunc(slices.Clone(op), func(m string) bool { return m == "cta" || m == "aligned" })
	if len(op) == 0 {
		c.refuse("unknown instruction")
	}
	if op[0] == "warp" {
		c.args(1)
		need, _ := c.members(&c.s.args[0])
		c.emit(inst{kind: meet, need: need, do: func(w *warp, _ uint32) { w.syncs++ }})
		return
	}
	args := c.s.args
	pop, d := int32(0), int32(0)
	p, flip := int32(0), uint32(0)
	switch op[0] {
	case "red":
		if len(args) < 3 || len(op) < 2 {
			c.refuse("operands that it has not")
		}
		last := &args[len(args)-1]
		p = c.predicate(last)
		if last.not {
			flip = all
		}
		if op[1] == "popc" {
			pop = c.dst(&args[0])
		} else {
			d = c.predicate(&args[0])
		}
		args = args[1 : len(args)-1]
	case "sync", "arrive":
	default:
		c.refuse("unknown instruction")
	}
	if len(args) < 1 || len(args) > 2 || op[0] == "arrive" && len(args) != 2 {
		c.refuse("operands that it has not")
	}
	id, count := c.src(&args[0], "u32"), c.none
	if len(args) == 2 {
		count = c.src(&args[1], "u32")
	}
	c.emit(inst{kind: barrier, need: everyone, do: func(w *warp, m uint32) {
		lane := bits.TrailingZeros32(m)
		at := w.row(id)[lane]
		meet := w.arrive(at, w.row(count)[lane])
		if op[0] == "arrive" {
			if w.b.races != nil {
				w.clock[w.index]++
			}
			return
		}
		w.wait = waiting{on: true, id: int(at)}
		if op[0] != "red" {
			return
		}
		set := (w.p[p] ^ flip) & m
		meet.votes += bits.OnesCount32(set)
		meet.and = meet.and && set == m
		meet.or = meet.or || set != 0
		w.wait.finish = func(votes int, and, or bool) {
			switch {
			case op[1] == "popc":
				w.spread(pop, m, uint64(votes))
			case op[1] == "and" && and, op[1] == "or" && or:
				w.p[d] |= m
			default:
				w.p[d] &^= m
			}
		}
	}})
}

func (c *compiler) shfl() {
	if len(c.s.args) != 5 || len(c.s.op) < 4 {
		c.refuse("operands that it has not")
	}
	mode := c.s.op[2]
	if !slices.Contains([]string{"bfly", "down", "up", "idx"}, mode) {
		c.refuse("unknown instruction")
	}
	d := c.dst(&operand{text: c.s.args[0].text})
	p := int32(-1)
	if also := c.s.args[0].also; also != "" && also != "_" {
		p = c.predicate(&operand{text: also})
	}
	a, b, cl := c.src(&c.s.args[1], "b32"), c.src(&c.s.args[2], "u32"), c.src(&c.s.args[3], "u32")
	need, mask := c.members(&c.s.args[4])
	c.emit(inst{kind: meet, need: need, do: func(w *warp, m uint32) {
		from, by, clamp, set := *w.row(a), w.row(b), w.row(cl), w.row(mask)
		for rest := m; rest != 0; rest &= rest - 1 {
			i := bits.TrailingZeros32(rest) & 31
			n, seg, cv := int(by[i]&31), int(clamp[i]>>8&31), int(clamp[i]&31)
			least, most := i&seg, i&seg|cv&^seg
			j, in := 0, false
			switch mode {
			case "up":
				j = i - n
				in = j >= most
			case "down":
				j = i + n
				in = j <= most
			case "bfly":
				j = i ^ n
				in = j <= most
			default:
				j = least | n&^seg
				in = j <= most
			}
			if p >= 0 {
				w.p[p] &^= 1 << i
			}
			if in {
				if uint32(set[i])>>j&1 == 0 || w.live>>j&1 == 0 || m>>j&1 == 0 {
					w.fault(i, "takes from thread %d of the warp, which takes no part", j)
				}
				if p >= 0 {
					w.p[p] |= 1 << i
				}
			} else {
				j = i
			}
			w.r[d][i] = from[j]
		}
	}})
}

func (c *compiler) vote() {
	c.args(3)
	op := c.s.op
	if len(op) < 4 || op[1] != "sync" {
		c.refuse("unknown instruction")
	}
	o := &c.s.args[1]
	p, flip := int32(0), uint32(0)
	if o.num && o.val == 0 {
		flip = all
	} else {
		p = c.predicate(o)
	}
	if o.not {
		flip ^= all
	}
	need, _ := c.members(&c.s.args[2])
	in := inst{kind: meet, need: need}
	if op[2] == "ballot" {
		d := c.dst(&c.s.args[0])
		in.do = func(w *warp, m uint32) { w.spread(d, m, uint64((w.p[p]^flip)&m)) }
		c.emit(in)
		return
	}
	d := c.predicate(&c.s.args[0])
	in.do = func(w *warp, m uint32) {
		set := (w.p[p] ^ flip) & m
		if op[2] == "all" && set == m || op[2] == "any" && set != 0 || op[2] == "uni" && (set == m || set == 0) {
			w.p[d] |= m
		} else {
			w.p[d] &^= m
		}
	}
	c.emit(in)
}

func (c *compiler) match(kind string) {
	c.args(3)
	op := c.s.op
	if len(op) < 4 || op[1] != "any" && op[1] != "all" || sizes[kind] == 0 {
		c.refuse("unknown instruction")
	}
	d, p := c.dst(&operand{text: c.s.args[0].text}), int32(-1)
	if also := c.s.args[0].also; also != "" {
		p = c.predicate(&operand{text: also})
	}
	a := c.src(&c.s.args[1], kind)
	need, _ := c.members(&c.s.args[2])
	c.emit(inst{kind: meet, need: need, do: func(w *warp, m uint32) {
		from := *w.row(a)
		for rest := m; rest != 0; rest &= rest - 1 {
			i := bits.TrailingZeros32(rest)
			same := uint32(0)
			for j := range 32 {
				if m>>j&1 == 1 && from[j] == from[i] {
					same |= 1 << j
				}
			}
			if op[1] == "all" {
				if p >= 0 {
					w.p[p] &^= 1 << i
				}
				if same != m {
					same = 0
				} else if p >= 0 {
					w.p[p] |= 1 << i
				}
			}
			w.r[d][i] = uint64(same)
		}
	}})
}

func (c *compiler) redux(kind string) {
	c.args(3)
	op := c.s.op
	if len(op) < 4 || kind != "u32" && kind != "s32" && kind != "b32" {
		c.refuse("unknown instruction")
	}
	fn := atomics(op[2], kind)
	if fn == nil || op[2] == "exch" || op[2] == "inc" || op[2] == "dec" {
		c.refuse("unknown instruction")
	}
	d, a := c.dst(&c.s.args[0]), c.src(&c.s.args[1], kind)
	need, _ := c.members(&c.s.args[2])
	c.emit(inst{kind: meet, need: need, do: func(w *warp, m uint32) {
		from := w.row(a)
		v := from[bits.TrailingZeros32(m)]
		for rest := m & (m - 1); rest != 0; rest &= rest - 1 {
			v = fn(v, from[bits.TrailingZeros32(rest)])
		}
		w.spread(d, m, v)
	}})
}
