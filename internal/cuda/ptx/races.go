package ptx

// races finds accesses of two warps to the same word of shared memory, at least one of
// them a write, that no barrier puts in order. Each warp has a clock of how far it knows
// each other warp to be; a barrier joins them.
type races struct {
	warps  int
	writes []stamp
	reads  []uint32 // for each word, the clock of each warp's last read
}

// stamp is a write: the clock of the warp, its index, and whether it was atomic.
type stamp struct {
	clock  uint32
	warp   uint16
	atomic bool
}

func newRaces(bytes, warps int) *races {
	words := (bytes + 3) / 4
	return &races{warps: warps, writes: make([]stamp, words), reads: make([]uint32, words*warps)}
}

// access looks at n bytes from an offset in shared memory.
func (r *races) access(w *warp, lane int, at uint64, n int, write, atomic bool) {
	for word := at / 4; word <= (at+uint64(n)-1)/4; word++ {
		if s := r.writes[word]; s.clock > w.clock[s.warp] && int(s.warp) != w.index && !(atomic && s.atomic) {
			w.fault(lane, "a race for byte %d of shared memory: warp %d wrote it and no barrier stands between",
				4*word, s.warp)
		}
		mine := r.reads[int(word)*r.warps:][:r.warps]
		if !write {
			mine[w.index] = w.clock[w.index]
			continue
		}
		for i, clock := range mine {
			if clock > w.clock[i] && i != w.index {
				w.fault(lane, "a race for byte %d of shared memory: warp %d read it and no barrier stands between", 4*word, i)
			}
		}
		r.writes[word] = stamp{w.clock[w.index], uint16(w.index), atomic}
	}
}
