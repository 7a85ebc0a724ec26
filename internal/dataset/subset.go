package dataset

import (
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"

	"vicreg/internal/rng"
	"vicreg/internal/show"
	"vicreg/internal/table"
)

// Share keeps a share of the labelled images of each class, rounded and at least one, which
// the seed chooses, and none without a label. The order stays.
func (d *Dataset) Share(share float64, seed uint64) {
	members := make([][]int, len(d.Classes))
	for i, item := range d.Items {
		if item.Label >= 0 {
			members[item.Label] = append(members[item.Label], i)
		}
	}
	keep := make([]bool, len(d.Items))
	for class, all := range members {
		n := len(all)
		if n == 0 {
			continue
		}
		want := min(n, max(1, int(math.Round(share*float64(n)))))
		for _, k := range rng.Perm(n, seed, rng.Share, uint64(class))[:want] {
			keep[all[k]] = true
		}
	}
	d.keep(keep)
}

// keep keeps some of the items.
func (d *Dataset) keep(which []bool) {
	var kept []Item
	for i, item := range d.Items {
		if which[i] {
			kept = append(kept, item)
		}
	}
	d.Items = kept
}

// Subset keeps the images that a file names, one a line: by the file's own name, as
// n01440764_10074.JPEG, or by a path as in a file of labels. root is what the data was
// opened as. What the file names besides is told in notes; held are images that are not
// to train on, or nil.
func (d *Dataset) Subset(path, root string, held *Dataset) (notes []string, err error) {
	raw, err := table.Load(path, "list of images")
	if err != nil {
		return nil, err
	}
	if st, err := os.Stat(root); err != nil || !st.IsDir() {
		root = ""
	}
	file := show.Name(filepath.Base(path))
	find := d.finder(root, path)
	var others *finder
	if held != nil {
		others = held.finder(root, path)
	}
	keep := make([]bool, len(d.Items))
	var unknown, scored []string
	lines, twice := 0, 0
	for line := range strings.Lines(strings.TrimPrefix(string(raw), "\ufeff")) {
		name := strings.TrimSpace(line)
		if name == "" {
			continue
		}
		lines++
		switch at := find.find(name); {
		case at == several:
			return nil, fmt.Errorf("%s: %s may be any of %s (%s); write the path below %s, with its ending", file,
				table.Clip(name), images(len(find.sharers(name))), show.Some(find.sharers(name), 3), d.Name)
		case at >= 0 && keep[at]:
			twice++
		case at >= 0:
			keep[at] = true
		case others != nil && others.find(name) >= 0:
			scored = append(scored, name)
		default:
			unknown = append(unknown, name)
		}
	}
	had := len(d.Items)
	d.keep(keep)
	if len(d.Items) == 0 {
		why := "it names nothing"
		if lines > 0 {
			why = fmt.Sprintf("%s no image to train on (%s)", show.Plural(lines, "line names", "lines name"),
				show.Some(append(unknown, scored...), 3))
		}
		return nil, fmt.Errorf("%s: %s; each line is an image of %s, by its file name or its path", file, why, d.Name)
	}
	note := func(format string, args ...any) { notes = append(notes, file+": "+fmt.Sprintf(format, args...)) }
	note("names %d of the %d labelled images to train on, and no others are", len(d.Items), had)
	if n := len(unknown); n > 0 {
		note("%s no image and %s passed over: %s", show.Plural(n, "line names", "lines name"), plural(n, "is", "are"),
			show.Some(unknown, 5))
	}
	if n := len(scored); n > 0 {
		note("%s kept to score on, and so not trained on: %s", show.Plural(n, "image is", "images are"),
			show.Some(scored, 5))
	}
	if twice > 0 {
		note("%s an image again that a line before has named", show.Plural(twice, "line names", "lines name"))
	}
	return notes, nil
}

// plural is the form of a word that goes with a number.
func plural(n int, one, more string) string {
	if n == 1 {
		return one
	}
	return more
}

// finder finds the data set's images by what a file at path calls them.
func (d *Dataset) finder(root, path string) *finder {
	items := make([]*Item, len(d.Items))
	for i := range d.Items {
		items[i] = &d.Items[i]
	}
	return newFinder(items, root, "train", filepath.Dir(path))
}
