package listing

import (
	"bufio"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"hash/crc64"
	"maps"
	"math"
	"os"
	"slices"
	"strings"

	"vicreg/internal/durable"
)

// A list is the magic, then unsigned varints and strings (a varint and as many bytes), and
// at its end a CRC-64 (ECMA) of all before it: the root's path, the number of folders, and
// for each its path below the root, its time (signed, 0: it is to be read again) and the
// number of its names; for each name how many bytes it has in common with the one before,
// times kinds, plus its kind, and the rest of it.
const magic = "VICREGFL1\n"

var (
	table      = crc64.MakeTable(crc64.ECMA)
	errNowhere = errors.New("there is no folder for what programs keep")
)

// hash is a name for what is kept of a path.
func hash(path string) string {
	sum := sha256.Sum256([]byte(path))
	return hex.EncodeToString(sum[:12])
}

// summed writes to a file and sums up what it writes.
type summed struct {
	out *bufio.Writer
	sum uint64
	err error
}

func (w *summed) bytes(b []byte) {
	w.sum = crc64.Update(w.sum, table, b)
	if _, err := w.out.Write(b); w.err == nil {
		w.err = err
	}
}

// write writes the list of the tree.
func (t *Tree) write(path string) error {
	file, err := durable.Create(path)
	if err != nil {
		return err
	}
	defer file.Discard()
	w := &summed{out: bufio.NewWriterSize(file, 1<<20)}
	w.bytes([]byte(magic))
	var b []byte
	text := func(s string) { b = append(binary.AppendUvarint(b, uint64(len(s))), s...) }
	text(t.root)
	b = binary.AppendUvarint(b, uint64(len(t.folders)))
	for _, rel := range slices.Sorted(maps.Keys(t.folders)) {
		f := t.folders[rel]
		text(rel)
		if f.err != nil {
			f = &folder{}
		}
		b = binary.AppendVarint(b, f.time)
		b = binary.AppendUvarint(b, uint64(len(f.entries)))
		last := ""
		for _, e := range f.entries {
			same := 0
			for same < min(len(last), len(e.Name)) && last[same] == e.Name[same] {
				same++
			}
			b = binary.AppendUvarint(b, uint64(same)*uint64(kinds)+uint64(e.Kind))
			text(e.Name[same:])
			last = e.Name
		}
		w.bytes(b)
		b = b[:0]
	}
	w.bytes(b)
	w.bytes(binary.LittleEndian.AppendUint64(nil, w.sum))
	if w.err == nil {
		w.err = w.out.Flush()
	}
	if w.err != nil {
		return durable.Reason(w.err)
	}
	return file.Commit()
}

// load reads the list at path; nil if there is none of root.
func load(path, root string) map[string]*folder {
	if path == "" {
		return nil
	}
	f, err := durable.OpenRegular(path)
	if err != nil {
		return nil
	}
	f.Close()
	raw, err := os.ReadFile(path)
	if err != nil {
		return nil
	}
	return parse(raw, root)
}

// parse is the inverse of write.
func parse(raw []byte, root string) map[string]*folder {
	end := len(raw) - 8
	if end < len(magic) || string(raw[:len(magic)]) != magic ||
		crc64.Checksum(raw[:end], table) != binary.LittleEndian.Uint64(raw[end:]) {
		return nil
	}
	r := reader{rest: raw[len(magic):end], room: unfolding * end}
	if string(r.piece()) != root {
		return nil
	}
	folders := map[string]*folder{}
	for range r.count(3) {
		rel, f := string(r.piece()), new(folder)
		f.time = r.signed()
		f.entries = make([]Entry, r.count(2))
		r.names(f.entries)
		if r.bad || !slices.IsSortedFunc(f.entries, func(a, b Entry) int { return strings.Compare(a.Name, b.Name) }) {
			return nil
		}
		folders[rel] = f
	}
	if r.bad || len(r.rest) > 0 {
		return nil
	}
	return folders
}

// longest is how long a name may be, and unfolding how many times as long as a list all
// its names may be together.
const longest, unfolding = 4096, 256

// reader takes a list apart. When it meets something impossible it sets bad, and
// everything it returns from then on is empty.
type reader struct {
	rest []byte
	room int // bytes that names may still take
	bad  bool
}

func (r *reader) fail() { r.rest, r.bad = nil, true }

// names reads the names of a folder.
func (r *reader) names(entries []Entry) {
	// Look through them for how much room they take, so that they lie in one piece.
	ahead, length, last := *r, 0, 0
	for range entries {
		same := int(ahead.number() / int64(kinds))
		last = same + len(ahead.piece())
		if length += last; last > longest || length > r.room || ahead.bad {
			r.fail()
			return
		}
	}
	r.room -= length
	var all strings.Builder
	all.Grow(length)
	before := ""
	for i := range entries {
		v := r.number()
		same := int(v / int64(kinds))
		if same > len(before) {
			r.fail()
			return
		}
		at := all.Len()
		all.WriteString(before[:same])
		all.Write(r.piece())
		before = all.String()[at:]
		entries[i] = Entry{before, Kind(v % int64(kinds))}
		if before == "" || before == "." || before == ".." || strings.ContainsAny(before, "/\x00") {
			r.fail()
			return
		}
	}
}

func (r *reader) number() int64 {
	v, n := binary.Uvarint(r.rest)
	if n <= 0 || v > math.MaxInt32 {
		r.fail()
		return 0
	}
	r.rest = r.rest[n:]
	return int64(v)
}

func (r *reader) signed() int64 {
	v, n := binary.Varint(r.rest)
	if n <= 0 {
		r.fail()
		return 0
	}
	r.rest = r.rest[n:]
	return v
}

// count reads a number of things that take size bytes or more each.
func (r *reader) count(size int64) int {
	n := r.number()
	if n > int64(len(r.rest))/size {
		r.fail()
		return 0
	}
	return int(n)
}

func (r *reader) piece() []byte {
	n := r.count(1)
	b := r.rest[:n]
	r.rest = r.rest[n:]
	return b
}
