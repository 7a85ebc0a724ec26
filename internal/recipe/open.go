package recipe

import "cmp"

// Automatic is a warm-up, or a number of epochs between scores, that is chosen from
// the epochs.
const Automatic = -1

// Open lists what c leaves to be chosen, by its keys.
func (c *Config) Open() []string {
	var open []string
	if c.Minutes <= 0 {
		return nil
	}
	for _, f := range []struct {
		key  string
		open bool
	}{
		{"size", c.Size == 0},
		{"encoder.stem", c.Encoder.Stem == ""},
		{"batch", c.Batch == 0},
		{"epochs", c.Epochs == 0},
		{"warmup", c.Warmup == Automatic},
		{"eval.every", c.Eval.Every == Automatic},
	} {
		if f.open {
			open = append(open, f.key)
		}
	}
	return open
}

// Undecided is Open with what does not depend on the minutes.
func (c *Config) Undecided() []string {
	open := c.Open()
	if c.Optimizer.BaseLRAuto {
		open = append(open, "optimizer.base_lr")
	}
	return open
}

// Filled returns c with usual values in place of what is open, so that all the rest can
// be checked.
func (c *Config) Filled() Config {
	f := *c
	if len(c.Open()) == 0 {
		return f
	}
	f.Size, f.Epochs = cmp.Or(c.Size, 96), cmp.Or(c.Epochs, 100)
	if f.Encoder.Stem == "" {
		f.Encoder.Stem = UsualStem(f.Size)
	}
	if c.Batch == 0 {
		f.Batch = 128
		if l := c.Data.Limit; l > 1 {
			f.Batch = min(f.Batch, l)
		}
	}
	if c.Warmup == Automatic {
		f.Warmup = UsualWarmup(f.Epochs)
	}
	if c.Eval.Every == Automatic {
		f.Eval.Every = UsualEvery(f.Epochs)
	}
	return f
}

// UsualStem returns the stem for views of so many pixels.
func UsualStem(size int) string {
	if size <= 64 {
		return "small"
	}
	return "imagenet"
}

// UsualEvery returns how many epochs lie between scores of so many: ten are taken.
func UsualEvery(epochs int) int { return (epochs + 9) / 10 }

// UsualWarmup returns for how many of so many epochs the learning rate should rise.
func UsualWarmup(epochs int) float64 { return min(10, float64(epochs)/10) }
