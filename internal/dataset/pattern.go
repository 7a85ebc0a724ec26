package dataset

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"vicreg/internal/shard"
	"vicreg/internal/show"
)

// Endings of files that hold many images.
const (
	shardEnding = ".tar"
	tableEnding = ".parquet"
)

// PatternFiles returns the files that spec stands for if it is a pattern of several, see
// [shard.Names]; nil if it is none.
func PatternFiles(spec string) []string {
	if !manyFiles(spec) {
		return nil
	}
	names, err := shard.Names(home(spec))
	if err != nil {
		return nil
	}
	return names
}

// manyFiles reports whether spec is a pattern of several files, and no path of one.
func manyFiles(spec string) bool {
	if !shard.Pattern(spec) {
		return false
	}
	_, err := os.Lstat(home(spec))
	return err != nil
}

// home writes out the ~ that a path begins with.
func home(path string) string {
	if rest, ok := strings.CutPrefix(path, "~"+string(filepath.Separator)); ok {
		if home, err := os.UserHomeDir(); err == nil {
			return filepath.Join(home, rest)
		}
	}
	return path
}

// openPattern opens the files that a pattern stands for.
func openPattern(pattern string, o Options) (*source, error) {
	files, err := filesOf(pattern)
	if err != nil {
		return nil, err
	}
	return openMany(pattern, files, o)
}

// filesOf returns the files that a pattern stands for, all of one kind and all there.
func filesOf(pattern string) ([]string, error) {
	files, err := shard.Names(pattern)
	if err != nil {
		return nil, err
	}
	var gone []string
	for _, file := range files {
		switch ending := manyEnding(file); {
		case ending == "":
			return nil, fmt.Errorf("%s: a pattern stands for shards (.tar) or tables (.parquet); give a folder of images by its path", show.Name(file))
		case ending != manyEnding(files[0]):
			return nil, fmt.Errorf("%s and %s are of two kinds; give a pattern of one", show.Name(files[0]), show.Name(file))
		}
		if _, err := os.Stat(file); errors.Is(err, fs.ErrNotExist) {
			gone = append(gone, file)
		}
	}
	if len(gone) > 0 {
		return nil, fmt.Errorf("%d of the %d files that %s stands for are not there: %s", len(gone), len(files), show.Name(pattern), show.Some(gone, 3))
	}
	return files, nil
}

// openMany opens files of many images each, all of one kind.
func openMany(name string, files []string, o Options) (*source, error) {
	if manyEnding(files[0]) == tableEnding {
		return openTables(name, files, o)
	}
	return openShards(name, files, o)
}

// manyEnding returns the ending of a file that holds many images; empty: it is no such
// file.
func manyEnding(file string) string {
	lower := strings.ToLower(file)
	if packedTar(lower) {
		return shardEnding // opening it says what to do
	}
	if ending := filepath.Ext(lower); ending == shardEnding || ending == tableEnding {
		return ending
	}
	return ""
}

// packedTar reports whether a name, in small letters, is of a tar file that was compressed.
func packedTar(lower string) bool {
	return strings.HasSuffix(strings.TrimSuffix(lower, filepath.Ext(lower)), ".tar") ||
		slices.Contains([]string{".tgz", ".tbz", ".txz"}, filepath.Ext(lower))
}

// openMany opens the files of many images each that were found in a tree without images, if there
// are any. They must be of one kind, and there; compressed shards beside others are left out.
func (w *walker) openMany(o Options) (*source, error) {
	var files, packed, broken []string
	for _, name := range w.many {
		path := filepath.Join(w.base, filepath.FromSlash(name))
		switch _, err := os.Stat(path); {
		case err != nil:
			broken = append(broken, name)
		case packedTar(strings.ToLower(name)):
			packed = append(packed, path)
		default:
			files = append(files, path)
		}
	}
	if len(broken) > 0 {
		return nil, fmt.Errorf("%s: %s: %s", show.Name(w.base), show.Plural(len(broken),
			"link of a file of many images leads nowhere, so it is not there",
			"links of files of many images lead nowhere, so they are not there"), show.Some(broken, 3))
	}
	if len(files) == 0 {
		files, packed = packed, nil // opening one says what to do
	}
	slices.SortStableFunc(files, func(a, b string) int { // what lies higher comes first
		return strings.Count(a, string(filepath.Separator)) - strings.Count(b, string(filepath.Separator))
	})
	for _, file := range files {
		if manyEnding(file) != manyEnding(files[0]) {
			return nil, fmt.Errorf("%s and %s are of two kinds; give a pattern of one, such as %s", show.Name(files[0]), show.Name(file),
				show.Name(filepath.Join(filepath.Dir(files[0]), "*"+filepath.Ext(files[0]))))
		}
	}
	s, err := openMany(w.base, files, o)
	if err == nil && len(packed) > 0 {
		s.note("%s (gunzip, zstd -d, xz -d): %s", show.Plural(len(packed), "compressed shard is not read; unpack it",
			"compressed shards are not read; unpack them"), show.Some(packed, 3))
	}
	return s, err
}

