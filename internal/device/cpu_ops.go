package device

import "vicreg/internal/kernel"

func (c CPU) ConvForward(y Array, s Conv, src Source, w Array, sums Sums) {
	kernel.ConvForward(c.f32(y), s, c.source(src), c.f32(w), c.sums(sums))
}

func (c CPU) ConvInfer(y Array, s Conv, src Source, w Array, t Tail) {
	tail := kernel.Tail{Scale: c.f32(t.Scale), Shift: c.f32(t.Shift), Add: c.f32(t.Add), ReLU: t.ReLU}
	if t.Packed != nil {
		tail.Packed = &t.Packed.cpu
	}
	kernel.ConvInfer(c.f32(y), s, c.source(src), c.f32(w), tail)
}

func (c CPU) ConvInputGrad(dx Array, s Conv, g Grad, w Array, f Finish) {
	kernel.ConvInputGrad(c.f32(dx), s, c.grad(g), c.f32(w), c.finish(f))
}

func (c CPU) ConvWeightGrad(dw Array, s Conv, g Grad, src Source) {
	kernel.ConvWeightGrad(c.f32(dw), s, c.grad(g), c.source(src))
}

func (c CPU) ConvGrads(dx, dw Array, s Conv, g Grad, src Source, w Array, f Finish) {
	kernel.ConvGrads(c.f32(dx), c.f32(dw), s, c.grad(g), c.source(src), c.f32(w), c.finish(f))
}

func (c CPU) Gemm(to, a, b Mat, accumulate bool) {
	kernel.Gemm(c.mat(to), c.mat(a), c.mat(b), accumulate)
}

func (c CPU) BatchStatistics(n BatchNorm, s Sums, m int) {
	kernel.BatchStatistics(c.batchNorm(n), c.sums(s), m)
}

func (c CPU) RunningStatistics(n BatchNorm) { kernel.RunningStatistics(c.batchNorm(n)) }

func (c CPU) BatchNormBackward(g BatchNormGrad, n BatchNorm, s Sums, m int) {
	grad := kernel.BatchNormGrad{DGamma: c.f32(g.DGamma), DBeta: c.f32(g.DBeta), A: c.f32(g.A), B: c.f32(g.B),
		K: c.f32(g.K)}
	kernel.BatchNormBackward(grad, c.batchNorm(n), c.sums(s), m)
}

func (c CPU) LayerNorm(y, x Array, n RowNorm) { kernel.LayerNorm(c.f32(y), c.f32(x), c.norm(n)) }

func (c CPU) LayerNormGrad(dx, d Array, f RowFinish) {
	kernel.LayerNormGrad(c.f32(dx), c.f32(d), c.rowFinish(f))
}

func (c CPU) Apply(y Array, src Source, ch int) { kernel.Apply(c.f32(y), c.source(src), ch) }

func (c CPU) ApplyGrad(y Array, g Grad, ch int) { kernel.ApplyGrad(c.f32(y), c.grad(g), ch) }

func (c CPU) AddReLU(y Array, a, b Source, ch int, relu bool) {
	kernel.AddReLU(c.f32(y), c.source(a), c.source(b), ch, relu)
}

func (c CPU) FinishGrad(d Array, ch int, f Finish) { kernel.FinishGrad(c.f32(d), ch, c.finish(f)) }

func (c CPU) AddSums(x, sums Array) { kernel.AddSums(c.f32(x), c.f64(sums)) }

func (c CPU) Axpy(y Array, a float32, x Array) { kernel.Axpy(c.f32(y), a, c.f32(x)) }

func (c CPU) MaxPool(y, argmax Array, s Conv, src Source) {
	kernel.MaxPool(c.f32(y), c.u8(argmax), s, c.source(src))
}

func (c CPU) MaxPoolGrad(dx, d, argmax Array, s Conv, f Finish) {
	kernel.MaxPoolGrad(c.f32(dx), c.f32(d), c.u8(argmax), s, c.finish(f))
}

func (c CPU) AvgPool(y Array, n, pixels, ch int, src Source) {
	kernel.AvgPool(c.f32(y), n, pixels, ch, c.source(src))
}

