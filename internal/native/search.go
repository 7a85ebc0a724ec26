// Package native finds shared libraries and calls them. Only a build with the tag
// native, on Linux, can open one; what looks for them builds everywhere.
package native

import (
	"cmp"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// Variable names folders that are looked into before all others.
const Variable = "VICREG_LIB"

// Search is where libraries are looked for.
type Search struct {
	First []string // folders before the system's own path
	Then  []string // folders after it
}

// CheckVariable says what is wrong with the folders that [Variable] names.
func CheckVariable() error {
	for _, folder := range filepath.SplitList(os.Getenv(Variable)) {
		if info, err := os.Stat(folder); err != nil || !info.IsDir() {
			return fmt.Errorf("%s names %q, which is no folder", Variable, folder)
		}
	}
	return nil
}

// places is what a search is made from, so that a test can have its own machine.
type places struct {
	root   string // before each absolute path
	env    func(string) string
	python string // what runs as python3, or empty
	arch   string // amd64 or arm64
}

// NewSearch looks this machine over for folders that hold NVIDIA's libraries.
func NewSearch(arch string) Search {
	python, err := exec.LookPath("python3")
	if err != nil {
		python = ""
	}
	return places{env: os.Getenv, python: python, arch: arch}.search()
}

func (p places) search() Search {
	s := Search{First: filepath.SplitList(p.env(Variable))}
	for _, prefix := range p.prefixes() {
		for _, packages := range []string{"lib/python3*/site-packages", "local/lib/python3*/dist-packages",
			"lib/python3*/dist-packages"} {
			s.Then = append(s.Then, p.glob(prefix, packages, "nvidia/*/lib")...)
		}
		s.Then = append(s.Then, p.glob(prefix, "lib/libcudnn.so.*")...) // conda has them in its own lib
	}
	triple := map[string]string{"amd64": "x86_64-linux-gnu", "arm64": "aarch64-linux-gnu"}[p.arch]
	target := map[string]string{"amd64": "x86_64-linux", "arm64": "sbsa-linux"}[p.arch]
	for _, pattern := range []string{
		"/usr/local/lib/python3*/dist-packages/nvidia/*/lib",
		"/usr/local/cuda/lib64", "/usr/local/cuda*/lib64", "/usr/local/cuda*/targets/" + target + "/lib",
		"/usr/lib/" + triple, "/usr/lib64", "/usr/local/lib", "/usr/lib/wsl/lib",
	} {
		s.Then = append(s.Then, p.glob(pattern)...)
	}
	for i, place := range s.Then {
		if strings.HasPrefix(filepath.Base(place), "libcudnn.so.") {
			s.Then[i] = filepath.Dir(place)
		}
	}
	s.Then = unique(s.Then)
	return s
}

// prefixes returns the roots of Python environments: the active ones, that of the
// python3 that runs here, as it is called and where it really lies, and the user's own.
func (p places) prefixes() []string {
	var roots []string
	for _, name := range []string{"VIRTUAL_ENV", "CONDA_PREFIX"} {
		if root := p.env(name); root != "" {
			roots = append(roots, p.root+root)
		}
	}
	if p.python != "" {
		at := p.root + p.python
		roots = append(roots, filepath.Dir(filepath.Dir(at)))
		if real, err := filepath.EvalSymlinks(at); err == nil {
			roots = append(roots, filepath.Dir(filepath.Dir(real)))
		}
	}
	if home := p.env("HOME"); home != "" {
		roots = append(roots, filepath.Join(p.root+home, ".local"))
	}
	return unique(roots)
}

// glob returns what matches, the highest version first.
func (p places) glob(parts ...string) []string {
	pattern := filepath.Join(parts...)
	if !strings.HasPrefix(pattern, p.root) {
		pattern = p.root + pattern
	}
	found, _ := filepath.Glob(pattern) // the patterns are right
	slices.SortFunc(found, func(a, b string) int { return -compareVersions(a, b) })
	return found
}

// compareVersions orders names by the numbers in them, so that 3.9 is before 3.13.
func compareVersions(a, b string) int {
	for a != "" && b != "" {
		x, restA := leading(a)
		y, restB := leading(b)
		switch {
		case x != "" && y != "":
			x, y = strings.TrimLeft(x, "0"), strings.TrimLeft(y, "0")
			if c := cmp.Or(len(x)-len(y), strings.Compare(x, y)); c != 0 {
				return c
			}
			a, b = restA, restB
		case a[0] != b[0]:
			return int(a[0]) - int(b[0])
		default:
			a, b = a[1:], b[1:]
		}
	}
	return len(a) - len(b)
}

// leading splits off the digits at the start.
func leading(s string) (digits, rest string) {
	i := 0
	for i < len(s) && s[i] >= '0' && s[i] <= '9' {
		i++
	}
	return s[:i], s[i:]
}

func unique(list []string) []string {
	var seen []string
	for _, s := range list {
		if !slices.Contains(seen, s) {
			seen = append(seen, s)
		}
	}
	return seen
}

// Files returns where a library of this name lies in some folders, in their order.
func Files(folders []string, name string) []string {
	var found []string
	for _, folder := range folders {
		file := filepath.Join(folder, name)
		if info, err := os.Stat(file); err == nil && !info.IsDir() {
			found = append(found, file)
		}
	}
	return found
}
