package ptx

import (
	"encoding/binary"
	"math/bits"
	"slices"
)

// access is what an instruction does at an address.
type access struct {
	space string
	off   uint64
	size  int // bytes, all elements together
	align int // 0: size
	write bool
	atom  bool
	loose bool // volatile: not looked at for races
}

// find returns n bytes of global memory.
func (w *warp) find(lane int, addr uint64, n uint64) []byte {
	l := w.b.l
	for i := range l.near {
		a := &l.near[i]
		if o := addr - a.base; o < uint64(len(a.data)) && o+n <= uint64(len(a.data)) {
			return a.data[o : o+n : o+n]
		}
	}
	m := l.k.mod
	if o := addr - m.base; o < uint64(len(m.memory)) {
		for _, v := range m.vars {
			if o := addr - v.addr; v.addr != 0 && o < uint64(v.size) && o+n <= uint64(v.size) {
				return m.memory[v.addr-m.base+o:][:n:n]
			}
		}
		w.fault(lane, "%d bytes at %#x lie in no variable", n, addr)
	}
	if l.Memory != nil {
		if base, data := l.Memory.Around(addr); data != nil {
			o := addr - base
			if o+n > uint64(len(data)) {
				w.fault(lane, "%d bytes at %#x run over the end of an allocation of %d by %d",
					n, addr, len(data), o+n-uint64(len(data)))
			}
			copy(l.near[1:], l.near[:3])
			l.near[0] = area{base, data}
			return data[o : o+n : o+n]
		}
		if base, data := l.Memory.Around(addr - n); data != nil {
			w.fault(lane, "%d bytes at %#x lie behind an allocation of %d at %#x", n, addr, len(data), base)
		}
	}
	w.fault(lane, "%d bytes at %#x lie in no allocation", n, addr)
	return nil
}

// bytes returns what a thread reads or writes.
func (w *warp) bytes(lane int, addr uint64, a *access) []byte {
	if addr&uint64(a.align-1) != 0 {
		w.fault(lane, "the address %#x is not aligned to %d", addr, a.align)
	}
	n := uint64(a.size)
	space := a.space
	if space == "" || space == "param" && addr&windows != 0 {
		switch addr & windows {
		case sharedWindow:
			space = "shared"
		case localWindow:
			space = "local"
		default:
			space = "global"
		}
		if space != "global" {
			addr &^= windows
		}
	}
	switch space {
	case "global", "const":
		if a.write {
			w.b.l.Wrote += int64(n)
		} else {
			w.b.l.Read += int64(n)
		}
		b := w.find(lane, addr, n)
		if s := w.b.l.shadow; s != nil {
			if a.atom {
				w.b.acquired = true
			} else if !a.loose {
				s.access(w, lane, addr, n, a.write)
			}
		}
		return b
	case "shared":
		return w.sharedBytes(lane, addr, n, a.write, a.atom)
	case "local":
		if addr >= uint64(w.room) || addr+n > uint64(w.room) {
			w.fault(lane, "%d bytes at %#x of local memory, which has %d", n, addr, w.room)
		}
		return w.local[lane*w.room+int(addr):][:n:n]
	default: // param
		args := w.b.l.Args
		if addr >= uint64(len(args)) || addr+n > uint64(len(args)) {
			w.fault(lane, "%d bytes at %d of parameters, which have %d", n, addr, len(args))
		}
		return args[addr:][:n:n]
	}
}

func (w *warp) sharedBytes(lane int, addr, n uint64, write, atom bool) []byte {
	o, s := addr-sharedStart, w.b.shared
	if o >= uint64(len(s)) || o+n > uint64(len(s)) {
		w.fault(lane, "%d bytes at %#x of shared memory, which goes from %#x to %#x", n, addr, sharedStart, sharedStart+len(s))
	}
	if w.b.races != nil {
		w.b.races.access(w, lane, o, int(n), write, atom)
	}
	return s[o : o+n : o+n]
}

// count keeps an access for a profile.
func (w *warp) count(m uint32, base *row, a *access) {
	if p := w.b.l.Profile; p != nil {
		p.access(w, m, base, a.off, a.space, a.size)
	}
}

var spaces = map[string]string{"global": "global", "shared": "shared", "shared::cta": "shared", "shared::cluster": "shared",
	"local": "local", "param": "param", "param::entry": "param", "param::func": "param", "const": "const"}

// address reads the space of an instruction and its address operand.
func (c *compiler) address(o *operand) (base int32, a access) {
	for _, m := range c.s.op[1:] {
		if s := spaces[m]; s != "" {
			a.space = s
		}
	}
	if !o.at {
		c.refuse("no address in brackets")
	}
	a.loose = c.has("volatile") || c.has("relaxed") || c.has("acquire") || c.has("release")
	if o.num {
		return c.number(o.val + uint64(o.off)), a
	}
	if _, _, ok := c.register(o.text); ok {
		a.off = uint64(o.off)
		return c.row(o.text), a
	}
	base, space := c.symbol(o)
	if a.space == "param" && space == "local" {
		return base, a // carries its window
	}
	if a.space == "" && space != "global" && space != "const" {
		a.space = space
	}
	return base, a
}

// elements returns how many there are of which type.
func (c *compiler) elements() (n int, kind string) {
	n = 1
	for _, m := range c.s.op[1:] {
		switch m {
		case "v2":
			n = 2
		case "v4":
			n = 4
		case "v8":
			n = 8
		default:
			if sizes[m] > 0 {
				kind = m
			}
		}
	}
	if kind == "" || kind == "pred" {
		c.refuse("no type")
	}
	return n, kind
}

