package dataset

import (
	"slices"
	"strings"
	"unicode"

	"golang.org/x/text/unicode/norm"
)

// role is a folder's purpose, as its name says.
type role int

const (
	outside role = iota
	trains
	scores
	unlabelled // trains without labels
)

// roles are purposes by names, in the form that simple returns. Of those that score, the
// first is preferred.
var roles = []struct {
	name string
	role role
}{
	{"train", trains}, {"training", trains}, {"trainval", trains},
	{"test", scores}, {"testing", scores}, {"val", scores}, {"valid", scores}, {"validation", scores},
	{"eval", scores}, {"evaluation", scores}, {"dev", scores},
	{"unlabeled", unlabelled}, {"unlabelled", unlabelled},
}

// simple returns a name in lower case and without what separates its words, so that
// names which people take for the same are equal.
func simple(name string) string {
	return strings.Map(func(r rune) rune {
		if r == ' ' || r == '_' || r == '-' || r == '.' {
			return -1
		}
		return unicode.ToLower(r)
	}, name)
}

// rank returns twice the index of a folder's name among roles, -1 if it has none.
// train_set, training-images, Train and train2017 are train as well, but rank after it.
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

	odd []string // folders of a tree without parts whose names are those of parts and no classes
}

// role returns the role of a folder directly in the tree.
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

// arrange finds the parts of a tree. A folder called train is a part only if one to
// score on stands beside it, or if there are no other images: a class may be called
// train.
func arrange(w *walker) layout {
	held := map[string]int{}
	for _, file := range w.files {
		held[topOf(file)]++
	}
	var l layout
	for _, top := range w.tops() {
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
		return byWords(w.tops(), held)
	}
	return l
}

// byWords finds the parts of a tree whose names merely contain the words, such as
// seg_train/ and seg_test/. They are clear if there is one folder to train on and those
// to score on have the same name apart from that word. Otherwise, as with trainA/ and
// trainB/, they are odd.
func byWords(tops []string, held map[string]int) layout {
	stems := map[string][]string{} // folders that train, by stem
	var train, tests, others []string
	for _, top := range tops {
		if held[top] == 0 {
			continue
		}
		switch r, stem := partOf(top); r {
		case trains:
			train = append(train, top)
			stems[stem] = append(stems[stem], top)
		case scores:
			tests = append(tests, top)
		default:
			others = append(others, strings.Join(words(top), " "))
		}
	}
	var alike []string // tests called as what trains
	rest := false      // a test is called as a folder that is no part
	for _, top := range tests {
		_, stem := partOf(top)
		if stems[stem] != nil {
			alike = append(alike, top)
		}
		rest = rest || stem != "" && slices.Contains(others, stem)
	}
	nothingElse := len(others) == 0 && held[""] == 0
	if len(alike) == 0 && nothingElse {
		alike = tests
	}
	switch {
	case len(train) == 1 && len(alike) > 0:
		return layout{train: train[0], tests: alike}
	case len(train) > 0 && len(alike) > 0, rest:
		return layout{odd: slices.Concat(train, tests)}
	}
	return layout{}
}

// words returns the words of a name, in lower case and without numbers at their ends:
// those of "DIV2K_trainHR 2" are "div2k", "train" and "hr".
func words(name string) []string {
	var b strings.Builder
	lower := false
	for _, r := range name {
		if lower && unicode.IsUpper(r) {
			b.WriteByte(' ')
		}
		lower = unicode.IsLower(r)
		if r == '_' || r == '-' || r == '.' || r == '(' || r == ')' {
			r = ' '
		}
		b.WriteRune(unicode.ToLower(r))
	}
	var list []string
	for _, word := range strings.Fields(b.String()) {
		if word = strings.TrimRight(word, "0123456789"); word != "" {
			list = append(list, word)
		}
	}
	return list
}

// partOf returns the purpose of a folder that a word of its name tells, and the other
// words.
func partOf(name string) (r role, stem string) {
	var rest []string
	for _, word := range words(name) {
		is := outside
		for _, end := range []string{"", "set", "images", "data"} {
			switch strings.TrimSuffix(word, end) {
			case "train", "training", "trainval":
				is = trains
			case "test", "testing", "val", "valid", "validation":
				is = scores
			}
		}
		if is == outside {
			rest = append(rest, word)
		} else if r != trains {
			r = is
		}
	}
	return r, strings.Join(rest, " ")
}

// subtree is a part's images, sorted into classes.
type subtree struct {
	dir     string   // below the folder that was opened; empty: that folder
	files   []string // below dir
	classes []string // first folders on their paths, as classOf has them
	strays  []string // files in no folder
	raw     string   // the last of the first folders, as it is written
	deep    bool     // some lie in a folder in a folder
}

// tree returns the images below one of the folders directly in the walker's, or
// all.
func (w *walker) tree(dir string) subtree {
	files := w.files
	if dir != "" {
		files = nil
		for _, file := range w.files {
			if file, ok := strings.CutPrefix(file, dir+"/"); ok {
				files = append(files, file)
			}
		}
	}
	return treeOf(dir, files)
}

// treeOf sorts the images below a folder.
func treeOf(dir string, files []string) subtree {
	t := subtree{dir: dir, files: files}
	known := map[string]bool{}
	for _, file := range files {
		t.raw = topOf(file)
		switch class := classOf(file); {
		case class == "":
			t.strays = append(t.strays, file)
		case !known[class]:
			known[class] = true
			t.classes = append(t.classes, class)
		}
		t.deep = t.deep || strings.Count(file, "/") > 1
	}
	return t
}

// classOf returns the class that an image's path tells: the first folder, "" if it is in
// none. Systems write an é as one character or as two; names that differ only in that
// are one class.
func classOf(file string) string { return norm.NFC.String(topOf(file)) }

// forms returns the classes whose folders are not written the same way everywhere.
func forms(trees ...subtree) []string {
	first, found := map[string]string{}, []string(nil)
	for _, t := range trees {
		for _, file := range t.files {
			class, raw := classOf(file), topOf(file)
			if was, ok := first[class]; !ok {
				first[class] = raw
			} else if was != raw && !slices.Contains(found, class) {
				found = append(found, class)
			}
		}
	}
	return found
}

// evident decides for Options.Labels "auto" where nothing else does.
func (t subtree) evident() bool {
	return len(t.strays) == 0 && !t.deep && len(t.classes) >= 2 && len(t.files) >= 2*len(t.classes)
}

// structured reports whether most images are in folders and there are at least so many
// of these.
func (t subtree) structured(classes int) bool {
	return 2*len(t.strays) < len(t.files) && len(t.classes) >= classes
}
