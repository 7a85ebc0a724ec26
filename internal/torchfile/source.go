package torchfile

import (
	"bufio"
	"io"
	"strings"
)

// source is the bytes of a pickle, of which it is known how many are left.
type source struct {
	r    *bufio.Reader
	size int64
	left int64
	err  error // the first
}

func newSource(r io.ReaderAt, at, size int64) *source {
	return &source{r: bufio.NewReaderSize(io.NewSectionReader(r, at, size), 16<<10), size: size, left: size}
}

// at returns how many bytes were taken.
func (s *source) at() int64 { return s.size - s.left }

func (s *source) cut() {
	if s.err == nil {
		s.err = flaw("was cut short in its list of tensors: " + again)
	}
}

func (s *source) byte() byte {
	if b := s.take(1); len(b) == 1 {
		return b[0]
	}
	return 0
}

// take returns the next n bytes, of which there are at most a few thousand. They are
// valid until the next call. After an error there are none.
func (s *source) take(n int) []byte {
	if s.err != nil || int64(n) > s.left {
		s.cut()
		return nil
	}
	b, err := s.r.Peek(n)
	if err != nil {
		if s.err = err; err == io.EOF {
			s.err = nil
			s.cut()
		}
		return nil
	}
	s.r.Discard(n)
	s.left -= int64(n)
	return b
}

// skip passes over n bytes.
func (s *source) skip(n uint64) {
	if s.err != nil || s.left < 0 || n > uint64(s.left) {
		s.cut()
		return
	}
	for n > 0 && s.err == nil {
		some := min(n, 8<<10)
		s.take(int(some))
		n -= some
	}
}

// uint returns a number of n bytes, the lowest first.
func (s *source) uint(n int) (v uint64) {
	for i, x := range s.take(n) {
		v |= uint64(x) << (8 * i)
	}
	return v
}

// line returns the bytes up to the end of the line.
func (s *source) line() string {
	b, err := s.r.Peek(int(min(longest, s.left)))
	for i, x := range b {
		if x == '\n' {
			return strings.TrimSuffix(string(s.take(i+1)), "\n")
		}
	}
	switch {
	case s.err != nil:
	case err != nil && err != io.EOF:
		s.err = err
	case len(b) < longest:
		s.cut()
	default:
		s.err = flawf("is damaged: its list of tensors has a line of more than %d bytes at byte %d", longest, s.at())
	}
	return ""
}
