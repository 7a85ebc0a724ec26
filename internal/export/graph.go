package export

import (
	"fmt"
	"math"
	"strings"

	"vicreg/internal/model"
	"vicreg/internal/nn"
	"vicreg/internal/onnx"
	"vicreg/internal/pretrained"
	"vicreg/internal/tensor"
)

var nan = float32(math.NaN())

// builder writes a network down as a graph. What a layer makes has the layer's name, and
// weights have those of PyTorch.
type builder struct {
	graph   onnx.Graph
	scratch []float32 // of the values of a constant, in PyTorch's order
	prefix  string    // of the names of what is added
	padding string    // of texts: what is added to the scores of attention
	present string    // of texts: 1 for a byte, 0 for padding, n × t × 1
	tokens  int       // of an image or a text
}

// newGraph writes down a model's encoder, and with head what comes behind it.
func newGraph(m *pretrained.Model, in *input, head string) *onnx.Graph {
	b := &builder{}
	b.graph.Name = "vicreg"
	kind := onnx.Float
	if in.kind == "text" {
		kind = onnx.Int64
	}
	b.graph.Inputs = []onnx.Value{{Name: in.name, Type: kind, Shape: onnx.Dims("n", in.shape...)}}
	x := b.normalise(in)
	for _, l := range model.Layers(m.Encoder) {
		x = b.layer(l, x)
	}
	x = b.output(x, features, m.Encoder.Dim())
	if head != "" {
		b.prefix = expanderPrefix
		if head == logits {
			b.prefix = ""
		}
		for _, l := range m.Expander.Layers() {
			x = b.layer(l, x)
		}
		b.output(x, head, m.Expander.Dim())
	}
	return &b.graph
}

// output makes what the last node makes an output.
func (b *builder) output(x, name string, width int) string {
	last := &b.graph.Nodes[len(b.graph.Nodes)-1]
	if last.Out[0] != x {
		panic("export: " + x + " is not what the last node makes")
	}
	last.Out[0] = name
	b.graph.Outputs = append(b.graph.Outputs, onnx.Value{Name: name, Type: onnx.Float, Shape: onnx.Dims("n", width)})
	return name
}

// node adds one, and returns what it makes.
func (b *builder) node(op, name string, in []string, attrs ...onnx.Attr) string {
	name = b.prefix + name
	b.graph.Nodes = append(b.graph.Nodes, onnx.Node{Op: op, Name: name, In: in, Out: []string{name}, Attrs: attrs})
	return name
}

// floats and ints add constants.
func (b *builder) floats(name string, values []float32, shape ...int) string {
	name = b.prefix + name
	b.graph.Constants = append(b.graph.Constants, onnx.Floats(name, values, shape...))
	return name
}

func (b *builder) ints(name string, values ...int) string {
	name = b.prefix + name
	t := onnx.Tensor{Name: name, Type: onnx.Int64, Shape: []int{len(values)}, Ints: []int64{}}
	for _, v := range values {
		t.Ints = append(t.Ints, int64(v))
	}
	b.graph.Constants = append(b.graph.Constants, t)
	return name
}

// made adds a constant that fill writes into n values when the file is written.
func (b *builder) made(name string, shape []int, fill func(to []float32)) string {
	name = b.prefix + name
	n := tensor.Count(shape)
	if len(b.scratch) < n {
		b.scratch = make([]float32, n)
	}
	b.graph.Constants = append(b.graph.Constants, onnx.Tensor{Name: name, Type: onnx.Float, Shape: shape,
		Make: func() []float32 { fill(b.scratch[:n]); return b.scratch[:n] }})
	return name
}

// normalise takes the raw input to what the encoder reads. The normalisation stays a step
// of its own: convolutions pad with zeros behind it, so that no other weights of the first
// one would give the same at the borders.
func (b *builder) normalise(in *input) string {
	x := in.name
	if in.kind == "text" {
		return x
	}
	shape := []int{1, len(in.mean)}
	for range in.shape[1:] {
		shape = append(shape, 1)
	}
	mean, scale := make([]float32, len(in.mean)), make([]float32, len(in.mean))
	for i := range mean {
		mean[i], scale[i] = float32(in.mean[i]), float32(in.std[i])
		if !in.divided {
			scale[i] = float32(1 / in.std[i])
		}
	}
	of := b.floats("mean", mean, shape...)
	missing := ""
	if in.kind == "numeric" {
		missing = b.node("IsNaN", "missing", []string{x})
		x = b.node("Where", "filled", []string{missing, of, x})
	}
	x = b.node("Sub", "centred", []string{x, of})
	if in.divided {
		x = b.node("Div", "normalised", []string{x, b.floats("std", scale, shape...)})
	} else {
		x = b.node("Mul", "normalised", []string{x, b.floats("inverse_std", scale, shape...)})
	}
	if len(in.incomplete) > 0 {
		flags := b.node("Cast", "flags", []string{missing}, onnx.Int("to", int(onnx.Float)))
		flags = b.node("Gather", "indicators", []string{flags, b.ints("incomplete", in.incomplete...)}, onnx.Int("axis", 1))
		x = b.node("Concat", "values_and_indicators", []string{x, flags}, onnx.Int("axis", 1))
	}
	return x
}

