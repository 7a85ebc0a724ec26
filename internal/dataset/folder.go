package dataset

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"vicreg/internal/show"
)

// openImages lists a folder tree of images, sorted by path.
//
// If there is a train folder with a test or val folder beside it, the first is trained
// on and the other scores; of test and val, if both have labels, test scores. The same
// goes for a folder that holds nothing but a train folder. unlabeled/ beside train/ is
// trained on too. Whatever else is in such a folder is neither trained on nor scores. If
// all images are in one folder, its sub-folders count.
func openImages(root string, o Options) (*source, error) {
	watch := o.watching("listing files")
	w, err := listTree(root, o.labelFile, func(names int) error { return watch(names, 0) })
	if err != nil {
		return nil, err
	}
	f := &sorter{source: &source{}}
	w.notes(f.source)
	f.keeping(w.lists.Report)
	if len(w.many) > 0 {
		if len(w.denied) > 0 {
			return nil, w.closed(w.denied[0])
		}
		s, err := w.openMany(o)
		if err == nil {
			s.notes = append(f.source.notes, s.notes...)
		}
		return s, err
	}
	w, l := w.unwrap(o.Labels)
	for _, d := range w.denied {
		if l.train == "" || l.role(topOf(d.name+"/")) != outside {
			return nil, w.closed(d)
		}
	}
	if len(w.files) == 0 {
		return nil, w.nothing("")
	}
	f.root, f.at, f.in, f.told = w.base, l, w, o.Labels == told
	f.source.inner = w.inner
	if l.train == "" {
		err = f.whole(o.Labels)
	} else {
		err = f.parts(o.Labels)
	}
	if err != nil {
		return nil, err
	}
	f.wrapped(root)
	if f.train.Classes != nil {
		f.alike("sub-folders of "+show.Name(filepath.Join(f.root, l.train)), f.train.Classes, f.train.sizes())
	}
	if abs, err := filepath.Abs(root); err == nil {
		root = abs
	}
	f.train.Name = filepath.Base(root)
	if f.test != nil {
		f.test.Name = f.train.Name
	}
	return f.source, nil
}

// sorter puts the images of a tree into the parts of a source.
type sorter struct {
	*source
	root string
	in   *walker
	told bool // a labeller will say which image is of which class
}

// whole makes one part of all images. With labels, the first folder on each
// path is the class.
func (f *sorter) whole(labels string) error {
	t := f.in.tree("")
	d := &Dataset{About: fmt.Sprintf("%d images in %s", len(t.files), f.root)}
	f.train = d
	taken := labels == "folders" || labels != "none" && !f.told && t.evident() && len(f.at.odd) == 0
	if err := f.add(d, t, taken, labels == "folders"); err != nil {
		return err
	}
	switch {
	case len(f.at.odd) > 0:
		f.oddly(taken)
	case labels != "none" && !f.told:
		f.explain(t, taken, labels)
	}
	if taken {
		f.form(t)
	}
	f.inside()
	return nil
}

// form notes classes whose folders have names in two Unicode forms.
func (f *sorter) form(trees ...subtree) {
	if found := forms(trees...); len(found) > 0 {
		f.note("folders whose names differ in Unicode form only (composed or not) are taken for one class: %s", show.Some(found, 5))
	}
}

func haveNames(n int) string {
	if n == 1 {
		return "has the name"
	}
	return "have the names"
}

// oddly notes that folders have the names of parts.
func (f *sorter) oddly(taken bool) {
	dirs := make([]string, len(f.at.odd))
	for i, top := range f.at.odd {
		dirs[i] = top + "/"
	}
	root, list, names := show.Name(f.root), show.Some(dirs, 5), haveNames(len(dirs))
	if taken {
		f.note("%s %s of parts that train or score, and %s taken for classes", list, names, is(len(dirs)))
		return
	}
	if f.told {
		f.note("%s %s of parts that train or score, but all of them train; give the one to train on", list, names)
		return
	}
	give := ""
	if r, _ := partOf(f.at.odd[0]); r == trains {
		give = ", such as --data " + show.Name(filepath.Join(f.root, f.at.odd[0]))
	}
	f.note("%s %s of parts that train or score, so the sub-folders of %s are not taken for classes, and all of them train; give the one to train on%s, or --labels folders to take classes", list, names, root, give)
}

