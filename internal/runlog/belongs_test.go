package runlog

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

// ended writes a folder whose run has ended, each file of it holding text.
func ended(t *testing.T, text string) (dir string, s *Summary) {
	t.Helper()
	dir = t.TempDir()
	s = &Summary{Method: "vicreg", Epochs: 2, Steps: 4, Loss: 1.5, Files: map[string]string{}}
	for name, raw := range map[string]string{
		ConfigFile:     "method: vicreg\nepochs: 2\n",
		MetricsFile:    `{"event":"epoch","epoch":2,"step":4,"loss":1.5,"x":"` + text + "\"}\n",
		ModelFile:      "\x05\x00\x00\x00\x00\x00\x00\x00" + text[:5] + "data",
		CheckpointFile: "\x05\x00\x00\x00\x00\x00\x00\x00" + text[:5] + "more data",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(raw), 0o644); err != nil {
			t.Fatal(err)
		}
		sum, err := Sum(dir, name)
		if err != nil {
			t.Fatal(err)
		}
		s.Files[name] = sum
	}
	if err := WriteSummary(dir, s); err != nil {
		t.Fatal(err)
	}
	return dir, s
}

// A summary is believed in the folder of its own run alone, and tells what changed
// there.
func TestSummaryBelongsToItsRun(t *testing.T) {
	for what, c := range map[string]struct {
		replace, remove []string
		edit            map[string]string
		foreign         bool
		changed         []string
	}{
		"as it was":              {},
		"another summary":        {replace: []string{SummaryFile}, foreign: true},
		"another model":          {replace: []string{ModelFile}, changed: []string{ModelFile}},
		"another checkpoint":     {replace: []string{CheckpointFile}, changed: []string{CheckpointFile}},
		"other metrics":          {replace: []string{MetricsFile}, changed: []string{MetricsFile}},
		"all others":             {replace: []string{MetricsFile, ModelFile, CheckpointFile}, foreign: true},
		"no metrics":             {remove: []string{MetricsFile}},
		"only the configuration": {remove: []string{MetricsFile, ModelFile, CheckpointFile}},
		"only another configuration": {remove: []string{MetricsFile, ModelFile, CheckpointFile},
			edit: map[string]string{ConfigFile: "method: byol\n"}, foreign: true},
		"an edited configuration":    {edit: map[string]string{ConfigFile: "method: vicreg\nepochs: 3\n"}, changed: []string{ConfigFile}},
		"an emptied model":           {edit: map[string]string{ModelFile: ""}, changed: []string{ModelFile}},
		"a model with a huge header": {edit: map[string]string{ModelFile: "\xff\xff\xff\xff\xff\xff\xff\xff"}, changed: []string{ModelFile}},
		"another header, same data":  {edit: map[string]string{ModelFile: "\x05\x00\x00\x00\x00\x00\x00\x00firsTdata"}, changed: []string{ModelFile}},
	} {
		dir, _ := ended(t, "first")
		other, _ := ended(t, "second")
		for _, name := range c.replace {
			raw, _ := os.ReadFile(filepath.Join(other, name))
			os.WriteFile(filepath.Join(dir, name), raw, 0o644)
		}
		for _, name := range c.remove {
			os.Remove(filepath.Join(dir, name))
		}
		for name, raw := range c.edit {
			os.WriteFile(filepath.Join(dir, name), []byte(raw), 0o644)
		}
		s, err := ReadSummary(dir)
		foreign := new(Foreign)
		if errors.As(err, &foreign) != c.foreign || err != nil && !c.foreign {
			t.Errorf("%s: %v", what, err)
		}
		if err == nil && !reflect.DeepEqual(s.Changed, c.changed) {
			t.Errorf("%s: changed are %v, want %v", what, s.Changed, c.changed)
		}
	}
}

