package safetensors

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// Limits above what any model's file has, so that a header takes memory in
// proportion to its size.
const (
	maxNames = 100_000 // tensors, and as many keys of metadata
	maxRank  = 64      // dimensions
)

// parse fills Tensors and Metadata. A header is an object of two kinds of
// objects and nothing else, so it is taken apart here: a general decoder lets
// repeated and unknown keys pass and takes many times the header's size.
func (f *File) parse(header []byte) error {
	s := &scanner{b: header}
	err := s.object("the header", func(name string) error {
		if name == "__metadata__" {
			if f.Metadata != nil {
				return errors.New("its header has __metadata__ twice")
			}
			return f.parseMetadata(s)
		}
		if _, twice := f.byName[name]; twice {
			return fmt.Errorf("tensor %s appears twice", quote(name))
		}
		if len(f.Tensors) == maxNames {
			return fmt.Errorf("it holds more than %d tensors", maxNames)
		}
		t, err := parseTensor(s, name)
		if err != nil {
			return fmt.Errorf("tensor %s: %w", quote(name), err)
		}
		f.byName[name] = len(f.Tensors)
		f.Tensors = append(f.Tensors, t)
		return nil
	})
	if err != nil {
		return err
	}
	if s.space(); s.at < len(header) {
		return errors.New("its header goes on after the JSON object")
	}
	return nil
}

func (f *File) parseMetadata(s *scanner) error {
	f.Metadata = map[string]string{}
	return s.object("__metadata__", func(key string) error {
		if _, twice := f.Metadata[key]; twice {
			return fmt.Errorf("its metadata has %s twice", quote(key))
		}
		if len(f.Metadata) == maxNames {
			return fmt.Errorf("its metadata has more than %d keys", maxNames)
		}
		v, err := s.string("__metadata__'s " + quote(key))
		f.Metadata[key] = v
		return err
	})
}

func parseTensor(s *scanner, name string) (Info, error) {
	t := Info{Name: name}
	var shape, offsets []int64
	var seen [3]bool
	err := s.object("its description", func(key string) (err error) {
		i := slices.Index([]string{"dtype", "shape", "data_offsets"}, key)
		switch {
		case i < 0:
			return fmt.Errorf("unknown key %s", quote(key))
		case seen[i]:
			return fmt.Errorf("%s appears twice", key)
		}
		seen[i] = true
		switch key {
		case "dtype":
			var d string
			d, err = s.string("dtype")
			t.DType = DType(d)
		case "shape":
			shape, err = s.numbers("shape")
		case "data_offsets":
			offsets, err = s.numbers("data_offsets")
		}
		return err
	})
	switch {
	case err != nil:
		return t, err
	case !seen[1]:
		return t, errors.New("it has no shape")
	case len(offsets) != 2:
		return t, fmt.Errorf("data_offsets has %d numbers, want 2", len(offsets))
	}
	t.begin, t.end = offsets[0], offsets[1]
	return t, t.check(shape)
}

// quote writes a name of the file's for a message, which it must not flood.
func quote(name string) string {
	const most = 80
	if len(name) > most {
		return strconv.Quote(name[:most]) + "…"
	}
	return strconv.Quote(name)
}

// scanner reads JSON from left to right.
type scanner struct {
	b  []byte
	at int
}

func (s *scanner) space() {
	for s.at < len(s.b) {
		switch s.b[s.at] {
		case ' ', '\t', '\n', '\r':
			s.at++
		default:
			return
		}
	}
}

// take skips white space and c, if that comes next.
func (s *scanner) take(c byte) bool {
	s.space()
	if s.at < len(s.b) && s.b[s.at] == c {
		s.at++
		return true
	}
	return false
}

// wrong says that something else should come next.
func (s *scanner) wrong(want string) error {
	s.space()
	if s.at >= len(s.b) {
		return fmt.Errorf("its header is not valid JSON: it ends where %s should come", want)
	}
	return fmt.Errorf("its header is not valid JSON: byte %d is %s where %s should come", s.at, strconv.QuoteRune(rune(s.b[s.at])), want)
}