// belowCommon returns what each of some files is called below the folder that all lie in,
// and that folder.
func belowCommon(files []string) (dir string, names []string) {
	const sep = string(filepath.Separator)
	dir = filepath.Dir(files[0])
	for _, file := range files {
		in := filepath.Dir(file) + sep
		for !strings.HasPrefix(in, strings.TrimSuffix(dir, sep)+sep) && dir != "." && dir != filepath.Dir(dir) {
			dir = filepath.Dir(dir)
		}
	}
	for _, file := range files {
		name := file
		if rel, err := filepath.Rel(dir, file); err == nil && filepath.IsLocal(rel) {
			name = rel
		}
		names = append(names, strings.TrimPrefix(filepath.ToSlash(name), "/"))
	}
	return dir, names
}

// purposes sorts files by the words of their names into those that train and those that
// score: train-000.tar and val-000.tar. Where the names do not tell, all train.
func (s *source) purposes(names []string) (train, test []int, part string) {
	by := map[string][]int{}
	best := -1
	for i, name := range names {
		what := "other"
		stem := strings.ReplaceAll(strings.TrimSuffix(name, filepath.Ext(name)), "/", " ")
		switch r, _ := partOf(stem); r {
		case trains:
			what = "train"
		case scores:
			for _, word := range words(stem) {
				if k := rank(word); k >= 0 && roles[k/2].role == scores {
					what = roles[k/2].name
					if best < 0 || k/2 < best {
						best = k / 2
					}
				}
			}
		}
		by[what] = append(by[what], i)
	}
	if len(by["train"]) == 0 || best < 0 {
		for i := range names {
			train = append(train, i)
		}
		return train, nil, ""
	}
	part = roles[best].name
	for what, files := range by {
		if what == "train" || what == part {
			continue
		}
		why := "its name is neither of what trains nor of what scores"
		if len(files) > 1 {
			why = "their names are neither of what trains nor of what scores"
		}
		if what != "other" {
			why = "as " + names[by[part][0]] + " and the like score"
		}
		s.unuse("%s not used, %s: %s", show.Plural(len(files), "file is", "files are"), why, show.Some(pick(names, files), 3))
	}
	slices.Sort(s.unused)
	return by["train"], by[part], part
}

// pick returns the elements of some places.
func pick[T any](list []T, places []int) []T {
	some := make([]T, len(places))
	for i, at := range places {
		some[i] = list[at]
	}
	return some
}

// ShardSet are shards that train and those that score.
type ShardSet struct {
	Train, Test []*shard.Shard
	Part        string   // what those that score are called
	Notes       []string // on shards that are not used
}

// InShards reports whether spec names shards: by a pattern, or one by its path.
func InShards(spec string) bool {
	if files := PatternFiles(spec); len(files) > 0 {
		return manyEnding(files[0]) == shardEnding
	}
	return manyEnding(home(spec)) == shardEnding
}

// Shards finds the shards that spec names.
func Shards(spec string) (*ShardSet, error) {
	files := []string{home(spec)}
	if manyFiles(spec) {
		var err error
		if files, err = filesOf(home(spec)); err != nil {
			return nil, err
		}
	}
	s := new(source)
	_, names := belowCommon(files)
	train, test, part := s.purposes(names)
	set := &ShardSet{Part: part, Notes: s.unused}
	for _, list := range []struct {
		places []int
		to     *[]*shard.Shard
	}{{train, &set.Train}, {test, &set.Test}} {
		for _, i := range list.places {
			*list.to = append(*list.to, &shard.Shard{Path: files[i], Name: names[i]})
		}
	}
	return set, nil
}

// SampleText returns what a sample says in the file of an ending, or under a key of its
// JSON file (json.caption); empty: nothing.
func SampleText(s *shard.Shard, sample *shard.Sample, column string) (string, error) {
	return fieldOf(column).of(s, sample)
}

// ListedNotes says what listing shards for the first time came to.
func ListedNotes(o shard.Opened) []string {
	s := new(source)
	s.listed(o)
	return s.notes
}
