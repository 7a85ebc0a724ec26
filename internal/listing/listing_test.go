package listing

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"vicreg/internal/check"
	"vicreg/internal/ledger"
)

// kept has lists of small trees kept, in a folder of the test's.
func kept(t testing.TB) {
	dir := t.TempDir()
	t.Setenv("XDG_CACHE_HOME", dir)
	t.Setenv("HOME", dir)
	t.Setenv("LocalAppData", dir)
	least := Least
	Least = 3
	t.Cleanup(func() { Least = least })
}

// long ago, so that folders are relied on.
var before = time.Now().Add(-time.Hour)

// put writes files below root, and makes all folders old.
func put(t testing.TB, root string, files ...string) {
	t.Helper()
	for _, f := range files {
		path := filepath.Join(root, filepath.FromSlash(f))
		if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, nil, 0o666); err != nil {
			t.Fatal(err)
		}
	}
}

// age sets the modification times of all folders.
func age(t testing.TB, root string, to time.Time) {
	t.Helper()
	filepath.WalkDir(root, func(path string, d os.DirEntry, err error) error {
		if err == nil && d.IsDir() {
			err = os.Chtimes(path, to, to)
		}
		if err != nil {
			t.Fatal(err)
		}
		return nil
	})
}

// all writes what is in a tree, folder by folder.
func all(t *Tree) string {
	var names []string
	var down func(path string)
	down = func(path string) {
		entries, err := t.Folder(path)
		if err != nil {
			names = append(names, err.Error())
		}
		for _, e := range entries {
			rel, _ := below(t.root, filepath.Join(path, e.Name))
			switch e.Kind {
			case Folder:
				names = append(names, rel+"/")
				if !strings.HasPrefix(e.Name, ".") {
					down(filepath.Join(path, e.Name))
				}
			case File:
				names = append(names, rel)
			default:
				names = append(names, rel+"@")
			}
		}
	}
	down(t.root)
	return strings.Join(names, " ")
}

func TestRead(t *testing.T) {
	kept(t)
	root, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	put(t, root, "b/2.jpg", "b/1.jpg", "a/x/deep.jpg", "a.jpg", ".hidden/no.jpg", "c/é.jpg")
	os.Symlink("a", filepath.Join(root, "link"))
	age(t, root, before)
	asked := map[string]bool{}
	open := func() (*Tree, string) {
		tree, err := Read(root, func(name string) bool { return !strings.HasPrefix(name, ".") },
			func(names int) error { asked[fmt.Sprint(names)] = true; return nil })
		if err != nil {
			t.Fatal(err)
		}
		return tree, all(tree)
	}
	const want = ".hidden/ a/ a/x/ a/x/deep.jpg a.jpg b/ b/1.jpg b/2.jpg c/ c/é.jpg link@"
	tree, got := open()
	if got != want || tree.Taken != 0 || tree.Read != 5 || !tree.Fresh || tree.Kept == "" || tree.Entries != 11 ||
		!asked["11"] {
		t.Fatalf("at first: %s, %+v", got, tree.Report)
	}
	for range 2 {
		tree, got := open()
		if got != want || tree.Taken != 5 || tree.Read != 0 || tree.Fresh || tree.Kept == "" {
			t.Fatalf("again: %s, %+v", got, tree.Report)
		}
	}

	// What is added, removed and renamed is noticed; only those folders are read.
	put(t, root, "b/3.jpg")
	if tree, got := open(); got != strings.Replace(want, "b/2.jpg", "b/2.jpg b/3.jpg", 1) || tree.Read != 1 || tree.Taken != 4 {
		t.Fatalf("one more: %s, %+v", got, tree.Report)
	}
	// The folder has just changed, so it is read again.
	if tree, _ := open(); tree.Read != 1 {
		t.Errorf("a folder that has just changed is relied on: %+v", tree.Report)
	}
	os.Remove(filepath.Join(root, "b", "3.jpg"))
	os.RemoveAll(filepath.Join(root, "a", "x"))
	later := before.Add(time.Minute)
	age(t, root, later)
	if tree, got := open(); got != strings.Replace(want, "a/x/ a/x/deep.jpg ", "", 1) || tree.Read != 4 {
		t.Fatalf("less: %s, %+v", got, tree.Report)
	}
	if tree, _ := open(); tree.Read != 0 || tree.Taken != 4 {
		t.Fatalf("less, again: %+v", tree.Report)
	}

	// A list that is damaged, or of another tree, is none.
	if load(tree.Kept, root) == nil || load(tree.Kept, root+"x") != nil {
		t.Error("the root does not count")
	}
	contents, ok := ledger.Open(tree.Kept, magic)
	if !ok {
		t.Fatal("the list is not whole")
	}
	for at := range contents {
		if parse(contents[:at], root) != nil {
			t.Fatalf("a list cut at byte %d is taken", at)
		}
	}

	// A tree that has become small is not kept.
	Least = 100
	if tree, _ := open(); tree.Kept != "" {
		t.Errorf("small: %+v", tree.Report)
	}
	if _, err := os.Stat(tree.Kept); err == nil {
		t.Error("the list of a small tree stays")
	}
}

