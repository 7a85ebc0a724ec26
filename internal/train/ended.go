package train

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"time"

	"vicreg/internal/checkpoint"
	"vicreg/internal/pretrained"
	"vicreg/internal/runlog"
	"vicreg/internal/show"
)

// ended does what is left to do in a run that has a summary: it says which of its files
// are no longer those it ended with, and writes a model that is missing.
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
	var missing []int
	branches := 1
	if r.config.Separate() {
		branches = 2
	}
	for i := range branches {
		if _, err := os.Lstat(r.file(runlog.ModelFiles[i])); errors.Is(err, fs.ErrNotExist) {
			missing = append(missing, i)
		}
	}
	if len(missing) == 0 {
		return nil
	}
	var names []string
	for _, i := range missing {
		names = append(names, runlog.ModelFiles[i])
	}
	what := strings.Join(names, " and ")
	if err == nil {
		err = r.rewrite(s, missing)
	}
	if err != nil {
		return fmt.Errorf("the run in %s has ended, but its %s is missing and cannot be written anew: %w", show.Name(r.folder), what, err)
	}
	tell(fmt.Sprintf("%s was missing; it is written anew, from the checkpoint", what))
	return nil
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
