package parallel

import (
	"runtime"
	"sync/atomic"
	"time"
)

// line keeps words that different workers write on different cache lines. Processors
// fetch lines in pairs.
type line [128]byte

// A pool is a number of helpers and the job they work at.
//
// The caller of a job opens it by making turn odd. Helpers watch turn. Who sees that it is
// odd enters, by counting himself in busy, and looks again: if turn is still the same, the
// job goes on until he leaves. When there are no pieces left the caller closes the job by
// making turn even, so that no one enters any more, and waits until all have left. Nobody
// waits for a helper that did not come in time.
type pool struct {
	_       line
	turn    atomic.Int64
	limit   atomic.Int64 // workers from this number on stay out of the job
	ended   atomic.Bool
	asleep  atomic.Int64 // helpers that sleep
	_       line
	next    atomic.Int64 // piece
	_       line
	busy    atomic.Int64 // helpers inside
	waiting atomic.Bool  // the caller sleeps until they have left
	_       line

	body     func(worker, piece int)
	n        int64
	panicked atomic.Pointer[any]

	done    chan struct{} // wakes the caller
	empty   func() bool   // whether all helpers have left
	members []*helper
	watch   bool // who has nothing to do watches for a while before it sleeps
}

// A helper is a worker other than the caller. Kernels follow one another within
// microseconds, but waking a sleeping thread takes tens of them. So a helper that has
// nothing to do watches for the next job for a while before it sleeps.
type helper struct {
	_      line
	sleeps atomic.Bool
	wake   chan struct{}
	_      line
}

const (
	// patience is how long after a job a helper, or a caller that waits for the last one, watches
	// before it sleeps.
	patience = 500 * time.Microsecond

	// most is how long a helper watches while a job goes on without it.
	most = 2 * time.Millisecond

	// turnout is how often, of all who watch, one lets others run. Each who does so takes a lock of Go's
	// scheduler, which many would fight for.
	turnout = 2500 * time.Nanosecond
)

// newPool starts the helpers that make n workers with the caller. watch says that there is
// a processor for each: else who watches would take one that others need.
func newPool(n int, watch bool) *pool {
	p := &pool{members: make([]*helper, n-1), watch: watch, done: make(chan struct{}, 1)}
	p.empty = func() bool { return p.busy.Load() == 0 }
	for i := range p.members {
		p.members[i] = &helper{wake: make(chan struct{}, 1)}
		go p.work(p.members[i], i+1)
	}
	return p
}

// end lets the helpers go.
func (p *pool) end() {
	p.ended.Store(true)
	for _, h := range p.members {
		p.rouse(h)
	}
}

// lookOut watches for a while until done returns true. While on returns true the while
// does not begin.
func (p *pool) lookOut(done, on func() bool) bool {
	if !p.watch {
		return done()
	}
	start := time.Now()
	last, until := start, start.Add(patience)
	turnout := turnout * time.Duration(len(p.members)+1)
	for {
		for range 20 {
			if done() {
				return true
			}
			pause()
		}
		now := time.Now()
		switch {
		case now.Sub(start) < most && on():
			until = now.Add(patience)
		case now.After(until):
			return false
		}
		if now.Sub(last) > turnout {
			runtime.Gosched()
			last = time.Now()
		}
	}
}

func never() bool { return false }

// work is what a helper does all its life.
func (p *pool) work(h *helper, worker int) {
	seen := int64(0) // the last turn that it has had or missed
	called := func() bool {
		turn := p.turn.Load()
		return turn != seen && turn&1 == 1 && p.limit.Load() > int64(worker) || p.ended.Load()
	}
	open := func() bool { return p.turn.Load()&1 == 1 }
	for !p.ended.Load() {
		if !p.lookOut(called, open) {
			p.sleep(h, called)
			continue
		}
		turn := p.turn.Load()
		if turn == seen || turn&1 == 0 {
			continue
		}
		seen = turn
		p.busy.Add(1)
		if p.turn.Load() == turn {
			p.rouseTwo(worker)
			p.pieces(worker)
		}
		if p.busy.Add(-1) == 0 && p.waiting.CompareAndSwap(true, false) {
			p.done <- struct{}{}
		}
	}
}

// sleep waits until there is a job.
func (p *pool) sleep(h *helper, called func() bool) {
	h.sleeps.Store(true)
	p.asleep.Add(1)
	if called() && h.sleeps.CompareAndSwap(true, false) { // just now
		p.asleep.Add(-1)
		return
	}
	<-h.wake
}

// rouse wakes a helper, and returns false if it does not sleep.
func (p *pool) rouse(h *helper) bool {
	if !h.sleeps.Load() || !h.sleeps.CompareAndSwap(true, false) {
		return false
	}
	p.asleep.Add(-1)
	h.wake <- struct{}{}
	return true
}

// rouseTwo wakes two of those who sleep and might have a piece, as every worker does that
// enters a job: so no one has to wake many.
func (p *pool) rouseTwo(worker int) {
	n, woken := min(int(p.limit.Load())-1, len(p.members)), 0
	for i := 0; i < n && woken < 2 && p.asleep.Load() > 0; i++ {
		if p.rouse(p.members[(2*worker+i)%n]) {
			woken++
		}
	}
}

// pieces runs one piece after the other.
func (p *pool) pieces(worker int) {
	defer func() {
		if r := recover(); r != nil {
			raised := r // only a panic allocates
			p.panicked.CompareAndSwap(nil, &raised)
			p.next.Store(p.n) // no worker starts another piece
		}
	}()
	for {
		piece := p.next.Add(1) - 1
		if piece >= p.n {
			return
		}
		p.body(worker, int(piece))
	}
}

// run runs a job.
func (p *pool) run(n int, body func(worker, piece int)) {
	p.body, p.n = body, int64(n)
	p.next.Store(0)
	p.panicked.Store(nil)
	p.limit.Store(int64(n))
	p.turn.Add(1)
	p.rouseTwo(0)
	p.pieces(0)
	p.turn.Add(1)
	for !p.empty() && !p.lookOut(p.empty, never) {
		p.waiting.Store(true)
		if p.empty() && p.waiting.CompareAndSwap(true, false) {
			break
		}
		<-p.done
	}
	p.body = nil
	if r := p.panicked.Load(); r != nil {
		panic(*r)
	}
}
