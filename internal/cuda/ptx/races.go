package ptx

import "math"

// races finds accesses to the same place of shared memory, at least one of them a write,
// that nothing puts in order. Each warp has a clock of how far it knows each other warp
// to be; a barrier joins them. Threads of one warp are in order where a barrier or
// bar.warp.sync stands between.
type races struct {
	warps  int
	grain  int // bytes of a place
	places []place
	reads  []stamp // of places with many, the last read of each warp
}

// place holds the last write and the last read. With many, there were reads by several
// warps that nothing puts in order.
type place struct {
	write, read stamp
	many        bool
}

// stamp is an access: the clock of its warp, how often the warp had come together, and
// who did it.
type stamp struct {
	clock  uint32
	syncs  uint32
	warp   uint16
	lane   uint8 // several: more than one
	atomic bool
	async  bool   // not by a thread itself
	fences uint32 // how often its warp had done fence.proxy.async
}

const several = 32

func newRaces(bytes, grain, warps int) *races {
	n := (bytes + grain - 1) / grain
	return &races{warps: warps, grain: grain, places: make([]place, n), reads: make([]stamp, n*warps)}
}

// access looks at n bytes from an offset in shared memory.
func (r *races) access(w *warp, lane int, at uint64, n int, write, atomic bool) {
	me := stamp{clock: w.clock[w.index], syncs: w.syncs, warp: uint16(w.index), lane: uint8(lane), atomic: atomic,
		fences: w.fences}
	for i := int(at) / r.grain; i <= (int(at)+n-1)/r.grain; i++ {
		p := &r.places[i]
		if !(atomic && p.write.atomic) {
			w.ordered(lane, &p.write, i*r.grain, "wrote")
		}
		if !write {
			r.read(w, p, i, me)
			continue
		}
		w.ordered(lane, &p.read, i*r.grain, "read")
		if p.many {
			reads := r.reads[i*r.warps:][:r.warps]
			for j := range reads {
				w.ordered(lane, &reads[j], i*r.grain, "read")
			}
			clear(reads)
		}
		*p = place{write: me}
	}
}

// read keeps a read.
func (r *races) read(w *warp, p *place, i int, me stamp) {
	last := &p.read
	switch {
	case last.warp == me.warp:
		if last.clock == me.clock && last.syncs == me.syncs && last.lane != me.lane {
			me.lane = several
		}
	case last.clock > w.clock[last.warp]: // neither comes first
		p.many = true
	}
	if p.many {
		reads := r.reads[i*r.warps:][:r.warps]
		if last.warp != me.warp {
			reads[last.warp] = *last
		}
		if old := &reads[me.warp]; old.clock == me.clock && old.syncs == me.syncs && old.lane != me.lane {
			me.lane = several
		}
		reads[me.warp] = me
	}
	p.read = me
}

// ordered faults where nothing stands between an access and one by a thread.
func (w *warp) ordered(lane int, s *stamp, at int, did string) {
	if int(s.warp) != w.index {
		if s.clock > w.clock[s.warp] {
			w.fault(lane, "a race for byte %d of shared memory: warp %d %s it and no barrier stands between", at, s.warp, did)
		}
		return
	}
	if s.clock == w.clock[w.index] && s.syncs == w.syncs && int(s.lane) != lane {
		who := "another thread"
		if s.lane != several {
			who = "thread " + lanes(1<<s.lane)
		}
		w.fault(lane, "a race for byte %d of shared memory: %s of the warp %s it and no barrier stands between, __syncwarp neither",
			at, who, did)
	}
}

// shadow finds places of global memory that two blocks of a launch access, at least one
// of them with a write. Atomic and volatile accesses are left out, and so is what a block
// does after an atomic one: the last block to come may read what the others wrote.
type shadow struct {
	shift int // the bits of the bytes of a place
	pages map[uint64]*page
	last  *page
	at    uint64
}

const pageBytes = 4096

// page holds who accessed what last: blocks, counted from 1.
type page struct {
	writes, reads []uint32
}

func (s *shadow) page(addr uint64) *page {
	if at := addr / pageBytes; s.last == nil || s.at != at {
		p := s.pages[at]
		if p == nil {
			n := pageBytes >> s.shift
			both := make([]uint32, 2*n)
			p = &page{both[:n], both[n:]}
			s.pages[at] = p
		}
		s.last, s.at = p, at
	}
	return s.last
}

func (s *shadow) access(w *warp, lane int, addr, n uint64, write bool) {
	me := w.b.number
	for a := addr; a < addr+n; a += 1 << s.shift {
		p, at := s.page(a), a%pageBytes>>s.shift
		writer, reader := &p.writes[at], &p.reads[at]
		if *writer != 0 && *writer != me && !w.b.acquired {
			w.fault(lane, "a race for %#x: block %d wrote it", addr, *writer-1)
		}
		if !write {
			if *reader != 0 && *reader != me {
				*reader = math.MaxUint32
			} else {
				*reader = me
			}
			continue
		}
		if *reader != 0 && *reader != me && !w.b.acquired {
			w.fault(lane, "a race for %#x: another block read it", addr)
		}
		*writer = me
	}
}
