package model

import (
	"cmp"
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
	var all []string
	s, ok := e.(Staged)
	if ok {
		all = s.Stages()
	}
	n, err := first(all, names)
	if err != nil || n == 0 {
		return err
	}
	for _, p := range s.Freeze(n) {
		p.Freeze()
	}
	return nil
}

// CheckStages returns what Freeze would say of the encoder that New would build.
func CheckStages(c Config, names []string) error {
	var all []string
	switch {
	case slices.Contains(Archs2D(), c.Arch):
		all = ofResNet
	case c.isViT():
		depth := c.Blocks
		for _, v := range vits {
			if v.name == c.Arch {
				depth = cmp.Or(depth, v.depth)
			}
		}
		all = ofViT(depth)
	}
	_, err := first(all, names)
	return err
}

// first counts the stages that are named, which must be the first of all.
func first(all, names []string) (n int, err error) {
	if len(names) == 0 {
		return 0, nil
	}
	if len(all) == 0 {
		return 0, fmt.Errorf("the encoder has no stages that could be frozen one by one; freeze all, or none")
	}
	known := strings.Join(all, ", ")
	for i, name := range names {
		at := slices.Index(all, name)
		switch {
		case at < 0:
			return 0, fmt.Errorf("the encoder has no stage %q to freeze; its stages are %s, and all stands for all of them", name, known)
		case slices.Contains(names[:i], name):
			return 0, fmt.Errorf("the stage %s is to be frozen twice; name it once", name)
		}
		n = max(n, at+1)
	}
	switch {
	case n > len(names):
		i := slices.IndexFunc(all, func(name string) bool { return !slices.Contains(names, name) })
		return 0, fmt.Errorf("the stage %s is to be frozen and %s before it is not; freeze the first ones of %s", all[n-1], all[i], known)
	case n == len(all):
		return 0, fmt.Errorf("all stages of the encoder are to be frozen one by one; freeze all")
	}
	return n, nil
}

// ofResNet are the stem and the four groups of blocks, under torchvision's names.
var ofResNet = []string{"stem", "layer1", "layer2", "layer3", "layer4"}

func (m *ResNet) Stages() []string { return slices.Clone(ofResNet) }

// Freeze freezes the stem and n − 1 groups of blocks.
func (m *ResNet) Freeze(n int) []*nn.Param {
	m.frozen = n
	ps := m.stem.Params()
	for _, b := range m.blocks[:m.learns()] {
		ps = append(ps, b.Params()...)
	}
	return ps
}

func (m *ViT) Stages() []string { return ofViT(len(m.blocks.MLP)) }

// ofViT are the stem, which makes tokens of patches, and the blocks, under timm's names.
func ofViT(depth int) []string {
	names := []string{"stem"}
	for i := range depth {
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
