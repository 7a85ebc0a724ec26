package dataset

import (
	"fmt"
	"strings"

	"golang.org/x/text/unicode/norm"

	"vicreg/internal/show"
	"vicreg/internal/table"
)

// labelled is what a file says of one image.
type labelled struct {
	line  int
	class string // empty: none
	role  role   // outside: the file does not say
	rank  int    // of the folder of that name, see rank
}

// labelFile is a file of paths and labels, by image.
type labelFile struct {
	name    string // for messages
	rows    map[int32]labelled
	splits  bool // it says what trains and what scores
	column  string
	classes map[string]int
	notes   []string
}

// readLabels reads a file of paths and labels.
func readLabels(path string, f *finder, data string) (*labelFile, error) {
	raw, err := table.Load(path, "file of labels")
	if err != nil {
		return nil, err
	}
	return parseLabels(path, raw, f, data)
}

// parseLabels is readLabels for the contents of a file. data is messages' name for the
// images.
func parseLabels(path string, raw []byte, f *finder, data string) (*labelFile, error) {
	t, err := labelTable(path, raw)
	if err != nil {
		return nil, err
	}
	c, err := t.columns(f)
	if err != nil {
		return nil, err
	}
	l := &labelFile{name: t.Name, rows: map[int32]labelled{}, splits: c.split >= 0, classes: map[string]int{},
		notes: append(t.Notes, c.notes...)}
	if l.column = "of labels"; c.named {
		l.column = short(t.Columns[c.label])
	}
	read := reader{labelRows: t, columns: c, finder: f, data: data}
	var empty, again table.Tally
	for _, r := range t.Rows {
		at, row, err := read.row(r)
		if err != nil {
			return nil, err
		}
		if at < 0 {
			continue
		}
		row.class = norm.NFC.String(strings.TrimSpace(r.Cells[c.label]))
		if before, ok := l.rows[at]; ok {
			if before.class != row.class || before.role != row.role {
				return nil, fmt.Errorf("%s: row %d: %s is %s, but row %d says %s; an image has one label", t.Name, r.Line, show.Name(f.items[at].Name), row, before.line, before)
			}
			again.Add(r.Line)
			continue
		}
		l.rows[at] = row
		if row.class == "" {
			empty.Add(r.Line)
		} else {
			l.classes[row.class]++
		}
	}
	if len(l.rows) == 0 {
		return nil, read.nothing()
	}
	l.notes = append(l.notes, read.notes()...)
	for _, n := range []struct {
		table.Tally
		one, more string
	}{
		{again, "row says again what an earlier one says of an image", "rows say again what an earlier one says of an image"},
		{empty, "row has no label", "rows have no label"},
	} {
		if n.N > 0 {
			l.notes = append(l.notes, n.Note(t.Name, n.one, n.more))
		}
	}
	l.notes = append(l.notes, table.Doubtful(t.Name, l.column, l.classes)...)
	return l, nil
}

// reader finds the images that the rows of a file of labels are about.
type reader struct {
	*labelRows
	columns
	*finder
	data string // messages' name for the images

	unknown  []string // names of no image
	first    int      // the row of the first
	pathless table.Tally
}

// row returns the image that a row is about, below 0 if there is none, and what the row
// says besides labels.
func (l *reader) row(r table.Record) (at int32, row labelled, err error) {
	if r.Err != nil {
		return -1, row, fmt.Errorf("%s: row %d: %w", l.Name, r.Line, r.Err)
	}
	name := strings.TrimSpace(r.Cells[l.path])
	if name == "" {
		l.pathless.Add(r.Line)
		return -1, row, nil
	}
	row.line = r.Line
	if l.split >= 0 {
		cell := strings.TrimSpace(r.Cells[l.split])
		row.role, row.rank = roleOf(cell), rank(cell)
		if row.role != trains && row.role != scores {
			return -1, row, fmt.Errorf("%s: row %d: %s is %s, but must be train, test or val", l.Name, r.Line, short(l.Columns[l.split]), table.Clip(cell))
		}
	}
	at = l.find(name)
	switch {
	case at == several:
		return -1, row, fmt.Errorf("%s: row %d: %s may be any of %s (%s); write the path below %s, with its ending", l.Name, r.Line, table.Clip(name),
			images(len(l.sharers(name))), show.Some(l.sharers(name), 3), l.data)
	case at < 0:
		if len(l.unknown) == 0 {
			l.first = r.Line
		}
		l.unknown = append(l.unknown, name)
	}
	return at, row, nil
}

// nothing is the error if no row is about an image.
func (l *reader) nothing() error {
	first := "none has a path"
	if len(l.unknown) > 0 {
		first = fmt.Sprintf("the first is %s in row %d", table.Clip(l.unknown[0]), l.first)
	}
	return fmt.Errorf("%s: no row of column %s names an image of %s (%s); write paths below that folder, below the folder of %[1]s, or names of files", l.Name, l.pathName(l.labelRows), l.data, first)
}

// notes say which rows are about no image.
func (l *reader) notes() (notes []string) {
	if n := len(l.unknown); n > 0 {
		notes = append(notes, fmt.Sprintf("%s: %s of %d %s no image of %s: %s", l.Name, show.Plural(n, "row", "rows"),
			len(l.Rows), names(n), l.data, someCells(l.unknown, 3)))
	}
	if l.pathless.N > 0 {
		notes = append(notes, l.pathless.Note(l.Name, "row has no path and is left out", "rows have no path and are left out"))
	}
	return notes
}

func names(n int) string {
	if n == 1 {
		return "names"
	}
	return "name"
}

// String is for messages.
func (l labelled) String() string {
	s := "without a label"
	if l.class != "" {
		s = table.Clip(l.class)
	}
	switch l.role {
	case trains:
		s += " to train on"
	case scores:
		s += " to score on"
	}
	return s
}
