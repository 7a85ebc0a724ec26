// Package watch shows runs in a browser, while they go on. It reads the folders of runs, and
// nothing else: who watches needs not be who trains. Logs are read on from where they were,
// and only while somebody looks.
package watch

import (
	"cmp"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"vicreg/internal/runlog"
)

// Watcher knows the runs below a folder.
type Watcher struct {
	root   string
	limits limits

	mu      sync.Mutex
	runs    map[string]*run // by their paths below the root
	notes   []string        // what is not shown
	found   time.Time       // when runs were last looked for,
	looked  time.Time       // and looked at
	changes chan struct{}   // closed when something changed
	edition int             // goes up when something changed
}

const (
	lookPause  = time.Second     // between two looks at all runs
	findPause  = 5 * time.Second // between two searches for runs
	mostMemory = 96 << 20        // bytes of histories; those that nobody looked at for longest go
)

// New returns a watcher of the runs below a folder, which need not be there yet.
func New(root string) *Watcher {
	return &Watcher{root: root, limits: usual, runs: map[string]*run{}, changes: make(chan struct{})}
}

// look brings all runs up to date, unless that was done just now.
func (w *Watcher) look(now time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if now.Sub(w.looked) < lookPause*9/10 {
		return
	}
	changed := false
	if now.Sub(w.found) >= findPause {
		changed = w.find()
		w.found = now
	}
	locks := runlog.ReadLocks()
	each(w.listed(), func(r *run) bool {
		before := r.version
		r.look(now, locks)
		return r.version != before
	}, func(differs bool) { changed = changed || differs })
	w.looked = now
	w.forget()
	if changed {
		w.edition++
		close(w.changes)
		w.changes = make(chan struct{})
	}
}

// each calls do for all of a list, four at a time, and then with what it said, one at a time.
func each[T, R any](list []T, do func(T) R, with func(R)) {
	out := make([]R, len(list))
	var group sync.WaitGroup
	slots := make(chan struct{}, 4)
	for i, x := range list {
		slots <- struct{}{}
		group.Go(func() {
			out[i] = do(x)
			<-slots
		})
	}
	group.Wait()
	for _, r := range out {
		with(r)
	}
}

// find looks for runs that came or went.
func (w *Watcher) find() (changed bool) {
	ids, notes := find(w.root, w.limits)
	changed = !slices.Equal(notes, w.notes)
	w.notes = notes
	for _, id := range ids {
		if w.runs[id] == nil {
			w.runs[id] = newRun(w.root, id)
			changed = true
		}
	}
	for id := range w.runs {
		if _, there := slices.BinarySearch(ids, id); !there {
			delete(w.runs, id)
			changed = true
		}
	}
	return changed
}

// listed are the runs, those that were written to last first.
func (w *Watcher) listed() []*run {
	var list []*run
	for _, r := range w.runs {
		list = append(list, r)
	}
	slices.SortFunc(list, func(a, b *run) int {
		return cmp.Or(b.written.Compare(a.written), cmp.Compare(a.id, b.id))
	})
	return list
}

// forget drops the histories of runs that nobody looks at when they take too much memory.
func (w *Watcher) forget() {
	var list []*run
	var total int64
	for _, r := range w.runs {
		if r.full != nil {
			list = append(list, r)
			total += r.full.bytes()
		}
	}
	slices.SortFunc(list, func(a, b *run) int { return a.full.used.Compare(b.full.used) })
	for _, r := range list[:max(0, len(list)-1)] {
		if total <= mostMemory {
			break
		}
		total -= r.full.bytes()
		r.full = nil
	}
}

// history is all that a run logged, up to now.
func (w *Watcher) history(id string, pixels int, from, to float64) (c curves, ok bool, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	r := w.runs[id]
	if r == nil {
		return c, false, nil
	}
	if r.full == nil {
		r.full = &history{follower: runlog.Follow(r.dir)}
	}
	r.full.used = time.Now()
	err = r.full.follower.Next(r.full.forget, r.full.add)
	c = r.full.draw(pixels, from, to)
	c.ID, c.Name, c.Version, c.Per = r.id, r.name(), r.version, r.perSteps()
	return c, true, err
}

// Folder is the folder that is watched, whole.
func (w *Watcher) Folder() string {
	if abs, err := filepath.Abs(w.root); err == nil {
		return abs
	}
	return w.root
}
