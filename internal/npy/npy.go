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
	out := bufio.NewWriterSize(w, 1<<16)
	out.Write(head(n, d)) // a bufio.Writer keeps its first error
	return &Writer{out, n * d, n * d}, nil
}

// headSize is more than the numbers need, and than NumPy takes for them: by that
// [Written] knows the files of a Writer.
const headSize = 256

// head is all that comes before the values.
func head(n, d int) []byte {
	dict := fmt.Sprintf("{'descr': '<f4', 'fortran_order': False, 'shape': (%d, %d), }", n, d)
	const left = headSize - len(magic) - 4
	b := binary.LittleEndian.AppendUint16([]byte(magic+"\x01\x00"), uint16(left))
	return fmt.Appendf(b, "%-*s\n", left-1, dict)
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

// An UnsupportedError says what kind of array is not read, and what to do.
type UnsupportedError string

func (e UnsupportedError) Error() string { return string(e) }

// Array is what Read returns: values in row-major order.
type Array struct {
	Shape  []int
	Values []float32
	Rest   []float32 // what 32 bits leave off of each of Values; nil: nothing
}

// Read reads the file at path: float16, float32, float64, bool or any integer type,
// either byte order, any number of dimensions, in the order of C or of Fortran. Values are
// converted to float32.
func Read(path string) (*Array, error) {
	var a *Array
	err := open(path, func(r io.Reader, size int64) (err error) {
		a, err = decode(r, size)
		return err
	})
	return a, err
}

// Stat returns the shape of the file at path, whose size fits it.
func Stat(path string) (shape []int, err error) {
	err = open(path, func(r io.Reader, size int64) error {
		h, _, err := inspect(r, size)
		shape = h.shape
		return err
	})
	return shape, err
}

// Header is what the header of a file says of an array.
type Header struct {
	Shape []int
	Type  string // of a number: its kind and how many bytes it has, as f4
	Big   bool   // the high byte of a number is first
	Width int    // bytes of a number
	At    int64  // where the numbers begin
	Steps []int  // of each index, how many numbers on the next one is
}

// Inspect reads the header of a file of size bytes, which must be what it takes.
func Inspect(r io.Reader, size int64) (Header, error) {
	h, n, err := inspect(r, size)
	if err != nil {
		return Header{}, err
	}
	return Header{h.shape, h.descr[1:], h.descr[0] == '>', h.width, size - int64(n)*int64(h.width), h.steps()}, nil
}

// open calls read with the file at path and its size.
func open(path string, read func(r io.Reader, size int64) error) error {
	switch st, err := os.Stat(path); {
	case err != nil:
		return err
	case st.IsDir():
		return fmt.Errorf("%s is a folder; an .npy file is needed", path)
	case !st.Mode().IsRegular():
		return fmt.Errorf("%s is not a regular file; an .npy file is needed", path)
	}
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		return err
	}
	if err := read(bufio.NewReaderSize(f, 1<<16), st.Size()); err != nil {
		return fmt.Errorf("%s is not a readable .npy file: %w", path, err)
	}
	return nil
}

// decode reads a file of size bytes.
func decode(r io.Reader, size int64) (*Array, error) {
	h, n, err := inspect(r, size)
	if err != nil {
		return nil, err
	}
	a := &Array{Shape: h.shape, Values: make([]float32, n)}
	a.Rest, err = h.values(r, h.width, a.Values)
	if err != nil || !h.fortran || len(h.shape) < 2 || n == 0 {
		return a, err
	}
	if a.Values = h.rows(a.Values); a.Rest != nil {
		a.Rest = h.rows(a.Rest)
	}
	return a, nil
}

// steps returns of each index how many numbers on the next one is: by the last index they
// stand side by side, or by the first if the order is Fortran's.
func (h header) steps() []int {
	steps, n := make([]int, len(h.shape)), 1
	for i := range steps {
		if !h.fortran {
			i = len(steps) - 1 - i
		}
		steps[i], n = n, n*h.shape[i]
	}
	return steps
}

// rows returns values, of which there are some, in row-major order.
func (h header) rows(values []float32) []float32 {
	out, steps, index, from := make([]float32, len(values)), h.steps(), make([]int, len(h.shape)), 0
	for i := range out {
		out[i] = values[from]
		for k := len(index) - 1; k >= 0; k-- {
			from += steps[k]
			if index[k]++; index[k] < h.shape[k] {
				break
			}
			from, index[k] = from-steps[k]*h.shape[k], 0
		}
	}
	return out
}

// inspect reads the header of a file of size bytes, which must be what it takes. n is
// the number of values.
func inspect(r io.Reader, size int64) (h header, n int, err error) {
	h, at, err := readHeader(r)
	if err != nil {
		return h, 0, err
	}
	if h.width, err = h.widthOf(); err != nil {
		return h, 0, err
	}
	n = 1
	for _, s := range h.shape {
		if s > 0 && n > math.MaxInt/8/s {
			return h, 0, fmt.Errorf("shape %v is too large", h.shape)
		}
		n *= s
	}
	if have := size - at; have != int64(n)*int64(h.width) {
		return h, 0, fmt.Errorf("shape %v of %s takes %d bytes, %d are there", h.shape, h.descr, n*h.width, have)
	}
	return h, n, nil
}

type header struct {
	descr   string // byte order, kind, width: <f4
	fortran bool
	shape   []int
	width   int // bytes of a value
}

var (
	descrRE   = regexp.MustCompile(`'descr'\s*:\s*'([^']{0,40})'`)
	fieldsRE  = regexp.MustCompile(`'descr'\s*:\s*\[`)
	fortranRE = regexp.MustCompile(`'fortran_order'\s*:\s*(True|False)`)
	shapeRE   = regexp.MustCompile(`'shape'\s*:\s*\(([0-9L,\s]*)\)`) // Python 2 wrote some numbers as 24L
)

