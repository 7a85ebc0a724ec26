package table

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// Doubtful says which classes of a column, counted by name, may not be meant as
// such: words for a value that is missing, and names that differ only in case,
// spaces or the spelling of a number. file is what messages call the table.
func Doubtful(file, column string, count map[string]int) []string {
	var notes, words []string
	alike := map[string][]string{}
	var keys []string
	for _, name := range slices.Sorted(maps.Keys(count)) {
		if Missing(name) {
			words = append(words, fmt.Sprintf("%s (%d)", Clip(name), count[name]))
		}
		key := strings.ToLower(strings.Join(strings.Fields(name), " "))
		if v, err := strconv.ParseFloat(key, 64); err == nil && len(key) < 16 {
			key = fmt.Sprint(v)
		}
		if len(alike[key]) == 1 {
			keys = append(keys, key)
		}
		alike[key] = append(alike[key], fmt.Sprintf("%s (%d)", Clip(name), count[name]))
	}
	if len(words) > 0 {
		notes = append(notes, fmt.Sprintf("%s: column %s: %s taken as a class; leave the cell empty where there is no label", file, column, Some(words)))
	}
	if len(keys) > 0 {
		notes = append(notes, fmt.Sprintf("%s: column %s: %s are different classes, though they differ only in case, spaces or the spelling of a number", file, column, Some(alike[keys[0]])))
		if more := len(keys) - 1; more > 0 {
			notes[len(notes)-1] += fmt.Sprintf("; and %d more such", more)
		}
	}
	return notes
}

// Some lists cells as they stand, the first of many.
func Some(cells []string) string {
	const most = 5
	if more := len(cells) - most; more > 0 {
		return fmt.Sprintf("%s and %d more", strings.Join(cells[:most], ", "), more)
	}
	return strings.Join(cells, ", ")
}
