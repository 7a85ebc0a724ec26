package dataset

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/text/unicode/norm"

	"vicreg/internal/shard"
	"vicreg/internal/show"
)

// labelBy gives the images of train, then of test, the classes that texts say, or, where
// no field does, the first folder on each image's path in its shard, as in a folder.
func (s *source) labelBy(from *field, texts []string, within folders, o Options) error {
	sets := []*Dataset{s.train}
	if s.test != nil {
		sets = append(sets, s.test)
	}
	about := from.about()
	if from.end == "" {
		var err error
		if texts, err = s.folderTexts(sets, within, o.Labels); err != nil || texts == nil {
			s.forgetTest()
			return err
		}
		about = "folders in the shards as classes"
	}
	return s.labelTexts(sets, texts, about)
}

// labelTexts gives the images of some data sets the classes that texts say.
func (s *source) labelTexts(sets []*Dataset, texts []string, about string) error {
	classes := classesOf(texts)
	if len(classes) == 0 {
		return fmt.Errorf("%s: no sample has one; --labels none trains without", about)
	}
	index := make(map[string]int, len(classes))
	for i, c := range classes {
		index[c] = i
	}
	none, first := 0, ""
	for _, d := range sets {
		d.Classes = classes
		for i := range d.Items {
			text := norm.NFC.String(texts[i])
			if text == "" {
				if none++; none == 1 {
					first = d.Items[i].Name
				}
				continue
			}
			d.Items[i].Label = index[text]
		}
		texts = texts[len(d.Items):]
	}
	s.train.About += fmt.Sprintf(", %s: %d classes", about, len(classes))
	s.alike("the classes", classes, s.train.sizes())
	if none > 0 {
		s.note("%s no label, first %s", show.Plural(none, "image has", "images have"), show.Name(first))
	}
	if s.train.unlabelled() == len(s.train.Items) {
		return fmt.Errorf("%s: none of the %s to train on has a label; --labels none trains without", about, images(len(s.train.Items)))
	}
	if d := s.test; d != nil {
		s.test = nil
		if d.unlabelled() == len(d.Items) {
			s.rest = append(s.rest, d.Items...)
			s.unuse("%s (%s) is not used, as none of its images has a label", s.part, images(len(d.Items)))
			return nil
		}
		s.score(s.part, d)
		s.train.About += fmt.Sprintf("; %s (%s) scores", s.part, images(len(d.Items)))
		s.oneSided()
	}
	return nil
}

// forgetTest makes what was to score a part that is not used, where there are no labels.
func (s *source) forgetTest() {
	if s.test != nil {
		s.unuse("%s (%s) is not used, as there are no labels to score with", s.part, images(len(s.test.Items)))
		s.rest = append(s.rest, s.test.Items...)
		s.test = nil
	}
}

// classesOf returns the different texts in order, as numbers if all are.
func classesOf(texts []string) []string {
	seen := map[string]bool{}
	var classes []string
	numbers := true
	for _, text := range texts {
		if text == "" || seen[text] {
			continue
		}
		seen[text] = true
		_, err := strconv.ParseInt(text, 10, 64)
		numbers = numbers && err == nil
		classes = append(classes, norm.NFC.String(text))
	}
	slices.SortFunc(classes, func(a, b string) int {
		if numbers {
			x, _ := strconv.ParseInt(a, 10, 64)
			y, _ := strconv.ParseInt(b, 10, 64)
			if x != y {
				return cmp.Compare(x, y)
			}
		}
		return strings.Compare(a, b)
	})
	return slices.Compact(classes)
}

// folderTexts returns the first folder on each image's path in its shard, below that of its
// part, if these look like classes or labels asks for them; else nil. What trains without labels
// has no class.
func (s *source) folderTexts(sets []*Dataset, within folders, labels string) ([]string, error) {
	var files, train []string
	for k, d := range sets {
		for i := range d.Items {
			item := &d.Items[i]
			if within.role(within.top(item)) == unlabelled {
				files = append(files, "")
				continue
			}
			files = append(files, within.name(item))
			if k == 0 {
				train = append(train, files[len(files)-1])
			}
		}
	}
	t := treeOf("", train)
	if labels != "folders" && (!t.evident() || len(within.odd) > 0) {
		if len(t.classes) > 1 {
			s.note("the folders in the shards are not taken for classes, as not every image lies directly in one of few; --labels folders takes them")
		}
		return nil, nil
	}
	texts := files
	for i, file := range files {
		if texts[i] = classOf(file); texts[i] == "" && file != "" && labels == "folders" {
			return nil, fmt.Errorf("%s: this image lies in no folder of its shard, so it has no class; do not take labels from folders", show.Name(file))
		}
	}
	return texts, nil
}

// inShard is an item's name without its shard's.
func inShard(item *Item) string {
	if m, ok := item.Stored.(*shard.Member); ok {
		return item.Name[len(m.Shard.Name)+1:]
	}
	return item.Name
}
