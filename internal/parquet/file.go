// Package parquet reads images and their labels out of Parquet files as Hugging Face's
// datasets lays them out: a column of images, each a group of bytes and path, and a column
// of classes, whose names the file's metadata have. [Open] reads what a file holds, and a
// [Row] decodes one image.
//
// The library github.com/parquet-go/parquet-go decodes metadata. Pages are taken apart
// here, as no library bounds the memory for them by the bytes that a file has.
//
// An image is not reached alone: images are compressed by the page, and where a
// dictionary is used, by the row group. What must be read at once is a run. [Row.Near]
// tells which rows are of one run, so that they are read one soon after the other; the
// runs that were read last are kept, see [mostKept].
package parquet

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/parquet-go/parquet-go/deprecated"
	"github.com/parquet-go/parquet-go/format"

	"vicreg/internal/durable"
	"vicreg/internal/show"
)

// mostMeta is how long the metadata of a file may be.
const mostMeta = 16 << 20

// File is a Parquet file.
type File struct {
	Path    string
	Name    string   // what people call it
	Image   string   // the column that holds images
	Others  []string // other columns that hold images
	Columns []string // all at the top
	Rows    int

	features   map[string]feature // what the metadata of Hugging Face say
	size, time int64
	meta       metadata
	leaves     []leaf
	image      leaf
	runs       []run
}

// leaf is a column of values.
type leaf struct {
	path   []string // names of groups, and its own
	index  int      // among the columns of a row group
	kind   format.Type
	levels int  // definition levels: how many of it and the groups it is in may be missing
	many   bool // a row has any number of values
	text   bool
	signed bool // as whole numbers are if nothing else is said
}

func (l *leaf) name() string { return strings.Join(l.path, ".") }

// magic is what a file begins and ends with.
const magic = "PAR1"

// Is reports whether the file at path begins as a Parquet file does.
func Is(path string) bool { return durable.Begins(path, magic) }

// Open reads what the file at path holds, and where each image lies.
func Open(path, name string) (*File, error) {
	f := &File{Path: path, Name: name}
	file, err := durable.OpenRegular(path)
	if errors.Is(err, os.ErrInvalid) {
		err = errors.New("this is not a regular file")
	}
	if err != nil {
		return nil, f.failed(err)
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return nil, f.failed(err)
	}
	f.size, f.time = info.Size(), info.ModTime().UnixNano()
	if err := f.read(file); err != nil {
		return nil, f.failed(err)
	}
	return f, nil
}

func (f *File) failed(err error) error {
	return fmt.Errorf("%s: %w", show.Name(f.Path), durable.Reason(err))
}

// read reads the metadata of the size bytes behind r, and the headers of pages of images.
func (f *File) read(r io.ReaderAt) error {
	if err := f.readMeta(r); err != nil {
		return err
	}
	if err := f.findLeaves(); err != nil {
		return err
	}
	f.readFeatures()
	if err := f.findImages(); err != nil {
		return err
	}
	rows := int64(0)
	for i := range f.meta.RowGroups {
		n := f.meta.RowGroups[i].NumRows
		if n < 0 || n > 1<<31-1-rows {
			return errMeta
		}
		runs, err := f.runsOf(r, i, int(rows), &f.image)
		if err != nil {
			return err
		}
		f.runs = append(f.runs, runs...)
		rows += n
	}
	f.Rows = int(rows)
	if rows > max(mostValues, f.size) {
		return fmt.Errorf("this table is damaged: it is to have %d rows in %d bytes", rows, f.size)
	}
	if f.Rows == 0 {
		return errors.New("this file has no rows")
	}
	return nil
}

func (f *File) readMeta(r io.ReaderAt) error {
	const ends = len(magic) + 8 // one at the beginning, a size and one at the end
	if f.size < int64(ends) {
		return errors.New("this is no Parquet file")
	}
	var head [len(magic)]byte
	var tail [8]byte
	if err := readAt(r, head[:], 0); err != nil {
		return err
	}
	if err := readAt(r, tail[:], f.size-8); err != nil {
		return err
	}
	switch {
	case string(head[:]) == "PARE" || string(tail[4:]) == "PARE":
		return errors.New("this Parquet file is encrypted, which is not read")
	case string(head[:]) != magic:
		return errors.New("this is no Parquet file")
	case string(tail[4:]) != magic:
		return errors.New("this Parquet file is cut short; fetch or write it again")
	}
	n := int64(binary.LittleEndian.Uint32(tail[:]))
	if n > f.size-int64(ends) {
		return errors.New("this Parquet file is damaged: it is to have more metadata than bytes")
	}
	if n > mostMeta {
		return fmt.Errorf("the metadata of this Parquet file take %d MB, more than %d; write it with fewer or larger row groups", n>>20, mostMeta>>20)
	}
	raw := make([]byte, n)
	if err := readAt(r, raw, f.size-8-n); err != nil {
		return err
	}
	if _, err := verify(raw); err != nil {
		return fmt.Errorf("this Parquet file is damaged: %w", err)
	}
	if err := decode(raw, &f.meta); err != nil {
		return fmt.Errorf("this Parquet file is damaged: %w", errMeta)
	}
	return nil
}

