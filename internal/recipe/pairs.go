package recipe

import (
	"cmp"
	"fmt"
	"strings"

	"vicreg/internal/model"
	"vicreg/internal/pairs"
)

// Pairs says that a run learns from rows of a manifest, Data.Source, whose two sides are
// of kinds of their own, instead of from views of images. See package pairs.
type Pairs struct {
	A     pairs.Side `yaml:"a"`
	B     pairs.Side `yaml:"b"`
	Label string     `yaml:"label,omitempty"` // column of classes, for scoring
	Split string     `yaml:"split,omitempty"` // column that says train or test; else Data.Holdout is kept for scoring
}

// Images reports whether a side is an image.
func (p *Pairs) Images() bool { return p.A.Type == "image" || p.B.Type == "image" }

// Sides returns both sides of pairs. Images are of the run's size and channels
// where they do not say otherwise.
func (c *Config) Sides() []pairs.Side {
	sides := []pairs.Side{c.Pairs.A, c.Pairs.B}
	for i := range sides {
		if s := &sides[i]; s.Type == "image" {
			s.Size, s.Channels = cmp.Or(s.Size, c.Size), cmp.Or(s.Channels, c.Channels)
		}
	}
	return sides
}

// InputOf returns what a branch reads. The shape is that of one item; it is
// empty as long as the data have not been looked at.
func (c *Config) InputOf(branch int) model.Input {
	if c.Pairs == nil {
		return model.ImageInput(c.Size, c.Channels)
	}
	side := c.Sides()[branch]
	in := model.Input{Kind: kindOf(side.Type)}
	if side.Resolved() {
		in.Shape = side.Shape()
	}
	return in
}

// kindOf returns what encoders read a type of sides.
func kindOf(sideType string) model.Kind {
	switch sideType {
	case "waveform", "series":
		return model.Sequences
	case "numeric", "embedding":
		return model.Numbers
	case "text":
		return model.Texts
	}
	return model.Images // and spectrograms
}

// Divide gives the sides of pairs a branch each where nobody chose how branches are: sides
// of different types need one, others have one unless both are images, which an encoder is
// as good for on either side, or the method's branches are always shared.
func (c *Config) Divide(chosen bool) {
	a, b := c.Pairs.A.Type, c.Pairs.B.Type
	m, err := MachineryOf(c.Method)
	if a != b || !chosen && a != "image" && err == nil && m.Shared == "" {
		c.Branches = "separate"
	}
}

// Suit gives each branch of pairs the usual encoder for its side, unless the one it has
// reads such data; a recipe's encoder is for images. An encoder that was chosen for the
// branch stays, right or wrong, and so does a stem that was chosen.
func (c *Config) Suit(chosen [2]bool, stem bool) {
	var e [2]Encoder
	for i, side := range c.Sides() {
		e[i] = c.EncoderOf(i)
		if kind := kindOf(side.Type); model.Check(e[i].Arch, kind) != nil && !chosen[i] {
			switch width := cmp.Or(e[i].Width, 16); kind {
			case model.Sequences:
				e[i] = Encoder{Arch: "resnet1d-18", Width: width, Stem: e[i].Stem}
			case model.Numbers:
				e[i] = Encoder{Arch: "mlp", Stem: e[i].Stem}
			case model.Texts:
				e[i] = Encoder{Arch: "text", Stem: e[i].Stem}
			default:
				e[i] = Encoder{Arch: "resnet18", Width: width, Stem: e[i].Stem}
			}
		}
		switch {
		case stem:
		case side.Type == "waveform":
			e[i].Stem = "large"
		case e[i].Stem == "large":
			e[i].Stem = "small"
		}
	}
	c.Encoder, c.EncoderB = e[0], nil
	if c.Separate() && e[1] != e[0] {
		c.EncoderB = &e[1]
	}
}

func (c *Config) validatePairs() error {
	p := c.Pairs
	if p == nil {
		return nil
	}
	for i, side := range []*pairs.Side{&p.A, &p.B} {
		name := [2]string{"a", "b"}[i]
		if side.Type == "" {
			return fmt.Errorf("pairs need two sides, but %s is not given; name it as type=column, the types are %s", name, strings.Join(pairs.Types, ", "))
		}
		if err := side.Check(); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		for _, n := range []struct {
			key         string
			value, most int
		}{
			{"size", side.Size, maxSize},
			{"channels", side.Channels, maxColumns},
			{"rate", side.Rate, maxRate},
			{"length", side.Length, most},
			{"width", side.Width, most},
			{"number of columns", len(side.Columns), maxColumns},
		} {
			if n.value > n.most {
				return fmt.Errorf("%s: the %s is %d, but must be at most %d", name, n.key, n.value, n.most)
			}
		}
	}
	if !c.Separate() && p.A.Type != p.B.Type {
		return fmt.Errorf("branches are shared, but the sides are %s and %s; set branches to separate", p.A.Type, p.B.Type)
	}
	if n := len(c.Crops()); n != 2 {
		return fmt.Errorf("pairs have two views, one of each side, but views asks for %d", n)
	}
	return nil
}
