package dataset

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"vicreg/internal/host"
	"vicreg/internal/listing"
	"vicreg/internal/show"
)

// Options say how to read a data set.
type Options struct {
	// Labels is "auto" (or empty), "folders", "leaf", "none", a pattern of names,
	// or the path of a file of paths and labels. With auto, the
	// sub-folders of an image folder are its classes if every image lies
	// directly in one, there are two or more, and twice as many images; or, in
	// train/ beside test/ or val/, if most images lie somewhere below one. Folders
	// called as parts are, such as trainA/ and testA/, are no classes. With
	// folders, the first sub-folder on an image's path is its class; with leaf, the
	// last, and folders of the same name are one class wherever they lie. With none,
	// labels are forgotten. In a pattern {label} stands for the class. A file may
	// say which images train and which score, too.
	Labels string

	// Holdout is the share of each class that is kept for scoring where
	// labels exist and no test set does; 0 keeps none. The images held out
	// are spread evenly over the class: at least one of each class of two or
	// more, and never the whole class.
	Holdout float64

	// Several says that an image may be of several classes, which the file that Labels
	// names tells: see Dataset.Marks. Holdout is then a share of all images.
	Several bool

	// Watch, which may be nil, is told now and then how far listing large data has come, of
	// how many (0: not known). An error that it returns ends that, and is Open's.
	Watch func(what string, done, total int) error

	labelFile string // that Labels names
}

// watching is Watch of one thing.
func (o *Options) watching(what string) func(done, total int) error {
	if o.Watch == nil {
		return func(int, int) error { return nil }
	}
	return func(done, total int) error { return o.Watch(what, done, total) }
}

// keeping notes where the list of a large tree is kept.
func (s *source) keeping(r listing.Report) {
	switch {
	case r.Err != nil:
		s.note("the list of %d files and folders cannot be kept, so it is made each time: %s: %v", r.Entries, show.Name(listing.Cache()), r.Err)
	case r.Fresh:
		s.note("%d files and folders were listed for the first time, and the list is kept in %s", r.Entries, show.Name(r.Kept))
	}
}

// source is all that a name stands for. Each of its images is in one of train, test and
// rest.
type source struct {
	train *Dataset
	test  *Dataset // what there is to score on; nil: nothing
	part  string   // what people call test
	rest  []Item   // neither trains nor scores

	at     layout // of the folders in a tree,
	inner  string // which lies there below the folder that was opened, see walker
	others []part // that may score, while it is not known which do,

	outer     []Item // and what lies outside all parts
	outerNote string // which says so

	files  []string // that were read, of a folder of a few large ones
	fields bool     // images are parts of samples, other parts of which may tell labels
	notes  []string // what is not read, and what was guessed
	unused []string // what rest is
	unfit  error    // why what seems to be a test set cannot score
}

// holdOut splits what there is to train on, see Options.Holdout.
func (s *source) holdOut(share float64) (train, test *Dataset) {
	size := s.train.sizes()
	train, test = s.train.split(share)
	var single []string
	for class, n := range size {
		if n == 1 {
			single = append(single, s.train.Classes[class])
		}
	}
	if share > 0 && len(single) > 0 {
		s.note("%s one image, so none is held out to score on: %s", show.Plural(len(single), "class has", "classes have"), show.Some(single, 5))
	}
	return train, test
}

// note adds a sentence to the notes.
func (s *source) note(format string, args ...any) {
	s.notes = append(s.notes, fmt.Sprintf(format, args...))
}

// unuse adds a sentence on a part that is neither trained on nor scores.
func (s *source) unuse(format string, args ...any) {
	s.unused = append(s.unused, fmt.Sprintf(format, args...))
}

// Open lists the images that spec names. test is nil unless train and test both have
// labels. If there is a test set that cannot score, and train has labels, that is an
// error: no share of train takes its place unless asked for.
func Open(spec string, o Options) (train, test *Dataset, err error) {
	if err := o.check(); err != nil {
		return nil, nil, err
	}
	s, err := open(spec, o)
	if err != nil {
		return nil, nil, err
	}
	train = s.train
	switch {
	case o.Labels == "none":
		if s.test != nil {
			s.unuse("%s (%s) is not used, as labels are not taken", s.part, images(len(s.test.Items)))
		}
		train.forgetLabels()
	case s.unfit != nil:
		return nil, nil, s.unfit
	case train.Classes == nil:
		if s.test != nil {
			s.unuse("%s (%s) is not used, as there are no labels to score with", s.part, images(len(s.test.Items)))
		}
		train.forgetLabels()
	case s.test != nil:
		test = s.test
	case !train.Parted:
		train, test = s.holdOut(o.Holdout)
	}
	train.Notes = append(s.notes, s.unused...)
	return train, test, nil
}

