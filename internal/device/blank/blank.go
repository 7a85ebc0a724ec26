// Package blank is a device that computes nothing. Its arrays are addresses without memory
// behind them: tests learn from it what a network of any size would take.
package blank

import "vicreg/internal/device"

// Device is such a device.
type Device struct {
	device.CPU      // its operations are never called
	Half       bool // stores activations as bfloat16, whatever the precision
	Kept       int  // see KeptSum
	Held, Peak int  // bytes of the arrays there are, and the most there were
	next       uintptr
}

func (d *Device) Name() string            { return "blank" }
func (d *Device) Shared() bool            { return false }
func (d *Device) KeptSum(device.Type) int { return d.Kept }

func (d *Device) Activations(device.Precision) device.Type {
	if d.Half {
		return device.BFloat16
	}
	return device.Float32
}

func (d *Device) Alloc(t device.Type, n int) device.Array {
	if n == 0 {
		return device.Array{}
	}
	const line = 256
	bytes := n * t.Size()
	d.next += line
	a := device.At(d.next, t, n)
	d.next += uintptr(bytes) / line * line
	d.Held += bytes
	d.Peak = max(d.Peak, d.Held)
	return a
}

func (d *Device) Free(a device.Array) { d.Held -= a.Len() * a.Type().Size() }

func (*Device) Up(device.Array, []float32)                                                        {}
func (*Device) UpInts(device.Array, []int32)                                                      {}
func (*Device) Down([]float32, device.Array)                                                      {}
func (*Device) UpWide(device.Array, []float64)                                                    {}
func (*Device) DownWide([]float64, device.Array)                                                  {}
func (*Device) Copy(device.Array, device.Array)                                                   {}
func (*Device) Fill(device.Array, float32)                                                        {}
func (*Device) ConvForward(device.Array, device.Conv, device.Source, device.Array, device.Sums)   {}
func (*Device) ConvInfer(device.Array, device.Conv, device.Source, device.Array, device.Tail)     {}
func (*Device) ConvInputGrad(device.Array, device.Conv, device.Grad, device.Array, device.Finish) {}
func (*Device) ConvWeightGrad(device.Array, device.Conv, device.Grad, device.Source)              {}
func (*Device) ConvGrads(device.Array, device.Array, device.Conv,
	device.Grad, device.Source, device.Array, device.Finish) {
}
func (*Device) Gemm(device.Mat, device.Mat, device.Mat, bool)                                    {}
func (*Device) BatchStatistics(device.BatchNorm, device.Sums, int)                               {}
func (*Device) RunningStatistics(device.BatchNorm)                                               {}
func (*Device) BatchNormBackward(device.BatchNormGrad, device.BatchNorm, device.Sums, int)       {}
func (*Device) LayerNorm(device.Array, device.Array, device.RowNorm)                             {}
func (*Device) LayerNormGrad(device.Array, device.Array, device.RowFinish)                       {}
func (*Device) Apply(device.Array, device.Source, int)                                           {}
func (*Device) ApplyGrad(device.Array, device.Grad, int)                                         {}
func (*Device) AddReLU(device.Array, device.Source, device.Source, int, bool)                    {}
func (*Device) FinishGrad(device.Array, int, device.Finish)                                      {}
func (*Device) AddSums(device.Array, device.Array)                                               {}
func (*Device) Axpy(device.Array, float32, device.Array)                                         {}
func (*Device) MaxPool(device.Array, device.Array, device.Conv, device.Source)                   {}
func (*Device) MaxPoolGrad(device.Array, device.Array, device.Array, device.Conv, device.Finish) {}
func (*Device) AvgPool(device.Array, int, int, int, device.Source)                               {}
func (*Device) AvgPoolGrad(device.Array, device.Array, int, int, int, device.Finish)             {}
func (*Device) DenseForward(device.Array, device.Dense, device.RowSource, device.Array, device.Array, device.Array) {
}
func (*Device) DenseInputGrad(device.Array, device.Dense, device.Array,
	device.Array, device.Array, device.RowFinish) {
}
func (*Device) DenseWeightGrad(device.Array, device.Dense, device.Array, device.Array)      {}
func (*Device) AttentionForward(device.Array, device.Array, device.Attention, device.Array) {}
func (*Device) AttentionGrad(device.Array, device.Attention, device.Array,
	device.Array, device.Array, device.Array) {
}
func (*Device) PatchTokens(device.Array, device.Patches, device.Array, device.Array, device.Array, device.Array) {
}
func (*Device) PatchTokensGrad(device.Array, device.Patches, device.Array, device.Array, device.Array) {
}
func (*Device) Lookup(device.Array, int, device.Array, device.Array, device.Array)     {}
func (*Device) LookupGrad(device.Array, int, device.Array, device.Array, device.Array) {}
func (*Device) TokenMean(device.Array, int, device.Array, device.Array)                {}
func (*Device) TokenMeanGrad(device.Array, int, device.Array, device.Array)            {}
func (*Device) FirstToken(device.Array, int, device.Array, device.Array)               {}
func (*Device) FirstTokenGrad(device.Array, int, device.Array, device.Array)           {}
func (*Device) Update(*device.Update)                                                  {}
func (*Device) Norm(*device.Update) device.Number                                      { return device.Number{} }
func (*Device) Blend(*device.Group, float32, float32)                                  {}
func (*Device) Clear(*device.Group)                                                    {}

var _ device.Device = (*Device)(nil)
