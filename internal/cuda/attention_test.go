package cuda_test

import (
	"fmt"
	"testing"

	"vicreg/internal/device"
)

// ints returns an array of numbers.
func (s *side) ints(x []int32) device.Array {
	a := s.Alloc(device.Int32, len(x))
	s.UpInts(a, x)
	return a
}

// starts returns where sequences of these lengths start.
func starts(lengths []int) []int32 {
	at := []int32{0}
	for i, n := range lengths {
		at = append(at, at[i]+int32(n))
	}
	return at
}

func TestAttention(t *testing.T) {
	d := open(t)
	bf := []device.Type{device.BFloat16, device.BFloat16}
	f32 := []device.Type{device.Float32, device.Float32}
	for _, test := range []struct {
		lengths  []int
		c, heads int
		types    []device.Type // of qkv and o
	}{
		{[]int{1}, 8, 1, f32},
		{[]int{5, 0, 1, 66, 0}, 24, 3, f32},
		{[]int{65}, 64, 1, f32},
		{[]int{3, 130}, 70, 1, f32},
		{[]int{12, 7}, 20, 2, bf}, // no width that mma.sync takes
		{[]int{30, 0, 3}, 64, 2, []device.Type{device.BFloat16, device.Float32}},
		{[]int{30}, 64, 2, []device.Type{device.Float32, device.BFloat16}},
		{[]int{1}, 32, 1, bf},
		{[]int{16, 5, 0, 1, 70}, 64, 2, bf},
		{[]int{64, 0, 17, 1}, 128, 2, bf},
		{[]int{197}, 64, 1, bf},
		{[]int{129, 33}, 32, 1, bf},
	} {
		t.Run(fmt.Sprint(test.lengths, test.c, "in", test.heads, test.types), func(t *testing.T) {
			tol := max(nearDense(test.types[0]), nearDense(test.types[1]))
			agree(t, d, func(s *side) {
				a := device.Attention{Starts: starts(test.lengths), C: test.c, Heads: test.heads}
				a.At = s.ints(a.Starts)
				rows := int(a.Starts[len(test.lengths)])
				qkv, o, lse := s.normal(test.types[0], 3*rows*a.C), s.empty(test.types[1], rows*a.C),
					s.empty(device.Float32, rows*a.Heads)
				s.AttentionForward(o, lse, a, qkv)
				s.show("o", o, tol)
				s.show("lse", lse, near32)
				do, dqkv := s.normal(test.types[1], rows*a.C), s.empty(test.types[0], 3*rows*a.C)
				s.AttentionGrad(dqkv, a, qkv, o, do, lse)
				for i, part := range []string{"dq", "dk", "dv"} {
					for h := range a.Heads {
						s.showColumns(fmt.Sprint(part, " of head ", h), dqkv, 3*a.C, i*a.C+h*a.C/a.Heads, a.C/a.Heads, tol)
					}
				}
			})
		})
	}
}

// showColumns shows n columns from column from, of rows of stride. The gradients of a
// single query and key are zeros.
func (s *side) showColumns(name string, a device.Array, stride, from, n int, tol float64) {
	var x []float64
	for i, v := range s.values(a) {
		if c := i % stride; c >= from && c < from+n {
			x = append(x, v)
		}
	}
	s.shown = append(s.shown, shown{name, x, tol, tol})
}

// Large scores neither overflow nor lose their sum.
func TestAttentionOfLargeScores(t *testing.T) {
	d := open(t)
	for _, test := range []struct {
		kind device.Type
		tol  float64
	}{{device.Float32, 1e-4}, {device.BFloat16, 1e-2}} {
		agree(t, d, func(s *side) {
			const rows, c = 70, 32
			x := make([]float32, 3*rows*c)
			for i := range x {
				x[i] = float32(s.rand.NormFloat64())
				if i%(3*c) < 2*c {
					x[i] *= 6
				}
			}
			a := device.Attention{Starts: []int32{0, rows}, C: c, Heads: 1}
			a.At = s.ints(a.Starts)
			o, lse := s.empty(test.kind, rows*c), s.empty(device.Float32, rows)
			s.AttentionForward(o, lse, a, s.array(test.kind, x))
			s.show("o", o, test.tol)
			s.show("lse", lse, near32)
		})
	}
}

func TestAttentionWithoutRows(t *testing.T) {
	d := open(t)
	agree(t, d, func(s *side) {
		var none device.Array
		a := device.Attention{Starts: []int32{0, 0, 0}, C: 64, Heads: 2}
		a.At = s.ints(a.Starts)
		s.AttentionForward(none, none, a, none)
		s.AttentionGrad(none, a, none, none, none, none)
	})
}
