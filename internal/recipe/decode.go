package recipe

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"reflect"
	"regexp"
	"strings"

	"go.yaml.in/yaml/v3"
)

// MergeFile lays a YAML file over c: keys that the file does not name keep
// their values. An unknown key is an error with its line.
func (c *Config) MergeFile(path string) error {
	raw, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("cannot read the configuration: %w", err)
	}
	return c.merge(raw, path)
}

// ReadFile reads the configuration that a run wrote into its folder.
func ReadFile(path string) (Config, error) {
	c := base()
	err := c.MergeFile(path)
	return c, err
}

// YAML returns the whole configuration.
func (c *Config) YAML() ([]byte, error) {
	var b bytes.Buffer
	e := yaml.NewEncoder(&b)
	e.SetIndent(2)
	if err := e.Encode(c); err != nil {
		return nil, err
	}
	return b.Bytes(), e.Close()
}

func (c *Config) merge(raw []byte, name string) error {
	var doc yaml.Node
	if err := yaml.Unmarshal(raw, &doc); err != nil {
		return yamlError(name, err)
	}
	if len(doc.Content) == 0 {
		return nil // an empty file changes nothing
	}
	return c.lay(doc.Content[0], name)
}

// lay lays the keys and values of a file over c.
func (c *Config) lay(root *yaml.Node, name string) error {
	if root.Kind != yaml.MappingNode {
		return fmt.Errorf("%s:%d: a configuration is a list of keys and values, as \"epochs: 100\"", name, root.Line)
	}
	if err := checkKeys(root, reflect.TypeFor[Config](), name, ""); err != nil {
		return err
	}
	next := *c
	if err := root.Decode(&next); err != nil {
		return yamlError(name, err)
	}
	*c = next
	return nil
}

// UnmarshalYAML lays a list of views over v, keeping what it does not name. Of a
// list that is longer or shorter, every view starts as the released one.
func (v *Views) UnmarshalYAML(n *yaml.Node) error {
	if n.Kind != yaml.SequenceNode || len(n.Content) < 2 {
		return &yaml.TypeError{Errors: []string{fmt.Sprintf("line %d: views is a list of two views or more", n.Line)}}
	}
	first := released()
	next := make(Views, len(n.Content))
	for i := range next {
		next[i] = first[min(i, 1)]
		if len(*v) == len(next) {
			next[i] = (*v)[i]
		}
		if err := n.Content[i].Decode(&next[i]); err != nil {
			return err
		}
	}
	*v = next
	return nil
}

// checkKeys finds the first key of n that t has no field for. The decoder's
// own check does not reach below a custom UnmarshalYAML and does not name keys
// as a user wrote them.
func checkKeys(n *yaml.Node, t reflect.Type, file, path string) error {
	if n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	switch {
	case n.Kind == yaml.SequenceNode && (t.Kind() == reflect.Array || t.Kind() == reflect.Slice):
		for i, item := range n.Content {
			if err := checkKeys(item, t.Elem(), file, fmt.Sprintf("%s[%d]", path, i)); err != nil {
				return err
			}
		}
	case t.Kind() == reflect.Pointer:
		return checkKeys(n, t.Elem(), file, path)
	case n.Kind == yaml.MappingNode && t.Kind() == reflect.Struct:
		fields := map[string]reflect.Type{}
		var known []string
		for _, f := range reflect.VisibleFields(t) {
			tag := f.Tag.Get("yaml")
			if strings.HasSuffix(tag, ",inline") {
				continue // its fields are visible too
			}
			key, _, _ := strings.Cut(tag, ",")
			if key == "" {
				key = strings.ToLower(f.Name)
			}
			fields[key] = f.Type
			known = append(known, key)
		}
		for i := 0; i+1 < len(n.Content); i += 2 {
			key, value := n.Content[i], n.Content[i+1]
			if key.Value == "<<" {
				continue
			}
			ft, ok := fields[key.Value]
			if !ok {
				return fmt.Errorf("%s:%d: unknown key %q; known here: %s", file, key.Line, join(path, key.Value), strings.Join(known, ", "))
			}
			if err := checkKeys(value, ft, file, join(path, key.Value)); err != nil {
				return err
			}
		}
	}
	return nil
}

func join(path, key string) string {
	if path == "" {
		return key
	}
	return path + "." + key
}

var yamlLine = regexp.MustCompile(`^(?:yaml: )?line (\d+): `)

// yamlError puts the file in front of the decoder's line.
func yamlError(file string, err error) error {
	msg := err.Error()
	if te := (*yaml.TypeError)(nil); errors.As(err, &te) && len(te.Errors) > 0 {
		msg = te.Errors[0]
	}
	if m := yamlLine.FindStringSubmatch(msg); m != nil {
		return fmt.Errorf("%s:%s: %s", file, m[1], msg[len(m[0]):])
	}
	return fmt.Errorf("%s: %s", file, strings.TrimPrefix(msg, "yaml: "))
}
