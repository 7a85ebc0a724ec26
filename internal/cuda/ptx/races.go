package ptx

import "math"

// races finds accesses to the same place of shared memory, at least one of them a write,
// that nothing puts in order. Each warp has a clock of how far it knows each other warp
// to be; a barrier joins them. Threads of one warp are in order where a barrier or
// bar.warp.sync stands between.
type races struct {
	warps  int
	grain  int // bytes of a place
	writes []stamp
	reads  []stamp // for each place, the last read of each warp
}

// stamp is an access: the clock of its warp, how often the warp had come together, and
// who did it.
type stamp struct {
	clock  uint32
	syncs  uint32
	warp   uint16
	lane   uint8 // several: more than one
	atomic bool
}

const several = 32

func newRaces(bytes, grain, warps int) *races {
	places := (bytes + grain - 1) / grain
	return &races{warps: warps, grain: grain, writes: make([]stamp, places), reads: make([]stamp, places*warps)}
}

// access looks at n bytes from an offset in shared memory.
func (r *races) access(w *warp, lane int, at uint64, n int, write, atomic bool) {
	me := stamp{w.clock[w.index], w.syncs, uint16(w.index), uint8(lane), atomic}
	for place := int(at) / r.grain; place <= (int(at)+n-1)/r.grain; place++ {
		mine := r.reads[place*r.warps:][:r.warps]
		if s := r.writes[place]; !(atomic && s.atomic) {
			w.ordered(lane, &s, place*r.grain, "wrote")
		}
		if !write {
			if s := mine[w.index]; s.clock == me.clock && s.syncs == me.syncs && s.lane != me.lane {
				me.lane = several
			}
			mine[w.index] = me
			me.lane = uint8(lane)
			continue
		}
		for i := range mine {
			w.ordered(lane, &mine[i], place*r.grain, "read")
		}
		r.writes[place] = me
	}
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
	grain uint64
	pages map[uint64]*page
	last  *page
	at    uint64
}

const pageBytes = 4096

// page holds who accessed what last: blocks, counted from 1.
type page struct {
	writes, reads [pageBytes]uint32
}

func (s *shadow) page(addr uint64) *page {
	if at := addr / pageBytes; s.last == nil || s.at != at {
		p := s.pages[at]
		if p == nil {
			p = new(page)
			s.pages[at] = p
		}
		s.last, s.at = p, at
	}
	return s.last
}

func (s *shadow) access(w *warp, lane int, addr, n uint64, write bool) {
	me := w.b.number
	for a := addr &^ (s.grain - 1); a < addr+n; a += s.grain {
		p := s.page(a)
		writer, reader := &p.writes[a%pageBytes], &p.reads[a%pageBytes]
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
