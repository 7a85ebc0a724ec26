package settings

import (
	"bytes"
	"fmt"
	"regexp"
	"sort"
	"strconv"
	"strings"

	"vicreg/internal/show"
)

var (
	parserLine   = regexp.MustCompile(`^line (\d+): `)
	missingAlias = regexp.MustCompile(`^unknown anchor '(.*)' referenced$`)
)

// grammar makes a sentence with a line of an error of the YAML parser, whose own
// lines are not to be relied on: it counts some from 0, and others it leaves out.
func grammar(raw []byte, name string, err error) error {
	problem := strings.TrimPrefix(err.Error(), "yaml: ")
	line := 1
	if m := parserLine.FindStringSubmatch(problem); m != nil {
		line, _ = strconv.Atoi(m[1])
		problem = problem[len(m[0]):]
	}
	lines := bytes.SplitAfter(bytes.TrimRight(raw, "\r\n"), []byte("\n"))
	switch problem {
	case "did not find expected key", "did not find expected '-' indicator", "did not find expected <document start>":
		// Once the parser has come to such a place, what follows changes nothing.
		if line++; len(raw) > 64<<10 {
			break // it would take long
		}
		line = 1 + sort.Search(len(lines)-1, func(i int) bool {
			_, err := parse(bytes.Join(lines[:i+1], nil))
			return err != nil && strings.HasSuffix(err.Error(), problem)
		})
	case "did not find expected node content", "did not find expected ',' or ']'", "did not find expected ',' or '}'":
		line++
	}
	m := missingAlias.FindStringSubmatch(problem)
	if m != nil {
		problem = fmt.Sprintf("*%s stands for what &%[1]s marks, but nothing before it is marked so; put a value that begins with * in quotes", show.Line(m[1]))
		if at := bytes.Index(raw, []byte("*"+m[1])); at >= 0 {
			line = 1 + bytes.Count(raw[:at], []byte("\n"))
		}
	}
	line = max(1, min(line, len(lines)))
	if m == nil {
		problem = plain(problem, string(lines[line-1]))
	}
	return fmt.Errorf("%s:%d: %s", name, line, problem)
}

// plain says in other words what the parser found wrong in a line.
func plain(problem, line string) string {
	indent := line[:len(line)-len(strings.TrimLeft(line, " \t"))]
	switch {
	case strings.Contains(indent, "\t"):
		return "the line begins with a tab; indent with spaces"
	case problem == "mapping values are not allowed in this context":
		return "there is a colon too many, or the line is indented too far; put a value with a colon in it in quotes"
	case problem == "found character that cannot start any token":
		return "a value begins with a character that has a meaning of its own; put it in quotes"
	case problem == "did not find expected key", problem == "did not find expected '-' indicator", problem == "did not find expected <document start>":
		return "the line does not fit those above it; indent it as its neighbours, with a key, a colon and a value"
	case problem == "did not find expected node content":
		return "a value is missing, or a bracket is not closed"
	case problem == "did not find expected ',' or ']'", problem == "did not find expected ',' or '}'":
		return "a bracket that is opened here is not closed, or a comma is missing"
	case problem == "found unexpected end of stream":
		return "a quote is not closed"
	case problem == "could not find expected ':'":
		return "a key has no colon and value after it"
	}
	return "this is no YAML: " + show.Line(problem)
}
