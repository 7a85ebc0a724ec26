package table

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"golang.org/x/text/unicode/norm"
)

// Doubtful says which classes of a column, counted by name, may not be meant as classes:
// words for a missing value, and those that Alike names. file is messages' name for the
// table.
func Doubtful(file, column string, count map[string]int) []string {
	var notes, words []string
	for _, name := range slices.Sorted(maps.Keys(count)) {
		if Missing(name) {
			words = append(words, fmt.Sprintf("%s (%d)", Clip(name), count[name]))
		}
	}
	where := fmt.Sprintf("%s: column %s", file, column)
	if len(words) > 0 {
		notes = append(notes, fmt.Sprintf("%s: %s taken as a class; leave the cell empty where there is no label", where, Some(words)))
	}
	return append(notes, Alike(where, count)...)
}

// Alike says which classes, counted by name, differ only in case, in spaces, in how
// characters are coded or in how a number is written. where is messages' name for what
// tells the classes.
func Alike(where string, count map[string]int) []string {
	alike := map[string][]string{}
	coded := map[string]bool{} // by key: some name has another form
	var keys []string
	for _, name := range slices.Sorted(maps.Keys(count)) {
		plain := visible(norm.NFKC.String(name))
		key := strings.ToLower(strings.Join(strings.Fields(plain), " "))
		if v, err := strconv.ParseFloat(key, 64); err == nil && len(key) < 16 {
			key = fmt.Sprint(v)
		}
		if len(alike[key]) == 1 {
			keys = append(keys, key)
		}
		coded[key] = coded[key] || plain != name
		alike[key] = append(alike[key], fmt.Sprintf("%s (%d)", Clip(name), count[name]))
	}
	if len(keys) == 0 {
		return nil
	}
	only := "case, spaces or the spelling of a number"
	if coded[keys[0]] {
		only = "case, spaces or how characters are coded"
	}
	note := fmt.Sprintf("%s: %s are different classes, though they differ only in %s", where, Some(alike[keys[0]]), only)
	if more := len(keys) - 1; more > 0 {
		note += fmt.Sprintf("; and %d more such", more)
	}
	return []string{note}
}

// visible returns a name without the characters that take no room.
func visible(name string) string {
	return strings.Map(func(r rune) rune {
		if unicode.Is(unicode.Cf, r) {
			return -1
		}
		return r
	}, name)
}

// Some lists cells as they stand, the first of many.
func Some(cells []string) string {
	const most = 5
	if more := len(cells) - most; more > 0 {
		return fmt.Sprintf("%s and %d more", strings.Join(cells[:most], ", "), more)
	}
	return strings.Join(cells, ", ")
}
