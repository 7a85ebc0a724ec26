// Package listing reads what folders hold, many at once, and keeps it: a tree of ten
// million files is read once, and from then on only its folders are looked at.
//
// [Read] lists a folder and all folders below it. Of a large tree it keeps the list in a
// file of the user's cache folder, see [Cache]. Later a folder is taken from there if its
// modification time is the same, which changes whenever a name in it is added, removed or
// replaced by another file; only folders that changed are read again. A folder that changed
// less than two seconds before it was read is not relied on, since a clock may be too
// coarse to tell what came after.
package listing

import (
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"vicreg/internal/ledger"
)

// Kind is what a name in a folder is.
type Kind uint8

const (
	File Kind = iota
	Folder
	Link
	Other // pipes, sockets and devices
	kinds
)

// Entry is a name in a folder.
type Entry struct {
	Name string
	Kind Kind
}

// Tree is what a folder and those below it hold.
type Tree struct {
	root    string
	folders map[string]*folder // by path below root, with slashes; "" is root
	Report
}

// Report says how a tree came about.
type Report struct {
	Entries int    // in all folders
	Taken   int    // folders whose list was kept and is still right
	Read    int    // folders that were read
	Kept    string // the file that the list is kept in; empty: it is not, as the tree is small,
	Fresh   bool   // the file was written just now
	Err     error  // or for this reason
}

// folder is what one folder holds, in the order of names.
type folder struct {
	entries []Entry
	time    int64 // of its modification, in nanoseconds; 0: it is not relied on
	err     error
}

// Least is how many names a tree must have for its list to be kept.
var Least = 100_000

// settled is how long before it is read a folder must have changed last.
const settled = 2 * time.Second

// Cache is the folder that lists are kept in; empty: there is none.
func Cache() string { return ledger.Folder("folders") }

// Read lists the folder at root, a path without links, and those of its folders, and so
// on, that enter says by their names. watch is told now and then how many names were found;
// an error of it ends that.
func Read(root string, enter func(name string) bool, watch func(names int) error) (*Tree, error) {
	t := &Tree{root: root, folders: map[string]*folder{}}
	path := keptAt(root)
	known := load(path, root)
	w := &walk{tree: t, known: known, enter: enter, watch: watch, todo: []string{""}, open: 1}
	w.more.L = &w.mu
	var wg sync.WaitGroup
	for range max(8, 2*runtime.GOMAXPROCS(0)) { // that wait for the disk
		wg.Go(w.work)
	}
	wg.Wait()
	if w.err != nil {
		return nil, w.err
	}
	t.Entries, t.Taken, t.Read = int(w.names.Load()), w.taken, len(t.folders)-w.taken
	switch {
	case t.Entries < Least:
		if known != nil {
			os.Remove(path) // the tree has become small
		}
	case path == "":
		t.Err = errNowhere
	case known != nil && t.Read == 0 && w.gone(known) == 0:
		t.Kept = path
	default:
		if t.Err = t.keep(path); t.Err == nil {
			t.Kept, t.Fresh = path, known == nil
		}
	}
	return t, nil
}

// Folder returns what the folder at path holds, in the order of names. It forgets it, so
// that memory is free again. A folder that is not of the tree is read.
func (t *Tree) Folder(path string) ([]Entry, error) {
	if rel, ok := below(t.root, path); ok {
		if f := t.folders[rel]; f != nil {
			delete(t.folders, rel)
			return f.entries, f.err
		}
	}
	f := read(path)
	return f.entries, f.err
}

// below returns path below root, with slashes.
func below(root, path string) (rel string, ok bool) {
	if path == root {
		return "", true
	}
	const sep = string(filepath.Separator)
	rel, ok = strings.CutPrefix(path, strings.TrimSuffix(root, sep)+sep)
	return filepath.ToSlash(rel), ok
}

// walk lists a tree on several goroutines.
type walk struct {
	tree  *Tree
	known map[string]*folder
	enter func(name string) bool
	watch func(names int) error

	mu    sync.Mutex
	more  sync.Cond
	todo  []string // folders to be listed
	open  int      // of them, and of those that are being listed
	taken int
	err   error
	names atomic.Int64
}

func (w *walk) work() {
	for {
		w.mu.Lock()
		for len(w.todo) == 0 && w.open > 0 && w.err == nil {
			w.more.Wait()
		}
		if w.open == 0 || w.err != nil {
			w.mu.Unlock()
			return
		}
		rel := w.todo[len(w.todo)-1]
		w.todo = w.todo[:len(w.todo)-1]
		w.mu.Unlock()

		f, taken := w.list(rel)
		var inside []string
		for _, e := range f.entries {
			if e.Kind == Folder && w.enter(e.Name) {
				inside = append(inside, strings.TrimPrefix(rel+"/"+e.Name, "/"))
			}
		}
		names := w.names.Add(int64(len(f.entries)))

		w.mu.Lock()
		w.tree.folders[rel] = f
		if taken {
			w.taken++
		}
		w.todo = append(w.todo, inside...)
		w.open += len(inside) - 1
		if err := w.watch(int(names)); w.err == nil {
			w.err = err
		}
		w.more.Broadcast()
		w.mu.Unlock()
	}
}

// list takes a folder from what is known, or reads it.
func (w *walk) list(rel string) (f *folder, taken bool) {
	path := filepath.Join(w.tree.root, filepath.FromSlash(rel))
	if f := w.known[rel]; f != nil && f.time != 0 {
		if info, err := os.Lstat(path); err == nil && info.IsDir() && info.ModTime().UnixNano() == f.time {
			return f, true
		}
	}
	return read(path), false
}

// gone counts the folders that were known and are no longer in the tree.
func (w *walk) gone(known map[string]*folder) int {
	n := 0
	for rel := range known {
		if w.tree.folders[rel] == nil {
			n++
		}
	}
	return n
}

// read lists a folder.
func read(path string) *folder {
	began := time.Now()
	info, err := os.Stat(path)
	if err != nil {
		return &folder{err: err}
	}
	dir, err := os.Open(path)
	if err != nil {
		return &folder{err: err}
	}
	defer dir.Close()
	list, err := dir.ReadDir(-1)
	f := &folder{entries: make([]Entry, len(list)), err: err}
	length := 0
	for _, e := range list {
		length += len(e.Name())
	}
	var all strings.Builder // names lie in one piece
	all.Grow(length)
	for i, e := range list {
		at := all.Len()
		all.WriteString(e.Name())
		f.entries[i].Name = all.String()[at:]
		switch mode := e.Type(); {
		case mode.IsRegular():
			f.entries[i].Kind = File
		case mode.IsDir():
			f.entries[i].Kind = Folder
		case mode&os.ModeSymlink != 0:
			f.entries[i].Kind = Link
		default:
			f.entries[i].Kind = Other
		}
	}
	slices.SortFunc(f.entries, func(a, b Entry) int { return strings.Compare(a.Name, b.Name) })
	if changed := info.ModTime(); err == nil && changed.Unix() > 0 && changed.Before(began.Add(-settled)) {
		f.time = changed.UnixNano()
	}
	return f
}

// keptAt is where the list of a tree is kept; empty: nowhere.
func keptAt(root string) string {
	dir := Cache()
	if dir == "" {
		return ""
	}
	return ledger.Path(dir, root)
}

// keep writes the list of the tree.
func (t *Tree) keep(path string) error {
	if err := t.write(path); err != nil {
		return err
	}
	ledger.Prune(filepath.Dir(path))
	return nil
}
