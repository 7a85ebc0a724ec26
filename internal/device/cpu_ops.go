package device

import (
	"vicreg/internal/kernel/conv"
	"vicreg/internal/kernel/pass"
	"vicreg/internal/kernel/token"
	"vicreg/internal/kernel/vector"
)

func (c CPU) ConvForward(y Array, s Conv, src Source, w Array, sums Sums) {
	conv.Forward(c.values(y), s, c.source(src), c.f32(w), c.sums(sums))
}

func (c CPU) ConvInfer(y Array, s Conv, src Source, w Array, t Tail) {
	tail := pass.Tail{Scale: c.f32(t.Scale), Shift: c.f32(t.Shift), Add: c.values(t.Add), ReLU: t.ReLU}
	if t.Packed != nil {
		tail.Packed = &t.Packed.cpu
	}
	conv.Infer(c.values(y), s, c.source(src), c.f32(w), tail)
}

func (c CPU) ConvInputGrad(dx Array, s Conv, g Grad, w Array, f Finish) {
	conv.InputGrad(c.values(dx), s, c.grad(g), c.f32(w), c.finish(f))
}

func (c CPU) ConvWeightGrad(dw Array, s Conv, g Grad, src Source) {
	conv.WeightGrad(c.f32(dw), s, c.grad(g), c.source(src))
}

func (c CPU) ConvGrads(dx, dw Array, s Conv, g Grad, src Source, w Array, f Finish) {
	conv.Grads(c.values(dx), c.f32(dw), s, c.grad(g), c.source(src), c.f32(w), c.finish(f))
}

func (c CPU) Gemm(to, a, b Mat, accumulate bool) {
	conv.Gemm(c.mat(to), c.operand(a), c.operand(b), accumulate)
}

func (c CPU) BatchStatistics(n BatchNorm, s Sums, m int) {
	pass.BatchStatistics(c.batchNorm(n), c.sums(s), m)
}

func (c CPU) RunningStatistics(n BatchNorm) { pass.RunningStatistics(c.batchNorm(n)) }

func (c CPU) BatchNormBackward(g BatchNormGrad, n BatchNorm, s Sums, m int) {
	grad := pass.BatchNormGrad{DGamma: c.f32(g.DGamma), DBeta: c.f32(g.DBeta), A: c.f32(g.A), B: c.f32(g.B),
		K: c.f32(g.K)}
	pass.BatchNormBackward(grad, c.batchNorm(n), c.sums(s), m)
}

func (c CPU) LayerNorm(y, x Array, n RowNorm) { token.LayerNorm(c.values(y), c.values(x), c.norm(n)) }

func (c CPU) LayerNormGrad(dx, d Array, f RowFinish) {
	token.LayerNormGrad(c.values(dx), c.values(d), c.rowFinish(f))
}

func (c CPU) Apply(y Array, src Source, ch int) { pass.Apply(c.values(y), c.source(src), ch) }

func (c CPU) ApplyGrad(y Array, g Grad, ch int) { pass.ApplyGrad(c.values(y), c.grad(g), ch) }

func (c CPU) AddReLU(y Array, a, b Source, ch int, relu bool) {
	pass.AddReLU(c.values(y), c.source(a), c.source(b), ch, relu)
}

func (c CPU) FinishGrad(d Array, ch int, f Finish) { pass.FinishGrad(c.values(d), ch, c.finish(f)) }

func (c CPU) AddSums(x, sums Array) { vector.AddSums(c.f32(x), c.f64(sums)) }

func (c CPU) Axpy(y Array, a float32, x Array) {
	if y.t == BFloat16 || x.t == BFloat16 {
		pass.Axpy(c.values(y), a, c.values(x))
		return
	}
	vector.Axpy(c.f32(y), a, c.f32(x))
}

func (c CPU) MaxPool(y, argmax Array, s Conv, src Source) {
	pass.MaxPool(c.values(y), c.u8(argmax), s, c.source(src))
}

func (c CPU) MaxPoolGrad(dx, d, argmax Array, s Conv, f Finish) {
	pass.MaxPoolGrad(c.values(dx), c.values(d), c.u8(argmax), s, c.finish(f))
}

func (c CPU) AvgPool(y Array, n, pixels, ch int, src Source) {
	pass.AvgPool(c.values(y), n, pixels, ch, c.source(src))
}

func (c CPU) AvgPoolGrad(dx, d Array, n, pixels, ch int, f Finish) {
	pass.AvgPoolGrad(c.values(dx), c.values(d), n, pixels, ch, c.finish(f))
}

func (c CPU) DenseForward(y Array, s Dense, src RowSource, w, bias, add Array) {
	from := token.RowSource{X: c.values(src.X), Norm: c.norm(src.Norm), GELU: src.GELU}
	token.DenseForward(c.values(y), s, from, c.f32(w), c.f32(bias), c.values(add))
}

func (c CPU) DenseInputGrad(dx Array, s Dense, d, w, dBias Array, f RowFinish) {
	token.DenseInputGrad(c.values(dx), s, c.values(d), c.f32(w), c.f32(dBias), c.rowFinish(f))
}

func (c CPU) DenseWeightGrad(dw Array, s Dense, x, d Array) {
	token.DenseWeightGrad(c.f32(dw), s, c.values(x), c.values(d))
}

func (c CPU) AttentionForward(o, lse Array, s Attention, qkv Array) {
	token.AttentionForward(c.values(o), c.f32(lse), s.shape(), c.values(qkv))
}

func (c CPU) AttentionGrad(dqkv Array, s Attention, qkv, o, do, lse Array) {
	token.AttentionGrad(c.values(dqkv), s.shape(), c.values(qkv), c.values(o), c.values(do), c.f32(lse))
}

func (c CPU) PatchTokens(y Array, s Patches, x, position, class, bias Array) {
	token.PatchTokens(c.values(y), s, c.values(x), c.f32(position), c.f32(class), c.f32(bias))
}

func (c CPU) PatchTokensGrad(d Array, s Patches, dPosition, dClass, dBias Array) {
	token.PatchTokensGrad(c.values(d), s, c.f32(dPosition), c.f32(dClass), c.f32(dBias))
}

func (c CPU) Lookup(y Array, ch int, ids, table, position Array) {
	token.Lookup(c.values(y), ch, c.i32(ids), c.f32(table), c.f32(position))
}

func (c CPU) LookupGrad(d Array, ch int, ids, dTable, dPosition Array) {
	token.LookupGrad(c.values(d), ch, c.i32(ids), c.f32(dTable), c.f32(dPosition))
}

func (c CPU) TokenMean(y Array, ch int, starts, x Array) {
	token.TokenMean(c.values(y), ch, c.i32(starts), c.values(x))
}

func (c CPU) TokenMeanGrad(dx Array, ch int, starts, d Array) {
	token.TokenMeanGrad(c.values(dx), ch, c.i32(starts), c.values(d))
}

func (c CPU) FirstToken(y Array, ch int, starts, x Array) {
	token.FirstToken(c.values(y), ch, c.i32(starts), c.values(x))
}

func (c CPU) FirstTokenGrad(dx Array, ch int, starts, d Array) {
	token.FirstTokenGrad(c.values(dx), ch, c.i32(starts), c.values(d))
}

var _ Device = CPU{}
