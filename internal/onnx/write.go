package onnx

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"
	"maps"
	"math"
	"slices"

	"google.golang.org/protobuf/encoding/protowire"
)

// most is how many bytes a protobuf message may have: readers refuse more.
const most = math.MaxInt32

// message is the bytes of a protobuf message.
type message []byte

func (m *message) text(field protowire.Number, s string) {
	*m = protowire.AppendString(protowire.AppendTag(*m, field, protowire.BytesType), s)
}

func (m *message) number(field protowire.Number, v int64) {
	*m = protowire.AppendVarint(protowire.AppendTag(*m, field, protowire.VarintType), uint64(v))
}

func (m *message) real(field protowire.Number, v float32) {
	*m = protowire.AppendFixed32(protowire.AppendTag(*m, field, protowire.Fixed32Type), math.Float32bits(v))
}

func (m *message) inner(field protowire.Number, of message) {
	*m = protowire.AppendBytes(protowire.AppendTag(*m, field, protowire.BytesType), of)
}

// length is the start of an inner message whose n bytes follow later.
func (m *message) length(field protowire.Number, n int) {
	*m = protowire.AppendVarint(protowire.AppendTag(*m, field, protowire.BytesType), uint64(n))
}

// Write writes the model. The same model gives the same bytes.
func (m *Model) Write(w io.Writer) error {
	head, graph, constants := m.encode()
	n := len(graph)
	for i, c := range constants {
		n += len(c) + m.Graph.Constants[i].bytes()
	}
	head.length(7, n)
	if n += len(head); n > most {
		return fmt.Errorf("the graph takes %d MiB, and an ONNX file holds less than 2048", n>>20)
	}
	out := bufio.NewWriterSize(w, 1<<18)
	out.Write(head)
	out.Write(graph)
	for i, c := range constants {
		out.Write(c)
		m.Graph.Constants[i].write(out) // a bufio.Writer keeps its first error until Flush
	}
	return out.Flush()
}

// Size returns about how many bytes a file takes.
func (m *Model) Size() int {
	n := 0
	for i := range m.Graph.Constants {
		n += m.Graph.Constants[i].bytes()
	}
	return n
}

// encode returns the model up to its graph, the graph up to its constants, and each
// constant up to its values.
func (m *Model) encode() (head, graph message, constants []message) {
	head.number(1, irVersion)
	head.text(2, m.Producer)
	head.text(3, m.Version)
	var opset message
	opset.text(1, "")
	opset.number(2, Opset)
	head.inner(8, opset)
	for _, key := range slices.Sorted(maps.Keys(m.Metadata)) {
		var entry message
		entry.text(1, key)
		entry.text(2, m.Metadata[key])
		head.inner(14, entry)
	}
	g := &m.Graph
	for i := range g.Nodes {
		graph.inner(1, g.Nodes[i].encode())
	}
	graph.text(2, g.Name)
	for _, v := range g.Inputs {
		graph.inner(11, v.encode())
	}
	for _, v := range g.Outputs {
		graph.inner(12, v.encode())
	}
	for i := range g.Constants {
		c := &g.Constants[i]
		var inner, outer message
		for _, s := range c.Shape {
			inner.number(1, int64(s))
		}
		inner.number(2, int64(c.Type))
		inner.text(8, c.Name)
		inner.length(9, c.bytes())
		outer.length(5, len(inner)+c.bytes())
		constants = append(constants, append(outer, inner...))
	}
	return head, graph, constants
}

func (n *Node) encode() (m message) {
	for _, s := range n.In {
		m.text(1, s)
	}
	for _, s := range n.Out {
		m.text(2, s)
	}
	m.text(3, n.Name)
	m.text(4, n.Op)
	for _, a := range n.Attrs {
		m.inner(5, a.encode())
	}
	return m
}

// The kinds of attributes, as AttributeProto.AttributeType has them.
const (
	kindFloat = 1
	kindInt   = 2
	kindInts  = 7
)

func (a *Attr) encode() (m message) {
	m.text(1, a.Name)
	switch {
	case a.One:
		m.number(3, a.Ints[0])
		m.number(20, kindInt)
	case a.Ints != nil:
		for _, v := range a.Ints {
			m.number(8, v)
		}
		m.number(20, kindInts)
	default:
		m.real(2, a.Float)
		m.number(20, kindFloat)
	}
	return m
}

func (v *Value) encode() (m message) {
	var shape, tensor, kind message
	for _, d := range v.Shape {
		var dim message
		if d.Name != "" {
			dim.text(2, d.Name)
		} else {
			dim.number(1, int64(d.N))
		}
		shape.inner(1, dim)
	}
	tensor.number(1, int64(v.Type))
	tensor.inner(2, shape)
	kind.inner(1, tensor)
	m.text(1, v.Name)
	m.inner(2, kind)
	return m
}

// bytes returns how many bytes the values take.
func (t *Tensor) bytes() int { return t.Len() * t.Type.size() }

func (t *Tensor) write(w *bufio.Writer) {
	if t.raw != nil {
		w.Write(t.raw)
		return
	}
	a := t.Values()
	if len(a.Floats)+len(a.Ints) != t.Len() {
		panic(fmt.Sprintf("onnx: %s has %d values for shape %v", t.Name, len(a.Floats)+len(a.Ints), t.Shape))
	}
	var b [8]byte
	for _, v := range a.Floats {
		binary.LittleEndian.PutUint32(b[:4], math.Float32bits(v))
		w.Write(b[:4])
	}
	for _, v := range a.Ints {
		binary.LittleEndian.PutUint64(b[:], uint64(v))
		w.Write(b[:])
	}
}