// parts returns the elements of an operand.
func (c *compiler) parts(o *operand, n int) []operand {
	list := o.list
	if list == nil || o.at {
		list = []operand{*o}
	}
	if len(list) != n {
		c.refuse("%d registers, want %d", len(list), n)
	}
	return list
}

func load(b []byte, size int) uint64 {
	switch size {
	case 1:
		return uint64(b[0])
	case 2:
		return uint64(binary.LittleEndian.Uint16(b))
	case 4:
		return uint64(binary.LittleEndian.Uint32(b))
	}
	return binary.LittleEndian.Uint64(b)
}

func store(b []byte, size int, v uint64) {
	switch size {
	case 1:
		b[0] = byte(v)
	case 2:
		binary.LittleEndian.PutUint16(b, uint16(v))
	case 4:
		binary.LittleEndian.PutUint32(b, uint32(v))
	default:
		binary.LittleEndian.PutUint64(b, v)
	}
}

// loads adds a load.
func (c *compiler) loads() {
	if n := len(c.s.args); n != 2 && n != 3 { // a cache policy may follow
		c.args(2)
	}
	n, kind := c.elements()
	size := sizes[kind]
	base, a := c.address(&c.s.args[1])
	a.size, a.align = n*size, n*size
	c.k.grain = min(c.k.grain, size)
	list := c.parts(&c.s.args[0], n)
	d := make([]int32, n)
	ext := make([]uint64, n) // the bits that a sign goes to
	for i := range list {
		d[i] = c.dst(&list[i])
		if kind[0] == 's' {
			ext[i] = low(c.width(&list[i])) &^ low(8*size)
		}
	}
	if n == 1 && size == 4 && ext[0] == 0 {
		c.emit(inst{kind: effect, do: func(w *warp, m uint32) {
			p, to := w.row(base), &w.r[d[0]]
			w.count(m, p, &a)
			for ; m != 0; m &= m - 1 {
				i := bits.TrailingZeros32(m) & 31
				to[i] = uint64(binary.LittleEndian.Uint32(w.bytes(i, p[i]+a.off, &a)))
			}
		}})
		return
	}
	c.emit(inst{kind: effect, do: func(w *warp, m uint32) {
		p := *w.row(base) // it may be overwritten
		w.count(m, &p, &a)
		for ; m != 0; m &= m - 1 {
			i := bits.TrailingZeros32(m) & 31
			b := w.bytes(i, p[i]+a.off, &a)
			for k, d := range d {
				v := load(b[k*size:], size)
				if ext[k] != 0 && v>>(8*size-1) != 0 {
					v |= ext[k]
				}
				w.r[d][i] = v
			}
		}
	}})
}

// stores adds a store.
func (c *compiler) stores() {
	if n := len(c.s.args); n != 2 && n != 3 {
		c.args(2)
	}
	n, kind := c.elements()
	size := sizes[kind]
	base, a := c.address(&c.s.args[0])
	a.size, a.align, a.write = n*size, n*size, true
	c.k.grain = min(c.k.grain, size)
	list := c.parts(&c.s.args[1], n)
	if _, ours := c.k.paramAt[c.s.scope.variable(c.s.args[0].text)]; a.space == "const" || a.space == "param" && ours {
		c.refuse("memory that cannot be written")
	}
	v := make([]int32, n)
	for i := range list {
		v[i] = c.src(&list[i], kind)
	}
	c.emit(inst{kind: effect, do: func(w *warp, m uint32) {
		p := w.row(base)
		w.count(m, p, &a)
		for ; m != 0; m &= m - 1 {
			i := bits.TrailingZeros32(m) & 31
			b := w.bytes(i, p[i]+a.off, &a)
			for k, v := range v {
				store(b[k*size:], size, w.row(v)[i])
			}
		}
	}})
}

// cvta turns an address of a space into a generic one, or back.
func (c *compiler) cvta() {
	c.args(2)
	space := ""
	for _, m := range c.s.op[1:] {
		if s := spaces[m]; s != "" {
			space = s
		}
	}
	window := map[string]uint64{"shared": sharedWindow, "local": localWindow}[space]
	d, a := c.dst(&c.s.args[0]), c.src(&c.s.args[1], "b64")
	fn := func(d, a, _, _ *row) {
		for i := range d {
			d[i] = a[i] | window
		}
	}
	if slices.Contains(c.s.op, "to") {
		fn = func(d, a, _, _ *row) {
			for i := range d {
				d[i] = a[i] &^ windows
			}
		}
	}
	c.emit(inst{fn: fn, d: d, a: a})
}

// isspacep asks whether a generic address is of a space.
func (c *compiler) isspacep() {
	c.args(2)
	_, a := c.address(&operand{at: true, num: true})
	window := map[string]uint64{"shared": sharedWindow, "local": localWindow}[a.space]
	d, s := c.predicate(&c.s.args[0]), c.src(&c.s.args[1], "b64")
	c.emit(inst{kind: effect, do: func(w *warp, m uint32) {
		set := uint32(0)
		for i, v := range w.row(s) {
			if v&windows == window {
				set |= 1 << i
			}
		}
		w.p[d] = w.p[d]&^m | set&m
	}})
}
