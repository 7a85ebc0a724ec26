package recipe

import (
	"bytes"
	"errors"
	"fmt"
	"strings"

	"go.yaml.in/yaml/v3"

	"vicreg/internal/settings"
	"vicreg/internal/show"
)

// MergeFile lays a YAML file over c: keys that the file does not name keep
// their values. What is not exactly a value of its key is an error with its line;
// see package settings.
func (c *Config) MergeFile(path string) error {
	raw, err := settings.ReadFile(path, "configuration")
	if err != nil {
		return err
	}
	return c.merge(raw, show.Name(path))
}

// ReadFile reads the configuration that a run wrote into its folder.
func ReadFile(path string) (Config, error) {
	c := base()
	err := c.MergeFile(path)
	return c, err
}

// Parse is ReadFile for what YAML has returned; name says what it is.
func Parse(raw []byte, name string) (Config, error) {
	c := base()
	err := c.merge(raw, name)
	return c, err
}

// YAML returns the whole configuration, as [ReadFile] reads it. Laid over any
// recipe's form for the same method, it gives the same configuration.
func (c *Config) YAML() ([]byte, error) {
	var n yaml.Node
	if err := n.Encode(c); err != nil {
		return nil, err
	}
	if f, err := readMethod(c.Method); err == nil {
		for _, part := range []*yaml.Node{&f.Small, &f.Quick, &f.Large} {
			spellOut(&n, part)
		}
	}
	var b bytes.Buffer
	e := yaml.NewEncoder(&b)
	e.SetIndent(2)
	if err := e.Encode(&n); err != nil {
		return nil, err
	}
	if err := e.Close(); err != nil {
		return nil, err
	}
	return b.Bytes(), settings.Check(b.Bytes(), "the configuration")
}

// spellOut adds to n those keys of part that were left out because their values are
// empty: a recipe's form for the method has other values there.
func spellOut(n, part *yaml.Node) {
	switch {
	case n.Kind == yaml.SequenceNode && part.Kind == yaml.SequenceNode:
		for i := range min(len(n.Content), len(part.Content)) {
			spellOut(n.Content[i], part.Content[i])
		}
	case n.Kind == yaml.MappingNode && part.Kind == yaml.MappingNode:
		for i := 0; i < len(part.Content); i += 2 {
			key, value := part.Content[i], part.Content[i+1]
			to := find(n, key.Value)
			if to == nil {
				to = &yaml.Node{Kind: value.Kind, Style: value.Style}
				switch {
				case value.Tag == "!!bool":
					to.Value = "false"
				case value.Kind == yaml.ScalarNode:
					to.Value = "0" // none of the keys that are left out is a text
				}
				n.Content = append(n.Content, &yaml.Node{Kind: yaml.ScalarNode, Value: key.Value}, to)
			}
			if value.Kind == yaml.MappingNode || len(to.Content) > 0 {
				spellOut(to, value)
			}
		}
	}
}

// single reports whether the method that a file names, or else c's, may do with one view:
// those that learn from labels compare no views.
func (c *Config) single(method *yaml.Node) bool {
	name := c.Method
	if method != nil {
		name = method.Value
	}
	m, err := MachineryOf(name)
	return name == "" || err == nil && m.Has("labels") // of a file without its recipe that is not known
}

// find returns the value of a key, or nil.
func find(n *yaml.Node, key string) *yaml.Node {
	if n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		if n.Content[i].Value == key {
			return n.Content[i+1]
		}
	}
	return nil
}

func (c *Config) merge(raw []byte, name string) error {
	root, err := settings.Parse(raw, name)
	if err != nil || root == nil { // an empty file changes nothing
		return err
	}
	return c.lay(root, name)
}

// lay lays the keys and values of a file over c.
func (c *Config) lay(root *yaml.Node, name string) error {
	if root.Kind != yaml.MappingNode {
		return fmt.Errorf("%s:%d: a configuration is a list of keys and values, as \"epochs: 100\"", name, root.Line)
	}
	if views := find(root, "views"); views != nil && len(views.Content) == 1 && !c.single(find(root, "method")) {
		return fmt.Errorf("%s:%d: views is a list of two views or more", name, views.Line)
	}
	if err := settings.Lay(root, name, c); err != nil {
		return err
	}
	if len(c.Replanned) == 0 {
		c.Replanned = nil // as it is where there is no such key
	}
	first, second := find(root, "encoder"), find(root, "encoder_b")
	named := func(n *yaml.Node, key string) bool { return n != nil && find(n, key) != nil }
	if named(first, "arch") && !named(first, "width") {
		c.Encoder.Width = UsualWidth(c.Encoder.Arch)
	}
	if named(second, "arch") && !named(second, "width") && !named(first, "width") {
		c.EncoderB.Width = UsualWidth(c.EncoderB.Arch)
	}
	return nil
}

// UsualWidth returns the width of an encoder that is named without one. A name always
// means the same network, whatever recipe it is laid over. 0 is for encoders that have
// no width, or one of their own.
func UsualWidth(arch string) int {
	if strings.HasPrefix(arch, "resnet") {
		return 64
	}
	return 0
}

// Start makes v n views. If there are n already they stay; otherwise each starts as the
// released one.
func (v *Views) Start(n int) error {
	switch {
	case n < 1:
		return errors.New("is a list of two views or more")
	case n > maxViews:
		return fmt.Errorf("is a list of %d views, more than %d; count repeats one", n, maxViews)
	}
	first := released()
	next := make(Views, n)
	for i := range next {
		next[i] = first[min(i, 1)]
		if len(*v) == n {
			next[i] = (*v)[i]
		}
	}
	*v = next
	return nil
}