// OpenAll lists all images that spec names: the training part, then the others, with
// labels or without. Nothing is held out.
func OpenAll(spec string, o Options) (*Dataset, error) {
	if err := o.check(); err != nil {
		return nil, err
	}
	s, err := open(spec, o)
	if err != nil {
		return nil, err
	}
	all := s.train
	if s.test != nil {
		if s.test.Classes == nil {
			s.test.forgetLabels()
		}
		all.Items = append(all.Items, s.test.Items...)
	}
	all.Items = append(all.Items, s.rest...)
	if o.Labels == "none" || all.Classes == nil {
		all.forgetLabels()
	}
	all.Notes = s.notes
	return all, nil
}

func (o Options) check() error {
	if err := CheckLabels(o.Labels); err != nil {
		return err
	}
	if o.Several && LabelFile(o.Labels) == "" {
		return errors.New("several labels an image are told by a file alone; name a CSV, TSV or JSON file of paths and labels")
	}
	if !(o.Holdout >= 0 && o.Holdout < 1) {
		return fmt.Errorf("holdout %v: must be a share from 0 to below 1", o.Holdout)
	}
	return nil
}

// told is Options.Labels where a labeller says the labels, not folders nor files of
// images.
const told = "told"

// open is Open before labels are forgotten or images held out.
func open(spec string, o Options) (*source, error) {
	by, err := o.labeller()
	if err != nil {
		return nil, err
	}
	if by == nil {
		s, err := openKind(spec, o)
		if err == nil && isField(o.Labels) && !s.fields {
			return nil, fmt.Errorf("labels %s: the images of %s have no fields, which samples in shards (.tar) and tables (.parquet) have", o.Labels, show.Name(s.train.Name))
		}
		return s, err
	}
	o.Labels, o.labelFile = told, by.file
	s, err := openKind(spec, o)
	if err != nil {
		return nil, err
	}
	root := Place(spec)
	if info, err := os.Stat(root); root == "" || err != nil || !info.IsDir() {
		root = ""
	}
	return s, s.relabel(by, root)
}

// openKind finds the images, with the labels that their place or their files give.
func openKind(spec string, o Options) (*source, error) {
	switch strings.ToLower(spec) {
	case "", "sample":
		s, err := sample()
		if spec != "" && err == nil {
			if _, err := os.Lstat(spec); err == nil {
				s.note("these are the built-in images; %s names what lies here", show.Name("./"+spec))
			}
		}
		return s, err
	case "fashion-mnist", "fashionmnist":
		if s, err := openFolder(debianFolder, o); !errors.Is(err, fs.ErrNotExist) {
			return s, err
		}
	}
	path := home(spec)
	if manyFiles(path) {
		return openPattern(path, o)
	}
	path = tidy(path)
	info, err := os.Stat(path)
	switch {
	case err == nil && info.IsDir():
		return openFolder(path, o)
	case err == nil:
		return openFile(path, o)
	case !errors.Is(err, fs.ErrNotExist):
		return nil, plain(path, err)
	}
	switch strings.ToLower(spec) {
	case "fashion-mnist", "fashionmnist":
		return nil, fmt.Errorf("%s: not found in %s; install it (apt-get install dataset-fashion-mnist), or give the path of a folder that holds its four files", spec, debianFolder)
	case "cifar10", "cifar-10", "cifar100", "cifar-100":
		archive := "cifar-10-binary.tar.gz"
		if strings.HasSuffix(spec, "100") {
			archive = "cifar-100-binary.tar.gz"
		}
		return nil, fmt.Errorf("%s: no folder of that name here; fetch https://www.cs.toronto.edu/~kriz/%s, unpack it into a folder %[1]s here (mkdir %[1]s; tar -xzf %[2]s -C %[1]s), or give the path of the folder it was unpacked in", spec, archive)
	case "mnist":
		return nil, errors.New("mnist: no folder of that name here; put train-images-idx3-ubyte.gz, train-labels-idx1-ubyte.gz and the two t10k files into one and give its path")
	}
	return nil, fmt.Errorf("%s: no such file or folder; give a folder of images, a CIFAR or MNIST folder, or one of the names sample and fashion-mnist", show.Name(spec))
}

