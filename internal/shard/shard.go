// Package shard reads tar files of many small files, as WebDataset lays them out, without
// unpacking them. [Names] writes out a pattern such as train-{0000..1023}.tar, [Open]
// lists what each shard holds, and a [Member] reads one file of it.
//
// Files whose names are the same up to the first dot after the last slash are one sample,
// and what follows that dot, in small letters, says what each of them is: n01/12.jpg and
// n01/12.cls are the image and the class of n01/12. (webdataset/tariterators.py,
// base_plus_ext and group_by_keys.) Here the files of a sample may lie anywhere in their
// shard. Of several files with one name the last counts, as where tar unpacks them.
//
// Where each file lies in a shard is found once, by reading all headers, and kept in the
// user's cache folder: see [Cache]. The list is as good as the size and the modification
// time of the shard that it was made of.
package shard

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"sync"
	"sync/atomic"

	"vicreg/internal/durable"
	"vicreg/internal/imagefile"
	"vicreg/internal/show"
)

// Shard is a tar file.
type Shard struct {
	Path string
	Name string // what people call it

	size, time int64 // of the file when it was listed; the time in nanoseconds

	file  atomic.Pointer[os.File] // open from the first look on, if it may be
	first sync.Mutex              // is held to open it
}

// Sample is some files of a shard that belong together.
type Sample struct {
	Key    string // what their names have in common
	Fields []Field
}

// Field is one file of a sample.
type Field struct {
	Name string // in the shard; empty: key, dot and ending
	End  string // of the name, after the key and a dot, in small letters
	At   int64  // where its bytes begin
	Size int64
	Text string // its bytes, of an ending in Told, if they are few
}

// Told are the endings of files that are kept whole with the list of a shard's files.
var told = []string{"cls"}

// mostTold is how long such a file may be.
const mostTold = 64

// NameOf is the name of a file of the sample.
func (s *Sample) NameOf(f *Field) string {
	if f.Name != "" {
		return f.Name
	}
	return s.Key + "." + f.End
}

// Field returns the file of an ending, nil if there is none.
func (s *Sample) Field(end string) *Field {
	for i := range s.Fields {
		if s.Fields[i].End == end {
			return &s.Fields[i]
		}
	}
	return nil
}

// Listing is what a shard holds.
type Listing struct {
	Samples []Sample // in the order of their first files
	Counts
}

// Counts are of what a shard holds besides.
type Counts struct {
	Nameless int // files whose names have no key or no ending
	Hidden   int // files in hidden folders or in those of systems, or files of systems
	Meta     int // files in a folder with a name such as __index__, which belong to no sample
	Twice    int // files that a later one of the same name replaces
	Links    int // links, devices and pipes
	Unended  int // 1: there is no end mark
	Beyond   int // 1: something follows the end mark
}

// Add adds other counts.
func (c *Counts) Add(o Counts) {
	c.Nameless += o.Nameless
	c.Hidden += o.Hidden
	c.Meta += o.Meta
	c.Twice += o.Twice
	c.Links += o.Links
	c.Unended += o.Unended
	c.Beyond += o.Beyond
}

// Notes says what is counted, a sentence each.
func (c *Counts) Notes() []string {
	var notes []string
	note := func(n int, one, more string) {
		if n > 0 {
			notes = append(notes, show.Plural(n, one, more))
		}
	}
	note(c.Nameless, "file in the shards belongs to no sample, as its name has no ending or begins with a dot",
		"files in the shards belong to no sample, as their names have no ending or begin with a dot")
	note(c.Hidden, "file in the shards is not read, as it lies in a hidden folder or in one of a system (.x, @eaDir)",
		"files in the shards are not read, as they lie in hidden folders or in those of systems (.x, @eaDir)")
	note(c.Meta, "file in the shards belongs to no sample, as its first folder is called as __this__ is",
		"files in the shards belong to no sample, as their first folders are called as __this__ is")
	note(c.Twice, "file in the shards has the name of a later one, which counts",
		"files in the shards have the names of later ones, which count")
	note(c.Links, "link, device or pipe in the shards is not read", "links, devices or pipes in the shards are not read")
	note(c.Unended, "shard has no end mark, so it may be cut short between two files",
		"shards have no end mark, so they may be cut short between two files")
	note(c.Beyond, "shard goes on after its end mark, and what follows is not read; write it as one archive",
		"shards go on after their end marks, and what follows is not read; write each as one archive")
	return notes
}

