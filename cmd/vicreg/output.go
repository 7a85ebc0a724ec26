package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"github.com/spf13/pflag"

	"vicreg/internal/checkpoint"
	"vicreg/internal/dataset"
	"vicreg/internal/durable"
	"vicreg/internal/imagefile"
	"vicreg/internal/pairs"
	"vicreg/internal/recipe"
	"vicreg/internal/runlog"
)

// guard keeps a command from writing over anything that it reads or over files of runs,
// under whatever name: through links, through "..", or in upper or lower case where a
// file system knows no difference. Neither is ever written over, forced or not. Any
// other file that exists is replaced if it is of the kind that the command writes, or if
// that is forced.
type guard struct {
	flag      bool     // the command has --force
	force     bool     // which was given
	files     []string // that the command reads
	sources   []string // data sets that it reads, as --data takes them
	manifests []string // that it reads, with all files that their cells name
}

// kind is a kind of files that a command writes. People expect a command to replace a
// file of its own kind.
type kind struct {
	name string // such as "a packed data set"
	is   func(path string) bool
}

// forcible registers --force.
func (g *guard) forcible(flags *pflag.FlagSet) {
	g.flag = true
	flags.BoolVar(&g.force, "force", false, "replace a file of another kind that has the name of the output; never one that is read here, nor one of a run")
}

// reads adds a file, if its name is not empty.
func (g *guard) reads(path string) {
	if path != "" {
		g.files = append(g.files, path)
	}
}

// config adds the data that a configuration names.
func (g *guard) config(c *recipe.Config) {
	if c.Pairs == nil {
		g.reads(dataset.LabelFile(c.Data.Labels))
		if !slices.Contains(g.sources, c.Data.Source) {
			g.sources = append(g.sources, c.Data.Source)
		}
		return
	}
	g.pairs(c.Data.Source, c)
}

// run adds the data of a run: among its images a picture of the run would look like
// another.
func (g *guard) run(folder string) {
	if c, err := recipe.ReadFile(filepath.Join(folder, runlog.ConfigFile)); err == nil {
		g.config(&c)
	}
}

// pairs adds a manifest of pairs and the files of whole sides beside it.
func (g *guard) pairs(manifest string, c *recipe.Config) {
	if !slices.Contains(g.manifests, manifest) {
		g.manifests = append(g.manifests, manifest)
	}
	for _, side := range c.Sides() {
		if side.File != "" && !filepath.IsAbs(side.File) {
			side.File = filepath.Join(filepath.Dir(manifest), filepath.FromSlash(side.File))
		}
		g.reads(side.File)
	}
}

// output returns where to write what a flag names as path: that path or, if it is a
// link, the place it leads to. It does not make anything yet.
func (g *guard) output(flag, path string, k kind) (string, error) {
	path, is, err := g.locate(flag, path)
	if err != nil {
		return "", err
	}
	if what, err := g.belongs(path, is, k); err != nil {
		return "", err
	} else if what != "" {
		return "", usagef("%s %s: %s; name another file", flag, path, what)
	}
	hint := ""
	if g.flag {
		hint = ", or give --force to replace it"
	}
	switch {
	case is == nil || g.force:
	case !k.is(path):
		return "", usagef("%s %s: a file of that name is there and is not %s; name another%s", flag, path, k.name, hint)
	case is.Mode().Perm()&0o222 == 0:
		return "", usagef("%s %s: the file that is there may not be written to; name another%s", flag, path, hint)
	}
	return path, nil
}

// locate follows links. It demands that the folder exists, and that nothing of that name
// is in it except, perhaps, a regular file, which it describes.
func (*guard) locate(flag, path string) (string, fs.FileInfo, error) {
	if path == "" {
		return "", nil, usagef("%s is empty; name a file", flag)
	}
	link, err := os.Lstat(path)
	if err == nil && link.Mode()&fs.ModeSymlink != 0 {
		to, err := filepath.EvalSymlinks(path)
		if err != nil {
			return "", nil, usagef("%s %s: this is a link that leads nowhere; name another file, or remove it", flag, path)
		}
		path = to
	}
	is, err := os.Stat(path)
	if err != nil {
		is = nil
	}
	switch {
	case err == nil && is.IsDir():
		return "", nil, usagef("%s %s: this is a folder; name a file in it", flag, path)
	case err == nil && !is.Mode().IsRegular():
		return "", nil, usagef("%s %s: this is %s, not a file; name a file", flag, path, durable.Kind(is.Mode()))
	case err != nil && !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, syscall.ENOTDIR):
		return "", nil, fmt.Errorf("%s %s cannot be written: %w", flag, path, durable.Reason(err))
	case os.IsPathSeparator(path[len(path)-1]):
		return "", nil, usagef("%s %s: this names a folder; name a file", flag, path)
	}
	dir := parent(path)
	real, err := filepath.EvalSymlinks(dir) // not by the letter: what .. means depends on links
	switch at, notThere := os.Stat(dir); {
	case errors.Is(err, fs.ErrNotExist):
		return "", nil, fmt.Errorf("%s %s cannot be written: no such file or directory; make the folder %s first", flag, path, dir)
	case err == nil && notThere == nil && !at.IsDir():
		return "", nil, fmt.Errorf("%s %s cannot be written: %s is not a folder", flag, path, dir)
	case err != nil:
		return "", nil, fmt.Errorf("%s %s cannot be written: %w", flag, path, durable.Reason(err))
	}
	return filepath.Join(real, filepath.Base(path)), is, nil
}

// parent returns the folder that a path is in, as it is written.
func parent(path string) string {
	dir, _ := filepath.Split(path)
	switch {
	case dir == "":
		return "."
	case len(dir) > 1 && dir != filepath.VolumeName(dir)+string(filepath.Separator):
		return dir[:len(dir)-1]
	}
	return dir
}

