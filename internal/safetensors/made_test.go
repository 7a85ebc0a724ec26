package safetensors

import (
	"bytes"
	"testing"
)

// Data that is made while it is written, in memory that all tensors share, is as
// data that was there.
func TestMadeData(t *testing.T) {
	scratch := make([]float32, 3)
	made := func(values ...float32) Made {
		return Made{len(values), func() []float32 { copy(scratch, values); return scratch }}
	}
	var got, want bytes.Buffer
	meta := map[string]string{"k": "v"}
	if err := WriteSealed(&got, []Tensor{{"a", []int{3}, made(1, 2, 3)}, {"n", []int{1}, []int64{7}},
		{"b", []int{2, 1}, made(4, 5)}}, meta); err != nil {
		t.Fatal(err)
	}
	if err := WriteSealed(&want, []Tensor{{"a", []int{3}, []float32{1, 2, 3}}, {"n", []int{1}, []int64{7}},
		{"b", []int{2, 1}, []float32{4, 5}}}, meta); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got.Bytes(), want.Bytes()) {
		t.Error("the files differ")
	}
	if err := WriteSealed(&got, []Tensor{{"a", []int{4}, made(1, 2, 3)}}, nil); err == nil {
		t.Error("3 values fill a shape of 4")
	}
}
