package dataset

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"golang.org/x/text/unicode/norm"

	"vicreg/internal/show"
	"vicreg/internal/table"
)

// What a file of several labels an image says of an image and a class.
const (
	Absent    int8 = 0
	Present   int8 = 1
	Difficult int8 = -1
	Unknown   int8 = -2
)

// mostMarks is how many marks, images × classes, are kept.
const mostMarks = 1 << 28

// markFile is a file of paths and of several labels an image, by image.
type markFile struct {
	labelFile
	names []string           // of the classes
	marks map[int32][]int8   // of each class
	sets  map[int32][]string // labels of an image, while the classes are not known

	listed bool // cells are lists, and labels as they stand
}

// readMarks reads a file of several labels an image.
func readMarks(path string, f *finder, data string) (*markFile, error) {
	raw, err := table.Load(path, "file of labels")
	if err != nil {
		return nil, err
	}
	return parseMarks(path, raw, f, data)
}

// parseMarks is readMarks for the contents of a file. Labels stand in one column, several in
// a cell or in several rows of an image; or each class has a column of 0 and 1.
func parseMarks(path string, raw []byte, f *finder, data string) (*markFile, error) {
	t, err := labelTable(path, raw)
	if err != nil {
		return nil, err
	}
	flags, err := t.flagColumns(f)
	if err != nil {
		return nil, err
	}
	var c columns
	if flags == nil {
		c, err = t.columns(f)
	} else {
		c, err = t.flagged(flags, f)
	}
	if err != nil {
		return nil, err
	}
	m := &markFile{labelFile: labelFile{name: t.Name, rows: map[int32]labelled{}, splits: c.split >= 0,
		classes: map[string]int{}, notes: append(t.Notes, c.notes...)}, marks: map[int32][]int8{},
		sets: map[int32][]string{}}
	for _, i := range flags {
		m.names = append(m.names, norm.NFC.String(strings.TrimSpace(t.Columns[i])))
	}
	m.column = "of labels"
	if flags == nil && c.named {
		m.column = t.called(c.label)
	}
	if flags == nil {
		if first, are := t.ofLists(c.label); are {
			m.listed = true
			m.notes = append(m.notes, fmt.Sprintf("%s: column %s: cells are read as lists, such as %s in row %d", t.Name, m.column,
				short(t.cell(first, c.label)), first.Line))
		}
	}
	written := m.listed
	read := reader{labelRows: t, columns: c, finder: f, data: data}
	for _, r := range t.Rows {
		var list *table.Listed // of labels, in JSON
		if flags == nil && errors.As(r.Err, &list) && list.Values != nil && r.Cells[c.label] == "" {
			r.Err = nil
		} else {
			list = nil
		}
		at, row, err := read.row(r)
		if err != nil {
			return nil, err
		}
		if at < 0 {
			continue
		}
		before, again := m.rows[at]
		switch {
		case again && before.role != row.role:
			return nil, fmt.Errorf("%s: row %d: %s is %s, but row %d says %s; an image is in one part", t.Name, r.Line,
				show.Name(f.items[at].Name), row.part(), before.line, before.part())
		case again && flags != nil:
			return nil, fmt.Errorf("%s: row %d: %s is in row %d, too; where each class has a column, an image has one row",
				t.Name, r.Line, show.Name(f.items[at].Name), before.line)
		case !again:
			m.rows[at] = row
		}
		if flags != nil {
			if m.marks[at], err = t.flags(r, flags); err != nil {
				return nil, err
			}
			continue
		}
		if list != nil {
			m.listed = true
			m.sets[at] = append(m.sets[at], list.Values...)
			continue
		}
		labels := []string{t.cell(r, c.label)}
		if written {
			if labels, err = listOf(labels[0]); err != nil {
				return nil, fmt.Errorf("%s: row %d: column %s is %s: %w; write a list such as ['cat', 'dog']", t.Name, r.Line, m.column,
					table.Clip(t.cell(r, c.label)), err)
			}
		}
		m.sets[at] = append(m.sets[at], labels...)
	}
	if len(m.rows) == 0 {
		return nil, read.nothing()
	}
	m.notes = append(m.notes, read.notes()...)
	if flags == nil {
		if err := m.collect(); err != nil {
			return nil, err
		}
	}
	return m, nil
}

// part says which part an image is in, for messages.
func (l labelled) part() string {
	switch l.role {
	case trains:
		return "to train on"
	case scores:
		return "to score on"
	}
	return "in no part"
}

// collect makes marks of the cells of a column of labels.
func (m *markFile) collect() error {
	repeated, blanks, sign := false, 0, ""
	for _, cells := range m.sets {
		repeated = repeated || len(cells) > 1
		for _, cell := range cells {
			for _, s := range []string{",", ";", "|"} { // the last of them counts
				if strings.Contains(cell, s) && s > sign {
					sign = s
				}
			}
			if strings.ContainsAny(cell, " \t") {
				blanks++
			}
		}
	}
	apart := func(cell string) []string { return []string{cell} }
	switch {
	case m.listed:
	case sign != "":
		apart = func(cell string) []string { return strings.Split(cell, sign) }
		m.notes = append(m.notes, fmt.Sprintf("%s: labels are taken apart at %q", m.name, sign))
	case !repeated && blanks > 0:
		apart = strings.Fields
		m.notes = append(m.notes, fmt.Sprintf("%s: labels are taken apart at blanks; write ; after each label if names have blanks", m.name))
	}
	var empty []int32
	for at, cells := range m.sets {
		var labels []string
		for _, cell := range cells {
			for _, label := range apart(cell) {
				if label = norm.NFC.String(strings.TrimSpace(label)); label != "" && !slices.Contains(labels, label) {
					labels = append(labels, label)
				}
			}
		}
		m.sets[at] = labels
		for _, label := range labels {
			m.classes[label]++
		}
		if len(labels) == 0 {
			empty = append(empty, at)
		}
	}
	for label := range m.classes {
		m.names = append(m.names, label)
	}
	slices.Sort(m.names)
	if len(m.names) > mostMarks/len(m.sets) {
		return fmt.Errorf("%s: %d labels of %s are too many; is column %s the one of labels?", m.name, len(m.names), images(len(m.sets)), m.column)
	}
	if len(empty) > 0 {
		var empties table.Tally
		for _, line := range m.lines(empty) {
			empties.Add(line)
		}
		m.notes = append(m.notes, empties.Note(m.name, "row has no label", "rows have no label"))
	}
	for at, labels := range m.sets {
		if len(labels) == 0 {
			continue
		}
		marks := make([]int8, len(m.names))
		for _, label := range labels {
			i, _ := slices.BinarySearch(m.names, label)
			marks[i] = Present
		}
		m.marks[at] = marks
	}
	m.sets = nil
	m.notes = append(m.notes, table.Doubtful(m.name, m.column, m.classes)...)
	return nil
}