// belongs says which of the inputs, or which run, a path belongs to; "" if none. is
// describes the file there, nil if there is none.
func (g *guard) belongs(path string, is fs.FileInfo, k kind) (string, error) {
	for _, f := range g.files {
		if same(is, f) {
			return fmt.Sprintf("that is %s, which the command reads", f), nil
		}
	}
	for _, f := range standard {
		if st, err := f.Stat(); err == nil && is != nil && os.SameFile(is, st) {
			return "that is what the command reads from or prints to", nil
		}
	}
	if run := runOf(path, is); run != "" {
		return fmt.Sprintf("that is a file of the run in %s", run), nil
	}
	for _, source := range g.sources {
		if what := g.inData(source, path, is, k); what != "" {
			return what, nil
		}
	}
	for _, m := range g.manifests {
		if same(is, m) {
			return fmt.Sprintf("that is %s, which the command reads", m), nil
		}
		if is == nil {
			continue
		}
		named, err := pairs.Names(m, func(file string) bool { return same(is, file) })
		if err != nil {
			return "", err
		}
		if named {
			return fmt.Sprintf("that is a file that %s names", m), nil
		}
	}
	return "", nil
}

// same reports whether a file that is there is the one at path.
func same(is fs.FileInfo, path string) bool {
	if is == nil {
		return false
	}
	st, err := os.Stat(path)
	return err == nil && os.SameFile(is, st)
}

// runOf returns the folder of the run that a path belongs to, or "". The names of
// a run's files belong to it before they are there.
func runOf(path string, is fs.FileInfo) string {
	dir := parent(path)
	begun := func(name string) bool {
		st, err := os.Stat(filepath.Join(dir, name))
		return err == nil && st.Mode().IsRegular()
	}
	if !slices.ContainsFunc([]string{runlog.ConfigFile, runlog.CheckpointFile, runlog.SummaryFile}, begun) {
		return ""
	}
	for _, name := range runFiles {
		if name == filepath.Base(path) || same(is, filepath.Join(dir, name)) {
			return dir
		}
	}
	return ""
}

// runFiles are the names of what a run writes into its folder.
var runFiles = []string{runlog.ConfigFile, runlog.MetricsFile, runlog.SummaryFile, runlog.ModelFiles[0],
	runlog.ModelFiles[1],
	runlog.CheckpointFile, runlog.CheckpointFile + checkpoint.Suffix}

// inData says what a path is in a data set, "" if nothing. Results may be written into a
// data set's folder under names that are not read as images.
func (g *guard) inData(source, path string, is fs.FileInfo, k kind) string {
	place := dataset.Place(source)
	if place == "" {
		return ""
	}
	st, err := os.Stat(place)
	if err != nil { // which reading it tells, unless it is a pattern
		for _, file := range dataset.PatternFiles(source) {
			if is != nil && same(is, file) {
				return fmt.Sprintf("that is %s, which the command reads", file)
			}
		}
		return ""
	}
	if is != nil && os.SameFile(st, is) {
		return fmt.Sprintf("that is %s, which the command reads", place)
	}
	if !st.IsDir() {
		// Labels and names of classes lie beside.
		if is != nil && same(is, filepath.Join(filepath.Dir(place), is.Name())) && beside(is.Name()) {
			return fmt.Sprintf("that is a file of the data in %s", filepath.Dir(place))
		}
		return ""
	}
	if below(path, place) {
		switch {
		case slices.Contains(imagefile.Extensions, strings.ToLower(filepath.Ext(path))):
			return fmt.Sprintf("in %s it would be an image of the data", place)
		case isNumPy(path) && ofArrays(source):
			return fmt.Sprintf("in %s it would be an image of the data", place)
		case is != nil && !k.is(path):
			return fmt.Sprintf("that is a file of the data in %s", place)
		}
	}
	if is != nil {
		all, err := dataset.OpenAll(source, dataset.Options{Labels: "none"})
		if err != nil {
			return ""
		}
		for _, item := range all.Items { // some may be links
			if item.Path != "" && same(is, item.Path) {
				return fmt.Sprintf("that is %s, which the command reads", item.Path)
			}
		}
	}
	return ""
}

func isNumPy(path string) bool { return strings.EqualFold(filepath.Ext(path), imagefile.Array) }

// ofArrays reports whether the images of a data set are arrays.
func ofArrays(source string) bool {
	all, err := dataset.OpenAll(source, dataset.Options{Labels: "none"})
	return err == nil && len(all.Items) > 0 && isNumPy(all.Items[0].Path)
}

// beside reports whether a file is by its name one of CIFAR's or of the MNIST
// family, which lie in one folder.
func beside(name string) bool {
	name = strings.ToLower(name)
	return strings.Contains(name, "ubyte") || strings.HasSuffix(name, ".bin") ||
		strings.HasSuffix(name, ".meta.txt") || strings.HasSuffix(name, "_label_names.txt")
}

// below reports whether a path lies in a folder or further down.
func below(path, folder string) bool {
	at, err := filepath.EvalSymlinks(parent(path))
	for up := filepath.Dir(path); err != nil; up = filepath.Dir(up) { // what of it is there
		if at, err = filepath.EvalSymlinks(up); err != nil && up == filepath.Dir(up) {
			return false
		}
	}
	if at, err = dataset.Absolute(at); err != nil {
		return false
	}
	top, err := os.Stat(folder)
	if err != nil {
		return false
	}
	for {
		if st, err := os.Stat(at); err == nil && os.SameFile(st, top) {
			return true
		}
		up := filepath.Dir(at)
		if up == at {
			return false
		}
		at = up
	}
}
