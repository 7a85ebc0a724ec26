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
	var unknown []string
	first := "none has a path"
	var pathless, empty, again table.Tally
	for _, r := range t.Rows {
		if r.Err != nil {
			return nil, fmt.Errorf("%s: row %d: %w", t.Name, r.Line, r.Err)
		}
		name := strings.TrimSpace(r.Cells[c.path])
		if name == "" {
			pathless.Add(r.Line)
			continue
		}
		row := labelled{line: r.Line, class: norm.NFC.String(strings.TrimSpace(r.Cells[c.label]))}
		if c.split >= 0 {
			cell := strings.TrimSpace(r.Cells[c.split])
			row.role, row.rank = roleOf(cell), rank(cell)
			if row.role != trains && row.role != scores {
				return nil, fmt.Errorf("%s: row %d: %s is %s, but must be train, test or val", t.Name, r.Line, short(t.Columns[c.split]), table.Clip(cell))
			}
		}
		at := f.find(name)
		switch {
		case at == several:
			return nil, fmt.Errorf("%s: row %d: %s may be any of %s (%s); write the path below %s, with its ending", t.Name, r.Line, table.Clip(name),
				images(len(f.sharers(name))), show.Some(f.sharers(name), 3), data)
		case at < 0:
			if len(unknown) == 0 {
				first = fmt.Sprintf("the first is %s in row %d", table.Clip(name), r.Line)
			}
			unknown = append(unknown, name)
			continue
		}
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
		return nil, fmt.Errorf("%s: no row of column %s names an image of %s (%s); write paths below that folder, below the folder of %[1]s, or names of files", t.Name, c.pathName(t), data, first)
	}
	if n := len(unknown); n > 0 {
		l.notes = append(l.notes, fmt.Sprintf("%s: %s of %d %s no image of %s: %s", t.Name, show.Plural(n, "row", "rows"),
			len(t.Rows), names(n), data, someCells(unknown, 3)))
	}
	for _, n := range []struct {
		table.Tally
		one, more string
	}{
		{pathless, "row has no path and is left out", "rows have no path and are left out"},
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
