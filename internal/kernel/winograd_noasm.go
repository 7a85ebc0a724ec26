//go:build !amd64

package kernel

func winogradInput(p *winogradArgs, channels int)      { winogradB.plain(p, channels) }
func winogradOutput(p *winogradArgs, channels int)     { winogradAT.plain(p, channels) }
func winogradGrad(p *winogradArgs, channels int)       { winogradA.plain(p, channels) }
func winogradWeight(p *winogradArgs, channels int)     { winogradG.plain(p, channels) }
func winogradWeightGrad(p *winogradArgs, channels int) { winogradGT.plain(p, channels) }
