package npy

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestWriter(t *testing.T) {
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
		length := int(binary.LittleEndian.Uint16(b.Bytes()[8:]))
		header, data := b.Bytes()[:10+length], b.Bytes()[10+length:]
		want := fmt.Sprintf("\x93NUMPY\x01\x00%s{'descr': '<f4', 'fortran_order': False, 'shape': (%d, %d), }", header[8:10], c.n, c.d)
		if strings.TrimRight(string(header), " \n") != want {
			t.Errorf("%d × %d: header %q", c.n, c.d, header)
		}
		got := make([]float32, len(data)/4)
		binary.Decode(data, binary.LittleEndian, got)
		if !slices.Equal(got, v) {
			t.Errorf("%d × %d came out as %v", c.n, c.d, got)
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
