//go:build !amd64

package winograd

func winogradInput(p *winogradArgs, channels int)       { winogradB.plain(p, channels) }
func winogradOutput(p *winogradArgs, channels int)      { winogradAT.plain(p, channels) }
func winogradGrad(p *winogradArgs, channels int)        { winogradA.plain(p, channels) }
func winogradWeight(p *winogradArgs, channels int)      { winogradG.plain(p, channels) }
func winogradWeightGrad(p *winogradArgs, channels int)  { winogradGT.plain(p, channels) }
func winogradInput2(p *winogradArgs, channels int)      { winogradB2.plain(p, channels) }
func winogradOutput2(p *winogradArgs, channels int)     { winogradA2T.plain(p, channels) }
func winogradGrad2(p *winogradArgs, channels int)       { winogradA2.plain(p, channels) }
func winogradBack2(p *winogradArgs, channels int)       { winogradBack.plain(p, channels) }
func winogradBackOutput2(p *winogradArgs, channels int) { winogradBackT.plain(p, channels) }
func winogradWeight2(p *winogradArgs, channels int)     { winogradG2.plain(p, channels) }
func winogradWeightGrad2(p *winogradArgs, channels int) { winogradG2T.plain(p, channels) }

func winogradInputPairs(p *winogradArgs, channels int)  { winogradBPairs.plainHalf(p, channels) }
func winogradOutputPairs(p *winogradArgs, channels int) { winogradATPairs.plain(p, channels) }
func winogradWeightPairs(p *winogradArgs, channels int) { winogradGPairs.plain(p, channels) }