// explain notes why the sub-folders of a part are not its classes, or that the names of
// some classes look like something else.
func (f *sorter) explain(t subtree, taken bool, labels string) {
	var odd []string
	for _, c := range t.classes {
		if t.dir == "" && roleOf(c) != outside {
			odd = append(odd, show.Name(c+"/"))
		}
	}
	switch where := show.Name(filepath.Join(f.root, t.dir)); {
	case taken && labels != "folders" && len(odd) > 0:
		f.note("the sub-folders of %s are taken for classes, %s too; --labels none takes no labels", where, strings.Join(odd, ", "))
	case taken || len(t.classes) < 2:
	case len(t.strays) > 0:
		f.note("the sub-folders of %s are not taken for classes, as %s in none (%s)", where, show.Plural(len(t.strays), "image lies", "images lie"), show.Some(t.strays, 3))
	case t.deep:
		f.note("the sub-folders of %s are not taken for classes, as there are folders in them; --labels folders takes the first folder on each path", where)
	default:
		f.note("the sub-folders of %s are not taken for classes, as there are %s in %d of them; --labels folders takes them", where, images(len(t.files)), len(t.classes))
	}
	if !taken && len(odd) > 0 {
		f.note("%s %s treated like any other folder: only train/ and test/ (or val/) side by side are parts",
			strings.Join(odd, ", "), is(len(odd)))
	}
}

// parts finds out which folders are trained on and which score.
func (f *sorter) parts(labels string) error {
	t := f.in.tree(f.at.train)
	if len(t.files) == 0 {
		return f.in.nothing(t.dir)
	}
	t = f.in.unwrapPart(t, nil)
	f.train = &Dataset{About: fmt.Sprintf("%d images in %s", len(t.files), filepath.Join(f.root, t.dir))}
	var tests []subtree
	for _, dir := range f.at.tests {
		tests = append(tests, f.in.unwrapPart(f.in.tree(dir), t.classes))
	}
	var err error
	switch {
	case f.told:
		err = f.add(f.train, t, false, false)
		for _, test := range tests {
			d := new(Dataset)
			f.add(d, test, false, false)
			f.others = append(f.others, part{show.Name(test.dir + "/"), d})
		}
	case labels == "none":
		err = f.add(f.train, t, false, false)
		f.leave(tests, "as labels are not taken")
	case len(f.at.tests) == 0:
		taken := labels == "folders" || t.evident()
		err = f.add(f.train, t, taken, labels == "folders")
		f.explain(t, taken, labels)
	default:
		err = f.score(t, tests, labels)
	}
	if err != nil {
		return err
	}
	for _, dir := range f.at.more {
		m := f.in.tree(dir)
		if n := len(m.files); n > 0 {
			f.add(f.train, m, false, false)
			if !f.told {
				f.note("%s (%s) belongs to the part that trains, without labels", show.Name(dir+"/"), images(n))
			}
		}
	}
	f.leaveOutside()
	return nil
}

// score adds the part to train on, and the first of the other folders that can score.
func (f *sorter) score(t subtree, tests []subtree, labels string) error {
	var unfit error
	for i, test := range tests {
		why := f.unfitness(t, test, labels)
		if why != nil {
			if unfit == nil && !f.empty(test) {
				unfit = why
			}
			continue
		}
		if err := f.add(f.train, t, true, labels == "folders"); err != nil {
			return err
		}
		f.test, f.part = new(Dataset), test.dir+"/"
		for _, s := range test.strays {
			f.rest = append(f.rest, f.item(test.dir+"/"+s, -1))
		}
		if n := len(test.strays); n > 0 {
			f.unuse("%s directly in %s and %s left out: %s", show.Plural(n, "image lies", "images lie"), show.Name(f.part), is(n), show.Some(test.strays, 3))
		}
		test.files = slices.DeleteFunc(slices.Clone(test.files),
			func(s string) bool { return !strings.Contains(s, "/") })
		if err := f.add(f.test, test, true, false); err != nil {
			return err
		}
		f.test.adopt(f.train.Classes)
		f.lacking(test)
		f.form(t, test)
		f.train.About += fmt.Sprintf("; %s/ (%d images) scores", test.dir, len(f.test.Items))
		because := "as " + show.Name(f.part) + " scores"
		for j, other := range tests {
			name := show.Name(other.dir + "/")
			switch {
			case f.empty(other):
				f.note("%s is empty, so it does not score", name)
			case j < i && len(other.files) == 0:
				f.unuse("%s holds only other files, so it does not score", name)
			case j < i:
				because += "; " + name + " cannot, as " + f.unlike(t, other)
			}
		}
		f.leave(slices.Delete(slices.Clone(tests), i, i+1), because)
		return nil
	}
	// None of them scores.
	taken := labels == "folders" || t.structured(2)
	if taken {
		f.unfit = unfit
	} else if i := slices.IndexFunc(tests, func(test subtree) bool { return test.structured(2) }); i >= 0 {
		f.unfit = f.unfitness(t, tests[i], labels)
	}
	if err := f.add(f.train, t, taken, labels == "folders"); err != nil {
		return err
	}
	if taken {
		f.leave(tests, "as no labels fit")
		for _, test := range tests {
			if f.empty(test) {
				f.note("%s is empty, so it does not score", show.Name(test.dir+"/"))
			}
		}
		return nil
	}
	f.explain(t, false, labels)
	f.leave(tests, "as there are no labels to score with")
	return nil
}

