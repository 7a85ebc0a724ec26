package dataset

import (
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"vicreg/internal/imagefile"
	"vicreg/internal/show"
	"vicreg/internal/table"
)

// labelings are the words for where labels come from; Options.Labels may be one
// of them, a pattern of names or the path of a file.
var labelings = []string{"auto", "folders", "leaf", "none"}

const (
	labelMark  = "{label}"
	numberMark = "{number}"
)

// labelEndings are those of files that Options.Labels may name, though there are none.
var labelEndings = []string{".csv", ".tsv", ".tab", ".json", ".jsonl", ".ndjson", ".txt"}

// CheckLabels returns what is wrong with Options.Labels, without opening a file.
func CheckLabels(spec string) error {
	switch {
	case spec == "" || slices.Contains(labelings, spec):
		return nil
	case spec == fieldMark:
		return errors.New("labels @: name the field after it, as in @cls, @json.label or, of a table, @label")
	case isField(spec):
		return nil
	case isPattern(spec):
		_, err := compilePattern(spec)
		return err
	case strings.ContainsAny(spec, `/\`) || slices.Contains(labelEndings, strings.ToLower(filepath.Ext(spec))):
		return nil // opening it will tell
	}
	if _, err := os.Stat(spec); err != nil {
		return fmt.Errorf("unknown labels %q; known: %s, the path of a CSV, TSV or JSON file, and a pattern of file names such as %q", spec, strings.Join(labelings, ", "), "{label}_{number}.jpg")
	}
	return nil
}

// LabelFile returns the file that Options.Labels names, "" if it names none.
func LabelFile(spec string) string {
	if spec == "" || slices.Contains(labelings, spec) || isField(spec) || isPattern(spec) {
		return ""
	}
	return Place(spec)
}

// isField reports whether labels are a field of each sample, such as @cls.
func isField(spec string) bool {
	return strings.HasPrefix(spec, fieldMark) && table.IsFile(spec) != nil
}

func isPattern(spec string) bool { return strings.Contains(spec, "{") && table.IsFile(spec) != nil }

// compilePattern makes a regular expression of a pattern: {label} is the class, {number}
// digits, * anything; none of these crosses into another folder. The ending of an image
// counts in upper or lower case; a pattern without an image's ending, or * in its place, fits
// names without theirs.
func compilePattern(spec string) (*pattern, error) {
	wrong := func(format string, args ...any) error {
		return fmt.Errorf("labels %q: %s", spec, fmt.Sprintf(format, args...))
	}
	if n := strings.Count(spec, labelMark); n != 1 {
		return nil, wrong("a pattern of file names has %s once, where the class stands, as in %s_%s.jpg", labelMark, labelMark, numberMark)
	}
	p := &pattern{folders: strings.Contains(spec, "/")}
	end := path.Ext(path.Base(spec))
	rest := spec
	p.bare = !strings.Contains(end, "*")
	if lower := strings.ToLower(end); lower == imagefile.Array || slices.Contains(imagefile.Extensions, lower) {
		rest, p.bare = strings.TrimSuffix(spec, end), false
	} else {
		end = ""
	}
	var b strings.Builder
	b.WriteString("^")
	for rest != "" {
		switch {
		case strings.HasPrefix(rest, labelMark):
			b.WriteString("([^/]+?)")
			rest = rest[len(labelMark):]
		case strings.HasPrefix(rest, numberMark):
			b.WriteString("[0-9]+")
			rest = rest[len(numberMark):]
		case rest[0] == '{':
			mark, _, _ := strings.Cut(rest, "}")
			return nil, wrong("%s is unknown; known: %s, %s, and * for anything", show.Name(mark+"}"), labelMark, numberMark)
		case rest[0] == '*':
			b.WriteString("[^/]*")
			rest = rest[1:]
		default:
			n := 1 + strings.IndexAny(rest[1:]+"*", "{*")
			b.WriteString(regexp.QuoteMeta(rest[:n]))
			rest = rest[n:]
		}
	}
	if end != "" {
		b.WriteString("(?i:" + regexp.QuoteMeta(end) + ")")
	}
	var err error
	if p.match, err = regexp.Compile(b.String() + "$"); err != nil {
		return nil, wrong("too long a pattern")
	}
	return p, nil
}

// pattern is where a class stands in a name.
type pattern struct {
	match   *regexp.Regexp
	folders bool // it is of the whole path
	bare    bool // it is of the name without its ending, which may have none
}

// class returns the class in a name, "" if it does not fit.
func (p *pattern) class(name string) string {
	if !p.folders {
		name = path.Base(name)
	}
	if p.bare {
		if m := p.match.FindStringSubmatch(strings.TrimSuffix(name, path.Ext(name))); m != nil {
			return m[1]
		}
	}
	if m := p.match.FindStringSubmatch(name); m != nil {
		return m[1]
	}
	return ""
}

// labeller finds the class of each image from its name or from a file. nil: the kind of
// data says it.
type labeller struct {
	spec  string // Options.Labels
	about string // in words for people
	leaf  bool
	name  *pattern
	file  string // path

	several bool // the file gives an image any number of classes
}

// labeller reads Options.Labels.
func (o Options) labeller() (*labeller, error) {
	switch file := LabelFile(o.Labels); {
	case o.Labels == "leaf":
		return &labeller{spec: o.Labels, about: "the folder of each image as its class", leaf: true}, nil
	case file != "":
		if err := table.IsFile(file); err != nil {
			return nil, fmt.Errorf("the file of labels cannot be read: %w", err)
		}
		return &labeller{spec: o.Labels, about: "labels of " + show.Name(file), file: file, several: o.Several}, nil
	case isPattern(o.Labels):
		p, err := compilePattern(o.Labels)
		return &labeller{spec: o.Labels, about: "labels by names like " + show.Name(o.Labels), name: p}, err
	}
	return nil, nil
}

// leaf returns the folder that an image is in, below the folders that are parts of the
// data; "" if there is none.
func (l layout) leaf(name string) string {
	if r := l.role(topOf(name)); r == trains || r == scores {
		_, name, _ = strings.Cut(name, "/")
	} else if r == unlabelled {
		return ""
	}
	if dir := path.Dir(name); dir != "." {
		return path.Base(dir)
	}
	return ""
}

// above returns the parent of an image's folder, below the folders that are parts of the
// data.
func (l layout) above(name string) string {
	if l.role(topOf(name)) != outside {
		_, name, _ = strings.Cut(name, "/")
	}
	return path.Dir(path.Dir(name))
}
