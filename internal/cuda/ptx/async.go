package ptx

import (
	"math"
	"math/bits"
)

// copies are a thread's copies to shared memory that are under way. They are done when
// the thread waits for them and no sooner, so that a wait that is missing shows.
type copies struct {
	list   []later16
	group  int // how many groups were closed
	stores []bulkStore
	bulk   int // how many groups of them were closed
}

// bulkStore is a copy of many bytes to global memory.
type bulkStore struct {
	group int
	run   func()
}

// later16 is one of them.
type later16 struct {
	to, from uint64
	size     int
	read     int // bytes that are copied; zeros follow
	group    int
}

// async adds cp.async and its waits.
func (c *compiler) async() {
	op := c.s.op
	if len(op) < 3 || op[1] != "async" {
		c.refuse("unknown instruction")
	}
	switch op[2] {
	case "commit_group":
		c.args(0)
		c.lanes(func(w *warp, i int) { w.copies[i].group++ })
	case "wait_group":
		c.args(1)
		if !c.s.args[0].num {
			c.refuse("a number should stand here")
		}
		n := int(min(c.s.args[0].val, math.MaxInt32))
		c.lanes(func(w *warp, i int) { w.arrived(i, w.copies[i].group-n) })
	case "wait_all":
		c.args(0)
		c.lanes(func(w *warp, i int) { w.arrived(i, math.MaxInt) })
	case "ca", "cg":
		c.copy()
	case "mbarrier":
		c.arriveAfter()
	case "bulk":
		c.bulk()
	default:
		c.refuse("unknown instruction")
	}
}

func (c *compiler) copy() {
	args := c.s.args
	if len(args) < 3 || len(args) > 5 || !args[2].num || !c.has("global") {
		c.refuse("operands that it has not")
	}
	size := int(args[2].val)
	if size != 16 && (c.s.op[2] != "ca" || size != 4 && size != 8) {
		c.refuse("%d bytes", size)
	}
	to, a := c.address(&args[0])
	from, b := c.address(&args[1])
	read := c.number(uint64(size))
	if len(args) > 3 && !c.has("L2::cache_hint") || len(args) > 4 {
		if kind, _, _ := c.register(args[3].text); kind == "pred" {
			c.refuse("ignore-src is not done")
		}
		read = c.src(&args[3], "u32")
	}
	c.emit(inst{kind: effect, do: func(w *warp, m uint32) {
		if p := w.b.l.Profile; p != nil {
			p.access(w, m, w.row(to), a.off, "shared", size)
			p.access(w, m, w.row(from), b.off, "global", size)
		}
		for ; m != 0; m &= m - 1 {
			i := bits.TrailingZeros32(m)
			l := later16{to: w.row(to)[i] + a.off, from: w.row(from)[i] + b.off, size: size,
				read: int(uint32(w.row(read)[i])), group: w.copies[i].group}
			if l.read > size {
				w.fault(i, "copies %d bytes of %d", l.read, size)
			}
			w.check(i, &l) // where the mistake is, not at the wait
			if w.b.races != nil {
				w.b.races.access(w, i, l.to-sharedStart, l.size, true, false)
			}
			w.copies[i].list = append(w.copies[i].list, l)
		}
	}})
}

// check faults where a copy reaches what it must not.
func (w *warp) check(lane int, l *later16) (to, from []byte) {
	at := access{space: "shared", size: l.size, align: l.size, write: true}
	if races := w.b.races; races != nil { // the write itself comes later
		w.b.races = nil
		defer func() { w.b.races = races }()
	}
	to = w.bytes(lane, l.to, &at)
	if l.read > 0 {
		from = w.bytes(lane, l.from, &access{space: "global", size: l.read, align: 1})
		if l.from%uint64(l.size) != 0 {
			w.fault(lane, "the address %#x is not aligned to %d", l.from, l.size)
		}
	}
	return to, from
}

// arrived does a thread's copies of the groups before one.
func (w *warp) arrived(lane, group int) {
	c := &w.copies[lane]
	n := 0
	for ; n < len(c.list) && c.list[n].group < group; n++ {
		l := &c.list[n]
		to, from := w.check(lane, l)
		if w.b.races != nil {
			w.b.races.access(w, lane, l.to-sharedStart, l.size, true, false)
		}
		copy(to, from)
		clear(to[l.read:])
	}
	c.list = append(c.list[:0], c.list[n:]...)
}
