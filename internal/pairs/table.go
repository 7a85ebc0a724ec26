package pairs

import (
	"bytes"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"

	"vicreg/internal/show"
)

// table is a manifest as it was read: text in rows and columns.
type table struct {
	name      string          // of the file, for messages
	dir       string          // where it lies
	columns   []string        // of JSON lines those that are kept, and of the others a thousand
	uncounted bool            // there are more
	kept      []string        // the columns that rows hold,
	place     map[string]int  // where they do,
	found     map[string]bool // and whether the file has them
	rows      []record
	notes     []string
}

// record is a row of a table.
type record struct {
	line  int      // where it begins in the file, from 1: what an editor or a spreadsheet calls its row
	cells []string // one for each column that is kept
	err   error    // what is wrong with the whole row
}

// format is how a manifest is written.
type format uint8

const (
	comma format = iota
	semicolon
	tab
	lines // JSON, an object a row
)

var separators = map[format]byte{comma: ',', semicolon: ';', tab: '\t'}

// readTable reads of a manifest, CSV (with commas or semicolons), TSV or JSON
// lines, the wanted columns. If wanted is nil, it reads all, and a row's cells
// are those that it has, in their order.
func readTable(path string, wanted []string) (*table, error) {
	raw, err := readFile(path, maxManifest)
	if err != nil {
		reason := strings.TrimPrefix(err.Error(), show.Name(path)+": ")
		return nil, fmt.Errorf("%s: cannot read the manifest: %s", show.Name(path), reason)
	}
	return parseTable(path, raw, wanted)
}

