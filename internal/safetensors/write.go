package safetensors

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"slices"

	"vicreg/internal/durable"
)

// Tensor is an array to write.
type Tensor struct {
	Name  string
	Shape []int
	Data  any // []float32, []float64, []int64, []int32, []uint8, []bool or Made
}

// Made is float32 data that is made when it is written, so that not all tensors of a
// file need their memory at once. Make is called for each pass over the data; what
// it returns may be overwritten by the next tensor's.
type Made struct {
	Len  int
	Make func() []float32
}

// describe returns the type and number of elements of the data.
func (t Tensor) describe() (DType, int, error) {
	var d DType
	var n int
	switch v := t.Data.(type) {
	case []float64:
		d, n = F64, len(v)
	case []float32:
		d, n = F32, len(v)
	case Made:
		d, n = F32, v.Len
	case []int64:
		d, n = I64, len(v)
	case []int32:
		d, n = I32, len(v)
	case []uint8:
		d, n = U8, len(v)
	case []bool:
		d, n = BOOL, len(v)
	default:
		return "", 0, fmt.Errorf("safetensors: tensor %q holds %T, which cannot be written", t.Name, t.Data)
	}
	count := 1
	for _, s := range t.Shape {
		if s < 0 {
			return "", 0, fmt.Errorf("safetensors: tensor %q has shape %v", t.Name, t.Shape)
		}
		count *= s
	}
	if count != n {
		return "", 0, fmt.Errorf("safetensors: tensor %q has %d elements, which do not fill shape %v", t.Name, n, t.Shape)
	}
	return d, n, nil
}

// Write writes tensors and metadata. Tensors of wider elements come first, so
// that each is aligned, and keep the caller's order otherwise: the same
// arguments give the same bytes.
func Write(w io.Writer, tensors []Tensor, metadata map[string]string) error {
	tensors, err := ordered(tensors)
	if err != nil {
		return err
	}
	head, err := lead(tensors, metadata)
	if err != nil {
		return err
	}
	return write(w, head, tensors)
}

// ordered returns the tensors in the order of their data.
func ordered(tensors []Tensor) ([]Tensor, error) {
	for _, t := range tensors {
		if _, _, err := t.describe(); err != nil {
			return nil, err
		}
	}
	tensors = slices.Clone(tensors)
	slices.SortStableFunc(tensors, func(a, b Tensor) int {
		da, _, _ := a.describe()
		db, _, _ := b.describe()
		return db.Size() - da.Size()
	})
	return tensors, nil
}

// write writes what comes before the data, and the data.
func write(w io.Writer, head []byte, tensors []Tensor) error {
	if _, err := w.Write(head); err != nil {
		return err
	}
	return writeData(w, tensors)
}

func writeData(w io.Writer, tensors []Tensor) error {
	out := bufio.NewWriterSize(w, 1<<18)
	for _, t := range tensors {
		t.encode(out) // a bufio.Writer keeps its first error until Flush
	}
	return out.Flush()
}

// lead returns all that comes before the data: the header's length and the
// header.
func lead(tensors []Tensor, metadata map[string]string) ([]byte, error) {
	h, err := header(tensors, metadata)
	if err != nil {
		return nil, err
	}
	return append(binary.LittleEndian.AppendUint64(nil, uint64(len(h))), h...), nil
}

// header returns the JSON object, padded with spaces to a multiple of 8 bytes.
func header(tensors []Tensor, metadata map[string]string) ([]byte, error) {
	var b bytes.Buffer
	b.WriteByte('{')
	if metadata != nil {
		m, err := json.Marshal(metadata) // sorts the keys
		if err != nil {
			return nil, err
		}
		fmt.Fprintf(&b, `"__metadata__":%s`, m)
	}
	if n := max(len(tensors), len(metadata)); n > maxNames {
		return nil, fmt.Errorf("safetensors: %d tensors or keys of metadata are more than can be read again (%d)", n, maxNames)
	}
	seen := map[string]bool{"__metadata__": true}
	at := 0
	for _, t := range tensors {
		if seen[t.Name] {
			return nil, fmt.Errorf("safetensors: cannot write tensor %q: the name is taken", t.Name)
		}
		seen[t.Name] = true
		d, n, _ := t.describe()
		name, err := json.Marshal(t.Name)
		if err != nil {
			return nil, err
		}
		shape := t.Shape
		if shape == nil {
			shape = []int{} // a scalar's shape is [], never null
		}
		s, _ := json.Marshal(shape)
		if b.Len() > 1 {
			b.WriteByte(',')
		}
		end := at + n*d.Size()
		fmt.Fprintf(&b, `%s:{"dtype":%q,"shape":%s,"data_offsets":[%d,%d]}`, name, d, s, at, end)
		at = end
	}
	b.WriteByte('}')
	for b.Len()%8 != 0 {
		b.WriteByte(' ')
	}
	if b.Len() > maxHeader {
		return nil, fmt.Errorf("safetensors: the header would take %d bytes; the limit is %d", b.Len(), maxHeader)
	}
	return b.Bytes(), nil
}

func (t Tensor) encode(w *bufio.Writer) {
	le := binary.LittleEndian
	switch v := t.Data.(type) {
	case []float64:
		encode(w, v, func(b []byte, x float64) []byte { return le.AppendUint64(b, math.Float64bits(x)) })
	case Made:
		Tensor{Data: v.Make()[:v.Len]}.encode(w)
	case []float32:
		encode(w, v, func(b []byte, x float32) []byte { return le.AppendUint32(b, math.Float32bits(x)) })
	case []int64:
		encode(w, v, func(b []byte, x int64) []byte { return le.AppendUint64(b, uint64(x)) })
	case []int32:
		encode(w, v, func(b []byte, x int32) []byte { return le.AppendUint32(b, uint32(x)) })
	case []uint8:
		w.Write(v)
	case []bool:
		encode(w, v, func(b []byte, x bool) []byte {
			if x {
				return append(b, 1)
			}
			return append(b, 0)
		})
	}
}

// encode appends values of up to 8 bytes each to the writer's own buffer. Errors
// stay in w until its last Flush.
func encode[T any](w *bufio.Writer, values []T, put func([]byte, T) []byte) {
	for len(values) > 0 {
		if w.Available() < 8 && w.Flush() != nil {
			return
		}
		b := w.AvailableBuffer()
		n := min(len(values), cap(b)/8)
		for _, x := range values[:n] {
			b = put(b, x)
		}
		w.Write(b)
		values = values[n:]
	}
}

// WriteFile saves durably: after a crash path holds the old contents or the new
// ones, whole.
func WriteFile(path string, tensors []Tensor, metadata map[string]string) error {
	return writeFile(path, func(w io.Writer) error { return Write(w, tensors, metadata) })
}

func writeFile(path string, write func(io.Writer) error) error {
	f, err := durable.Create(path)
	if err != nil {
		return fmt.Errorf("cannot write %s: %w", path, err)
	}
	defer f.Discard()
	err = durable.Reason(write(f))
	if err == nil {
		err = f.Commit()
	}
	if err != nil {
		return fmt.Errorf("cannot write %s: %w", path, err)
	}
	return nil
}
