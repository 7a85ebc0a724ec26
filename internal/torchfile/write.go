package torchfile

import (
	"archive/zip"
	"bufio"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"io"
	"math"
	"strconv"

	"vicreg/internal/durable"
	"vicreg/internal/show"
)

// Tensor is an array to write.
type Tensor struct {
	Name  string
	Shape []int
	Data  any // []float32 or []int64
}

// Write writes a state dict, an OrderedDict of tensors, that torch.load reads, with
// weights_only=True too. What stood at path is replaced at once and whole. The same
// tensors give the same bytes.
func Write(path string, tensors []Tensor) error {
	f, err := durable.Create(path)
	if err != nil {
		return fmt.Errorf("cannot write %s: %w", show.Name(path), err)
	}
	defer f.Discard()
	err = durable.Reason(write(f, tensors))
	if err == nil {
		err = f.Commit()
	}
	if err != nil {
		return fmt.Errorf("cannot write %s: %w", show.Name(path), err)
	}
	return nil
}

// mostBytes is how many bytes of a tensor an entry takes without a longer header.
const mostBytes = math.MaxUint32 - 1

// producer is the entry that says which program wrote a file. PyTorch does not look at it.
const producer = "archive/producer"

func write(to io.Writer, tensors []Tensor) error { return Encode(to, tensors, "") }

// Encode writes the file that Write does. by, unless empty, is the program that does it.
func Encode(to io.Writer, tensors []Tensor, by string) error {
	list, err := stateDictOf(tensors)
	if err != nil {
		return err
	}
	at := &counter{w: to}
	z := zip.NewWriter(at)
	entry := func(name string, encode func(io.Writer) (int64, error)) error {
		return writeEntry(z, at, "archive/"+name, encode)
	}
	text := func(name string, b []byte) error {
		return entry(name, func(w io.Writer) (int64, error) { n, err := w.Write(b); return int64(n), err })
	}
	if err := text("data.pkl", list); err != nil {
		return err
	}
	if err := text("byteorder", []byte("little")); err != nil {
		return err
	}
	for i, t := range tensors {
		if err := entry("data/"+strconv.Itoa(i), t.encode); err != nil {
			return err
		}
	}
	if err := text("version", []byte("3\n")); err != nil {
		return err
	}
	if by != "" {
		if err := text("producer", []byte(by)); err != nil {
			return err
		}
	}
	return z.Close()
}

// Producer returns the program that [Encode] was told for the file at path, "" if there is
// none or another program wrote it.
func Producer(path string) string {
	z, err := zip.OpenReader(path)
	if err != nil {
		return ""
	}
	defer z.Close()
	f, err := z.Open(producer)
	if err != nil {
		return ""
	}
	defer f.Close()
	by, err := io.ReadAll(io.LimitReader(f, 256))
	if err != nil {
		return ""
	}
	return string(by)
}

// writeEntry writes an entry whose data begins at a multiple of 64 bytes, as PyTorch wants
// it for mapping files into memory. What is encoded is encoded twice: for its checksum too.
func writeEntry(z *zip.Writer, at *counter, name string, encode func(io.Writer) (int64, error)) error {
	sum := crc32.NewIEEE()
	size, err := encode(sum)
	if err != nil {
		return err
	}
	if err := z.Flush(); err != nil {
		return err
	}
	const header, align, field = 30, 64, 4 // bytes; of the field's name and length
	pad := (align - (at.n+header+int64(len(name))+field)%align) % align
	extra := append([]byte{'F', 'B'}, binary.LittleEndian.AppendUint16(nil, uint16(pad))...)
	for range pad {
		extra = append(extra, 'Z')
	}
	w, err := z.CreateRaw(&zip.FileHeader{Name: name, Method: zip.Store, Extra: extra, CRC32: sum.Sum32(),
		CompressedSize64: uint64(size), UncompressedSize64: uint64(size)})
	if err != nil {
		return err
	}
	_, err = encode(w)
	return err
}

// counter counts what is written.
type counter struct {
	w io.Writer
	n int64
}

func (c *counter) Write(b []byte) (int, error) {
	n, err := c.w.Write(b)
	c.n += int64(n)
	return n, err
}

