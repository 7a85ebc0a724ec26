package model

import "fmt"

// Layers returns the layers of an encoder in the order in which an item goes through
// them, for those who write the network down: *nn.ConvNorm, *nn.MaxPool, *nn.Residual,
// *nn.GlobalPool; of tokens *nn.Patches, *nn.Lookup, *nn.Transformer, *nn.LayerNorm,
// *nn.FirstToken, *nn.TokenMean.
func Layers(e Encoder) (all []any) {
	switch m := e.(type) {
	case *ResNet:
		return m.layers()
	case *ResNet1D:
		return m.net.layers()
	case *MLPEncoder:
		for _, u := range m.layers {
			all = append(all, u)
		}
		return all
	case *ViT:
		if m.patches.Class != nil {
			return []any{m.patches, m.blocks, &m.first, m.norm}
		}
		return []any{m.patches, m.blocks, m.norm, &m.mean}
	case *Text:
		return []any{m.lookup, m.blocks, m.norm, &m.mean}
	}
	panic(fmt.Sprintf("model: the layers of %T are not listed", e))
}

func (m *ResNet) layers() []any {
	all := []any{m.stem}
	if m.pool != nil {
		all = append(all, m.pool)
	}
	for _, b := range m.blocks {
		all = append(all, b)
	}
	return append(all, &m.mean)
}

// Layers returns the layers of a head: *nn.ConvNorm, *nn.LinearBias, *nn.Linear.
func (e *Expander) Layers() (all []any) {
	for _, l := range e.layers {
		all = append(all, l)
	}
	return all
}