// A summary of an older version is held against the figures that it shares with
// other files.
func TestOlderSummaryBelongsToItsRun(t *testing.T) {
	for what, c := range map[string]struct {
		change  func(s *Summary)
		metrics bool
		foreign bool
		changed []string
	}{
		"as it was":               {func(*Summary) {}, true, false, nil},
		"another loss":            {func(s *Summary) { s.Loss = 1.25 }, true, true, nil},
		"more epochs":             {func(s *Summary) { s.Epochs = 3 }, true, true, nil},
		"other steps":             {func(s *Summary) { s.Steps = 5 }, true, true, nil},
		"another configuration":   {func(s *Summary) { s.Method = "byol" }, true, false, []string{ConfigFile}},
		"another, and no metrics": {func(s *Summary) { s.Method = "byol" }, false, true, nil},
		"no metrics":              {func(s *Summary) { s.Loss = 3 }, false, false, nil},
	} {
		dir, s := ended(t, "first")
		s.Files = nil
		c.change(s)
		if err := WriteSummary(dir, s); err != nil {
			t.Fatal(err)
		}
		if !c.metrics {
			os.Remove(filepath.Join(dir, MetricsFile))
		}
		got, err := ReadSummary(dir)
		foreign := new(Foreign)
		if errors.As(err, &foreign) != c.foreign || err != nil && !c.foreign {
			t.Errorf("%s: %v", what, err)
		}
		if err == nil && !reflect.DeepEqual(got.Changed, c.changed) {
			t.Errorf("%s: changed are %v, want %v", what, got.Changed, c.changed)
		}
	}
}

func TestSummaryWithoutItsKeys(t *testing.T) {
	for _, raw := range []string{"{}", `{"method":"vicreg"}`, `{"method":"vicreg","images":8,"epochs":1,"steps":4}`} {
		if _, err := parseSummary([]byte(raw)); err == nil || !strings.Contains(err.Error(), "it has no ") {
			t.Errorf("%s: %v", raw, err)
		}
	}
}

// Whatever others do to the log while it is written, it ends readable, and the run
// can say what happened.
func TestMend(t *testing.T) {
	line := func(n int) Warning { return Warning{Event: "warning", Epoch: 1, Step: n, Message: "x"} }
	for what, c := range map[string]struct {
		do    func(path string) error
		note  string
		lines []int
		aside string
	}{
		"nothing": {func(string) error { return nil }, "", []int{1, 2, 3}, ""},
		"emptied": {func(path string) error { return os.Truncate(path, 0) }, "was changed by another program while the run wrote it; the run goes on with what was left of it", []int{2, 3}, ""},
		"cut":     {func(path string) error { return os.Truncate(path, 20) }, "was changed", []int{3}, ""},
		"removed": {os.Remove, "was removed by another program while the run wrote it; the run goes on with all that it held", []int{1, 2, 3}, ""},
		"replaced": {func(path string) error {
			return errors.Join(os.Remove(path), os.WriteFile(path, []byte("mine"), 0o644))
		}, "was replaced, by what is now ", []int{1, 2, 3}, "mine"},
		"a link": {func(path string) error { return errors.Join(os.Remove(path), os.Symlink("nothing", path)) },
			"was replaced", []int{1, 2, 3}, ""},
		"rotated": {func(path string) error { return os.Rename(path, path+".old") }, "was removed", []int{1, 2, 3}, ""},
		"written to": {func(path string) error {
			f, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
			if err != nil {
				return err
			}
			_, err = f.WriteString("a line of mine\n")
			return errors.Join(err, f.Close())
		}, "was changed", []int{1, 2, 3}, ""},
	} {
		dir := t.TempDir()
		path := filepath.Join(dir, MetricsFile)
		l, _, err := Open(dir, Mark{})
		if err == nil {
			err = errors.Join(l.Write(line(1)), c.do(path), l.Write(line(2)))
		}
		if err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		note, err := l.Mend()
		if err != nil || (note == "") != (c.note == "") || !strings.Contains(note, c.note) {
			t.Errorf("%s: %q, %v", what, note, err)
		}
		if err := l.Write(line(3)); err != nil {
			t.Errorf("%s: %v", what, err)
		}
		if note, err := l.Mend(); note != "" || err != nil {
			t.Errorf("%s: twice: %q, %v", what, note, err)
		}
		mark, err := l.Sync()
		if err != nil {
			t.Errorf("%s: %v", what, err)
		}
		l.Close()
		m, err := ReadMetrics(dir)
		if err != nil {
			t.Errorf("%s: %v", what, err)
			continue
		}
		var lines []int
		for _, w := range m.Warnings {
			lines = append(lines, w.Step)
		}
		if !reflect.DeepEqual(lines, c.lines) {
			t.Errorf("%s: lines %v are left, want %v", what, lines, c.lines)
		}
		if sum, err := Sum(dir, MetricsFile); err != nil || sum != mark.Sum {
			t.Errorf("%s: the checksum is %s, want %s, %v", what, mark.Sum, sum, err)
		}
		if _, _, err := Open(dir, mark); err != nil {
			t.Errorf("%s: %v", what, err)
		}
		raw, err := os.ReadFile(path + ".other1")
		if c.aside != string(raw) || err != nil && !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s: aside is %q, %v", what, raw, err)
		}
	}
}
