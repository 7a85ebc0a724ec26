package shard

import (
	"encoding/binary"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"

	"vicreg/internal/durable"
	"vicreg/internal/ledger"
)

// A list of a shard's files is kept in a file of its own, in the form of package ledger: the
// shard's path, size and time, the counts, the number of different endings and each, the
// number of samples, and for each its key, the number of files, and for each of these
// whether its name is other than key, dot and ending (then the name), the number of its
// ending, how far it begins after the end of the file before (zigzag), its size, and if
// its ending is one of told, its text.
const magic = "VICREGTL3\n"

// Cache is the folder that lists are kept in; empty: there is none.
func Cache() string { return ledger.Folder("shards") }

// Opened says what Open had to do.
type Opened struct {
	Listed int    // shards whose headers were read
	Kept   bool   // lists of them were kept,
	Folder string // in this folder,
	Err    error  // or were not, for this reason
}

// Open lists what some shards hold and hands each list to use, by its place among them, on
// several goroutines at once. Lists that were kept are taken where they are still right;
// others are made anew and kept. watch, which may be nil, is called after each shard; an error
// of it ends that.
func Open(shards []*Shard, use func(i int, l *Listing) error, watch func(done, total int) error) (Opened, error) {
	o := Opened{Folder: Cache()}
	if o.Folder != "" {
		if err := os.MkdirAll(o.Folder, 0o777); err != nil {
			o.Folder, o.Err = "", durable.Reason(err)
		}
	} else {
		o.Err = errors.New("there is no folder for what programs keep")
	}
	var next, listed, done atomic.Int64
	var mu sync.Mutex
	errs := make([]error, len(shards))
	var failed atomic.Bool
	var wg sync.WaitGroup
	for range min(len(shards), max(4, 2*runtime.GOMAXPROCS(0))) { // that wait for the disk
		wg.Go(func() {
			for !failed.Load() {
				i := int(next.Add(1) - 1)
				if i >= len(shards) {
					return
				}
				l, fresh, err := shards[i].listing(o.Folder)
				if err == nil {
					err = use(i, l)
				}
				if errs[i] = err; err != nil {
					failed.Store(true)
					return
				}
				if fresh {
					listed.Add(1)
					if err := shards[i].keep(o.Folder, l); err != nil {
						mu.Lock()
						o.Err = err
						mu.Unlock()
					}
				}
				if n := int(done.Add(1)); watch != nil {
					mu.Lock()
					if errs[i] = watch(n, len(shards)); errs[i] != nil {
						failed.Store(true)
					}
					mu.Unlock()
				}
			}
		})
	}
	wg.Wait()
	o.Listed = int(listed.Load())
	if o.Kept = o.Listed > 0 && o.Err == nil; o.Kept {
		ledger.Prune(o.Folder)
	}
	for _, err := range errs {
		if err != nil {
			return o, err
		}
	}
	return o, nil
}

// listing takes the list from the cache, or makes it.
func (s *Shard) listing(folder string) (l *Listing, fresh bool, err error) {
	info, err := os.Stat(s.Path)
	if err != nil {
		return nil, false, s.reasonOf(err)
	}
	if !info.Mode().IsRegular() {
		return nil, false, s.reasonOf(errors.New("this is " + durable.Kind(info.Mode()) + ", and a shard is a file"))
	}
	s.size, s.time = info.Size(), info.ModTime().UnixNano()
	if path := s.kept(folder); path != "" {
		if contents, ok := ledger.Open(path, magic); ok {
			if l := s.parse(contents); l != nil {
				return l, false, nil
			}
		}
	}
	l, err = s.list()
	return l, true, err
}

// kept is where the shard's list is kept; empty: nowhere.
func (s *Shard) kept(folder string) string {
	abs, err := filepath.Abs(s.Path)
	if folder == "" || err != nil {
		return ""
	}
	return ledger.Path(folder, abs)
}

func (s *Shard) keep(folder string, l *Listing) error {
	path := s.kept(folder)
	if path == "" {
		return nil
	}
	w, err := ledger.Create(path, magic)
	if err != nil {
		return err
	}
	defer w.Discard()
	w.Write(s.format(l))
	return w.Commit()
}

// format is the inverse of parse.
func (s *Shard) format(l *Listing) []byte {
	abs, _ := filepath.Abs(s.Path)
	var b []byte
	number := func(v int64) { b = binary.AppendUvarint(b, uint64(v)) }
	text := func(s string) { b = ledger.Text(b, s) }
	text(abs)
	number(s.size)
	b = binary.AppendVarint(b, s.time)
	for _, n := range l.Counts.all() {
		number(int64(*n))
	}
	index := map[string]int{}
	var ends []string
	for _, sample := range l.Samples {
		for _, f := range sample.Fields {
			if _, ok := index[f.End]; !ok {
				index[f.End] = len(ends)
				ends = append(ends, f.End)
			}
		}
	}
	number(int64(len(ends)))
	for _, end := range ends {
		text(end)
	}
	number(int64(len(l.Samples)))
	at := int64(0)
	for _, sample := range l.Samples {
		text(sample.Key)
		number(int64(len(sample.Fields)))
		for _, f := range sample.Fields {
			name := int64(2 * index[f.End])
			if f.Name == "" {
				number(name)
			} else {
				number(name + 1)
				text(f.Name)
			}
			b = binary.AppendVarint(b, f.At-at)
			number(f.Size)
			at = f.At + f.Size
			if slices.Contains(told, f.End) {
				text(f.Text)
			}
		}
	}
	return b
}

// all are the counts in a fixed order.
func (c *Counts) all() []*int {
	return []*int{&c.Nameless, &c.Hidden, &c.Meta, &c.Twice, &c.Links, &c.Unended, &c.Beyond}
}

// parse reads a list; nil if it is not one of the shard as it is now.
func (s *Shard) parse(contents []byte) *Listing {
	r := ledger.Reader{Rest: contents}
	abs, _ := filepath.Abs(s.Path)
	if r.Text() != abs || r.Number() != s.size || r.Signed() != s.time {
		return nil
	}
	l := new(Listing)
	for _, n := range l.Counts.all() {
		*n = int(r.Number())
	}
	ends := make([]string, r.Count(1))
	for i := range ends {
		ends[i] = r.Text()
	}
	l.Samples = make([]Sample, r.Count(5))
	// All fields lie in one array. There is room for one each to begin with.
	fields := make([]Field, 0, len(l.Samples))
	at := int64(0)
	for i := range l.Samples {
		sample := &l.Samples[i]
		sample.Key = r.Text()
		from := len(fields)
		for range r.Count(3) {
			kind := r.Number()
			if kind/2 >= int64(len(ends)) {
				return nil
			}
			f := Field{End: ends[kind/2]}
			if kind%2 == 1 {
				f.Name = r.Text()
			}
			f.At = at + r.Signed()
			f.Size = r.Number()
			if r.Bad || f.At < 0 || f.At > s.size || f.Size > s.size-f.At {
				return nil
			}
			at = f.At + f.Size
			if slices.Contains(told, f.End) {
				f.Text = r.Text()
			}
			fields = append(fields, f)
		}
		sample.Fields = fields[from:len(fields):len(fields)]
	}
	if !r.Whole() {
		return nil
	}
	return l
}
