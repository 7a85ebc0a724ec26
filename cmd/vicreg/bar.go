package main

import (
	"fmt"
	"strings"
)

// Columns of a bar and of what stands beside it, without the text: the percentage,
// blanks, and the last column of the terminal.
const (
	longestBar, shortestBar = 24, 5
	besideBar               = len("100%   ") + 1
)

// bar draws how much of something is done, before a text on it. It is as long as the
// terminal has room for, and left out where there is no room.
func bar(share float64, what string, width int) string {
	room := min(longestBar, width-besideBar-columns(what))
	if room < shortestBar {
		return what
	}
	share = min(max(share, 0), 1)
	full := int(share * float64(room))
	return fmt.Sprintf("%3d%% %s%s  %s", int(100*share), strings.Repeat("█", full), strings.Repeat("░", room-full), what)
}

// fitting returns the first of some texts, the longest first, that leaves room for a
// bar, or else the last.
func fitting(width int, texts ...string) string {
	for _, t := range texts {
		if columns(t) <= width-besideBar-shortestBar {
			return t
		}
	}
	return texts[len(texts)-1]
}
