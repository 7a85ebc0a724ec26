package dataset

import (
	"cmp"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"vicreg/internal/imagefile"
	"vicreg/internal/listing"
	"vicreg/internal/show"
)

// walker lists a tree. It follows links to folders after the real folders and visits
// each folder once, so loops end, and images in the tree are listed under their own
// names. Links to files are files.
type walker struct {
	base, real string
	inner      string          // base below the folder that was opened, with a slash at its end; empty: it is that
	known      string          // a file that is read for something else; empty: none
	lists      *listing.Tree   // of what folders hold
	seen       map[string]bool // real paths of folders
	links      []string        // links to folders, below base

	files  []string                  // images, below base, with slashes
	arrays []string                  // files of NumPy, which are images where there are no others
	many   []string                  // shards and tables, also behind broken links, which hold images where there are no others
	dirs   []string                  // folders below base, links to some included
	other  map[string]map[string]int // count of other files by folder ("": base) and kind
	bins   []string                  // folders of deleted files
	idle   []string                  // links to folders that were not followed
	denied []denial
}

// denial is a folder that cannot be listed.
type denial struct {
	name string // below base
	err  error
}

// closed is the error of a folder that cannot be listed.
func (w *walker) closed(d denial) error {
	return fmt.Errorf("%s: this folder cannot be listed (%w); make it readable or move it away",
		show.Name(filepath.Join(w.base, d.name)), reason(d.err))
}

// Kinds of other files, besides the endings of names.
const (
	brokenLink = "broken link"
	noFile     = "pipe, socket or device"
)

// listTree lists what is below a folder, without one known file. found is told
// now and then how many names there are; an error of it ends that.
func listTree(base, known string, found func(names int) error) (*walker, error) {
	real, err := RealPath(base)
	if err != nil {
		return nil, plain(base, err)
	}
	w := &walker{base: base, real: real, known: known, seen: map[string]bool{}, other: map[string]map[string]int{}}
	enter := func(name string) bool { return !listing.Hidden(name) && !slices.Contains(bins, name) }
	if w.lists, err = listing.Read(real, enter, found); err != nil {
		return nil, err
	}
	w.files = make([]string, 0, w.lists.Entries)
	w.walk("", real)
	for i := 0; i < len(w.links); i++ { // grows while it is read
		w.follow(w.links[i])
	}
	if len(w.denied) > 0 && w.denied[0].name == "" {
		return nil, plain(base, w.denied[0].err)
	}
	if len(w.files) == 0 {
		w.files, w.arrays = w.arrays, nil
	}
	for _, name := range w.arrays { // beside pictures they are something else
		w.count(name, imagefile.Array)
	}
	slices.SortFunc(w.many, compareNames)
	if len(w.files) > 0 {
		for _, name := range w.many {
			w.count(name, strings.ToLower(filepath.Ext(name)))
		}
		w.many = nil
	}
	if !slices.IsSortedFunc(w.files, compareNames) { // links come last
		slices.SortFunc(w.files, compareNames)
	}
	return w, nil
}

// compareNames orders folder by folder.
func compareNames(a, b string) int {
	n := min(len(a), len(b))
	for i := range n {
		if a[i] != b[i] {
			return cmp.Compare(order(a[i]), order(b[i]))
		}
	}
	return cmp.Compare(len(a), len(b))
}

// order is the place of a letter: a slash comes first.
func order(c byte) int {
	if c == '/' {
		return 0
	}
	return int(c) + 1
}

// follow walks a folder that a link leads to.
func (w *walker) follow(rel string) {
	real, err := RealPath(filepath.Join(w.base, filepath.FromSlash(rel)))
	if err != nil {
		w.denied = append(w.denied, denial{rel, err})
		return
	}
	const sep = string(filepath.Separator)
	above := strings.HasPrefix(w.real+sep, strings.TrimSuffix(real, sep)+sep)
	if w.seen[real] || above { // a link upwards would take in the folder's neighbours
		w.idle = append(w.idle, rel)
		return
	}
	w.walk(rel, real)
}

// walk lists the folder at rel, below base; real is its path without links.
func (w *walker) walk(rel, real string) {
	if w.seen[real] {
		return
	}
	w.seen[real] = true
	dir := filepath.Join(w.base, filepath.FromSlash(rel))
	entries, err := w.lists.Folder(real)
	if err != nil {
		w.denied = append(w.denied, denial{rel, err})
	}
	names := namesIn(rel, entries)
	for i, e := range entries {
		stands := placeholder(e.Name)
		if stands == "" && listing.Hidden(e.Name) {
			continue
		}
		name := names[i]
		folder, file, link, broken := e.Kind == listing.Folder, e.Kind == listing.File, e.Kind == listing.Link, false
		if link {
			info, err := os.Stat(filepath.Join(dir, e.Name))
			broken = err != nil
			folder, file = !broken && info.IsDir(), broken || info.Mode().IsRegular()
		}
		if folder && slices.Contains(bins, e.Name) {
			w.bins = append(w.bins, name)
			continue
		}
		if folder {
			w.dirs = append(w.dirs, name)
		}
		switch {
		case folder && link:
			w.links = append(w.links, name)
		case folder:
			w.walk(name, filepath.Join(real, e.Name))
		case w.known != "" && sameFile(filepath.Join(dir, e.Name), w.known):
		case !file:
			w.count(name, noFile)
		case stands != "":
			w.count(name, stands+absent)
		case isImage(name): // also behind a broken link: reading it will say so
			w.files = append(w.files, name)
		case strings.EqualFold(filepath.Ext(name), imagefile.Array) && !broken:
			w.arrays = append(w.arrays, name)
		case manyEnding(name) != "":
			w.many = append(w.many, name)
		case broken:
			w.count(name, brokenLink)
		default:
			w.count(name, strings.ToLower(filepath.Ext(name)))
		}
	}
}