// encode writes the elements, the lowest byte first, and returns their bytes.
func (t Tensor) encode(w io.Writer) (int64, error) {
	out := bufio.NewWriterSize(w, chunk)
	var b [8]byte
	n := int64(0)
	switch v := t.Data.(type) {
	case []float32:
		n = 4 * int64(len(v))
		for _, x := range v {
			binary.LittleEndian.PutUint32(b[:], math.Float32bits(x))
			out.Write(b[:4]) // a bufio.Writer keeps its first error until Flush
		}
	case []int64:
		n = 8 * int64(len(v))
		for _, x := range v {
			binary.LittleEndian.PutUint64(b[:], uint64(x))
			out.Write(b[:])
		}
	}
	return n, out.Flush()
}

// stateDictOf returns the pickle of a state dict, with the operations that PyTorch's own
// pickles have, since torch.load with weights_only=True knows no others.
func stateDictOf(tensors []Tensor) ([]byte, error) {
	var p pickler
	p.op(opProto, 2)
	p.global("collections", "OrderedDict")
	p.op(opEmptyTuple, opReduce, opMark)
	names := map[string]bool{}
	for i, t := range tensors {
		if names[t.Name] {
			return nil, fmt.Errorf("two tensors have the name %q", t.Name)
		}
		names[t.Name] = true
		class, count, err := t.describe()
		if err != nil {
			return nil, err
		}
		p.text(t.Name)
		p.global("torch._utils", "_rebuild_tensor_v2")
		p.op(opMark, opMark)
		p.text("storage")
		p.global("torch", class)
		p.text(strconv.Itoa(i))
		p.text("cpu")
		p.int(count)
		p.op(opTuple, opBinPersID)
		p.int(0)
		stride := make([]int, len(t.Shape))
		next := 1
		for k := len(stride) - 1; k >= 0; k-- {
			stride[k] = next
			next *= max(1, t.Shape[k])
		}
		p.ints(t.Shape)
		p.ints(stride)
		p.op(opNewFalse) // it asks for no gradient
		p.global("collections", "OrderedDict")
		p.op(opEmptyTuple, opReduce, opTuple, opReduce)
	}
	p.op(opSetItems, opStop)
	return p.b, nil
}

// describe returns the class of a tensor's storage and its elements.
func (t Tensor) describe() (class string, count int, err error) {
	size := 0
	switch v := t.Data.(type) {
	case []float32:
		class, size, count = "FloatStorage", 4, len(v)
	case []int64:
		class, size, count = "LongStorage", 8, len(v)
	default:
		return "", 0, fmt.Errorf("tensor %q holds %T, which cannot be written", t.Name, t.Data)
	}
	n := 1
	for _, s := range t.Shape {
		if s < 0 {
			return "", 0, fmt.Errorf("tensor %q has shape %v", t.Name, t.Shape)
		}
		n *= s
	}
	if n != count {
		return "", 0, fmt.Errorf("tensor %q has %d elements, which do not fill shape %v", t.Name, count, t.Shape)
	}
	if uint64(count) > mostBytes/uint64(size) {
		return "", 0, fmt.Errorf("tensor %q has more than 4 GiB", t.Name)
	}
	return class, count, nil
}

// pickler writes a pickle of protocol 2.
type pickler struct{ b []byte }

func (p *pickler) op(ops ...byte) { p.b = append(p.b, ops...) }

func (p *pickler) global(module, name string) {
	p.b = append(p.b, opGlobal)
	p.b = append(p.b, module+"\n"+name+"\n"...)
}

func (p *pickler) text(s string) {
	p.b = append(p.b, opBinUnicode)
	p.b = binary.LittleEndian.AppendUint32(p.b, uint32(len(s)))
	p.b = append(p.b, s...)
}

func (p *pickler) int(v int) {
	if v > math.MaxInt32 {
		p.b = append(p.b, opLong1, 8)
		p.b = binary.LittleEndian.AppendUint64(p.b, uint64(v))
		return
	}
	p.b = append(p.b, opBinInt)
	p.b = binary.LittleEndian.AppendUint32(p.b, uint32(v))
}

func (p *pickler) ints(v []int) {
	p.b = append(p.b, opMark)
	for _, x := range v {
		p.int(x)
	}
	p.b = append(p.b, opTuple)
}
