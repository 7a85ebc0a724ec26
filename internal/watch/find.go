package watch

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"vicreg/internal/runlog"
	"vicreg/internal/show"
)

// limits of looking for runs below a folder.
type limits struct {
	depth   int // of folders in folders
	folders int // that are looked into
	entries int // of a folder
	runs    int
}

var usual = limits{depth: 8, folders: 20_000, entries: 20_000, runs: 2000}

// find lists the runs in a folder and below it, by their paths from it, in order. Links are
// not followed, and names that begin with a dot are left out. notes say what else was.
func find(root string, most limits) (ids, notes []string) {
	var deep, large, unread []string
	tooMany := false
	queue, looked := []string{"."}, 0
	for len(queue) > 0 {
		id := queue[0]
		queue = queue[1:]
		dir := filepath.Join(root, filepath.FromSlash(id))
		if isRun(dir) {
			if len(ids) == most.runs {
				notes = append(notes, fmt.Sprintf("more than %d runs: only so many are shown; watch a folder below", most.runs))
				break
			}
			ids = append(ids, id)
		}
		if looked++; looked > most.folders {
			tooMany = true
			break
		}
		below, more, err := folders(dir, most.entries)
		if err != nil {
			if looked > 1 || !errors.Is(err, os.ErrNotExist) {
				unread = append(unread, id)
			}
			continue
		}
		if more {
			large = append(large, id)
		}
		if len(below) > 0 && strings.Count(id, "/") >= most.depth {
			deep = append(deep, id)
			continue
		}
		for _, name := range below {
			queue = append(queue, path.Join(id, name))
		}
	}
	slices.Sort(ids)
	tell := func(what string, list []string) {
		if len(list) > 0 {
			notes = append(notes, fmt.Sprintf("%s: %s", what, show.Some(list, 3)))
		}
	}
	if tooMany {
		notes = append(notes, fmt.Sprintf("more than %d folders: only so many were looked into; watch a folder below", most.folders))
	}
	tell("folders in it are too deep to be looked into", deep)
	tell(fmt.Sprintf("of more than %d entries only so many were looked at", most.entries), large)
	tell("cannot be read", unread)
	return ids, notes
}

// isRun reports whether a folder holds a run that has begun.
func isRun(dir string) bool {
	there := func(name string) bool {
		st, err := os.Stat(filepath.Join(dir, name))
		return err == nil && st.Mode().IsRegular()
	}
	return there(runlog.ConfigFile) && (there(runlog.MetricsFile) || there(runlog.SummaryFile))
}

// folders lists the folders in a folder. more is true if it has more entries than were
// looked at.
func folders(dir string, most int) (names []string, more bool, err error) {
	f, err := os.Open(dir)
	if err != nil {
		return nil, false, err
	}
	defer f.Close()
	for read := 0; ; {
		list, err := f.ReadDir(min(1000, most-read))
		for _, e := range list {
			if e.IsDir() && !strings.HasPrefix(e.Name(), ".") {
				names = append(names, e.Name())
			}
		}
		if read += len(list); err == io.EOF {
			break
		}
		if err != nil {
			return nil, false, err
		}
		if read >= most {
			more = true
			break
		}
	}
	slices.Sort(names)
	return names, more, nil
}
