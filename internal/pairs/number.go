package pairs

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"unicode"

	"vicreg/internal/table"
)

// readings returns what a cell may mean as a number, in strconv's spelling: point if the
// decimals follow a point and commas stand between thousands, comma if it is the other
// way round. One that is empty is no number that way. They are equal unless the cell
// holds a comma or a point. If they differ and neither is empty, as for 1,003, the cell
// alone does not tell. Apostrophes and spaces may stand between thousands; with bare,
// plain spaces may not.
func readings(cell string, bare bool) (point, comma string) {
	if whole, decimals := usual(cell); whole > 0 {
		if decimals != 3 || whole > 3 || strings.TrimLeft(cell, "+-")[0] == '0' {
			if decimals < 0 {
				return cell, cell
			}
			return cell, ""
		}
	}
	if len(cell) > 1000 {
		return "", ""
	}
	body, sign := cell, ""
	switch {
	case strings.HasPrefix(body, "-"), strings.HasPrefix(body, "+"):
		sign, body = body[:1], body[1:]
	case strings.HasPrefix(body, "−"):
		sign, body = "-", body[len("−"):]
	}
	exponent := ""
	if i := strings.IndexAny(body, "eE"); i > 0 {
		if body, exponent = body[:i], body[i:]; !isExponent(exponent) {
			return "", ""
		}
	}
	marks, digits := 0, 0
	for _, r := range body {
		switch {
		case '0' <= r && r <= '9':
			digits++
		case r == '.' || r == ',' || thousands(r, bare):
			marks++
		default:
			return "", ""
		}
	}
	if digits == 0 || digits+marks > 400 {
		return "", ""
	}
	if marks == 0 {
		return sign + body + exponent, sign + body + exponent
	}
	read := func(decimal, group byte) string {
		whole, fraction, split := strings.Cut(body, string(decimal))
		plain, grouped := ungroup(whole, group, bare)
		if plain == "" && whole != "" || strings.TrimLeft(fraction, "0123456789") != "" ||
			split && fraction == "" && decimal == ',' || grouped && exponent != "" {
			return ""
		}
		if split {
			return sign + plain + "." + fraction + exponent
		}
		return sign + plain + exponent
	}
	return read('.', ','), read(',', '.')
}

// usual returns how many digits a cell has before and after a decimal point if it is a
// number as programs write it. decimals is -1 if there is no point; whole is 0 if it is
// no such number.
func usual(cell string) (whole, decimals int) {
	i := 0
	if i < len(cell) && (cell[i] == '-' || cell[i] == '+') {
		i++
	}
	digits := func() int {
		from := i
		for i < len(cell) && cell[i]-'0' < 10 {
			i++
		}
		return i - from
	}
	whole, decimals = digits(), -1
	if i < len(cell) && cell[i] == '.' {
		i++
		decimals = digits()
	}
	if i < len(cell) && (cell[i]|0x20 != 'e' || !isExponent(cell[i:])) || len(cell) > 40 {
		return 0, 0
	}
	return whole, decimals
}

// isExponent reports whether s is e and a whole number.
func isExponent(s string) bool {
	digits := strings.TrimLeft(s[1:], "+-")
	return len(s)-1-len(digits) <= 1 && digits != "" && strings.Trim(digits, "0123456789") == ""
}

// thousands reports whether r may stand between thousands, whichever the decimal mark
// is.
func thousands(r rune, bare bool) bool {
	return r == ' ' && !bare || r == '\u00a0' || r == '\u202f' || r == '\u2009' || r == '\'' || r == '’'
}

// ungroup removes what stands between thousands from a whole number. It returns "" if
// that stands elsewhere.
func ungroup(whole string, group byte, bare bool) (digits string, grouped bool) {
	if strings.Trim(whole, "0123456789") == "" {
		return whole, false
	}
	var mark rune
	var groups []string
	start := 0
	for i, r := range whole {
		if '0' <= r && r <= '9' {
			continue
		}
		if r != rune(group) && !thousands(r, bare) || mark != 0 && r != mark {
			return "", true
		}
		mark = r
		groups = append(groups, whole[start:i])
		start = i + len(string(r))
	}
	groups = append(groups, whole[start:])
	if rune(group) == mark && mark == ',' && lakhs(groups) {
		return strings.Join(groups, ""), true
	}
	for i, g := range groups {
		if i > 0 && len(g) != 3 || len(g) == 0 || len(g) > 3 || i == 0 && g[0] == '0' {
			return "", true
		}
	}
	return strings.Join(groups, ""), true
}

// lakhs reports whether digits are grouped as in India: three last, two before.
func lakhs(groups []string) bool {
	n := len(groups)
	if n < 3 || len(groups[n-1]) != 3 || len(groups[0]) == 0 || len(groups[0]) > 2 || groups[0][0] == '0' {
		return false
	}
	for _, g := range groups[1 : n-1] {
		if len(g) != 2 {
			return false
		}
	}
	return true
}

// writing is what the cells of a column tell about how its numbers are written.
type writing struct {
	points, commas int    // numbers that must have a decimal point; a decimal comma
	point, comma   string // the first of each
	twofold        string // the first with a comma that may be either,
	line           int    // and the line of it, or the row's index in a manifest
	dotted         string // the first with a point that may be either, as 1.003
	dottedLine     int
	short, long    int  // whole numbers of up to three digits; of more
	byOthers       bool // other columns tell that there are decimal commas
}

