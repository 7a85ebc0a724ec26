package far

import "vicreg/internal/device"

// The operations: with the memory open, those of the CPU.

func (dev *Device) Copy(to, from device.Array) {
	call := dev.begin()
	defer call.end()
	dev.CPU.Copy(call.write(to), call.read(from))
}

func (dev *Device) Fill(a device.Array, v float32) {
	call := dev.begin()
	defer call.end()
	dev.CPU.Fill(call.write(a), v)
}

func (dev *Device) ConvForward(y device.Array, s device.Conv, src device.Source, w device.Array, sums device.Sums) {
	call := dev.begin()
	defer call.end()
	dev.CPU.ConvForward(call.write(y), s, call.source(src), w, sums)
}

func (dev *Device) ConvInfer(y device.Array, s device.Conv, src device.Source, w device.Array, t device.Tail) {
	call := dev.begin()
	defer call.end()
	t.Add = call.read(t.Add)
	dev.CPU.ConvInfer(call.write(y), s, call.source(src), w, t)
}

func (dev *Device) ConvInputGrad(dx device.Array, s device.Conv, g device.Grad, w device.Array, f device.Finish) {
	call := dev.begin()
	defer call.end()
	dev.CPU.ConvInputGrad(call.write(dx), s, call.grad(g), w, call.finish(f))
}

func (dev *Device) ConvWeightGrad(dw device.Array, s device.Conv, g device.Grad, src device.Source) {
	call := dev.begin()
	defer call.end()
	dev.CPU.ConvWeightGrad(dw, s, call.grad(g), call.source(src))
}

func (dev *Device) ConvGrads(dx, dw device.Array, s device.Conv, g device.Grad, src device.Source, w device.Array,
	f device.Finish) {
	call := dev.begin()
	defer call.end()
	dev.CPU.ConvGrads(call.write(dx), dw, s, call.grad(g), call.source(src), w, call.finish(f))
}

func (dev *Device) Gemm(c, a, b device.Mat, accumulate bool) {
	call := dev.begin()
	defer call.end()
	dev.CPU.Gemm(c, call.mat(a), call.mat(b), accumulate)
}

func (dev *Device) BatchStatistics(n device.BatchNorm, s device.Sums, m int) {
	defer dev.open()()
	dev.CPU.BatchStatistics(n, s, m)
}

func (dev *Device) RunningStatistics(n device.BatchNorm) {
	defer dev.open()()
	dev.CPU.RunningStatistics(n)
}

func (dev *Device) BatchNormBackward(g device.BatchNormGrad, n device.BatchNorm, s device.Sums, m int) {
	defer dev.open()()
	dev.CPU.BatchNormBackward(g, n, s, m)
}

func (dev *Device) LayerNorm(y, x device.Array, n device.RowNorm) {
	call := dev.begin()
	defer call.end()
	dev.CPU.LayerNorm(call.write(y), call.read(x), n)
}

func (dev *Device) LayerNormGrad(dx, d device.Array, f device.RowFinish) {
	call := dev.begin()
	defer call.end()
	dev.CPU.LayerNormGrad(call.write(dx), call.read(d), call.rowFinish(f))
}

func (dev *Device) Apply(y device.Array, src device.Source, c int) {
	call := dev.begin()
	defer call.end()
	dev.CPU.Apply(call.write(y), call.source(src), c)
}

func (dev *Device) ApplyGrad(y device.Array, g device.Grad, c int) {
	call := dev.begin()
	defer call.end()
	dev.CPU.ApplyGrad(call.write(y), call.grad(g), c)
}

func (dev *Device) AddReLU(y device.Array, a, b device.Source, c int, relu bool) {
	call := dev.begin()
	defer call.end()
	dev.CPU.AddReLU(call.write(y), call.source(a), call.source(b), c, relu)
}

func (dev *Device) FinishGrad(d device.Array, c int, f device.Finish) {
	call := dev.begin()
	defer call.end()
	dev.CPU.FinishGrad(call.write(d), c, call.finish(f))
}

func (dev *Device) AddSums(x, sums device.Array) {
	defer dev.open()()
	dev.CPU.AddSums(x, sums)
}

func (dev *Device) Axpy(y device.Array, a float32, x device.Array) {
	call := dev.begin()
	defer call.end()
	dev.CPU.Axpy(call.write(y), a, call.read(x))
}

func (dev *Device) MaxPool(y, argmax device.Array, s device.Conv, src device.Source) {
	call := dev.begin()
	defer call.end()
	dev.CPU.MaxPool(call.write(y), argmax, s, call.source(src))
}

