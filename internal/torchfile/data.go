package torchfile

import (
	"encoding/binary"
	"fmt"
	"io"
	"math"

	"vicreg/internal/durable"
	"vicreg/internal/safetensors"
)

// chunk is how many bytes are read at once.
const chunk = 64 << 10

// Float32 returns the elements of a tensor in the order of its shape, the last axis
// fastest, whatever order and type the file has.
func (f *File) Float32(name string) ([]float32, error) {
	t := f.tensors[name]
	if t == nil {
		return nil, fmt.Errorf("%s has no tensor %s", f.name, brief(name))
	}
	out, err := f.float32(name, t)
	if fl, ok := err.(flaw); ok {
		return nil, fmt.Errorf("%s: its tensor %s %s", f.name, brief(name), string(fl))
	}
	if err != nil {
		return nil, fmt.Errorf("cannot read tensor %s of %s: %w", brief(name), f.name, durable.Reason(err))
	}
	return out, nil
}

func (f *File) float32(name string, t *tensor) ([]float32, error) {
	if f.twice[name] {
		return nil, flaw("cannot be told from another of the same name")
	}
	if t.why != "" {
		return nil, flaw(t.why)
	}
	if decoders[t.kind.name] == nil {
		return nil, flawf("is of type %s, which is not read: in Python, make it float32 with .float() and save again", t.kind.name)
	}
	if t.count > math.MaxInt/8 {
		return nil, flaw("is too large for this machine")
	}
	if t.count == 0 {
		return []float32{}, nil
	}
	if err := f.verify(t.store.rec); err != nil {
		return nil, err
	}
	out := make([]float32, t.count)
	if t.contiguous() {
		return out, f.run(t, 0, out)
	}
	if t.span/16 <= t.count { // most of the span is used, so it is read in order
		whole := make([]float32, t.span)
		if err := f.run(t, 0, whole); err != nil {
			return nil, err
		}
		i := 0
		t.each(func(at int64) error {
			out[i] = whole[at]
			i++
			return nil
		})
		return out, nil
	}
	i := 0
	return out, t.each(func(at int64) error {
		i++
		return f.run(t, at, out[i-1:i])
	})
}

// contiguous reports whether the elements are in the order of the shape.
func (t *tensor) contiguous() bool {
	next := int64(1)
	for i := len(t.shape) - 1; i >= 0; i-- {
		if t.shape[i] != 1 && t.stride[i] != next {
			return false
		}
		next *= t.shape[i]
	}
	return true
}

// each calls do with where each element is, counted from the first.
func (t *tensor) each(do func(at int64) error) error {
	index := make([]int64, len(t.shape))
	at := int64(0)
	for range t.count {
		if err := do(at); err != nil {
			return err
		}
		for i := len(index) - 1; i >= 0; i-- {
			index[i]++
			at += t.stride[i]
			if index[i] < t.shape[i] {
				break
			}
			at -= t.stride[i] * t.shape[i]
			index[i] = 0
		}
	}
	return nil
}

// run fills out with the elements from the one at a place on.
func (f *File) run(t *tensor, at int64, out []float32) error {
	size := int(t.kind.size)
	from := t.store.rec.at + t.store.offset*t.store.kind.size + (t.offset+at)*t.kind.size
	decode := decoders[t.kind.name]
	buf := make([]byte, min(chunk, len(out)*size))
	for len(out) > 0 {
		n := min(len(out), len(buf)/size)
		b := buf[:n*size]
		if _, err := f.r.ReadAt(b, from); err != nil && err != io.EOF {
			return err
		} else if err == io.EOF && from+int64(len(b)) > f.size {
			return flaw("was cut short while it was read")
		}
		decode(out[:n], b)
		out = out[n:]
		from += int64(len(b))
	}
	return nil
}

var le = binary.LittleEndian

// decoders convert elements, the lowest byte first, of the types that are read.
var decoders = map[string]func(out []float32, b []byte){
	"float64":  each(8, func(b []byte) float32 { return float32(math.Float64frombits(le.Uint64(b))) }),
	"float32":  each(4, func(b []byte) float32 { return math.Float32frombits(le.Uint32(b)) }),
	"float16":  each(2, func(b []byte) float32 { return safetensors.Half(le.Uint16(b)) }),
	"bfloat16": each(2, func(b []byte) float32 { return math.Float32frombits(uint32(le.Uint16(b)) << 16) }),
	"int64":    each(8, func(b []byte) float32 { return float32(int64(le.Uint64(b))) }),
	"int32":    each(4, func(b []byte) float32 { return float32(int32(le.Uint32(b))) }),
	"int16":    each(2, func(b []byte) float32 { return float32(int16(le.Uint16(b))) }),
	"int8":     each(1, func(b []byte) float32 { return float32(int8(b[0])) }),
	"uint64":   each(8, func(b []byte) float32 { return float32(le.Uint64(b)) }),
	"uint32":   each(4, func(b []byte) float32 { return float32(le.Uint32(b)) }),
	"uint16":   each(2, func(b []byte) float32 { return float32(le.Uint16(b)) }),
	"uint8":    each(1, func(b []byte) float32 { return float32(b[0]) }),
	"bool": each(1, func(b []byte) float32 {
		if b[0] != 0 {
			return 1
		}
		return 0
	}),
}

func each(size int, one func([]byte) float32) func([]float32, []byte) {
	return func(out []float32, b []byte) {
		for i := range out {
			out[i] = one(b[i*size:])
		}
	}
}
