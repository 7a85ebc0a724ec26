package safetensors_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"strings"
	"testing"
	"time"

	"vicreg/internal/check"
	"vicreg/internal/safetensors"
)

// file builds a file from a header and data.
func file(header string, data int) []byte {
	b := binary.LittleEndian.AppendUint64(nil, uint64(len(header)))
	return append(append(b, header...), make([]byte, data)...)
}

func open(b []byte) (*safetensors.File, error) {
	return safetensors.NewFile(bytes.NewReader(b), int64(len(b)), "x.safetensors")
}

// Large headers of all kinds take memory in proportion to their size.
func TestHeaderBombs(t *testing.T) {
	const n = 150_000
	var names, keys strings.Builder
	for i := range n {
		fmt.Fprintf(&names, `"%d":{"dtype":"U8","shape":[0],"data_offsets":[0,0]},`, i)
		fmt.Fprintf(&keys, `"%d":"",`, i)
	}
	tensor := func(shape string) string { return `{"x":{"dtype":"U8","shape":` + shape + `,"data_offsets":[0,0]}}` }
	for what, c := range map[string]struct{ header, want string }{
		"tensors":    {"{" + strings.TrimSuffix(names.String(), ",") + "}", "more than 100000 tensors"},
		"keys":       {`{"__metadata__":{` + strings.TrimSuffix(keys.String(), ",") + "}}", "more than 100000 keys"},
		"nesting":    {strings.Repeat(`{"":`, 2<<20), `tensor "": unknown key ""`},
		"lists":      {tensor(strings.Repeat(`[`, 8<<20)), "no list of whole numbers"},
		"dimensions": {tensor("[" + strings.Repeat("0,", 4<<20) + "0]"), "more than 64 numbers"},
		"digits":     {tensor("[" + strings.Repeat("1", 8<<20) + "]"), "too large"},
		"type":       {`{"x":{"dtype":"` + strings.Repeat("F", 8<<20) + `","shape":[],"data_offsets":[0,0]}}`, "is not supported"},
		"name":       {`{"` + strings.Repeat("n", 8<<20) + `":{"dtype":"F","shape":[],"data_offsets":[0,0]}}`, "is not supported"},
		"escapes":    {`{"__metadata__":{"x":"` + strings.Repeat(`\u0001`, 2<<20) + `"}} x`, "goes on"},
		"spaces":     {strings.Repeat(" ", 8<<20), "it ends where"},
		"half":       {`{"__metadata__":{"x":"` + strings.Repeat(`a`, 8<<20), "it ends where"},
	} {
		t.Run(what, func(t *testing.T) {
			b := file(c.header, 0)
			check.Bounded(t, 80, time.Second, func() {
				_, err := open(b)
				if err == nil || !strings.Contains(err.Error(), c.want) || len(err.Error()) > 300 {
					t.Errorf("error %.300v, want one with %q", err, c.want)
				}
			})
		})
	}
}

// What is accepted can be read, written and read again.
func FuzzNewFile(f *testing.F) {
	var plain, sealed bytes.Buffer
	tensors := []safetensors.Tensor{{Name: "a", Shape: []int{2}, Data: []float32{1, 2}},
		{Name: "b", Shape: []int{1}, Data: []uint8{7}}}
	meta := map[string]string{"k": "v \"é\""}
	for _, err := range []error{safetensors.Write(&plain, tensors, meta),
		safetensors.WriteSealed(&sealed, tensors, meta)} {
		if err != nil {
			f.Fatal(err)
		}
	}
	f.Add(plain.Bytes())
	f.Add(sealed.Bytes())
	for _, d := range []string{"F64", "F16", "BF16", "I64", "I16", "I8", "U64", "BOOL"} {
		f.Add(file(`{"x":{"dtype":"`+d+`","shape":[2,1],"data_offsets":[0,2]}}`, 2))
		f.Add(file(`{"x":{"dtype":"`+d+`","shape":[1],"data_offsets":[0,8]}}`, 8))
	}
	f.Add(file(`{"x":{"dtype":"U8","shape":[2],"data_offsets":[0,2]},"y":{"dtype":"U8","shape":[2],"data_offsets":[1,3]}}`, 3))
	f.Add(file(`{"x\u00e9\ud83d\ude00":{"dtype":"F32","shape":[0,9223372036854775807],"data_offsets":[0,0]},"":{"dtype":"U8","shape":[],"data_offsets":[0,1]}}`, 1))
	f.Fuzz(func(t *testing.T, b []byte) {
		check.Bounded(t, 4+len(b)>>14, 2*time.Second, func() {
			x, err := open(b)
			if err != nil {
				if len(err.Error()) > 1000 {
					t.Errorf("a message of %d bytes", len(err.Error()))
				}
				return
			}
			again(t, x)
		})
	})
}

func again(t *testing.T, x *safetensors.File) {
	var tensors []safetensors.Tensor
	for _, i := range x.Tensors {
		v, err := x.Float32(i.Name)
		if err != nil || len(v) != i.Len() {
			t.Fatalf("%+v: %d values, %v", i, len(v), err)
		}
		raw, err := x.Bytes(i.Name)
		if err != nil || len(raw) != i.Len()*i.DType.Size() {
			t.Fatalf("%+v: %d bytes, %v", i, len(raw), err)
		}
		tensors = append(tensors, safetensors.Tensor{Name: i.Name, Shape: i.Shape, Data: v})
	}
	if x.Sealed() && x.Verify() != nil {
		return // of its header alone it is right
	}
	var b bytes.Buffer
	delete(x.Metadata, safetensors.DataKey)
	delete(x.Metadata, safetensors.HeaderKey)
	if err := safetensors.WriteSealed(&b, tensors, x.Metadata); err != nil {
		t.Fatal(err)
	}
	y, err := open(b.Bytes())
	if err != nil || y.Verify() != nil || len(y.Tensors) != len(x.Tensors) || len(y.Metadata) != len(x.Metadata)+2 {
		t.Fatalf("read again: %v", err)
	}
	for k, v := range x.Metadata {
		if y.Metadata[k] != v {
			t.Errorf("metadata %q is %q, was %q", k, y.Metadata[k], v)
		}
	}
	for k, w := range tensors {
		v, err := y.Float32(w.Name)
		if err != nil {
			t.Fatal(err)
		}
		for i, x := range w.Data.([]float32) {
			if v[i] != x && x == x {
				t.Errorf("tensor %d, %q: element %d is %v, was %v", k, w.Name, i, v[i], x)
			}
		}
	}
}
