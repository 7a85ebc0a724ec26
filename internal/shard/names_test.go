package shard

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestNames(t *testing.T) {
	for _, c := range []struct {
		pattern string
		want    string // joined by spaces
	}{
		{"a.tar", "a.tar"},
		{"t-{0..2}.tar", "t-0.tar t-1.tar t-2.tar"},
		{"t-{008..011}.tar", "t-008.tar t-009.tar t-010.tar t-011.tar"},
		{"t-{8..011}.tar", "t-008.tar t-009.tar t-010.tar t-011.tar"},
		{"t-{3..1}", "t-3 t-2 t-1"},
		{"t-{0..9..4}", "t-0 t-4 t-8"},
		{"t-{9..0..4}", "t-9 t-5 t-1"},
		{"{a..c}", "a b c"},
		{"{train,val}-{0..1}", "train-0 train-1 val-0 val-1"},
		{"{a,b{1..2},}x", "ax b1x b2x x"},
		{"x{1}y{}", "x{1}y{}"},
		{"{-1..1}", "-1 0 1"},
		{"a.tar::b-{0..1}.tar::a.tar", "a.tar b-0.tar b-1.tar"},
		{"{x{0..1}}", "{x0} {x1}"},
	} {
		got, err := Names(c.pattern)
		if err != nil || strings.Join(got, " ") != c.want {
			t.Errorf("%s stands for %q, %v; want %q", c.pattern, got, err, c.want)
		}
	}
	for pattern, want := range map[string]string{
		"a{0..1":                    "is not closed",
		"{0..999999}{0..999999}":    "more than",
		"{0..99999999999}":          "more than",
		"a.tar::":                   "nothing stands before or after",
		"nothing-here-*.tar":        "no file has such a name",
		"{0..1048575}::b":           "more than",
		strings.Repeat("{a,b}", 40): "more than",
	} {
		if _, err := Names(pattern); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", pattern, err, want)
		}
	}
}

func TestNamesOfStars(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"b-1.tar", "b-0.tar", "c.tar", "x[1].tar"} {
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o666); err != nil {
			t.Fatal(err)
		}
	}
	for pattern, want := range map[string][]string{
		"b-*.tar":       {"b-0.tar", "b-1.tar"},
		"{c,b}-?.tar":   nil,
		"[bc]*.tar":     {"b-0.tar", "b-1.tar", "c.tar"},
		"x[1].tar":      {"x[1].tar"},
		"c.tar::b*.tar": nil,
	} {
		got, err := Names(filepath.Join(dir, pattern))
		for i := range got {
			got[i] = filepath.Base(got[i])
		}
		if want != nil && (err != nil || !slices.Equal(got, want)) || want == nil && err == nil && pattern == "{c,b}-?.tar" {
			t.Errorf("%s stands for %q, %v; want %q", pattern, got, err, want)
		}
	}
}