func (dev *Device) MaxPoolGrad(dx, d, argmax device.Array, s device.Conv, f device.Finish) {
	call := dev.begin()
	defer call.end()
	dev.CPU.MaxPoolGrad(call.write(dx), call.read(d), argmax, s, call.finish(f))
}

func (dev *Device) AvgPool(y device.Array, n, pixels, c int, src device.Source) {
	call := dev.begin()
	defer call.end()
	dev.CPU.AvgPool(call.write(y), n, pixels, c, call.source(src))
}

func (dev *Device) AvgPoolGrad(dx, d device.Array, n, pixels, c int, f device.Finish) {
	call := dev.begin()
	defer call.end()
	dev.CPU.AvgPoolGrad(call.write(dx), call.read(d), n, pixels, c, call.finish(f))
}

func (dev *Device) DenseForward(y device.Array, s device.Dense, src device.RowSource, w, bias, add device.Array) {
	call := dev.begin()
	defer call.end()
	src.X = call.read(src.X)
	dev.CPU.DenseForward(call.write(y), s, src, w, bias, call.read(add))
}

func (dev *Device) DenseInputGrad(dx device.Array, s device.Dense, d, w, dBias device.Array, f device.RowFinish) {
	call := dev.begin()
	defer call.end()
	dev.CPU.DenseInputGrad(call.write(dx), s, call.read(d), w, dBias, call.rowFinish(f))
}

func (dev *Device) DenseWeightGrad(dw device.Array, s device.Dense, x, d device.Array) {
	call := dev.begin()
	defer call.end()
	dev.CPU.DenseWeightGrad(dw, s, call.read(x), call.read(d))
}

func (dev *Device) AttentionForward(o, lse device.Array, s device.Attention, qkv device.Array) {
	call := dev.begin()
	defer call.end()
	dev.CPU.AttentionForward(call.write(o), lse, s, call.read(qkv))
}

func (dev *Device) AttentionGrad(dqkv device.Array, s device.Attention, qkv, o, do, lse device.Array) {
	call := dev.begin()
	defer call.end()
	dev.CPU.AttentionGrad(call.write(dqkv), s, call.read(qkv), call.read(o), call.read(do), lse)
}

func (dev *Device) PatchTokens(y device.Array, s device.Patches, x, position, class, bias device.Array) {
	call := dev.begin()
	defer call.end()
	dev.CPU.PatchTokens(call.write(y), s, call.read(x), position, class, bias)
}

func (dev *Device) PatchTokensGrad(d device.Array, s device.Patches, dPosition, dClass, dBias device.Array) {
	call := dev.begin()
	defer call.end()
	dev.CPU.PatchTokensGrad(call.write(d), s, dPosition, dClass, dBias)
}

func (dev *Device) Lookup(y device.Array, c int, ids, table, position device.Array) {
	call := dev.begin()
	defer call.end()
	dev.CPU.Lookup(call.write(y), c, ids, table, position)
}

func (dev *Device) LookupGrad(d device.Array, c int, ids, dTable, dPosition device.Array) {
	call := dev.begin()
	defer call.end()
	dev.CPU.LookupGrad(call.read(d), c, ids, dTable, dPosition)
}

func (dev *Device) TokenMean(y device.Array, c int, starts, x device.Array) {
	call := dev.begin()
	defer call.end()
	dev.CPU.TokenMean(call.write(y), c, starts, call.read(x))
}

func (dev *Device) TokenMeanGrad(dx device.Array, c int, starts, d device.Array) {
	call := dev.begin()
	defer call.end()
	dev.CPU.TokenMeanGrad(call.write(dx), c, starts, call.read(d))
}

func (dev *Device) FirstToken(y device.Array, c int, starts, x device.Array) {
	call := dev.begin()
	defer call.end()
	dev.CPU.FirstToken(call.write(y), c, starts, call.read(x))
}

func (dev *Device) FirstTokenGrad(dx device.Array, c int, starts, d device.Array) {
	call := dev.begin()
	defer call.end()
	dev.CPU.FirstTokenGrad(call.write(dx), c, starts, call.read(d))
}

func (dev *Device) Update(u *device.Update) {
	defer dev.open()()
	dev.CPU.Update(u)
}

func (dev *Device) Norm(u *device.Update) device.Number {
	defer dev.open()()
	return dev.CPU.Norm(u)
}

func (dev *Device) Blend(g *device.Group, keep, take float32) {
	defer dev.open()()
	dev.CPU.Blend(g, keep, take)
}

func (dev *Device) Clear(g *device.Group) {
	defer dev.open()()
	dev.CPU.Clear(g)
}
