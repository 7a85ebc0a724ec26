package main

import "vicreg/internal/recipe"

// limits binds the flags for what images may ask for and how many may be bad.
func (f *configFlags) limits() {
	x := f.flags.Float64
	bind(f, x, "max-pixels", "`millions` of pixels that an image may have at most; larger ones count as unreadable; 0: 100", func(c *recipe.Config) *float64 { return &c.Data.MaxPixels })
	bind(f, x, "max-bad", "`share` of images, or of rows of pairs, that may be unreadable before a command gives up; without it a tenth", func(c *recipe.Config) *float64 {
		c.Data.MaxBad = new(float64)
		return c.Data.MaxBad
	})
	bind(f, f.flags.IntSlice, "bands", "`numbers` of the channels of files to take, from 1, such as 4,3,2; without it all", func(c *recipe.Config) *[]int { return &c.Data.Bands })
	bind(f, f.flags.String, "values", "raw: the `kind` of values that files have, instead of 0 to 1 as in pictures of 8 bits", func(c *recipe.Config) *string { return &c.Data.Values })
}

// limited returns the limits that were given, for a command that has no other flags
// of a configuration.
func (f *configFlags) limited() (recipe.Data, error) {
	c, err := recipe.Load(recipe.Default)
	if err != nil {
		return c.Data, err
	}
	f.apply(&c)
	if err := c.Validate(); err != nil {
		return c.Data, usageError{err}
	}
	return c.Data, nil
}
