package ptx

import (
	"fmt"
	"math/bits"
	"math/rand/v2"
)

// Memory is the card's.
type Memory interface {
	// Around returns the live allocation that an address lies in and where it begins; nil
	// if there is none.
	Around(addr uint64) (base uint64, data []byte)
}

// Launch is one run of a kernel.
type Launch struct {
	Grid, Threads [3]int
	Shared        int // bytes of dynamic shared memory
	Args          []byte
	Memory        Memory
	// Seed shuffles the order of blocks, and of the warps of a block between barriers, so
	// that what depends on it shows; 0 takes them in order.
	Seed uint64
	// Races looks for accesses to shared memory that no barrier keeps apart, and for those
	// of two blocks to the same place of global memory.
	Races   bool
	Profile *Profile // counts, unless nil
	Limit   int64    // instructions of warps in all; 0 is 1<<32

	// What the run took.
	Steps        int64 // instructions of warps
	Instructions int64 // of threads
	Read, Wrote  int64 // bytes of global memory

	k      *Kernel
	near   [4]area
	shadow *shadow
	random *rand.Rand
	clock  uint64
}

type area struct {
	base uint64
	data []byte
}

// Launch runs a kernel to its end. What the kernel must not do is a *Fault.
func (k *Kernel) Launch(l *Launch) (err error) {
	for i := range 3 {
		if l.Grid[i] < 1 || l.Threads[i] < 1 {
			return fmt.Errorf("ptx: %s: a grid of %v blocks of %v threads", k.Name, l.Grid, l.Threads)
		}
	}
	threads := l.Threads[0] * l.Threads[1] * l.Threads[2]
	switch {
	case threads > 1024 || l.Grid[1] > 65535 || l.Grid[2] > 65535:
		return fmt.Errorf("ptx: %s: a grid of %v blocks of %v threads is too large", k.Name, l.Grid, l.Threads)
	case len(l.Args) != k.Params:
		return fmt.Errorf("ptx: %s takes %d bytes of parameters, got %d", k.Name, k.Params, len(l.Args))
	case l.Shared < 0 || up(k.Shared, k.align)+l.Shared > maxShared:
		return fmt.Errorf("ptx: %s: %d bytes of shared memory, a block can have %d", k.Name, k.Shared+l.Shared, maxShared)
	}
	if l.Limit == 0 {
		l.Limit = 1 << 32
	}
	l.k, l.near = k, [4]area{}
	l.random = nil
	if l.Seed != 0 {
		l.random = rand.New(rand.NewPCG(l.Seed, 1))
	}
	defer func() {
		switch e := recover().(type) {
		case nil:
		case *Fault:
			err = e
		default:
			panic(e)
		}
	}()
	l.shadow = nil
	if l.Races {
		l.shadow = &shadow{shift: bits.TrailingZeros(uint(k.grain)), pages: map[uint64]*page{}}
	}
	b, _ := k.spare.Get().(*block)
	if b == nil || !b.fits(l, threads) {
		b = newBlock(l, threads)
	}
	defer func() {
		b.l = nil
		k.spare.Put(b)
	}()
	b.l = l
	n := l.Grid[0] * l.Grid[1] * l.Grid[2]
	if l.random == nil {
		for i := range n {
			b.run(i)
		}
		return nil
	}
	for _, i := range l.random.Perm(n) {
		b.run(i)
	}
	return nil
}

// block is the one that runs.
type block struct {
	l       *Launch
	at      [3]int
	threads int
	size    [3]int // threads along each axis
	shared  []byte
	warps   []*warp
	bars    [16]meeting
	order   []int
	mbars   map[uint64]*mbar
	flights []flight
	races   *races
	number  uint32 // of the block, from 1
	// acquired says that the block did an atomic operation, which may have told it that
	// others have ended.
	acquired bool
	epoch    uint32 // of the clocks of its warps when it began
}

// meeting is the state of a barrier.
type meeting struct {
	come    int // threads
	want    int // 0: all warps that have not ended
	votes   int
	and, or bool
	clock   []uint32
}

// waiting says which barrier a warp waits at.
type waiting struct {
	on     bool
	id     int
	finish func(votes int, and, or bool)
}

// fits says that what an earlier launch had does for this one.
func (b *block) fits(l *Launch, threads int) bool {
	return b.threads == threads && len(b.shared) == up(l.k.Shared, l.k.align)+l.Shared && (b.races != nil) == l.Races &&
		b.size == l.Threads
}

