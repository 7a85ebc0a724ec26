package export

import (
	"math"

	"vicreg/internal/nn"
	"vicreg/internal/onnx"
)

// hidden is what is added to the score of padding: its exponential is 0 beside any other
// score. An infinity would make the average over nothing but padding no number.
const hidden = -1e9

// patches is the convolution of an image into tokens, with the embedding of each one's
// place, and the class token before them.
func (b *builder) patches(l *nn.Patches, x string) string {
	d := l.Weight.Shape[0]
	name := nameOf(l.Weight)
	w := b.made(name+".weight", l.Weight.Shape, func(to []float32) { l.Weight.TorchInto(to) })
	x = b.node("Conv", name, []string{x, w, b.floats(name+".bias", l.Bias.Read(), d)},
		onnx.Ints("kernel_shape", l.Size, l.Size), onnx.Ints("strides", l.Size, l.Size), pads(false, 0))
	x = b.node("Reshape", "patch_embed.flat", []string{x, b.ints("patch_embed.shape", 0, d, -1)})
	x = b.node("Transpose", "patch_embed", []string{x}, onnx.Ints("perm", 0, 2, 1))
	b.tokens = l.Position.Shape[1]
	at := append([]float32(nil), l.Position.Read()...)
	if l.Class != nil { // makes room, so that the class token comes with its place
		for i, v := range l.Class.Read() {
			at[i] += v
		}
		x = b.node("Pad", "with_class", []string{x, b.ints("with_class.pads", 0, 1, 0, 0, 0, 0)})
	}
	return b.node("Add", "embedded", []string{x, b.floats("pos_embed", at, 1, b.tokens, d)})
}

// lookup is the embedding of the bytes of a text and of their places. Padding goes along,
// with no effect on the bytes.
func (b *builder) lookup(l *nn.Lookup, x string) string {
	b.tokens = l.Position.Shape[1]
	empty := b.node("Equal", "padding", []string{x, b.ints("zero", 0)})
	score := b.node("Cast", "padding.number", []string{empty}, onnx.Int("to", int(onnx.Float)))
	score = b.node("Mul", "padding.score", []string{score, b.floats("hidden", []float32{hidden}, 1)})
	b.padding = b.node("Reshape", "padding.scores", []string{score, b.ints("padding.shape", 0, 1, 1, b.tokens)})
	present := b.node("Cast", "present.number", []string{b.node("Not", "present", []string{empty})}, onnx.Int("to", int(onnx.Float)))
	b.present = b.node("Reshape", "present.column", []string{present, b.ints("present.shape", 0, b.tokens, 1)})
	x = b.node("Gather", "token_embed", []string{b.floats(l.Table.Name, l.Table.Read(), l.Table.Shape...), x}, onnx.Int("axis", 0))
	return b.node("Add", "embedded", []string{x, b.floats(l.Position.Name, l.Position.Read(), l.Position.Shape...)})
}

func (b *builder) layerNorm(l *nn.LayerNorm, x string) string {
	name, d := nameOf(l.Gamma), l.Gamma.Shape[0]
	return b.node("LayerNormalization", name, []string{x, b.floats(name+".weight", l.Gamma.Read(), d),
		b.floats(name+".bias", l.Beta.Read(), d)}, onnx.Int("axis", -1), onnx.Real("epsilon", l.Eps()))
}

// dense is a linear layer on tokens.
func (b *builder) dense(l *nn.Dense, x string) string {
	name := nameOf(l.Weight)
	x = b.node("MatMul", name+".product", []string{x, b.weight(name+".weight", l.Weight)})
	return b.node("Add", name, []string{x, b.floats(name+".bias", l.Bias.Read(), l.Bias.Shape[0])})
}

// attention is self-attention in heads, added to what it reads. See [nn.Attention].
func (b *builder) attention(l *nn.Attention, x string) string {
	name := nameOf(l.QKV.Weight)
	name = name[:len(name)-len(".qkv")]
	c := l.Proj.Weight.Shape[0]
	y := x
	if l.Norm != nil {
		y = b.layerNorm(l.Norm, x)
	}
	y = b.dense(l.QKV, y)
	pieces := []string{b.prefix + name + ".q", b.prefix + name + ".k", b.prefix + name + ".v"}
	b.node("Split", name+".split", []string{y}, onnx.Int("axis", 2), onnx.Int("num_outputs", 3))
	b.graph.Nodes[len(b.graph.Nodes)-1].Out = pieces
	shape := b.ints(name+".shape", 0, b.tokens, l.Heads, c/l.Heads)
	heads := func(piece int, perm ...int) string {
		of := name + [...]string{".q", ".k", ".v"}[piece] + ".heads"
		z := b.node("Reshape", of+".split", []string{pieces[piece], shape})
		return b.node("Transpose", of, []string{z}, onnx.Ints("perm", perm...))
	}
	q, k, v := heads(0, 0, 2, 1, 3), heads(1, 0, 2, 3, 1), heads(2, 0, 2, 1, 3)
	scale := float32(1 / math.Sqrt(float64(c/l.Heads)))
	s := b.node("MatMul", name+".products", []string{q, k})
	s = b.node("Mul", name+".scores", []string{s, b.floats(name+".scale", []float32{scale}, 1)})
	if b.padding != "" {
		s = b.node("Add", name+".shown", []string{s, b.padding})
	}
	s = b.node("Softmax", name+".softmax", []string{s}, onnx.Int("axis", -1))
	y = b.node("MatMul", name+".mixed", []string{s, v})
	y = b.node("Transpose", name+".rows", []string{y}, onnx.Ints("perm", 0, 2, 1, 3))
	y = b.node("Reshape", name+".joined", []string{y, b.ints(name+".joined.shape", 0, b.tokens, c)})
	y = b.dense(l.Proj, y)
	if l.Norm == nil {
		return y
	}
	return b.node("Add", name+".sum", []string{x, y})
}

// perceptron is the second half of a block. See [nn.MLP].
func (b *builder) perceptron(l *nn.MLP, x string) string {
	y := b.dense(l.FC1, b.layerNorm(l.Norm, x))
	name := nameOf(l.FC1.Weight)
	y = b.dense(l.FC2, b.node("Gelu", name+".gelu", []string{y}))
	return b.node("Add", nameOf(l.FC2.Weight)+".sum", []string{x, y})
}

// mean is that over tokens, without padding; zero where there is nothing else.
func (b *builder) mean(x string) string {
	tokens := b.ints("token_axis", 1)
	if b.present == "" {
		return b.node("ReduceMean", "token_mean", []string{x, tokens}, onnx.Int("keepdims", 0))
	}
	x = b.node("Mul", "present.tokens", []string{x, b.present})
	x = b.node("ReduceSum", "token_sum", []string{x, tokens}, onnx.Int("keepdims", 0))
	n := b.node("ReduceSum", "token_count", []string{b.present, tokens}, onnx.Int("keepdims", 0))
	n = b.node("Max", "token_count.least", []string{n, b.floats("one", []float32{1}, 1)})
	return b.node("Div", "token_mean", []string{x, n})
}
