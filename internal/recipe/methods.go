package recipe

import (
	"fmt"
	"slices"
	"strings"
	"sync"

	"go.yaml.in/yaml/v3"
)

// Machinery is what a method has beside encoder, expander and loss, as its file
// in methods says. Its parts are
//
//	coefficients      λ, μ and ν of VICReg
//	predictor         a head that predicts the other view's embedding
//	stop-gradient     of what is compared with
//	momentum-encoder
//	temperature
//	queue
//	queue-start       epochs before it counts
//	prototypes
//	redundancy        Barlow Twins' constants
//	whitening         W-MSE's
//	many-views        more than two
//	labels            what it learns from
type Machinery struct {
	Title  string
	Uses   []string
	Needs  []string // whatever its settings are, in words
	Shared string   // why its branches must share their weights; "" if they need not
}

// Has says whether the method can have a part.
func (m Machinery) Has(part string) bool { return slices.Contains(m.Uses, part) }

// methodFile is the file of a method: its machinery, and what it lays over the
// recipes.
type methodFile struct {
	Machinery `yaml:",inline"`
	Small     yaml.Node // over recipes of small images,
	Quick     yaml.Node // then over those of few,
	Large     yaml.Node // over those of large images
}

// Supervised is the method that learns from labels: a baseline, and not one of
// Methods.
const Supervised = "supervised"

// Methods returns the names of the self-supervised methods, VICReg first.
func Methods() []string {
	entries, err := files.ReadDir("methods")
	if err != nil {
		panic("recipe: " + err.Error())
	}
	names := []string{base().Method}
	for _, e := range entries {
		if name := strings.TrimSuffix(e.Name(), ".yaml"); name != names[0] && name != Supervised {
			names = append(names, name)
		}
	}
	return names
}

// MachineryOf returns what a method has.
func MachineryOf(method string) (Machinery, error) {
	f, err := readMethod(method)
	return f.Machinery, err
}

// known names everything that a configuration's method may be.
func known() []string { return append(Methods(), Supervised) }

// methodFiles are those files that have been read, by name.
var methodFiles sync.Map

func readMethod(name string) (f methodFile, err error) {
	if f, ok := methodFiles.Load(name); ok {
		return f.(methodFile), nil
	}
	raw, err := files.ReadFile("methods/" + name + ".yaml")
	if err != nil {
		return f, fmt.Errorf("unknown method %q; known: %s", name, strings.Join(known(), ", "))
	}
	if err = yaml.Unmarshal(raw, &f); err == nil {
		methodFiles.Store(name, f)
	}
	return f, err
}

// separable names the methods whose branches may be separate.
func separable() []string {
	var names []string
	for _, name := range Methods() {
		if m, err := MachineryOf(name); err == nil && m.Shared == "" {
			names = append(names, name)
		}
	}
	return names
}

// LoadFor returns a built-in recipe as it is for a method: with that method's
// own heads, constants, views and optimizer laid over it. An empty method is the
// recipe's.
func LoadFor(name, method string) (Config, error) {
	c, err := Load(name)
	if err != nil || method == "" {
		return c, err
	}
	err = c.setMethod(method)
	return c, err
}

// setMethod lays what a method wants over a built-in recipe.
func (c *Config) setMethod(method string) error {
	f, err := readMethod(method)
	if err != nil || method == c.Method {
		return err
	}
	parts := []yaml.Node{f.Small}
	switch c.Recipe {
	case Default, Photos, "fashion-mnist":
		parts = append(parts, f.Quick)
	case "imagenet-100ep", "imagenet-1000ep":
		parts = []yaml.Node{f.Large}
	}
	c.Method, c.Description = method, f.Title+": "+c.Description
	for _, p := range parts {
		if p.IsZero() {
			continue
		}
		if err := c.lay(&p, "method "+method); err != nil {
			return err
		}
	}
	return nil
}

// Start returns the recipe and the method that a YAML file names, "" where it names
// none.
func Start(path string) (recipe, method string, err error) {
	c := base()
	c.Method = ""
	err = c.MergeFile(path)
	return c.Recipe, c.Method, err
}
