package vicreg

import (
	"bytes"
	"go/scanner"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"
)

const (
	mostColumns = 120 // of a line
	tab         = 4   // columns
)

var (
	generated = regexp.MustCompile(`(?m)^// Code generated .* DO NOT EDIT\.$`)
	gaps      = regexp.MustCompile(`\S +`)
)

// Lines of Go are no longer than 120 columns. Strings count as empty, since a message is
// not cut to fit, and so do the blanks that align columns.
func TestLines(t *testing.T) {
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() && path != "." && strings.HasPrefix(d.Name(), ".") {
			return filepath.SkipDir
		}
		if filepath.Ext(path) != ".go" {
			return nil
		}
		src, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		if !generated.Match(src) {
			for n, line := range strings.Split(string(withoutStrings(src)), "\n") {
				if columns(line) > mostColumns && !strings.HasPrefix(line, "//go:") {
					t.Errorf("%s:%d: %d columns, want %d at most", path, n+1, columns(line), mostColumns)
				}
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// columns returns the width of a line.
func columns(line string) int {
	line = gaps.ReplaceAllStringFunc(line, func(s string) string { return strings.TrimRight(s, " ") + " " })
	return utf8.RuneCountInString(line) + (tab-1)*strings.Count(line, "\t")
}

// withoutStrings returns a file with the contents of its strings left out, but for their
// line breaks.
func withoutStrings(src []byte) []byte {
	var s scanner.Scanner
	file := token.NewFileSet().AddFile("", -1, len(src))
	s.Init(file, src, nil, scanner.ScanComments)
	var out bytes.Buffer
	at := 0
	for {
		pos, tok, text := s.Scan()
		if tok == token.EOF {
			out.Write(src[at:])
			return out.Bytes()
		}
		if tok == token.STRING || tok == token.CHAR {
			from := file.Offset(pos)
			out.Write(src[at:from])
			if at = from + len(text); text[0] == '`' { // its text has no carriage returns
				at = from + 2 + bytes.IndexByte(src[from+1:], '`')
			}
			out.WriteString(strings.Repeat("\n", strings.Count(text, "\n")))
		}
	}
}

func TestColumns(t *testing.T) {
	for src, want := range map[string]int{
		"":                       0,
		"\tx := 1":               tab + 6,
		"λ · µ":                  5,
		"a    // b":              6,
		"say(\"a long string\")": 5,
		"say('\"', \"a\")":       7,
		"// say \"it\"":          11,
	} {
		if got := columns(string(withoutStrings([]byte(src)))); got != want {
			t.Errorf("%q: %d columns, want %d", src, got, want)
		}
	}
	if got := string(withoutStrings([]byte("a := `1\r\n2\n3` + b"))); got != "a := \n\n + b" {
		t.Errorf("a raw string: %q", got)
	}
}
