package cuda

import "vicreg/internal/device"

// In the making.

func (d *Device) MomentumStep(w, m, g device.Array, lr, momentum, weightDecay, scale float32) {
	panic("cuda")
}
func (d *Device) NesterovStep(w, m, g device.Array, lr, momentum, weightDecay float32) { panic("cuda") }
func (d *Device) LARSStep(w, m, g device.Array, s device.LARS)                         { panic("cuda") }
func (d *Device) AdamStep(w, m, v, g device.Array, step int, lr, beta1, beta2, eps, weightDecay float64) {
	panic("cuda")
}
func (d *Device) Blend(w device.Array, keep, take float32, x device.Array) { panic("cuda") }
func (d *Device) Length(arrays []device.Array) float64                     { panic("cuda") }

var _ device.Device = (*Device)(nil)
