package pairs

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"unicode/utf8"
)

// table is a manifest as it was read: text in rows and columns.
type table struct {
	name    string // of the file, for messages
	dir     string // where it lies
	columns []string
	rows    []record
}

// record is a row of a table.
type record struct {
	line  int      // where it begins in the file, from 1: what an editor or a spreadsheet calls its row
	cells []string // one for each column
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

// readTable reads a manifest: CSV (with commas or semicolons), TSV or JSON lines.
func readTable(path string) (*table, error) {
	raw, err := os.ReadFile(path)
	if err != nil {
		var pe *fs.PathError
		if errors.As(err, &pe) {
			err = pe.Err
		}
		return nil, fmt.Errorf("%s: cannot read the manifest: %w", path, err)
	}
	t := &table{name: filepath.Base(path), dir: filepath.Dir(path)}
	raw = bytes.TrimPrefix(raw, []byte("\xef\xbb\xbf")) // a byte order mark, as Excel writes it
	switch {
	case bytes.HasPrefix(raw, []byte("\xff\xfe")), bytes.HasPrefix(raw, []byte("\xfe\xff")):
		return nil, fmt.Errorf("%s: this is UTF-16 text; save it as UTF-8", t.name)
	case bytes.IndexByte(raw, 0) >= 0:
		return nil, fmt.Errorf("%s: this is no text; give a CSV, TSV or JSON lines file with a header", t.name)
	case !utf8.Valid(raw):
		return nil, fmt.Errorf("%s: row %d: this is not UTF-8 text; save the file as UTF-8", t.name, firstInvalid(raw))
	}
	if f := formatOf(path, raw); f == lines {
		err = t.readJSON(raw)
	} else {
		err = t.readCSV(raw, f)
	}
	if err != nil {
		return nil, err
	}
	if len(t.rows) == 0 {
		return nil, fmt.Errorf("%s: the manifest has no rows below its header", t.name)
	}
	return t, nil
}

// firstInvalid returns the line of the first bytes that are not UTF-8.
func firstInvalid(raw []byte) int {
	line := 1
	for len(raw) > 0 {
		r, n := utf8.DecodeRune(raw)
		if r == utf8.RuneError && n == 1 {
			break
		}
		if r == '\n' {
			line++
		}
		raw = raw[n:]
	}
	return line
}

// formatOf tells the format by the file's ending, or else by its first line.
func formatOf(path string, raw []byte) format {
	switch strings.ToLower(filepath.Ext(path)) {
	case ".tsv", ".tab":
		return tab
	case ".jsonl", ".ndjson", ".json":
		return lines
	case ".csv":
	default:
		if start := bytes.TrimLeft(raw, " \t\r\n"); len(start) > 0 && (start[0] == '{' || start[0] == '[') {
			return lines
		}
	}
	header, _, _ := bytes.Cut(bytes.TrimLeft(raw, "\r\n"), []byte("\n"))
	// What is quoted says nothing.
	var plain []byte
	for i, part := range bytes.Split(header, []byte(`"`)) {
		if i%2 == 0 {
			plain = append(plain, part...)
		}
	}
	count := func(s string) int { return bytes.Count(plain, []byte(s)) }
	switch c, s, t := count(","), count(";"), count("\t"); {
	case t > c && t > s:
		return tab
	case s > c:
		return semicolon
	}
	return comma
}

func (t *table) readCSV(raw []byte, f format) error {
	r := csv.NewReader(bytes.NewReader(raw))
	r.Comma = map[format]rune{comma: ',', semicolon: ';', tab: '\t'}[f]
	r.FieldsPerRecord = -1
	r.LazyQuotes = f == tab // where quotes are mostly meant as they stand
	header, err := r.Read()
	if err == io.EOF {
		return fmt.Errorf("%s: the manifest is empty; its first row must name the columns", t.name)
	}
	if err != nil {
		return t.csvError(err)
	}
	for i, name := range header {
		name = strings.TrimSpace(name)
		if name != "" && slices.Contains(t.columns, name) {
			return fmt.Errorf("%s: the header names column %q twice", t.name, name)
		}
		header[i] = name
		t.columns = append(t.columns, name)
	}
	for {
		cells, err := r.Read()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return t.csvError(err)
		}
		line, _ := r.FieldPos(0)
		row := record{line: line, cells: cells}
		if len(cells) != len(header) {
			row.err = fmt.Errorf("it has %d fields, but the header has %d", len(cells), len(header))
			row.cells = append(cells, make([]string, len(header))...)[:len(header)]
		}
		t.rows = append(t.rows, row)
	}
}