// unpacked are the folders inside a folder that may hold a known data set: archives
// unpack into these, or torchvision keeps them there.
var unpacked = []string{"", "cifar-10-batches-bin", "cifar-100-binary", "MNIST/raw", "FashionMNIST/raw", "KMNIST/raw", "raw"}

// openFolder finds out what kind of data set a folder holds.
func openFolder(path string, o Options) (*source, error) {
	python := ""
	var foreign []string // idx files by their names, not by what is in them
	for _, inner := range unpacked {
		dir := filepath.Join(path, filepath.FromSlash(inner))
		entries, err := os.ReadDir(dir)
		if err != nil {
			if inner == "" {
				return nil, plain(dir, err)
			}
			continue
		}
		var names []string
		for _, e := range entries {
			switch {
			case e.IsDir():
			case foreignIDX(filepath.Join(dir, e.Name())):
				foreign = append(foreign, filepath.Join(dir, e.Name()))
			default:
				names = append(names, e.Name())
			}
			if n := e.Name(); python == "" && (n == "cifar-10-batches-py" || n == "cifar-100-python" || n == "batches.meta") {
				python = dir
			}
		}
		var s *source
		switch {
		case isCIFAR(names):
			s, err = openCIFAR(dir, names)
		case isIDX(names):
			s, err = openIDX(dir, names)
		default:
			continue
		}
		if err != nil {
			return nil, err
		}
		beside := slices.DeleteFunc(leftOver(path, inner, s.files),
			func(name string) bool { return sameFile(filepath.Join(path, name), o.labelFile) })
		if len(beside) > 0 {
			s.note("%s in %s %s not read: %s", show.Plural(len(beside), "other file or folder", "other files and folders"), show.Name(path), is(len(beside)), show.Some(beside, 5))
		}
		return s, nil
	}
	if python != "" {
		return nil, fmt.Errorf("%s: this is CIFAR's Python version; get the binary version (cifar-10-binary.tar.gz or cifar-100-binary.tar.gz) and unpack that", show.Name(python))
	}
	s, err := openImages(path, o)
	switch {
	case len(foreign) == 0:
	case err == nil:
		for i := range foreign {
			foreign[i], _ = filepath.Rel(path, foreign[i])
		}
		s.note("%s no idx file of images, whatever the name says: %s", show.Plural(len(foreign), "other file is", "other files are"), show.Some(foreign, 5))
	case errors.As(err, new(noImages)):
		return openIDXFile(foreign[0]) // which says what is wrong with it
	}
	return s, err
}

// leftOver lists what else is in a folder, and on the way to the inner folder whose
// files were read.
func leftOver(path, inner string, read []string) []string {
	var beside []string
	way := ""
	steps := strings.Split(inner, "/")
	if inner == "" {
		steps = nil
	}
	for i := range len(steps) + 1 {
		known := read
		if i < len(steps) {
			known = steps[i : i+1]
		}
		entries, err := os.ReadDir(filepath.Join(path, filepath.FromSlash(way)))
		if err != nil {
			return beside
		}
		for _, e := range entries {
			if n := e.Name(); !listing.Hidden(n) && !slices.Contains(known, n) && !companion(n) {
				beside = append(beside, strings.TrimPrefix(way+"/"+n, "/"))
			}
		}
		if i < len(steps) {
			way = strings.TrimPrefix(way+"/"+steps[i], "/")
		}
	}
	return beside
}

// sameFile reports whether two paths lead to one file.
func sameFile(a, b string) bool {
	if filepath.Base(a) != filepath.Base(b) {
		return false // most are
	}
	is, err := os.Stat(a)
	other, err2 := os.Stat(b)
	return err == nil && err2 == nil && os.SameFile(is, other)
}

// companion reports whether a file comes with data sets of CIFAR without being part of
// them.
func companion(name string) bool {
	switch name {
	case "readme.html", "batches.meta.txt", "fine_label_names.txt", "coarse_label_names.txt":
		return true
	}
	return strings.HasPrefix(name, "cifar-10") && strings.HasSuffix(name, ".tar.gz")
}

