package shard

import (
	"archive/tar"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"slices"
	"strings"

	"vicreg/internal/durable"
	"vicreg/internal/listing"
	"vicreg/internal/show"
)

// mostName is how long the name of a file in a shard may be, in bytes.
const mostName = 4096

// list reads all headers of the shard.
func (s *Shard) list() (*Listing, error) {
	f, err := durable.OpenRegular(s.Path)
	if err != nil {
		return nil, s.reasonOf(err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, s.reasonOf(err)
	}
	s.size, s.time = info.Size(), info.ModTime().UnixNano()
	l, err := list(f, s.size)
	if err != nil {
		return nil, s.reasonOf(err)
	}
	return l, nil
}

// list reads all headers of a tar file of size bytes.
func list(r io.ReaderAt, size int64) (*Listing, error) {
	in := &seeker{r: r, size: size}
	head := make([]byte, min(512, size))
	if _, err := io.ReadFull(in, head); err != nil {
		return nil, err
	}
	switch by := compressed(string(head)); {
	case size == 0:
		return nil, errors.New("the file is empty; a shard is a tar file")
	case by != "":
		return nil, fmt.Errorf("this archive is compressed by %s, so single files of it cannot be reached; unpack it, or take off the compression if it is a shard", by)
	}
	in.Seek(0, io.SeekStart)
	g := grouper{at: map[string]int{}}
	archive := tar.NewReader(in)
	for n := 0; ; n++ {
		h, err := archive.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			return nil, broken(err, n, in.at)
		}
		if err := g.add(h, in.at, size); err != nil {
			return nil, err
		}
	}
	if err := g.ending(in); err != nil {
		return nil, err
	}
	return g.listing(r)
}

// broken words an error of the archive's n-th header.
func broken(err error, n int, at int64) error {
	switch {
	case errors.Is(err, io.ErrUnexpectedEOF):
		return fmt.Errorf("this shard is cut short after %s; fetch or write it again", show.Count(n, "file"))
	case errors.Is(err, tar.ErrHeader) && n == 0:
		return errors.New("this is no tar file, or its beginning is damaged")
	case errors.Is(err, tar.ErrHeader), errors.Is(err, tar.ErrFieldTooLong):
		return fmt.Errorf("this shard is damaged at about byte %d, after %s; fetch or write it again", at, show.Count(n, "file"))
	}
	return durable.Reason(err)
}

// grouper sorts files into samples.
type grouper struct {
	Listing
	at   map[string]int // place of each sample, by its key
	last string         // key of the sample that was added to last, and its place
	next int
}

// add takes in a header, after which the file's bytes begin at place at.
func (g *grouper) add(h *tar.Header, at, size int64) error {
	switch h.Typeflag {
	case tar.TypeReg, tar.TypeCont:
	case tar.TypeDir, tar.TypeXGlobalHeader:
		return nil
	case tar.TypeGNUSparse:
		return sparse(h.Name)
	default:
		g.Links++
		return nil
	}
	for key := range h.PAXRecords {
		if strings.HasPrefix(key, "GNU.sparse.") {
			return sparse(h.Name)
		}
	}
	name := h.Name
	for strings.HasPrefix(name, "./") {
		name = strings.TrimLeft(name[2:], "/")
	}
	switch {
	case len(name) > mostName:
		return fmt.Errorf("the name of a file in this shard has %d bytes, more than %d, so it is not read", len(name), mostName)
	case strings.HasPrefix(name, "/"), strings.Contains(name, "\x00"), slices.Contains(strings.FieldsFunc(name, slash), ".."),
		len(name) > 2 && name[1] == ':' && slash(rune(name[2])):
		return fmt.Errorf("the file %s in this shard would lie outside the folder it is unpacked in, so the shard is not read; write it with names below that folder", show.Name(h.Name))
	case h.Size < 0 || at > size || h.Size > size-at:
		return fmt.Errorf("%s is to have %d bytes, but the shard ends before; fetch or write it again", show.Name(h.Name), h.Size)
	}
	switch {
	case hidden(name):
		g.Hidden++
		return nil
	case meta(name):
		if strings.Contains(name, "/") {
			g.Meta++
		}
		return nil
	}
	key, end := split(name)
	if key == "" {
		g.Nameless++
		return nil
	}
	i := g.next
	if key != g.last {
		var ok bool
		if i, ok = g.at[key]; !ok {
			i = len(g.Samples)
			g.at[key] = i
			g.Samples = append(g.Samples, Sample{Key: key})
		}
		g.last, g.next = key, i
	}
	f := Field{End: end, At: at, Size: h.Size}
	if name != key+"."+end {
		f.Name = name
	}
	if old := g.Samples[i].Field(end); old != nil {
		g.Twice++
		*old = f
		return nil
	}
	g.Samples[i].Fields = append(g.Samples[i].Fields, f)
	return nil
}

