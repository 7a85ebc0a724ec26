// Package npy reads and writes matrices in NumPy's .npy format.
//
// [NewWriter] writes n × d float32 row by row, so that a matrix larger than
// memory can be written; [Read] takes a file of numbers into memory.
//
// The format: https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html
package npy

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"regexp"
	"strconv"
	"strings"
)

const magic = "\x93NUMPY"

// Writer writes a matrix of a size that is known beforehand.
type Writer struct {
	w          *bufio.Writer
	left, want int // values
}

// NewWriter writes the header of an n × d matrix of float32 (format version
// 1.0, little-endian, rows contiguous) to w.
func NewWriter(w io.Writer, n, d int) (*Writer, error) {
	if n < 0 || d < 0 || (d > 0 && n > math.MaxInt/d) {
		return nil, fmt.Errorf("npy: cannot write a matrix of %d × %d", n, d)
	}
	dict := fmt.Sprintf("{'descr': '<f4', 'fortran_order': False, 'shape': (%d, %d), }", n, d)
	const lead = len(magic) + 4
	for (lead+len(dict)+1)%64 != 0 {
		dict += " "
	}
	dict += "\n"
	out := bufio.NewWriterSize(w, 1<<16)
	out.WriteString(magic + "\x01\x00")
	out.Write(binary.LittleEndian.AppendUint16(nil, uint16(len(dict))))
	out.WriteString(dict) // a bufio.Writer keeps its first error
	return &Writer{out, n * d, n * d}, nil
}

// Write appends values, usually one or more rows.
func (w *Writer) Write(values []float32) error {
	if len(values) > w.left {
		return fmt.Errorf("npy: %d values are more than the %d announced", w.want-w.left+len(values), w.want)
	}
	w.left -= len(values)
	var b [4]byte
	for _, v := range values {
		binary.LittleEndian.PutUint32(b[:], math.Float32bits(v))
		if _, err := w.w.Write(b[:]); err != nil {
			return err
		}
	}
	return nil
}

// Close flushes. It fails if fewer values came than were announced. It does not
// close the underlying writer.
func (w *Writer) Close() error {
	if w.left != 0 {
		return fmt.Errorf("npy: %d values were written, %d announced", w.want-w.left, w.want)
	}
	return w.w.Flush()
}

// Array is what Read returns: values in row-major order.
type Array struct {
	Shape  []int
	Values []float32
}

// Read reads the file at path: float32, float64, bool or any integer type,
// either byte order, any number of dimensions,
// rows contiguous. Values are converted to float32.
func Read(path string) (*Array, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		return nil, err
	}
	a, err := decode(bufio.NewReaderSize(f, 1<<16), st.Size())
	if err != nil {
		return nil, fmt.Errorf("%s is not a readable .npy file: %w", path, err)
	}
	return a, nil
}

// decode reads a file of size bytes.
func decode(r io.Reader, size int64) (*Array, error) {
	h, at, err := readHeader(r)
	if err != nil {
		return nil, err
	}
	width, err := h.width()
	if err != nil {
		return nil, err
	}
	if h.fortran && len(h.shape) > 1 {
		return nil, errors.New("it is stored column by column (fortran_order); save it with numpy.ascontiguousarray")
	}
	n := 1
	for _, s := range h.shape {
		if s > 0 && n > math.MaxInt/8/s {
			return nil, fmt.Errorf("shape %v is too large", h.shape)
		}
		n *= s
	}
	if have := size - at; have != int64(n)*int64(width) {
		return nil, fmt.Errorf("shape %v of %s takes %d bytes, %d are there", h.shape, h.descr, n*width, have)
	}
	a := &Array{h.shape, make([]float32, n)}
	return a, h.values(r, width, a.Values)
}

type header struct {
	descr   string // byte order, kind, width: <f4
	fortran bool
	shape   []int
}

var (
	descrRE   = regexp.MustCompile(`'descr'\s*:\s*'([^']*)'`)
	fortranRE = regexp.MustCompile(`'fortran_order'\s*:\s*(True|False)`)
	shapeRE   = regexp.MustCompile(`'shape'\s*:\s*\(([0-9,\s]*)\)`)
)

// readHeader returns the header and its length in bytes.
func readHeader(r io.Reader) (h header, at int64, err error) {
	var lead [12]byte
	if _, err := io.ReadFull(r, lead[:8]); err != nil || string(lead[:6]) != magic {
		return h, 0, errors.New("it does not start as one")
	}
	length := lead[8:10]
	if lead[6] >= 2 {
		length = lead[8:12]
	}
	if lead[6] < 1 || lead[6] > 3 {
		return h, 0, fmt.Errorf("its version is %d.%d; 1 to 3 are known", lead[6], lead[7])
	}
	if _, err := io.ReadFull(r, length); err != nil {
		return h, 0, errors.New("its header is cut short")
	}
	n := uint32(binary.LittleEndian.Uint16(length))
	if len(length) == 4 {
		n = binary.LittleEndian.Uint32(length)
	}
	if n > 1<<20 {
		return h, 0, fmt.Errorf("it claims a header of %d bytes", n)
	}
	text := make([]byte, n)
	if _, err := io.ReadFull(r, text); err != nil {
		return h, 0, errors.New("its header is cut short")
	}
	descr, fortran, shape := descrRE.FindSubmatch(text), fortranRE.FindSubmatch(text), shapeRE.FindSubmatch(text)
	if descr == nil || fortran == nil || shape == nil {
		return h, 0, errors.New("its header does not name type, order and shape of plain numbers")
	}
	h.descr, h.fortran = string(descr[1]), string(fortran[1]) == "True"
	for s := range strings.SplitSeq(string(shape[1]), ",") {
		if s = strings.TrimSpace(s); s == "" {
			continue
		}
		v, err := strconv.Atoi(s)
		if err != nil {
			return h, 0, fmt.Errorf("shape (%s) is too large", shape[1])
		}
		h.shape = append(h.shape, v)
	}
	return h, int64(8 + len(length) + len(text)), nil
}

// width returns the bytes of one element.
func (h header) width() (int, error) {
	if len(h.descr) == 3 && strings.ContainsRune("<>|=", rune(h.descr[0])) {
		switch h.descr[1:] {
		case "f4", "f8", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "b1":
			return int(h.descr[2] - '0'), nil
		}
	}
	return 0, fmt.Errorf("its type %q is not supported; save it as float32", h.descr)
}

// values converts len(out) elements.
func (h header) values(r io.Reader, width int, out []float32) error {
	var order binary.ByteOrder = binary.LittleEndian
	if h.descr[0] == '>' {
		order = binary.BigEndian
	}
	b := make([]byte, 8)
	for i := range out {
		if _, err := io.ReadFull(r, b[:width]); err != nil {
			return fmt.Errorf("after %d of %d values: %w", i, len(out), err)
		}
		switch h.descr[1:] {
		case "f4":
			out[i] = math.Float32frombits(order.Uint32(b))
		case "f8":
			out[i] = float32(math.Float64frombits(order.Uint64(b)))
		case "i1":
			out[i] = float32(int8(b[0]))
		case "i2":
			out[i] = float32(int16(order.Uint16(b)))
		case "i4":
			out[i] = float32(int32(order.Uint32(b)))
		case "i8":
			out[i] = float32(int64(order.Uint64(b)))
		case "u1", "b1":
			out[i] = float32(b[0])
		case "u2":
			out[i] = float32(order.Uint16(b))
		case "u4":
			out[i] = float32(order.Uint32(b))
		case "u8":
			out[i] = float32(order.Uint64(b))
		}
	}
	return nil
}
