package pairs

import (
	"vicreg/internal/dataset"

	"vicreg/internal/table"
)

// FilesOf returns the files that the cells of some data name, row by row, one data set
// after the other; nil has none.
func FilesOf(sets ...*Data) dataset.Files {
	type cell struct{ name, path string }
	var cells []cell
	for _, d := range sets {
		if d == nil {
			continue
		}
		for i, r := range d.Rows {
			for k := range d.sides {
				if c := (cell{name: d.RowName(i)}); r.err == nil && d.sides[k].files() && !table.Blank(r.cells[k][0]) {
					c.name = d.ItemName(i, k)
					if d.files == nil {
						c.path = d.path(r.cells[k][0])
					}
					cells = append(cells, c)
				}
			}
		}
	}
	return dataset.Files{N: len(cells), At: func(i int) (name, path string) { return cells[i].name, cells[i].path }}
}
