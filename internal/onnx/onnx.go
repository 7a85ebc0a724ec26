// Package onnx writes and reads ONNX models, and computes what they say: [Model.Write],
// [Parse] and [Graph.Run]. The last is plain Go, operator by operator as the standard
// defines them, so that a file can be checked where no runtime is. It knows the operators
// that vicreg writes and no others.
//
// The layout is that of onnx.proto (github.com/onnx/onnx, onnx/onnx.proto).
package onnx

import (
	"encoding/binary"
	"fmt"
	"math"
)

// What files say of themselves. No operator that is used here has changed since opset 20,
// which brought Gelu.
const (
	Opset     = 21
	irVersion = 10 // the first with opset 21
)

// Type is a type of numbers, as TensorProto.DataType has it.
type Type int32

const (
	Float Type = 1
	Int64 Type = 7
	Bool  Type = 9
)

// size returns the bytes of a number, 0 of types that are not used here.
func (t Type) size() int {
	switch t {
	case Float:
		return 4
	case Int64:
		return 8
	case Bool:
		return 1
	}
	return 0
}

// Model is a file.
type Model struct {
	Producer, Version string // the program that wrote it
	Metadata          map[string]string
	Graph             Graph
}

// Graph is what a model computes.
type Graph struct {
	Name            string
	Inputs, Outputs []Value
	Constants       []Tensor
	Nodes           []Node // each reads what comes before it
}

// Value describes an input or an output.
type Value struct {
	Name  string
	Type  Type
	Shape []Dim
}

// Dim is a dimension: a number, or a name where it is open.
type Dim struct {
	N    int
	Name string
}

// Dims are dimensions of known size behind an open one.
func Dims(open string, sizes ...int) []Dim {
	all := []Dim{{Name: open}}
	for _, n := range sizes {
		all = append(all, Dim{N: n})
	}
	return all
}

// Tensor is a constant. Its values are Ints, what Make returns, or those of a file.
type Tensor struct {
	Name  string
	Type  Type
	Shape []int
	Ints  []int64

	// Make returns float32 values when they are written, so that not all constants need
	// memory at once. What it returns may be overwritten by the next constant's.
	Make func() []float32

	raw []byte // little-endian, as in a file
}

// Floats is a constant of float32.
func Floats(name string, values []float32, shape ...int) Tensor {
	return Tensor{Name: name, Type: Float, Shape: shape, Make: func() []float32 { return values }}
}

// Len returns the number of values that the shape asks for.
func (t *Tensor) Len() int {
	n := 1
	for _, s := range t.Shape {
		n *= s
	}
	return n
}

// Values returns a constant's numbers.
func (t *Tensor) Values() Array {
	a := Array{Shape: t.Shape}
	switch {
	case t.Type == Int64 && t.raw == nil:
		a.Ints = t.Ints
	case t.Type == Int64:
		a.Ints = make([]int64, len(t.raw)/8)
		for i := range a.Ints {
			a.Ints[i] = int64(binary.LittleEndian.Uint64(t.raw[8*i:]))
		}
	case t.raw == nil:
		a.Floats = t.Make()
	default:
		a.Floats = make([]float32, len(t.raw)/4)
		for i := range a.Floats {
			a.Floats[i] = math.Float32frombits(binary.LittleEndian.Uint32(t.raw[4*i:]))
		}
	}
	return a
}

// Node applies an operator.
type Node struct {
	Op, Name string
	In, Out  []string
	Attrs    []Attr
}

// Attr is an attribute of a node: whole numbers, one of them (One), or a number (Ints is
// nil).
type Attr struct {
	Name  string
	Ints  []int64
	One   bool
	Float float32
}

// Int, Ints and Real are attributes.
func Int(name string, v int) Attr { return Attr{Name: name, Ints: []int64{int64(v)}, One: true} }

func Ints(name string, v ...int) Attr {
	a := Attr{Name: name, Ints: []int64{}}
	for _, x := range v {
		a.Ints = append(a.Ints, int64(x))
	}
	return a
}

func Real(name string, v float64) Attr { return Attr{Name: name, Float: float32(v)} }

// ints returns the whole numbers of an attribute, or what counts without it.
func (n *Node) ints(name string, otherwise ...int) []int {
	for _, a := range n.Attrs {
		if a.Name == name {
			v := make([]int, len(a.Ints))
			for i, x := range a.Ints {
				v[i] = int(x)
			}
			return v
		}
	}
	return otherwise
}

func (n *Node) int(name string, otherwise int) int {
	if v := n.ints(name, otherwise); len(v) == 1 {
		return v[0]
	}
	panic(fmt.Sprintf("onnx: %s has several numbers for %s", n.Name, name))
}

func (n *Node) real(name string, otherwise float64) float64 {
	for _, a := range n.Attrs {
		if a.Name == name {
			return float64(a.Float)
		}
	}
	return otherwise
}
