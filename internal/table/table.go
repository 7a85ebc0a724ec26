// Package table reads text in rows and columns: CSV in its dialects, TSV, JSON
// lines and lists of objects.
package table

import (
	"bytes"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"

	"vicreg/internal/show"
)

// Table is a file of text in rows and columns, as it was read.
type Table struct {
	Name    string   // of the file, for messages
	Dir     string   // where it lies
	Columns []string // of JSON lines those that are kept, and of the others a thousand
	Header  int      // line of the row that names the columns; 0: there is none, as in JSON lines
	Rows    []Record
	Notes   []string // what was left out or guessed, a sentence each

	what      string          // the file is, for messages
	uncounted bool            // there are more columns
	kept      []string        // the columns that rows hold,
	place     map[string]int  // where they do,
	found     map[string]bool // and whether the file has them
}

// Record is a row of a table.
type Record struct {
	Line  int      // where it begins in the file, from 1: what an editor or a spreadsheet calls its row
	Place int      // among the objects of a JSON file, from 1, if others begin on its line; else 0
	Cells []string // one for each column that is kept
	Err   error    // what is wrong with the whole row
}

// RowName names the row for messages so that no other row of its file has the same name:
// by its line, or by its place if several rows share the line.
func (r Record) RowName() string {
	if r.Place > 0 {
		return fmt.Sprintf("object %d", r.Place)
	}
	return fmt.Sprintf("row %d", r.Line)
}

// format is how a table is written.
type format uint8

const (
	comma format = iota
	semicolon
	tab
	lines // JSON, an object a row
)

var separators = map[format]byte{comma: ',', semicolon: ';', tab: '\t'}

// Read reads of a file, CSV (with commas or semicolons), TSV or JSON lines, the
// wanted columns. If wanted is nil, it reads all, and a row's cells are those that
// it has, in their order. What the file is, as manifest, messages say.
func Read(path, what string, wanted []string) (*Table, error) {
	raw, err := Load(path, what)
	if err != nil {
		return nil, err
	}
	return Parse(path, what, raw, wanted)
}

// Of returns a table of rows that were found elsewhere.
func Of(name string, columns []string, rows []Record) *Table {
	t := &Table{Name: name, Columns: columns, Rows: rows, kept: columns, place: map[string]int{},
		found: map[string]bool{}}
	for k, column := range columns {
		t.place[column], t.found[column] = k, true
	}
	return t
}

// Load returns the contents of a file that is to be parsed.
func Load(path, what string) ([]byte, error) {
	raw, err := ReadFile(path, mostBytes)
	if err != nil {
		reason := strings.TrimPrefix(err.Error(), show.Name(path)+": ")
		return nil, fmt.Errorf("%s: cannot read the %s: %s", show.Name(path), what, reason)
	}
	return raw, nil
}

// Parse is Read of the contents of a file.
func Parse(path, what string, raw []byte, wanted []string) (*Table, error) {
	t := &Table{what: what, Name: show.Name(filepath.Base(path)), Dir: filepath.Dir(path), kept: wanted,
		place: map[string]int{}, found: map[string]bool{}}
	for k, name := range wanted {
		t.place[name] = k
	}
	raw, err := textOf(raw)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", t.Name, err)
	}
	if f, named := formatOf(path, raw); f == lines {
		err = t.readJSON(raw)
	} else {
		err = t.readFields(string(raw), f, named)
	}
	if err != nil {
		return nil, err
	}
	if len(t.Rows) == 0 {
		return nil, fmt.Errorf("%s: the %s has no rows below its header", t.Name, t.what)
	}
	return t, nil
}

// formatOf tells the format by the file's ending, or else by its beginning.
// named is true if the ending names the separator.
func formatOf(path string, raw []byte) (f format, named bool) {
	switch strings.ToLower(filepath.Ext(path)) {
	case ".tsv", ".tab":
		return tab, true
	case ".jsonl", ".ndjson", ".json":
		return lines, true
	case ".csv":
		return comma, false // or another separator
	}
	if start := bytes.TrimLeft(raw, " \t\r\n"); len(start) > 0 && (start[0] == '{' || start[0] == '[') {
		return lines, false
	}
	return comma, false
}

