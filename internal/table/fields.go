package table

import (
	"fmt"
	"io"
	"strings"
)

// Cutter cuts text into rows of fields. Lines end with a line feed, with or without a
// carriage return before it. In files with more lone carriage returns than line feeds,
// as old systems wrote them, these end lines as well.
//
// With commas or semicolons, a field that begins with a quote mark ends at the next
// quote mark that is not doubled, and may hold separators and line breaks (RFC 4180);
// anywhere else a quote mark is an ordinary character. It is an error if such a field
// does not end, or if something other than a separator follows it.
//
// With tabs, quote marks are ordinary characters unless they enclose a whole field, and
// a line is a row. Quote marks around tabs or line breaks make one field of them only if
// the row then has as many fields as the first row, and would not have as many
// otherwise; see tabbed.
type Cutter struct {
	text      string
	separator byte
	Comments  bool // lines that begin with # are none
	Most      int  // fields of a row that are kept; 0: all
	Surplus   int  // fields of the last row beyond them

	at, line int
	returns  bool     // carriage returns end lines
	columns  int      // fields of the first row; 0: it is still to come
	fields   []string // of the last row
	broken   Tally    // fields that hold line breaks
	apart    Tally    // rows that a quote mark might have joined to those below
	Skipped  int      // comments between rows

	odd struct{ from, at int } // the first quote mark that ends a field, looked for from there
}

// NewCutter returns what cuts text at a separator; 0: each line is a field.
func NewCutter(text string, separator byte) *Cutter {
	c := &Cutter{text: text, separator: separator, line: 1}
	pairs := strings.Count(text, "\r\n")
	c.returns = strings.Count(text, "\r")-pairs > strings.Count(text, "\n")
	return c
}

// Next returns the fields of the next row and its line, io.EOF after the last.
// The fields are good until the next call. Lines without any character but
// spaces are no rows.
func (c *Cutter) Next() (fields []string, line int, err error) {
	for {
		if c.at >= len(c.text) {
			return nil, c.line, io.EOF
		}
		start, end := c.at, c.lineEnd(c.at)
		text := c.text[start:end]
		if c.Comments && len(text) > 0 && text[0] == '#' && !fault(text) {
			if c.columns > 0 {
				c.Skipped++
			}
			c.pass(end)
			continue
		}
		const spaces = " \r\x1a" // the last ends files of old
		if c.separator != '\t' {
			text = strings.TrimSpace(text)
		}
		if len(strings.Trim(text, spaces)) == 0 {
			c.pass(end)
			continue
		}
		line := c.line
		c.clear()
		switch c.separator {
		case ' ':
			for text != "" {
				k := strings.IndexAny(text, " \t\v\f\r")
				if k < 0 {
					k = len(text)
				}
				c.add(text[:k])
				text = strings.TrimLeft(text[k:], " \t\v\f\r")
			}
			c.pass(end)
		case 0:
			c.add(text)
			c.pass(end)
		case '\t':
			c.tabbed()
		default:
			err = c.quoted()
		}
		if c.columns == 0 {
			c.columns = c.width()
		}
		return c.fields, line, err
	}
}

// faults are what spreadsheets write where there is no value.
var faults = []string{"#n/a", "#na", "#div/0!", "#value!", "#ref!", "#name?", "#null!", "#num!", "#nv", "#wert!", "#bezug!", "#zahl!"}

// fault reports whether a line begins with such a cell and not with a comment.
func fault(line string) bool {
	start := strings.ToLower(line[:min(len(line), 10)])
	for _, f := range faults {
		if rest, ok := strings.CutPrefix(start, f); ok {
			rest = strings.TrimRight(rest, "\r")
			return rest == "" || strings.Contains(",;\t", rest[:1]) ||
				rest[0] == ' ' && len(rest) > 1 && strings.Contains("0123456789+-.#,;\t", rest[1:2])
		}
	}
	return false
}

// clear begins a row.
func (c *Cutter) clear() { c.fields, c.Surplus = c.fields[:0], 0 }

// add takes a field of the row.
func (c *Cutter) add(field string) {
	if c.Most > 0 && len(c.fields) >= c.Most {
		c.Surplus++
		return
	}
	c.fields = append(c.fields, field)
}

// width returns how many fields the row has.
func (c *Cutter) width() int { return len(c.fields) + c.Surplus }

// pass goes to end, the end of a line, and over its break.
func (c *Cutter) pass(end int) {
	c.line += c.breaks(c.at, end)
	c.at = end
	if n := c.breakAt(end); n > 0 {
		c.at += n
		c.line++
	}
}

// breakAt returns how long the line break at i is; 0: there is none.
func (c *Cutter) breakAt(i int) int {
	switch {
	case i >= len(c.text):
	case c.text[i] == '\n':
		return 1
	case c.text[i] != '\r':
	case c.returns && i+1 < len(c.text) && c.text[i+1] == '\n':
		return 2
	case c.returns:
		return 1
	default: // a text that was written twice as text has two before a line feed
		n := 1
		for i+n < len(c.text) && c.text[i+n] == '\r' {
			n++
		}
		if i+n < len(c.text) && c.text[i+n] == '\n' {
			return n + 1
		}
	}
	return 0
}

// lineEnd returns where the line ends that holds i.
func (c *Cutter) lineEnd(i int) int {
	n := len(c.text)
	if c.returns {
		if k := strings.IndexAny(c.text[i:], "\r\n"); k >= 0 {
			n = i + k
		}
		return n
	}
	if k := strings.IndexByte(c.text[i:], '\n'); k >= 0 {
		n = i + k
	}
	for n > i && n < len(c.text) && c.text[n-1] == '\r' {
		n--
	}
	return n
}

