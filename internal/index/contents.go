package index

import (
	"bytes"
	"encoding/binary"
	"math"
	"slices"

	"vicreg/internal/ledger"
)

// contents is the table of contents, the inverse of parse.
func (f *File) contents() []byte {
	var b bytes.Buffer
	number := func(v int) { b.Write(binary.AppendUvarint(nil, uint64(v))) }
	text := func(s string) { b.Write(ledger.Text(nil, s)) }
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
	r := ledger.Reader{Rest: contents}
	m := &f.Model
	for _, s := range []*string{&m.Path, &m.Sum, &m.Method, &m.Arch, &m.Precision} {
		*s = r.Text()
	}
	m.Size, m.Channels = r.Int(), r.Int()
	for _, list := range []*[]float64{&m.Mean, &m.Std} {
		n := r.Count(8)
		if n > 1<<10 {
			return false
		}
		for range n {
			*list = append(*list, r.Double())
		}
	}
	for _, s := range []*string{&f.Dataset, &f.Source, &f.Root} {
		*s = r.Text()
	}
	classes := r.Count(1)
	if classes > mostClasses {
		return false
	}
	for range classes {
		f.Classes = append(f.Classes, r.Text())
	}
	f.D = r.Int()
	n := r.Count(3)
	if r.Bad || f.D < 1 || f.D > mostDim || n < 1 || 4*int64(n)*int64(f.D) != features {
		return false
	}
	f.lengths = []int{n}
	f.Lists = r.Count(1 + 4*f.D)
	if f.Lists > n || f.Lists > 0 && !f.parseLists(&r, n) {
		return false
	}
	f.cut()
	for range len(f.blocks) {
		f.sums = append(f.sums, r.Word())
	}
	if r.Bad {
		return false
	}
	f.Items = make([]Item, 0, n)
	for range n {
		i := Item{Name: r.Text(), File: r.Text(), Label: r.Int() - 1}
		if r.Bad || i.Label >= len(f.Classes) {
			return false
		}
		f.Items = append(f.Items, i)
	}
	return r.Whole()
}

// parseLists reads what is there of the groups of n images.
func (f *File) parseLists(r *ledger.Reader, n int) bool {
	f.Probe, f.Recall = r.Int(), r.Double()
	if r.Bad || f.Probe < 1 || f.Probe > f.Lists || !(f.Recall >= 0 && f.Recall <= 1) {
		return false
	}
	f.lengths = make([]int, f.Lists)
	left := n
	for i := range f.lengths {
		f.lengths[i] = r.Int()
		if f.lengths[i] > left {
			return false
		}
		left -= f.lengths[i]
	}
	if r.Bad || left != 0 || len(r.Rest)/4 < f.Lists*f.D+n {
		return false
	}
	f.centroids = make([]float32, f.Lists*f.D)
	for i := range f.centroids {
		v := math.Float32frombits(r.Word())
		if v-v != 0 {
			return false
		}
		f.centroids[i] = v
	}
	f.order = make([]uint32, n)
	seen := make([]bool, n)
	for i := range f.order {
		v := r.Word()
		if int64(v) >= int64(n) || seen[v] {
			return false
		}
		f.order[i], seen[v] = v, true
	}
	return true
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
