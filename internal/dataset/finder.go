package dataset

import (
	"path"
	"path/filepath"
	"strings"

	"golang.org/x/text/unicode/norm"
)

// finder finds images by what a file calls them. That may be a path below the data's
// folder, below the folder of the file, or below the parent of the data's folder; an
// absolute path; or just the image's name, if no other image has it. The ending may be
// left out, and upper and lower case count as the same unless something else is meant.
type finder struct {
	items []*Item
	roots []string    // the data's folder, as it is called and without links; none: the data is no folder
	bases []string    // paths may be relative to, below the data's folder or above it
	names [8]keyTable // by the bits of a level
}

type keyTable map[string]int32

// What stands for images that share a key, and for no image.
const (
	several = -1
	none    = -2
)

// Bits of the levels: which part of a name is compared, and how.
const (
	own    = 1 << iota // the file's own name
	bare               // without the ending
	folded             // in small letters
)

// newFinder makes a finder of images, which lie in the folder root, or "", maybe
// all in a folder inside.
func newFinder(items []*Item, root, inside, beside string) *finder {
	f := &finder{items: items}
	if root == "" {
		return f
	}
	add := func(dir string, err error) {
		if err == nil {
			f.roots = append(f.roots, dir)
		}
	}
	abs, err := Absolute(root)
	add(abs, err)
	if err == nil {
		add(RealPath(abs))
		f.bases = append(f.bases, filepath.Dir(abs))
		if inside != "" {
			f.bases = append([]string{filepath.Join(abs, inside)}, f.bases...)
		}
	}
	if dir, err := Absolute(beside); err == nil {
		f.bases = append([]string{dir}, f.bases...)
	}
	return f
}

// find returns the index of the image that a name means, several if it may mean more
// than one, or none.
func (f *finder) find(name string) int32 {
	at, _ := f.look(name)
	return at
}

// look is find, and whether the name is whole, with its ending.
func (f *finder) look(name string) (at int32, whole bool) {
	forms := []string{name}
	if strings.Contains(name, `\`) {
		forms = append(forms, strings.ReplaceAll(name, `\`, "/"))
	}
	var full []string
	for _, form := range forms {
		full = append(full, f.below(form)...)
	}
	last := forms[len(forms)-1]
	for _, how := range []int{0, folded} {
		for _, ending := range []int{0, bare} {
			for _, key := range full {
				if at, ok := f.table(how | ending)[fold(key, how)]; ok {
					return at, ending == 0
				}
			}
			if !strings.Contains(last, "/") {
				if at, ok := f.table(how | ending | own)[fold(last, how)]; ok {
					return at, ending == 0
				}
			}
		}
	}
	return none, false
}

// below returns the forms that a path may have below the data's folder.
func (f *finder) below(name string) []string {
	if len(f.roots) == 0 {
		return []string{name}
	}
	var out []string
	add := func(place string) {
		for _, root := range f.roots {
			if rel, err := filepath.Rel(root, place); err == nil && rel != ".." && !strings.HasPrefix(rel, "../") &&
				rel != "." {
				out = append(out, filepath.ToSlash(rel))
				return
			}
		}
	}
	local := filepath.FromSlash(name)
	if filepath.IsAbs(local) {
		add(filepath.Clean(local))
		return out
	}
	add(filepath.Join(f.roots[0], local))
	for _, base := range f.bases {
		add(filepath.Join(base, local))
	}
	return out
}

// table returns the images by their names as a level compares them.
func (f *finder) table(level int) keyTable {
	if f.names[level] == nil {
		t := keyTable{}
		for i, item := range f.items {
			key := item.Name
			if level&own != 0 {
				key = path.Base(key)
			}
			if level&bare != 0 {
				key = strings.TrimSuffix(key, path.Ext(key))
			}
			key = fold(key, level)
			if _, ok := t[key]; ok {
				t[key] = several
			} else {
				t[key] = int32(i)
			}
		}
		f.names[level] = t
	}
	return f.names[level]
}

// sharers lists the images that a name may mean.
func (f *finder) sharers(name string) []string {
	last := path.Base(strings.ReplaceAll(name, `\`, "/"))
	var names []string
	for _, item := range f.items {
		own := path.Base(item.Name)
		if own == last || strings.TrimSuffix(own, path.Ext(own)) == last || strings.EqualFold(own, last) ||
			strings.EqualFold(strings.TrimSuffix(own, path.Ext(own)), last) {
			names = append(names, item.Name)
		}
	}
	return names
}

// fold makes keys equal that mean the same: in any Unicode form, and in upper or lower
// case if the level says so.
func fold(key string, level int) string {
	key = norm.NFC.String(key)
	if level&folded != 0 {
		return strings.ToLower(key)
	}
	return key
}
