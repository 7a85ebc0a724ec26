package train

import (
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"os"
	"regexp"
	"runtime"
	"slices"
	"strings"

	"vicreg/internal/checkpoint"
	"vicreg/internal/cpu"
	"vicreg/internal/dataset"
	"vicreg/internal/kernel"
	"vicreg/internal/kernel/shape"
	"vicreg/internal/kernel/winograd"
	"vicreg/internal/method"
	"vicreg/internal/recipe"
	"vicreg/internal/runlog"
	"vicreg/internal/show"
)

// position reads where the run stands, if it has come to a checkpoint, and
// checks that it is still the same run.
func (r *run) position() (resumed bool, err error) {
	path := r.file(runlog.CheckpointFile)
	at, err := checkpoint.Peek(path)
	if errors.Is(err, fs.ErrNotExist) {
		return false, r.fresh(err)
	}
	if err != nil {
		return false, err
	}
	known, ours, err := r.isOf(at)
	switch {
	case err != nil:
		return false, err
	case !ours && (len(r.config.InputOf(0).Shape) == 0 || len(r.config.InputOf(1).Shape) == 0):
		return false, fmt.Errorf("%s no longer says what a view is, as it did when the checkpoint was written; undo that, or start a new run with --config %[1]s", r.file(runlog.ConfigFile))
	case !ours:
		if err := r.build(); err != nil {
			return false, fmt.Errorf("%s: %w", r.file(runlog.ConfigFile), err)
		}
		other := fmt.Errorf("%s was changed since the checkpoint was written, or the checkpoint is another run's; undo that, or start a new run with --config %[1]s", r.file(runlog.ConfigFile))
		if err := checkpoint.Match(path, r.arrays(), ofNetwork); err != nil {
			return false, fmt.Errorf("%w. %w", err, other)
		}
		return false, other
	case at.Fingerprint != r.at.Fingerprint:
		return false, r.otherData(r.changed(at.Files))
	}
	if err := r.replaced(at.Files); err != nil {
		return false, err
	}
	r.at, r.known = at, known
	return true, nil
}

// changed says how the files differ from what they were.
func (r *run) changed(then string) string {
	switch c, ok := dataset.Changes(then, r.at.Files); {
	case ok && len(c.New) > 0:
		return r.firstNew(c.New[0])
	case ok && c.Gone > 0:
		return fmt.Sprintf("%d of %d files gone, and none new", c.Gone, c.Then)
	case ok && c.Then != c.Now:
		return fmt.Sprintf("there were %d files, and now there are %d", c.Then, c.Now)
	}
	return "names, labels or order are others"
}

func (r *run) firstNew(i int) string {
	name, _ := r.listed.At(i)
	return fmt.Sprintf("the first that is new or another is %s", show.Name(name))
}

// otherData is the error where data has changed since the run stopped; what says how.
func (r *run) otherData(what string) error {
	if file := dataset.LabelFile(r.config.Data.Labels); file != "" {
		what += fmt.Sprintf(", or other labels in %s divide them otherwise", show.Name(file))
	}
	return fmt.Errorf("the %s in %s are no longer those the run started with: %s; put them back, or start a new run", r.corpus.kind(), show.Name(r.config.Data.Source), what)
}

// replaced finds files that were replaced by others of the same name. It leaves out
// files that turned bad: these are found when they are read.
func (r *run) replaced(then string) error {
	for _, last := range dataset.Differ(then, r.at.Files) {
		good := true
		from, to := r.listed.Group(last)
		for i := from; i < to; i++ {
			_, path := r.listed.At(i)
			good = good && path != "" && r.corpus.readable(path)
		}
		if good {
			return r.otherData(r.firstNew(last))
		}
	}
	return nil
}

// without drops the items that were bad when the run started.
func (r *run) without() error {
	before := r.corpus.len()
	r.corpus.without(r.config, r.at.BadTrain, r.at.BadTest)
	if gone, bad := before-r.corpus.len(), len(names(r.at.BadTrain)); gone < bad {
		return r.impossible("%d of its %d bad %s are not among the data", bad-gone, bad, r.corpus.kind())
	}
	return nil
}

// restore reads the checkpoint into the run that was built, and opens the log at the
// place that it had then.
func (r *run) restore() error {
	arrays := r.arrays()
	at, err := checkpoint.Load(r.file(runlog.CheckpointFile), arrays)
	if err != nil {
		return err
	}
	r.store(arrays)
	c := r.config
	switch {
	case at.Epoch > c.Epochs:
		return r.impossible("it is in epoch %d of %d", at.Epoch+1, c.Epochs)
	case at.Step > r.steps:
		return r.impossible("it has done %d steps of an epoch of %d", at.Step, r.steps)
	case at.Epoch == c.Epochs && at.Step > 0:
		return r.impossible("it has done %d steps after the last epoch", at.Step)
	case at.Steps != at.Epoch*r.steps+at.Step:
		return r.impossible("it has done %d steps, but %d epochs of %d and %d more are %d", at.Steps, at.Epoch, r.steps, at.Step, at.Epoch*r.steps+at.Step)
	case at.Epoch > 0 && at.Last != nil && (at.Last.Epoch != at.Epoch || at.Last.Step != at.Epoch*r.steps):
		return r.impossible("its last epoch is %d, but it has done %d", at.Last.Epoch, at.Epoch)
	}
	if at.Config, err = digest(r.config); err != nil { // that of an earlier plan, maybe
		return err
	}
	r.at, r.savedStep, r.clock.before = at, at.Steps, at.Seconds
	return nil
}

