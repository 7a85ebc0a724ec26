// Package npy writes matrices in NumPy's .npy format: [NewWriter] takes n × d
// float32 row by row, so that a matrix larger than memory can be written.
//
// The format: https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html
package npy

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"
	"math"
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
