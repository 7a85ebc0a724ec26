package report

import (
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Setting is a key of a configuration and its value, as "optimizer.base_lr" and "0.3".
type Setting struct{ Key, Value string }

// Settings lists the values of a configuration in their order. Lists of plain values are
// one value; of other lists each element has its number.
func Settings(text []byte) []Setting {
	var doc yaml.Node
	if yaml.Unmarshal(text, &doc) != nil || len(doc.Content) == 0 {
		return nil
	}
	return flat(nil, "", doc.Content[0])
}

func flat(all []Setting, key string, n *yaml.Node) []Setting {
	under := func(name string) string {
		if key == "" {
			return name
		}
		return key + "." + name
	}
	switch {
	case n.Kind == yaml.MappingNode:
		for i := 0; i+1 < len(n.Content); i += 2 {
			all = flat(all, under(n.Content[i].Value), n.Content[i+1])
		}
	case n.Kind == yaml.SequenceNode && slices.ContainsFunc(n.Content, nested):
		for i, c := range n.Content {
			all = flat(all, under(strconv.Itoa(i+1)), c)
		}
	case n.Kind == yaml.SequenceNode:
		var values []string
		for _, c := range n.Content {
			values = append(values, c.Value)
		}
		all = append(all, Setting{key, strings.Join(values, ", ")})
	default:
		all = append(all, Setting{key, n.Value})
	}
	return all
}

func nested(n *yaml.Node) bool { return n.Kind != yaml.ScalarNode }

// Change is a setting that differs from what it is held against. An empty value is none.
type Change struct{ Key, Value, Before string }

// unsaid are keys that tell nothing of what a run does differently.
var unsaid = []string{"recipe", "description", "out", "data.source", "seed"}

// Differences lists the settings of which a and b do not say the same.
func Differences(a, b []Setting) (all []Change) {
	before := map[string]string{}
	for _, s := range b {
		before[s.Key] = s.Value
	}
	for _, s := range a {
		was, ok := before[s.Key]
		delete(before, s.Key)
		if was == "" && strings.HasPrefix(s.Key, "normalize.") {
			continue // measured on the images
		}
		if (!ok || was != s.Value) && !slices.Contains(unsaid, s.Key) {
			all = append(all, Change{s.Key, s.Value, was})
		}
	}
	for _, s := range b {
		if was, ok := before[s.Key]; ok && !slices.Contains(unsaid, s.Key) {
			all = append(all, Change{s.Key, "", was})
			delete(before, s.Key)
		}
	}
	return all
}