// Member is a file within a shard.
type Member struct {
	Shard *Shard
	At    int64
	Size  int64
}

// ReadAt reads from the member's bytes.
func (m *Member) ReadAt(p []byte, at int64) (int, error) {
	if at >= m.Size {
		return 0, io.EOF
	}
	cut := false
	if most := m.Size - at; int64(len(p)) > most {
		p, cut = p[:most], true
	}
	n, err := m.Shard.readAt(p, m.At+at)
	if err == nil && cut {
		err = io.EOF
	}
	return n, err
}

// Read returns the member's bytes, of which there must not be more than most. Errors do
// not name the shard.
func (m *Member) Read(most int64) ([]byte, error) {
	if m.Size > most {
		return nil, fmt.Errorf("the file has %d bytes; at most %d are read", m.Size, most)
	}
	raw := make([]byte, m.Size)
	if len(raw) == 0 {
		return raw, nil
	}
	n, err := m.ReadAt(raw, 0)
	if n < len(raw) {
		return nil, err
	}
	return raw, nil
}

// Hold decodes the member as an image, see [imagefile.HoldAt].
func (m *Member) Hold(name string, limits imagefile.Limits, buf *[]byte) (imagefile.Image, *imagefile.Held, error) {
	return imagefile.HoldAt(name, m, m.Size, limits, buf)
}

// Stat returns the size of the image that the member is, see [imagefile.StatAt].
func (m *Member) Stat(name string, limits imagefile.Limits) (w, h int, err error) {
	return imagefile.StatAt(name, m, m.Size, limits)
}

// Large is [imagefile.LargeAt] of the member.
func (m *Member) Large() bool { return imagefile.LargeAt(m, m.Size) }

// mostOpen is how many shards stay open. Others are opened for each file that is read.
const mostOpen = 256

var opened atomic.Int32

// readAt reads from the shard if it is as it was when it was listed.
func (s *Shard) readAt(p []byte, at int64) (int, error) {
	f := s.file.Load()
	if f == nil {
		var err error
		var stays bool
		if f, stays, err = s.open(); err != nil {
			return 0, err
		}
		if !stays {
			defer f.Close()
		}
	}
	info, err := f.Stat()
	if err != nil {
		return 0, durable.Reason(err)
	}
	if info.Size() != s.size || info.ModTime().UnixNano() != s.time {
		return 0, errors.New("the shard was changed since its files were listed; start again")
	}
	n, err := f.ReadAt(p, at)
	if n < len(p) && (err == nil || err == io.EOF) {
		err = errors.New("the shard was cut short while it was in use")
	} else if n == len(p) {
		err = nil
	}
	return n, durable.Reason(err)
}

// open opens the shard, and leaves it open if not too many others are.
func (s *Shard) open() (f *os.File, stays bool, err error) {
	s.first.Lock()
	defer s.first.Unlock()
	if f = s.file.Load(); f != nil {
		return f, true, nil
	}
	if f, err = durable.OpenRegular(s.Path); err != nil {
		return nil, false, durable.Reason(err)
	}
	if opened.Add(1) > mostOpen {
		opened.Add(-1)
		return f, false, nil
	}
	s.file.Store(f)
	return f, true, nil
}

// Close closes the shard's file, if it is open.
func (s *Shard) Close() {
	if f := s.file.Swap(nil); f != nil {
		f.Close()
		opened.Add(-1)
	}
}

// compressed says by what a file is compressed that begins so; empty: by nothing known.
func compressed(head string) string {
	for _, k := range []struct{ start, by string }{
		{"\x1f\x8b", "gzip"}, {"\x28\xb5\x2f\xfd", "zstd"}, {"BZh", "bzip2"}, {"\xfd7zXZ", "xz"},
		{"\x04\x22\x4d\x18", "lz4"},
	} {
		if strings.HasPrefix(head, k.start) {
			return k.by
		}
	}
	return ""
}

// reasonOf is why a shard cannot be listed, in words for people.
func (s *Shard) reasonOf(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%s: there is no such file", show.Name(s.Path))
	}
	return fmt.Errorf("%s: %w", show.Name(s.Path), durable.Reason(err))
}
