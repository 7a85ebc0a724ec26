package watch

import (
	"time"

	"vicreg/internal/runlog"
)

// State is what is known of how a run fares.
type State string

// The states of a run, each by its folder alone. The first that fits counts.
const (
	Failed    State = "failed"    // the last line of its log says that it failed, and no process goes on with it
	Collapsed State = "collapsed" // the last epoch's embeddings are alike, or the verdict at the end says so
	Finished  State = "finished"  // it has a summary
	Running   State = "running"   // a process holds its folder's lock, and writes lines as often as before
	Stalled   State = "stalled"   // a process holds the lock, but has not written for long
	Stopped   State = "stopped"   // no process does, and there is no summary: it can be resumed
)

// How long a run may write nothing before it counts as stalled: so long at least, and so
// many times what lies between two of its lines; and after its last epoch, when it is
// scored.
const (
	leastQuiet   = 2 * time.Minute
	quietLines   = 20
	quietScoring = 30 * time.Minute
)

// facts are what a state follows from.
type facts struct {
	now, written time.Time
	held, known  bool          // the lock
	line         time.Duration // between two lines, 0: not known
	epoch        time.Duration // that an epoch takes, 0: not known
	trained      bool          // its last epoch is done
	failed       bool          // its last line says so
	collapsed    bool          // its last epoch says so
	summary      *runlog.Summary
}

// state is a run's state, and whether it goes on.
func (f facts) state() (s State, live bool) {
	quiet := max(leastQuiet, quietLines*f.line, f.epoch)
	if f.trained {
		quiet = max(quiet, quietScoring)
	}
	silent := f.now.Sub(f.written) > quiet
	live = f.summary == nil && (f.held || !f.known && !silent)
	switch {
	case f.failed && !live:
		return Failed, false
	case f.summary != nil && (f.summary.Collapsed ||
		f.summary.Verdict != nil && f.summary.Verdict.Is == runlog.Collapsed):
		return Collapsed, false
	case f.summary != nil:
		return Finished, false
	case live && silent:
		return Stalled, false
	case f.collapsed:
		return Collapsed, live
	case live:
		return Running, true
	}
	return Stopped, false
}
