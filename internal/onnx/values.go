package onnx

import (
	"fmt"
	"math"
	"slices"
)

// strides returns how far apart the values of an array are along the dimensions of out, 0
// where it is repeated, by the rules of broadcasting.
func (a Array) strides(out []int) []int {
	s := make([]int, len(out))
	at := 1
	for i := len(a.Shape) - 1; i >= 0; i-- {
		o := i + len(out) - len(a.Shape)
		if a.Shape[i] == out[o] {
			s[o] = at
		} else if a.Shape[i] != 1 {
			panic(fmt.Sprintf("shapes %v and %v do not go together", a.Shape, out))
		}
		at *= a.Shape[i]
	}
	return s
}

// together returns the shape of arrays that are broadcast.
func together(all ...Array) []int {
	var out []int
	for _, a := range all {
		for len(out) < len(a.Shape) {
			out = slices.Insert(out, 0, 1)
		}
		for i, s := range a.Shape {
			if o := &out[i+len(out)-len(a.Shape)]; *o == 1 {
				*o = s
			}
		}
	}
	return out
}

// walk calls f for each place of shape, in order, with the place in each of the arrays.
func walk(shape []int, all []Array, f func(to int, from []int)) {
	steps := make([][]int, len(all))
	for i, a := range all {
		steps[i] = a.strides(shape)
	}
	at, from := make([]int, len(shape)), make([]int, len(all))
	for to := range count(shape) {
		f(to, from)
		for d := len(shape) - 1; d >= 0; d-- {
			at[d]++
			for i := range from {
				from[i] += steps[i][d]
			}
			if at[d] < shape[d] {
				break
			}
			for i := range from {
				from[i] -= steps[i][d] * shape[d]
			}
			at[d] = 0
		}
	}
}

// arithmetic is an operator on two arrays, value by value.
func arithmetic(f func(a, b float64) float64) func(*Node, []Array) Array {
	return func(_ *Node, in []Array) Array {
		a, b := in[0].Floats, in[1].Floats
		out := newArray(together(in...)...)
		walk(out.Shape, in, func(to int, from []int) {
			out.Floats[to] = float32(f(float64(a[from[0]]), float64(b[from[1]])))
		})
		return out
	}
}

func (a Array) each(f func(v float64) float64) Array {
	out := newArray(a.Shape...)
	for i, v := range a.Floats {
		out.Floats[i] = float32(f(float64(v)))
	}
	return out
}

func relu(_ *Node, in []Array) Array { return in[0].each(func(v float64) float64 { return max(v, 0) }) }

// gelu is x·Φ(x).
func gelu(_ *Node, in []Array) Array {
	return in[0].each(func(v float64) float64 { return v * 0.5 * math.Erfc(-v/math.Sqrt2) })
}

// rows calls f with each row along the last dimension.
func (a Array) rows(f func(from, to []float32)) Array {
	out := newArray(a.Shape...)
	c := a.Shape[len(a.Shape)-1]
	for i := 0; i < len(a.Floats); i += c {
		f(a.Floats[i:i+c], out.Floats[i:i+c])
	}
	return out
}

// lastAxis panics if a node is not about the last dimension.
func lastAxis(n *Node, a Array) {
	if axis := n.int("axis", -1); axis != -1 && axis != len(a.Shape)-1 {
		panic(fmt.Sprintf("axis %d is not the last", axis))
	}
}

func softmax(n *Node, in []Array) Array {
	lastAxis(n, in[0])
	return in[0].rows(func(from, to []float32) {
		most, sum := float64(slices.Max(from)), 0.
		for _, v := range from {
			sum += math.Exp(float64(v) - most)
		}
		for i, v := range from {
			to[i] = float32(math.Exp(float64(v)-most) / sum)
		}
	})
}

func layerNormalization(n *Node, in []Array) Array {
	lastAxis(n, in[0])
	eps, gamma, beta := n.real("epsilon", 1e-5), in[1].Floats, in[2].Floats
	return in[0].rows(func(from, to []float32) {
		var mean, square float64
		for _, v := range from {
			mean += float64(v) / float64(len(from))
		}
		for _, v := range from {
			square += (float64(v) - mean) * (float64(v) - mean) / float64(len(from))
		}
		for i, v := range from {
			to[i] = float32((float64(v)-mean)/math.Sqrt(square+eps)*float64(gamma[i]) + float64(beta[i]))
		}
	})
}

// reduce is the sum or the mean over the dimensions that the second input names.
func reduce(mean bool) func(*Node, []Array) Array {
	return func(n *Node, in []Array) Array {
		x := in[0]
		kept := slices.Clone(x.Shape)
		share := 1.
		for _, axis := range in[1].Ints {
			if axis < 0 {
				axis += int64(len(kept))
			}
			if mean {
				share /= float64(kept[axis])
			}
			kept[axis] = 1
		}
		sums := make([]float64, count(kept))
		walk(x.Shape, []Array{x, {Shape: kept}}, func(_ int, from []int) {
			sums[from[1]] += float64(x.Floats[from[0]])
		})
		out := newArray(kept...)
		for i, s := range sums {
			out.Floats[i] = float32(s * share)
		}
		if n.int("keepdims", 1) == 0 {
			rest := []int{}
			for i, s := range x.Shape {
				if !slices.Contains(in[1].Ints, int64(i)) && !slices.Contains(in[1].Ints, int64(i-len(x.Shape))) {
					rest = append(rest, s)
				}
			}
			out.Shape = rest
		}
		return out
	}
}

func equal(_ *Node, in []Array) Array {
	out := Array{Shape: together(in...)}
	out.Ints = make([]int64, count(out.Shape))
	walk(out.Shape, in, func(to int, from []int) {
		if in[0].Ints[from[0]] == in[1].Ints[from[1]] {
			out.Ints[to] = 1
		}
	})
	return out
}

func isNaN(_ *Node, in []Array) Array {
	out := Array{Shape: in[0].Shape, Ints: make([]int64, len(in[0].Floats))}
	for i, v := range in[0].Floats {
		if math.IsNaN(float64(v)) {
			out.Ints[i] = 1
		}
	}
	return out
}

func not(_ *Node, in []Array) Array {
	out := Array{Shape: in[0].Shape, Ints: make([]int64, len(in[0].Ints))}
	for i, v := range in[0].Ints {
		out.Ints[i] = 1 - v
	}
	return out
}

// cast makes numbers of truth values.
func cast(n *Node, in []Array) Array {
	if Type(n.int("to", 0)) != Float {
		panic("a cast to another type than float")
	}
	out := newArray(in[0].Shape...)
	for i, v := range in[0].Ints {
		out.Floats[i] = float32(v)
	}
	return out
}

func where(_ *Node, in []Array) Array {
	out := newArray(together(in...)...)
	walk(out.Shape, in, func(to int, from []int) {
		if in[0].Ints[from[0]] != 0 {
			out.Floats[to] = in[1].Floats[from[1]]
		} else {
			out.Floats[to] = in[2].Floats[from[2]]
		}
	})
	return out
}
