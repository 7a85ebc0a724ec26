package model

import (
	"fmt"
	"slices"
	"strings"

	"vicreg/internal/nn"
)

// Staged is an encoder whose first stages can be left as they are while the others
// learn.
type Staged interface {
	Encoder

	// Stages names them in the order that an item goes through them.
	Stages() []string

	// Freeze has the first n stages, not all of them, normalise by running statistics
	// and keep nothing for backward, which ends there. It returns their parameters.
	Freeze(n int) []*nn.Param
}

// Freeze freezes the stages of an encoder that are named, which must be its first ones,
// in any order. Their parameters lose their gradients.
func Freeze(e Encoder, names []string) error {
	if len(names) == 0 {
		return nil
	}
	s, ok := e.(Staged)
	if !ok {
		return fmt.Errorf("the encoder has no stages that could be frozen one by one; freeze all, or none")
	}
	all := s.Stages()
	known := strings.Join(all, ", ")
	n := 0
	for i, name := range names {
		at := slices.Index(all, name)
		switch {
		case at < 0:
			return fmt.Errorf("the encoder has no stage %q to freeze; its stages are %s, and all stands for all of them", name, known)
		case slices.Contains(names[:i], name):
			return fmt.Errorf("the stage %s is to be frozen twice; name it once", name)
		}
		n = max(n, at+1)
	}
	switch {
	case n > len(names):
		i := slices.IndexFunc(all, func(name string) bool { return !slices.Contains(names, name) })
		return fmt.Errorf("the stage %s is to be frozen and %s before it is not; freeze the first ones of %s", all[n-1], all[i], known)
	case n == len(all):
		return fmt.Errorf("all stages of the encoder are to be frozen one by one; freeze all")
	}
	for _, p := range s.Freeze(n) {
		p.Freeze()
	}
	return nil
}

// Stages are the stem and the four groups of blocks, under torchvision's names.
func (m *ResNet) Stages() []string { return []string{"stem", "layer1", "layer2", "layer3", "layer4"} }

// Freeze freezes the stem and n − 1 groups of blocks.
func (m *ResNet) Freeze(n int) []*nn.Param {
	m.frozen = n
	ps := m.stem.Params()
	for _, b := range m.blocks[:m.learns()] {
		ps = append(ps, b.Params()...)
	}
	return ps
}

// Stages are the stem, which makes tokens of patches, and the blocks, under timm's names.
func (m *ViT) Stages() []string {
	names := []string{"stem"}
	for i := range m.blocks.MLP {
		names = append(names, fmt.Sprintf("blocks.%d", i))
	}
	return names
}

// Freeze freezes the stem and n − 1 blocks.
func (m *ViT) Freeze(n int) []*nn.Param {
	m.frozen = n
	return append(m.stem(), m.blocks.PartParams(0, n-1)...)
}

// learns is the first block that learns.
func (m *ResNet) learns() int { return m.starts[max(0, m.frozen-1)] }
