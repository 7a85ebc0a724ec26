package onnx

import (
	"context"
	"fmt"
	"slices"
)

// Array is a value while a graph is computed: Floats, or Ints, which truth values are too.
type Array struct {
	Shape  []int
	Floats []float32
	Ints   []int64
}

func newArray(shape ...int) Array {
	return Array{Shape: shape, Floats: make([]float32, count(shape))}
}

func count(shape []int) int {
	n := 1
	for _, s := range shape {
		n *= s
	}
	return n
}

// with is the same values in another shape.
func (a Array) with(shape ...int) Array { a.Shape = shape; return a }

// operator computes a node's outputs.
type operator func(n *Node, in []Array) []Array

// one is an operator with one output.
func one(f func(n *Node, in []Array) Array) operator {
	return func(n *Node, in []Array) []Array { return []Array{f(n, in)} }
}

// operators are all that [Graph.Run] knows, as the ONNX standard defines them
// (github.com/onnx/onnx, docs/Operators.md).
var operators map[string]operator

func init() {
	operators = map[string]operator{
		"Add":                one(arithmetic(func(a, b float64) float64 { return a + b })),
		"Sub":                one(arithmetic(func(a, b float64) float64 { return a - b })),
		"Mul":                one(arithmetic(func(a, b float64) float64 { return a * b })),
		"Div":                one(arithmetic(func(a, b float64) float64 { return a / b })),
		"Max":                one(arithmetic(func(a, b float64) float64 { return max(a, b) })),
		"Relu":               one(relu),
		"Gelu":               one(gelu),
		"Softmax":            one(softmax),
		"LayerNormalization": one(layerNormalization),
		"Conv":               one(convolve),
		"MaxPool":            one(maxPool),
		"GlobalAveragePool":  one(globalAveragePool),
		"Gemm":               one(gemm),
		"MatMul":             one(matMul),
		"ReduceMean":         one(reduce(true)),
		"ReduceSum":          one(reduce(false)),
		"Reshape":            one(reshape),
		"Flatten":            one(flatten),
		"Transpose":          one(transpose),
		"Pad":                one(pad),
		"Gather":             one(gather),
		"Concat":             one(concat),
		"Split":              split,
		"Equal":              one(equal),
		"IsNaN":              one(isNaN),
		"Not":                one(not),
		"Cast":               one(cast),
		"Where":              one(where),
	}
}

// Run computes the outputs from the inputs. progress, unless nil, is told after each node
// how many are done. A graph that does not fit together is an error.
func (g *Graph) Run(ctx context.Context, inputs map[string]Array, progress func(done, total int)) (
	out map[string]Array, err error,
) {
	if err := g.fit(inputs); err != nil {
		return nil, err
	}
	constants, last := map[string]*Tensor{}, map[string]int{}
	for i := range g.Constants {
		constants[g.Constants[i].Name] = &g.Constants[i]
	}
	for i, n := range g.Nodes {
		for _, name := range n.In {
			last[name] = i
		}
	}
	for _, v := range g.Outputs {
		last[v.Name] = len(g.Nodes)
	}
	values := map[string]Array{}
	for name, a := range inputs {
		values[name] = a
	}
	at := ""
	defer func() {
		if e := recover(); e != nil {
			out, err = nil, fmt.Errorf("%s cannot be computed: %v", at, e)
		}
	}()
	for i := range g.Nodes {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		n := &g.Nodes[i]
		at = n.Op + " " + n.Name
		f := operators[n.Op]
		if f == nil {
			return nil, fmt.Errorf("operator %q is not one that can be checked here", n.Op)
		}
		in := make([]Array, len(n.In))
		for j, name := range n.In {
			a, ok := values[name]
			if c := constants[name]; !ok && c != nil {
				a, ok = c.Values(), true
			}
			if !ok {
				return nil, fmt.Errorf("%s reads %q, which nothing before it makes", at, name)
			}
			in[j] = a
		}
		made := f(n, in)
		if len(made) != len(n.Out) {
			return nil, fmt.Errorf("%s makes %d values, but %d are named", at, len(made), len(n.Out))
		}
		for j, name := range n.Out {
			values[name] = made[j]
		}
		for _, name := range n.In {
			if last[name] == i {
				delete(values, name)
			}
		}
		if progress != nil {
			progress(i+1, len(g.Nodes))
		}
	}
	out = map[string]Array{}
	for _, v := range g.Outputs {
		a, ok := values[v.Name]
		if !ok {
			return nil, fmt.Errorf("nothing makes the output %q", v.Name)
		}
		if !v.fits(a) {
			return nil, fmt.Errorf("the output %q has shape %v, not %s", v.Name, a.Shape, v.Shape)
		}
		out[v.Name] = a
	}
	return out, nil
}

// fit returns an error if inputs are not those of the graph.
func (g *Graph) fit(inputs map[string]Array) error {
	for _, v := range g.Inputs {
		if a, ok := inputs[v.Name]; !ok || !v.fits(a) {
			return fmt.Errorf("the input %q is %v, not %s", v.Name, a.Shape, v.Shape)
		}
	}
	return nil
}

// fits reports whether an array is as the value says.
func (v *Value) fits(a Array) bool {
	if (v.Type == Float) != (a.Floats != nil) {
		return false
	}
	return slices.EqualFunc(v.Shape, a.Shape, func(d Dim, n int) bool { return d.Name != "" || d.N == n })
}

// String writes a dimension as people do.
func (d Dim) String() string {
	if d.Name != "" {
		return d.Name
	}
	return fmt.Sprint(d.N)
}