// lines are those of some images, in order.
func (m *markFile) lines(of []int32) (lines []int) {
	for _, at := range of {
		lines = append(lines, m.rows[at].line)
	}
	slices.Sort(lines)
	return lines
}

// flagColumns returns the columns of 0 and 1, one a class: nil if a column of labels is
// named, or there are none. One with another value in a few rows is an error.
func (t *labelRows) flagColumns(f *finder) ([]int, error) {
	known := labelNames(hasX(t.Columns, -1))
	if t.pair || slices.ContainsFunc(t.Columns, func(c string) bool {
		return len(c) < longestName && slices.Contains(known, simple(c))
	}) {
		return nil, nil
	}
	if !t.json && slices.ContainsFunc(t.Columns[:min(mostLooked, len(t.Columns))],
		func(cell string) bool { return f.find(strings.TrimSpace(cell)) >= 0 }) {
		return nil, nil // there is no header
	}
	var flags []int
	for i, column := range t.Columns {
		if name := simple(column); name == "" || slices.Contains(pathColumns, name) ||
			slices.Contains(splitColumns, name) {
			continue
		}
		good, empty, bad, line := 0, 0, "", 0
		wrong := 0
		for _, r := range t.Rows {
			if r.Err != nil || i >= len(r.Cells) {
				continue
			}
			switch mark, ok := flagOf(r.Cells[i]); {
			case !ok:
				if wrong++; wrong == 1 {
					bad, line = r.Cells[i], r.Line
				}
			case mark == Unknown:
				empty++
			default:
				good++
			}
		}
		switch {
		case good == 0 || wrong > good/10:
		case wrong > 0:
			return nil, fmt.Errorf("%s: row %d: column %s is %s, but must be 1 (it has the class), 0 (it has not), -1 (difficult) or empty, as in most rows",
				t.Name, line, short(column), table.Clip(strings.TrimSpace(bad)))
		default:
			flags = append(flags, i)
		}
	}
	return flags, nil
}

// flagOf reads a cell of a column of a class.
func flagOf(cell string) (mark int8, ok bool) {
	switch strings.ToLower(strings.TrimSpace(cell)) {
	case "":
		return Unknown, true
	case "1", "1.0", "true":
		return Present, true
	case "0", "0.0", "false":
		return Absent, true
	case "-1", "-1.0":
		return Difficult, true
	}
	return 0, false
}

// flags reads the marks of a row.
func (t *labelRows) flags(r table.Record, columns []int) ([]int8, error) {
	marks := make([]int8, len(columns))
	for a, i := range columns {
		mark, ok := flagOf(r.Cells[i])
		if !ok {
			return nil, fmt.Errorf("%s: row %d: column %s is %s, but must be 0 or 1", t.Name, r.Line, short(t.Columns[i]), table.Clip(r.Cells[i]))
		}
		marks[a] = mark
	}
	return marks, nil
}

// flagged finds the columns of paths and parts beside those of classes.
func (t *labelRows) flagged(flags []int, f *finder) (columns, error) {
	c := columns{path: -1, label: -1, split: -1, named: true}
	seen := map[string]bool{}
	for _, i := range flags {
		if name := t.Columns[i]; seen[name] {
			return c, fmt.Errorf("%s: the header names column %s twice", t.Name, table.Clip(name))
		}
		seen[t.Columns[i]] = true
	}
	var paths, splits, rest []int
	for i, column := range t.Columns {
		switch name := simple(column); {
		case slices.Contains(flags, i):
		case slices.Contains(splitColumns, name):
			splits = append(splits, i)
		default:
			paths = append(paths, i)
		}
	}
	found := 0
	if len(paths) > 0 {
		var err error
		if found, err = t.takePath(&c, paths, f); err != nil {
			return c, err
		}
	}
	if found == 0 {
		return c, fmt.Errorf("%s: no column names images of the data, beside those of 0 and 1 (%s)", t.Name, t.list(flags))
	}
	t.takeSplit(&c, splits)
	for i, column := range t.Columns {
		if i != c.path && i != c.split && !slices.Contains(flags, i) && column != "" {
			rest = append(rest, i)
		}
	}
	c.notes = append(c.notes, fmt.Sprintf("%s: %s of 0 and 1 taken for classes: %s", t.Name, show.Plural(len(flags), "column is", "columns are"), t.list(flags)))
	if len(rest) > 0 {
		c.notes = append(c.notes, fmt.Sprintf("%s: %s not used: %s", t.Name, show.Plural(len(rest), "column is", "columns are"), t.list(rest)))
	}
	return c, nil
}
