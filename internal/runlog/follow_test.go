package runlog

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// A follower sees every line once, whatever happens to the file, and says when what it saw
// is void.
func TestFollow(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, MetricsFile)
	step := func(n int) string { return fmt.Sprintf(`{"event":"step","step":%d,"loss":1,"x":%[1]d}`+"\n", n) }
	f, end := Follow(dir), FollowEnd(dir, 200)
	var seen, last []int
	resets := 0
	look := func() {
		t.Helper()
		err := f.Next(func() { seen, resets = nil, resets+1 }, func(l Line) {
			if l.Step != nil {
				seen = append(seen, l.Step.Step)
			}
		})
		if err != nil {
			t.Fatal(err)
		}
		if err := end.Next(func() { last = nil }, func(l Line) {
			if l.Step != nil {
				last = append(last, l.Step.Step)
			}
		}); err != nil {
			t.Fatal(err)
		}
	}
	write := func(flag int, text string) {
		t.Helper()
		w, err := os.OpenFile(path, flag|os.O_CREATE|os.O_WRONLY, 0o644)
		if err == nil {
			_, err = w.WriteString(text)
			w.Close()
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	want := func(what string, anew int, steps ...int) {
		t.Helper()
		if !slices.Equal(seen, steps) || resets != anew {
			t.Errorf("%s: %v after %d resets, want %v after %d", what, seen, resets, steps, anew)
		}
	}
	look()
	want("no file", 0)
	write(os.O_APPEND, step(1)+step(2)[:9])
	look()
	want("half a line", 0, 1)
	write(os.O_APPEND, step(2)[9:]+step(3))
	look()
	look()
	want("its rest", 0, 1, 2, 3)
	write(os.O_APPEND, "notes\n"+`{"event":"other"}`+"\n"+step(4))
	look()
	want("a damaged line", 0, 1, 2, 3, 4)
	if f.Damaged != 1 || f.First != `a line is not what a run writes: "notes"` {
		t.Errorf("%d damaged: %s", f.Damaged, f.First)
	}
	os.Truncate(path, int64(len(step(1)+step(2))))
	write(os.O_APPEND, step(13)+step(14)+step(15)+step(16)+step(17))
	look()
	want("cut and gone on", 1, 1, 2, 13, 14, 15, 16, 17)
	if f.Damaged != 0 {
		t.Error("a damaged line that is gone still counts")
	}
	os.Truncate(path, 0)
	look()
	want("emptied", 2)
	os.Remove(path)
	look()
	want("gone", 3)
	var all strings.Builder
	for n := range 50 {
		all.WriteString(step(100 + n))
	}
	write(0, all.String())
	look()
	if len(seen) != 50 {
		t.Errorf("a new file: %v", seen)
	}
	if want := []int{146, 147, 148, 149}; !slices.Equal(last, want) {
		t.Errorf("from the end: %v, want %v", last, want)
	}
	write(os.O_APPEND, step(150))
	look()
	if want := []int{146, 147, 148, 149, 150}; !slices.Equal(last, want) {
		t.Errorf("on from the end: %v, want %v", last, want)
	}
}
