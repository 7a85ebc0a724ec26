package pairs

import (
	"bytes"
	"encoding/csv"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"vicreg/internal/npy"
)

// series is t points of c channels, point by point: t × c.
type series struct {
	values []float32
	c      int
}

// readSeries reads a series: an .npy array t × c or of t numbers, or else a text
// table with a point a row. Missing values inside lie on the line between their
// neighbours, those at an end repeat the nearest; a channel that misses more
// than half of its values is an error.
func readSeries(path string) (series, error) {
	var s series
	var err error
	if strings.EqualFold(filepath.Ext(path), ".npy") {
		s, err = readSeriesArray(path)
	} else {
		s, err = readSeriesText(path)
	}
	if err != nil {
		return s, err
	}
	if len(s.values) < 2*s.c {
		return s, fmt.Errorf("%s: a series of %d points; at least 2 are needed", path, len(s.values)/s.c)
	}
	for c := range s.c {
		if gaps, total := s.fill(c), len(s.values)/s.c; 2*gaps > total {
			return s, fmt.Errorf("%s: channel %d misses %d of its %d values", path, c+1, gaps, total)
		}
	}
	return s, nil
}

func readSeriesArray(path string) (series, error) {
	a, err := npy.Read(path)
	if err != nil {
		return series{}, plain(path, err)
	}
	s := series{values: a.Values, c: 1}
	switch len(a.Shape) {
	case 1:
	case 2:
		s.c = a.Shape[1]
	default:
		return s, fmt.Errorf("%s: an array of shape %v; a series is points × channels", path, a.Shape)
	}
	if len(s.values) == 0 {
		return s, fmt.Errorf("%s: the array is empty", path)
	}
	return s, nil
}

// readSeriesText reads numbers separated by commas, semicolons, tabs or spaces,
// with or without a header. A column without any number, as one of names or of
// times of day, is left out.
func readSeriesText(path string) (series, error) {
	var s series
	raw, err := os.ReadFile(path)
	if err != nil {
		return s, plain(path, err)
	}
	raw = bytes.TrimPrefix(raw, []byte("\xef\xbb\xbf"))
	if bytes.IndexByte(raw, 0) >= 0 {
		return s, fmt.Errorf("%s: neither an .npy file nor a text table of numbers", path)
	}
	rows, lines, err := splitSeries(path, raw)
	if err != nil {
		return s, fmt.Errorf("%s: %w", path, err)
	}
	number := func(cell string) bool {
		_, err := strconv.ParseFloat(cell, 64)
		return err == nil && !missing(cell)
	}
	named := func(cell string) bool { return !number(cell) && !missing(cell) }
	if len(rows) > 0 && !slices.ContainsFunc(rows[0], number) && slices.ContainsFunc(rows[0], named) {
		rows, lines = rows[1:], lines[1:] // a header
	}
	if len(rows) == 0 {
		return s, fmt.Errorf("%s: there are no numbers in it", path)
	}
	width := len(rows[0])
	use := make([]bool, width)
	for i, row := range rows {
		if len(row) != width {
			return s, fmt.Errorf("%s: line %d has %d values, the first has %d", path, lines[i], len(row), width)
		}
		for c, cell := range row {
			use[c] = use[c] || number(cell)
		}
	}
	for c := range use {
		if use[c] {
			s.c++
		}
	}
	if s.c == 0 {
		return s, fmt.Errorf("%s: there are no numbers in it", path)
	}
	for i, row := range rows {
		for c, cell := range row {
			v := math.NaN()
			switch {
			case !use[c]:
				continue
			case number(cell):
				v, _ = strconv.ParseFloat(cell, 32)
			case !missing(cell):
				return s, fmt.Errorf("%s: line %d: %q is not a number", path, lines[i], cell)
			}
			s.values = append(s.values, float32(v))
		}
	}
	return s, nil
}

// splitSeries cuts a table into cells and tells the line of each row.
func splitSeries(path string, raw []byte) (rows [][]string, lines []int, err error) {
	separator := map[format]rune{comma: ',', semicolon: ';', tab: '\t'}[formatOf(strings.TrimSuffix(path, filepath.Ext(path)), raw)]
	first, _, _ := bytes.Cut(bytes.TrimLeft(raw, "\r\n"), []byte("\n"))
	if bytes.ContainsRune(first, separator) {
		r := csv.NewReader(bytes.NewReader(raw))
		r.Comma, r.FieldsPerRecord, r.TrimLeadingSpace = separator, -1, separator != '\t'
		for {
			row, err := r.Read()
			if err == io.EOF {
				return rows, lines, nil
			}
			if err != nil {
				return nil, nil, err
			}
			for c := range row {
				row[c] = strings.TrimSpace(row[c])
			}
			line, _ := r.FieldPos(0)
			rows, lines = append(rows, row), append(lines, line)
		}
	}
	line := 0
	for text := range strings.Lines(string(raw)) { // separated by spaces, or a number a line
		line++
		if fields := strings.Fields(text); len(fields) > 0 {
			rows, lines = append(rows, fields), append(lines, line)
		}
	}
	return rows, lines, nil
}

// fill replaces the values of channel c that are not finite, and returns how
// many there were. Where all are, they stay.
func (s series) fill(c int) (gaps int) {
	n := len(s.values) / s.c
	at := func(i int) *float32 { return &s.values[i*s.c+c] }
	last := -1 // the last good one
	for i := range n {
		v := float64(*at(i))
		if math.IsNaN(v) || math.IsInf(v, 0) {
			gaps++
			continue
		}
		for j := last + 1; j < i; j++ {
			if last < 0 {
				*at(j) = *at(i)
				continue
			}
			share := float32(j-last) / float32(i-last)
			*at(j) = *at(last)*(1-share) + *at(i)*share
		}
		last = i
	}
	if last >= 0 {
		for j := last + 1; j < n; j++ {
			*at(j) = *at(last)
		}
	}
	return gaps
}
