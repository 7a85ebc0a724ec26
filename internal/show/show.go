// Package show makes text safe to print. Names of files and cells of tables may
// hold anything: line breaks that would make one row of a list look like two,
// and control characters that would drive a terminal.
package show

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Name returns a name as one line: as it is if every character can be printed,
// else as a Go string literal, in double quotes. A name that begins with a
// double quote is quoted as well, so that a reader can tell: a line that begins
// with one is a literal, any other is the name itself.
func Name(s string) string {
	if s != "" && s[0] != '"' && clean(s) {
		return s
	}
	return strconv.Quote(s)
}

func clean(s string) bool {
	return utf8.ValidString(s) && strings.IndexFunc(s, func(r rune) bool { return !printable(r) }) < 0
}

// printable reports whether a terminal shows r and does nothing else with it.
// Spaces of any width and the joiners of written words pass; line separators and
// marks that turn the direction of text do not.
func printable(r rune) bool {
	switch r {
	case '\u200c', '\u200d', '\ufeff':
		return true
	case '\u2028', '\u2029':
		return false
	}
	return unicode.IsPrint(r) || unicode.Is(unicode.Zs, r) || unicode.Is(unicode.M, r) || unicode.Is(unicode.Co, r)
}

// Text returns a message with every character escaped that a terminal would act
// on, but for line breaks and tabs, which messages have of their own.
func Text(s string) string {
	bad := func(r rune) bool { return r != '\n' && r != '\t' && !printable(r) }
	if utf8.ValidString(s) && strings.IndexFunc(s, bad) < 0 {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); {
		r, n := utf8.DecodeRuneInString(s[i:])
		switch {
		case r == utf8.RuneError && n == 1:
			fmt.Fprintf(&b, `\x%02x`, s[i])
		case bad(r):
			quoted := strconv.QuoteRune(r)
			b.WriteString(quoted[1 : len(quoted)-1])
		default:
			b.WriteRune(r)
		}
		i += n
	}
	return b.String()
}

// Valid returns a name as it is, but for bytes that are no UTF-8, which it escapes (caf\xe9):
// JSON would make one character of them all, and names that differ the same.
func Valid(s string) string {
	if utf8.ValidString(s) {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); {
		r, n := utf8.DecodeRuneInString(s[i:])
		if r == utf8.RuneError && n == 1 {
			fmt.Fprintf(&b, `\x%02x`, s[i])
		} else {
			b.WriteString(s[i : i+n])
		}
		i += n
	}
	return b.String()
}

// Line is Text on one line: line breaks and tabs are escaped too.
func Line(s string) string {
	return strings.NewReplacer("\n", `\n`, "\t", `\t`).Replace(Text(s))
}

// Tally lists how many there are of each thing, the most frequent first:
// "30 .heic, 1 .ppm, 1 without an ending". Things after the fifth are summed up
// as others. empty is what the empty string is called.
func Tally(counts map[string]int, empty string) string {
	const most = 5
	names := make([]string, 0, len(counts))
	for name := range counts {
		names = append(names, name)
	}
	slices.SortFunc(names, func(a, b string) int {
		if counts[a] != counts[b] {
			return counts[b] - counts[a]
		}
		return strings.Compare(a, b)
	})
	var parts []string
	rest := 0
	for i, name := range names {
		if i >= most && len(names) > most+1 {
			rest += counts[name]
			continue
		}
		if name == "" {
			name = empty
		}
		parts = append(parts, fmt.Sprintf("%d %s", counts[names[i]], Line(name)))
	}
	if rest > 0 {
		parts = append(parts, fmt.Sprintf("%d others", rest))
	}
	return strings.Join(parts, ", ")
}

// Some lists the first of names, at most most of them, and how many more there are.
func Some(names []string, most int) string {
	shown := make([]string, 0, most)
	for _, n := range names[:min(most, len(names))] {
		shown = append(shown, Name(n))
	}
	if more := len(names) - most; more > 0 {
		return fmt.Sprintf("%s and %d more", strings.Join(shown, ", "), more)
	}
	return strings.Join(shown, ", ")
}
