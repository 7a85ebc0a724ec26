package dataset

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"vicreg/internal/imagefile"
)

// openImages lists a folder tree of images, sorted by path.
//
// With a train folder and a test or val folder inside, the first trains and
// the other scores; if both test and val have labels, test does. A folder with
// nothing but a train folder is that.
func openImages(root string, o Options) (train, test *Dataset, err error) {
	splits, err := findSplits(root)
	if err != nil {
		return nil, nil, err
	}
	train, test, err = openParts(root, splits, o)
	if err != nil || !o.every || splits.train == "" {
		return train, test, err
	}
	last := train
	if test != nil {
		last = test
	}
	for _, dir := range splits.test {
		if test != nil && strings.HasPrefix(test.Items[0].Name, dir+"/") {
			continue // lists them already
		}
		files, err := listImages(root, dir)
		if errors.As(err, new(noImages)) {
			continue
		}
		if err != nil {
			return nil, nil, err
		}
		rest, err := label(root, dir, files, false, false)
		if err != nil {
			return nil, nil, err
		}
		last.Items = append(last.Items, rest.Items...)
	}
	return train, test, nil
}

// openParts lists the parts that train and score.
func openParts(root string, splits splits, o Options) (train, test *Dataset, err error) {
	if splits.train == "" {
		files, err := listImages(root, "")
		if err != nil {
			return nil, nil, err
		}
		train, err = label(root, "", files, o.Labels == "folders", o.Labels != "none" && classesEvident(files))
		return train, nil, err
	}

	files, err := listImages(root, splits.train)
	if err != nil {
		return nil, nil, err
	}
	nested := o.Labels != "none" && allNested(files) && len(classNames(files)) >= 2
	for _, dir := range splits.test {
		if o.Labels == "none" {
			break
		}
		testFiles, err := listImages(root, dir)
		if errors.As(err, new(noImages)) {
			continue
		}
		if err != nil {
			return nil, nil, err
		}
		shared := false
		classes := classNames(files)
		for _, c := range classNames(testFiles) {
			shared = shared || slices.Contains(classes, c)
		}
		if o.Labels != "folders" && !(nested && allNested(testFiles) && shared) {
			continue
		}
		if train, err = label(root, splits.train, files, true, true); err != nil {
			return nil, nil, err
		}
		if test, err = label(root, dir, testFiles, true, true); err != nil {
			return nil, nil, err
		}
		if err := test.adopt(train.Classes, filepath.Join(root, dir), filepath.Join(root, splits.train)); err != nil {
			return nil, nil, err
		}
		train.About += fmt.Sprintf("; %s/ (%d images) scores", dir, len(test.Items))
		return train, test, nil
	}
	evident := nested && (len(splits.test) > 0 || classesEvident(files))
	train, err = label(root, splits.train, files, o.Labels == "folders", evident)
	return train, nil, err
}

// splits are the names of sub-folders that hold parts of a data set.
type splits struct {
	train string
	test  []string // the one to prefer first
}

func findSplits(root string) (splits, error) {
	entries, err := os.ReadDir(root)
	if err != nil {
		return splits{}, plain(root, err)
	}
	var found splits
	rank := map[string]int{"test": 1, "testing": 2, "val": 3, "valid": 4, "validation": 5}
	others := 0
	for _, e := range entries {
		if hidden(e.Name()) {
			continue
		}
		info, err := os.Stat(filepath.Join(root, e.Name()))
		if err != nil || !info.IsDir() {
			if isImage(e.Name()) {
				others++
			}
			continue
		}
		switch lower := strings.ToLower(e.Name()); {
		case (lower == "train" || lower == "training") && found.train == "":
			found.train = e.Name()
		case rank[lower] > 0:
			found.test = append(found.test, e.Name())
		default:
			others++
		}
	}
	slices.SortStableFunc(found.test, func(a, b string) int {
		return rank[strings.ToLower(a)] - rank[strings.ToLower(b)]
	})
	if found.train == "" || len(found.test) == 0 && others > 0 {
		return splits{}, nil // a class may be called train
	}
	return found, nil
}

// label makes a data set of files, given below root/dir with slashes. With
// labels, the first folder on each path is the class; strict refuses images
// that have none.
func label(root, dir string, files []string, strict, labels bool) (*Dataset, error) {
	abs, err := filepath.Abs(root)
	if err != nil {
		abs = root
	}
	d := &Dataset{Name: filepath.Base(abs), Items: make([]Item, len(files))}
	index := map[string]int{}
	labels = labels || strict
	if labels {
		d.Classes = classNames(files)
		for i, c := range d.Classes {
			index[c] = i
		}
	}
	for i, f := range files {
		item := Item{Name: f, Label: -1, Path: filepath.Join(root, dir, filepath.FromSlash(f))}
		if dir != "" {
			item.Name = dir + "/" + f
		}
		if labels {
			class, _, nested := strings.Cut(f, "/")
			if !nested {
				return nil, fmt.Errorf("%s: this image lies in no sub-folder, so it has no class; move it into one, or do not take labels from folders", item.Path)
			}
			item.Label = index[class]
		}
		d.Items[i] = item
	}
	d.About = fmt.Sprintf("%d images in %s", len(files), filepath.Join(root, dir))
	if labels {
		d.About += fmt.Sprintf(", sub-folders as %d classes", len(d.Classes))
	} else {
		d.About += ", no labels"
	}
	return d, nil
}

