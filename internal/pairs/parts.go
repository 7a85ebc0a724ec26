package pairs

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"vicreg/internal/dataset"
	"vicreg/internal/show"
	"vicreg/internal/table"
)

// splitBy divides the rows as a column says.
func (d *Data) splitBy(t *table.Table, column string) (train, test *Data, err error) {
	c, err := t.Column(column)
	if err != nil {
		return nil, nil, fmt.Errorf("split: %w", err)
	}
	parts := map[string][]Row{}
	for i, r := range t.Rows {
		part := "train" // of a broken row, which Scan counts and leaves out
		switch value := strings.ToLower(strings.TrimSpace(r.Cells[c])); value {
		case "train", "training":
			part = "train"
		case "test", "testing":
			part = "test"
		case "val", "valid", "validation", "dev":
			part = "val"
		default:
			if r.Err == nil {
				return nil, nil, fmt.Errorf("%s: %s: %s is %s, but must be train, test or val", t.Name, r.RowName(), column, table.Clip(r.Cells[c]))
			}
		}
		parts[part] = append(parts[part], d.Rows[i])
	}
	if len(parts["train"]) == 0 {
		return nil, nil, fmt.Errorf("%s: no row has train in column %s", t.Name, column)
	}
	rest := *d
	held, blank := "test", false
	if n := len(parts["test"]); n == 0 {
		held = "val"
	} else if blank = d.Classes != nil && !labelled(parts["test"]) && labelled(parts["val"]); blank {
		held = "val"
		rest.Notes = append(rest.Notes, fmt.Sprintf("%s: %s of test in column %s left out, as none has a label; those of val are scored on",
			t.Name, show.Plural(n, "row is", "rows are"), column))
	}
	rest.Rows = parts["train"]
	rest.About = fmt.Sprintf("%d rows of %s to train on", len(rest.Rows), t.Name)
	if len(parts[held]) > 0 {
		out := *d
		out.Rows = parts[held]
		rest.About += fmt.Sprintf(", %d (%s) to score on", len(out.Rows), held)
		test = &out
	}
	rest.Notes = append(rest.Notes, d.shared(t.Name, parts["train"], parts[held])...)
	if held == "val" && !blank && len(parts[held]) > 0 {
		rest.Notes = append(rest.Notes, fmt.Sprintf("%s: column %s has no rows of test; those of val are scored on", t.Name, column))
	}
	if n := len(parts["val"]); held == "test" && n > 0 {
		rest.About += fmt.Sprintf("; %d (val) are left out", n)
		rest.Notes = append(rest.Notes, fmt.Sprintf("%s: %s of val in column %s left out, since there are rows of test to score on", t.Name, show.Plural(n, "row is", "rows are"), column))
	}
	return &rest, test, nil
}

// labelled reports whether any of some rows has a label.
func labelled(rows []Row) bool {
	return slices.ContainsFunc(rows, func(r Row) bool { return r.Label >= 0 })
}

// shared says how many rows to score on name files that rows to train on name as well.
func (d *Data) shared(name string, train, test []Row) []string {
	real, trained := d.real(), map[string]*Row{}
	each := func(rows []Row, see func(r *Row, file string) bool) {
		for i := range rows {
			for s := range d.sides {
				if r := &rows[i]; r.err == nil && d.sides[s].files() && !table.Missing(r.cells[s][0]) &&
					see(r, real(r.cells[s][0])) {
					break
				}
			}
		}
	}
	each(train, func(r *Row, file string) bool {
		trained[file] = r
		return false
	})
	n, first := 0, ""
	each(test, func(r *Row, file string) bool {
		twin := trained[file]
		if twin == nil {
			return false
		}
		if n++; n == 1 {
			first = fmt.Sprintf("%s (as %s)", r.name(), twin.name())
		}
		return true
	})
	if n == 0 {
		return nil
	}
	return []string{fmt.Sprintf("%s: %s of a file that is trained on, too, the first %s; scores come out too high", name, show.Plural(n, "row to score on is", "rows to score on are"), first)}
}

// unsplit tells of a column called split that nobody asks for.
func (d *Data) unsplit(t *table.Table, asked []string) {
	for _, c := range t.Columns {
		if strings.EqualFold(strings.TrimSpace(c), "split") && !slices.Contains(asked, c) {
			d.Notes = append(d.Notes, fmt.Sprintf("%s: column %s is not used; if it says which rows are to train on and which to test, name it by --split", t.Name, show.Name(c)))
		}
	}
}

