package check

import (
	"encoding/binary"
	"fmt"
	"math"
	"os"
	"testing"
)

// Doubles writes an .npy file of n × d float64 numbers, as NumPy does.
func Doubles(t testing.TB, path string, n, d int, value func(i, j int) float64) {
	t.Helper()
	dict := fmt.Sprintf("{'descr': '<f8', 'fortran_order': False, 'shape': (%d, %d), }\n", n, d)
	b := binary.LittleEndian.AppendUint16([]byte("\x93NUMPY\x01\x00"), uint16(len(dict)))
	b = append(b, dict...)
	for i := range n * d {
		b = binary.LittleEndian.AppendUint64(b, math.Float64bits(value(i/d, i%d)))
	}
	if err := os.WriteFile(path, b, 0o666); err != nil {
		t.Fatal(err)
	}
}