// empty reports whether a folder holds no files at all.
func (f *sorter) empty(t subtree) bool {
	return len(t.files) == 0 && len(f.in.others(t.dir)) == 0
}

// advice ends an error on a test set that cannot score.
func (f *sorter) advice(t subtree) string {
	return fmt.Sprintf("; --labels none trains without scores, and %s alone as --data holds out a share of it to score on (--holdout)", show.Name(filepath.Join(f.root, t.dir)))
}

// unfitness says why a folder cannot score an encoder that learns from another; nil if
// it can.
func (f *sorter) unfitness(t, test subtree, labels string) error {
	trains, scores := show.Name(filepath.Join(f.root, t.dir)), show.Name(filepath.Join(f.root, test.dir))
	switch {
	case len(test.files) == 0:
		return fmt.Errorf("%w; so nothing is there to score on%s", f.in.nothing(test.dir), f.advice(t))
	case labels != "folders" && !t.structured(2):
		lie := "lie in no class folders"
		if len(t.classes) == 1 && len(t.strays) == 0 {
			lie = "all lie in one folder (" + show.Name(t.classes[0]) + ")"
		} else if len(t.classes) > 0 {
			lie = fmt.Sprintf("lie in no class folders, but for %d of %d", len(t.files)-len(t.strays), len(t.files))
		}
		return fmt.Errorf("%s: its images %s, while those of %s lie in folders of classes (%s); sort the images to train on alike%s",
			trains, lie, scores, show.Some(test.classes, 3), f.advice(t))
	case !test.structured(1):
		return fmt.Errorf("%s: %s in no class folders, while those of %s lie in folders of classes (%s); sort the images to score on alike%s",
			scores, show.Plural(len(test.strays), "image lies", "images lie"), trains, show.Some(t.classes, 3), f.advice(t))
	}
	if c, has := t.lacks(test); c != "" {
		return fmt.Errorf("%s: there is no class of this name in %s, %s; name the class folders alike in both%s",
			show.Name(filepath.Join(f.root, test.dir, c)), trains, has, f.advice(t))
	}
	return nil
}

// lacks returns a class that only the part to score on has, and what the other part has
// instead; both are empty if there is none.
func (t subtree) lacks(test subtree) (class, has string) {
	for _, c := range test.classes {
		if slices.Contains(t.classes, c) {
			continue
		}
		if like := slices.IndexFunc(t.classes, func(o string) bool { return simple(o) == simple(c) }); like >= 0 {
			return c, "but " + show.Name(t.classes[like])
		}
		return c, "which has " + show.Some(t.classes, 3)
	}
	return "", ""
}

// unlike says in short why a folder cannot score while another can.
func (f *sorter) unlike(t, test subtree) string {
	if c, has := t.lacks(test); c != "" && test.structured(1) {
		return fmt.Sprintf("there is no class %s in %s, %s", show.Name(c), show.Name(t.dir+"/"), has)
	}
	return "its images lie in no class folders"
}

// lacking notes the classes that a part that scores has no image of.
func (f *sorter) lacking(test subtree) {
	var lacks []string
	for _, c := range f.train.Classes {
		if !slices.Contains(test.classes, c) {
			lacks = append(lacks, c)
		}
	}
	if len(lacks) > 0 {
		f.note("%s has no images of %d of %d classes: %s", show.Name(f.part), len(lacks), len(f.train.Classes), show.Some(lacks, 5))
	}
}

// leave adds parts to the rest.
func (f *sorter) leave(parts []subtree, why string) {
	var names []string
	total := 0
	for _, t := range parts {
		for _, file := range t.files {
			f.rest = append(f.rest, f.item(t.dir+"/"+file, -1))
		}
		if n := len(t.files); n > 0 {
			names = append(names, fmt.Sprintf("%s (%s)", show.Name(t.dir+"/"), images(n)))
			total += n
		}
	}
	if total > 0 {
		f.unuse("%s %s not used, %s", strings.Join(names, " and "), is(len(names)), why)
	}
}