// parted divides the rows into the first n, which train, and the others, which score.
func (d *Data) parted(n int, part string) (train, test *Data) {
	rest, out := *d, *d
	rest.Rows, out.Rows = d.Rows[:n:n], d.Rows[n:]
	rest.About = fmt.Sprintf("%d rows of %s to train on, %d (%s) to score on", n, d.manifest, len(out.Rows), part)
	return &rest, &out
}

// holdOut keeps a share of each class for scoring, see [Open].
func (d *Data) holdOut(share float64) (train, test *Data) {
	if share == 0 {
		return d, nil
	}
	groups := d.groups()
	size := make([]int, len(d.Classes)+1) // groups of each class, the last without
	class := func(g []int) int {
		if l := d.Rows[g[0]].Label; l >= 0 {
			return l
		}
		return len(d.Classes)
	}
	for _, g := range groups {
		size[class(g)]++
	}
	const slack = 1e-9 // a share such as 0.1 is not exact
	seen := make([]int, len(size))
	out := make([]bool, len(d.Rows))
	held := 0
	for _, g := range groups {
		c := class(g)
		m := size[c]
		want := max(min(int(float64(m)*share+slack), m-1), min(1, m-1))
		// Group j of m goes to the test part if the count that is due rises after it.
		j := seen[c]
		seen[c]++
		if (j+1)*want/m > j*want/m {
			held += len(g)
			for _, i := range g {
				out[i] = true
			}
		}
	}
	if held == 0 {
		d.Notes = append(d.Notes, fmt.Sprintf("%s: nothing is held out to score on, since every class has one row only, or rows that share a file", d.manifest))
		return d, nil
	}
	rest, other := *d, *d
	rest.Rows, other.Rows = nil, nil
	for i, r := range d.Rows {
		if out[i] {
			other.Rows = append(other.Rows, r)
		} else {
			rest.Rows = append(rest.Rows, r)
		}
	}
	rest.About += fmt.Sprintf("; %d of them held out for scoring", held)
	return &rest, &other
}

// groups returns the rows in groups that share files, directly or through other rows.
// Each group is in order, and groups are ordered by their first rows.
func (d *Data) groups() [][]int {
	above := make([]int, len(d.Rows)) // a forest; the root of a tree is its first row
	root := func(i int) int {
		for above[i] != i {
			above[i] = above[above[i]]
			i = above[i]
		}
		return i
	}
	first, real := map[string]int{}, d.real()
	for i, r := range d.Rows {
		above[i] = i
		for s := range d.sides {
			if !d.sides[s].files() || table.Blank(r.cells[s][0]) {
				continue
			}
			if table.Missing(r.cells[s][0]) && d.present(d.path(r.cells[s][0])) != nil {
				continue // NA and the like, which no rows share
			}
			file := real(r.cells[s][0])
			j, ok := first[file]
			if !ok {
				first[file] = i
				continue
			}
			a, b := root(i), root(j)
			above[max(a, b)] = min(a, b)
		}
	}
	at := make([]int, len(d.Rows))
	var groups [][]int
	for i := range d.Rows {
		r := root(i)
		if r == i {
			at[i] = len(groups)
			groups = append(groups, nil)
		}
		groups[at[r]] = append(groups[at[r]], i)
	}
	return groups
}

// real returns a function that returns where a file that the manifest names really lies,
// by whichever path it is named. It looks at each folder once.
func (d *Data) real() func(name string) string {
	reals := map[string]string{}
	return func(name string) string {
		if d.files != nil {
			return name
		}
		dir, file := filepath.Split(d.path(name))
		real, ok := reals[dir]
		if !ok {
			var err error
			if real, err = dataset.RealPath(dir); err != nil {
				real = filepath.Clean(dir)
			}
			reals[dir] = real
		}
		return filepath.Join(real, file)
	}
}

// Some returns the data with only the rows of some indices, any of which may occur more
// than once.
func (d *Data) Some(rows []int) *Data {
	some := *d
	some.Rows, some.Notes = make([]Row, len(rows)), nil
	for i, row := range rows {
		some.Rows[i] = d.Rows[row]
	}
	return &some
}

// limit keeps n rows spread evenly.
func (d *Data) limit(n int) {
	if n <= 0 || n >= len(d.Rows) {
		return
	}
	kept := make([]Row, n)
	for i := range kept {
		kept[i] = d.Rows[i*len(d.Rows)/n]
	}
	d.Rows = kept
}
