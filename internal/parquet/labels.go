package parquet

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"vicreg/internal/durable"
	"vicreg/internal/show"
)

// feature is what Hugging Face's metadata say of a column (key huggingface of the file's
// metadata: info.features).
type feature struct {
	Type  string
	Names []string // of classes, by their numbers
}

// readFeatures reads what is said of columns. What cannot be read is not said.
func (f *File) readFeatures() {
	f.features = map[string]feature{}
	for _, kv := range f.meta.Notes {
		if kv.Key != "huggingface" {
			continue
		}
		var all struct {
			Info struct {
				Features map[string]json.RawMessage `json:"features"`
			} `json:"info"`
		}
		if json.Unmarshal([]byte(kv.Value), &all) != nil {
			continue
		}
		for name, raw := range all.Info.Features {
			var one struct {
				Type  string   `json:"_type"`
				Names []string `json:"names"`
			}
			if json.Unmarshal(raw, &one) == nil {
				f.features[name] = feature{one.Type, one.Names}
			}
		}
	}
}

// LabelColumn returns the column that holds classes: one that the metadata call so, or
// the first of some names that there is; empty: none.
func (f *File) LabelColumn(names []string) string {
	var likely []string
	for _, l := range f.leaves {
		if len(l.path) == 1 && !l.many && f.features[l.path[0]].Type == "ClassLabel" {
			likely = append(likely, l.path[0])
		}
	}
	for _, name := range names {
		if slices.Contains(likely, name) {
			return name
		}
	}
	if len(likely) > 0 {
		return likely[0]
	}
	for _, name := range names {
		for _, l := range f.leaves {
			if len(l.path) == 1 && !l.many && strings.EqualFold(l.path[0], name) {
				return l.path[0]
			}
		}
	}
	return ""
}

// Labels returns what a column says of each row: the name of a class where the metadata
// name classes, else the text or number; empty: nothing.
func (f *File) Labels(column string) ([]string, error) {
	i := slices.IndexFunc(f.leaves, func(l leaf) bool { return l.name() == column })
	if i < 0 {
		return nil, fmt.Errorf("%s: there is no column %s of texts or numbers; it has %s", show.Name(f.Path), show.Name(column), show.Some(f.Columns, 8))
	}
	l := &f.leaves[i]
	if l.many {
		return nil, fmt.Errorf("%s: column %s has several values a row, which name no class", show.Name(f.Path), show.Name(column))
	}
	file, err := durable.OpenRegular(f.Path)
	if err != nil {
		return nil, f.failed(err)
	}
	defer file.Close()
	names := f.features[column].Names
	texts := make([]string, 0, f.Rows)
	same := map[string]string{}
	for group := range f.meta.RowGroups {
		dict, pages, err := f.pagesOf(file, group, l)
		if err != nil {
			return nil, f.failed(err)
		}
		values, err := f.values(file, group, l, dict, pages)
		if err != nil {
			return nil, f.failed(fmt.Errorf("column %s: %w", show.Name(column), err))
		}
		for _, v := range values {
			text := ""
			if v != nil {
				text = l.textOf(v)
			}
			if n, err := strconv.Atoi(text); err == nil && names != nil {
				switch {
				case n >= 0 && n < len(names):
					text = names[n]
				case n < 0: // -1 stands for none
					text = ""
				default:
					return nil, f.failed(fmt.Errorf("row %d is of class %d, but there are %d classes", len(texts), n, len(names)))
				}
			}
			known, ok := same[text]
			if !ok {
				known = strings.Clone(text)
				same[known] = known
			}
			texts = append(texts, known)
		}
	}
	if len(texts) != f.Rows {
		return nil, f.failed(errors.New("columns of different lengths"))
	}
	return texts, nil
}
