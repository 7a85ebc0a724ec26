package watch

import (
	"errors"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"time"

	"vicreg/internal/atlas"
	"vicreg/internal/runlog"
)

// run is what is known of a run. Its log is read on, never anew, unless it is another one.
type run struct {
	id, dir string
	version int // goes up when anything changes that is shown

	config  watched
	params  []Setting
	problem string // what of its files cannot be read

	summaryFile watched
	summary     *runlog.Summary

	end     *runlog.Follower // of the last lines
	written time.Time
	lines   []string // the last lines as they stand
	step    *runlog.Step
	epoch   *runlog.Epoch
	knn     *float64        // of the last epoch that was scored,
	top     *float64        // likewise, by a classifier,
	views   *float64        // and of the last that was looked at: views found
	last    *runlog.Warning // nil unless it is the last line
	warned  int             // warnings among the lines that were seen

	state State
	live  bool
	mapAt time.Time // when the map of what it sees was written; zero: there is none

	full *history // nil: nobody has looked
}

// watched tells whether a file is as it was.
type watched struct {
	there bool
	size  int64
	at    time.Time
}

// changed looks at a file again.
func (w *watched) changed(path string) bool {
	var now watched
	if st, err := os.Stat(path); err == nil {
		now = watched{true, st.Size(), st.ModTime()}
	}
	if now == *w {
		return false
	}
	*w = now
	return true
}

const (
	endBytes  = 32 << 10 // of a log that are read for the table,
	moreBytes = 8 << 20  // or so many if no epoch ends in them
	tailLines = 40       // that are shown
)

func newRun(root, id string) *run {
	dir := filepath.Join(root, filepath.FromSlash(id))
	return &run{id: id, dir: dir, end: runlog.FollowEnd(dir, endBytes)}
}

// name is what people call it.
func (r *run) name() string {
	if r.id == "." {
		if abs, err := filepath.Abs(r.dir); err == nil {
			return filepath.Base(abs)
		}
	}
	return r.id
}

// look brings what is known up to date.
func (r *run) look(now time.Time, locks runlog.Locks) {
	if r.config.changed(filepath.Join(r.dir, runlog.ConfigFile)) {
		r.version++
		var err error
		r.problem = ""
		if r.params, err = readSettings(r.dir); err != nil {
			r.problem = err.Error()
		}
	}
	damaged := r.end.Damaged
	first := r.written.IsZero()
	err := r.end.Next(r.forget, r.add)
	if first && r.epoch == nil && len(r.lines) > 0 {
		r.forget()
		r.end = runlog.FollowEnd(r.dir, moreBytes)
		err = r.end.Next(r.forget, r.add)
	}
	if err != nil || r.end.Damaged != damaged {
		r.version++
	}
	if st, err := os.Stat(filepath.Join(r.dir, runlog.MetricsFile)); err == nil {
		r.written = st.ModTime()
	}
	if r.summaryFile.changed(filepath.Join(r.dir, runlog.SummaryFile)) {
		r.version++
		s, err := runlog.ReadSummary(r.dir)
		if r.summary = s; err != nil && !errors.Is(err, fs.ErrNotExist) {
			r.problem = err.Error()
		}
	}
	var at time.Time
	if st, err := os.Stat(filepath.Join(r.dir, atlas.Folder, atlas.FileName)); err == nil {
		at = st.ModTime()
	}
	if !at.Equal(r.mapAt) {
		r.mapAt = at
		r.version++
	}
	held, known := locks.On(r.dir)
	f := facts{now: now, written: r.written, held: held, known: known, summary: r.summary, line: r.between(),
		epoch: seconds(r.perEpoch()), failed: r.last != nil && r.last.Failed,
		collapsed: r.epoch != nil && r.epoch.Collapsed, trained: r.epoch != nil && r.epoch.Epoch >= r.epochs()}
	state, live := f.state()
	if state != r.state || live != r.live {
		r.state, r.live = state, live
		r.version++
	}
}

// forget drops what came from a log that is another one now.
func (r *run) forget() {
	r.lines, r.step, r.epoch, r.last, r.warned = nil, nil, nil, nil, 0
	r.knn, r.top, r.views = nil, nil, nil
	r.version++
}

// add takes in a line of the log.
func (r *run) add(l runlog.Line) {
	r.version++
	r.last = nil
	const most = 400
	text := string(l.Raw[:min(len(l.Raw), most)])
	if len(l.Raw) > most {
		text += "…"
	}
	if len(r.lines) == tailLines {
		r.lines = slices.Delete(r.lines, 0, 1)
	}
	r.lines = append(r.lines, text)
	switch {
	case l.Step != nil:
		r.step = l.Step
	case l.Epoch != nil:
		r.epoch = l.Epoch
		if l.Epoch.KNN != nil {
			r.knn = l.Epoch.KNN
		}
		if c := l.Epoch.Classified; c != nil {
			r.top = &c.Top1
		}
		if v := l.Epoch.Views; v != nil {
			r.views = &v.R1
		}
	case l.Warn != nil:
		r.last = l.Warn
		r.warned++
	}
}

// setting is a number of the configuration, 0 if there is none.
func (r *run) setting(key string) float64 {
	v, err := strconv.ParseFloat(value(r.params, key), 64)
	if err != nil {
		return 0
	}
	return v
}

// epochs is how many the run is planned for.
func (r *run) epochs() int { return int(r.setting("epochs")) }

// between is how long it takes from a step's line to the next.
func (r *run) between() time.Duration {
	if r.step == nil || !(r.step.Images > 0) {
		return 0
	}
	return seconds(r.setting("log_every") * r.setting("batch") / r.step.Images)
}

// perEpoch is how many seconds an epoch takes, 0: not known.
func (r *run) perEpoch() float64 {
	if r.epoch == nil || r.epoch.Epoch < 1 {
		return 0
	}
	return r.epoch.Seconds / float64(r.epoch.Epoch)
}

// perSteps is how many steps an epoch has, 0: not known.
func (r *run) perSteps() float64 {
	if r.epoch == nil || r.epoch.Epoch < 1 {
		return 0
	}
	return float64(r.epoch.Step) / float64(r.epoch.Epoch)
}

// done is how many epochs are done, with a share of the one that goes on.
func (r *run) done() float64 {
	steps := 0.0
	if r.step != nil {
		steps = float64(r.step.Step)
	}
	switch per := r.perSteps(); {
	case r.epoch == nil && r.step != nil:
		return float64(r.step.Epoch - 1)
	case r.epoch == nil:
		return 0
	case per > 0 && steps > float64(r.epoch.Step):
		return min(steps/per, float64(r.epoch.Epoch)+1)
	}
	return float64(r.epoch.Epoch)
}

// left is how long the rest of its epochs takes, 0: not known, or nothing is left.
func (r *run) left() time.Duration {
	rest := float64(r.epochs()) - r.done()
	if !r.live || rest <= 0 {
		return 0
	}
	return seconds(rest * r.perEpoch())
}

// data is what the run learns from, in short.
func (r *run) data() string {
	if r.summary != nil && r.summary.Dataset != "" {
		return path.Base(filepath.ToSlash(r.summary.Dataset))
	}
	if v := value(r.params, "data.source"); v != "" {
		return path.Base(filepath.ToSlash(v))
	}
	return ""
}

func seconds(s float64) time.Duration {
	const most = 1e9 // some thirty years
	return time.Duration(max(0, min(s, most)) * float64(time.Second))
}
