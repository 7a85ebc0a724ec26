package pairs

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strings"

	"vicreg/internal/show"
	"vicreg/internal/table"
)

// maxSeries is the most that the file of a series may hold, in bytes.
const maxSeries = 256 << 20

// readSeriesText reads numbers separated by tabs, semicolons, commas or spaces, with or
// without a header; it skips lines that begin with #. A column without any number, such
// as one of names or of times of day, is left out.
func readSeriesText(path string) (series, error) {
	raw, err := table.ReadFile(path, maxSeries)
	if err != nil {
		return series{}, err
	}
	s, err := parseSeries(raw)
	if err != nil {
		return s, fmt.Errorf("%s: %w", show.Name(path), err)
	}
	return s, nil
}

// parseSeries is readSeriesText for the contents of a file.
func parseSeries(raw []byte) (series, error) {
	raw = bytes.TrimPrefix(raw, []byte("\xef\xbb\xbf"))
	switch {
	case bytes.HasPrefix(raw, []byte("\xff\xfe")), bytes.HasPrefix(raw, []byte("\xfe\xff")), table.Wide(raw):
		return series{}, errors.New("this is UTF-16 text; save it as UTF-8")
	case bytes.IndexByte(raw, 0) >= 0:
		return series{}, errors.New("neither an .npy file nor a text table of numbers")
	}
	text, separators := declared(string(raw))
	l, err := layoutOf(text, separators)
	if err != nil {
		return series{}, err
	}
	return l.read(text)
}

// layout is how a text table of numbers is written.
type layout struct {
	separator byte     // ' ': any space; 0: there is one column
	header    bool     // the first row names the columns
	names     []string // if it does
	columns   []column
	cells     int // below the header,
	numbers   int // of which these are numbers or missing
	rows      int
	alike     int // rows, the header among them, as wide as most are
	ragged    error
	first     firstRow
	broken    error // why the survey ended early
	split     first // the first cell that may be what follows a comma within a number
	either    first // a line that may be one number with commas in it, if all are
}

// first is the first occurrence of something.
type first struct {
	text string
	line int
}

// column is what is known of a column.
type column struct {
	numbers, missing int
	word             first // of the cells that are neither
	unit             first // a number with a unit
	units            int   // numbers with the same
	writing          writing
	fraction         bool // some number is no whole one
	grouped          bool // some number has several points and a comma
}

// bare reports whether spaces separate columns, or may do so; then none stand within a
// number.
func (l *layout) bare() bool { return l.separator == ' ' || l.separator == ',' }

// declared returns the separators that a table may have. A line that names the separator
// (sep=;, as spreadsheets write) is emptied in the text that it returns.
func declared(text string) (rest string, separators []byte) {
	end := strings.IndexAny(text, "\r\n")
	if end >= 0 && end < 10 {
		name, ok := strings.CutPrefix(strings.ToLower(strings.Trim(text[:end], "\" ")), "sep=")
		if ok && len(name) == 1 && strings.Contains(",;\t", name) {
			return text[end:], []byte{name[0]}
		}
	}
	return text, []byte{'\t', ';', ',', ' ', 0}
}

// layoutOf finds out how the table is written: with the separator that gives most lines
// the same number of fields and makes most fields numbers.
func layoutOf(text string, separators []byte) (*layout, error) {
	var best *layout
	var score float64
	for _, separator := range separators {
		if score == 1 {
			break // none is better
		}
		if len(separators) > 1 && separator != ' ' && separator != 0 && strings.IndexByte(text, separator) < 0 {
			continue
		}
		l := &layout{separator: separator}
		l.survey(text)
		if found := l.score(); best == nil || found > score ||
			score == 0 && best.broken == nil && (l.broken != nil || l.numbers > best.numbers) {
			best, score = l, found
		}
	}
	return best, best.check()
}

// survey looks at every cell.
func (l *layout) survey(text string) {
	c := table.NewCutter(text, l.separator)
	c.Comments, c.Most = true, 4*maxChannels
	widths := map[int]int{}
	width, firstLine := 0, 0
	for {
		cells, line, err := c.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			l.broken = fmt.Errorf("line %d: %w", line, err)
			break
		}
		if c.Surplus > 0 {
			l.broken = fmt.Errorf("line %d has %d values; a row is a point, and a series has %d channels at most, so it may have to be transposed", line, len(cells)+c.Surplus, maxChannels)
			break
		}
		for len(cells) > 1 && len(cells) > width && width > 0 && table.Blank(cells[len(cells)-1]) {
			cells = cells[:len(cells)-1] // a separator at the end of the line
		}
		widths[len(cells)]++
		if width == 0 {
			width, firstLine = len(cells), line
			if l.header = isHeader(cells); l.header {
				for _, cell := range cells {
					l.names = append(l.names, strings.Clone(strings.TrimSpace(cell)))
				}
				continue
			}
		}
		if l.rows == 0 && !l.header {
			l.first.begin(slices.Clone(cells))
		}
		if l.rows++; l.bare() && (l.rows == 1 || l.either.line > 0) {
			whole := strings.Join(cells[:min(len(cells), 10)], string(l.separator))
			p, c := readings(whole, false)
			if len(cells) < 2 || len(cells) > 10 || p == "" && c == "" ||
				l.separator == ' ' && !strings.ContainsAny(whole, ",.") {
				l.either = first{}
			} else if l.rows == 1 {
				l.either = first{strings.Clone(whole), line}
			}
		}
		if len(cells) != width && l.ragged == nil {
			l.ragged = fmt.Errorf("line %d has %d values, the first has %d", line, len(cells), width)
			if firstLine > 1 && !l.header {
				l.ragged = fmt.Errorf("line %d has %d values, line %d has %d", line, len(cells), firstLine, width)
			}
			if l.separator == ',' && len(cells) > width {
				l.ragged = fmt.Errorf("%w; numbers with decimal commas need semicolons, tabs or spaces between them", l.ragged)
			}
		}
		for i, cell := range cells {
			if i == len(l.columns) {
				l.columns = append(l.columns, column{})
			}
			cell = strings.TrimSpace(cell)
			l.add(i, cell, line)
			if l.rows > 1 {
				l.first.add(i, cell)
			}
		}
	}
	for _, n := range widths {
		l.alike = max(l.alike, n)
	}
	if _, header := l.first.doubtful(l.rows); header {
		l.nameless()
	}
}

