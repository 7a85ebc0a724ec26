package train

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"vicreg/internal/advice"
	"vicreg/internal/batch"
	"vicreg/internal/checkpoint"
	"vicreg/internal/durable"
	"vicreg/internal/optim"
	"vicreg/internal/pretrained"
	"vicreg/internal/recipe"
	"vicreg/internal/runlog"
	"vicreg/internal/show"
)

// Goal is where a run that goes on is to end. The zero Goal leaves its plan as it is.
type Goal struct {
	Epochs  int     // of the whole run
	Minutes float64 // take as many epochs as it still does in about so long
}

// schedule is that of the learning rate.
func (r *run) schedule() optim.Schedule {
	c := r.config
	s := optim.NewSchedule(c.Optimizer.BaseLR, c.Optimizer.EndLRFactor, c.Batch, r.steps, c.PlannedFor(0), c.Warmup)
	if c.Tune != nil {
		s.Stairs = r.steps
		for _, epoch := range c.Tune.Drops {
			s.Drops = append(s.Drops, epoch*r.steps)
		}
	}
	for i, p := range c.Replanned {
		epochs := c.Epochs
		if i+1 < len(c.Replanned) {
			epochs = c.Replanned[i+1].Epochs
		}
		s = s.Replan(p.Step, epochs*r.steps, int(math.Round(p.Passage*float64(r.steps))))
	}
	return s
}

// planned returns the number of steps of the whole run that was planned when a step,
// from 0, was done.
func (r *run) planned(step int) int { return r.config.PlannedFor(step) * r.steps }

// isOf reports whether a checkpoint belongs to this run, and how many of its changes of
// plan the checkpoint knows of.
func (r *run) isOf(at checkpoint.State) (known int, ok bool, err error) {
	changes := r.config.Replanned
	config, err := digest(r.config)
	if err != nil || at.Config == config {
		return len(changes), err == nil, err
	}
	for i, change := range changes {
		if config, err = digest(r.config.Before(i)); err != nil {
			return 0, false, err
		}
		if at.Config == config && at.Steps <= change.Step {
			return i, true, nil
		}
	}
	return 0, false, nil
}

// replan changes how many epochs the run has, from where it stands on. The file of
// the configuration is what makes it so: until it is replaced the run is as it was,
// and whoever goes on with the run afterwards goes on to the new end.
func (r *run) replan(g Goal, ended *runlog.Summary) error {
	if g == (Goal{}) {
		return nil
	}
	c, at := r.config, r.at
	steps := batch.Steps(r.corpus.len(), c.Batch)
	if g.Minutes > 0 {
		if at.Steps == 0 || at.TrainSeconds == 0 {
			return r.unmeasured()
		}
		epoch := at.TrainSeconds / float64(at.Steps) * float64(steps)
		g.Epochs = at.Epoch + max(1, int(math.Round(min(60*g.Minutes/epoch, 1e9))))
	}
	switch {
	case g.Epochs == c.Epochs:
		return nil
	case g.Epochs <= at.Epoch:
		return fmt.Errorf("%s has done %d of %d epochs, so it cannot end after %d; give --epochs %d or more", show.Name(r.folder), at.Epoch, c.Epochs, g.Epochs, at.Epoch+1)
	}
	if err := r.edited(); err != nil {
		return err
	}
	c.Replan(g.Epochs, at.Steps, steps)
	if err := c.Validate(); err != nil {
		return err
	}
	if ended != nil {
		if err := r.keep(ended); err != nil {
			return fmt.Errorf("cannot keep the run as it ended: %w", err)
		}
	}
	written, err := recipe.ReadFile(r.file(runlog.ConfigFile)) // without what options override
	if err != nil {
		return err
	}
	written.Epochs, written.Replanned = c.Epochs, c.Replanned
	raw, err := written.YAML()
	if err == nil {
		err = runlog.WriteConfig(r.folder, raw)
	}
	r.config = c
	return err
}

// aim is replan for a run that has no checkpoint yet.
func (r *run) aim(g Goal) error {
	r.known = len(r.config.Replanned)
	if g.Minutes > 0 {
		return r.unmeasured()
	}
	if g.Epochs == 0 {
		return nil
	}
	r.config.Epochs, r.config.Replanned, r.known = g.Epochs, nil, 0
	r.config.Warmup, r.adapted = advice.Rise(r.config)
	return r.config.Validate()
}

func (r *run) unmeasured() error {
	return fmt.Errorf("%s has done no step yet, so how long an epoch takes is not known; give --epochs instead of --time", show.Name(r.folder))
}

// edited notes what was changed by hand in the configuration before a new plan is
// written into it.
func (r *run) edited() error {
	sum, err := r.configSum()
	if err == nil && r.at.ConfigSum != "" && sum != r.at.ConfigSum {
		r.changes = append(r.changes, r.configChanged())
	}
	return err
}