func TestNowhereToKeep(t *testing.T) {
	kept(t)
	root := t.TempDir()
	put(t, root, "a", "b", "c")
	os.WriteFile(filepath.Join(os.Getenv("XDG_CACHE_HOME"), "vicreg"), nil, 0o666)
	os.MkdirAll(filepath.Join(os.Getenv("HOME"), "Library"), 0o777)
	os.WriteFile(filepath.Join(os.Getenv("HOME"), "Library", "Caches"), nil, 0o666)
	tree := must(Read(root, func(string) bool { return true }, quiet))
	if got := all(tree); got != "a b c" || tree.Err == nil || tree.Kept != "" {
		t.Errorf("%s, %+v", got, tree.Report)
	}
	for _, name := range []string{"XDG_CACHE_HOME", "HOME", "LocalAppData"} {
		t.Setenv(name, "")
	}
	if tree := must(Read(root, func(string) bool { return true }, quiet)); all(tree) != "a b c" || tree.Err == nil {
		t.Errorf("%+v", tree.Report)
	}
}

func quiet(int) error { return nil }

func must(t *Tree, err error) *Tree {
	if err != nil {
		panic(err)
	}
	return t
}

// Whoever watches may end it.
func TestWatchEndsRead(t *testing.T) {
	kept(t)
	root := t.TempDir()
	for i := range 50 {
		put(t, root, fmt.Sprint(i, "/a"))
	}
	enough := errors.New("enough")
	asked := 0
	_, err := Read(root, func(string) bool { return true }, func(int) error { asked++; return enough })
	if !errors.Is(err, enough) || asked > 40 {
		t.Errorf("%v after %d folders", err, asked)
	}
}

func TestNoFolder(t *testing.T) {
	kept(t)
	tree := must(Read(filepath.Join(t.TempDir(), "gone"), func(string) bool { return true }, quiet))
	if _, err := tree.Folder(tree.root); !os.IsNotExist(err) {
		t.Errorf("a folder that is not there: %v", err)
	}
	root := t.TempDir()
	put(t, root, "x/a")
	if entries, err := tree.Folder(filepath.Join(root, "x")); err != nil || len(entries) != 1 {
		t.Errorf("a folder outside the tree: %v, %v", entries, err)
	}
}

func FuzzParse(f *testing.F) {
	tree := &Tree{root: "/r", folders: map[string]*folder{"": {entries: []Entry{{"a", Folder}, {"ab.jpg", File}, {"ac.jpg", Link}}, time: 7},
		"a": {entries: []Entry{{"x", Other}}}}}
	path := filepath.Join(f.TempDir(), "list")
	if err := tree.write(path); err != nil {
		f.Fatal(err)
	}
	contents, ok := ledger.Open(path, magic)
	if !ok {
		f.Fatal("the list is not whole")
	}
	f.Add(contents)
	f.Add([]byte("\x02/r\x01\x00\x00\x02\x00\x01a\xf0\x7f\x01b"))
	f.Fuzz(func(t *testing.T, contents []byte) {
		if len(contents) > 1<<14 {
			return
		}
		check.Bounded(t, 64, 5*time.Second, func() {
			for rel, folder := range parse(contents, "/r") {
				for i, e := range folder.entries {
					if e.Kind >= kinds || e.Name == "" || e.Name == ".." || strings.Contains(e.Name, "/") ||
						i > 0 && folder.entries[i-1].Name > e.Name {
						t.Errorf("%q holds %q", rel, folder.entries)
					}
				}
			}
		})
	})
}