// impossible is the error for a checkpoint that no run can have written.
func (r *run) impossible(format string, args ...any) error {
	return fmt.Errorf("%s is a checkpoint that no run can have written: %s; put it back as it was, or start a new run with --config %s",
		r.file(runlog.CheckpointFile), fmt.Sprintf(format, args...), r.file(runlog.ConfigFile))
}

// openLog opens the metrics after what was there at the checkpoint.
func (r *run) openLog() error {
	mark := runlog.Mark{Size: r.at.MetricsSize, Sum: r.at.MetricsSum}
	log, anew, err := runlog.Open(r.folder, mark)
	if err != nil {
		return err
	}
	r.log = log
	if anew {
		r.changes = append(r.changes, fmt.Sprintf("%s begins after step %d: it was empty when the run went on from there", runlog.MetricsFile, r.at.Steps))
	}
	return nil
}

// goOn warns of what is not as it was when the checkpoint was written, though the run
// can go on. The warnings stay among the notes of the run.
func (r *run) goOn() error {
	if r.at.Unsealed {
		r.changes = append(r.changes, "an older version wrote the checkpoint, without a checksum of the run's position; it was taken as it is")
	}
	now := r.variant()
	if old := r.at.Variants; len(old) == 0 {
		r.at.Variants = []string{now}
	} else if last := old[len(old)-1]; last != now {
		r.at.Variants = append(old, now)
		r.changes = append(r.changes, moved(r.at.Steps, last, now))
	}
	sum, err := r.configSum()
	if err != nil {
		return err
	}
	replans := r.replans(r.known)
	if r.at.ConfigSum != "" && sum != r.at.ConfigSum && len(replans) == 0 {
		r.changes = append(r.changes, r.configChanged())
	}
	r.at.ConfigSum = sum
	for _, note := range r.told {
		if !slices.Contains(r.at.Notes, note) {
			r.changes = append(r.changes, note)
		}
	}
	for _, e := range replans {
		r.at.Notes = slices.DeleteFunc(r.at.Notes, func(note string) bool { return slices.Contains(e.Withdrawn, note) })
		if err := r.write(e); err != nil {
			return err
		}
		r.at.Notes = append(r.at.Notes, ofReplan(e))
	}
	if short := r.short(r.config); short != "" && len(replans) > 0 {
		r.changes = append(r.changes, short)
	}
	for _, change := range r.changes {
		if err := r.warn("%s", change); err != nil {
			return err
		}
		if !slices.Contains(r.at.Notes, change) {
			r.at.Notes = append(r.at.Notes, change)
		}
	}
	return nil
}

// configSum is the checksum of the configuration's file.
func (r *run) configSum() (string, error) {
	raw, err := os.ReadFile(r.file(runlog.ConfigFile))
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("%08x", crc32.Checksum(raw, crc32.MakeTable(crc32.Castagnoli))), nil
}

// moved says that a run goes on in another variant.
func moved(step int, last, now string) string {
	how := "up to step %d the run used the kernels of %s, from there on those of %s: it ends with other bits than a run that never changed"
	if strings.Contains(last+now, beside) {
		how = "up to step %d the run was computed on %s, from there on on %s: rounding differs from there on, so it ends with other bits than a run that never changed"
	}
	before, decoder := decoderOf(last)
	after, other := decoderOf(now)
	rest, then := processesOf(before)
	if same, since := processesOf(after); rest == same && then != since && decoder == other {
		how = "up to step %d the run was computed in %s, from there on in %s: rounding differs from there on, so it ends with other bits than a run that never changed"
		last, now = then, since
	}
	if last != now && unrevised.ReplaceAllString(last, "") == unrevised.ReplaceAllString(now, "") {
		how = "up to step %d the run used the kernels of another version of vicreg, %s, from there on those of this one, %s: they add in another order, so it ends with other bits than a run that never changed"
	}
	if before == after {
		how = "up to step %d the run's JPEG files were read by %s, from there on by %s: the pixels of views differ a little, so it ends with other bits than a run that never changed"
		last, now = decoder, other
	}
	return fmt.Sprintf(how, step, last, now)
}

// revision is the part of a variant that tells kernels from those which cut their work
// otherwise. The first had none.
var revision = fmt.Sprintf(" r%d", kernel.Revision)

// unrevised is a variant without its revision.
var unrevised = regexp.MustCompile(` r[0-9]+\b`)

// hostVariant names what the bits of a run depend on besides its configuration where the
// host computes: the instructions that kernels use, and how.
func hostVariant(c recipe.Config) string {
	name := cpu.Variant()
	if cpu.AMX && method.Precision(c) != shape.BF16 { // it multiplies nothing else
		name = "avx512"
	}
	if runtime.GOARCH != "amd64" {
		name += " on " + runtime.GOARCH
	}
	name += revision
	if !winograd.On() {
		name += " without Winograd"
	}
	switch p := method.Precision(c); {
	case p == shape.BF16:
		name += " with bfloat16 activations"
		if p.Missing() != "" {
			name += " and float32 products"
		}
	case p.Missing() != "":
		name += " without " + c.Precision
	}
	return name
}
