package safetensors

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

// raw builds a file from a header and data.
func raw(header string, data int) []byte {
	b := binary.LittleEndian.AppendUint64(nil, uint64(len(header)))
	return append(append(b, header...), make([]byte, data)...)
}

func open(b []byte) (*File, error) {
	return NewFile(bytes.NewReader(b), int64(len(b)), "x.safetensors")
}

func TestRoundTrip(t *testing.T) {
	big := make([]float32, 100_000) // more than one read buffer
	for i := range big {
		big[i] = float32(i)*0.5 - 7
	}
	in := []Tensor{
		{"bytes", []int{3}, []uint8{1, 2, 255}},
		{"flags", []int{2, 1}, []bool{true, false}},
		{"big", []int{100, 1000}, big},
		{"scalar", nil, []float64{math.Pi}},
		{"empty", []int{0, 4}, []float32{}},
		{"whole", []int{2}, []int64{-1, math.MaxInt64}},
		{"i32", []int{1, 2}, []int32{-5, 6}},
		{"odd <name> \"é", []int{1}, []float32{float32(math.Inf(-1))}},
	}
	path := filepath.Join(t.TempDir(), "a.safetensors")
	if err := WriteFile(path, in, map[string]string{"note": "a \"b\"", "x": ""}); err != nil {
		t.Fatal(err)
	}
	lazy, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer lazy.Close()
	whole, err := Read(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range []*File{lazy, whole} {
		if want := map[string]string{"note": "a \"b\"", "x": ""}; !reflect.DeepEqual(f.Metadata, want) {
			t.Errorf("metadata %v", f.Metadata)
		}
		if len(f.Tensors) != len(in) {
			t.Fatalf("%d tensors, want %d", len(f.Tensors), len(in))
		}
		for _, x := range f.Tensors {
			if (f.data+x.begin)%int64(x.DType.Size()) != 0 {
				t.Errorf("%s is not aligned", x.Name)
			}
		}
		got, err := f.Float32("big")
		if err != nil || !reflect.DeepEqual(got, big) {
			t.Errorf("big: %v", err)
		}
		pi, err := f.Float64("scalar")
		if err != nil || pi[0] != math.Pi {
			t.Errorf("scalar: %v, %v", pi, err)
		}
		if info, _ := f.Info("scalar"); len(info.Shape) != 0 || info.Len() != 1 {
			t.Errorf("scalar: %+v", info)
		}
		if e, err := f.Float32("empty"); err != nil || len(e) != 0 {
			t.Errorf("empty: %v, %v", e, err)
		}
		if w, err := f.Int64("whole"); err != nil || w[0] != -1 || w[1] != math.MaxInt64 {
			t.Errorf("whole: %v, %v", w, err)
		}
		if b, err := f.Float32("flags"); err != nil || b[0] != 1 || b[1] != 0 {
			t.Errorf("flags: %v, %v", b, err)
		}
		if b, err := f.Bytes("bytes"); err != nil || !bytes.Equal(b, []byte{1, 2, 255}) {
			t.Errorf("bytes: %v, %v", b, err)
		}
		if v, err := f.Float32("odd <name> \"é"); err != nil || !math.IsInf(float64(v[0]), -1) {
			t.Errorf("odd name: %v, %v", v, err)
		}
	}
	if _, err := lazy.Int64("big"); err == nil {
		t.Error("Int64 of F32 gave no error")
	}
	if _, err := lazy.Float32("nothing"); err == nil || !strings.Contains(err.Error(), `has no tensor "nothing"; it holds`) {
		t.Errorf("missing tensor: %v", err)
	}
	if err := lazy.Float32Into("i32", make([]float32, 3)); err == nil {
		t.Error("a wrong length gave no error")
	}
}

func TestWriteIsDeterministic(t *testing.T) {
	var a, b bytes.Buffer
	m := map[string]string{"a": "1", "b": "2", "c": "3"}
	in := []Tensor{{"x", []int{1}, []uint8{1}}, {"y", []int{1}, []float32{2}}}
	if Write(&a, in, m) != nil || Write(&b, in, m) != nil || !bytes.Equal(a.Bytes(), b.Bytes()) {
		t.Error("two writes differ")
	}
	if in[0].Name != "x" {
		t.Error("the caller's slice was reordered")
	}
}

func TestWriteRefuses(t *testing.T) {
	for _, in := range [][]Tensor{
		{{"x", []int{2}, []float32{1}}},
		{{"x", []int{-1, -1}, []float32{1}}},
		{{"x", []int{1}, []string{"a"}}},
		{{"x", []int{1}, []uint8{1}}, {"x", []int{1}, []uint8{1}}},
		{{"__metadata__", []int{1}, []uint8{1}}},
	} {
		if err := Write(&bytes.Buffer{}, in, nil); err == nil {
			t.Errorf("%v was written", in)
		}
	}
	path := filepath.Join(t.TempDir(), "x")
	os.WriteFile(path, []byte("old"), 0o644)
	if err := WriteFile(path, []Tensor{{"x", []int{2}, []float32{1}}}, nil); err == nil {
		t.Error("no error")
	}
	if b, _ := os.ReadFile(path); string(b) != "old" {
		t.Errorf("a failed save left %q", b)
	}
	if names, _ := os.ReadDir(filepath.Dir(path)); len(names) != 1 {
		t.Errorf("a failed save left files behind: %v", names)
	}
}

// fullDisk takes n bytes and then fails.
type fullDisk struct{ n int }

func (f *fullDisk) Write(b []byte) (int, error) {
	if f.n -= len(b); f.n < 0 {
		return 0, errors.New("no space left")
	}
	return len(b), nil
}

func TestWriteFails(t *testing.T) {
	in := []Tensor{{"x", []int{1 << 18}, make([]float32, 1<<18)}}
	for _, room := range []int{0, 1 << 18, 1 << 19} {
		if err := Write(&fullDisk{room}, in, nil); err == nil || err.Error() != "no space left" {
			t.Errorf("a disk with room for %d bytes: %v", room, err)
		}
	}
}

func TestConversions(t *testing.T) {
	for _, c := range []struct {
		d    DType
		bits uint64
		want float64
	}{
		{F16, 0x3c00, 1}, {F16, 0xc000, -2}, {F16, 0x7bff, 65504}, {F16, 0x0001, 1.0 / (1 << 24)},
		{F16, 0x0400, 1.0 / (1 << 14)}, {F16, 0x8000, math.Copysign(0, -1)}, {F16, 0x7c00, math.Inf(1)},
		{F16, 0x3555, 0.333251953125}, {BF16, 0x3f80, 1}, {BF16, 0xc2f7, -123.5}, {BF16, 0xff80, math.Inf(-1)},
		{F32, 0x40490fdb, 3.1415927410125732}, {F64, 0x400921fb54442d18, math.Pi},
		{I8, 0xff, -1}, {U8, 0xff, 255}, {I16, 0xfffe, -2}, {U16, 0xfffe, 65534},
		{I32, 0xffffffff, -1}, {U32, 0xffffffff, 1<<32 - 1}, {I64, math.MaxUint64, -1}, {U64, 1 << 63, 1 << 63},
		{BOOL, 1, 1},
	} {
		h := fmt.Sprintf(`{"x":{"dtype":%q,"shape":[],"data_offsets":[0,%d]}}`, c.d, c.d.Size())
		b := raw(h, 0)
		b = append(b, binary.LittleEndian.AppendUint64(nil, c.bits)[:c.d.Size()]...)
		f, err := open(b)
		if err != nil {
			t.Fatal(err)
		}
		got, err := f.Float64("x")
		if err != nil || math.Float64bits(got[0]) != math.Float64bits(c.want) {
			t.Errorf("%s %#x: %v (%v), want %v", c.d, c.bits, got, err, c.want)
		}
	}
	if !math.IsNaN(float64(Half(0x7e00))) {
		t.Error("NaN was lost")
	}
}

func TestRefuses(t *testing.T) {
	x := func(rest string) string { return `{"x":{"dtype":"F32",` + rest + `}}` }
	for _, c := range []struct {
		b    []byte
		want string
	}{
		{nil, "less than the 8"},
		{[]byte("1234567"), "less than the 8"},
		{binary.LittleEndian.AppendUint64(nil, 1<<62), "the limit is"},
		{binary.LittleEndian.AppendUint64(nil, math.MaxUint64), "the limit is"},
		{binary.LittleEndian.AppendUint64(nil, 50), "cut short"},
		{raw("", 0), "not valid JSON"},
		{raw("{", 0), "not valid JSON"},
		{raw("[]", 0), "not a JSON object"},
		{raw("{} x", 0), "goes on"},
		{raw(`{"x"}`, 0), "a colon should come"},
		{raw(`{"x":{"dtype":"U8","shape":[1]"data_offsets":[0,1]}}`, 1), "byte 30 is '\"' where a comma should come"},
		{raw(`{"x`, 0), "it ends where the end of a string should come"},
		{raw(`{"x\`, 0), "it ends where"},
		{raw(`{"x`+"\n"+`":1}`, 0), "no control character"},
		{raw(`{"x`+"\xff"+`":1}`, 0), "not UTF-8"},
		{raw(`{"x\q":1}`, 0), "no escape"},
		{raw(`{"x\u12g4":1}`, 0), "no escape"},
		{raw(`{"x\ud800":1}`, 0), "no escape"},
		{raw(`{"x\ud800\u0041":1}`, 0), "no escape"},
		{raw(`{1:2}`, 0), "is no string"},
		{raw(`{"__metadata__":{"a":"","a":""}}`, 0), `"a" twice`},
		{raw(`{"__metadata__":{},"__metadata__":{}}`, 0), `__metadata__ twice`},
		{raw(`{"__metadata__":[["a"]]}`, 0), "__metadata__ is not a JSON object"},
		{raw(x(`"shape":[1],"data_offsets":[0,4],"shape":[1]`), 4), "shape appears twice"},
		{raw(x(`"shape":[1],"data_offsets":[0,4],"Shape":[1]`), 4), `unknown key "Shape"`},
		{raw(x(`"shape":[01],"data_offsets":[0,4]`), 4), "no list of whole numbers"},
		{raw(x(`"shape":[1e0],"data_offsets":[0,4]`), 4), "no list of whole numbers"},
		{raw(x(`"shape":[-0],"data_offsets":[0,0]`), 0), "no list of whole numbers"},
		{raw(x(`"shape":[[1]],"data_offsets":[0,4]`), 4), "no list of whole numbers"},
		{raw(x(`"shape":[`+strings.Repeat("1,", 64)+`1],"data_offsets":[0,4]`), 4), "more than 64"},
		{raw(x(`"data_offsets":[0,4]`), 4), "no shape"},
		{raw("{}", 3), "3 bytes follow"},
		{raw(`{"__metadata__":{"a":1}}`, 0), "__metadata__"},
		{raw(`{"x":3}`, 0), `"x"`},
		{raw(x(`"shape":[1],"data_offsets":[0]`), 4), "want 2"},
		{raw(x(`"shape":[1]`), 4), "want 2"},
		{raw(x(`"shape":[1],"data_offsets":[0,4]`), 3), "cut short"},
		{raw(x(`"shape":[1],"data_offsets":[4,0]`), 4), "not a range"},
		{raw(x(`"shape":[1],"data_offsets":[-4,0]`), 4), "not a range"},
		{raw(x(`"shape":[-1,-1],"data_offsets":[0,4]`), 4), "negative"},
		{raw(x(`"shape":[1.5],"data_offsets":[0,4]`), 4), `"x"`},
		{raw(x(`"shape":[2],"data_offsets":[0,4]`), 4), "takes 8 bytes"},
		{raw(x(`"shape":[4294967296,4294967296,4],"data_offsets":[0,4]`), 4), "too large"},
		{raw(x(`"shape":[9223372036854775807],"data_offsets":[0,4]`), 4), "too large"},
		{raw(x(`"shape":[1],"data_offsets":[4,8]`), 8), "gap of 4 bytes"},
		{raw(`{"x":{"dtype":"F4","shape":[1],"data_offsets":[0,4]}}`, 4), "not supported"},
		{raw(`{"x":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"x":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}`, 1), "twice"},
		{raw(`{"x":{"dtype":"U8","shape":[2],"data_offsets":[0,2]},"y":{"dtype":"U8","shape":[2],"data_offsets":[1,3]}}`, 3), "overlaps"},
	} {
		_, err := open(c.b)
		if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), "x.safetensors") {
			t.Errorf("%q: error %v, want one with %q", c.b, err, c.want)
		}
	}
	if _, err := Open(t.TempDir()); err == nil {
		t.Error("a folder was opened")
	}
	if _, err := Open(filepath.Join(t.TempDir(), "none")); !os.IsNotExist(err) {
		t.Errorf("missing file: %v", err)
	}
}

// A name is what JSON says it is.
func TestNames(t *testing.T) {
	f, err := open(raw(` { "é\u00e9\n\"\/\\\ud83d\ude00" : { "data_offsets" : [ 0 , 1 ] , "shape":[ ] , "dtype":"U8" } } `, 1))
	if err != nil {
		t.Fatal(err)
	}
	if _, ok := f.Info("éé\n\"/\\😀"); !ok {
		t.Errorf("%q", f.Tensors[0].Name)
	}
}

// A zero dimension may stand beside huge ones; nothing is allocated for it.
func TestZeroDimension(t *testing.T) {
	f, err := open(raw(`{"x":{"dtype":"F32","shape":[0,9223372036854775807,9223372036854775807],"data_offsets":[0,0]}}`, 0))
	if err != nil {
		t.Fatal(err)
	}
	if v, err := f.Float32("x"); err != nil || len(v) != 0 {
		t.Errorf("%v, %v", v, err)
	}
}

func BenchmarkWrite(b *testing.B) {
	in := []Tensor{{"x", []int{1 << 22}, make([]float32, 1<<22)}}
	b.SetBytes(4 << 22)
	for b.Loop() {
		if err := Write(io.Discard, in, nil); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkFloat32(b *testing.B) {
	var file bytes.Buffer
	Write(&file, []Tensor{{"x", []int{1 << 22}, make([]float32, 1<<22)}}, nil)
	f, err := open(file.Bytes())
	if err != nil {
		b.Fatal(err)
	}
	dst := make([]float32, 1<<22)
	b.SetBytes(4 << 22)
	for b.Loop() {
		if err := f.Float32Into("x", dst); err != nil {
			b.Fatal(err)
		}
	}
}
