package index

import (
	"bytes"
	"encoding/binary"
	"math"
	"slices"
)

// contents is the table of contents, the inverse of parse.
func (f *File) contents() []byte {
	var b bytes.Buffer
	number := func(v int) { b.Write(binary.AppendUvarint(nil, uint64(v))) }
	text := func(s string) {
		number(len(s))
		b.WriteString(s)
	}
	double := func(v float64) { b.Write(binary.LittleEndian.AppendUint64(nil, math.Float64bits(v))) }
	m := &f.Model
	for _, s := range []string{m.Path, m.Sum, m.Method, m.Arch, m.Precision} {
		text(s)
	}
	number(m.Size)
	number(m.Channels)
	for _, list := range [][]float64{m.Mean, m.Std} {
		number(len(list))
		for _, v := range list {
			double(v)
		}
	}
	for _, s := range []string{f.Dataset, f.Source, f.Root} {
		text(s)
	}
	number(len(f.Classes))
	for _, c := range f.Classes {
		text(c)
	}
	number(f.D)
	number(len(f.Items))
	number(f.Lists)
	if f.Lists > 0 {
		number(f.Probe)
		double(f.Recall)
		for _, n := range f.lengths {
			number(n)
		}
		for _, v := range f.centroids {
			b.Write(binary.LittleEndian.AppendUint32(nil, math.Float32bits(v)))
		}
		for _, v := range f.order {
			b.Write(binary.LittleEndian.AppendUint32(nil, v))
		}
	}
	for _, v := range f.sums {
		b.Write(binary.LittleEndian.AppendUint32(nil, v))
	}
	for _, i := range f.Items {
		text(i.Name)
		text(i.File)
		number(i.Label + 1)
	}
	return b.Bytes()
}

// parse reads a table of contents of a file that has so many bytes of features.
func (f *File) parse(contents []byte, features int64) bool {
	r := reader{rest: contents}
	m := &f.Model
	for _, s := range []*string{&m.Path, &m.Sum, &m.Method, &m.Arch, &m.Precision} {
		*s = r.string()
	}
	m.Size, m.Channels = r.number(), r.number()
	for _, list := range []*[]float64{&m.Mean, &m.Std} {
		for range r.count(8, 1<<10) {
			*list = append(*list, r.double())
		}
	}
	for _, s := range []*string{&f.Dataset, &f.Source, &f.Root} {
		*s = r.string()
	}
	for range r.count(1, mostClasses) {
		f.Classes = append(f.Classes, r.string())
	}
	f.D = r.number()
	n := r.count(3, math.MaxInt32)
	if r.bad || f.D < 1 || f.D > mostDim || n < 1 || 4*int64(n)*int64(f.D) != features {
		return false
	}
	f.lengths = []int{n}
	f.Lists = r.count(1+4*f.D, n)
	if f.Lists > 0 && !f.parseLists(&r, n) {
		return false
	}
	f.cut()
	for range len(f.blocks) {
		f.sums = append(f.sums, r.word())
	}
	if r.bad {
		return false
	}
	f.Items = make([]Item, 0, n)
	for range n {
		i := Item{Name: r.string(), File: r.string(), Label: r.number() - 1}
		if r.bad || i.Label >= len(f.Classes) {
			return false
		}
		f.Items = append(f.Items, i)
	}
	return len(r.rest) == 0
}

// parseLists reads what is there of the groups of n images.
func (f *File) parseLists(r *reader, n int) bool {
	f.Probe, f.Recall = r.number(), r.double()
	if r.bad || f.Probe < 1 || f.Probe > f.Lists || !(f.Recall >= 0 && f.Recall <= 1) {
		return false
	}
	f.lengths = make([]int, f.Lists)
	left := n
	for i := range f.lengths {
		f.lengths[i] = r.number()
		if f.lengths[i] > left {
			return false
		}
		left -= f.lengths[i]
	}
	if r.bad || left != 0 || len(r.rest)/4 < f.Lists*f.D+n {
		return false
	}
	f.centroids = make([]float32, f.Lists*f.D)
	for i := range f.centroids {
		v := math.Float32frombits(r.word())
		if v-v != 0 {
			return false
		}
		f.centroids[i] = v
	}
	f.order = make([]uint32, n)
	seen := make([]bool, n)
	for i := range f.order {
		v := r.word()
		if int64(v) >= int64(n) || seen[v] {
			return false
		}
		f.order[i], seen[v] = v, true
	}
	return true
}

// reader takes a table of contents apart. When it meets something impossible it sets
// bad, and everything it returns from then on is empty.
type reader struct {
	rest []byte
	bad  bool
}

func (r *reader) fail() {
	r.rest, r.bad = nil, true
}

func (r *reader) number() int {
	v, n := binary.Uvarint(r.rest)
	if n <= 0 || v > math.MaxInt32 {
		r.fail()
		return 0
	}
	r.rest = r.rest[n:]
	return int(v)
}

// count reads a number of things, at most most, that take size bytes or more each.
func (r *reader) count(size, most int) int {
	n := r.number()
	if n > most || n > len(r.rest)/size {
		r.fail()
		return 0
	}
	return n
}

func (r *reader) string() string {
	n := r.count(1, math.MaxInt32)
	s := string(r.rest[:n])
	r.rest = r.rest[n:]
	return s
}

func (r *reader) word() uint32 {
	if len(r.rest) < 4 {
		r.fail()
		return 0
	}
	v := binary.LittleEndian.Uint32(r.rest)
	r.rest = r.rest[4:]
	return v
}

func (r *reader) double() float64 {
	if len(r.rest) < 8 {
		r.fail()
		return 0
	}
	v := math.Float64frombits(binary.LittleEndian.Uint64(r.rest))
	r.rest = r.rest[8:]
	return v
}

// Differs says what another model has that the one which made the features has not: what
// is wrong with comparing its features with these. Empty: nothing.
func (m *Model) Differs(other *Model) string {
	switch {
	case m.Sum != other.Sum:
		return "its weights have the checksum " + m.Sum + ", not " + other.Sum
	case m.Arch != other.Arch:
		return "its encoder is " + m.Arch + ", not " + other.Arch
	case m.Size != other.Size || m.Channels != other.Channels:
		return "its inputs have another size"
	case !slices.Equal(m.Mean, other.Mean) || !slices.Equal(m.Std, other.Std):
		return "its inputs are normalised otherwise"
	}
	return ""
}