// readHeader returns the header and its length in bytes.
func readHeader(r io.Reader) (h header, at int64, err error) {
	var lead [12]byte
	switch n, err := io.ReadFull(r, lead[:8]); {
	case string(lead[:min(n, 4)]) == "PK\x03\x04":
		return h, 0, errors.New("it does not start as one; it is a zip, as the .npz files of numpy.savez are: save the array alone, with numpy.save")
	case err != nil || string(lead[:6]) != magic:
		return h, 0, errors.New("it does not start as one")
	}
	length := lead[8:10]
	if lead[6] >= 2 {
		length = lead[8:12]
	}
	if lead[6] < 1 || lead[6] > 3 {
		return h, 0, UnsupportedError(fmt.Sprintf("its version is %d.%d; 1 to 3 are known", lead[6], lead[7]))
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
	if fieldsRE.Match(text) {
		return h, 0, UnsupportedError("its values are records of several fields (a structured dtype); save one field as float32")
	}
	if descr == nil || fortran == nil || shape == nil {
		return h, 0, errors.New("its header does not name type, order and shape of plain numbers")
	}
	h.descr, h.fortran = string(descr[1]), string(fortran[1]) == "True"
	for s := range strings.SplitSeq(string(shape[1]), ",") {
		if s = strings.TrimSpace(s); s == "" {
			continue
		}
		v, err := strconv.Atoi(strings.TrimSuffix(s, "L"))
		switch {
		case errors.Is(err, strconv.ErrRange):
			return h, 0, errors.New("its shape is too large")
		case err != nil:
			return h, 0, errors.New("its header does not name type, order and shape of plain numbers")
		}
		if len(h.shape) == maxDims {
			return h, 0, fmt.Errorf("its shape has more than %d dimensions", maxDims)
		}
		h.shape = append(h.shape, v)
	}
	return h, int64(8 + len(length) + len(text)), nil
}

// maxDims is what NumPy has at most.
const maxDims = 64

// widthOf returns the bytes of one value.
func (h header) widthOf() (int, error) {
	if len(h.descr) == 3 && strings.ContainsRune("<>|=", rune(h.descr[0])) {
		switch h.descr[1:] {
		case "f2", "f4", "f8", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "b1":
			return int(h.descr[2] - '0'), nil
		}
	}
	what := "is not supported"
	if len(h.descr) > 1 {
		switch h.descr[1] {
		case 'O':
			what = "is that of Python objects, which are not read"
		case 'U', 'S', 'a':
			what = "is text, not numbers"
		case 'c':
			what = "is that of complex numbers, and not supported"
		case 'M', 'm':
			what = "is that of times, and not supported"
		}
	}
	return 0, UnsupportedError(fmt.Sprintf("its type %q %s; save it as float32", h.descr, what))
}

// values converts len(out) elements, and returns what that leaves off of them, nil for
// nothing. A number that is too large for 32 bits is an error, as are numbers that are all
// too small for them.
func (h header) values(r io.Reader, width int, out []float32) (rest []float32, err error) {
	keep := func(i int, exact float64) {
		out[i] = float32(exact)
		left := exact - float64(out[i])
		if left-left != 0 || left == 0 {
			return
		}
		if rest == nil {
			rest = make([]float32, len(out))
		}
		if rest[i] = float32(left); rest[i] == 0 {
			rest[i] = math.SmallestNonzeroFloat32
		}
	}
	var order binary.ByteOrder = binary.LittleEndian
	if h.descr[0] == '>' {
		order = binary.BigEndian
	}
	b := make([]byte, 8)
	some, left := false, h.descr[1:] != "f8" // whether any is not zero; whether any of them is not zero in 32 bits
	for i := range out {
		if _, err := io.ReadFull(r, b[:width]); err != nil {
			return nil, fmt.Errorf("after %d of %d values: %w", i, len(out), err)
		}
		switch h.descr[1:] {
		case "f2":
			out[i] = Half(order.Uint16(b))
		case "f4":
			out[i] = math.Float32frombits(order.Uint32(b))
		case "f8":
			v := math.Float64frombits(order.Uint64(b))
			keep(i, v)
			if math.IsInf(float64(out[i]), 0) && !math.IsInf(v, 0) {
				return nil, fmt.Errorf("value %d is %g, which is too large for the 32 bits that values are computed with; scale them", i+1, v)
			}
			some, left = some || v != 0, left || out[i] != 0
		case "i1":
			out[i] = float32(int8(b[0]))
		case "i2":
			out[i] = float32(int16(order.Uint16(b)))
		case "i4":
			keep(i, float64(int32(order.Uint32(b))))
		case "i8":
			keep(i, float64(int64(order.Uint64(b))))
		case "u1", "b1":
			out[i] = float32(b[0])
		case "u2":
			out[i] = float32(order.Uint16(b))
		case "u4":
			keep(i, float64(order.Uint32(b)))
		case "u8":
			keep(i, float64(order.Uint64(b)))
		}
	}
	if some && !left {
		return nil, errors.New("all of its values are too small for the 32 bits that they are computed with; scale them")
	}
	return rest, nil
}

// Half returns the value of a float16.
func Half(h uint16) float32 {
	sign, exp, frac := uint32(h>>15)<<31, int(h>>10&31), uint32(h&0x3ff)
	switch exp {
	case 0: // frac · 2⁻²⁴
		return math.Float32frombits(sign | math.Float32bits(float32(frac)/(1<<24)))
	case 31: // infinite, or no number
		return math.Float32frombits(sign | 0xff<<23 | frac<<13)
	}
	return math.Float32frombits(sign | uint32(exp+127-15)<<23 | frac<<13)
}
