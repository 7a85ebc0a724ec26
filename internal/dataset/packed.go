package dataset

import (
	"fmt"
	"path/filepath"
	"strings"

	"vicreg/internal/pack"
)

// isPacked reports whether path is a packed data set, or is meant to be one.
func isPacked(path string) bool {
	return strings.EqualFold(filepath.Ext(path), ".pack") || pack.Is(path)
}

// openPacked opens the file that vicreg pack makes of a data set.
func openPacked(path string) (train, test *Dataset, err error) {
	f, err := pack.Open(path)
	if err != nil {
		return nil, nil, err
	}
	if len(f.Train) == 0 {
		return nil, nil, fmt.Errorf("%s: this packed data set has no images", path)
	}
	part := func(items []pack.Item) *Dataset {
		d := &Dataset{Name: f.Name, Classes: f.Classes, Items: make([]Item, len(items)), Mapped: true,
			sum: fmt.Sprintf("%016x", f.Sum)}
		d.Channels = items[0].Image.C
		for i, item := range items {
			d.Items[i] = Item{Name: item.Name, Label: item.Label, Image: item.Image}
			if item.Image.C != d.Channels {
				d.Channels = 0
			}
		}
		return d
	}
	train = part(f.Train)
	train.About = fmt.Sprintf("%d images packed in %s", len(f.Train), path)
	if f.Classes == nil {
		train.About += ", no labels"
		return train, nil, nil
	}
	train.About += fmt.Sprintf(", %d classes", len(f.Classes))
	if len(f.Test) > 0 {
		test = part(f.Test)
		train.About += fmt.Sprintf("; %d more score", len(f.Test))
	}
	return train, test, nil
}
