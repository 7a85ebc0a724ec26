package report

import (
	"bytes"
	"cmp"
	_ "embed"
	"fmt"
	"html/template"
	"io"
	"math"
	"slices"
	"strings"

	"vicreg/internal/compare"
	"vicreg/internal/runlog"
	"vicreg/internal/show"
)

// Many are runs that are put side by side. Runs of one name differ in their seeds.
type Many struct {
	Name    string
	Runs    []compare.Run
	Configs [][]byte // the configuration of each
	Made    string   // by which version
}

//go:embed many.html
var manyText string

var manyPage = template.Must(template.New("many").Funcs(functions).Parse(manyText))

// mostColumns is how many differing settings are columns of the table; more are a table of
// their own.
const mostColumns = 5

// manyData is what the template shows.
type manyData struct {
	*Many
	Lead      []string
	Scores    []Panel
	Panels    []Panel
	Keys      []string // of settings that differ,
	Inside    bool     // which are columns of the table
	Rows      []groupRow
	Untrained groupRow
	Same      []Setting
}

// groupRow is a run, or several that differ in their seed, in the table.
type groupRow struct {
	Name, Seeds                 string
	Values                      []string // of the settings that differ
	KNN, Linear, Views          string
	Std, Correlation, Rank      string
	Seconds, Images, Collapsed  string
	Best, HasCollapsed, Unended bool
}

// entry is a group with what is reckoned of it.
type entry struct {
	compare.Group
	settings           []Setting
	views, score       compare.Stat
	viewsBefore        compare.Stat
	std, rank, seconds compare.Stat
	items              int // that the score is a share of, 0 if unknown
}

// WriteMany writes a report of many runs.
func WriteMany(w io.Writer, m *Many) error {
	p := manyData{Many: m}
	entries := m.entries()
	p.Keys, p.Same = apart(entries)
	p.Inside = len(p.Keys) <= mostColumns
	by := judge(entries)
	best := leader(entries)
	for i := range entries {
		p.Rows = append(p.Rows, entries[i].row(p.Keys, i == best))
	}
	p.Untrained = untrained(entries, best)
	p.Lead = lead(entries, by, best)
	p.Scores = dotted(entries, best)
	p.Panels = m.curves(entries, best)
	var b bytes.Buffer
	if err := manyPage.Execute(&b, p); err != nil {
		return err
	}
	_, err := w.Write(b.Bytes())
	return err
}

// entries groups the runs by name, each with the settings of its first.
func (m *Many) entries() (all []entry) {
	config := map[string][]byte{}
	for i, r := range m.Runs {
		if _, ok := config[r.Name]; !ok && i < len(m.Configs) {
			config[r.Name] = m.Configs[i]
		}
	}
	for _, g := range compare.Groups(m.Runs) {
		e := entry{Group: g, settings: Settings(config[g.Name])}
		e.views = g.Stat(func(r compare.Run) *float64 {
			if v := r.Summary.Verdict; v != nil {
				return new(100 * v.Trained.R1)
			}
			return nil
		})
		e.viewsBefore = g.Stat(func(r compare.Run) *float64 {
			if v := r.Summary.Verdict; v != nil && v.Untrained != nil {
				return new(100 * v.Untrained.R1)
			}
			return nil
		})
		e.std = g.Stat(func(r compare.Run) *float64 { return &r.Summary.EmbeddingStd })
		e.rank = g.Stat(func(r compare.Run) *float64 { return &r.Summary.Rank })
		e.seconds = g.Stat(func(r compare.Run) *float64 { return &r.Summary.TrainSeconds })
		all = append(all, e)
	}
	return all
}

// kind is what groups are compared by: a score, which is a share of so many items of each run.
type kind struct {
	name  string
	of    func(*entry) compare.Stat
	items func(runlog.Summary) int
}

var kinds = []kind{
	{"a linear probe", func(e *entry) compare.Stat { return e.Linear }, labelled},
	{"kNN", func(e *entry) compare.Stat { return e.KNN }, labelled},
	{"views that find each other", func(e *entry) compare.Stat { return e.views }, looked},
}

func labelled(s runlog.Summary) int { return s.Scored }

func looked(s runlog.Summary) int {
	if s.Verdict == nil {
		return 0
	}
	return s.Verdict.Items
}

// judge gives the groups their scores, all of the one kind that most of them have, and returns
// its name; empty if there are none.
func judge(all []entry) string {
	best, most := kind{}, 0
	for _, k := range kinds {
		n := 0
		for i := range all {
			if k.of(&all[i]).N > 0 {
				n++
			}
		}
		if n > most {
			best, most = k, n
		}
	}
	if most == 0 {
		return ""
	}
	for i := range all {
		all[i].score, all[i].items = best.of(&all[i]), best.items(all[i].Runs[0].Summary)
	}
	return best.name
}

// leader is the group of the best score, -1 if none has any.
func leader(all []entry) int {
	best := -1
	for i, e := range all {
		if e.score.N > 0 && (best < 0 || e.score.Mean > all[best].score.Mean) {
			best = i
		}
	}
	return best
}

