package main

import (
	"strings"

	"github.com/rivo/uniseg"
)

// wrap cuts a line at blanks so that each piece fits into width columns. Pieces after
// the first are indented: in a line of two columns to where the second begins, else by
// two blanks more than the line. Figures that are two blanks apart stay whole. A word
// longer than the line is not cut, so that it can be copied.
func wrap(line string, width int) []string {
	if width < 1 || columns(line) <= width {
		return []string{line}
	}
	lead := len(line) - len(strings.TrimLeft(line, " "))
	words, gaps := cut(line[lead:], " ")
	wide := 0 // gaps of two blanks or more
	for _, g := range gaps {
		if g > 1 {
			wide++
		}
	}
	hang := min(lead+2, width/2)
	switch {
	case wide > 2:
		words, gaps = cut(line[lead:], "  ")
	case wide > 0:
		at := lead
		for i, w := range words {
			if at += columns(w); i < len(gaps) && gaps[i] > 1 {
				at += gaps[i]
				break
			} else if i < len(gaps) {
				at += gaps[i]
			}
		}
		if at <= width/2 {
			hang = at
		}
	}
	var lines []string
	now, used := strings.Repeat(" ", lead), lead
	for i, w := range words {
		n := columns(w)
		switch {
		case i == 0:
			now, used = now+w, used+n
		case used+gaps[i-1]+n <= width:
			now, used = now+strings.Repeat(" ", gaps[i-1])+w, used+gaps[i-1]+n
		default:
			lines = append(lines, now)
			now, used = strings.Repeat(" ", hang)+w, hang+n
		}
	}
	return append(lines, now)
}

// cut splits a text at runs of blanks that hold separator, and returns how many
// blanks follow each word but the last.
func cut(text, separator string) (words []string, gaps []int) {
	for {
		at := strings.Index(text, separator)
		if at < 0 {
			return append(words, text), gaps
		}
		rest := strings.TrimLeft(text[at:], " ")
		if rest == "" { // blanks at the end
			return append(words, text[:at]), gaps
		}
		words, gaps = append(words, text[:at]), append(gaps, len(text)-at-len(rest))
		text = rest
	}
}

// columns returns how many columns of a terminal a line takes.
func columns(line string) int {
	return uniseg.StringWidth(strings.Map(func(r rune) rune {
		if _, is := codes[r]; is {
			return -1
		}
		return r
	}, line))
}

// shorten cuts a line to at most width columns.
func shorten(line string, width int) string {
	used, state := 0, -1
	for rest := line; rest != ""; {
		var n int
		var cluster string
		cluster, rest, n, state = uniseg.FirstGraphemeClusterInString(rest, state)
		if used+n > width {
			return line[:len(line)-len(rest)-len(cluster)]
		}
		used += n
	}
	return line
}
