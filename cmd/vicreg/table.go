package main

import (
	"fmt"
	"io"
	"strconv"
	"strings"
)

// writeTable writes a Markdown table of runs: as it is, for files and programs, or
// in columns as a terminal has room for. Rows are then repeated for the columns that
// are left. Scores below those of the first row, the untrained encoder's, are red.
func writeTable(out *printer, markdown string) {
	if out.width == nil {
		io.WriteString(out, markdown)
		return
	}
	var rows [][]string
	markdown, below, _ := strings.Cut(markdown, "\n\n")
	if below != "" {
		defer fmt.Fprintf(out, "\n%s", below)
	}
	for line := range strings.Lines(markdown) {
		rows = append(rows, cellsOf(line))
	}
	rows = append(rows[:1], rows[2:]...) // without the line below the head
	wide := make([]int, len(rows[0]))
	for _, row := range rows {
		for i, cell := range row {
			wide[i] = max(wide[i], columns(cell))
		}
	}
	width := out.width()
	for from := 1; from < len(wide); {
		used, to := wide[0]+2+wide[from], from+1
		for to < len(wide) && used+2+wide[to] <= width {
			used += 2 + wide[to]
			to++
		}
		if from > 1 {
			fmt.Fprintln(out)
		}
		for _, row := range rows {
			line := padded(row[0], wide[0], false)
			for i := from; i < to; i++ {
				last := i == len(wide)-1
				line += "  " + verdict(out, padded(row[i], wide[i], !last), rows[0][i], row[i], rows[1][i])
			}
			fmt.Fprintln(out, strings.TrimRight(line, " "))
		}
		from = to
	}
}

// cellsOf cuts a row of a Markdown table into its cells.
func cellsOf(line string) (cells []string) {
	const bar = "\x00"
	line = strings.ReplaceAll(strings.Trim(line, "|\n"), `\|`, bar)
	for cell := range strings.SplitSeq(line, "|") {
		cells = append(cells, strings.ReplaceAll(strings.Trim(strings.ReplaceAll(cell, "**", ""), " "), bar, "|"))
	}
	return cells
}

// padded is a cell in its column.
func padded(cell string, width int, right bool) string {
	blanks := strings.Repeat(" ", width-columns(cell))
	if right {
		return blanks + cell
	}
	return cell + blanks
}

// verdict is a cell in the colour that it deserves.
func verdict(out *printer, text, column, cell, untrained string) string {
	switch column {
	case "kNN", "linear probe":
		of := func(cell string) (float64, bool) {
			number, _, _ := strings.Cut(cell, " ")
			x, err := strconv.ParseFloat(number, 64)
			return x, err == nil
		}
		now, ok := of(cell)
		before, has := of(untrained)
		switch {
		case !ok || !has || now == before:
		case now < before:
			return out.paint(red, text)
		default:
			return out.paint(green, text)
		}
	case "collapsed":
		if cell != "" && cell != "no" && cell != column {
			return out.paint(red, text)
		}
	}
	return text
}