func newBlock(l *Launch, threads int) *block {
	k := l.k
	b := &block{l: l, threads: threads, size: l.Threads}
	b.shared = make([]byte, up(k.Shared, k.align)+l.Shared)
	n := (threads + 31) / 32
	if l.Races {
		b.races = newRaces(len(b.shared), k.grain, n)
	}
	for i := range n {
		w := &warp{b: b, index: i, code: k.code, consts: k.consts, room: k.Local}
		w.r, w.p = make([]row, k.rows), make([]uint32, k.preds)
		w.local = make([]byte, 32*k.Local)
		w.clock = make([]uint32, n)
		b.warps = append(b.warps, w)
		b.order = append(b.order, i)
	}
	return b
}

// run does the i-th block of the grid.
func (b *block) run(i int) {
	g := b.l.Grid
	b.at = [3]int{i % g[0], i / g[0] % g[1], i / g[0] / g[1]}
	if p := b.l.Profile; p != nil {
		p.Blocks++
	}
	b.number, b.acquired = uint32(i+1), false
	poison(b.shared)
	for i := range b.bars {
		b.bars[i].reset()
	}
	clear(b.mbars)
	b.flights = nil
	for _, w := range b.warps { // what earlier blocks did is over
		b.epoch = max(b.epoch, w.clock[w.index])
	}
	for _, w := range b.warps {
		w.start()
	}
	for b.step() {
	}
}

// poison fills memory with what is no number in any type.
func poison(b []byte) {
	for i := 0; i+1 < len(b); i += 2 {
		b[i], b[i+1] = 0xc1, 0x7f
	}
}

func (w *warp) start() {
	w.live = all
	if left := w.b.threads - 32*w.index; left < 32 {
		w.live = 1<<left - 1
	}
	w.mask, w.blocked, w.pc, w.next = w.live, 0, 0, 1<<30
	w.wait = waiting{}
	w.products.list = w.products.list[:0]
	clear(w.products.held)
	w.p[0] = all
	for i := range w.copies {
		w.copies[i] = copies{list: w.copies[i].list[:0]} // what is under way ends with the block
	}
	for i := range w.clock {
		w.clock[i] = w.b.epoch
	}
	w.clock[w.index]++
	poison(w.local)
	for _, s := range w.b.l.k.specials {
		if s.changes || !w.begun {
			w.set(&w.r[s.row], s.name)
		}
	}
	w.begun = true
}

// step lets each warp go on once. It says false when all have ended.
func (b *block) step() bool {
	if r := b.l.random; r != nil {
		r.Shuffle(len(b.order), func(i, j int) { b.order[i], b.order[j] = b.order[j], b.order[i] })
	}
	ran, live := false, false
	for _, i := range b.order {
		w := b.warps[i]
		if w.live == 0 {
			continue
		}
		live = true
		if w.wait.on {
			continue
		}
		ran = true
		w.run()
		b.settle()
	}
	if live && !ran {
		for _, w := range b.warps {
			if w.wait.on {
				w.pc--
				w.fault(0, "the block waits at barrier %d for threads that never come", w.wait.id)
			}
		}
	}
	return live
}

// settle opens the barriers that are complete.
func (b *block) settle() {
	for id := range b.bars {
		m := &b.bars[id]
		if m.come == 0 {
			continue
		}
		want := m.want
		if want == 0 {
			for _, w := range b.warps {
				if w.live != 0 {
					want += 32
				}
			}
		}
		if m.come < want {
			continue
		}
		for _, w := range b.warps {
			if !w.wait.on || w.wait.id != id {
				continue
			}
			w.wait.on = false
			if w.wait.finish != nil {
				w.wait.finish(m.votes, m.and, m.or)
			}
			if b.races != nil {
				join(w.clock, m.clock)
				w.clock[w.index]++
			}
		}
		m.reset()
	}
}

func (m *meeting) reset() { *m = meeting{and: true, clock: m.clock[:0]} }

// arrive counts a warp at a barrier. count is 0 where all warps meet.
func (w *warp) arrive(id uint64, count uint64) *meeting {
	if id > 15 {
		w.fault(0, "barrier %d, there are 16", id)
	}
	if count%32 != 0 {
		w.fault(0, "a barrier for %d threads, which is no multiple of 32", count)
	}
	m := &w.b.bars[id]
	if m.come > 0 && m.want != int(count) {
		w.fault(0, "barrier %d is for %d threads here and for %d elsewhere", id, count, m.want)
	}
	m.want = int(count)
	if m.come += 32; m.want > 0 && m.come > m.want {
		w.fault(0, "more than %d threads at barrier %d", m.want, id)
	}
	if w.b.races != nil {
		if len(m.clock) == 0 {
			m.clock = append(m.clock, w.clock...)
		} else {
			join(m.clock, w.clock)
		}
	}
	return m
}

func join(to, from []uint32) {
	for i := range to {
		to[i] = max(to[i], from[i])
	}
}