// isHeader reports whether the first row names columns. It does if none of its cells is
// a number and some are words; or if the first is empty and the others count from 0, as
// in tables without names.
func isHeader(cells []string) bool {
	words, counts := false, len(cells) > 2 && table.Blank(cells[0])
	for i, cell := range cells {
		cell := strings.TrimSpace(cell)
		if i > 0 && cell != fmt.Sprint(i-1) {
			counts = false
		}
		if p, c := readings(cell, false); p != "" || c != "" {
			if !counts {
				return false
			}
			continue
		}
		words = words || !table.Missing(cell) && !unbounded(cell)
	}
	return words || counts
}

// unbounded reports whether a cell stands for a number that is not finite, or that
// an instrument could not show.
func unbounded(cell string) bool {
	switch strings.TrimLeft(strings.ToLower(cell), "+-") {
	case "inf", "infinity", "∞", "ol", "o.l", "o.l.", "ovl", "ovld", "over", "overflow", "overload", "overrange":
		return true
	}
	return false
}

// add takes in the cell of column i.
func (l *layout) add(i int, cell string, line int) {
	l.cells++
	col := &l.columns[i]
	p, c := readings(cell, l.bare())
	grouped := strings.Count(cell, ".") > 1
	if l.separator == ',' && grouped && !strings.Contains(cell, ",") {
		p, c = "", "" // what follows the comma belongs to it
	}
	switch {
	case p != "" || c != "":
		l.numbers++
		col.numbers++
		col.writing.add(p, c, cell, line)
		col.grouped = col.grouped || grouped && strings.Contains(cell, ",")
		col.fraction = col.fraction || strings.ContainsAny(cell, ".eE")
		digits := strings.TrimLeft(cell, "+-")
		if l.split.line == 0 && (i > 0 && len(digits) > 1 && digits[0] == '0' && digits[1]-'0' < 10 ||
			digits == "0" && cell[0] == '-') {
			l.split = first{strings.Clone(cell), line}
		}
	case table.Missing(cell):
		l.numbers++
		col.missing++
	default:
		if col.word.line == 0 {
			col.word = first{strings.Clone(cell), line}
		}
		if unit := unitOf(cell); unit != "" {
			if col.units == 0 {
				col.unit = first{strings.Clone(cell), line}
			}
			if col.units == 0 || unit == unitOf(col.unit.text) {
				col.units++
			}
		}
	}
}

// score says how well the separator suits; 0 is not at all.
func (l *layout) score() float64 {
	if l.cells == 0 || l.broken != nil {
		return 0
	}
	lines := l.rows
	if l.header {
		lines++
	}
	share := float64(l.alike) / float64(lines) * float64(l.numbers) / float64(l.cells)
	switch {
	case l.separator != 0 && len(l.columns) < 2:
		return 0
	case l.separator == 0 && l.header && strings.ContainsAny(l.names[0], ",;\t"):
		return 0
	case l.separator == 0 && !l.header && l.columns[0].commas() && !l.columns[0].grouped:
		return 0 // then commas separate, if anything does
	}
	return share
}

// commas reports whether numbers of the column have commas.
func (c *column) commas() bool { return c.writing.commas > 0 || c.writing.twofold != "" }

// whole reports whether all numbers are whole ones.
func (l *layout) whole() bool {
	return !slices.ContainsFunc(l.columns, func(c column) bool { return c.fraction || c.commas() })
}

