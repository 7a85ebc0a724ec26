package dataset

import (
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/text/unicode/norm"

	"vicreg/internal/show"
	"vicreg/internal/table"
)

// part is a part of a data set that may score.
type part struct {
	name string // what people call it
	data *Dataset
}

// relabel gives all images of a source the classes that a labeller says. If it also says
// which image is in which part, the parts are made anew.
func (s *source) relabel(by *labeller, root string) (err error) {
	told := len(s.notes)
	defer func() { err = Because(err, s.notes[told:]) }()
	if s.test != nil {
		s.others = append(s.others, part{s.part, s.test})
	}
	s.test, s.unfit = nil, nil
	var items []*Item
	take := func(list []Item) {
		for i := range list {
			items = append(items, &list[i])
		}
	}
	take(s.train.Items)
	for _, p := range s.others {
		take(p.data.Items)
	}
	take(s.outer)
	take(s.rest)
	classes := make([]string, len(items))
	var file *labelFile
	var marks *markFile
	find := func() *finder { return newFinder(items, root, s.inner, filepath.Dir(by.file)) }
	switch {
	case by.several:
		if marks, err = readMarks(by.file, find(), s.people(root)); err != nil {
			return err
		}
		file = &marks.labelFile
		s.notes = append(s.notes, file.notes...)
	case by.leaf:
		for i, item := range items {
			classes[i] = s.at.leaf(s.below(item))
		}
		s.sameLeaf(items, classes)
	case by.name != nil:
		for i, item := range items {
			classes[i] = by.name.class(item.Name)
		}
	default:
		if file, err = readLabels(by.file, find(), s.people(root)); err != nil {
			return err
		}
		for i, row := range file.rows {
			classes[i] = row.class
		}
		s.notes = append(s.notes, file.notes...)
	}
	for i, c := range classes {
		classes[i] = norm.NFC.String(c)
	}
	index := map[string]int{}
	for _, c := range classes {
		if c != "" {
			index[c] = 0
		}
	}
	names := slices.Sorted(maps.Keys(index))
	if marks != nil && len(marks.marks) > 0 {
		names = marks.names
	}
	if len(names) == 0 {
		return by.nothing(items)
	}
	for i, c := range names {
		index[c] = i
	}
	for i, item := range items {
		item.Label = -1
		if classes[i] != "" {
			item.Label = index[classes[i]]
		}
	}
	if marks != nil {
		s.train.Marks = map[string][]int8{}
		for at, m := range marks.marks {
			items[at].Label = 0
			s.train.Marks[items[at].Name] = m
		}
	}
	if file == nil {
		size := make([]int, len(names))
		for _, item := range items {
			if item.Label >= 0 {
				size[item.Label]++
			}
		}
		s.alike("labels "+by.spec, names, size)
	}
	s.withoutLabel(by, file, items)
	if file != nil && file.splits {
		s.divide(file, items)
	} else {
		s.choose()
	}
	s.train.Classes = names
	s.train.About += fmt.Sprintf(", %s: %d classes", by.about, len(names))
	if len(s.train.Items) == 0 {
		return fmt.Errorf("%s: every image is to score on and none to train on; write train in some rows", by.about)
	}
	if s.train.unlabelled() == len(s.train.Items) {
		return fmt.Errorf("%s: none of the %s to train on has a label; --labels none trains without", by.about, images(len(s.train.Items)))
	}
	if s.test == nil {
		return nil
	}
	s.test.Name, s.test.Channels, s.test.Classes, s.test.sum = s.train.Name, s.train.Channels, names, s.train.sum
	s.test.Marks = s.train.Marks
	s.train.About += fmt.Sprintf("; %s (%s) scores", s.part, images(len(s.test.Items)))
	if marks == nil {
		s.oneSided()
	}
	return nil
}

// alike notes classes, of so many images, whose names differ in nothing that counts. where is
// messages' name for what tells them.
func (s *source) alike(where string, classes []string, size []int) {
	count := make(map[string]int, len(classes))
	for i, n := range size {
		if n > 0 {
			count[classes[i]] = n
		}
	}
	s.notes = append(s.notes, table.Alike(where, count)...)
}

// Because adds to an error the notes that may explain it.
func Because(err error, notes []string) error {
	if err == nil || len(notes) == 0 {
		return err
	}
	return fmt.Errorf("%w (%s)", err, strings.Join(notes, "; "))
}

// below is an image's name below the folder that holds the parts.
func (s *source) below(item *Item) string { return strings.TrimPrefix(inShard(item), s.inner) }

// people is what messages call the images.
func (s *source) people(root string) string {
	if root != "" {
		return show.Name(root)
	}
	return "the data"
}

// nothing is the error if a labeller labels no image.
func (by *labeller) nothing(items []*Item) error {
	switch {
	case by.leaf:
		return fmt.Errorf("labels leaf: no image lies in a folder, as %s does not; name a file of labels or a pattern of names (--labels)", show.Name(items[0].Name))
	case by.name != nil:
		return fmt.Errorf("%s: no image has such a name; the first is %s", by.about, show.Name(items[0].Name))
	}
	return fmt.Errorf("%s: every label is empty", by.about)
}

// sameLeaf notes folders of one name in several places, which are one class.
func (s *source) sameLeaf(items []*Item, classes []string) {
	places := map[string]map[string]bool{}
	for i, item := range items {
		if c := classes[i]; c != "" {
			if places[c] == nil {
				places[c] = map[string]bool{}
			}
			places[c][s.at.above(s.below(item))] = true
		}
	}
	var same []string
	for c, in := range places {
		if len(in) > 1 {
			same = append(same, c)
		}
	}
	slices.Sort(same)
	if len(same) > 0 {
		s.note("%s in several folders, and what lies in them is one class: %s", show.Plural(len(same), "name of a folder is found", "names of folders are found"), show.Some(same, 5))
	}
}

