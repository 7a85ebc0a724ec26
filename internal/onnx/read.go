package onnx

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"slices"

	"google.golang.org/protobuf/encoding/protowire"
)

var errDamaged = errors.New("it is no ONNX model, or a damaged one")

// fields calls take with each field of a message: v is the value of a number, b the
// bytes of what has a length.
func fields(m []byte, take func(field protowire.Number, v uint64, b []byte) error) error {
	for len(m) > 0 {
		field, kind, n := protowire.ConsumeTag(m)
		if n < 0 {
			return errDamaged
		}
		m = m[n:]
		var v uint64
		var b []byte
		switch kind {
		case protowire.VarintType:
			v, n = protowire.ConsumeVarint(m)
		case protowire.Fixed32Type:
			var f uint32
			f, n = protowire.ConsumeFixed32(m)
			v = uint64(f)
		case protowire.BytesType:
			b, n = protowire.ConsumeBytes(m)
		default:
			n = protowire.ConsumeFieldValue(field, kind, m)
		}
		if n < 0 {
			return errDamaged
		}
		m = m[n:]
		if err := take(field, v, b); err != nil {
			return err
		}
	}
	return nil
}

// Producer returns the program that wrote the file at path, as its beginning says; "" if
// it is no ONNX model.
func Producer(path string) string {
	f, err := os.Open(path)
	if err != nil {
		return ""
	}
	defer f.Close()
	head := make([]byte, 128)
	n, _ := io.ReadFull(f, head)
	head = head[:n]
	if !bytes.HasPrefix(head, []byte{1 << 3, irVersion, 2<<3 | 2}) {
		return ""
	}
	name, n := protowire.ConsumeString(head[3:])
	if n < 0 {
		return ""
	}
	return name
}

// Parse reads a model. Its constants keep lying in raw.
func Parse(raw []byte) (*Model, error) {
	m := new(Model)
	graphs := 0
	err := fields(raw, func(field protowire.Number, _ uint64, b []byte) error {
		switch field {
		case 2:
			m.Producer = string(b)
		case 3:
			m.Version = string(b)
		case 7:
			graphs++
			return m.Graph.parse(b)
		case 14:
			entry, err := texts(b, 1, 2)
			if m.Metadata == nil {
				m.Metadata = map[string]string{}
			}
			m.Metadata[entry[0]] = entry[1]
			return err
		}
		return nil
	})
	if err == nil && graphs != 1 {
		err = errDamaged
	}
	return m, err
}

// texts returns some text fields of a message, the last of each.
func texts(m []byte, of ...protowire.Number) ([]string, error) {
	all := make([]string, len(of))
	err := fields(m, func(field protowire.Number, _ uint64, b []byte) error {
		if i := slices.Index(of, field); i >= 0 {
			all[i] = string(b)
		}
		return nil
	})
	return all, err
}

func (g *Graph) parse(m []byte) error {
	return fields(m, func(field protowire.Number, _ uint64, b []byte) error {
		switch field {
		case 1:
			n, err := parseNode(b)
			g.Nodes = append(g.Nodes, n)
			return err
		case 2:
			g.Name = string(b)
		case 5:
			t, err := parseTensor(b)
			g.Constants = append(g.Constants, t)
			return err
		case 11, 12:
			v, err := parseValue(b)
			if field == 11 {
				g.Inputs = append(g.Inputs, v)
			} else {
				g.Outputs = append(g.Outputs, v)
			}
			return err
		}
		return nil
	})
}

func parseNode(m []byte) (n Node, err error) {
	err = fields(m, func(field protowire.Number, _ uint64, b []byte) error {
		switch field {
		case 1:
			n.In = append(n.In, string(b))
		case 2:
			n.Out = append(n.Out, string(b))
		case 3:
			n.Name = string(b)
		case 4:
			n.Op = string(b)
		case 5:
			a, err := parseAttr(b)
			n.Attrs = append(n.Attrs, a)
			return err
		}
		return nil
	})
	return n, err
}

func parseAttr(m []byte) (a Attr, err error) {
	kind := uint64(0)
	err = fields(m, func(field protowire.Number, v uint64, b []byte) error {
		switch field {
		case 1:
			a.Name = string(b)
		case 2:
			a.Float = math.Float32frombits(uint32(v))
		case 3, 8:
			a.Ints = append(a.Ints, int64(v))
		case 20:
			kind = v
		}
		return nil
	})
	switch {
	case kind == kindInt && len(a.Ints) == 1:
		a.One = true
	case kind == kindInts && a.Ints == nil:
		a.Ints = []int64{}
	case kind != kindInts && (kind != kindFloat || a.Ints != nil):
		err = errDamaged
	}
	return a, err
}

func parseValue(m []byte) (v Value, err error) {
	var kind, tensor []byte
	err = fields(m, func(field protowire.Number, _ uint64, b []byte) error {
		switch field {
		case 1:
			v.Name = string(b)
		case 2:
			kind = b
		}
		return nil
	})
	if err == nil {
		err = fields(kind, func(field protowire.Number, _ uint64, b []byte) error {
			if field == 1 {
				tensor = b
			}
			return nil
		})
	}
	if err != nil {
		return v, err
	}
	return v, fields(tensor, func(field protowire.Number, n uint64, b []byte) error {
		switch field {
		case 1:
			v.Type = Type(n)
		case 2:
			return fields(b, func(field protowire.Number, _ uint64, dim []byte) error {
				var d Dim
				v.Shape = append(v.Shape, d)
				return fields(dim, func(field protowire.Number, n uint64, b []byte) error {
					if field == 2 {
						d.Name = string(b)
					} else {
						d.N = int(n)
					}
					v.Shape[len(v.Shape)-1] = d
					return nil
				})
			})
		}
		return nil
	})
}

func parseTensor(m []byte) (t Tensor, err error) {
	t.raw = []byte{}
	err = fields(m, func(field protowire.Number, v uint64, b []byte) error {
		switch field {
		case 1:
			t.Shape = append(t.Shape, int(v))
		case 2:
			t.Type = Type(v)
		case 8:
			t.Name = string(b)
		case 9:
			t.raw = b
		}
		return nil
	})
	if err != nil {
		return t, err
	}
	size := t.Type.size()
	if size == 0 {
		return t, fmt.Errorf("constant %q has type %d, which is not read here", t.Name, t.Type)
	}
	n := 1
	for _, s := range t.Shape {
		if s < 0 || s > 0 && n > len(t.raw)/s {
			n = -1
			break
		}
		n *= s
	}
	if n*size != len(t.raw) {
		return t, fmt.Errorf("constant %q has %d bytes for shape %v", t.Name, len(t.raw), t.Shape)
	}
	return t, nil
}