// breaks counts the line breaks from i to j.
func (c *Cutter) breaks(i, j int) int {
	n := strings.Count(c.text[i:j], "\n")
	if c.returns {
		n += strings.Count(c.text[i:j], "\r") - strings.Count(c.text[i:j], "\r\n")
	}
	return n
}

// noteBreaks counts a field that holds line breaks.
func (c *Cutter) noteBreaks(field string) {
	if strings.ContainsAny(field, "\n\r") {
		c.broken.Add(c.line)
	}
}

// quoted reads a row with separators other than tabs.
func (c *Cutter) quoted() error {
	i, end := c.at, c.lineEnd(c.at)
	for {
		open := i
		for open < end && c.text[open] == ' ' {
			open++
		}
		if open < end && c.text[open] == '"' {
			closing := c.closing(open)
			if closing < 0 {
				return fmt.Errorf("the quote mark that opens field %d is never closed; double a quote mark that stands for itself (\"\") and enclose the field in quote marks", c.width()+1)
			}
			field := c.text[open+1 : closing]
			c.noteBreaks(field)
			if closing > end {
				end = c.lineEnd(closing)
			}
			c.add(unquote(field))
			i = closing + 1
			for i < end && c.text[i] == ' ' {
				i++
			}
			if i < end && c.text[i] != c.separator {
				rest := c.text[i:end]
				return fmt.Errorf("field %d opens with a quote mark, and what follows the closing one is %s; double a quote mark that stands for itself (\"\")", c.width(), Clip(rest[:min(len(rest), 300)]))
			}
		} else {
			k := strings.IndexByte(c.text[i:end], c.separator)
			if k < 0 {
				k = end - i
			}
			c.add(c.text[i : i+k])
			i += k
		}
		if i >= end {
			c.pass(end)
			return nil
		}
		i++ // the separator
	}
}

// closing returns where the quote mark is that closes the field opened at open:
// the next that is not doubled; -1: nowhere.
func (c *Cutter) closing(open int) int {
	i := open
	for i < len(c.text) && c.text[i] == '"' {
		i++
	}
	if (i-open)%2 == 0 { // the opening one, and an odd number behind it
		return i - 1
	}
	// The end of the next odd row of marks, wherever this one began.
	if i < c.odd.from || i > c.odd.at {
		c.odd.from, c.odd.at = i, len(c.text)
		for j := i; j < len(c.text); {
			k := strings.IndexByte(c.text[j:], '"')
			if k < 0 {
				break
			}
			start := j + k
			for j = start; j < len(c.text) && c.text[j] == '"'; {
				j++
			}
			if (j-start)%2 == 1 {
				c.odd.at = j - 1
				break
			}
		}
	}
	if c.odd.at == len(c.text) {
		return -1
	}
	return c.odd.at
}

// tabbed reads a row with tabs. Where quote marks enclose tabs or line breaks there are
// two readings; the one that has as many fields as the first row is taken. If both do,
// it is the one by lines, unless most of the lines that the quote marks would join have
// another number of fields.
func (c *Cutter) tabbed() {
	start := c.at
	joins, end := c.tabs(start, true)
	if !joins {
		for _, f := range c.fields {
			c.noteBreaks(f)
		}
		c.pass(end)
		return
	}
	joined := c.width()
	_, single := c.tabs(start, false)
	apart := c.width() == c.columns
	switch {
	case c.columns == 0: // the first row
		apart = end > single
	case apart && joined == c.columns && end > single:
		good, bad := 0, 0
		for i := single + c.breakAt(single); i < end && good+bad < 1000; {
			var to int
			if _, to = c.tabs(i, false); to > i {
				if c.width() == c.columns {
					good++
				} else {
					bad++
				}
			}
			i = to + max(1, c.breakAt(to))
		}
		apart = good >= bad
	case !apart && joined != c.columns:
		apart = end > single // neither; at least no line is lost
	}
	if apart && end > single && c.columns > 0 {
		c.apart.Add(c.line)
	}
	_, end = c.tabs(start, !apart)
	for _, f := range c.fields {
		c.noteBreaks(f)
	}
	c.pass(end)
}

// tabs cuts a row that begins at i and returns where it ends. It removes quote marks
// that enclose a whole field; with join they may enclose tabs and line breaks, and joins
// reports whether some do.
func (c *Cutter) tabs(i int, join bool) (joins bool, end int) {
	c.clear()
	end = c.lineEnd(i)
	for {
		field, to := "", -1
		if i < end && c.text[i] == '"' {
			if k := c.closing(i); k >= 0 && (k+1 >= len(c.text) || c.text[k+1] == '\t' || c.breakAt(k+1) > 0) {
				over := k > end || strings.IndexByte(c.text[i:k], '\t') >= 0
				if !over || join {
					field, to = unquote(c.text[i+1:k]), k+1
					joins = joins || over
					if k > end {
						end = c.lineEnd(k)
					}
				}
			}
		}
		if to < 0 {
			if to = end; i < end {
				if k := strings.IndexByte(c.text[i:end], '\t'); k >= 0 {
					to = i + k
				}
			}
			field = c.text[i:to]
		}
		c.add(field)
		if i = to; i >= end {
			return joins, end
		}
		i++ // the tab
	}
}

// unquote returns what stands between quote marks: doubled ones become one, and lines
// end with a line feed.
func unquote(field string) string {
	if strings.IndexByte(field, '"') >= 0 {
		field = strings.ReplaceAll(field, `""`, `"`)
	}
	if strings.IndexByte(field, '\r') >= 0 {
		field = strings.ReplaceAll(field, "\r\n", "\n")
	}
	return field
}
