package far

import "vicreg/internal/device"

// The operations: with the memory open, those of the CPU.

func (dev *Device) Copy(to, from device.Array) {
	defer dev.open()()
	dev.CPU.Copy(to, from)
}

func (dev *Device) Fill(a device.Array, v float32) {
	defer dev.open()()
	dev.CPU.Fill(a, v)
}

func (dev *Device) ConvForward(y device.Array, s device.Conv, src device.Source, w device.Array, sums device.Sums) {
	defer dev.open()()
	dev.CPU.ConvForward(y, s, src, w, sums)
}

func (dev *Device) ConvInfer(y device.Array, s device.Conv, src device.Source, w device.Array, t device.Tail) {
	defer dev.open()()
	dev.CPU.ConvInfer(y, s, src, w, t)
}

func (dev *Device) ConvInputGrad(dx device.Array, s device.Conv, g device.Grad, w device.Array, f device.Finish) {
	defer dev.open()()
	dev.CPU.ConvInputGrad(dx, s, g, w, f)
}

func (dev *Device) ConvWeightGrad(dw device.Array, s device.Conv, g device.Grad, src device.Source) {
	defer dev.open()()
	dev.CPU.ConvWeightGrad(dw, s, g, src)
}

func (dev *Device) ConvGrads(dx, dw device.Array, s device.Conv, g device.Grad, src device.Source, w device.Array,
	f device.Finish) {
	defer dev.open()()
	dev.CPU.ConvGrads(dx, dw, s, g, src, w, f)
}

func (dev *Device) Gemm(c, a, b device.Mat, accumulate bool) {
	defer dev.open()()
	dev.CPU.Gemm(c, a, b, accumulate)
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
	defer dev.open()()
	dev.CPU.LayerNorm(y, x, n)
}

func (dev *Device) LayerNormGrad(dx, d device.Array, f device.RowFinish) {
	defer dev.open()()
	dev.CPU.LayerNormGrad(dx, d, f)
}

func (dev *Device) Apply(y device.Array, src device.Source, c int) {
	defer dev.open()()
	dev.CPU.Apply(y, src, c)
}

func (dev *Device) ApplyGrad(y device.Array, g device.Grad, c int) {
	defer dev.open()()
	dev.CPU.ApplyGrad(y, g, c)
}

func (dev *Device) AddReLU(y device.Array, a, b device.Source, c int, relu bool) {
	defer dev.open()()
	dev.CPU.AddReLU(y, a, b, c, relu)
}

func (dev *Device) FinishGrad(d device.Array, c int, f device.Finish) {
	defer dev.open()()
	dev.CPU.FinishGrad(d, c, f)
}

func (dev *Device) AddSums(x, sums device.Array) {
	defer dev.open()()
	dev.CPU.AddSums(x, sums)
}

func (dev *Device) Axpy(y device.Array, a float32, x device.Array) {
	defer dev.open()()
	dev.CPU.Axpy(y, a, x)
}

func (dev *Device) MaxPool(y, argmax device.Array, s device.Conv, src device.Source) {
	defer dev.open()()
	dev.CPU.MaxPool(y, argmax, s, src)
}

func (dev *Device) MaxPoolGrad(dx, d, argmax device.Array, s device.Conv, f device.Finish) {
	defer dev.open()()
	dev.CPU.MaxPoolGrad(dx, d, argmax, s, f)
}

func (dev *Device) AvgPool(y device.Array, n, pixels, c int, src device.Source) {
	defer dev.open()()
	dev.CPU.AvgPool(y, n, pixels, c, src)
}

func (dev *Device) AvgPoolGrad(dx, d device.Array, n, pixels, c int, f device.Finish) {
	defer dev.open()()
	dev.CPU.AvgPoolGrad(dx, d, n, pixels, c, f)
}

func (dev *Device) DenseForward(y device.Array, s device.Dense, src device.RowSource, w, bias, add device.Array) {
	defer dev.open()()
	dev.CPU.DenseForward(y, s, src, w, bias, add)
}

func (dev *Device) DenseInputGrad(dx device.Array, s device.Dense, d, w, dBias device.Array, f device.RowFinish) {
	defer dev.open()()
	dev.CPU.DenseInputGrad(dx, s, d, w, dBias, f)
}

func (dev *Device) DenseWeightGrad(dw device.Array, s device.Dense, x, d device.Array) {
	defer dev.open()()
	dev.CPU.DenseWeightGrad(dw, s, x, d)
}

func (dev *Device) AttentionForward(o, lse device.Array, s device.Attention, qkv device.Array) {
	defer dev.open()()
	dev.CPU.AttentionForward(o, lse, s, qkv)
}

func (dev *Device) AttentionGrad(dqkv device.Array, s device.Attention, qkv, o, do, lse device.Array) {
	defer dev.open()()
	dev.CPU.AttentionGrad(dqkv, s, qkv, o, do, lse)
}

func (dev *Device) PatchTokens(y device.Array, s device.Patches, x, position, class, bias device.Array) {
	defer dev.open()()
	dev.CPU.PatchTokens(y, s, x, position, class, bias)
}

func (dev *Device) PatchTokensGrad(d device.Array, s device.Patches, dPosition, dClass, dBias device.Array) {
	defer dev.open()()
	dev.CPU.PatchTokensGrad(d, s, dPosition, dClass, dBias)
}

func (dev *Device) Lookup(y device.Array, c int, ids, table, position device.Array) {
	defer dev.open()()
	dev.CPU.Lookup(y, c, ids, table, position)
}

func (dev *Device) LookupGrad(d device.Array, c int, ids, dTable, dPosition device.Array) {
	defer dev.open()()
	dev.CPU.LookupGrad(d, c, ids, dTable, dPosition)
}

func (dev *Device) TokenMean(y device.Array, c int, starts, x device.Array) {
	defer dev.open()()
	dev.CPU.TokenMean(y, c, starts, x)
}

func (dev *Device) TokenMeanGrad(dx device.Array, c int, starts, d device.Array) {
	defer dev.open()()
	dev.CPU.TokenMeanGrad(dx, c, starts, d)
}

func (dev *Device) FirstToken(y device.Array, c int, starts, x device.Array) {
	defer dev.open()()
	dev.CPU.FirstToken(y, c, starts, x)
}

func (dev *Device) FirstTokenGrad(dx device.Array, c int, starts, d device.Array) {
	defer dev.open()()
	dev.CPU.FirstTokenGrad(dx, c, starts, d)
}

func (dev *Device) MomentumStep(w, m, g device.Array, lr, momentum, weightDecay, scale float32) {
	defer dev.open()()
	dev.CPU.MomentumStep(w, m, g, lr, momentum, weightDecay, scale)
}

func (dev *Device) NesterovStep(w, m, g device.Array, lr, momentum, weightDecay float32) {
	defer dev.open()()
	dev.CPU.NesterovStep(w, m, g, lr, momentum, weightDecay)
}

func (dev *Device) LARSStep(w, m, g device.Array, s device.LARS) {
	defer dev.open()()
	dev.CPU.LARSStep(w, m, g, s)
}

func (dev *Device) AdamStep(w, m, v, g device.Array, step int, lr, beta1, beta2, eps, weightDecay float64) {
	defer dev.open()()
	dev.CPU.AdamStep(w, m, v, g, step, lr, beta1, beta2, eps, weightDecay)
}

func (dev *Device) Blend(w device.Array, keep, take float32, x device.Array) {
	defer dev.open()()
	dev.CPU.Blend(w, keep, take, x)
}

func (dev *Device) Length(arrays []device.Array) float64 {
	defer dev.open()()
	return dev.CPU.Length(arrays)
}