// adopt renumbers d's labels by the classes of the train part.
func (d *Dataset) adopt(classes []string, dir, trainDir string) error {
	to := make([]int, len(d.Classes))
	for i, c := range d.Classes {
		if to[i] = slices.Index(classes, c); to[i] < 0 {
			return fmt.Errorf("%s: there is no class of this name in %s; name the class folders alike in both, or take no labels", filepath.Join(dir, c), trainDir)
		}
	}
	for i := range d.Items {
		d.Items[i].Label = to[d.Items[i].Label]
	}
	d.Classes = classes
	return nil
}

// classNames returns the first folders on the paths, sorted as the files are.
func classNames(files []string) []string {
	var names []string
	for _, f := range files {
		class, _, nested := strings.Cut(f, "/")
		if nested && (len(names) == 0 || names[len(names)-1] != class) {
			names = append(names, class)
		}
	}
	return names
}

// classesEvident is the rule of Options.Labels "auto".
func classesEvident(files []string) bool {
	for _, f := range files {
		if strings.Count(f, "/") != 1 {
			return false
		}
	}
	n := len(classNames(files))
	return n >= 2 && len(files) >= 2*n
}

// allNested reports whether every file lies below some sub-folder.
func allNested(files []string) bool {
	for _, f := range files {
		if !strings.Contains(f, "/") {
			return false
		}
	}
	return true
}

// listImages returns the images below root/dir, sorted, with slashes. It is an
// error if there is none.
func listImages(root, dir string) ([]string, error) {
	base := filepath.Join(root, dir)
	real, err := filepath.EvalSymlinks(base)
	if err != nil {
		return nil, plain(base, err)
	}
	w := walker{base: base, real: real, seen: map[string]bool{}, other: map[string]int{}}
	if err := w.walk(""); err != nil {
		return nil, err
	}
	for i := 0; i < len(w.links); i++ { // grows while it is read
		if err := w.walk(w.links[i]); err != nil {
			return nil, err
		}
	}
	if len(w.files) == 0 {
		return nil, w.nothing()
	}
	slices.SortFunc(w.files, func(a, b string) int { // folder by folder
		return strings.Compare(strings.ReplaceAll(a, "/", "\x00"), strings.ReplaceAll(b, "/", "\x00"))
	})
	return w.files, nil
}

// walker lists a tree. Links to folders are followed after the folders proper,
// and each folder is visited once, so loops end and images that lie in the tree
// are listed under their own names. Links to files are files.
type walker struct {
	base, real string
	seen       map[string]bool // real paths of folders
	links      []string        // links to folders, below base
	files      []string
	other      map[string]int // count of other files by ending
}

func hidden(name string) bool { return strings.HasPrefix(name, ".") || name == "__MACOSX" }

func isImage(name string) bool {
	return slices.Contains(imagefile.Extensions, strings.ToLower(filepath.Ext(name)))
}

func (w *walker) walk(rel string) error {
	dir := filepath.Join(w.base, filepath.FromSlash(rel))
	real, err := filepath.EvalSymlinks(dir)
	if err != nil {
		return plain(dir, err)
	}
	above := real != w.real && strings.HasPrefix(w.real+string(filepath.Separator), strings.TrimSuffix(real, string(filepath.Separator))+string(filepath.Separator))
	if w.seen[real] || above { // a link upwards would take in the folder's neighbours
		return nil
	}
	w.seen[real] = true
	entries, err := os.ReadDir(dir)
	if err != nil {
		return plain(dir, err)
	}
	for _, e := range entries {
		if hidden(e.Name()) {
			continue
		}
		name := e.Name()
		if rel != "" {
			name = rel + "/" + name
		}
		mode, link := e.Type(), false
		if mode&fs.ModeSymlink != 0 {
			link = true
			if info, err := os.Stat(filepath.Join(dir, e.Name())); err == nil {
				mode = info.Mode()
			} else {
				mode = 0 // a broken link: reading it will say so
			}
		}
		switch {
		case mode.IsDir() && link:
			w.links = append(w.links, name)
		case mode.IsDir():
			if err := w.walk(name); err != nil {
				return err
			}
		case mode.IsRegular() && isImage(name):
			w.files = append(w.files, name)
		default:
			w.other[strings.ToLower(filepath.Ext(name))]++
		}
	}
	return nil
}

type noImages string

func (e noImages) Error() string { return string(e) }

// nothing says that there are no images, and what there is instead.
func (w *walker) nothing() error {
	if len(w.other) == 0 {
		return noImages(w.base + ": the folder is empty; give one that holds images (JPEG, PNG, GIF, BMP, TIFF or WebP), in sub-folders or not")
	}
	endings := make([]string, 0, len(w.other))
	for e := range w.other {
		endings = append(endings, e)
	}
	slices.SortFunc(endings, func(a, b string) int {
		if w.other[a] != w.other[b] {
			return w.other[b] - w.other[a]
		}
		return strings.Compare(a, b)
	})
	var seen []string
	for i, e := range endings {
		if i == 5 {
			seen = append(seen, "others")
			break
		}
		name := e
		if e == "" {
			name = "without an ending"
		}
		seen = append(seen, fmt.Sprintf("%d %s", w.other[e], name))
	}
	return noImages(fmt.Sprintf("%s: no JPEG, PNG, GIF, BMP, TIFF or WebP images here, only other files (%s)", w.base, strings.Join(seen, ", ")))
}
