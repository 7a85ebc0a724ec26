package onnx

import (
	"fmt"
	"slices"
)

// reshape keeps the dimensions for which the new shape has 0, and finds the one for which
// it has -1.
func reshape(_ *Node, in []Array) Array {
	shape, rest := make([]int, len(in[1].Ints)), -1
	known := 1
	for i, s := range in[1].Ints {
		switch {
		case s == -1:
			rest = i
			continue
		case s == 0:
			s = int64(in[0].Shape[i])
		}
		shape[i] = int(s)
		known *= shape[i]
	}
	all := count(in[0].Shape)
	if rest >= 0 {
		shape[rest] = all / known
	}
	if count(shape) != all {
		panic(fmt.Sprintf("shape %v does not become %v", in[0].Shape, in[1].Ints))
	}
	return in[0].with(shape...)
}

func flatten(n *Node, in []Array) Array {
	axis := n.int("axis", 1)
	return in[0].with(count(in[0].Shape[:axis]), count(in[0].Shape[axis:]))
}

// pick makes an array of the values at places of another.
func (a Array) pick(shape []int, places func(to int) int) Array {
	out := Array{Shape: shape}
	if a.Ints != nil {
		out.Ints = make([]int64, count(shape))
		for i := range out.Ints {
			out.Ints[i] = a.Ints[places(i)]
		}
		return out
	}
	out.Floats = make([]float32, count(shape))
	for i := range out.Floats {
		out.Floats[i] = a.Floats[places(i)]
	}
	return out
}

func transpose(n *Node, in []Array) Array {
	perm := n.ints("perm")
	own := in[0].strides(in[0].Shape)
	shape, step := make([]int, len(perm)), make([]int, len(perm))
	for i, p := range perm {
		shape[i], step[i] = in[0].Shape[p], own[p]
	}
	return in[0].pick(shape, func(to int) int {
		from := 0
		for d := len(shape) - 1; d >= 0; d-- {
			from += to % shape[d] * step[d]
			to /= shape[d]
		}
		return from
	})
}

// pad puts zeros before and behind each dimension.
func pad(_ *Node, in []Array) Array {
	x, pads := in[0], in[1].Ints
	shape := slices.Clone(x.Shape)
	for d := range shape {
		shape[d] += int(pads[d] + pads[d+len(shape)])
	}
	out := newArray(shape...)
	own, wide := x.strides(x.Shape), out.strides(shape)
	for i, v := range x.Floats {
		to := 0
		for d := range shape {
			to += (i/own[d]%x.Shape[d] + int(pads[d])) * wide[d]
		}
		out.Floats[to] = v
	}
	return out
}

// around splits a shape at an axis: how many times it comes, its length, and how many
// values lie behind one place of it.
func around(shape []int, axis int) (outer, length, inner int) {
	if axis < 0 {
		axis += len(shape)
	}
	return count(shape[:axis]), shape[axis], count(shape[axis+1:])
}

func gather(n *Node, in []Array) Array {
	x, index := in[0], in[1]
	axis := n.int("axis", 0)
	if axis < 0 {
		axis += len(x.Shape)
	}
	_, length, inner := around(x.Shape, axis)
	many := len(index.Ints)
	shape := slices.Concat(x.Shape[:axis], index.Shape, x.Shape[axis+1:])
	return x.pick(shape, func(to int) int {
		at := int(index.Ints[to/inner%many])
		if at < 0 {
			at += length
		}
		if at < 0 || at >= length {
			panic(fmt.Sprintf("place %d of %d", at, length))
		}
		return (to/inner/many*length+at)*inner + to%inner
	})
}

func concat(n *Node, in []Array) Array {
	axis := n.int("axis", 0)
	shape := slices.Clone(in[0].Shape)
	if axis < 0 {
		axis += len(shape)
	}
	shape[axis] = 0
	for _, a := range in {
		shape[axis] += a.Shape[axis]
	}
	out := Array{Shape: shape}
	outer, _, inner := around(shape, axis)
	for o := range outer {
		for _, a := range in {
			w := a.Shape[axis] * inner
			out.Floats = append(out.Floats, a.Floats[o*w:(o+1)*w]...)
		}
	}
	return out
}

// split cuts a dimension into equal pieces.
func split(n *Node, in []Array) []Array {
	axis, pieces := n.int("axis", 0), n.int("num_outputs", 0)
	outer, length, inner := around(in[0].Shape, axis)
	if axis < 0 {
		axis += len(in[0].Shape)
	}
	if pieces < 1 || length%pieces != 0 {
		panic(fmt.Sprintf("%d do not split into %d", length, pieces))
	}
	all := make([]Array, pieces)
	w := length / pieces * inner
	for i := range all {
		shape := slices.Clone(in[0].Shape)
		shape[axis] = length / pieces
		all[i].Shape = shape
		for o := range outer {
			all[i].Floats = append(all[i].Floats, in[0].Floats[(o*pieces+i)*w:][:w]...)
		}
	}
	return all
}
