package ptx

import (
	"fmt"
	"math"
	"math/bits"
	"slices"
)

// mbar is a barrier in shared memory: a phase ends when all arrivals it waits for have
// come, and all bytes.
type mbar struct {
	count, pending int
	bytes          int64
	phase          uint64
	clock, done    []uint32 // for races: of who arrived in this phase, and in the last
}

// flight is a copy under way, or an arrival, that a barrier in shared memory waits for.
// It is done when a thread asks the barrier, and no sooner.
type flight struct {
	at  uint64 // of the barrier
	run func()
}

// settle ends a phase that is complete.
func (b *mbar) settle() {
	if b.pending == 0 && b.bytes == 0 {
		b.phase++
		b.pending = b.count
		b.done = append(b.done[:0], b.clock...)
		b.clock = b.clock[:0]
	}
}

// mbar returns the barrier at an address.
func (w *warp) mbar(lane int, addr uint64, init bool) *mbar {
	if addr&windows == sharedWindow {
		addr &^= windows
	}
	if addr%8 != 0 {
		w.fault(lane, "the address %#x is not aligned to 8", addr)
	}
	w.sharedBytes(lane, addr, 8, true, !init)
	b := w.b.mbars[addr]
	switch {
	case init && b != nil && b.count > 0:
		w.fault(lane, "a barrier is there already")
	case init:
		b = &mbar{}
		if w.b.mbars == nil {
			w.b.mbars = map[uint64]*mbar{}
		}
		w.b.mbars[addr] = b
	case b == nil || b.count == 0:
		w.fault(lane, "there is no barrier at %#x", addr)
	}
	return b
}

// release notes that what a warp did comes before the end of a phase.
func (b *mbar) release(w *warp) {
	if w.b.races == nil {
		return
	}
	if len(b.clock) == 0 {
		b.clock = append(b.clock[:0], w.clock...)
	} else {
		join(b.clock, w.clock)
	}
	w.clock[w.index]++
}

func (b *mbar) arrive(w *warp, lane, n int) {
	if n > b.pending {
		w.fault(lane, "%d arrivals at a barrier that waits for %d", n, b.pending)
	}
	b.release(w)
	b.pending -= n
	b.settle()
}

// mbarrier adds what works on barriers in shared memory.
func (c *compiler) mbarrier() {
	op, args := c.s.op, c.s.args
	if len(op) < 3 || len(args) == 0 {
		c.refuse("unknown instruction")
	}
	d := c.sink
	if op[1] == "arrive" && !args[0].at {
		d, args = c.dst(&args[0]), args[1:]
	}
	p := int32(0)
	if op[1] == "test_wait" || op[1] == "try_wait" {
		p, args = c.predicate(&args[0]), args[1:]
	}
	if len(args) == 0 {
		c.refuse("operands that it has not")
	}
	base, a := c.address(&args[0])
	n := c.number(1)
	if len(args) > 1 {
		n = c.src(&args[1], "b64")
	}
	each := func(f func(w *warp, lane int, addr, n uint64)) {
		c.lanes(func(w *warp, i int) { f(w, i, w.row(base)[i]+a.off, w.row(n)[i]) })
	}
	switch op[1] {
	case "init":
		each(func(w *warp, lane int, addr, n uint64) {
			if n < 1 || n >= 1<<20 {
				w.fault(lane, "a barrier for %d arrivals", n)
			}
			b := w.mbar(lane, addr, true)
			b.count, b.pending = int(n), int(n)
		})
	case "inval":
		each(func(w *warp, lane int, addr, _ uint64) { *w.mbar(lane, addr, false) = mbar{} })
	case "expect_tx":
		each(func(w *warp, lane int, addr, n uint64) { w.mbar(lane, addr, false).bytes += int64(uint32(n)) })
	case "arrive":
		tx := c.has("expect_tx")
		each(func(w *warp, lane int, addr, n uint64) {
			b := w.mbar(lane, addr, false)
			w.r[d][lane] = b.phase
			if tx {
				b.bytes += int64(uint32(n))
				n = 1
			}
			b.arrive(w, lane, int(uint32(n)))
		})
	case "test_wait", "try_wait":
		if len(args) < 2 {
			c.refuse("operands that it has not")
		}
		parity := c.has("parity")
		each(func(w *warp, lane int, addr, n uint64) {
			b := w.mbar(lane, addr, false)
			over := func() bool { return parity && b.phase&1 != n&1 || !parity && b.phase != n }
			if !over() {
				w.b.land(addr &^ windows)
			}
			w.p[p] &^= 1 << lane
			if !over() {
				w.yields = true
				return
			}
			w.p[p] |= 1 << lane
			if w.b.races != nil && len(b.done) > 0 {
				join(w.clock, b.done)
			}
		})
	default:
		c.refuse("unknown instruction")
	}
}

// land does what a barrier waits for.
func (b *block) land(at uint64) {
	var due []flight
	b.flights = slices.DeleteFunc(b.flights, func(f flight) bool {
		if f.at == at {
			due = append(due, f)
		}
		return f.at == at
	})
	for _, f := range due {
		f.run()
	}
}

// fly has something done when a barrier is asked.
func (w *warp) fly(lane int, addr uint64, run func(b *mbar)) {
	b := w.mbar(lane, addr, false)
	b.release(w)
	w.b.flights = append(w.b.flights, flight{addr &^ windows, func() {
		run(b)
		b.settle()
	}})
}