// withoutLabel notes the images that have no label.
func (s *source) withoutLabel(by *labeller, file *labelFile, items []*Item) {
	var none []string
	unsorted := 0
	for i, item := range items {
		if by.leaf && s.at.role(topOf(s.below(item))) == unlabelled {
			unsorted++
			continue
		}
		told := false
		if file != nil {
			_, told = file.rows[int32(i)]
		}
		if item.Label < 0 && !told {
			none = append(none, item.Name)
		}
	}
	if unsorted > 0 {
		s.note("%s/ (%s) belongs to the part that trains, without labels", strings.Join(s.at.more, "/, "), images(unsorted))
	}
	if len(none) == 0 {
		return
	}
	why := "in no folder"
	switch {
	case file != nil:
		why = "in no row of " + file.name
	case by.name != nil:
		why = "under names that the pattern does not fit"
	}
	s.note("%d of %s %s %s and %s no label: %s", len(none), images(len(items)), is(len(none)), why, has(len(none)), show.Some(none, 3))
}

// choose takes the first part with labels as the one that scores. Its images without
// labels, and the other parts, are neither trained on nor score.
func (s *source) choose() {
	if s.outerNote != "" {
		s.rest, s.unused = append(s.rest, s.outer...), append(s.unused, s.outerNote)
	}
	for _, p := range s.others {
		d := p.data
		switch n := len(d.Items); {
		case n == 0:
		case s.test != nil:
			s.unuse("%s (%s) is not used, as %s scores", p.name, images(n), s.part)
			s.rest = append(s.rest, d.Items...)
		case d.unlabelled() == n:
			s.unuse("%s (%s) is not used, as none of its images has a label", p.name, images(n))
			s.rest = append(s.rest, d.Items...)
		default:
			s.score(p.name, d)
		}
	}
}

// score makes a part the one that scores.
func (s *source) score(name string, d *Dataset) {
	s.test, s.part = d, name
	n := d.unlabelled()
	if n == 0 {
		return
	}
	s.unuse("%s of %s %s no label and %s not used", images(n), name, has(n), is(n))
	for _, item := range d.Items {
		if item.Label < 0 {
			s.rest = append(s.rest, item)
		}
	}
	d.KeepLabelled()
}

// divide puts each image into the part that a file says: those to test score, or those for
// validation if none to test has a label. Those that the file does not name stay where they
// are, and nothing is held out.
func (s *source) divide(file *labelFile, items []*Item) {
	var train, rest, test, val []Item
	n := 0
	for i, item := range items {
		row, told := file.rows[int32(i)]
		switch {
		case !told && i < len(s.train.Items), told && row.role == trains:
			train = append(train, *item)
		case !told:
			rest = append(rest, *item)
		case row.rank >= 0 && strings.HasPrefix(roles[row.rank/2].name, "test"):
			test = append(test, *item)
		default:
			val = append(val, *item)
		}
		if !told && i >= len(s.train.Items) && i < len(items)-len(s.rest) {
			n++
		}
	}
	if n > 0 {
		s.unuse("%s outside the part that trains %s not used, as %s does not name %s", images(n), is(n), file.name, map[bool]string{true: "it", false: "them"}[n == 1])
	}
	s.train.Items, s.train.Parted, s.rest = train, true, rest
	for _, p := range []struct {
		what  string
		items []Item
	}{{"to test", test}, {"for validation", val}} {
		d := *s.train
		d.Items = p.items
		switch n := len(d.Items); {
		case n == 0:
			continue
		case s.test != nil:
			s.unuse("%s of %s %s %s not used, since others are to test", images(n), file.name, p.what, is(n))
		case d.unlabelled() == n:
			s.unuse("%s of %s %s %s not used, as none has a label", images(n), file.name, p.what, is(n))
		default:
			s.score("the part to score on of "+file.name, &d)
			continue
		}
		s.rest = append(s.rest, d.Items...)
	}
	switch {
	case s.test == nil:
		s.note("%s says which images train and has none with a label to score on, and nothing is held out", file.name)
	case len(test) == 0:
		s.note("%s names none to test; those for validation score", file.name)
	case !slices.ContainsFunc(test, func(item Item) bool { return item.Label >= 0 }):
		s.note("%s has no label for those to test; those for validation score", file.name)
	}
}

// oneSided notes classes that only one part has.
func (s *source) oneSided() {
	trained, scored := make([]bool, len(s.train.Classes)), make([]bool, len(s.train.Classes))
	for _, d := range []struct {
		items []Item
		has   []bool
	}{{s.train.Items, trained}, {s.test.Items, scored}} {
		for _, item := range d.items {
			if item.Label >= 0 {
				d.has[item.Label] = true
			}
		}
	}
	var unknown, unseen []string
	for i, name := range s.train.Classes {
		switch {
		case !trained[i] && scored[i]:
			unknown = append(unknown, name)
		case trained[i] && !scored[i]:
			unseen = append(unseen, name)
		}
	}
	if n := len(unknown); n > 0 {
		s.note("%s only images to score on and none to train on: %s", show.Plural(n, "class has", "classes have"), show.Some(unknown, 5))
	}
	if n := len(unseen); n > 0 {
		s.note("%s only images to train on and none to score on: %s", show.Plural(n, "class has", "classes have"), show.Some(unseen, 5))
	}
}