// layer adds a layer of [model.Layers] that reads x.
func (b *builder) layer(l any, x string) string {
	switch l := l.(type) {
	case *nn.ConvNorm:
		return b.convNorm(l, x, l.ReLU)
	case *nn.Residual:
		return b.residual(l, x)
	case *nn.MaxPool:
		return b.maxPool(l, x)
	case *nn.GlobalPool:
		return b.node("Flatten", "flat", []string{b.node("GlobalAveragePool", "avgpool", []string{x})})
	case *nn.Linear:
		return b.linear(nameOf(l.Weight), l.Weight, nil, x)
	case *nn.LinearBias:
		y := b.linear(nameOf(l.Weight), l.Weight, l.Bias, x)
		if l.ReLU {
			y = b.node("Relu", nameOf(l.Weight)+".relu", []string{y})
		}
		return y
	case *nn.Patches:
		return b.patches(l, x)
	case *nn.Lookup:
		return b.lookup(l, x)
	case *nn.Transformer:
		for i, a := range l.Attention {
			x = b.perceptron(l.MLP[i], b.attention(a, x))
		}
		return x
	case *nn.LayerNorm:
		return b.layerNorm(l, x)
	case *nn.FirstToken:
		return b.node("Flatten", "first", []string{b.node("Gather", "class", []string{x, b.ints("place", 0)}, onnx.Int("axis", 1))})
	case *nn.TokenMean:
		return b.mean(x)
	}
	panic(fmt.Sprintf("export: no graph of %T", l))
}

// nameOf is the name of the layer of a weight.
func nameOf(p *nn.Param) string { return strings.TrimSuffix(p.Name, ".weight") }

// convNorm is a convolution or a linear layer with its normalisation folded in, summed in
// float64: y = γ·(W·x + bias − mean)/√(variance + ε) + β.
func (b *builder) convNorm(u *nn.ConvNorm, x string, relu bool) string {
	k := u.Weight.Shape[0]
	scale, shift := make([]float64, k), make([]float32, k)
	gamma, beta, mean, variance := u.Gamma.Read(), u.Beta.Read(), u.RunMean.Read(), u.RunVar.Read()
	bias := make([]float32, k)
	if u.Bias != nil {
		bias = u.Bias.Read()
	}
	for i := range k {
		scale[i] = float64(gamma[i]) / math.Sqrt(float64(variance[i])+u.Eps())
		middle := float64(mean[i]) - float64(bias[i])
		shift[i] = float32(float64(beta[i]) - middle*scale[i])
	}
	name := nameOf(u.Weight)
	y := ""
	if len(u.Weight.Shape) == 2 {
		w := b.made(name+".weight", []int{u.Weight.Shape[1], k}, func(to []float32) {
			for i, v := range u.Weight.Read() { // in × out
				to[i] = float32(float64(v) * scale[i%k])
			}
		})
		y = b.node("Gemm", name, []string{x, w, b.floats(name+".bias", shift, k)})
	} else {
		w := b.made(name+".weight", u.Weight.Shape, func(to []float32) {
			u.Weight.TorchInto(to)
			for i, v := range to {
				to[i] = float32(float64(v) * scale[i/(len(to)/k)])
			}
		})
		c := u.Conv(1, 1, 1)
		y = b.node("Conv", name, []string{x, w, b.floats(name+".bias", shift, k)},
			window("kernel_shape", c.Sequence, c.R, c.S), window("strides", c.Sequence, c.Stride, c.Stride), pads(c.Sequence, c.Pad))
	}
	if relu {
		y = b.node("Relu", name+".relu", []string{y})
	}
	return y
}

// window is an attribute of a convolution or a pooling, one number for a sequence.
func window(name string, sequence bool, h, w int) onnx.Attr {
	if sequence {
		return onnx.Ints(name, h)
	}
	return onnx.Ints(name, h, w)
}

func pads(sequence bool, pad int) onnx.Attr {
	if sequence {
		return onnx.Ints("pads", pad, pad)
	}
	return onnx.Ints("pads", pad, pad, pad, pad)
}

func (b *builder) residual(l *nn.Residual, x string) string {
	y := x
	for _, u := range l.Convs {
		y = b.convNorm(u, y, u.ReLU)
	}
	if l.Down != nil {
		x = b.convNorm(l.Down, x, false)
	}
	name := nameOf(l.Convs[0].Weight)
	name = name[:strings.LastIndex(name, ".")]
	return b.node("Relu", name, []string{b.node("Add", name+".sum", []string{y, x})})
}

func (b *builder) maxPool(l *nn.MaxPool, x string) string {
	s := l.Shape(1, 1, 1, 1)
	return b.node("MaxPool", "maxpool", []string{x}, window("kernel_shape", s.Sequence, s.R, s.S),
		window("strides", s.Sequence, s.Stride, s.Stride), pads(s.Sequence, s.Pad))
}

// linear is x·W + bias on rows.
func (b *builder) linear(name string, weight, bias *nn.Param, x string) string {
	in := []string{x, b.weight(name+".weight", weight)}
	if bias != nil {
		in = append(in, b.floats(name+".bias", bias.Read(), bias.Shape...))
	}
	return b.node("Gemm", name, in)
}

// weight adds the weight of a linear layer, in × out.
func (b *builder) weight(name string, w *nn.Param) string {
	return b.floats(name, w.Read(), w.Shape[1], w.Shape[0])
}
