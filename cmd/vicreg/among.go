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

// picture refuses to write a new picture into a folder of images, where whoever trains
// on them would take it for one of them, unless that is forced. The folder own is always
// allowed.
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

// entries lists a folder by name, without hidden files.
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

// classImage names an image in a folder inside dir, if dir holds two or more folders of
// images and nothing else; else "".
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
