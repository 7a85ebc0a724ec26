package watch

import (
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"vicreg/internal/durable"
	"vicreg/internal/runlog"
)

// Setting is a value of a run's configuration.
type Setting struct {
	Key   string `json:"key"` // with those of the sections that it is in: loss.lambda
	Value string `json:"value"`
}

// mostSettings is how many values of a configuration are looked at.
const mostSettings = 2000

// readSettings reads the configuration of a run, in its order.
func readSettings(dir string) ([]Setting, error) {
	path := filepath.Join(dir, runlog.ConfigFile)
	f, err := durable.OpenRegular(path)
	if err != nil {
		return nil, fmt.Errorf("%s cannot be read: %w", runlog.ConfigFile, durable.Reason(err))
	}
	defer f.Close()
	raw, err := io.ReadAll(io.LimitReader(f, 1<<20))
	if err != nil {
		return nil, fmt.Errorf("%s cannot be read: %w", runlog.ConfigFile, durable.Reason(err))
	}
	var node yaml.Node
	err = yaml.Unmarshal(raw, &node)
	if err != nil || len(node.Content) == 0 || node.Content[0].Kind != yaml.MappingNode {
		return nil, fmt.Errorf("%s is damaged: it holds no settings", runlog.ConfigFile)
	}
	var list []Setting
	flatten(node.Content[0], "", &list)
	return slices.DeleteFunc(list, func(s Setting) bool { return s.Key == "description" }), nil // of the recipe
}

// flatten lists the values below a node. Aliases, which no run writes, are not followed.
func flatten(n *yaml.Node, key string, list *[]Setting) {
	if len(*list) >= mostSettings {
		return
	}
	switch {
	case n.Kind == yaml.MappingNode:
		for i := 0; i+1 < len(n.Content); i += 2 {
			flatten(n.Content[i+1], strings.TrimPrefix(key+"."+n.Content[i].Value, "."), list)
		}
	case n.Kind == yaml.SequenceNode && !plain(n):
		for i, x := range n.Content {
			flatten(x, fmt.Sprintf("%s.%d", key, i+1), list)
		}
	case n.Kind == yaml.SequenceNode:
		var values []string
		for _, x := range n.Content[:min(len(n.Content), 100)] {
			values = append(values, x.Value)
		}
		*list = append(*list, Setting{key, strings.Join(values, ", ")})
	default:
		*list = append(*list, Setting{key, n.Value})
	}
}

// plain reports whether a list holds nothing but single values.
func plain(n *yaml.Node) bool {
	return !slices.ContainsFunc(n.Content, func(x *yaml.Node) bool { return x.Kind != yaml.ScalarNode })
}

// value is that of a setting, "" if there is none.
func value(list []Setting, key string) string {
	for _, s := range list {
		if s.Key == key {
			return s.Value
		}
	}
	return ""
}

// Difference is a setting that some runs do not share, with the value of each; an empty one
// where a run has no such setting.
type Difference struct {
	Key    string   `json:"key"`
	Values []string `json:"values"`
}

// differences lists the settings that are not the same in all of some configurations, in the
// order in which they come up.
func differences(runs [][]Setting) (list []Difference) {
	var keys []string
	of := map[string][]string{}
	for i, settings := range runs {
		for _, s := range settings {
			if of[s.Key] == nil {
				of[s.Key] = make([]string, len(runs))
				keys = append(keys, s.Key)
			}
			of[s.Key][i] = s.Value
		}
	}
	for _, key := range keys {
		if v := of[key]; slices.ContainsFunc(v, func(x string) bool { return x != v[0] }) {
			list = append(list, Difference{key, v})
		}
	}
	return list
}
