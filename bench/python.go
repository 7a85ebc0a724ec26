package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// torch is what peer.py says of itself.
type torch struct {
	Torch       string `json:"torch"`
	Torchvision string `json:"torchvision"`
	OneDNN      string `json:"onednn"`
	Python      string `json:"python"`
}

// String names it.
func (t torch) String() string {
	s := fmt.Sprintf("PyTorch %s, torchvision %s, oneDNN %s", t.Torch, t.Torchvision, t.OneDNN)
	if t.Python != "" {
		s += ", Python " + t.Python
	}
	return s
}

// findTorch asks peer.py with the Python of the flag, or with every one that is found, and
// keeps that with the newest PyTorch. It says how to install one if there is none.
func (b *bench) findTorch(ctx context.Context) (newest torch, err error) {
	if _, err = os.Stat(b.peer); err != nil {
		return newest, err
	}
	all := []string{b.python}
	if b.python == "" {
		all = pythons(os.Getenv)
	}
	for _, python := range all {
		other := bench{options: options{python: python}, peer: b.peer}
		var t torch
		if other.ask(ctx, []string{"version"}, &t) != nil || t.Torch == "" {
			other.dismiss()
			continue
		}
		b.progress("%s has %s", python, t)
		if newest.Torch == "" || newer(t.Torch, newest.Torch) {
			newest, b.python, b.waiting, other.waiting = t, python, other.waiting, b.waiting
		}
		other.dismiss()
	}
	switch {
	case newest.Torch != "":
		return newest, nil
	case len(all) == 0:
		return newest, errors.New("there is no Python here, so PyTorch's columns are empty")
	}
	return newest, fmt.Errorf("%s has no PyTorch, so its columns are empty; on Debian: apt-get install python3-torch python3-torchvision",
		strings.Join(all, ", "))
}

// pythons returns every Python 3 of the active environments, of the path and of Debian, each
// once.
func pythons(env func(string) string) []string {
	var folders []string
	for _, name := range []string{"VIRTUAL_ENV", "CONDA_PREFIX"} {
		if root := env(name); root != "" {
			folders = append(folders, filepath.Join(root, "bin"))
		}
	}
	folders = append(append(folders, filepath.SplitList(env("PATH"))...), "/usr/bin", "/usr/local/bin")
	var found []string
	seen := map[string]bool{}
	for _, folder := range folders {
		if real, err := filepath.EvalSymlinks(folder); err == nil {
			folder = real // /bin is /usr/bin
		}
		names, _ := filepath.Glob(filepath.Join(folder, "python3*")) // the pattern is right
		for _, name := range names {
			if rest := strings.TrimPrefix(filepath.Base(name), "python3"); strings.Trim(rest, ".0123456789t") != "" {
				continue // python3-config
			}
			// The same program is another Python in another environment.
			if here := ofFolder(name); seen[here] {
				continue
			} else {
				seen[here] = true
			}
			found = append(found, name)
		}
	}
	return found
}

// ofFolder follows links as long as they stay in the folder: python3.12 and python3 are often the same there.
func ofFolder(name string) string {
	for range 8 {
		to, err := os.Readlink(name)
		if err != nil || filepath.Base(to) != to {
			break
		}
		name = filepath.Join(filepath.Dir(name), to)
	}
	return name
}

// newer compares versions such as 2.11.0+cpu by their numbers.
func newer(a, b string) bool {
	numbers := func(version string) (n []int) {
		version, _, _ = strings.Cut(version, "+")
		for _, part := range strings.Split(version, ".") {
			digits := strings.IndexFunc(part, func(r rune) bool { return r < '0' || r > '9' })
			if digits >= 0 {
				part = part[:digits]
			}
			k, _ := strconv.Atoi(part) // none counts as 0
			n = append(n, k)
		}
		return n
	}
	return slices.Compare(numbers(a), numbers(b)) > 0
}
