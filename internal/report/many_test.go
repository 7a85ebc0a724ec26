package report

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"

	"vicreg/internal/compare"
	"vicreg/internal/runlog"
)

// several are groups of runs whose linear probes score as given, each group of some seeds.
func several(scores map[string][]float64, configs map[string]string) *Many {
	m := &Many{Name: "<b>many</b>", Made: "Written by a test."}
	for _, name := range sorted(scores) {
		for _, s := range scores[name] {
			before := 0.5
			m.Runs = append(m.Runs, compare.Run{Name: name, Summary: runlog.Summary{Method: "vicreg",
				Scores: runlog.Scores{KNN: new(s - 0.1), Linear: new(s), RandomInitKNN: &before,
					RandomInitLinear: &before, Scored: 1000}, Collapsed: s < 0.4},
				Epochs: []runlog.Epoch{{Epoch: 1, KNN: new(s - 0.2), Rank: 5}, {Epoch: 2, KNN: new(s - 0.1), Rank: 9}}})
			m.Configs = append(m.Configs, []byte(configs[name]))
		}
	}
	return m
}

// unlike are a run with scores and two without, measured on other images.
func unlike() *Many {
	m := several(map[string][]float64{"a": {0.9}}, nil)
	for name, items := range map[string]int{"b": 80, "c": 256} {
		v := &runlog.Verdict{Trained: runlog.Sight{R1: 0.2}, Items: items}
		if name == "c" {
			v.Trained.R1 = 0.1
		}
		m.Runs = append(m.Runs, compare.Run{Name: name, Summary: runlog.Summary{Method: "vicreg", Verdict: v}})
		m.Configs = append(m.Configs, nil)
	}
	return m
}

func sorted(m map[string][]float64) (names []string) {
	for name := range m {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

func TestMany(t *testing.T) {
	var long strings.Builder
	for i := range 9 {
		fmt.Fprintf(&long, "key%d: 1\n", i)
	}
	for name, c := range map[string]struct {
		m    *Many
		want []string
		not  string
	}{
		"seeds": {several(map[string][]float64{"a": {0.6, 0.64}, "b": {0.9, 0.9}, "<i>": {0.3}},
			map[string]string{"a": "batch: 8\nsize: 3\nseed: 1\n", "b": "batch: 9\nsize: 3\nseed: 2\n", "<i>": "batch: 9\nsize: 3\n"}),
			[]string{"By a linear probe “b” is best, with 90.00 ± 0.00%.", "28.0 points ahead of “a”, more than chance",
				"62.00 ± 2.83", "(2 seeds)", "Collapsed: “&lt;i&gt;”.", "<th>batch</th>", "Settings that all share (1)",
				"untrained 50.0", ">b</text>", "kNN while training"}, "<i>"},
		"noise": {several(map[string][]float64{"a": {0.6}, "b": {0.61}}, nil),
			[]string{"within what chance in images and seeds makes", "They differ in no setting", "Nothing has collapsed."}, "more than chance"},
		"many settings": {several(map[string][]float64{"a": {0.6}, "b": {0.61}},
			map[string]string{"a": long.String(), "b": strings.ReplaceAll(long.String(), "1", "2")}),
			[]string{"<th>setting</th>", "key8"}, "stands in the table above"},
		"figures of several kinds": {unlike(), []string{"By views that find each other “b” is best, with 20.00%.",
			"No such figure: “a”.", "“b” was measured on 80, “c” of 256."}, "points ahead of “a”"},
		"below untrained": {several(map[string][]float64{"a": {0.45}, "b": {0.46}}, nil),
			[]string{"“a”: kNN and linear probe are below the untrained encoder"}, ""},
		"one epoch, and one taught classes": {&Many{Runs: []compare.Run{
			{Name: "a", Epochs: []runlog.Epoch{{Epoch: 1, Rank: 5, EmbeddingStd: 0.2}}, Summary: runlog.Summary{Rank: 5}},
			{Name: "b", Epochs: []runlog.Epoch{{Epoch: 3}}}}, Configs: [][]byte{nil, nil}},
			[]string{`r="2.4"`, `class="lead"`, `<td class="n">–</td><td class="n">–</td><td class="n">–</td><td>–</td>`}, ">b</text>"},
		"none": {&Many{Runs: []compare.Run{{Name: "a"}}, Configs: [][]byte{nil}}, []string{"None of the runs has a score"}, "<circle"},
	} {
		var b bytes.Buffer
		if err := WriteMany(&b, c.m); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		page := b.String()
		for _, want := range c.want {
			if !strings.Contains(page, want) {
				t.Errorf("%s: the page lacks %q", name, want)
			}
		}
		for _, not := range []string{c.not, "<script", "http", "NaN", "<b>many", "src="} {
			if not != "" && strings.Contains(page, not) {
				t.Errorf("%s: the page has %q", name, not)
			}
		}
	}
}