func slash(r rune) bool { return r == '/' || r == '\\' }

func sparse(name string) error {
	return fmt.Errorf("%s is kept with holes (sparse), which is not read; write the shard without --sparse", show.Name(name))
}

// hidden reports whether a file lies in a folder that is none of the user's own, or is such a file of a
// system. What begins with a dot itself has no key.
func hidden(name string) bool {
	dir, base := path.Split(name)
	for folder := range strings.SplitSeq(dir, "/") {
		if folder != "." && listing.Hidden(folder) {
			return true
		}
	}
	return !strings.HasPrefix(base, ".") && listing.Hidden(base)
}

// meta reports whether a file belongs to no sample: its name, or that of its first
// folder, begins and ends with two underlines. (webdataset/tariterators.py,
// tar_file_iterator.)
func meta(name string) bool {
	first, _, _ := strings.Cut(name, "/")
	return len(first) >= 4 && strings.HasPrefix(first, "__") && strings.HasSuffix(first, "__")
}

// split returns the key of a name, up to the first dot after the last slash, and the
// ending in small letters; nothing if there is no key or no dot.
func split(name string) (key, end string) {
	dir, base := path.Split(name)
	stem, end, ok := strings.Cut(base, ".")
	if !ok || stem == "" {
		return "", ""
	}
	return name[:len(dir)+len(stem)], strings.ToLower(end)
}

// ending looks at what follows the archive.
func (g *grouper) ending(in *seeker) error {
	const block = 512
	var last [block]byte
	at := min(in.at, in.size)
	if n, err := in.r.ReadAt(last[:], max(0, at-block)); err != nil && n < block {
		return durable.Reason(err)
	}
	if last != [block]byte{} {
		g.Unended = 1
		return nil
	}
	rest := make([]byte, min(64<<10, in.size-at))
	if n, err := in.r.ReadAt(rest, at); n < len(rest) {
		return durable.Reason(err)
	}
	if slices.ContainsFunc(rest, func(b byte) bool { return b != 0 }) {
		g.Beyond = 1
	}
	return nil
}

// listing fills in the bytes of the files that are kept whole.
func (g *grouper) listing(r io.ReaderAt) (*Listing, error) {
	for i := range g.Samples {
		for j := range g.Samples[i].Fields {
			f := &g.Samples[i].Fields[j]
			if f.Size == 0 || f.Size > mostTold || !slices.Contains(told, f.End) {
				continue
			}
			raw := make([]byte, f.Size)
			if n, err := r.ReadAt(raw, f.At); n < len(raw) {
				return nil, durable.Reason(err)
			}
			f.Text = string(raw)
		}
	}
	return &g.Listing, nil
}

// seeker reads and passes over the bytes behind r. It reads some bytes ahead, since the
// headers of small files lie side by side.
type seeker struct {
	r        io.ReaderAt
	size, at int64
	buf      []byte
	from     int64 // place of buf
}

func (s *seeker) Read(p []byte) (int, error) {
	if s.at >= s.size {
		return 0, io.EOF
	}
	if s.at < s.from || s.at >= s.from+int64(len(s.buf)) {
		const ahead = 4 << 10
		if cap(s.buf) == 0 {
			s.buf = make([]byte, ahead)
		}
		s.buf = s.buf[:min(ahead, s.size-s.at)]
		s.from = s.at
		if n, err := s.r.ReadAt(s.buf, s.at); n < len(s.buf) {
			s.buf = s.buf[:0]
			if err == io.EOF {
				err = io.ErrUnexpectedEOF
			}
			return 0, err
		}
	}
	n := copy(p, s.buf[s.at-s.from:])
	s.at += int64(n)
	return n, nil
}

func (s *seeker) Seek(offset int64, whence int) (int64, error) {
	switch whence {
	case io.SeekCurrent:
		offset += s.at
	case io.SeekEnd:
		offset += s.size
	}
	if offset < 0 {
		return 0, os.ErrInvalid
	}
	s.at = offset
	return offset, nil
}
