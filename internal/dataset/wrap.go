package dataset

import (
	"path/filepath"
	"slices"
	"strings"

	"vicreg/internal/show"
)

// Archives often unpack into a folder that holds nothing but one folder.

// unwrap goes down to the folder whose sub-folders are parts or may be classes, as long
// as all images are in one folder.
func (w *walker) unwrap(labels string) (*walker, layout) {
	found, l := w, arrange(w)
	for in := w; ; {
		top := in.only()
		if top == "" {
			return found, l
		}
		in = in.enter(top)
		deeper, t := arrange(in), in.tree("")
		switch {
		case deeper.train != "" && (l.train == "" || len(l.tests) == 0 && len(deeper.tests) > 0):
		case l.train == "" && len(t.classes) > 1 && (labels != "folders" || len(t.strays) == 0):
		default:
			continue
		}
		found, l = in, deeper
	}
}

// only returns the folder that all images are in, "" if there is none.
func (w *walker) only() string {
	if len(w.files) == 0 || len(w.denied) > 0 {
		return ""
	}
	top := topOf(w.files[0])
	if topOf(w.files[len(w.files)-1]) != top { // sorted
		return ""
	}
	return top
}

// enter returns what was listed below a folder directly in the walker's, without what is
// reported once for the whole tree.
func (w *walker) enter(top string) *walker {
	in := &walker{base: filepath.Join(w.base, top), inner: w.inner + top + "/", other: map[string]map[string]int{}}
	for _, file := range w.files {
		in.files = append(in.files, file[len(top)+1:])
	}
	for _, dir := range w.dirs {
		if rest, ok := strings.CutPrefix(dir, top+"/"); ok {
			in.dirs = append(in.dirs, rest)
		}
	}
	for dir, kinds := range w.other {
		if rest, ok := strings.CutPrefix(dir+"/", top+"/"); ok {
			in.other[strings.TrimSuffix(rest, "/")] = kinds
		}
	}
	return in
}

// unwrapPart goes down in a part as unwrap does: to where there are several classes or,
// in a part to score on, one class of the part to train on.
func (w *walker) unwrapPart(t subtree, classes []string) subtree {
	known := func(c string) bool { return slices.Contains(classes, c) }
	for in := t; len(in.strays) == 0 && len(in.classes) == 1 && !known(in.classes[0]); {
		deeper := w.tree(in.dir + "/" + in.raw)
		if len(deeper.files) != len(in.files) {
			break // the class is of two folders
		}
		in = deeper
		if len(in.strays) == 0 && (classes == nil && len(in.classes) > 1 || slices.ContainsFunc(in.classes, known)) {
			return in
		}
	}
	return t
}

// wrapped notes that the folders inside an inner folder count.
func (f *sorter) wrapped(root string) {
	what := "classes"
	if f.at.train != "" {
		what = "parts"
	} else if f.train.Classes == nil {
		return
	}
	if f.in.inner != "" {
		f.note("the images of %s all lie in %s, whose folders are taken for %s", show.Name(root), show.Name(f.in.inner), what)
	}
}

// inside notes folders further down that have parts of their own; they are trained on
// with the rest.
func (f *sorter) inside() {
	type pair struct {
		trains, scores string
	}
	at := map[string]*pair{}
	var order []string
	last := ""
	for _, file := range f.in.files {
		dir := file[:strings.LastIndex(file, "/")+1]
		if dir == last {
			continue
		}
		last = dir
		steps := strings.Split(dir, "/")
		up := steps[0]
		for _, name := range steps[1:] {
			if r, stem := partOf(name); r != outside && name != "" {
				key := up + "\x00" + stem
				if at[key] == nil {
					at[key] = new(pair)
					order = append(order, key)
				}
				if r == trains {
					at[key].trains = up + "/" + name
				} else {
					at[key].scores = up + "/" + name
				}
			}
			up += "/" + name
		}
	}
	var all []string
	for _, key := range order {
		if p := at[key]; p.trains != "" && p.scores != "" {
			all = append(all, p.trains+"/ and "+p.scores+"/")
		}
	}
	if len(all) == 0 {
		return
	}
	up, _, _ := strings.Cut(order[slices.IndexFunc(order,
		func(k string) bool { return at[k].trains != "" && at[k].scores != "" })], "\x00")
	f.note("%s look like what trains and what scores, but all of them train, as other images lie beside; --data %s takes only what is there, as parts",
		show.Some(all, 3), show.Name(filepath.Join(f.root, filepath.FromSlash(up))))
}
