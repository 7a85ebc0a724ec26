//go:build native && linux && (amd64 || arm64)

package mpi

import (
	"fmt"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"vicreg/internal/group"
	"vicreg/internal/native"
)

// World is all processes that a launcher started.
type World struct {
	library    *native.Library
	kind       kind
	api        api
	h          handles
	rank, size int
	host       string
	peers      []peer

	mu     sync.Mutex   // one thread at a time is in the library
	wide   [1][]float64 // what SumWide adds
	cells  *cells
	buffer [buffers][]byte
	room   int // bytes that a transfer has at most,
	piece  int // and those of a sum
	watch  watch

	patience time.Duration
	finalize func() int // MPI_Finalize; tests have another
	ended    bool
	broken   atomic.Bool
}

// What crosses goes through memory that stays where it is as long as the process lives:
// drivers of fast networks remember which pages an address had, and Go gives pages back.
const (
	slots   = 4         // pieces of a sum that are under way at most
	ahead   = 2         // of these, before their numbers are added
	buffers = 2 * slots // of slots
	staging = 8 << 20   // bytes of a buffer
)

// pieceOf is the bytes of a piece of a sum, among so many processes. A piece of a MiB and what it
// becomes stay in a core's cache, one of 8 MiB does not, and takes up to twice as long. A block is to
// be no shorter than 64 KiB.
func pieceOf(size int) int { return min(max(1<<20, size<<16), staging) }

func (w *World) Rank() int { return w.rank }
func (w *World) Size() int { return w.size }

// finish waits until what was begun by start is done. Between two looks the processor is
// given away: soon to another process, later for a while.
func (w *World) finish(request int, what string) error {
	c := w.cells
	var began time.Time
	for looks := 1; ; looks++ {
		if r := w.api.MPI_Test.Call(at(&c.request[request]), at(&c.flag), w.h.statusIgnore); r != 0 {
			return w.failed(what, r)
		}
		if c.flag != 0 {
			return nil
		}
		if looks%16 != 0 {
			continue
		}
		if began.IsZero() {
			began = time.Now()
		}
		waited := time.Since(began)
		if err := w.alive(waited); err != nil {
			return err
		}
		switch {
		case waited < w.patience:
		case waited < patient:
			_, _, _ = syscall.RawSyscall(syscall.SYS_SCHED_YIELD, 0, 0, 0)
		default:
			time.Sleep(min(waited/50, time.Millisecond))
		}
	}
}

// How long a process that waits holds its core: for itself, where every process has cores of
// its own, then as long as no other wants it. Messages within a machine take microseconds,
// sleep takes tens of them.
const (
	eager   = 200 * time.Microsecond
	patient = 5 * time.Millisecond
)

// Crowded says whether there are more threads that compute on this host than cores for them:
// a process that waits then leaves its core at once.
func (w *World) Crowded(crowded bool) {
	w.patience = eager
	if crowded {
		w.patience = 0
	}
}

// start begins a transfer, which the last argument will know.
func (w *World) start(what string, f *native.Func, args ...uintptr) error {
	if r := f.Call(args...); r != 0 {
		return w.failed(what, r)
	}
	return nil
}

// failed is an operation that the library could not do.
func (w *World) failed(what string, code int) error {
	return group.Failure{Rank: -1, Err: fmt.Errorf("process %d of %d on %s could not %s with the others: %s", w.rank, w.size,
		w.host, what, w.text(code))}
}

// leaving is how long the library may take to end once all processes are through. Some never
// do: UCX over TCP can wait for ever for an acknowledgement (openucx/ucx issue 8738).
var leaving = 10 * time.Second

// Close waits for the others and leaves the group. Nothing can be done with it afterwards.
func (w *World) Close() (err error) {
	w.mu.Lock()
	ended := w.ended || w.broken.Load()
	w.mu.Unlock()
	if ended {
		return nil
	}
	defer group.Catch(&err)
	w.Barrier()
	w.mu.Lock()
	defer w.mu.Unlock()
	w.ended = true
	var r int
	if !within(leaving, func() { r = w.finalize() }) {
		return fmt.Errorf("all processes are through and everything is saved, but %s has not ended within %v: process %d "+
			"of %d leaves without it", w.library, leaving, w.rank, w.size)
	}
	if r != 0 {
		return fmt.Errorf("MPI_Finalize: %s", w.text(r))
	}
	return nil
}

// within reports whether f, which the library may never come back from, ended within a time.
func within(limit time.Duration, f func()) bool {
	done := make(chan struct{})
	go func() {
		defer close(done)
		f()
	}()
	select {
	case <-done:
		return true
	case <-time.After(limit):
		return false
	}
}

// aborting is how long the library may take to end all processes. It may wait for a launcher that
// is already ending them and no longer answers (MPICH under srun, until Slurm's KillWait is over).
const aborting = 3 * time.Second

// Abort ends this process and all others, as soon as the launcher has passed on what was
// said. It returns only where the group has ended already, or the library does not end it.
func (w *World) Abort(code int) {
	w.broken.Store(true)
	time.Sleep(passing)
	within(aborting, func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		if !w.ended {
			w.api.MPI_Abort.Call(w.h.world, uintptr(code))
		}
	})
}
