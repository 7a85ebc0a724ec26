package pairs

import (
	"strings"

	"vicreg/internal/dataset"
	"vicreg/internal/table"
)

// Names reports whether is returns true for any file that a manifest may name: it tries
// the path that each of the cells makes, whatever the column is for.
func Names(manifest string, is func(path string) bool) (bool, error) {
	if dataset.InShards(manifest) { // no file but the shards themselves
		for _, file := range append(dataset.PatternFiles(manifest), manifest) {
			if is(file) {
				return true, nil
			}
		}
		return false, nil
	}
	t, err := table.Read(manifest, "manifest", nil)
	if err != nil {
		return false, err
	}
	d := &Data{dir: t.Dir}
	seen := map[string]bool{}
	for _, r := range t.Rows {
		for _, cell := range r.Cells {
			cell = strings.TrimSpace(cell)
			if cell == "" || len(cell) > longestPath || seen[cell] {
				continue
			}
			seen[cell] = true
			if is(d.path(cell)) {
				return true, nil
			}
		}
	}
	return false, nil
}

// longestPath is a length, in bytes, that no path exceeds.
const longestPath = 4096
