package npy

import (
	"bytes"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"vicreg/internal/check"
)

// Whatever the bytes, there is an error of one line, or an array that can be
// written and read again, soon and in little memory.
func FuzzRead(f *testing.F) {
	for _, c := range []struct{ descr, order, shape string }{
		{"<f4", "False", "1, 2"}, {">f8", "False", "1,"}, {"|b1", "False", "2, 2, 2"}, {"<f2", "False", "4"}, {"|u1", "True", "8,"},
		{"|O", "False", "1,"}, {"<i8", "False", ""}, {"<f4", "False", "4294967296, 4294967296"}, {"<f4", "False", "0, 99999999999"},
		{"<f4", "False", "2L, 1L"}, {"<f8", "False", "1L,"}, {"|u1", "True", "2, 2, 2"}, {"<f4", "False", "L2,"},
	} {
		f.Add(file(1, fmt.Sprintf("{'descr': '%s', 'fortran_order': %s, 'shape': (%s), }\n", c.descr, c.order, c.shape), []byte("12345678")))
	}
	f.Add(file(3, "{'descr': '<f4', 'fortran_order': False, 'shape': (0, 5), }", nil))
	f.Add([]byte("PK\x03\x04 and more"))
	f.Add([]byte(magic + "\x02\x00\xff\xff\xff\xff"))
	f.Fuzz(func(t *testing.T, b []byte) {
		check.Bounded(t, 4+len(b)>>16, time.Second, func() {
			a, err := decode(bytes.NewReader(b), int64(len(b)))
			if err != nil {
				if strings.ContainsFunc(err.Error(), func(r rune) bool { return r < ' ' || r == 0x7f }) ||
					len(err.Error()) > 4000 {
					t.Errorf("error %q", err)
				}
				return
			}
			n := 1
			for _, s := range a.Shape {
				n *= s
			}
			if len(a.Values) != n || n > len(b) {
				t.Fatalf("%d values of shape %v from %d bytes", len(a.Values), a.Shape, len(b))
			}
			var out bytes.Buffer
			w, err := NewWriter(&out, 1, n)
			if err != nil {
				t.Fatal(err)
			}
			w.Write(a.Values)
			if err := w.Close(); err != nil {
				t.Fatal(err)
			}
			again, err := decode(&out, int64(out.Len()))
			if err != nil {
				t.Fatal(err)
			}
			for i, v := range again.Values {
				if math.Float32bits(v) != math.Float32bits(a.Values[i]) {
					t.Fatalf("value %d is %v, was %v", i, v, a.Values[i])
				}
			}
		})
	})
}