// check returns what is wrong with the table, and settles what commas mean.
func (l *layout) check() error {
	switch {
	case l.broken != nil:
		return l.broken
	case l.rows == 0:
		return errors.New("there are no numbers in it")
	case l.ragged != nil:
		return l.ragged
	}
	writings := make([]writing, len(l.columns))
	for i := range l.columns {
		writings[i] = l.columns[i].writing
	}
	if l.separator == ',' && (l.whole() || l.either.line > 0) && l.split.line != 0 {
		return fmt.Errorf("line %d: %s may be part of a number with a comma in it, or a value of its own; write decimal points and nothing between thousands, or semicolons between values", l.split.line, table.Clip(l.split.text))
	}
	used := 0
	for i := range l.columns {
		col := &l.columns[i]
		switch {
		case col.numbers == 0 && 2*col.units > l.rows-col.missing:
			return fmt.Errorf("line %d: %s is a number with %s; write the number alone", col.unit.line, table.Clip(col.unit.text), table.Clip(unitOf(col.unit.text)))
		case col.numbers == 0:
			continue
		case col.word.line != 0:
			if unit := unitOf(col.word.text); unit != "" {
				return fmt.Errorf("line %d: %s is a number with %s; write the number alone", col.word.line, table.Clip(col.word.text), table.Clip(unit))
			}
			return fmt.Errorf("line %d: %s is not a number", col.word.line, table.Clip(col.word.text))
		}
		used++
		w := &col.writing
		if w.points > 0 && w.commas > 0 {
			return fmt.Errorf("column %d has both decimal points and decimal commas, as %s and %s", i+1, table.Clip(w.point), table.Clip(w.comma))
		}
	}
	if used == 0 {
		return errors.New("there are no numbers in it")
	}
	_, line, err := settle(writings)
	if err != nil {
		return fmt.Errorf("line %d: %w", line, err)
	}
	for i := range l.columns {
		l.columns[i].writing = writings[i]
	}
	return nil
}

// read reads the numbers of a table that check has passed.
func (l *layout) read(text string) (series, error) {
	var s series
	for i := range l.columns {
		named := l.header && l.names[i] != ""
		switch col := &l.columns[i]; {
		case col.numbers > 0:
			s.c++
			if l.header {
				s.facts.names = append(s.facts.names, strings.ToValidUTF8(l.names[i], "�"))
			}
		case named, col.missing < l.rows:
			s.facts.dropped = append(s.facts.dropped, l.name(i))
		}
	}
	s.facts.names = distinct(s.facts.names)
	s.values = make([]float32, 0, l.rows*s.c)
	c := table.NewCutter(text, l.separator)
	c.Comments = true
	header := l.header
	if doubtful, _ := l.first.doubtful(l.rows); l.header && l.first.n > 0 {
		s.facts.numbered = l.first.cells
	} else if doubtful {
		s.facts.doubtful = l.first.cells
	}
	coarse := make([]coarse, len(l.columns))
	s.facts.dotted = l.thousandths()
	if !l.header {
		s.facts.either = l.either.text
	}
	for {
		cells, line, err := c.Next()
		if err != nil { // the end; survey has seen all
			s.facts.comment = c.Skipped
			for i := range coarse {
				if coarse[i].lost() {
					s.facts.coarse = append(s.facts.coarse, l.name(i))
				}
			}
			return s, nil
		}
		if header {
			header = false
			continue
		}
		for i := range l.columns {
			col := &l.columns[i]
			if col.numbers == 0 {
				continue
			}
			cell := strings.TrimSpace(cells[i])
			v := float32(math.NaN())
			if !table.Missing(cell) {
				if v, err = col.writing.number(cell, l.bare()); err != nil {
					return s, fmt.Errorf("line %d: %s, %w", line, table.Clip(cell), err)
				}
				coarse[i].add(cell, v)
			}
			s.values = append(s.values, v)
		}
	}
}

// thousandths returns a number whose point may stand between thousands: in a table with
// semicolons, which are used where commas are decimal marks, or in a column of small
// whole numbers. It is empty if some value tells otherwise.
func (l *layout) thousandths() string {
	found := ""
	for i := range l.columns {
		w := &l.columns[i].writing
		switch {
		case w.points+w.commas > 0:
			return ""
		case found == "" && w.dotted != "" && (l.separator == ';' || w.short > 0 && w.thousandths()):
			found = w.dotted
		}
	}
	return found
}

// name names column i.
func (l *layout) name(i int) string {
	if l.header && l.names[i] != "" {
		return l.names[i]
	}
	return fmt.Sprintf("column %d", i+1)
}

// distinct makes names differ from each other: what repeats an earlier one is numbered. One
// that is empty is a name like others, unless all are: then there are none.
func distinct(names []string) []string {
	if !slices.ContainsFunc(names, func(name string) bool { return name != "" }) {
		return nil
	}
	count, taken := map[string]int{}, map[string]bool{}
	for i, name := range names {
		names[i] = strings.ToValidUTF8(name[:min(len(name), longestName)], "")
		taken[names[i]] = true
	}
	for i, name := range names {
		if count[name]++; count[name] == 1 {
			continue
		}
		for taken[names[i]] {
			names[i] = strings.TrimSpace(fmt.Sprintf("%s (%d)", name, count[name]))
			count[name]++
		}
		count[name]--
		taken[names[i]] = true
	}
	return names
}

// longestName is the most bytes of a channel's name.
const longestName = 200

// unnamed reports whether names cannot tell channels apart, or are not names.
func unnamed(names []string) bool {
	return !slices.Equal(names, distinct(slices.Clone(names)))
}
