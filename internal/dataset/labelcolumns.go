package dataset

import (
	"bytes"
	"fmt"
	"slices"
	"strings"

	"vicreg/internal/show"
	"vicreg/internal/table"
)

// Names of columns, as simple makes them, those to prefer first. A column y tells labels
// only where no other tells x: else the two are places in the image.
var (
	pathColumns = []string{"path", "filepath", "imagepath", "file", "filename", "imagefile", "imagefilename", "imagename", "image", "img", "imgpath", "imgname",
		"photo", "picture", "imageid", "imgid", "name", "id"}
	labelColumns = []string{"label", "labels", "class", "classes", "category", "target", "species", "classname", "labelname", "categoryname", "classlabel", "breed", "y"}
	splitColumns = []string{"split", "subset", "partition", "set", "usage"}
)

// labelRows is the table in a file of labels.
type labelRows struct {
	*table.Table
	json bool // keys name its columns
	pair bool // it is a JSON object of paths and labels, or has two columns without a header
}

// labelTable reads all columns of a file of labels; of JSON only those that may matter.
func labelTable(path string, raw []byte) (*labelRows, error) {
	const what = "file of labels"
	head, err := table.Parse(path, what, raw, []string{})
	if err != nil {
		return nil, err
	}
	if head.Header > 0 {
		t, err := table.Parse(path, what, raw, nil)
		return &labelRows{Table: t}, err
	}
	known := func(names []string) (found []string) {
		for _, c := range head.Columns {
			if slices.Contains(names, simple(c)) {
				found = append(found, c)
			}
		}
		return found
	}
	paths, labels := known(pathColumns), known(labelNames(hasX(head.Columns, -1)))
	if len(head.Rows) == 1 && len(paths) == 0 && !bytes.HasPrefix(bytes.TrimSpace(raw), []byte("[")) {
		t, err := table.ParseMap(path, what, raw)
		return &labelRows{Table: t, json: true, pair: true}, err
	}
	wanted := head.Columns
	if len(paths) > 0 && len(labels) > 0 {
		wanted = slices.Concat(paths, labels, known(splitColumns))
	}
	wanted = slices.Compact(slices.Sorted(slices.Values(wanted)))
	t, err := table.Parse(path, what, raw, wanted)
	if err != nil {
		return nil, err
	}
	if !slices.ContainsFunc(paths, func(c string) bool { return tierOf(c) == pathTier }) {
		// Others may name images better, if they hold texts and numbers.
		all, err := table.Parse(path, what, raw, head.Columns)
		if err == nil && !slices.ContainsFunc(all.Rows, func(r table.Record) bool { return r.Err != nil }) {
			t, wanted = all, head.Columns
		}
	}
	all := t.Columns
	t.Columns = slices.Clone(wanted)
	for _, c := range all {
		if !slices.Contains(wanted, c) {
			t.Columns = append(t.Columns, c) // no cells, no matter
		}
	}
	return &labelRows{Table: t, json: true}, nil
}

const (
	longestName = 100 // of a column that is known by it
	mostLooked  = 50  // columns that are looked at for paths
)

// labelNames are the names of columns of labels, in a table with a column x or without.
func labelNames(x bool) []string {
	if x {
		return slices.DeleteFunc(slices.Clone(labelColumns), func(name string) bool { return name == "y" })
	}
	return labelColumns
}

// hasX reports whether a column other than one is called x.
func hasX(columns []string, but int) bool {
	for i, c := range columns {
		if i != but && simple(c) == "x" {
			return true
		}
	}
	return false
}

// columns says which columns hold what; -1 is none.
type columns struct {
	path, label, split int
	named              bool
	notes              []string
}

func (c columns) pathName(t *labelRows) string {
	switch {
	case !c.named:
		return fmt.Sprint(c.path + 1)
	case t.Columns[c.path] == "":
		return t.called(c.path)
	}
	return table.Clip(t.Columns[c.path])
}

// called is a column's name for messages, or else its number.
func (t *labelRows) called(column int) string {
	if name := t.Columns[column]; name != "" {
		return short(name)
	}
	return fmt.Sprintf("%d (without a name)", column+1)
}

