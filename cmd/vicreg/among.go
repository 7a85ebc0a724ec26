package main

import (
	"cmp"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"vicreg/internal/compare"
	"vicreg/internal/imagefile"
	"vicreg/internal/show"
)

// picture refuses to put a new picture among images, one of which it would be to
// whoever trains on them, unless that is forced. own is a folder that it may lie in
// in any case.
func (g *guard) picture(flag, path, own string) error {
	if _, err := os.Lstat(path); err == nil || g.force || !isImage(path) {
		return nil
	}
	dir := parent(path)
	if at, err := os.Stat(dir); err == nil && own != "" && same(at, own) {
		return nil
	}
	found := anImage(dir)
	if found == "" {
		found = classImage(dir)
	}
	if found == "" {
		return nil
	}
	return usagef("%s %s: it would lie among the images in %s, such as %s, and be one of them to whoever trains on these; name another folder, or give --force",
		flag, path, show.Name(dir), show.Name(found))
}

func isImage(name string) bool {
	return slices.Contains(imagefile.Extensions, strings.ToLower(filepath.Ext(name)))
}

// mostLooked is how many entries of a folder are looked at.
const mostLooked = 1000

// entries are those of a folder but hidden ones, by name.
func entries(dir string) []os.DirEntry {
	f, err := os.Open(dir)
	if err != nil {
		return nil
	}
	defer f.Close()
	list, _ := f.ReadDir(mostLooked)
	slices.SortFunc(list, func(a, b os.DirEntry) int { return strings.Compare(a.Name(), b.Name()) })
	return slices.DeleteFunc(list, func(e os.DirEntry) bool { return strings.HasPrefix(e.Name(), ".") })
}

// anImage names an image in a folder that vicreg did not draw, "" if there is none.
func anImage(dir string) string {
	for _, e := range entries(dir) {
		if path := filepath.Join(dir, e.Name()); e.Type().IsRegular() && isImage(path) && !compare.IsPicture(path) {
			return e.Name()
		}
	}
	return ""
}

// classImage names an image in one of the folders in dir if dir holds two or more
// folders of images and nothing else.
func classImage(dir string) string {
	found, folders := "", 0
	for _, e := range entries(dir) {
		in := ""
		if e.IsDir() {
			in = anImage(filepath.Join(dir, e.Name()))
		}
		if in == "" {
			return ""
		}
		found, folders = cmp.Or(found, filepath.Join(e.Name(), in)), folders+1
	}
	if folders < 2 {
		return ""
	}
	return found
}