// arriveAfter adds the arrival that follows a thread's copies.
func (c *compiler) arriveAfter() {
	if len(c.s.op) < 4 || c.s.op[3] != "arrive" || len(c.s.args) != 1 {
		c.refuse("unknown instruction")
	}
	base, a := c.address(&c.s.args[0])
	more := !c.has("noinc")
	c.lanes(func(w *warp, i int) {
		addr := w.row(base)[i] + a.off
		if more {
			w.mbar(i, addr, false).pending++
		}
		w.copies[i].group++
		group := w.copies[i].group
		w.fly(i, addr, func(b *mbar) {
			w.arrived(i, group)
			b.pending--
		})
	})
}

// bulk adds copies of many bytes at once.
func (c *compiler) bulk() {
	op, args := c.s.op, c.s.args
	if len(op) < 4 {
		c.refuse("unknown instruction")
	}
	switch op[3] {
	case "commit_group":
		c.args(0)
		c.lanes(func(w *warp, i int) { w.copies[i].bulk++ })
		return
	case "wait_group":
		if len(args) != 1 || !args[0].num {
			c.refuse("a number should stand here")
		}
		n := int(min(args[0].val, math.MaxInt32))
		c.lanes(func(w *warp, i int) {
			s := &w.copies[i]
			for len(s.stores) > 0 && s.stores[0].group < s.bulk-n {
				s.stores[0].run()
				s.stores = s.stores[1:]
			}
		})
		return
	case "global":
		c.bulkStore()
		return
	case "shared::cluster", "shared::cta":
	default:
		c.refuse("unknown instruction")
	}
	if len(args) != 4 || len(op) < 5 || op[4] != "global" {
		c.refuse("operands that it has not")
	}
	to, _ := c.address(&args[0])
	from, _ := c.address(&args[1])
	size := c.src(&args[2], "u32")
	bar, _ := c.address(&args[3])
	off := [3]uint64{c.offset(0), c.offset(1), c.offset(3)}
	c.lanes(func(w *warp, i int) {
		n := uint64(uint32(w.row(size)[i]))
		dst, src := w.bulkEnds(i, w.row(to)[i]+off[0], w.row(from)[i]+off[1], n)
		if w.b.races != nil {
			w.b.races.async(w, i, (w.row(to)[i]+off[0])&^windows-sharedStart, int(n), true)
		}
		w.fly(i, w.row(bar)[i]+off[2], func(b *mbar) {
			copy(dst, src)
			b.bytes -= int64(n)
		})
	})
}

// offset returns what is added to the register of an address.
func (c *compiler) offset(arg int) uint64 {
	if _, _, ok := c.register(c.s.args[arg].text); ok {
		return uint64(c.s.args[arg].off)
	}
	return 0
}

// bulkEnds checks both ends of a copy: of shared and of global memory.
func (w *warp) bulkEnds(lane int, shared, global, n uint64) (s, g []byte) {
	shared &^= windows
	if n == 0 || n%16 != 0 || shared%16 != 0 || global%16 != 0 {
		w.fault(lane, "a copy of %d bytes between %#x and %#x, all of which must be multiples of 16", n, shared, global)
	}
	if o := shared - sharedStart; o >= uint64(len(w.b.shared)) || o+n > uint64(len(w.b.shared)) {
		w.fault(lane, "%d bytes at %#x of shared memory, which goes from %#x to %#x", n, shared, sharedStart,
			sharedStart+len(w.b.shared))
	}
	return w.b.shared[shared-sharedStart:][:n], w.find(lane, global, n)
}

func (c *compiler) bulkStore() {
	if len(c.s.args) != 3 || !c.has("bulk_group") {
		c.refuse("operands that it has not")
	}
	to, _ := c.address(&c.s.args[0])
	from, _ := c.address(&c.s.args[1])
	size := c.src(&c.s.args[2], "u32")
	off := [2]uint64{c.offset(0), c.offset(1)}
	c.lanes(func(w *warp, i int) {
		n, at := uint64(uint32(w.row(size)[i])), w.row(from)[i]+off[1]
		src, dst := w.bulkEnds(i, at, w.row(to)[i]+off[0], n)
		if w.b.races != nil {
			w.b.races.async(w, i, at&^windows-sharedStart, int(n), false)
		}
		s := &w.copies[i]
		s.stores = append(s.stores, bulkStore{s.bulk, func() { copy(dst, src) }})
		w.b.l.Wrote += int64(n)
	})
}

// elect picks the first of the threads.
func (c *compiler) elect() {
	c.args(2)
	o := &c.s.args[0]
	if o.also == "" {
		c.refuse("operands that it has not")
	}
	d, p := c.dst(&operand{text: o.text}), c.predicate(&operand{text: o.also})
	need, _ := c.members(&c.s.args[1])
	c.emit(inst{kind: meet, need: need, do: func(w *warp, m uint32) {
		lane := bits.TrailingZeros32(m)
		w.spread(d, m, uint64(lane))
		w.p[p] = w.p[p]&^m | 1<<lane
	}})
}

// async looks at an access by the hardware that copies and multiplies beside the threads:
// what threads wrote is seen by it after their fence.proxy.async.
func (r *races) async(w *warp, lane int, at uint64, n int, write bool) {
	for i := int(at) / r.grain; i <= (int(at)+n-1)/r.grain; i++ {
		if s := r.places[i].write; !write && s.clock > w.b.epoch && !s.async && s.fences == w.b.warps[s.warp].fences {
			w.fault(lane, "byte %d of shared memory was written and no fence.proxy.async followed", i*r.grain)
		}
	}
	r.access(w, lane, at, n, write, false)
	if write {
		for i := int(at) / r.grain; i <= (int(at)+n-1)/r.grain; i++ {
			r.places[i].write.async = true
		}
	}
}

func (b *mbar) String() string {
	return fmt.Sprintf("phase %d, waits for %d of %d arrivals and %d bytes", b.phase, b.pending, b.count, b.bytes)
}
