package npy

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
)

func TestRoundTrip(t *testing.T) {
	for _, c := range []struct{ n, d int }{{3, 4}, {0, 5}, {1, 1}, {1000, 33}} {
		v := make([]float32, c.n*c.d)
		for i := range v {
			v[i] = float32(i)*0.25 - 3
		}
		var b bytes.Buffer
		w, err := NewWriter(&b, c.n, c.d)
		if err != nil {
			t.Fatal(err)
		}
		for i := range c.n {
			if err := w.Write(v[i*c.d : (i+1)*c.d]); err != nil {
				t.Fatal(err)
			}
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		if (b.Len()-4*len(v))%64 != 0 {
			t.Errorf("the header takes %d bytes, no multiple of 64", b.Len()-4*len(v))
		}
		path := filepath.Join(t.TempDir(), "a.npy")
		os.WriteFile(path, b.Bytes(), 0o644)
		a, err := Read(path)
		if err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(a.Shape, []int{c.n, c.d}) || !reflect.DeepEqual(a.Values, v) {
			t.Errorf("%d × %d came back as %v", c.n, c.d, a.Shape)
		}
	}
}

func TestWriterCounts(t *testing.T) {
	w, _ := NewWriter(&bytes.Buffer{}, 2, 3)
	if err := w.Write(make([]float32, 7)); err == nil {
		t.Error("7 values were taken for 6")
	}
	w.Write(make([]float32, 3))
	if err := w.Close(); err == nil {
		t.Error("half a matrix was closed without error")
	}
	if _, err := NewWriter(&bytes.Buffer{}, math.MaxInt, 2); err == nil {
		t.Error("an impossible size was taken")
	}
}

// file builds a .npy file.
func file(major byte, dict string, data []byte) []byte {
	b := []byte(magic + string(major) + "\x00")
	if major == 1 {
		b = binary.LittleEndian.AppendUint16(b, uint16(len(dict)))
	} else {
		b = binary.LittleEndian.AppendUint32(b, uint32(len(dict)))
	}
	return append(append(b, dict...), data...)
}

func TestReadsOtherTypes(t *testing.T) {
	for _, c := range []struct {
		major byte
		descr string
		data  []byte
		want  float32
	}{
		{1, "<f8", binary.LittleEndian.AppendUint64(nil, math.Float64bits(1.5)), 1.5},
		{2, ">f4", binary.BigEndian.AppendUint32(nil, math.Float32bits(-2.5)), -2.5},
		{3, "<i8", binary.LittleEndian.AppendUint64(nil, math.MaxUint64), -1},
		{1, "|u1", []byte{200}, 200},
		{1, "|i1", []byte{200}, -56},
		{1, "<i2", []byte{0xfe, 0xff}, -2},
		{1, "<f2", []byte{0x00, 0xc1}, -2.5},
		{1, ">f2", []byte{0x3c, 0x00}, 1},
		{1, "<f2", []byte{0x01, 0x00}, 1.0 / (1 << 24)},
		{1, "<f2", []byte{0xff, 0x7b}, 65504},
		{1, "<f2", []byte{0x00, 0xfc}, float32(math.Inf(-1))},
		{1, "|b1", []byte{1}, 1},
		{1, ">u4", []byte{0, 0, 1, 0}, 256},
	} {
		b := file(c.major, fmt.Sprintf("{'descr': '%s', 'fortran_order': False, 'shape': (1,), }\n", c.descr), c.data)
		a, err := decode(bytes.NewReader(b), int64(len(b)))
		if err != nil || a.Values[0] != c.want {
			t.Errorf("%s: %v, %v, want %v", c.descr, a, err, c.want)
		}
	}
}

// doubles returns values as float64 has them.
func doubles(values ...float64) (b []byte) {
	for _, v := range values {
		b = binary.LittleEndian.AppendUint64(b, math.Float64bits(v))
	}
	return b
}

// Python 2 wrote whole numbers with an L; what float32 rounds is rounded.
func TestReadsOddities(t *testing.T) {
	for _, c := range []struct {
		shape string
		want  []int
	}{{"4L,", []int{4}}, {"2L, 2L", []int{2, 2}}, {"2, 2L", []int{2, 2}}, {"4L", []int{4}}} {
		b := file(1, "{'descr': '<f8', 'fortran_order': False, 'shape': ("+c.shape+"), }\n", doubles(1e-50, 0.1, math.Inf(1), 3e38))
		a, err := decode(bytes.NewReader(b), int64(len(b)))
		if err != nil || !reflect.DeepEqual(a.Shape, c.want) ||
			!reflect.DeepEqual(a.Values, []float32{0, 0.1, float32(math.Inf(1)), 3e38}) {
			t.Errorf("%s: %v, %v", c.shape, a, err)
		}
	}
	b := file(1, "{'descr': '<f8', 'fortran_order': False, 'shape': (2,), }\n", doubles(0, 0))
	if a, err := decode(bytes.NewReader(b), int64(len(b))); err != nil || a.Values[1] != 0 {
		t.Errorf("zeros: %v, %v", a, err)
	}
}

// Whichever index runs fastest, an array has its values at their places.
func TestFortranOrder(t *testing.T) {
	for _, c := range []struct {
		shape string
		steps []int
		want  []float32 // where 1, 2, 3, ... are in the file
	}{
		{"2, 3", []int{1, 2}, []float32{1, 3, 5, 2, 4, 6}},
		{"6,", []int{1}, []float32{1, 2, 3, 4, 5, 6}},
		{"3, 1, 2", []int{1, 3, 3}, []float32{1, 4, 2, 5, 3, 6}},
		{"2, 0, 3", []int{1, 2, 0}, nil},
	} {
		b := file(1, "{'descr': '|u1', 'fortran_order': True, 'shape': ("+c.shape+"), }\n", []byte{1, 2, 3, 4, 5, 6}[:len(c.want)])
		a, err := decode(bytes.NewReader(b), int64(len(b)))
		if err != nil || !slices.Equal(a.Values, c.want) {
			t.Errorf("(%s): %v, %v", c.shape, a, err)
		}
		if h, err := Inspect(bytes.NewReader(b), int64(len(b))); err != nil || !slices.Equal(h.Steps, c.steps) {
			t.Errorf("(%s): %+v, %v", c.shape, h, err)
		}
	}
	b := file(1, "{'descr': '|u1', 'fortran_order': False, 'shape': (2, 3, 4), }\n", make([]byte, 24))
	h, err := Inspect(bytes.NewReader(b), int64(len(b)))
	if err != nil || !slices.Equal(h.Steps, []int{12, 4, 1}) {
		t.Errorf("%+v, %v", h, err)
	}
}

// What 32 bits leave off is kept, and told apart from what they hold.
func TestRest(t *testing.T) {
	read := func(descr string, data []byte) *Array {
		t.Helper()
		b := file(1, fmt.Sprintf("{'descr': '%s', 'fortran_order': False, 'shape': (2, 2), }\n", descr), data)
		a, err := decode(bytes.NewReader(b), int64(len(b)))
		if err != nil {
			t.Fatal(err)
		}
		return a
	}
	if a := read("<f8", doubles(0.5, 3, math.Inf(1), math.NaN())); a.Rest != nil {
		t.Errorf("%v", a.Rest)
	}
	a := read("<f8", doubles(1e9+1, 0.1, 1e9+2, 1e-50))
	if a.Rest[0] != 1 || a.Rest[2] != 2 || float64(a.Values[1])+float64(a.Rest[1])-0.1 > 1e-16 || a.Rest[3] == 0 {
		t.Errorf("%v", a.Rest)
	}
	if x, y := a.Alike(0, 2, 2), a.Alike(1, 2, 2); x != 1 || y != 1 {
		t.Errorf("%d and %d are alike", x, y)
	}
	b := binary.LittleEndian.AppendUint32(nil, 1<<24)
	for _, v := range []uint32{1<<24 + 1, 1<<32 - 1, 5} {
		b = binary.LittleEndian.AppendUint32(b, v)
	}
	f := file(1, "{'descr': '<f8', 'fortran_order': True, 'shape': (2, 2), }\n", doubles(1e9+1, 1e9+2, 0, 0.5))
	a, err := decode(bytes.NewReader(f), int64(len(f)))
	if err != nil || !reflect.DeepEqual(a.Rest, []float32{1, 0, 2, 0}) {
		t.Errorf("%v, %v", a, err)
	}
	if a := read("<u4", b); !reflect.DeepEqual(a.Rest, []float32{0, 1, -1, 0}) || a.Alike(0, 1, 2) != 1 {
		t.Errorf("%v", a.Rest)
	}
}

func TestSpread(t *testing.T) {
	of := func(values ...float64) *Spread {
		s := new(Spread)
		for _, v := range values {
			s.Add(float32(v), float32(v-float64(float32(v))))
		}
		return s
	}
	if m := of(1e9+1, 1e9+2, 1e9+6).Mean(); m != 1e9+3 {
		t.Error(m)
	}
	for _, c := range []struct {
		s      *Spread
		share  float64
		coarse bool
	}{
		{of(1e9+1, 1e9-1, 1e9+2), 0.5, true},
		{of(1e6+1.1, 1e6-1.2, 1e6+2.3), 0.05, false},
		{of(1e6+1.1, 1e6-1.2, 1e6+2.3), 1e-4, true},
		{of(0.1, 0.7, -0.3), 1e-6, false},
		{of(0.1, 0.1, 0.1), 1e-6, false},
		{of(0.1, math.Nextafter(0.1, 1), 0.1), 1e-6, false}, // float64's own rounding
	} {
		if got := c.s.Coarse(c.share); got != c.coarse {
			t.Errorf("%+v, %v: %v", *c.s, c.share, got)
		}
	}
}

func TestRefuses(t *testing.T) {
	dict := func(descr, order, shape string) string {
		return fmt.Sprintf("{'descr': '%s', 'fortran_order': %s, 'shape': (%s), }\n", descr, order, shape)
	}
	for _, c := range []struct {
		b    []byte
		want string
	}{
		{nil, "does not start"},
		{[]byte("PK\x03\x04 and more"), "does not start as one; it is a zip, as the .npz files"},
		{file(1, dict("|O", "False", "1,"), make([]byte, 8)), "Python objects"},
		{file(1, dict("<U5", "False", "1,"), make([]byte, 20)), "is text, not numbers"},
		{file(1, dict("<f16", "False", "1,"), make([]byte, 16)), "\"<f16\" is not supported"},
		{file(1, "{'descr': [('x', '<f4'), ('y', '<f4')], 'fortran_order': False, 'shape': (1,), }", make([]byte, 8)), "records of several fields"},
		{file(1, dict(strings.Repeat("f", 50), "False", "1,"), nil), "does not name"},
		{file(1, dict("<f4", "False", strings.Repeat("1,", 65)), make([]byte, 4)), "more than 64 dimensions"},
		{file(1, dict("<f4", "False", "0, 4294967296, 4294967296"), []byte{1}), "takes 0 bytes, 1 are there"},
		{file(9, "", nil), "version"},
		{[]byte(magic + "\x01\x00\xff\xff{"), "cut short"},
		{[]byte(magic + "\x02\x00\xff\xff\xff\xff"), "claims a header"},
		{file(1, "{}", nil), "does not name"},
		{file(1, dict("<c8", "False", "1,"), make([]byte, 8)), "not supported"},
		{file(1, dict("<f4", "True", "2, 2"), make([]byte, 15)), "15 are there"},
		{file(1, dict("<f4", "False", "2, 2"), make([]byte, 15)), "15 are there"},
		{file(1, dict("<f4", "False", "4294967296, 4294967296"), nil), "too large"},
		{file(1, dict("<f4", "False", "99999999999999999999"), nil), "too large"},
		{file(1, dict("<f4", "False", "99999999999999999999L,"), nil), "too large"},
		{file(1, dict("<f4", "False", "L1,"), make([]byte, 4)), "does not name"},
		{file(1, dict("<f4", "False", "1L, 1L"), make([]byte, 8)), "takes 4 bytes, 8 are there"},
		{file(1, dict("<f8", "False", "3,"), doubles(1, 2, -1e300)), "value 3 is -1e+300, which is too large for the 32 bits"},
		{file(1, dict("<f8", "False", "3,"), doubles(1e-50, 0, -2e-50)), "all of its values are too small for the 32 bits"},
	} {
		_, err := decode(bytes.NewReader(c.b), int64(len(c.b)))
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%q: error %v, want one with %q", c.b, err, c.want)
		}
	}
}