func (c CPU) AvgPoolGrad(dx, d Array, n, pixels, ch int, f Finish) {
	kernel.AvgPoolGrad(c.f32(dx), c.f32(d), n, pixels, ch, c.finish(f))
}

func (c CPU) DenseForward(y Array, s Dense, src RowSource, w, bias, add Array) {
	from := kernel.RowSource{X: c.f32(src.X), Norm: c.norm(src.Norm), GELU: src.GELU}
	kernel.DenseForward(c.f32(y), s, from, c.f32(w), c.f32(bias), c.f32(add))
}

func (c CPU) DenseInputGrad(dx Array, s Dense, d, w, dBias Array, f RowFinish) {
	kernel.DenseInputGrad(c.f32(dx), s, c.f32(d), c.f32(w), c.f32(dBias), c.rowFinish(f))
}

func (c CPU) DenseWeightGrad(dw Array, s Dense, x, d Array) {
	kernel.DenseWeightGrad(c.f32(dw), s, c.f32(x), c.f32(d))
}

func (c CPU) AttentionForward(o, lse Array, s Attention, qkv Array) {
	kernel.AttentionForward(c.f32(o), c.f32(lse), s.shape(), c.f32(qkv))
}

func (c CPU) AttentionGrad(dqkv Array, s Attention, qkv, o, do, lse Array) {
	kernel.AttentionGrad(c.f32(dqkv), s.shape(), c.f32(qkv), c.f32(o), c.f32(do), c.f32(lse))
}

func (c CPU) PatchTokens(y Array, s Patches, x, position, class, bias Array) {
	kernel.PatchTokens(c.f32(y), s, c.f32(x), c.f32(position), c.f32(class), c.f32(bias))
}

func (c CPU) PatchTokensGrad(d Array, s Patches, dPosition, dClass, dBias Array) {
	kernel.PatchTokensGrad(c.f32(d), s, c.f32(dPosition), c.f32(dClass), c.f32(dBias))
}

func (c CPU) Lookup(y Array, ch int, ids, table, position Array) {
	kernel.Lookup(c.f32(y), ch, c.i32(ids), c.f32(table), c.f32(position))
}

func (c CPU) LookupGrad(d Array, ch int, ids, dTable, dPosition Array) {
	kernel.LookupGrad(c.f32(d), ch, c.i32(ids), c.f32(dTable), c.f32(dPosition))
}

func (c CPU) TokenMean(y Array, ch int, starts, x Array) {
	kernel.TokenMean(c.f32(y), ch, c.i32(starts), c.f32(x))
}

func (c CPU) TokenMeanGrad(dx Array, ch int, starts, d Array) {
	kernel.TokenMeanGrad(c.f32(dx), ch, c.i32(starts), c.f32(d))
}

func (c CPU) FirstToken(y Array, ch int, starts, x Array) {
	kernel.FirstToken(c.f32(y), ch, c.i32(starts), c.f32(x))
}

func (c CPU) FirstTokenGrad(dx Array, ch int, starts, d Array) {
	kernel.FirstTokenGrad(c.f32(dx), ch, c.i32(starts), c.f32(d))
}

func (c CPU) MomentumStep(w, m, g Array, lr, momentum, weightDecay, scale float32) {
	kernel.MomentumStep(c.f32(w), c.f32(m), c.f32(g), lr, momentum, weightDecay, scale)
}

func (c CPU) NesterovStep(w, m, g Array, lr, momentum, weightDecay float32) {
	kernel.NesterovStep(c.f32(w), c.f32(m), c.f32(g), lr, momentum, weightDecay)
}

func (c CPU) LARSStep(w, m, g Array, s LARS) { kernel.LARSStep(c.f32(w), c.f32(m), c.f32(g), s) }

func (c CPU) AdamStep(w, m, v, g Array, step int, lr, beta1, beta2, eps, weightDecay float64) {
	kernel.AdamStep(c.f32(w), c.f32(m), c.f32(v), c.f32(g), step, lr, beta1, beta2, eps, weightDecay)
}

func (c CPU) Blend(w Array, keep, take float32, x Array) {
	kernel.Blend(c.f32(w), keep, take, c.f32(x))
}

var _ Device = CPU{}
