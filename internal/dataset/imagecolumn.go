package dataset

import (
	"cmp"
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"

	"vicreg/internal/imagefile"
	"vicreg/internal/table"
)

// mostRows are looked at to find the column that names images, spread over all.
const mostRows = 1000

// naming is how well a column of a file of labels names images.
type naming struct {
	column int
	tier   int  // of its name: the better, the higher
	found  int  // rows that name an image
	whole  bool // most of them as names of files, with their endings
}

// Tiers of the names of columns. What is called id may just count the rows.
const (
	labelTier = iota - 1 // it is called as a column of labels is
	noTier               // its name tells nothing
	weakTier             // name, id
	idTier               // image_id
	pathTier             // path, file, image
)

// tierOf is that of a column's name.
func tierOf(column string) int {
	switch name := simple(column); {
	case slices.Contains([]string{"name", "id"}, name):
		return weakTier
	case slices.Contains([]string{"imageid", "imgid"}, name):
		return idTier
	case slices.Contains(pathColumns, name):
		return pathTier
	case slices.Contains(labelColumns, name):
		return labelTier
	}
	return noTier
}

// takePath takes the one of some columns, those to prefer first, that names the images, and
// returns how many of the rows that are looked at do. A name such as image or path counts for
// more than names of files in the cells, these for more than a name such as id, and that
// for more than bare numbers, which may count anything. Two columns that name different
// images in a row, with nothing to choose by, are an error.
func (t *labelRows) takePath(c *columns, of []int, f *finder) (found int, err error) {
	var all []naming
	for _, i := range of {
		n := t.naming(i, f)
		if c.named {
			n.tier = tierOf(t.Columns[i])
		}
		all = append(all, n)
	}
	slices.SortStableFunc(all, func(a, b naming) int {
		return cmp.Or(cmp.Compare(truth(b.found > 0), truth(a.found > 0)),
			cmp.Compare(truth(b.tier != labelTier), truth(a.tier != labelTier)),
			cmp.Compare(max(b.tier, weakTier), max(a.tier, weakTier)), cmp.Compare(truth(b.whole), truth(a.whole)),
			cmp.Compare(b.tier, a.tier), cmp.Compare(b.found*truth(b.tier <= noTier), a.found*truth(a.tier <= noTier)))
	})
	best := all[0]
	for _, n := range all[1:] {
		if best.clearly(n) {
			continue
		}
		if n.found == 0 {
			if best.found > 0 && n.tier > best.tier {
				c.notes = append(c.notes, fmt.Sprintf("%s: column %s is taken for paths, as column %s names no image", t.Name,
					t.called(best.column), t.called(n.column)))
			}
			continue
		}
		r, differ := t.differ(best.column, n.column, f)
		if !differ {
			continue
		}
		a, b, advice := t.called(best.column), t.called(n.column), "call the right one path, or leave the other out"
		if !c.named {
			a, b, advice = fmt.Sprint(best.column+1), fmt.Sprint(n.column+1), "name the columns in a first row, as in path,label"
		}
		return 0, fmt.Errorf("%s: row %d: columns %s and %s name two images, %s and %s; %s", t.Name, r.Line, a, b,
			table.Clip(t.cell(r, best.column)), table.Clip(t.cell(r, n.column)), advice)
	}
	c.path = best.column
	return best.found, nil
}

// clearly reports whether a column is the one of images rather than another, whatever the
// two name.
func (n naming) clearly(other naming) bool {
	switch {
	case other.tier == labelTier:
		return true
	case n.whole && !other.whole:
		return n.tier >= other.tier || other.tier <= weakTier
	}
	return n.tier > other.tier && (n.whole || !other.whole)
}

// naming looks at the cells of a column.
func (t *labelRows) naming(column int, f *finder) naming {
	n := naming{column: column}
	cells, whole, files := 0, 0, 0
	for r := range t.looked() {
		cell := t.cell(r, column)
		if cell == "" {
			continue
		}
		cells++
		at, exact := f.look(cell)
		if at != none {
			n.found++
		}
		if exact {
			whole++
		}
		ending := strings.ToLower(path.Ext(cell))
		if exact || ending == imagefile.Array || slices.Contains(imagefile.Extensions, ending) {
			files++
		}
	}
	n.whole = whole > 0 && 2*files >= cells
	return n
}

// differ returns the first of the rows that are looked at in which two columns name
// different images.
func (t *labelRows) differ(a, b int, f *finder) (row table.Record, differ bool) {
	for r := range t.looked() {
		i, j := f.find(t.cell(r, a)), f.find(t.cell(r, b))
		if i >= 0 && j >= 0 && i != j {
			return r, true
		}
	}
	return row, false
}

// runs reports whether a column just counts the rows.
func (t *labelRows) runs(column int) bool {
	first := 0
	for i, r := range t.Rows {
		n, err := strconv.Atoi(t.cell(r, column))
		if i == 0 {
			first = n
		}
		if err != nil || n != first+i {
			return false
		}
	}
	return len(t.Rows) > 1
}

// looked are the rows by which columns are judged.
func (t *labelRows) looked() func(yield func(table.Record) bool) {
	return func(yield func(table.Record) bool) {
		n := min(mostRows, len(t.Rows))
		for i := range n {
			if !yield(t.Rows[i*len(t.Rows)/n]) {
				return
			}
		}
	}
}

// cell is what a row says in a column.
func (t *labelRows) cell(r table.Record, column int) string {
	if column >= len(r.Cells) {
		return ""
	}
	return strings.TrimSpace(r.Cells[column])
}

func truth(b bool) int {
	if b {
		return 1
	}
	return 0
}