// A folder, a pipe or a device is none; the shape is known without the values.
func TestStat(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "a.npy")
	os.WriteFile(path, file(1, "{'descr': '<f8', 'fortran_order': False, 'shape': (2, 3), }", make([]byte, 48)), 0o644)
	if shape, err := Stat(path); err != nil || !reflect.DeepEqual(shape, []int{2, 3}) {
		t.Errorf("%v, %v", shape, err)
	}
	for path, want := range map[string]string{
		dir:                           " is a folder",
		os.DevNull:                    " is not a regular file",
		filepath.Join(dir, "no.npy"):  "no such file",
		filepath.Join(dir, "bad.npy"): " is not a readable .npy file: it does not start as one",
	} {
		if strings.HasSuffix(path, "bad.npy") {
			os.WriteFile(path, []byte("1,2,3"), 0o644)
		}
		_, err := Stat(path)
		_, err2 := Read(path)
		if err == nil || err2 == nil || err.Error() != err2.Error() || !strings.Contains(err.Error(), path) ||
			!strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v; %v", path, err, err2)
		}
	}
}

func TestNumPyReadsIt(t *testing.T) {
	python, err := exec.LookPath("/usr/bin/python3")
	if err != nil || exec.Command(python, "-c", "import numpy").Run() != nil {
		t.Skip("no NumPy here")
	}
	path := filepath.Join(t.TempDir(), "a.npy")
	f, _ := os.Create(path)
	w, _ := NewWriter(f, 2, 2)
	w.Write([]float32{1, 2, 3, -4.5})
	w.Close()
	f.Close()
	out, err := exec.Command(python, "-c", "import numpy,sys; a=numpy.load(sys.argv[1]); print(a.dtype, a.tolist())", path).CombinedOutput()
	if want := "float32 [[1.0, 2.0], [3.0, -4.5]]\n"; err != nil || string(out) != want {
		t.Errorf("NumPy says %q (%v), want %q", out, err, want)
	}
}