// columns finds the columns of paths, labels and parts: by their names, or else the
// column of paths by which one names images.
func (t *labelRows) columns(f *finder) (columns, error) {
	c := columns{path: -1, label: -1, split: -1, named: true}
	if t.pair {
		c.path, c.label, c.named = 0, 1, false
		return c, nil
	}
	called := map[string][]int{}
	for i, column := range t.Columns {
		if len(column) < longestName {
			called[simple(column)] = append(called[simple(column)], i)
		}
	}
	find := func(names []string) (at []int) {
		for _, name := range names {
			at = append(at, called[name]...)
		}
		return at
	}
	paths, labels, splits := find(pathColumns), find(labelColumns), find(splitColumns)
	if len(paths) == 0 || len(labels) == 0 {
		if !t.json && slices.ContainsFunc(t.Columns[:min(mostLooked, len(t.Columns))],
			func(cell string) bool { return f.find(strings.TrimSpace(cell)) >= 0 }) {
			t.Rows = append([]table.Record{{Line: t.Header, Cells: t.Columns}}, t.Rows...)
			paths, labels, splits, c.named = nil, nil, nil, false
		}
	}
	for i := range min(mostLooked, len(t.Columns)) {
		if !slices.Contains(paths, i) {
			paths = append(paths, i)
		}
	}
	if len(paths) == 0 {
		return c, fmt.Errorf("%s: no row names a column; a file of labels has one of paths and one of labels", t.Name)
	}
	if _, err := t.takePath(&c, paths, f); err != nil {
		return c, err
	}
	x := c.named && hasX(t.Columns, c.path)
	labels = slices.DeleteFunc(labels, func(i int) bool {
		return i == c.path || !slices.Contains(labelNames(x), simple(t.Columns[i]))
	})
	if len(labels) > 0 {
		c.label = labels[0]
	}
	t.takeSplit(&c, splits)
	if c.label < 0 {
		var rest []int
		for i, column := range t.Columns {
			if i != c.path && i != c.split && (!c.named || simple(column) != "" &&
				!strings.HasPrefix(simple(column), "unnamed:")) && !slices.Contains(pathColumns, simple(column)) {
				rest = append(rest, i)
			}
		}
		if !c.named && len(rest) > 1 && t.runs(rest[0]) {
			rest = rest[1:]
		}
		switch {
		case len(rest) == 1 || len(rest) > 1 && !c.named:
			c.label = rest[0]
		case len(rest) == 0:
			return c, fmt.Errorf("%s: there is no column of labels beside that of paths (%s); separate the two by commas, semicolons or tabs", t.Name, c.pathName(t))
		default:
			return c, fmt.Errorf("%s: which column holds the labels is not clear, of %s; call it label or class", t.Name, t.list(rest))
		}
	}
	for _, i := range []int{c.path, c.label} {
		if n := countOf(t.Columns, t.Columns[i]); c.named && n > 1 {
			return c, fmt.Errorf("%s: the header names column %s twice", t.Name, table.Clip(t.Columns[i]))
		}
	}
	t.explain(&c)
	return c, nil
}

// takeSplit takes the first column that may tell the parts apart, if it does. If one is
// called split, that one must.
func (t *labelRows) takeSplit(c *columns, splits []int) {
	for _, i := range splits {
		says := simple(t.Columns[i]) == "split"
		if !says {
			says = !slices.ContainsFunc(t.Rows, func(r table.Record) bool {
				if i >= len(r.Cells) {
					return false
				}
				role := roleOf(strings.TrimSpace(r.Cells[i]))
				return role != trains && role != scores
			})
		}
		if says && i != c.path && i != c.label {
			c.split = i
			return
		}
	}
}

// explain notes which columns were taken, where their names do not tell, and which are
// not used.
func (t *labelRows) explain(c *columns) {
	var rest []int
	for i := range t.Columns {
		if i != c.path && i != c.label && i != c.split && t.Columns[i] != "" {
			rest = append(rest, i)
		}
	}
	switch {
	case !c.named:
		note := fmt.Sprintf("%s: no header; column %d is taken for paths and column %d for labels", t.Name, c.path+1, c.label+1)
		if len(rest) > 0 {
			note += fmt.Sprintf(", the other %d %s not used", len(rest), is(len(rest)))
		}
		c.notes = append(c.notes, note)
	case !slices.Contains(pathColumns, simple(t.Columns[c.path])) ||
		!slices.Contains(labelColumns, simple(t.Columns[c.label])):
		c.notes = append(c.notes, fmt.Sprintf("%s: column %s is taken for paths and column %s for labels", t.Name, t.called(c.path), t.called(c.label)))
	}
	if c.named && len(rest) > 0 {
		one, more := "column is", "columns are"
		c.notes = append(c.notes, fmt.Sprintf("%s: %s not used: %s", t.Name, show.Plural(len(rest), one, more), t.list(rest)))
	}
}

// list writes the names of columns, the first of many.
func (t *labelRows) list(columns []int) string {
	var names []string
	for _, i := range columns {
		names = append(names, t.Columns[i])
	}
	return someCells(names, 5)
}

// short is a cell for a message, of a long one the beginning.
func short(cell string) string {
	const most = 60
	if runes := []rune(cell); len(runes) > most {
		cell = string(runes[:most-1]) + "…"
	}
	return show.Line(cell)
}

// someCells is show.Some of cells, each of them short.
func someCells(cells []string, most int) string {
	cells = slices.Clone(cells)
	for i := range min(most, len(cells)) {
		cells[i] = short(cells[i])
	}
	return show.Some(cells, most)
}

func countOf(list []string, s string) (n int) {
	for _, e := range list {
		if e == s {
			n++
		}
	}
	return n
}
