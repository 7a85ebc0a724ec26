package dataset

import (
	"os"
	"path/filepath"
	"strings"
)

// Own reports whether spec names images of the user's own, in a folder or packed:
// neither what is built in nor a data set of a known form.
func Own(spec string) bool {
	switch strings.ToLower(spec) {
	case "", "sample", "fashion-mnist", "fashionmnist":
		return false
	}
	path := Place(spec)
	info, err := os.Stat(path)
	switch {
	case err != nil:
		return manyFiles(path)
	case !info.IsDir():
		return info.Mode().IsRegular() && (isPacked(path) || manyEnding(path) != "")
	}
	for _, inner := range unpacked {
		var names []string
		dir := filepath.Join(path, filepath.FromSlash(inner))
		entries, _ := os.ReadDir(dir)
		for _, e := range entries {
			if !e.IsDir() && !foreignIDX(filepath.Join(dir, e.Name())) {
				names = append(names, e.Name())
			}
		}
		if isCIFAR(names) || isIDX(names) {
			return false
		}
	}
	return true
}

// Place returns the file or folder that spec names, "" if it is built in.
func Place(spec string) string {
	switch strings.ToLower(spec) {
	case "", "sample":
		return ""
	case "fashion-mnist", "fashionmnist":
		if _, err := os.Stat(debianFolder); err == nil {
			return debianFolder
		}
	}
	return home(spec)
}

// Absolute makes a path independent of the working folder. Links in it stay, unless ..
// follows one: then the path as written means another place, so links are resolved.
func Absolute(path string) (string, error) {
	if list := strings.Split(path, "::"); len(list) > 1 && manyFiles(path) { // of patterns
		for i := range list {
			var err error
			if list[i], err = Absolute(list[i]); err != nil {
				return "", err
			}
		}
		return strings.Join(list, "::"), nil
	}
	abs, err := filepath.Abs(path)
	if err == nil && !same(path, abs) {
		return RealPath(path)
	}
	return abs, err
}

// tidy returns a path to which names can be appended.
func tidy(path string) string {
	if same(path, filepath.Clean(path)) {
		return path
	}
	if real, err := RealPath(path); err == nil {
		return real
	}
	return path
}

// same reports whether both paths lead to one file or folder, or to nothing.
func same(a, b string) bool {
	is, err := os.Stat(a)
	if err != nil {
		return true
	}
	other, err := os.Stat(b)
	return err == nil && os.SameFile(is, other)
}

// RealPath returns the absolute path without links of something that exists. Only such
// paths can be compared.
func RealPath(path string) (string, error) {
	real, err := filepath.EvalSymlinks(path)
	if err != nil || filepath.IsAbs(real) {
		return real, err
	}
	// The name of the working folder may hold links, and real may begin with ...
	here, err := os.Getwd()
	if err != nil {
		return "", err
	}
	if here, err = filepath.EvalSymlinks(here); err != nil {
		return "", err
	}
	return filepath.Join(here, real), nil
}