// mostColumns is how many columns a table may have: with more, its lines are no
// rows.
const mostColumns = 1 << 20

// readFields reads rows of separated fields. The separator is the one that finds
// most of the wanted columns in the header, and of several, the one by which most
// rows have as many fields as the header. likely is what comes first if they are
// alike.
func (t *Table) readFields(text string, likely format, named bool) error {
	t.Rows = nil
	separator, text, line := t.separator(text, likely, named)
	c := NewCutter(text, separator)
	c.line, c.Most = line, mostColumns
	header, line, err := c.Next()
	if err == io.EOF {
		return fmt.Errorf("%s: the %s is empty; its first row must name the columns", t.Name, t.what)
	}
	if err != nil {
		return fmt.Errorf("%s: row %d: %w", t.Name, line, err)
	}
	if c.Surplus > 0 {
		return fmt.Errorf("%s: row %d: it names %d columns, and %d are the most that are read", t.Name, line, c.width(), mostColumns)
	}
	t.Header = line
	at := map[string]int{} // of the columns that are kept
	for i, cell := range header {
		name := strings.TrimSpace(cell)
		if _, kept := t.place[name]; kept && name != "" {
			if t.found[name] {
				return fmt.Errorf("%s: the header names column %s twice", t.Name, Clip(name))
			}
			t.found[name] = true
			at[name] = i
		}
		t.Columns = append(t.Columns, strings.Clone(name))
	}
	take := make([]int, len(t.kept)) // the place of each column that is kept
	for k, name := range t.kept {
		i, ok := at[name]
		if !ok || name == "" {
			i = len(header) // nowhere; column tells
		}
		take[k] = i
	}
	var empty, longer, repeated Tally
	for {
		cells, line, err := c.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			return fmt.Errorf("%s: row %d: %w", t.Name, line, err)
		}
		if c.Surplus == 0 && !slices.ContainsFunc(cells, func(cell string) bool { return !Blank(cell) }) {
			empty.Add(line)
			continue
		}
		if len(cells) > 1 && slices.EqualFunc(cells, t.Columns,
			func(cell, name string) bool { return strings.TrimSpace(cell) == name }) {
			repeated.Add(line)
			continue
		}
		row := Record{Line: line}
		n := c.width()
		for c.Surplus == 0 && n > len(t.Columns) && Blank(cells[n-1]) {
			n--
		}
		if n != len(t.Columns) {
			row.Err = fmt.Errorf("it has %d fields, but the header has %d", n, len(t.Columns))
		} else if n < len(cells) {
			longer.Add(line)
		}
		if t.kept == nil {
			for _, cell := range cells {
				row.Cells = append(row.Cells, strings.Clone(cell))
			}
		} else {
			row.Cells = make([]string, len(take))
			for k, i := range take {
				if i < len(cells) && i < len(t.Columns) {
					row.Cells[k] = strings.Clone(cells[i])
				}
			}
		}
		t.Rows = append(t.Rows, row)
	}
	if t.kept == nil {
		t.kept = t.Columns
	}
	for _, n := range []struct {
		Tally
		one, more string
	}{
		{c.apart, "row opens a quote mark that a later row closes; they are taken as rows of their own, with quote marks as they stand",
			"rows open a quote mark that a later row closes; they are taken as rows of their own, with quote marks as they stand"},
		{c.broken, "field holds line breaks", "fields hold line breaks"},
		{empty, "row has no value in any column and is left out", "rows have no value in any column and are left out"},
		{repeated, "row repeats the header and is left out", "rows repeat the header and are left out"},
		{longer, "row ends in more separators than the header has, with nothing behind them", "rows end in more separators than the header has, with nothing behind them"},
	} {
		if n.N > 0 {
			t.Notes = append(t.Notes, n.Note(t.Name, n.one, n.more))
		}
	}
	return nil
}

// Tally counts rows and keeps the first.
type Tally struct {
	N     int
	first Record
}

// Add counts the row of a line.
func (c *Tally) Add(line int) { c.AddRow(Record{Line: line}) }

