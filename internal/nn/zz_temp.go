package nn

import "vicreg/internal/device"

func (p *Param) Free()  { p.Freeze(); p.Device().Free(p.Value); p.Value = device.Array{} }
func (p *Pass) Close()  { p.Reset() }
func (a *Arena) Close() {}