// parseTable is readTable of the contents of a file.
func parseTable(path string, raw []byte, wanted []string) (*table, error) {
	t := &table{name: show.Name(filepath.Base(path)), dir: filepath.Dir(path), kept: wanted, place: map[string]int{}, found: map[string]bool{}}
	for k, name := range wanted {
		t.place[name] = k
	}
	raw, err := manifestText(raw)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", t.name, err)
	}
	if f, named := formatOf(path, raw); f == lines {
		err = t.readJSON(raw)
	} else {
		err = t.readFields(string(raw), f, named)
	}
	if err != nil {
		return nil, err
	}
	if len(t.rows) == 0 {
		return nil, fmt.Errorf("%s: the manifest has no rows below its header", t.name)
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

// readFields reads rows of separated fields. The separator is the one that finds
// most of the wanted columns in the header, and of several, the one by which most
// rows have as many fields as the header. likely is what comes first if they are
// alike.
func (t *table) readFields(text string, likely format, named bool) error {
	t.rows = nil
	separator, text, line := t.separator(text, likely, named)
	c := newCutter(text, separator)
	c.line = line
	header, line, err := c.next()
	if err == io.EOF {
		return fmt.Errorf("%s: the manifest is empty; its first row must name the columns", t.name)
	}
	if err != nil {
		return fmt.Errorf("%s: row %d: %w", t.name, line, err)
	}
	at := map[string]int{}
	for i, cell := range header {
		name := strings.TrimSpace(cell)
		if _, kept := t.place[name]; kept && name != "" {
			if t.found[name] {
				return fmt.Errorf("%s: the header names column %s twice", t.name, clip(name))
			}
			t.found[name] = true
		}
		at[name] = i
		t.columns = append(t.columns, strings.Clone(name))
	}
	take := make([]int, len(t.kept)) // the place of each column that is kept
	for k, name := range t.kept {
		i, ok := at[name]
		if !ok || name == "" {
			i = len(header) // nowhere; column tells
		}
		take[k] = i
	}
	var empty, longer tally
	for {
		cells, line, err := c.next()
		if err == io.EOF {
			break
		}
		if err != nil {
			return fmt.Errorf("%s: row %d: %w", t.name, line, err)
		}
		if !slices.ContainsFunc(cells, func(cell string) bool { return !blank(cell) }) {
			empty.add(line)
			continue
		}
		row := record{line: line}
		n := len(cells)
		for n > len(t.columns) && blank(cells[n-1]) {
			n--
		}
		if n != len(t.columns) {
			row.err = fmt.Errorf("it has %d fields, but the header has %d", n, len(t.columns))
		} else if n < len(cells) {
			longer.add(line)
		}
		if t.kept == nil {
			for _, cell := range cells {
				row.cells = append(row.cells, strings.Clone(cell))
			}
		} else {
			row.cells = make([]string, len(take))
			for k, i := range take {
				if i < len(cells) && i < len(t.columns) {
					row.cells[k] = strings.Clone(cells[i])
				}
			}
		}
		t.rows = append(t.rows, row)
	}
	if t.kept == nil {
		t.kept = t.columns
	}
	for _, n := range []struct {
		tally
		one, more string
	}{
		{c.apart, "row opens a quote mark that a later row closes; they are taken as rows of their own, with quote marks as they stand",
			"rows open a quote mark that a later row closes; they are taken as rows of their own, with quote marks as they stand"},
		{c.broken, "field holds line breaks", "fields hold line breaks"},
		{empty, "row has no value in any column and is left out", "rows have no value in any column and are left out"},
		{longer, "row ends in more separators than the header has, with nothing behind them", "rows end in more separators than the header has, with nothing behind them"},
	} {
		if n.n > 0 {
			t.notes = append(t.notes, n.note(t.name, n.one, n.more))
		}
	}
	return nil
}

// tally counts rows and keeps the first.
type tally struct{ n, first int }

func (c *tally) add(line int) {
	if c.n == 0 {
		c.first = line
	}
	c.n++
}

// note says in a sentence what is the matter with the rows of a file.
func (c tally) note(name, one, more string) string {
	if c.n == 1 {
		return fmt.Sprintf("%s: 1 %s: row %d", name, one, c.first)
	}
	return fmt.Sprintf("%s: %d %s, the first in row %d", name, c.n, more, c.first)
}

// separator returns what separates the fields, the text below a line that names
// it (sep=;, as spreadsheets write), and that text's first line.
func (t *table) separator(text string, likely format, named bool) (separator byte, rest string, line int) {
	line = 1
	first, after, _ := strings.Cut(text, "\n")
	if name, ok := strings.CutPrefix(strings.ToLower(strings.Trim(first[:min(len(first), 10)], "\"\r ")), "sep="); ok && len(name) == 1 && strings.Contains(",;\t", name) {
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
func (t *table) agreement(text string, separator byte) float64 {
	const most = 1 << 20 // bytes
	if len(text) > most {
		text = text[:most]
	}
	c := newCutter(text, separator)
	header, _, err := c.next()
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
		cells, _, err := c.next()
		if err != nil {
			break
		}
		rows++
		if len(cells) == c.columns {
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

// column returns where rows hold a column.
func (t *table) column(name string) (int, error) {
	if t.found[name] {
		return t.place[name], nil
	}
	const most = 20
	var known []string
	more := 0
	for _, c := range t.columns {
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
	case len(t.columns) == 1:
		hint = " alone (commas, semicolons or tabs separate columns)"
	}
	return 0, fmt.Errorf("%s: there is no column %s; its columns are %s%s", t.name, clip(name), strings.Join(known, ", "), hint)
}

// missing reports whether a cell of numbers holds no value.
func missing(cell string) bool {
	if len(cell) > 1 && cell[len(cell)-1]-'0' < 10 {
		return false // most are numbers
	}
	switch strings.ToLower(strings.TrimSpace(cell)) {
	case "", "na", "n/a", "#n/a", "#na", "<na>", "nan", "-nan", "null", "nil", "none", `\n`, "-", "--", "–", "—", "?", ".":
		return true
	}
	return false
}

// blank reports whether a cell of anything but numbers holds nothing: there, NA
// and null are words.
func blank(cell string) bool { return strings.TrimSpace(cell) == "" }
