package table

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strings"

	"vicreg/internal/show"
)

// readJSON reads objects one after the other, or a list of them. All their keys are
// columns.
func (t *Table) readJSON(raw []byte) error {
	d := json.NewDecoder(bytes.NewReader(raw))
	line, at := 1, int64(0)
	breaks := []byte("\n")
	if bytes.Count(raw, []byte("\r")) > 0 && bytes.Count(raw, breaks) == 0 { // a file of old
		breaks = []byte("\r")
	}
	here := func() int { // the line of the next value
		to := d.InputOffset()
		for to < int64(len(raw)) && strings.IndexByte(" \t\r\n,", raw[to]) >= 0 {
			to++
		}
		line += bytes.Count(raw[at:to], breaks)
		at = to
		return line
	}
	known := map[string]bool{}
	list, closed := false, false
	for {
		row := Record{Line: here()}
		n := len(t.Rows)
		shared := n > 0 && t.Rows[n-1].Line == row.Line // with the row before
		if shared {
			row.Place = n + 1
		}
		wrong := func(err error) error {
			return fmt.Errorf("%s: %s: %w", t.Name, row.RowName(), notJSON(raw, d, err))
		}
		token, err := d.Token()
		switch {
		case err == io.EOF && list && !closed:
			return fmt.Errorf("%s: the list of rows has no end; the file is cut short", t.Name)
		case err == io.EOF:
			return nil
		case err != nil:
			return wrong(err)
		case closed:
			return fmt.Errorf("%s: row %d: something follows the list of rows", t.Name, row.Line)
		case token == json.Delim('[') && len(t.Rows) == 0 && !list:
			list = true
			continue
		case token == json.Delim(']') && list:
			closed = true
			continue
		case token != json.Delim('{'):
			return fmt.Errorf("%s: %s: each row must be an object, as {\"photo\": \"1.png\", \"caption\": \"a dog\"}", t.Name, row.RowName())
		}
		if t.kept != nil {
			row.Cells = make([]string, len(t.kept))
		}
		given := make([]bool, len(t.kept))
		for d.More() {
			key, err := d.Token()
			if err != nil {
				return wrong(err)
			}
			var value json.RawMessage
			if err := d.Decode(&value); err != nil {
				return wrong(err)
			}
			name := key.(string)
			k, kept := t.place[name]
			const most = 1000
			switch {
			case known[name]:
			case len(known) < most || kept:
				known[name] = true
				t.Columns = append(t.Columns, name)
			default:
				t.uncounted = true
			}
			if t.kept == nil {
				cell, _ := cellOf(value)
				row.Cells = append(row.Cells, cell)
				continue
			}
			if !kept {
				continue
			}
			t.found[name] = true
			row.Cells[k], err = cellOf(value)
			switch {
			case given[k]:
				row.Err = fmt.Errorf("it names %s twice", Clip(name))
			case err != nil && row.Err == nil:
				row.Err = fmt.Errorf("%s %w", Clip(name), err)
			}
			given[k] = true
		}
		if _, err := d.Token(); err != nil {
			return wrong(err)
		}
		if shared {
			t.Rows[n-1].Place = n
		}
		t.Rows = append(t.Rows, row)
	}
}

// ParseMap reads a JSON object as a table of two columns without names: a row for
// each key, with its value.
func ParseMap(path, what string, raw []byte) (*Table, error) {
	t := &Table{what: what, Name: show.Name(filepath.Base(path)), Dir: filepath.Dir(path), Columns: []string{"", ""}}
	raw, err := textOf(raw)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", t.Name, err)
	}
	d := json.NewDecoder(bytes.NewReader(raw))
	line, at := 1, int64(0)
	wrong := func(err error) error { return fmt.Errorf("%s: row %d: %w", t.Name, line, notJSON(raw, d, err)) }
	if open, err := d.Token(); err != nil || open != json.Delim('{') {
		return nil, fmt.Errorf("%s: the %s is no JSON object", t.Name, what)
	}
	for d.More() {
		key, err := d.Token()
		to := d.InputOffset()
		line += bytes.Count(raw[at:to], []byte("\n"))
		at = to
		if err != nil {
			return nil, wrong(err)
		}
		var value json.RawMessage
		if err := d.Decode(&value); err != nil {
			return nil, wrong(err)
		}
		row := Record{Line: line, Cells: []string{key.(string), ""}}
		if row.Cells[1], err = cellOf(value); err != nil {
			row.Err = fmt.Errorf("%s %w", Clip(key.(string)), err)
		}
		t.Rows = append(t.Rows, row)
	}
	if _, err := d.Token(); err != nil {
		return nil, wrong(err)
	}
	if _, err := d.Token(); err != io.EOF {
		return nil, fmt.Errorf("%s: something follows the object that holds all rows", t.Name)
	}
	return t, nil
}

// notJSON words an error of the decoder.
func notJSON(raw []byte, d *json.Decoder, err error) error {
	if err == io.EOF || errors.Is(err, io.ErrUnexpectedEOF) {
		return errors.New("the file ends within it")
	}
	rest := bytes.TrimLeft(raw[min(d.InputOffset(), int64(len(raw))):], " \t\r\n:,")
	rest, _, _ = bytes.Cut(rest, []byte("\n"))
	what := fmt.Errorf("it is not JSON at %s", Clip(string(rest[:min(len(rest), 300)])))
	for _, word := range []string{"NaN", "Infinity", "-Infinity"} {
		if bytes.HasPrefix(rest, []byte(word)) {
			return fmt.Errorf("%w; write null for a number that is missing", what)
		}
	}
	return what
}

// cellOf returns a JSON value as a cell of a table: a string as it is, null as nothing,
// numbers and truth values as they are written. Lists and objects are not cells.
func cellOf(value json.RawMessage) (string, error) {
	switch value[0] {
	case 'n':
		return "", nil
	case '"':
		var s string
		err := json.Unmarshal(value, &s)
		return s, err
	case '[':
		return "", listed(value)
	case '{':
		return "", errors.New("is an object; a text or a number is needed")
	}
	return string(value), nil
}

// Listed is the error of a cell that is a list, with the values if they are cells.
type Listed struct{ Values []string }

func (*Listed) Error() string { return "is a list; a text or a number is needed" }

func listed(value json.RawMessage) *Listed {
	var all []json.RawMessage
	if json.Unmarshal(value, &all) != nil {
		return new(Listed)
	}
	l := &Listed{Values: []string{}}
	for _, v := range all {
		cell, err := cellOf(v)
		if err != nil {
			return new(Listed)
		}
		l.Values = append(l.Values, cell)
	}
	return l
}