// csvError words a mistake in quoting, after which no row can be trusted.
func (t *table) csvError(err error) error {
	if pe := (*csv.ParseError)(nil); errors.As(err, &pe) {
		return fmt.Errorf("%s: row %d: column %d of the text: %w", t.name, pe.Line, pe.Column, pe.Err)
	}
	return fmt.Errorf("%s: %w", t.name, err)
}

// readJSON reads one object after the other, or an array of them. The columns
// are all keys, in the order in which they first occur.
func (t *table) readJSON(raw []byte) error {
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	index := map[string]int{}
	line, at := 1, int64(0)
	here := func() int { // the line of the next value
		to := d.InputOffset()
		for to < int64(len(raw)) && strings.IndexByte(" \t\r\n,", raw[to]) >= 0 {
			to++
		}
		line += bytes.Count(raw[at:to], []byte("\n"))
		at = to
		return line
	}
	array := false
	for {
		row := record{line: here()}
		token, err := d.Token()
		switch {
		case err == io.EOF:
			for i := range t.rows { // rows that came before their last column did
				t.rows[i].cells = append(t.rows[i].cells, make([]string, len(t.columns)-len(t.rows[i].cells))...)
			}
			return nil
		case err != nil:
			return fmt.Errorf("%s: row %d: %w", t.name, row.line, err)
		case token == json.Delim('[') && len(t.rows) == 0 && !array:
			array = true
			continue
		case token == json.Delim(']') && array:
			continue
		case token != json.Delim('{'):
			return fmt.Errorf("%s: row %d: each row must be an object, as {\"photo\": \"1.png\", \"caption\": \"a dog\"}", t.name, row.line)
		}
		row.cells = make([]string, len(t.columns))
		for d.More() {
			key, err := d.Token()
			if err != nil {
				return fmt.Errorf("%s: row %d: %w", t.name, row.line, err)
			}
			var value json.RawMessage
			if err := d.Decode(&value); err != nil {
				return fmt.Errorf("%s: row %d: %w", t.name, row.line, err)
			}
			name := key.(string)
			i, ok := index[name]
			if !ok {
				i = len(t.columns)
				index[name] = i
				t.columns = append(t.columns, name)
				row.cells = append(row.cells, "")
			}
			row.cells[i] = cellOf(value)
		}
		if _, err := d.Token(); err != nil {
			return fmt.Errorf("%s: row %d: %w", t.name, row.line, err)
		}
		t.rows = append(t.rows, row)
	}
}

// cellOf returns a JSON value as a cell of a table: a string as it is, null as
// nothing, everything else as it is written.
func cellOf(value json.RawMessage) string {
	var s string
	switch {
	case string(value) == "null":
		return ""
	case json.Unmarshal(value, &s) == nil:
		return s
	}
	return string(value)
}

// column returns where a column is.
func (t *table) column(name string) (int, error) {
	if i := slices.Index(t.columns, name); i >= 0 && name != "" {
		return i, nil
	}
	var known []string
	for _, c := range t.columns {
		if c != "" {
			known = append(known, c)
		}
	}
	return 0, fmt.Errorf("%s: there is no column %q; its columns are %s", t.name, name, strings.Join(known, ", "))
}

// missing reports whether a cell holds no value.
func missing(cell string) bool {
	switch strings.ToLower(strings.TrimSpace(cell)) {
	case "", "na", "n/a", "#n/a", "nan", "null":
		return true
	}
	return false
}
