package cuda

import "vicreg/internal/device"

// In the making.

func (d *Device) applyGrad(y device.Array, g device.Grad, c int)  { panic("cuda: ApplyGrad") }
func (d *Device) columnSums(y device.Array, c int, s device.Sums) { panic("cuda: columnSums") }
func (d *Device) tail(y device.Array, c int, t device.Tail)       { panic("cuda: tail") }

// finish writes what product holds, finished as f says, to dx, which may be the same.
func (d *Device) finish(dx, product device.Array, c int, f device.Finish) { panic("cuda: FinishGrad") }

func (d *Device) BatchStatistics(n device.BatchNorm, s device.Sums, m int) { panic("cuda") }
func (d *Device) RunningStatistics(n device.BatchNorm)                     { panic("cuda") }
func (d *Device) BatchNormBackward(g device.BatchNormGrad, n device.BatchNorm, s device.Sums, m int) {
	panic("cuda")
}
func (d *Device) AddReLU(y device.Array, a, b device.Source, c int, relu bool)     { panic("cuda") }
func (d *Device) AddSums(x, sums device.Array)                                     { panic("cuda") }
func (d *Device) Axpy(y device.Array, a float32, x device.Array)                   { panic("cuda") }
func (d *Device) MaxPool(y, argmax device.Array, s device.Conv, src device.Source) { panic("cuda") }
func (d *Device) MaxPoolGrad(dx, dd, argmax device.Array, s device.Conv, f device.Finish) {
	panic("cuda")
}
func (d *Device) AvgPool(y device.Array, n, pixels, c int, src device.Source)        { panic("cuda") }
func (d *Device) AvgPoolGrad(dx, dd device.Array, n, pixels, c int, f device.Finish) { panic("cuda") }
