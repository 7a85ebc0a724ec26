package dataset

import (
	"slices"
	"strings"
	"unicode"
)

// role is what the name of a folder says that it is for.
type role int

const (
	outside role = iota
	trains
	scores
	unlabelled // trains without labels
)

// roles are by names as simple makes them, those that score the first to prefer
// first.
var roles = []struct {
	name string
	role role
}{
	{"train", trains}, {"training", trains},
	{"test", scores}, {"testing", scores}, {"val", scores}, {"valid", scores}, {"validation", scores},
	{"eval", scores}, {"evaluation", scores}, {"dev", scores},
	{"unlabeled", unlabelled}, {"unlabelled", unlabelled},
}

// simple returns a name without case and without what separates its words, so
// that names can be compared that people take for the same.
func simple(name string) string {
	return strings.Map(func(r rune) rune {
		if r == ' ' || r == '_' || r == '-' || r == '.' {
			return -1
		}
		return unicode.ToLower(r)
	}, name)
}

// rank returns twice the place of a folder's name among roles, -1 if it has none.
// train_set, training-images, Train and train2017 are train, but come after it.
func rank(name string) int {
	given := name
	name = strings.TrimRight(simple(name), "0123456789")
	for _, end := range []string{"", "set", "images", "data"} {
		if stem, ok := strings.CutSuffix(name, end); ok {
			for i, r := range roles {
				switch {
				case r.name == given:
					return 2 * i
				case r.name == stem:
					return 2*i + 1
				}
			}
		}
	}
	return -1
}

func roleOf(name string) role {
	if i := rank(name); i >= 0 {
		return roles[i/2].role
	}
	return outside
}

// layout says which folders of a tree are which part of a data set.
type layout struct {
	train string // empty: the tree has no parts
	more  []string
	tests []string // the one to prefer first
}

// role of a folder directly in the tree.
func (l layout) role(top string) role {
	switch {
	case top == "":
	case top == l.train:
		return trains
	case slices.Contains(l.tests, top):
		return scores
	case slices.Contains(l.more, top):
		return unlabelled
	}
	return outside
}

// arrange finds the parts of a tree. A folder called train is one only if one
// that scores lies beside it, or no other images do: a class may be called
// train.
func arrange(w *walker) layout {
	held := map[string]int{}
	for _, file := range w.files {
		held[topOf(file)]++
	}
	var l layout
	for _, top := range w.tops {
		switch roleOf(top) {
		case trains:
			if l.train == "" || held[l.train] == 0 || held[top] > 0 && rank(top) < rank(l.train) {
				l.train = top
			}
		case scores:
			l.tests = append(l.tests, top)
		case unlabelled:
			l.more = append(l.more, top)
		}
	}
	slices.SortStableFunc(l.tests, func(a, b string) int { return rank(a) - rank(b) })
	others := 0
	for top, n := range held {
		if l.role(top) == outside {
			others += n
		}
	}
	if l.train == "" || len(l.tests) == 0 && others > 0 {
		return layout{}
	}
	return l
}

// subtree is a part's images as classes see them.
type subtree struct {
	dir     string   // below the folder that was opened; empty: that folder
	files   []string // below dir
	classes []string // first folders on their paths
	strays  []string // files in no folder
	deep    bool     // some lie in a folder in a folder
}

// tree returns the images below one of the folders directly in the walker's, or
// all.
func (w *walker) tree(dir string) subtree {
	t := subtree{dir: dir}
	for _, file := range w.files {
		if dir != "" {
			var ok bool
			if file, ok = strings.CutPrefix(file, dir+"/"); !ok {
				continue
			}
		}
		t.files = append(t.files, file)
		class := topOf(file)
		switch {
		case class == "":
			t.strays = append(t.strays, file)
		case len(t.classes) == 0 || t.classes[len(t.classes)-1] != class: // sorted
			t.classes = append(t.classes, class)
		}
		t.deep = t.deep || strings.Count(file, "/") > 1
	}
	return t
}

// evident is the rule of Options.Labels "auto" where nothing else tells.
func (t subtree) evident() bool {
	return len(t.strays) == 0 && !t.deep && len(t.classes) >= 2 && len(t.files) >= 2*len(t.classes)
}

// structured reports whether most images lie in folders, of which there are so
// many or more.
func (t subtree) structured(classes int) bool {
	return 2*len(t.strays) < len(t.files) && len(t.classes) >= classes
}
