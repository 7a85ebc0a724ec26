package main

import (
	"fmt"
	"slices"
	"strings"

	"vicreg/internal/recipe"
)

// viewFlags are the flags of how views are made, each of one value of every view.
var viewFlags = []struct {
	name, usage string
	at          func(*recipe.View) *float64
}{
	{"crop-min", "least `share` of an image's area that a view keeps", func(v *recipe.View) *float64 { return &v.CropMin }},
	{"flip", "`probability` that a view is mirrored", func(v *recipe.View) *float64 { return &v.Flip }},
	{"turn", "`probability` that a view is turned by one, two or three quarters, for images from above", func(v *recipe.View) *float64 { return &v.Turn }},
	{"jitter", "`probability` that a view's colours are changed", func(v *recipe.View) *float64 { return &v.Jitter.P }},
	{"grey", "`probability` that a view loses its colours", func(v *recipe.View) *float64 { return &v.Grey }},
	{"blur", "`probability` that a view is blurred", func(v *recipe.View) *float64 { return &v.Blur.P }},
	{"solarize", "`probability` that a view's bright values are inverted", func(v *recipe.View) *float64 { return &v.Solarize.P }},
}

// views binds the flags of how views are made.
func (f *configFlags) views() {
	for _, v := range viewFlags {
		value := f.flags.Float64(v.name, 0, v.usage+", of all views alike")
		f.set[v.name] = func(c *recipe.Config) {
			c.Views = slices.Clone(c.Views) // which recipes share
			for i := range c.Views {
				*v.at(&c.Views[i]) = *value
			}
		}
		f.get[v.name] = func(c *recipe.Config) string {
			var all []string
			for i := range c.Views {
				if one := fmt.Sprint(*v.at(&c.Views[i])); !slices.Contains(all, one) {
					all = append(all, one)
				}
			}
			return strings.Join(all, " and ")
		}
	}
}
