// Package settings reads files of keys and values in YAML strictly: what is
// given is taken as it stands or refused with its line, and nothing is rounded,
// dropped or guessed.
//
//   - A whole number may be written 100, 1_000, 0x64, 0o144, 0b1100100, and 100.0
//     or 1e2, whose value is whole; 2.9 is refused, and so is 010, which some
//     readers take for 8.
//   - Numbers are finite, and neither quoted nor with a unit.
//   - Yes, no, on and off are true and false where one of these is wanted, and
//     words where a text is.
//   - A text is what stands there, whatever it might mean elsewhere: 1e3, no and
//     2001-12-14 are three texts.
//   - A key without a value, or with null, is an error, and so are a key given
//     twice, one that is not known, a list of another length, and a second
//     document.
package settings

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"

	"vicreg/internal/show"
)

// MaxText is how many bytes a text may have.
const MaxText = 4096

// The most that a file may hold: marks bound its lists, and with them what
// reading it takes.
const (
	maxBytes = 8 << 20
	maxMarks = 250_000
)

// ReadFile reads the text of a file of settings; what says what it is for.
func ReadFile(path, what string) ([]byte, error) {
	info, err := os.Stat(path)
	if err == nil {
		switch mode := info.Mode(); {
		case mode.IsDir():
			return nil, fmt.Errorf("cannot read the %s: %s is a folder; name a file", what, show.Name(path))
		case !mode.IsRegular():
			return nil, fmt.Errorf("cannot read the %s: %s is a pipe or a device; name a file", what, show.Name(path))
		case info.Size() > maxBytes:
			return nil, tooLarge(show.Name(path))
		}
	}
	var f *os.File
	if err == nil {
		f, err = os.Open(path)
	}
	if err != nil {
		if reason := (*fs.PathError)(nil); errors.As(err, &reason) {
			err = reason.Err
		}
		return nil, fmt.Errorf("cannot read the %s %s: %w", what, show.Name(path), err)
	}
	defer f.Close()
	raw, err := io.ReadAll(io.LimitReader(f, maxBytes+1)) // it may have grown
	if err != nil {
		return nil, fmt.Errorf("cannot read the %s: %w", what, err)
	}
	return raw, nil
}

func tooLarge(name string) error {
	return fmt.Errorf("%s is too large for settings, which take %d MB and %d values at most; is it the right file?", name, maxBytes>>20, maxMarks)
}

// Check returns what would keep Parse from reading a text, but for its grammar.
func Check(raw []byte, name string) error {
	if len(raw) > maxBytes {
		return tooLarge(name)
	}
	marks := 0
	for _, b := range raw {
		switch b {
		case '\n', ',', ':', '[', '{', '-', '?', '*', '&', '#':
			marks++
		}
	}
	if marks > maxMarks {
		return tooLarge(name)
	}
	if bytes.HasPrefix(raw, []byte("\xff\xfe")) || bytes.HasPrefix(raw, []byte("\xfe\xff")) {
		return nil // UTF-16, which the parser knows
	}
	line := 1
	for i := 0; i < len(raw); {
		r, n := utf8.DecodeRune(raw[i:])
		switch {
		case r == '\n':
			line++
		case r == utf8.RuneError && n == 1:
			return fmt.Errorf("%s:%d: these bytes are no text in UTF-8; save the file as UTF-8", name, line)
		case r < ' ' && r != '\t' && r != '\r', r == 0x7f:
			return fmt.Errorf("%s:%d: there is a control character (%U) in the text; is it the right file?", name, line, r)
		}
		i += n
	}
	return nil
}

// Parse returns the one document of a text, nil if there is nothing in it. name
// is the file's, for messages.
func Parse(raw []byte, name string) (*yaml.Node, error) {
	if err := Check(raw, name); err != nil {
		return nil, err
	}
	documents, err := parse(raw)
	if err != nil {
		return nil, grammar(raw, name, err)
	}
	var root *yaml.Node
	for i, d := range documents {
		switch {
		case len(d.Content) == 0 || nothing(d.Content[0]):
		case i > 0:
			return nil, fmt.Errorf("%s:%d: a second document begins here, and only one is read; join both, or remove the line ---", name, d.Line)
		default:
			root = d.Content[0]
		}
	}
	return root, nil
}

// nothing says that no value is written.
func nothing(n *yaml.Node) bool {
	return n.Kind == yaml.ScalarNode && n.Tag == "!!null" && n.Value == "" && n.Anchor == ""
}

func parse(raw []byte) (all []*yaml.Node, err error) {
	d := yaml.NewDecoder(bytes.NewReader(raw))
	for {
		n := new(yaml.Node)
		if err := d.Decode(n); errors.Is(err, io.EOF) {
			return all, nil
		} else if err != nil {
			return nil, err
		}
		all = append(all, n)
	}
}
