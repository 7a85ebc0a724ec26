package dataset

import (
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"
)

func TestDiffer(t *testing.T) {
	root := t.TempDir()
	path := func(i int) string { return filepath.Join(root, fmt.Sprintf("%04d.bmp", i)) }
	write := func(i int, content string) {
		if err := os.WriteFile(path(i), []byte(content), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	long := strings.Repeat("a", 5000)
	const n = 30
	for i := range n {
		write(i, fmt.Sprint(i)+long)
	}
	sums := func() string {
		train, test, err := Open(root, Options{})
		if err != nil {
			t.Fatal(err)
		}
		return FilesOf(train, test).Sums()
	}
	then := sums()
	for _, c := range []struct {
		name   string
		change func()
		undo   func()
		want   int
	}{
		{"nothing", func() {}, func() {}, -1},
		{"a later time", func() { os.Chtimes(path(7), time.Now(), time.Now().Add(time.Hour)) }, func() {}, -1},
		{"another size", func() { write(7, "b") }, func() { write(7, "7"+long) }, 7},
		{"as many other bytes", func() { write(8, "8"+strings.Repeat("b", 5000)) }, func() { write(8, "8"+long) }, 8},
		{"two", func() { write(3, "b"); write(29, "b") }, func() { write(3, "3"+long); write(29, "29"+long) }, 3},
		{"one gone", func() { os.Remove(path(9)) }, func() { write(9, "9"+long) }, 9},
		{"the last gone", func() { os.Remove(path(29)) }, func() { write(29, "29"+long) }, 29},
		{"one more", func() { write(30, "x") }, func() { os.Remove(path(30)) }, 30},
		{"one more between", func() { os.WriteFile(filepath.Join(root, "0004b.bmp"), nil, 0o666) },
			func() { os.Remove(filepath.Join(root, "0004b.bmp")) }, 5},
		{"unreadable", func() { os.Remove(path(5)); os.Symlink("nowhere", path(5)) },
			func() { os.Remove(path(5)); write(5, "5"+long) }, 5},
	} {
		c.change()
		if got := first(Differ(then, sums())); got != c.want {
			t.Errorf("%s: %d, want %d", c.name, got, c.want)
		}
		c.undo()
	}
	if Differ(then, sums()) != nil {
		t.Error("changed for good")
	}

	// Where there are very many, several share a sum.
	for _, n := range []int{0, 1, sumGroups, sumGroups + 1, 5*sumGroups - 3} {
		name := "x"
		f := Files{n, func(i int) (string, string) {
			if i == n/2 {
				return name, ""
			}
			return "a", ""
		}}
		then := f.Sums()
		name = "y"
		got := first(Differ(then, f.Sums()))
		if from, to := f.Group(got); n > 0 && (from > n/2 || to <= n/2) {
			t.Errorf("of %d: group %d to %d", n, from, to)
		}
		if n > 0 && (got < n/2 || got >= n/2+groupOf(n)) || n == 0 && got != -1 {
			t.Errorf("of %d: %d, not %d", n, got, n/2)
		}
		if len(then) > 200_000 {
			t.Errorf("sums of %d take %d bytes", n, len(then))
		}
	}
	for _, none := range []string{"", "?", "AAAA", "AAAAAQ=="} {
		if Differ(none, then) != nil || Differ(then, none) != nil {
			t.Errorf("%q tells something", none)
		}
	}
}

// What is new is told from what only moved, and what is gone is counted.
func TestChanges(t *testing.T) {
	sums := func(names ...string) string {
		return Files{len(names), func(i int) (string, string) { return names[i], "" }}.Sums()
	}
	then := sums("a", "b", "c", "d", "d")
	for _, c := range []struct {
		now  []string
		want Change
	}{
		{[]string{"a", "b", "c", "d", "d"}, Change{5, 5, nil, 0}},
		{[]string{"d", "c", "a", "d", "b"}, Change{5, 5, nil, 0}},
		{[]string{"a", "c", "d", "d"}, Change{5, 4, nil, 1}},
		{[]string{"c", "d", "d", "a"}, Change{5, 4, nil, 1}},
		{[]string{"a", "b", "c", "d"}, Change{5, 4, nil, 1}},
		{[]string{"a", "b", "bb", "c", "d", "d"}, Change{5, 6, []int{2}, 0}},
		{[]string{"x", "a", "c", "d", "d", "y"}, Change{5, 6, []int{0, 5}, 1}},
		{nil, Change{5, 0, nil, 5}},
	} {
		if got, ok := Changes(then, sums(c.now...)); !ok || !reflect.DeepEqual(got, c.want) {
			t.Errorf("%q: %+v, want %+v", c.now, got, c.want)
		}
	}
	many := make([]string, 2*sumSampled)
	if got, ok := Changes(sums(many...), sums(many[1:]...)); !ok ||
		!reflect.DeepEqual(got, Change{len(many), len(many) - 1, nil, 0}) {
		t.Errorf("many: %+v", got)
	}
	if _, ok := Changes("", then); ok {
		t.Error("nothing tells something")
	}
}

// first returns the first of some indices, -1 of none.
func first(list []int) int {
	if list == nil {
		return -1
	}
	return list[0]
}