// leaveOutside adds to the rest what is in no part.
func (f *sorter) leaveOutside() {
	places := map[string]int{}
	var out []Item
	var last string
	n := 0
	for _, file := range f.in.files {
		top := topOf(file)
		if f.at.role(top) != outside {
			continue
		}
		out = append(out, f.item(file, -1))
		last, n = file, n+1
		if top == "" {
			places["at the top"]++
		} else {
			places["in "+top+"/"]++
		}
	}
	parts := slices.Concat([]string{f.at.train}, f.at.more, f.at.tests)
	for i := range parts {
		parts[i] = show.Name(parts[i] + "/")
	}
	where := strings.Join(parts, ", ")
	if i := strings.LastIndex(where, ", "); i >= 0 {
		where = where[:i] + " and" + where[i+1:]
	}
	for _, d := range f.in.denied {
		f.note("%s cannot be listed (%s); it lies outside %s", show.Name(d.name+"/"), reason(d.err), where)
	}
	if n == 0 {
		return
	}
	note := fmt.Sprintf("%d images outside %s are not used: %s", n, where, show.Tally(places, ""))
	if n == 1 {
		note = fmt.Sprintf("1 image outside %s is not used: %s", where, show.Name(last))
	}
	if f.told {
		f.outer, f.outerNote = out, note
	} else {
		f.rest, f.unused = append(f.rest, out...), append(f.unused, note)
	}
}

// add puts the images of a tree into a part. With labels, the first folder on
// each path is the class, and an image in none has no label; strict refuses it.
func (f *sorter) add(d *Dataset, t subtree, labels, strict bool) error {
	index := map[string]int{}
	if labels {
		d.Classes = t.classes
		for i, c := range d.Classes {
			index[c] = i
		}
	}
	strays := 0
	items := f.items(t)
	for i, file := range t.files {
		item := &items[i]
		if class := classOf(file); labels && class != "" {
			item.Label = index[class]
		} else if labels {
			if strict {
				return fmt.Errorf("%s: this image lies in no sub-folder, so it has no class; move it into one, or do not take labels from folders", show.Name(item.Path))
			}
			strays++
		}
	}
	if len(d.Items) == 0 {
		d.Items = items
	} else {
		d.Items = append(d.Items, items...)
	}
	if labels {
		d.About += fmt.Sprintf(", sub-folders as %d classes", len(d.Classes))
		if strays > 0 {
			f.note("%s directly in %s and %s no label: %s", show.Plural(strays, "image lies", "images lie"), show.Name(t.dir+"/"), has(strays), show.Some(t.strays, 3))
		}
	} else if (t.dir == f.at.train || topOf(t.dir) == f.at.train && f.at.train != "") && !f.told {
		d.About += ", no labels"
	}
	return nil
}

func (f *sorter) item(name string, label int) Item {
	return Item{Name: f.in.inner + name, Label: label, Path: filepath.Join(f.root, filepath.FromSlash(name))}
}

// items returns the images of a tree, without labels. Names are parts of the paths, which
// lie in one piece of memory: there may be millions.
func (f *sorter) items(t subtree) []Item {
	dir := ""
	if t.dir != "" {
		dir = t.dir + "/"
	}
	before := f.item(dir+"x", -1)
	path, name := strings.TrimSuffix(before.Path, "x"), strings.TrimSuffix(before.Name, "x")
	items := make([]Item, len(t.files))
	if filepath.Separator != '/' || !strings.HasSuffix(path, name) {
		for i, file := range t.files {
			items[i] = f.item(dir+file, -1)
		}
		return items
	}
	length := 0
	for _, file := range t.files {
		length += len(path) + len(file)
	}
	var all strings.Builder
	all.Grow(length)
	for i, file := range t.files {
		at := all.Len()
		all.WriteString(path)
		all.WriteString(file)
		whole := all.String()[at:]
		items[i] = Item{Name: whole[len(path)-len(name):], Label: -1, Path: whole}
	}
	return items
}

// adopt renumbers d's labels by the classes of the part to train on, which has all of
// them.
func (d *Dataset) adopt(classes []string) {
	to := make([]int, len(d.Classes))
	for i, c := range d.Classes {
		to[i] = slices.Index(classes, c)
	}
	for i := range d.Items {
		d.Items[i].Label = to[d.Items[i].Label]
	}
	d.Classes = classes
}
