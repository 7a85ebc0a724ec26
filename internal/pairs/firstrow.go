package pairs

import (
	"slices"
	"strconv"
	"strings"

	"vicreg/internal/table"
)

// firstRow finds out what a first row of whole numbers is: the header of a table without
// names, as programs write it, or values.
type firstRow struct {
	cells    string // as 0, 1, 2; empty: it is no such row
	n        int
	counts   bool // they are 0, 1, 2, …
	later    int  // numbers below it,
	pointed  int  // of which these have decimals
	decimals []int
	varying  bool // some have others than those above them
}

// begin looks at the first row of a table.
func (f *firstRow) begin(cells []string) {
	f.counts = true
	for i, cell := range cells {
		cell = strings.TrimSpace(cell)
		if cell == "" || len(cell) > 4 || strings.Trim(cell, "0123456789") != "" || len(cell) > 1 && cell[0] == '0' {
			return
		}
		f.counts = f.counts && cell == strconv.Itoa(i)
		cells[i] = cell
	}
	if sorted := slices.Sorted(slices.Values(cells)); len(slices.Compact(sorted)) < len(cells) ||
		len(cells) == 1 && cells[0] != "0" || len(cells) > maxChannels {
		return
	}
	f.n, f.cells, f.decimals = len(cells), strings.Join(cells[:min(len(cells), 5)], ", "), make([]int, len(cells))
}

// add looks at a number further down.
func (f *firstRow) add(i int, cell string) {
	if f.n == 0 || i >= f.n || table.Missing(cell) {
		return
	}
	f.later++
	if !strings.ContainsAny(cell, ".,eE") {
		return
	}
	f.pointed++
	behind := len(cell) - strings.LastIndexAny(cell, ".,")
	f.varying = f.varying || f.decimals[i] != 0 && f.decimals[i] != behind
	f.decimals[i] = behind
}

// doubtful returns two things: whether all numbers below a row of whole numbers have
// decimals; and whether there are so many of them, or so alike, that the row is a
// header.
func (f *firstRow) doubtful(rows int) (doubtful, header bool) {
	if f.n == 0 || f.later == 0 || f.pointed < f.later || rows < 4 {
		return false, false
	}
	switch {
	case !f.varying:
		header = f.counts || rows > 10
	case f.n > 1:
		header = f.counts && rows > 10
	}
	return true, header
}

// nameless turns the first row, which was taken for values, into a header without names.
func (l *layout) nameless() {
	l.header, l.names = true, make([]string, len(l.columns))
	l.rows--
	for i := range l.first.n {
		col := &l.columns[i]
		col.numbers--
		col.writing.short = max(0, col.writing.short-1)
		l.numbers--
		l.cells--
	}
}
