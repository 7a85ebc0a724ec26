package shard

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"hash/crc64"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"

	"vicreg/internal/durable"
)

// A list of a shard's files is kept in a file of its own: the magic and a CRC-64 (ECMA)
// of what follows, which is unsigned varints and strings (a varint and as many bytes): the
// shard's path, size and time, the counts, the number of different endings and each, the
// number of samples, and for each its key, the number of files, and for each of these
// whether its name is other than key, dot and ending (then the name), the number of its
// ending, how far it begins after the end of the file before (zigzag), its size, and if
// its ending is one of told, its text.
const listMagic = "VICREGTL1\n"

var table = crc64.MakeTable(crc64.ECMA)

// Cache is the folder that lists are kept in; empty: there is none.
func Cache() string {
	dir, err := os.UserCacheDir()
	if err != nil {
		return ""
	}
	return filepath.Join(dir, "vicreg", "shards")
}

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
	o.Kept = o.Listed > 0 && o.Err == nil
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
		if raw, err := os.ReadFile(path); err == nil {
			if l := s.parse(raw); l != nil {
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
	return filepath.Join(folder, hash(abs)+".list")
}

// hash is a name for what is kept of a path.
func hash(path string) string {
	sum := sha256.Sum256([]byte(path))
	return hex.EncodeToString(sum[:12])
}

func (s *Shard) keep(folder string, l *Listing) error {
	path := s.kept(folder)
	if path == "" {
		return nil
	}
	return durable.WriteFile(path, s.format(l))
}

// format is the inverse of parse.
func (s *Shard) format(l *Listing) []byte {
	abs, _ := filepath.Abs(s.Path)
	var b []byte
	number := func(v int64) { b = binary.AppendUvarint(b, uint64(v)) }
	text := func(s string) {
		number(int64(len(s)))
		b = append(b, s...)
	}
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
	return sealed(b)
}

// all are the counts in a fixed order.
func (c *Counts) all() []*int {
	return []*int{&c.Nameless, &c.Meta, &c.Twice, &c.Links, &c.Unended, &c.Beyond}
}

// parse reads a list; nil if it is not one of the shard as it is now.
func (s *Shard) parse(raw []byte) *Listing {
	const start = len(listMagic) + 8
	if len(raw) < start || string(raw[:len(listMagic)]) != listMagic ||
		crc64.Checksum(raw[start:], table) != binary.LittleEndian.Uint64(raw[len(listMagic):]) {
		return nil
	}
	r := reader{rest: string(raw[start:])}
	abs, _ := filepath.Abs(s.Path)
	if r.text() != abs || r.number() != s.size || r.signed() != s.time {
		return nil
	}
	l := new(Listing)
	for _, n := range l.Counts.all() {
		*n = int(r.number())
	}
	ends := make([]string, r.count(1))
	for i := range ends {
		ends[i] = r.text()
	}
	l.Samples = make([]Sample, r.count(5))
	// All fields lie in one array. There is room for one each to begin with.
	fields := make([]Field, 0, len(l.Samples))
	at := int64(0)
	for i := range l.Samples {
		sample := &l.Samples[i]
		sample.Key = r.text()
		from := len(fields)
		for range r.count(3) {
			kind := r.number()
			if kind/2 >= int64(len(ends)) {
				return nil
			}
			f := Field{End: ends[kind/2]}
			if kind%2 == 1 {
				f.Name = r.text()
			}
			f.At = at + r.signed()
			f.Size = r.number()
			if r.bad || f.At < 0 || f.At > s.size || f.Size > s.size-f.At {
				return nil
			}
			at = f.At + f.Size
			if slices.Contains(told, f.End) {
				f.Text = r.text()
			}
			fields = append(fields, f)
		}
		sample.Fields = fields[from:len(fields):len(fields)]
	}
	if r.bad || r.rest != "" {
		return nil
	}
	return l
}

// reader takes a list apart. When it meets something impossible it sets bad, and
// everything it returns from then on is empty.
type reader struct {
	rest string
	bad  bool
}

func (r *reader) number() int64 {
	v, n := binary.Uvarint([]byte(r.rest[:min(len(r.rest), binary.MaxVarintLen64)]))
	if n <= 0 || v > math.MaxInt64 {
		r.rest, r.bad = "", true
		return 0
	}
	r.rest = r.rest[n:]
	return int64(v)
}

func (r *reader) signed() int64 {
	v, n := binary.Varint([]byte(r.rest[:min(len(r.rest), binary.MaxVarintLen64)]))
	if n <= 0 {
		r.rest, r.bad = "", true
		return 0
	}
	r.rest = r.rest[n:]
	return v
}

// count reads a number of things that take size bytes or more each.
func (r *reader) count(size int64) int {
	n := r.number()
	if n > int64(len(r.rest))/size {
		r.rest, r.bad = "", true
		return 0
	}
	return int(n)
}

func (r *reader) text() string {
	n := r.count(1)
	s := r.rest[:n]
	r.rest = r.rest[n:]
	return s
}

// sealed puts what a list begins with before its body.
func sealed(body []byte) []byte {
	b := make([]byte, len(listMagic)+8, len(listMagic)+8+len(body))
	copy(b, listMagic)
	binary.LittleEndian.PutUint64(b[len(listMagic):], crc64.Checksum(body, table))
	return append(b, body...)
}
