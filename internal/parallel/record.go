package parallel

import (
	"reflect"
	"runtime"
	"strings"
	"sync/atomic"
	"time"
)

// A Loop is what a recording keeps of one call of [For].
type Loop struct {
	Operation string          // what called For: the operation of a device, or a package
	Body      string          // the function that computes a piece
	Before    time.Duration   // since the loop before
	Took      time.Duration   // from the call to its return
	Pieces    []time.Duration // of each, where one worker ran them all
	Bytes     int64           // of the operands of the operation, with its first loop
}

// A Recording is what happened while [Record] or [Watch] ran a function.
type Recording struct {
	Loops []Loop
	After time.Duration // since the last loop

	single bool
	last   time.Duration
	bytes  int64
}

// now returns the time by which a recording goes. On one worker that is time on a
// processor where the system can tell, else time that passes.
func (r *Recording) now() time.Duration {
	if r.single {
		return clock()
	}
	return time.Since(begun)
}

// recorder is the recording under way, if any; mu guards it. recording says whether
// there is one.
var (
	recorder  *Recording
	recording atomic.Bool
)

// Record runs f with all loops on one worker and keeps what every piece takes. It
// costs time, so the whole takes longer than it would alone.
func Record(f func() error) (*Recording, error) { return record(f, true) }

// Watch runs f on all workers and keeps what every loop takes.
func Watch(f func() error) (*Recording, error) { return record(f, false) }

func record(f func() error, single bool) (*Recording, error) {
	r := &Recording{single: single, Loops: make([]Loop, 0, 1<<12)}
	if single {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
	}
	set := func(to *Recording) {
		mu.Lock()
		defer mu.Unlock()
		recorder = to
		recording.Store(to != nil)
	}
	set(r)
	defer set(nil)
	r.last = r.now()
	err := f()
	r.After = r.now() - r.last
	return r, err
}

// Operands tells a recording that the next loops read or write n more bytes.
func Operands(n int) {
	if recording.Load() {
		mu.Lock()
		defer mu.Unlock()
		if recorder != nil {
			recorder.bytes += int64(n)
		}
	}
}

// loop runs a For and keeps it.
func (r *Recording) loop(n int, body func(worker, piece int)) {
	l := Loop{Before: r.now() - r.last, Bytes: r.bytes}
	r.bytes = 0
	l.Operation, l.Body = named(body)
	if r.single {
		l.Pieces = make([]time.Duration, n)
	}
	start := r.now()
	if r.single {
		before := start
		for i := range n {
			body(0, i)
			now := r.now()
			l.Pieces[i], before = now-before, now
		}
	} else {
		run(n, body)
	}
	l.Took = r.now() - start
	r.Loops = append(r.Loops, l)
	r.last = r.now()
}

// named returns the operation that calls For with body, and the name of body.
func named(body func(worker, piece int)) (operation, name string) {
	name = runtime.FuncForPC(reflect.ValueOf(body).Pointer()).Name()
	name = strings.TrimSuffix(name[strings.LastIndex(name, "/")+1:], "-fm")
	operation, _, _ = strings.Cut(name, ".")
	var pcs [32]uintptr
	frames := runtime.CallersFrames(pcs[:runtime.Callers(4, pcs[:])])
	for {
		frame, more := frames.Next()
		if _, op, ok := strings.Cut(frame.Function, "/device.CPU."); ok {
			return op, name
		}
		if !more {
			return operation, name
		}
	}
}