// AddRow counts a row.
func (c *Tally) AddRow(r Record) {
	if c.N == 0 {
		c.first = Record{Line: r.Line, Place: r.Place}
	}
	c.N++
}

// Note says in a sentence what is the matter with the rows of a file.
func (c Tally) Note(name, one, more string) string {
	if c.N == 1 {
		return fmt.Sprintf("%s: 1 %s: %s", name, one, c.first.RowName())
	}
	return fmt.Sprintf("%s: %d %s, the first in %s", name, c.N, more, c.first.RowName())
}

// separator returns what separates the fields, the text below a line that names
// it (sep=;, as spreadsheets write), and that text's first line.
func (t *Table) separator(text string, likely format, named bool) (separator byte, rest string, line int) {
	line = 1
	first, after, _ := strings.Cut(text, "\n")
	if name, ok := strings.CutPrefix(strings.ToLower(strings.Trim(first[:min(len(first), 10)], "\"\r ")),
		"sep="); ok && len(name) == 1 && strings.Contains(",;\t", name) {
		return name[0], after, 2
	}
	separator = separators[likely]
	best := t.agreement(text, separator)
	if named {
		best += 0.5 // an ending counts, but not as much as a column
	}
	for f := comma; f <= tab; f++ {
		if f == likely || strings.IndexByte(text, separators[f]) < 0 {
			continue
		}
		if score := t.agreement(text, separators[f]); score > best {
			best, separator = score, separators[f]
		}
	}
	return separator, text, line
}

// agreement tells how well a separator suits: the number of wanted columns that
// the header has by it, and the share of the first rows that have as many fields
// as the header.
func (t *Table) agreement(text string, separator byte) float64 {
	const most = 1 << 20 // bytes
	if len(text) > most {
		text = text[:most]
	}
	c := NewCutter(text, separator)
	c.Most = mostColumns
	header, _, err := c.Next()
	if err != nil {
		return 0
	}
	found, rows, alike := 0, 0, 0
	for _, cell := range header {
		if _, kept := t.place[strings.TrimSpace(cell)]; kept {
			found++
		}
	}
	for {
		if _, _, err := c.Next(); err != nil {
			break
		}
		rows++
		if c.width() == c.columns {
			alike++
		}
	}
	share := 0.0
	switch {
	case c.columns > 1:
		share = float64(alike+1) / float64(rows+1)
	case found > 0: // a list
		share = 0.1 * float64(alike+1) / float64(rows+1)
	}
	return float64(found) + 0.4*share
}

// Column returns where rows hold a column.
func (t *Table) Column(name string) (int, error) {
	if t.found[name] {
		return t.place[name], nil
	}
	const most = 20
	var known []string
	more := 0
	for _, c := range t.Columns {
		switch {
		case c == "":
		case len(known) < most:
			known = append(known, show.Line(c[:min(len(c), 200)]))
		default:
			more++
		}
	}
	hint := ""
	switch {
	case t.uncounted:
		hint = " and many more"
	case more > 0:
		hint = fmt.Sprintf(" and %d more", more)
	case len(t.Columns) == 1:
		hint = " alone (commas, semicolons or tabs separate columns)"
	}
	return 0, fmt.Errorf("%s: there is no column %s; its columns are %s%s", t.Name, Clip(name), strings.Join(known, ", "), hint)
}

// Missing reports whether a cell of numbers holds no value.
func Missing(cell string) bool {
	if cell = strings.TrimSpace(cell); len(cell) > 8 || len(cell) > 1 && cell[len(cell)-1]-'0' < 10 {
		return false // most are numbers
	}
	switch cell = strings.ToLower(cell); cell {
	case "", "na", "n/a", "<na>", "nan", "-nan", "null", "nil", "none", `\n`, "-", "--", "–", "—", "?", ".":
		return true
	}
	return cell[0] == '#' && slices.Contains(faults, cell)
}

// Blank reports whether a cell of anything but numbers holds nothing: there, NA
// and null are words.
func Blank(cell string) bool { return strings.TrimSpace(cell) == "" }
