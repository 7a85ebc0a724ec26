package train

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"time"

	"vicreg/internal/checkpoint"
	"vicreg/internal/durable"
	"vicreg/internal/pretrained"
	"vicreg/internal/runlog"
	"vicreg/internal/show"
)

// ended does what is left to do in a run that has a summary: it says which of its files
// are no longer those it ended with, and writes a model that is missing or damaged.
func (r *run) ended(s *runlog.Summary) error {
	at, err := checkpoint.Peek(r.file(runlog.CheckpointFile))
	if err == nil && (!at.Started.Equal(s.Started) || at.Epoch != s.Epochs || at.Steps != s.Steps) {
		if len(s.Files) == 0 {
			return &runlog.Foreign{Dir: r.folder, Why: fmt.Sprintf("it tells of %d steps of a run begun %s, the checkpoint of %d of one begun %s",
				s.Steps, s.Started.Format(time.DateTime), at.Steps, at.Started.Format(time.DateTime))}
		}
		err = fmt.Errorf("%s is not of the end of this run", r.file(runlog.CheckpointFile))
	}
	tell := func(message string) {
		r.report.Warning(runlog.Warning{Event: "warning", Epoch: s.Epochs, Step: s.Steps, Message: message})
	}
	for _, name := range s.Changed {
		advice := ""
		if name == runlog.ModelFiles[0] || name == runlog.ModelFiles[1] {
			advice = "; without it, --resume writes that one anew"
		}
		tell(runlog.Altered(r.folder, name) + advice)
	}
	if len(s.Files) == 0 { // what an older version tells of its model
		for _, name := range runlog.ModelFiles {
			for _, strange := range pretrained.Strange(r.file(name)) {
				tell(strange)
			}
		}
	}
	lost, why, unknown := r.lost(s)
	if unknown != nil || len(lost) == 0 {
		return unknown
	}
	if err == nil {
		err = r.rewrite(s, lost)
	}
	if err != nil {
		return fmt.Errorf("the run in %s has ended, but its %s is %s and cannot be written anew: %w", show.Name(r.folder),
			runlog.ModelFiles[lost[0]], why[0], err)
	}
	for i, branch := range lost {
		tell(fmt.Sprintf("%s was %s; it is written anew, from the checkpoint", runlog.ModelFiles[branch], why[i]))
	}
	return nil
}

// lost returns the branches whose models a run that has ended no longer has, and what became
// of each. A file that is not the run's own by its header, and is damaged besides, may be
// anything: it is left as it is, and keep refuses it.
func (r *run) lost(s *runlog.Summary) (branches []int, why []string, err error) {
	for i := range r.branches() {
		name := runlog.ModelFiles[i]
		what := ""
		if _, err := os.Lstat(r.file(name)); errors.Is(err, fs.ErrNotExist) {
			what = "missing"
		} else if err := pretrained.Whole(r.file(name)); durable.Unreadable(err) {
			return nil, nil, fmt.Errorf("%s cannot be read, so whether it is whole is not known: %w", r.file(name), durable.Reason(err))
		} else if err != nil && s.Files[name] != "" && !slices.Contains(s.Changed, name) {
			what = "damaged"
		}
		if what != "" {
			branches, why = append(branches, i), append(why, what)
		}
	}
	return branches, why, nil
}

// branches is how many models the run writes.
func (r *run) branches() int {
	if r.config.Separate() {
		return 2
	}
	return 1
}

// rewrite writes the models of some branches from the checkpoint of a run that has
// ended.
func (r *run) rewrite(s *runlog.Summary, branches []int) error {
	if err := r.list(context.Background()); err != nil {
		return err
	}
	if _, err := r.position(); err != nil {
		return err
	}
	if err := r.without(); err != nil {
		return err
	}
	r.corpus.unscored()
	if err := r.build(); err != nil {
		return err
	}
	if err := r.restore(); err != nil {
		return err
	}
	for _, i := range branches {
		b, name := r.method.Branches()[i], runlog.ModelFiles[i]
		if err := pretrained.Save(r.file(name), r.meta(i), b.Encoder, b.Expander); err != nil {
			return err
		}
		if s.Files == nil { // an older version wrote the summary
			continue
		}
		sum, err := runlog.Sum(r.folder, name)
		if err != nil {
			return err
		}
		if sum != s.Files[name] { // another version may say more in its metadata
			s.Files[name] = sum
			if err := runlog.WriteSummary(r.folder, s); err != nil {
				return err
			}
		}
	}
	return nil
}
