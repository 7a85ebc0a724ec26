package cuda

import "vicreg/internal/device"

// In the making.

func (d *Device) LayerNorm(y, x device.Array, n device.RowNorm)         { panic("cuda") }
func (d *Device) LayerNormGrad(dx, dd device.Array, f device.RowFinish) { panic("cuda") }
func (d *Device) DenseForward(y device.Array, s device.Dense, src device.RowSource, w, bias, add device.Array) {
	panic("cuda")
}
func (d *Device) DenseInputGrad(dx device.Array, s device.Dense, dd, w, dBias device.Array, f device.RowFinish) {
	panic("cuda")
}
func (d *Device) DenseWeightGrad(dw device.Array, s device.Dense, x, dd device.Array) { panic("cuda") }
func (d *Device) AttentionForward(o, lse device.Array, s device.Attention, qkv device.Array) {
	panic("cuda")
}
func (d *Device) AttentionGrad(dqkv device.Array, s device.Attention, qkv, o, do, lse device.Array) {
	panic("cuda")
}
func (d *Device) PatchTokens(y device.Array, s device.Patches, x, position, class, bias device.Array) {
	panic("cuda")
}
func (d *Device) PatchTokensGrad(dd device.Array, s device.Patches, dPosition, dClass, dBias device.Array) {
	panic("cuda")
}
func (d *Device) Lookup(y device.Array, c int, ids, table, position device.Array) { panic("cuda") }
func (d *Device) LookupGrad(dd device.Array, c int, ids, dTable, dPosition device.Array) {
	panic("cuda")
}
func (d *Device) TokenMean(y device.Array, c int, starts, x device.Array)        { panic("cuda") }
func (d *Device) TokenMeanGrad(dx device.Array, c int, starts, dd device.Array)  { panic("cuda") }
func (d *Device) FirstToken(y device.Array, c int, starts, x device.Array)       { panic("cuda") }
func (d *Device) FirstTokenGrad(dx device.Array, c int, starts, dd device.Array) { panic("cuda") }
