package pack

import (
	"bytes"
	"encoding/binary"
	"math"

	"vicreg/internal/imagefile"
)

// mostClasses bounds what an index of nothing but classes takes.
const mostClasses = 1 << 20

// parse reads an index. Its images must lie before place end, one after the other
// without a gap.
func (f *File) parse(index []byte, end int64) bool {
	r := reader{rest: index}
	f.Name = r.string()
	for i := r.count(1, mostClasses); i > 0; i-- {
		f.Classes = append(f.Classes, r.string())
	}
	// Each image takes a piece of the file at least.
	most := (end - headerSize + align - 1) / align
	f.Train = f.items(&r, most)
	f.Test = f.items(&r, most)
	if r.bad || len(r.rest) > 0 {
		return false
	}
	at := int64(headerSize)
	for _, s := range f.inOrder() {
		if at += padding(at); s.place != at {
			return false
		}
		at += f.room(s.pixels())
	}
	return at == end
}

// items takes a list of at most most images.
func (f *File) items(r *reader, most int64) []Stored {
	n := r.count(6, most)
	if n == 0 {
		return nil
	}
	items := make([]Stored, 0, n)
	for range n {
		s := Stored{Name: r.string(), file: f}
		label, w, h, c, kind := r.number(), r.number(), r.number(), r.number(), int64(imagefile.Byte)
		if f.version > 2 {
			kind = r.number()
		}
		place, sum := r.number(), int64(0)
		if f.version > 1 {
			sum = r.number()
		}
		const most = 1 << 24 // of a side: no product overflows
		if r.bad || label > int64(len(f.Classes)) || w < 1 || h < 1 || w > most || h > most ||
			f.version < 3 && c != 1 && c != 3 || c < 1 || c > imagefile.MostBands || kind > int64(imagefile.Float) ||
			w*h*c > math.MaxInt/4-align || sum > math.MaxUint32 {
			r.bad = true
			return nil
		}
		s.Label, s.W, s.H, s.C, s.place, s.sum = int(label)-1, int(w), int(h), int(c), place*align, uint32(sum)
		s.Type = imagefile.Type(kind)
		items = append(items, s)
	}
	return items
}

// inOrder returns all images in the order of their places. Each part is in order.
func (f *File) inOrder() []*Stored {
	all := make([]*Stored, 0, len(f.Train)+len(f.Test))
	train, test := f.Train, f.Test
	for len(train)+len(test) > 0 {
		from := &train
		if len(train) == 0 || len(test) > 0 && test[0].place < train[0].place {
			from = &test
		}
		all = append(all, &(*from)[0])
		*from = (*from)[1:]
	}
	return all
}

// reader takes an index apart. When it meets something impossible it sets bad, and
// everything it returns from then on is empty.
type reader struct {
	rest []byte
	bad  bool
}

func (r *reader) number() int64 {
	v, n := binary.Uvarint(r.rest)
	if n <= 0 || v > 1<<48 {
		r.rest, r.bad = nil, true
		return 0
	}
	r.rest = r.rest[n:]
	return int64(v)
}

// count reads a number of things, at most most, that take size bytes or more each.
func (r *reader) count(size, most int64) int64 {
	n := r.number()
	if n > most || n > int64(len(r.rest))/size {
		r.rest, r.bad = nil, true
		return 0
	}
	return n
}

func (r *reader) string() string {
	n := r.count(1, math.MaxInt)
	s := string(r.rest[:n])
	r.rest = r.rest[n:]
	return s
}

// index is the inverse of parse.
func (f *File) index(train, test []placed) []byte {
	var b bytes.Buffer
	number := func(v int64) { b.Write(binary.AppendUvarint(nil, uint64(v))) }
	text := func(s string) {
		number(int64(len(s)))
		b.WriteString(s)
	}
	text(f.Name)
	number(int64(len(f.Classes)))
	for _, c := range f.Classes {
		text(c)
	}
	for _, items := range [][]placed{train, test} {
		number(int64(len(items)))
		for _, i := range items {
			text(i.name)
			for _, v := range []int64{int64(i.label + 1), int64(i.w), int64(i.h), int64(i.c)} {
				number(v)
			}
			if f.version > 2 {
				number(int64(i.kind))
			}
			number(i.place)
			if f.version > 1 {
				number(int64(i.sum))
			}
		}
	}
	return b.Bytes()
}
