package eval

// features are those of images in a fixed order, in memory or not.
type features interface {
	// block returns the features of the images from lo to hi. They stand until the next
	// call.
	block(lo, hi int) ([]float32, error)
}

// held are features in memory.
type held struct {
	x []float32
	d int
}

func (h held) block(lo, hi int) ([]float32, error) { return h.x[lo*h.d : hi*h.d], nil }

// stored are features in a store, standardised if scale is not nil. While one block is in
// use the next is read.
type stored struct {
	from  *Store
	scale *scaler
	rooms [2]room
	turn  int           // the room in use
	step  int           // images of the largest block so far
	ready chan struct{} // closed when the other room is full; nil: nothing is being read
}

// room holds one block.
type room struct {
	lo, hi int
	raw    []byte
	x      []float32
	err    error
}

func (s *stored) block(lo, hi int) ([]float32, error) {
	now := &s.rooms[s.turn]
	if now.lo != lo || now.hi != hi || now.err != nil {
		s.turn = 1 - s.turn
		now = &s.rooms[s.turn]
		if s.ready != nil {
			<-s.ready
			s.ready = nil
		}
		if now.lo != lo || now.hi != hi || now.err != nil {
			s.fill(now, lo, hi)
		}
		s.step = max(s.step, hi-lo)
		s.ahead(hi)
	}
	return now.x, now.err
}

// ahead begins to read the block behind the one that ends at lo, which after the last is
// the first.
func (s *stored) ahead(lo int) {
	if lo >= s.from.n {
		lo = 0
	}
	hi := min(lo+s.step, s.from.n)
	now, next := &s.rooms[s.turn], &s.rooms[1-s.turn]
	if lo == now.lo && hi == now.hi {
		return
	}
	ready := make(chan struct{})
	s.ready = ready
	go func() {
		s.fill(next, lo, hi)
		close(ready)
	}()
}

func (s *stored) fill(r *room, lo, hi int) {
	d := s.from.d
	if n := (hi - lo) * d; n > cap(r.x) {
		r.x, r.raw = make([]float32, n), make([]byte, 4*n)
	}
	r.lo, r.hi, r.x = lo, hi, r.x[:(hi-lo)*d]
	if r.err = s.from.read(r.x, r.raw[:cap(r.raw)], lo); r.err == nil && s.scale != nil {
		for i := range hi - lo {
			s.scale.row(r.x[i*d:(i+1)*d], r.x[i*d:(i+1)*d])
		}
	}
}

// features are those of a set, standardised if scale is not nil: in memory as a copy, in a
// store as they are read.
func (s Set) features(scale *scaler) features {
	switch {
	case s.Stored != nil:
		return &stored{from: s.Stored, scale: scale}
	case scale != nil:
		return held{scale.apply(s), s.D}
	}
	return held{s.X, s.D}
}