// add takes in a cell; p and c are its readings.
func (w *writing) add(p, c, cell string, line int) {
	switch {
	case p == c:
		if digits := strings.TrimLeft(p, "+-"); len(digits) > 3 {
			w.long++
		} else if digits != "0" {
			w.short++
		}
	case c == "":
		if w.points++; w.points == 1 {
			w.point = strings.Clone(cell)
		}
	case p == "":
		if w.commas++; w.commas == 1 {
			w.comma = strings.Clone(cell)
		}
	case strings.Contains(cell, ","):
		if w.twofold == "" {
			w.twofold, w.line = strings.Clone(cell), line
		}
	case w.dotted == "":
		w.dotted, w.dottedLine = strings.Clone(cell), line
	}
}

// decimalComma reports whether most of the cells that tell at all have a decimal comma.
func (w *writing) decimalComma() bool { return w.commas > w.points || w.byOthers }

// thousandths reports whether all points of the column have three digits after them, as
// if they stood between thousands, while nothing says that they do not.
func (w *writing) thousandths() bool { return w.dotted != "" && w.points+w.commas+w.long == 0 }

// settle decides what commas and points mean in columns that are written in the same
// way. It returns the first cell that nothing decides: where it is and what is wrong
// with it.
func settle(columns []writing) (column, line int, err error) {
	points, commas := 0, 0
	for i := range columns {
		points, commas = points+columns[i].points, commas+columns[i].commas
	}
	for i := range columns {
		w := &columns[i]
		if w.points+w.commas > 0 {
			continue
		}
		w.byOthers = w.twofold != "" && w.dotted == "" && commas > 0 && points == 0
		cell := ""
		switch {
		case w.byOthers:
		case w.twofold != "":
			cell, line = w.twofold, w.line
		case w.dotted != "" && commas > 0:
			cell, line = w.dotted, w.dottedLine
		}
		if cell != "" {
			p, c := readings(cell, false)
			return i, line, fmt.Errorf("%s may be %s or %s, and no other value of the column tells which; write numbers with a decimal point and nothing between thousands", table.Clip(cell), p, c)
		}
	}
	return 0, 0, nil
}

// number reads a cell that was taken in. The error follows "temp is "warm", ".
func (w *writing) number(cell string, bare bool) (float32, error) {
	p, c := readings(cell, bare)
	text, usual, as := p, "point", w.point
	if w.decimalComma() {
		text, usual, as = c, "comma", w.comma
	}
	switch {
	case p == "" && c == "":
		if unit := unitOf(cell); unit != "" {
			return 0, fmt.Errorf("a number with %s; write the number alone", table.Clip(unit))
		}
		return 0, errors.New("which is not a finite number")
	case text == "":
		return 0, fmt.Errorf("but other values have a decimal %s, as %s", usual, table.Clip(as))
	case p != c && p != "" && c != "" && w.points > 0 && w.commas > 0:
		return 0, fmt.Errorf("which may be %s or %s", p, c)
	}
	v, err := strconv.ParseFloat(text, 32) // what is too small is 0
	if err != nil || math.IsInf(v, 0) {
		return 0, errors.New("which is too large a number")
	}
	return float32(v), nil
}

// unitOf returns what stands after or before a number: %, mV, °C, $, <. It is empty if
// there is nothing, or no number.
func unitOf(cell string) string {
	is := func(s string) bool {
		p, c := readings(strings.TrimSpace(s), false)
		return p != "" || c != ""
	}
	end := strings.LastIndexFunc(cell, unicode.IsDigit) + 1
	if unit := strings.TrimSpace(cell[end:]); end > 0 && unit != "" && is(cell[:end]) {
		return unit
	}
	for _, before := range beforeNumbers {
		rest, ok := strings.CutPrefix(cell, before)
		if rest = strings.TrimRight(strings.TrimSpace(rest), ")]"); ok && is(rest) {
			return before
		}
	}
	if digits, ok := strings.CutPrefix(strings.ToLower(cell), "0x"); ok && digits != "" &&
		strings.Trim(digits, "0123456789abcdef") == "" {
		return cell[:2]
	}
	start := strings.IndexFunc(cell, func(r rune) bool { return !unicode.Is(unicode.Sc, r) && r != ' ' })
	if start > 0 && is(cell[start:]) {
		return strings.TrimSpace(cell[:start])
	}
	return ""
}

// beforeNumbers are signs before a number that change what it means.
var beforeNumbers = []string{"<=", ">=", "<", ">", "≤", "≥", "=", "~", "≈", "±", "(",
	"EUR", "USD", "GBP", "CHF", "JPY", "INR", "CNY", "CAD", "AUD", "BRL", "R$", "Rs.", "Rs", "US$", "kr"}

// coarse counts values in a row that are written differently but are equal in 32 bits,
// as times in seconds since 1970 are.
type coarse struct {
	cell     string
	value    float32
	n, alike int
	least    string // the first of
	small    int    // those that are 0 or nearly so in 32 bits, and no 0 as they are written
}

func (c *coarse) add(cell string, value float32) {
	const exact = 7 // digits that 32 bits hold
	if len(cell) > exact && len(c.cell) > exact && cell != c.cell && value == c.value {
		c.alike++
	}
	const least = 0x1p-126
	if value < least && value > -least && !zero(cell) {
		if c.small++; c.small == 1 {
			c.least = strings.Clone(cell)
		}
	}
	c.n++
	c.cell, c.value = cell, value
}

// lost reports whether much of what the values tell is lost in 32 bits.
func (c *coarse) lost() bool { return c.n > 1 && 10*(c.alike+c.small) > c.n }

// zero reports whether a number is written as 0.
func zero(cell string) bool {
	mantissa, _, _ := strings.Cut(strings.ToLower(cell), "e")
	return !strings.ContainsAny(mantissa, "123456789")
}
