package train

import (
	"errors"
	"fmt"
	"math"
	"time"

	"vicreg/internal/method"
	"vicreg/internal/runlog"
)

// add adds the step that was just done to the sums of its epoch.
func (r *run) add(loss float64, terms runlog.Terms) error {
	if r.at.Step == 1 {
		r.at.Loss, r.at.Terms = 0, make(runlog.Terms, len(terms))
		r.at.EpochSeconds, r.at.EpochWait = 0, 0
	}
	if len(r.at.Terms) != len(terms) {
		return r.impossible("it sums %d terms, but the loss has %d", len(r.at.Terms), len(terms))
	}
	r.at.Loss += loss
	for i, t := range terms {
		if r.at.Step > 1 && r.at.Terms[i].Name != t.Name {
			return r.impossible("it sums a term %q where the loss has %q", r.at.Terms[i].Name, t.Name)
		}
		r.at.Terms[i].Name = t.Name
		r.at.Terms[i].Value += t.Value
	}
	return nil
}

// means returns loss and terms over the steps of the epoch.
func (r *run) means() (float64, runlog.Terms) {
	n := float64(r.at.Step)
	terms := make(runlog.Terms, len(r.at.Terms))
	for i, t := range r.at.Terms {
		terms[i] = runlog.Term{Name: t.Name, Value: t.Value / n}
	}
	return r.at.Loss / n, terms
}

// update changes the parameters and returns the numbers of the step, which it refuses
// unless they are finite: before it changes anything where they are there at once.
// Another device has the update queued, so that it has work while the numbers come;
// where the gradient is not finite it leaves the parameters as they are.
func (r *run) update(o method.Outcome, lr float64) (loss float64, terms runlog.Terms, norm float64, err error) {
	length := r.optimizer.Norm()
	change := func() {
		r.optimizer.Step(lr)
		r.method.AfterStep(r.at.Steps+1, r.planned(r.at.Steps))
	}
	if !length.Here() {
		change()
	}
	loss, terms = o.Read()
	norm = length.Read()
	if err := r.checkFinite(loss, terms, norm); err != nil {
		return loss, terms, norm, err
	}
	if length.Here() {
		change()
	}
	return loss, terms, norm, nil
}

// checkFinite stops the run at the first number of a step that is not finite.
func (r *run) checkFinite(loss float64, terms runlog.Terms, norm float64) error {
	bad := func(what string, v float64) error {
		if math.IsNaN(v) || math.IsInf(v, 0) {
			return &NotFinite{Step: r.at.Steps + 1, What: what, Value: v, Last: r.lastFinite()}
		}
		return nil
	}
	for _, t := range terms {
		if err := bad("the "+t.Name+" term", t.Value); err != nil {
			return err
		}
	}
	if err := bad("the loss", loss); err != nil {
		return err
	}
	return bad("the norm of the gradient", norm)
}

// clock measures how fast a run goes.
type clock struct {
	began      time.Time // of this process's part of the run
	before     float64   // seconds of the parts before it
	step, wait float64   // seconds of a step and of its waiting for data: moving averages
}

// newest is the weight of the newest step in the moving averages.
const newest = 0.1

// add takes in the seconds of a step and of its waiting for data.
func (c *clock) add(step, wait float64) {
	if c.step == 0 {
		c.step, c.wait = step, wait
	}
	c.step += newest * (step - c.step)
	c.wait += newest * (wait - c.wait)
}

// elapsed returns the seconds of the whole run, pauses left out.
func (c *clock) elapsed() float64 { return c.before + time.Since(c.began).Seconds() }

// per returns x/y, or 0 for 0/0.
func per(x, y float64) float64 {
	if y == 0 {
		return 0
	}
	return x / y
}

// warn writes a warning to the log and shows it to people.
func (r *run) warn(format string, args ...any) error {
	return r.tell(fmt.Sprintf(format, args...), false)
}

// tell is warn, or gives a note.
func (r *run) tell(message string, note bool) error {
	w := runlog.Warning{Event: "warning", Epoch: r.at.Epoch + 1, Step: r.at.Steps, Message: message, Note: note}
	r.report.Warning(w)
	return r.write(w)
}

// logFailure makes numbers that are not finite, with which a run ends for good, the last line of
// the log, for those who look at it from outside. A resumed run writes over it. Before the first
// checkpoint the line is one of step 0, as a run that has done nothing may be begun anew. After
// any other error a run goes on as if it had been stopped.
func (r *run) logFailure(err error) {
	if !errors.As(err, new(*NotFinite)) || !r.owner() {
		return
	}
	w := runlog.Warning{Event: "warning", Epoch: r.at.Epoch + 1, Message: "the run failed: " + err.Error(), Failed: true}
	if r.savedStep >= 0 {
		w.Step = r.at.Steps
	}
	r.log.Write(w) // where that fails as well, err says more
}

// write appends to the metrics.
func (r *run) write(event any) error {
	if !r.owner() {
		return nil
	}
	if err := r.log.Write(event); err != nil {
		return fmt.Errorf("%w; %s", err, r.lastGood())
	}
	return nil
}