// namesIn returns the names in a folder as they are called below base, in one piece of
// memory.
func namesIn(rel string, entries []listing.Entry) []string {
	names := make([]string, len(entries))
	if rel == "" {
		for i, e := range entries {
			names[i] = e.Name
		}
		return names
	}
	length := 0
	for _, e := range entries {
		length += len(rel) + 1 + len(e.Name)
	}
	var all strings.Builder
	all.Grow(length)
	for i, e := range entries {
		at := all.Len()
		all.WriteString(rel)
		all.WriteByte('/')
		all.WriteString(e.Name)
		names[i] = all.String()[at:]
	}
	return names
}

func (w *walker) count(name, kind string) {
	dir := above(name)
	if w.other[dir] == nil {
		w.other[dir] = map[string]int{}
	}
	w.other[dir][kind]++
}

// tops returns the folders directly in base.
func (w *walker) tops() []string {
	return slices.DeleteFunc(slices.Clone(w.dirs), func(dir string) bool { return strings.Contains(dir, "/") })
}

// above returns the folder that a name lies in, "" if it lies in none.
func above(name string) string { return name[:max(0, strings.LastIndex(name, "/"))] }

// topOf returns the first folder of a name, "" if it lies in none.
func topOf(name string) string {
	top, _, nested := strings.Cut(name, "/")
	if !nested {
		return ""
	}
	return top
}

// others counts other files by kind: in all folders, or in some.
func (w *walker) others(tops ...string) map[string]int {
	all := map[string]int{}
	for dir, kinds := range w.other {
		if len(tops) > 0 && !slices.Contains(tops, topOf(dir+"/")) {
			continue
		}
		for kind, n := range kinds {
			all[kind] += n
		}
	}
	return all
}

// tally writes what others has counted, and returns how many that is.
func tally(others map[string]int) (n int, list string) {
	for _, k := range others {
		n += k
	}
	return n, show.Tally(others, "without an ending")
}

// notes says what in a tree is not read.
func (w *walker) notes(s *source) {
	others, away := map[string]int{}, map[string]int{}
	for kind, n := range w.others() {
		if ending, ok := strings.CutSuffix(kind, absent); ok {
			away[ending] = n
		} else {
			others[kind] = n
		}
	}
	if n, list := tally(others); n > 0 {
		s.note("%s not read: %s", show.Plural(n, "other file", "other files"), list)
	}
	if n, list := tally(away); n > 0 {
		s.note("%s not here, as they were not downloaded or not to their end: %s", show.Plural(n, "picture is", "pictures are"), list)
	}
	if n := len(w.bins); n > 0 {
		s.note("%s not read: %s; images in a folder of another name are", show.Plural(n, "folder of deleted files is", "folders of deleted files are"), show.Some(w.bins, 5))
	}
	if n := len(w.idle); n > 0 {
		s.note("%s not followed, as the folder is listed already or lies above: %s", show.Plural(n, "link", "links"), show.Some(w.idle, 5))
	}
}

// noImages is the error of a folder without images.
type noImages string

func (e noImages) Error() string { return string(e) }

// nothing says that a folder holds no images, and what it holds instead. top is a folder
// directly in the tree, or empty for the whole tree.
func (w *walker) nothing(top string) error {
	path, others := show.Name(filepath.Join(w.base, top)), w.others()
	if top != "" {
		others = w.others(top)
	}
	if _, list := tally(others); list != "" {
		if others[".bin"] > 0 {
			list += "; of CIFAR, give the path of one .bin file"
		}
		return noImages(fmt.Sprintf("%s: no JPEG, PNG, GIF, BMP, TIFF or WebP images here, only other files (%s)", path, list))
	}
	if top == "" && len(w.bins) > 0 {
		return noImages(fmt.Sprintf("%s: nothing is here but deleted files (%s), which are not read", path, show.Some(w.bins, 5)))
	}
	return noImages(fmt.Sprintf("%s: the folder is empty; give one that holds images (JPEG, PNG, GIF, BMP, TIFF or WebP), in sub-folders or not", path))
}

func isImage(name string) bool {
	return slices.Contains(imagefile.Extensions, strings.ToLower(filepath.Ext(name)))
}
