package train

import (
	"context"
	"errors"
	"fmt"
	"time"

	"vicreg/internal/runlog"
)

// Reporter is told how a run goes, by one goroutine at a time, while it goes.
type Reporter interface {
	Start(Plan)
	Step(runlog.Step) // every step
	Epoch(runlog.Epoch)
	Warning(runlog.Warning)
	Phase(what string) // something other than steps begins or goes on, such as "linear probe"
	Done(runlog.Summary)
}

// Plan is what is known of a run before its first step.
type Plan struct {
	Folder  string
	About   string          // a few lines on data and network, for people
	Advice  []string        // what is unwise in the configuration, a sentence each; [Reporter].Warning is told of it as well
	Replans []runlog.Replan // changes of plan that the run did not know of
	Epochs  int             // of the whole run
	Steps   int             // of the whole run
	Done    int             // steps of it that a checkpoint already holds
	Batch   int             // images in a step
	Dataset string
	Images  int     // that it trains on
	Kind    string  // of them: images or pairs
	Apart   bool    // each branch has weights of its own
	After   float64 // seconds that scores take after the last step; 0: none, or not known
}

// Silent is a Reporter that says nothing.
type Silent struct{}

func (Silent) Start(Plan)             {}
func (Silent) Step(runlog.Step)       {}
func (Silent) Epoch(runlog.Epoch)     {}
func (Silent) Warning(runlog.Warning) {}
func (Silent) Phase(string)           {}
func (Silent) Done(runlog.Summary)    {}

// progress returns a function that reports now and then how far a phase is.
func (r *run) progress(what string) func(done, total int) {
	tell := r.counted()
	return func(done, total int) { tell(what, done, total) }
}

// listing tells how far listing the data has come, and ends it when ctx does.
func (r *run) listing(ctx context.Context) func(what string, done, total int) error {
	last := time.Now()
	return func(what string, done, total int) error {
		if now := time.Now(); now.Sub(last) >= progressPause {
			last = now
			if total > 0 {
				what += fmt.Sprintf(": %d of %d", done, total)
			} else {
				what += fmt.Sprintf(": %d so far", done)
			}
			r.report.Phase(what)
		}
		return ctx.Err()
	}
}

// counted is progress of one phase after the other.
func (r *run) counted() func(what string, done, total int) {
	last := time.Now()
	return func(what string, done, total int) {
		if now := time.Now(); now.Sub(last) >= progressPause {
			last = now
			r.report.Phase(fmt.Sprintf("%s: %d of %d", what, done, total))
		}
	}
}

const progressPause = 200 * time.Millisecond

// ErrInterrupted is what a run returns that was told to stop and has saved everything.
var ErrInterrupted = errors.New("the run was interrupted")

// Interrupted says where a run stopped. It matches ErrInterrupted.
type Interrupted struct {
	Folder      string
	Epoch, Step int
	Trained     bool   // it had done its last step, and was not yet judged
	Device      string // that it was computed on, as --device names it; empty: the processor
}

// Resume is what goes on with the run: flags of pretrain.
func (e *Interrupted) Resume() string {
	if e.Device == "" {
		return "--resume " + e.Folder
	}
	return fmt.Sprintf("--resume %s --device %s", e.Folder, e.Device)
}

func (e *Interrupted) Error() string {
	if e.Trained {
		return fmt.Sprintf("interrupted after the last step, %d, before the results were written; everything is saved, "+
			"go on with %s", e.Step, e.Resume())
	}
	return fmt.Sprintf("interrupted in epoch %d, after step %d; everything is saved, go on with %s", e.Epoch, e.Step, e.Resume())
}

func (e *Interrupted) Is(target error) bool { return target == ErrInterrupted }

// NotFinite says that training went wrong for good.
type NotFinite struct {
	Step  int
	What  string // the term, or gradient norm
	Value float64
	Last  string // the last good checkpoint, as a part of a sentence
}

func (e *NotFinite) Error() string {
	return fmt.Sprintf("step %d: %s is %v, so the run stops; %s. A lower base learning rate or a longer warm-up often helps", e.Step, e.What, e.Value, e.Last)
}