// readAt fills p.
func readAt(r io.ReaderAt, p []byte, at int64) error {
	if n, err := r.ReadAt(p, at); n < len(p) {
		if err == nil || err == io.EOF {
			return errors.New("the file was cut short while it was read")
		}
		return err
	}
	return nil
}

// findLeaves goes through the schema, which lists groups before what is in them.
func (f *File) findLeaves() error {
	type group struct {
		left   int // children to come
		path   []string
		levels int
		many   bool
	}
	schema := f.meta.Schema
	if len(schema) == 0 || len(schema) > 1<<16 {
		return errMeta
	}
	stack := []group{{left: int(schema[0].NumChildren.V)}}
	for i := 1; i < len(schema); i++ {
		for len(stack) > 0 && stack[len(stack)-1].left == 0 {
			stack = stack[:len(stack)-1]
		}
		if len(stack) == 0 || len(stack) > deepest {
			return errMeta
		}
		top := &stack[len(stack)-1]
		top.left--
		e := &schema[i]
		in := group{path: append(slices.Clone(top.path), e.Name), levels: top.levels, many: top.many}
		switch e.RepetitionType.V {
		case format.Optional:
			in.levels++
		case format.Repeated:
			in.levels++
			in.many = true
		}
		if len(in.path) == 1 {
			f.Columns = append(f.Columns, e.Name)
		}
		if n := e.NumChildren.V; n > 0 {
			in.left = int(n)
			stack = append(stack, in)
			continue
		}
		f.leaves = append(f.leaves, leaf{path: in.path, index: len(f.leaves), kind: e.Type.V, levels: in.levels,
			many: in.many, text: e.ConvertedType.Valid || e.LogicalType.Value != nil, signed: signed(e)})
	}
	for i := range f.meta.RowGroups {
		if len(f.meta.RowGroups[i].Columns) != len(f.leaves) {
			return errMeta
		}
	}
	return nil
}

// signed reports whether a column's whole numbers may be below zero.
func signed(e *format.SchemaElement) bool {
	if t, ok := e.LogicalType.Value.(*format.IntType); ok {
		return t.IsSigned
	}
	return !e.ConvertedType.Valid || e.ConvertedType.V < deprecated.Uint8 || e.ConvertedType.V > deprecated.Uint64
}

// imageNames are of columns that are taken for images where the metadata do not tell.
var imageNames = []string{"image", "img", "picture", "photo", "jpg", "jpeg", "png", "webp", "bytes", "content", "image_bytes"}

// almost says of a column that is called as images are why it is not taken for them; empty: there is none.
func (f *File) almost() string {
	for _, l := range f.leaves {
		if !slices.Contains(imageNames, strings.ToLower(l.path[0])) {
			continue
		}
		is := "has values of another kind than bytes"
		switch {
		case l.many:
			is = "has lists, of which none is read"
		case l.text:
			is = "has texts; if they are paths, give the folder of those files as --data"
		case l.kind == format.FixedLenByteArray:
			is = "has bytes of one fixed length, which are no files of images"
		}
		return fmt.Sprintf("; %s %s", show.Name(l.name()), is)
	}
	return ""
}

// findImages finds the column of images: one that the metadata call so, or groups of
// bytes and path, or bytes under a likely name.
func (f *File) findImages() error {
	var found []leaf
	for pass := 0; pass < 3 && len(found) == 0; pass++ {
		for _, l := range f.leaves {
			group := len(l.path) == 2 && l.path[1] == "bytes"
			fits := false
			switch pass {
			case 0:
				fits = (group || len(l.path) == 1) && f.features[l.path[0]].Type == "Image"
			case 1:
				fits = group
			case 2:
				fits = len(l.path) == 1 && !l.text && slices.Contains(imageNames, strings.ToLower(l.path[0]))
			}
			if fits && l.kind == format.ByteArray && !l.many {
				found = append(found, l)
			}
		}
	}
	if len(found) == 0 {
		return fmt.Errorf("no column of this table holds images, as groups of bytes and path or as bytes called image; it has %s%s",
			show.Some(f.Columns, 8), f.almost())
	}
	f.image, f.Image = found[0], found[0].path[0]
	for _, l := range found[1:] {
		f.Others = append(f.Others, l.path[0])
	}
	return nil
}

// Size is how many bytes the file has.
func (f *File) Size() int64 { return f.size }