// apart returns the keys of settings in which groups differ, and the settings that are alike.
func apart(all []entry) (keys []string, same []Setting) {
	values := make([]map[string]string, len(all))
	for i, e := range all {
		values[i] = map[string]string{}
		for _, s := range e.settings {
			values[i][s.Key] = s.Value
		}
	}
	seen := map[string]bool{}
	for _, e := range all {
		for _, s := range e.settings {
			if seen[s.Key] || slices.Contains(unsaid, s.Key) && s.Key != "data.source" {
				continue
			}
			seen[s.Key] = true
			differs := slices.ContainsFunc(values, func(v map[string]string) bool { return v[s.Key] != s.Value })
			switch {
			case differs && strings.HasPrefix(s.Key, "normalize."): // measured on the images
			case differs:
				keys = append(keys, s.Key)
			default:
				same = append(same, s)
			}
		}
	}
	return keys, same
}

// row is a group in the table.
func (e *entry) row(keys []string, best bool) groupRow {
	s := e.Runs[0].Summary
	mean := func(of func(runlog.Summary) float64) float64 {
		return e.Stat(func(r compare.Run) *float64 { return new(of(r.Summary)) }).Mean
	}
	r := groupRow{Name: e.Name, KNN: e.KNN.String(), Linear: e.Linear.String(), Views: e.views.String(), Best: best,
		Std:         three(e.std.Mean),
		Correlation: three(mean(func(s runlog.Summary) float64 { return s.Correlation })),
		Rank:        tenths(e.rank.Mean),
		Seconds:     took(e.seconds.Mean),
		Images:      figure(mean(func(s runlog.Summary) float64 { return s.ImagesPerSecond })),
		Unended:     s.Method == "",
	}
	if n := len(e.Runs); n > 1 {
		r.Seeds = show.Count(n, "seed")
	}
	collapsed := 0
	for _, run := range e.Runs {
		if run.Summary.Collapsed {
			collapsed++
		}
	}
	switch {
	case collapsed == 0:
		r.Collapsed = "no"
	case collapsed == len(e.Runs):
		r.Collapsed, r.HasCollapsed = "yes", true
	default:
		r.Collapsed, r.HasCollapsed = fmt.Sprintf("%d of %d", collapsed, len(e.Runs)), true
	}
	if !e.Embedded() {
		r.Std, r.Correlation, r.Rank, r.Collapsed = "–", "–", "–", "–"
	}
	for _, k := range keys {
		value := "–"
		for _, s := range e.settings {
			if s.Key == k {
				value = cmp.Or(s.Value, "–")
			}
		}
		r.Values = append(r.Values, value)
	}
	return r
}

// untrained is the row of the best run's encoder before any training.
func untrained(all []entry, best int) (r groupRow) {
	e := all[max(best, 0)]
	return groupRow{Name: "untrained", KNN: e.UntrainedKNN.String(), Linear: e.UntrainedLinear.String(),
		Views: e.viewsBefore.String()}
}

// lead says in plain sentences what came out.
func lead(all []entry, by string, best int) (text []string) {
	if best < 0 {
		return []string{"None of the runs has a score or a verdict yet."}
	}
	b := all[best]
	text = append(text, fmt.Sprintf("By %s “%s” is best, with %s%%.", by, show.Line(b.Name), b.score))
	var without, others []string
	next := -1
	for i, e := range all {
		name := "“" + show.Line(e.Name) + "”"
		if e.score.N == 0 {
			without = append(without, name)
		} else if e.items != b.items && e.items > 0 && b.items > 0 {
			others = append(others, fmt.Sprintf("%s of %d", name, e.items))
		}
		if i != best && e.score.N > 0 && (next < 0 || e.score.Mean > all[next].score.Mean) {
			next = i
		}
	}
	if next >= 0 {
		gap, edge := b.score.Mean-all[next].score.Mean, 2*math.Hypot(b.spread(), all[next].spread())
		is := "more than chance in which images, or seeds, were taken"
		if gap <= edge {
			is = "within what chance in images and seeds makes"
		}
		if edge > 0 {
			text = append(text, fmt.Sprintf("It is %.1f points ahead of “%s”, %s.", gap, show.Line(all[next].Name), is))
		}
	}
	if len(without) > 0 {
		text = append(text, fmt.Sprintf("No such figure: %s.", strings.Join(without, ", ")))
	}
	if len(others) > 0 {
		text = append(text, fmt.Sprintf("The figures are not of the same images, so they are not quite comparable: “%s” was measured on %d, %s.",
			show.Line(b.Name), b.items, strings.Join(others, ", ")))
	}
	for i := range all {
		if below := all[i].Below(); below != "" {
			text = append(text, fmt.Sprintf("“%s”: %s.", show.Line(all[i].Name), below))
		}
	}
	var down []string
	for _, e := range all {
		if slices.ContainsFunc(e.Runs, func(r compare.Run) bool { return r.Summary.Collapsed }) {
			down = append(down, "“"+show.Line(e.Name)+"”")
		}
	}
	if len(down) > 0 {
		text = append(text, fmt.Sprintf("Collapsed: %s.", strings.Join(down, ", ")))
	} else {
		text = append(text, "Nothing has collapsed.")
	}
	return text
}

// spread is the standard error of a group's score: of the mean over its seeds, or of one run
// that of a share.
func (e *entry) spread() float64 {
	if e.score.N > 1 {
		return e.score.Deviation / math.Sqrt(float64(e.score.N))
	}
	return single(e.score.Mean, e.items)
}

// single is the standard error of a share in per cent of n items, 0 if n is not known.
func single(percent float64, n int) float64 {
	if n <= 0 {
		return 0
	}
	return 100 * noise(percent/100, n)
}
