package dataset

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"vicreg/internal/table"
)

// ofLists reports whether the cells of a column are lists as pandas and numpy write them:
// ['cat', 'dog'], ['cat' 'dog'], [1, 2] or []; and returns the first of them.
func (t *labelRows) ofLists(column int) (example table.Record, are bool) {
	all := true
	for _, r := range t.Rows {
		cell := t.cell(r, column)
		if cell == "" {
			continue
		}
		bracketed := cell[0] == '[' && cell[len(cell)-1] == ']'
		inner := strings.TrimLeft(cell[1:], " ")
		if bracketed && example.Cells == nil {
			example = r
		}
		if cell[0] == '[' && inner != "" && strings.IndexByte(`'"]`, inner[0]) >= 0 {
			if example.Cells == nil {
				example = r
			}
			return example, true
		}
		all = all && bracketed
	}
	return example, all && example.Cells != nil
}

// listOf reads a cell of such a column. An empty one has no labels.
func listOf(cell string) (labels []string, err error) {
	if cell == "" {
		return nil, nil
	}
	if cell[0] != '[' || !strings.HasSuffix(cell, "]") {
		return nil, errors.New("it is no list, as in other rows")
	}
	for rest := strings.TrimSpace(cell[1 : len(cell)-1]); rest != ""; {
		var label string
		if quote := rest[0]; quote == '\'' || quote == '"' {
			if label, rest, err = unquoted(rest[1:], quote); err != nil {
				return nil, err
			}
			rest = strings.TrimSpace(rest)
			if after, comma := strings.CutPrefix(rest, ","); comma {
				rest = after
			} else if rest != "" && rest[0] != '\'' && rest[0] != '"' {
				return nil, fmt.Errorf("%s follows a label in quotes", table.Clip(rest))
			}
		} else {
			label, rest, _ = strings.Cut(rest, ",")
			if strings.ContainsAny(label, `'"[]()`) {
				return nil, fmt.Errorf("%s is no label of a list", table.Clip(label))
			}
			if words := strings.Fields(label); len(words) > 1 && areNumbers(words) {
				labels, label = append(labels, words[1:]...), words[0]
			}
		}
		labels = append(labels, label)
		rest = strings.TrimSpace(rest)
	}
	return labels, nil
}

// unquoted reads text up to a quote mark, and returns what follows that.
func unquoted(text string, quote byte) (label, rest string, err error) {
	var b strings.Builder
	for text != "" {
		if text[0] == quote {
			return b.String(), text[1:], nil
		}
		r, _, rest, err := strconv.UnquoteChar(text, quote)
		if err != nil {
			return "", "", fmt.Errorf("what stands after the backslash in %s is unknown", table.Clip(text))
		}
		b.WriteRune(r)
		text = rest
	}
	return "", "", errors.New("a quote mark is missing")
}

func areNumbers(words []string) bool {
	for _, w := range words {
		if _, err := strconv.ParseFloat(w, 64); err != nil {
			return false
		}
	}
	return true
}
