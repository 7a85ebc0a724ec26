package listing

import (
	"encoding/binary"
	"errors"
	"maps"
	"slices"
	"strings"

	"vicreg/internal/ledger"
)

// A list is, in the form of package ledger, the root's path, the number of folders, and for
// each its path below the root, its time (signed, 0: it is to be read again) and the
// number of its names; for each name how many bytes it has in common with the one before,
// times kinds, plus its kind, and the rest of it.
const magic = "VICREGFL1\n"

var errNowhere = errors.New("there is no folder for what programs keep")

// write writes the list of the tree.
func (t *Tree) write(path string) error {
	w, err := ledger.Create(path, magic)
	if err != nil {
		return err
	}
	defer w.Discard()
	b := binary.AppendUvarint(ledger.Text(nil, t.root), uint64(len(t.folders)))
	for _, rel := range slices.Sorted(maps.Keys(t.folders)) {
		f := t.folders[rel]
		b = ledger.Text(b, rel)
		if f.err != nil {
			f = &folder{}
		}
		b = binary.AppendVarint(b, f.time)
		b = binary.AppendUvarint(b, uint64(len(f.entries)))
		last := ""
		for _, e := range f.entries {
			same := 0
			for same < min(len(last), len(e.Name)) && last[same] == e.Name[same] {
				same++
			}
			b = binary.AppendUvarint(b, uint64(same)*uint64(kinds)+uint64(e.Kind))
			b = ledger.Text(b, e.Name[same:])
			last = e.Name
		}
		w.Write(b)
		b = b[:0]
	}
	w.Write(b)
	return w.Commit()
}

// load reads the list at path; nil if there is none of root.
func load(path, root string) map[string]*folder {
	if path == "" {
		return nil
	}
	contents, ok := ledger.Open(path, magic)
	if !ok {
		return nil
	}
	return parse(contents, root)
}

// parse reads the contents that write wrote.
func parse(contents []byte, root string) map[string]*folder {
	r := reader{Reader: ledger.Reader{Rest: contents}, room: unfolding * len(contents)}
	if r.Text() != root {
		return nil
	}
	folders := map[string]*folder{}
	for range r.Count(3) {
		rel, f := strings.Clone(r.Text()), new(folder)
		f.time = r.Signed()
		f.entries = make([]Entry, r.Count(2))
		r.names(f.entries)
		if r.Bad || !slices.IsSortedFunc(f.entries, func(a, b Entry) int { return strings.Compare(a.Name, b.Name) }) {
			return nil
		}
		folders[rel] = f
	}
	if !r.Whole() {
		return nil
	}
	return folders
}

// longest is how long a name may be, and unfolding how many times as long as a list all
// its names may be together.
const longest, unfolding = 4096, 256

type reader struct {
	ledger.Reader
	room int // bytes that names may still take
}

// names reads the names of a folder.
func (r *reader) names(entries []Entry) {
	// Look through them for how much room they take, so that they lie in one piece.
	ahead, length, last := *r, 0, 0
	for range entries {
		same := ahead.Int() / int(kinds)
		last = same + len(ahead.Text())
		if length += last; last > longest || length > r.room || ahead.Bad {
			r.Fail()
			return
		}
	}
	r.room -= length
	var all strings.Builder
	all.Grow(length)
	before := ""
	for i := range entries {
		v := r.Int()
		same := v / int(kinds)
		if same > len(before) {
			r.Fail()
			return
		}
		at := all.Len()
		all.WriteString(before[:same])
		all.WriteString(r.Text())
		before = all.String()[at:]
		entries[i] = Entry{before, Kind(v % int(kinds))}
		if before == "" || before == "." || before == ".." || strings.ContainsAny(before, "/\x00") {
			r.Fail()
			return
		}
	}
}