// What a Writer wrote is told from the same matrix as NumPy writes it.
func TestWritten(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.npy")
	var b bytes.Buffer
	w, err := NewWriter(&b, 2, 3)
	if err == nil {
		err = errors.Join(w.Write(make([]float32, 6)), w.Close())
	}
	if err != nil {
		t.Fatal(err)
	}
	dict := "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }"
	for what, c := range map[string]struct {
		raw  []byte
		ours bool
	}{
		"ours":    {b.Bytes(), true},
		"NumPy's": {file(1, dict+strings.Repeat(" ", 128-10-len(dict)-1)+"\n", make([]byte, 24)), false},
		"as long": {file(1, strings.Replace(dict, "'<f4'", `"<f4"`, 1)+strings.Repeat(" ",
			headSize-10-len(dict)-1)+"\n", make([]byte, 24)), false},
		"its header only": {b.Bytes()[:headSize], true},
		"cut":             {b.Bytes()[:headSize-1], false},
		"nothing":         {nil, false},
	} {
		if err := os.WriteFile(path, c.raw, 0o644); err != nil {
			t.Fatal(err)
		}
		n, d, err := Written(path)
		if (err == nil) != c.ours || err == nil && (n != 2 || d != 3) {
			t.Errorf("%s: %d × %d, %v", what, n, d, err)
		}
	}
}