// openFile reads a data set of one file. Its ending or its size says what it is.
func openFile(path string, o Options) (*source, error) {
	lower := strings.ToLower(path)
	if err := regular(path); err != nil {
		return nil, err
	}
	switch {
	case isPacked(path):
		return openPacked(path, o)
	case manyEnding(path) != "":
		return openMany(path, []string{path}, o)
	case isImage(lower):
		return nil, fmt.Errorf("%s: this is one image; give the folder of all of them", show.Name(path))
	case isIDXImages(lower):
		return openIDXFile(path)
	case strings.HasSuffix(lower, ".bin"):
		return openCIFARFile(path)
	case slices.Contains(archives, filepath.Ext(lower)):
		return nil, fmt.Errorf("%s: this is an archive; unpack it and give the folder", show.Name(path))
	}
	return nil, fmt.Errorf("%s: neither a folder of images nor an idx images file (…images-idx3-ubyte, .gz or not) nor a CIFAR file (.bin) nor a packed data set", show.Name(path))
}

// archives are the endings of files that must be unpacked first.
var archives = []string{".zip", ".tar", ".gz", ".tgz", ".bz2", ".tbz", ".xz", ".txz", ".zst", ".7z", ".rar"}

// regular refuses what is not a regular file, without opening it: a pipe would never
// end.
func regular(path string) error {
	info, err := os.Stat(path)
	if err != nil {
		return plain(path, err)
	}
	if kind := irregular(info.Mode()); kind != "" {
		return fmt.Errorf("%s: this is a %s; give a file or a folder", show.Name(path), kind)
	}
	return nil
}

// openRegular opens a regular file and tells its size.
func openRegular(path string) (*os.File, int64, error) {
	if err := regular(path); err != nil {
		return nil, 0, err
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, 0, plain(path, err)
	}
	info, err := f.Stat()
	if err != nil {
		f.Close()
		return nil, 0, plain(path, err)
	}
	return f, info.Size(), nil
}

// itemBytes is about what an Item and its name take.
const itemBytes = 192

// fits returns an error if so many bytes of pixels, of so many images, are more than
// this process may use.
func fits(path string, pixels float64, items int) error {
	need, limit := pixels+itemBytes*float64(items), host.MemoryLimit()
	if need > limit.Bytes {
		return fmt.Errorf("%s: its %s take %s of memory, and %s; take a part of them, or keep them as files in folders", show.Name(path), images(items), host.Bytes(need), limit)
	}
	return nil
}

// zeroRun finds files with long runs of zeros, such as those that were only partly
// fetched: they have the size of the whole, with nothing in the rest.
type zeroRun struct {
	path string
	n    int64
}

// add takes in the next piece of a file.
func (z *zeroRun) add(piece []byte) error {
	if len(bytes.TrimLeft(piece, "\x00")) > 0 {
		z.n = 0
		return nil
	}
	if z.n += int64(len(piece)); z.n < 64<<20 {
		return nil
	}
	return fmt.Errorf("%s: %s of it in a row are zero, which are no pictures; the file is not whole, fetch it again", show.Name(z.path), host.Bytes(float64(z.n)))
}

// irregular says what a file is that is not a regular one.
func irregular(mode fs.FileMode) string {
	switch {
	case mode.IsRegular():
		return ""
	case mode.IsDir():
		return "folder"
	case mode&fs.ModeNamedPipe != 0:
		return "pipe"
	case mode&fs.ModeSocket != 0:
		return "socket"
	case mode&fs.ModeDevice != 0:
		return "device"
	}
	return "special file"
}

// plain words an error of the file system: the path just once, and the reason.
func plain(path string, err error) error {
	return fmt.Errorf("%s: %w", show.Name(path), reason(err))
}

// reason is an error of the file system without the path.
func reason(err error) error {
	var pe *fs.PathError
	if errors.As(err, &pe) {
		return pe.Err
	}
	return err
}

// is and has are the verbs of n things.
func is(n int) string {
	if n == 1 {
		return "is"
	}
	return "are"
}

func has(n int) string {
	if n == 1 {
		return "has"
	}
	return "have"
}

// images writes how many images there are.
func images(n int) string { return show.Plural(n, "image", "images") }
