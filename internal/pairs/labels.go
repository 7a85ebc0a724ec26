package pairs

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"vicreg/internal/show"
	"vicreg/internal/table"
)

// label reads the classes. A row without one keeps -1.
func (d *Data) label(t *table.Table, column string) error {
	c, err := t.Column(column)
	if err != nil {
		return fmt.Errorf("label: %w", err)
	}
	names := make([]string, len(t.Rows))
	count := map[string]int{}
	none := table.Tally{}
	for i, r := range t.Rows {
		switch names[i] = strings.TrimSpace(r.Cells[c]); {
		case r.Err != nil:
			names[i] = ""
		case names[i] == "":
			none.AddRow(r)
		default:
			count[names[i]]++
		}
	}
	d.Classes = slices.Sorted(maps.Keys(count))
	if len(d.Classes) == 0 {
		return fmt.Errorf("label: %s: column %q is empty in every row", t.Name, column)
	}
	for i, name := range names {
		if name != "" {
			d.Rows[i].Label, _ = slices.BinarySearch(d.Classes, name)
		}
	}
	if none.N > 0 {
		d.Notes = append(d.Notes, none.Note(t.Name, "row has no "+column+", and is never scored", "rows have no "+column+", and are never scored"))
	}
	d.Notes = append(d.Notes, table.Doubtful(t.Name, column, count)...)
	return nil
}

// oneSided names classes that the rows to train on, or those to score on, lack.
func oneSided(train, test *Data) []string {
	if test == nil || train.Classes == nil {
		return nil
	}
	in := func(d *Data) []bool {
		has := make([]bool, len(train.Classes))
		for _, r := range d.Rows {
			if r.Label >= 0 {
				has[r.Label] = true
			}
		}
		return has
	}
	trained, scored := in(train), in(test)
	var unknown, unseen []string
	for i, name := range train.Classes {
		switch {
		case !trained[i] && scored[i]:
			unknown = append(unknown, table.Clip(name))
		case trained[i] && !scored[i]:
			unseen = append(unseen, table.Clip(name))
		}
	}
	var notes []string
	if len(unknown) > 0 {
		notes = append(notes, fmt.Sprintf("%s: no rows to train on, only to score on, of %s: %s", train.manifest, show.Plural(len(unknown), "class", "classes"), table.Some(unknown)))
	}
	if len(unseen) > 0 {
		notes = append(notes, fmt.Sprintf("%s: no rows to score on, only to train on, of %s: %s", train.manifest, show.Plural(len(unseen), "class", "classes"), table.Some(unseen)))
	}
	return notes
}
