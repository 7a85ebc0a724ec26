package dataset

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// OpenPaths reads the list of the images that people name one by one: files, each an
// image whatever its name, and all images of folders and of data sets, as [OpenAll]
// reads them. An image's name begins with its path; none has a label.
func OpenPaths(paths []string) (*Dataset, error) {
	all := &Dataset{Name: "images"}
	for _, path := range paths {
		info, err := os.Stat(path)
		if err != nil {
			return nil, plain(path, err)
		}
		if !info.IsDir() {
			if err := regular(path); err != nil {
				return nil, err
			}
			if !holdsImages(path) {
				all.Items = append(all.Items, Item{Name: filepath.ToSlash(path), Path: path, Label: -1})
				continue
			}
		}
		if !filepath.IsAbs(path) {
			path = "." + string(filepath.Separator) + path // a folder called sample is no name
		}
		inside, err := OpenAll(path, Options{Labels: "none"})
		if err != nil {
			return nil, err
		}
		for _, item := range inside.Items {
			item.Name = strings.TrimPrefix(filepath.ToSlash(filepath.Join(path, item.Name)), "./")
			all.Items = append(all.Items, item)
		}
		all.Notes = append(all.Notes, inside.Notes...)
	}
	return all, nil
}

// holdsImages reports whether a file is, by its name or first bytes, a data set or an
// archive and no image.
func holdsImages(path string) bool {
	lower := strings.ToLower(path)
	return isPacked(path) || isIDXImages(lower) || strings.HasSuffix(lower, ".bin") ||
		slices.Contains(archives, filepath.Ext(lower))
}