// object calls member with each key; it takes the value.
func (s *scanner) object(what string, member func(key string) error) error {
	if !s.take('{') {
		if s.space(); s.at < len(s.b) {
			return fmt.Errorf("%s is not a JSON object", what)
		}
		return s.wrong(what)
	}
	if s.take('}') {
		return nil
	}
	for {
		key, err := s.string("a name in " + what)
		if err != nil {
			return err
		}
		if !s.take(':') {
			return s.wrong("a colon")
		}
		if err := member(key); err != nil {
			return err
		}
		switch {
		case s.take('}'):
			return nil
		case !s.take(','):
			return s.wrong("a comma")
		}
	}
}

// numbers reads a list of whole numbers.
func (s *scanner) numbers(what string) (list []int64, err error) {
	if !s.take('[') {
		return nil, fmt.Errorf("%s is no list of whole numbers", what)
	}
	if s.take(']') {
		return nil, nil
	}
	for {
		s.space()
		from := s.at
		for s.at < len(s.b) && (s.b[s.at] == '-' || '0' <= s.b[s.at] && s.b[s.at] <= '9') {
			s.at++
		}
		digits := string(s.b[from:min(s.at, from+24)])
		v, err := strconv.ParseInt(digits, 10, 64)
		if errors.Is(err, strconv.ErrRange) {
			return nil, fmt.Errorf("%s has %s, which is too large", what, digits)
		}
		if err != nil || strconv.FormatInt(v, 10) != digits {
			return nil, fmt.Errorf("%s is no list of whole numbers", what)
		}
		if len(list) == maxRank {
			return nil, fmt.Errorf("%s has more than %d numbers", what, maxRank)
		}
		list = append(list, v)
		switch {
		case s.take(']'):
			return list, nil
		case !s.take(','):
			return nil, fmt.Errorf("%s is no list of whole numbers", what)
		}
	}
}

// string reads a string.
func (s *scanner) string(what string) (string, error) {
	if !s.take('"') {
		if s.space(); s.at < len(s.b) {
			return "", fmt.Errorf("%s is no string", what)
		}
		return "", s.wrong(what)
	}
	from, escaped := s.at, false
	for ; s.at < len(s.b) && s.b[s.at] != '"'; s.at++ {
		switch c := s.b[s.at]; {
		case c < ' ':
			return "", s.wrong("no control character")
		case c == '\\':
			s.at++
			escaped = true
		}
	}
	if s.at >= len(s.b) {
		return "", s.wrong("the end of a string")
	}
	raw := s.b[from:s.at]
	if !utf8.Valid(raw) {
		return "", fmt.Errorf("its header is not valid JSON: the string before byte %d is not UTF-8", s.at)
	}
	s.at++
	if !escaped {
		return string(raw), nil
	}
	return unescape(raw)
}

// unescape replaces a backslash and what follows by what they stand for.
func unescape(raw []byte) (string, error) {
	var out strings.Builder
	out.Grow(len(raw))
	for {
		i := bytes.IndexByte(raw, '\\')
		if i < 0 {
			out.Write(raw)
			return out.String(), nil
		}
		out.Write(raw[:i])
		raw = raw[i:]
		if k := bytes.IndexByte([]byte(`"\/bfnrt`), raw[1]); k >= 0 {
			out.WriteByte("\"\\/\b\f\n\r\t"[k])
			raw = raw[2:]
			continue
		}
		r, n := unicode4(raw), 6
		if utf16.IsSurrogate(r) {
			r, n = utf16.DecodeRune(r, unicode4(raw[n:])), 12
		}
		if r < 0 || n == 12 && r == utf8.RuneError {
			return "", fmt.Errorf("its header is not valid JSON: %q is no escape", raw[:min(6, len(raw))])
		}
		out.WriteRune(r)
		raw = raw[n:]
	}
}

// unicode4 reads the \uXXXX that b begins with; -1: it does not.
func unicode4(b []byte) rune {
	if len(b) < 6 || b[0] != '\\' || b[1] != 'u' {
		return -1
	}
	v, err := strconv.ParseUint(string(b[2:6]), 16, 16)
	if err != nil {
		return -1
	}
	return rune(v)
}