func (r *run) configChanged() string {
	return fmt.Sprintf("%s was changed after step %d, but in nothing that training depends on", runlog.ConfigFile, r.at.Steps)
}

// outdated reports whether a summary is from the end of an earlier plan of the run.
func (r *run) outdated(s *runlog.Summary) bool {
	n := len(r.config.Replanned)
	return n > 0 && s.Steps <= r.config.Replanned[n-1].Step
}

// onward turns a run that has a summary back into one that goes on.
func (r *run) onward() error {
	err := os.Remove(r.file(runlog.SummaryFile))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("cannot remove %s, which is of the end of an earlier plan: %w", r.file(runlog.SummaryFile), durable.Reason(err))
	}
	return nil
}

// keep copies the results of a run that has ended into a folder inside its own. That is
// a run that has ended as well; it only lacks the checkpoint. It refuses a model that is not
// the run's own, or not whole: the new epochs replace the checkpoint, which has the weights.
func (r *run) keep(ended *runlog.Summary) error {
	name := fmt.Sprintf("epochs-%d", ended.Epochs)
	folder := r.file(name)
	for i := 2; ; i++ {
		there, err := runlog.ReadSummary(folder)
		if err == nil && there.Started.Equal(ended.Started) && there.Finished.Equal(ended.Finished) &&
			there.Steps == ended.Steps {
			return nil // it was kept before
		}
		if _, err := os.Lstat(folder); errors.Is(err, fs.ErrNotExist) {
			break
		}
		folder = r.file(fmt.Sprintf("%s-%d", name, i))
	}
	models := runlog.ModelFiles[:r.branches()]
	for _, model := range models {
		err := pretrained.Whole(r.file(model))
		if slices.Contains(ended.Changed, model) {
			err = errors.New(runlog.Altered(r.folder, model))
		}
		if err != nil {
			return fmt.Errorf("%w; move it away, and --resume %s writes that one anew", err, show.Name(r.folder))
		}
	}
	part, err := os.MkdirTemp(r.folder, keeping)
	if err != nil {
		return durable.Reason(err)
	}
	defer os.RemoveAll(part)
	if err := os.Chmod(part, 0o755); err != nil {
		return durable.Reason(err)
	}
	for _, file := range append([]string{runlog.ConfigFile, runlog.MetricsFile, runlog.SummaryFile}, models...) {
		err := duplicate(r.file(file), filepath.Join(part, file))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("%s: %w", r.file(file), durable.Reason(err))
		}
	}
	return durable.Reason(os.Rename(part, folder))
}

// keeping begins the names of folders that keep has not finished.
const keeping = ".vicreg-keep-"

// sweep removes such folders that killed processes have left.
func (r *run) sweep() {
	all, _ := os.ReadDir(r.folder)
	for _, part := range all {
		if strings.HasPrefix(part.Name(), keeping) {
			os.RemoveAll(r.file(part.Name()))
		}
	}
}

// duplicate copies a file durably.
func duplicate(from, to string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := durable.Create(to)
	if err != nil {
		return err
	}
	defer out.Discard()
	if _, err := io.Copy(out, in); err != nil {
		return err
	}
	return out.Commit()
}

// replans returns the changes of plan from number known on, as the log has them.
func (r *run) replans(known int) (all []runlog.Replan) {
	schedule := r.schedule()
	changes := r.config.Replanned
	for i := known; i < len(changes); i++ {
		change := changes[i]
		to := r.config.Epochs
		if i+1 < len(changes) {
			to = changes[i+1].Epochs
		}
		var withdrawn []string
		if told := r.short(r.config.Before(i)); told != "" {
			withdrawn = []string{told}
		}
		passage := int(math.Round(change.Passage * float64(r.steps)))
		all = append(all, runlog.Replan{Event: "replan", Epoch: change.Step / r.steps, Step: change.Step,
			From: change.Epochs, To: to,
			Passage: change.Passage, LR: schedule.At(max(0, change.Step-1)),
			NextLR: schedule.At(change.Step + passage), Withdrawn: withdrawn})
	}
	return all
}

// ofReplan says it for people.
func ofReplan(e runlog.Replan) string {
	return fmt.Sprintf("%d epochs instead of %d, from epoch %d (step %d) on: in %.3g epochs the learning rate goes "+
		"from %.3g to %.3g, then in a cosine to the end", e.To, e.From, e.Epoch, e.Step, e.Passage, e.LR, e.NextLR)
}

// spanOf says about how long the rest of the run takes at its own speed; empty if that
// is not known.
func (r *run) spanOf() string {
	left := r.config.Epochs*r.steps - r.at.Steps
	if r.at.Steps == 0 || r.at.TrainSeconds == 0 || left <= 0 {
		return ""
	}
	return "; about " + advice.Span(r.at.TrainSeconds/float64(r.at.Steps)*float64(left)) + " more"
}
