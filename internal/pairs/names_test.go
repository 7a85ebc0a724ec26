package pairs

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// Of rows that stand on one line, only those meant are left out, in a run that is
// begun and in one that goes on, and each is named as itself.
func TestRowsOnOneLine(t *testing.T) {
	var objects []string
	for i := range 24 {
		x := fmt.Sprint(i)
		if i == 5 {
			x = `"cold"`
		}
		objects = append(objects, fmt.Sprintf(`{"cap": "caption %d", "x": %s, "l": "ab"}`, i, x))
	}
	for _, text := range []string{"[" + strings.Join(objects, ", ") + "]", strings.Join(objects, "\r"),
		strings.Join(objects, "")} {
		manifest := filepath.Join(t.TempDir(), "one.json")
		if err := os.WriteFile(manifest, []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
		s, r := open(t, manifest, "text=cap", "numeric=x")
		name := "one.json: object 6"
		if strings.Contains(text, "\r") {
			name = "one.json: row 6"
		}
		if len(r.Bad) != 1 || r.Bad[0].Name != name || r.Rows != 23 {
			t.Fatalf("%d rows left, bad are %v, want %s alone", r.Rows, r.Bad, name)
		}
		again, _, err := Open(manifest, sides(t, "text=cap", "numeric=x"), Options{})
		if err != nil {
			t.Fatal(err)
		}
		again.Remove([]string{r.Bad[0].Name})
		if got, want := again.Fingerprint(), s.Data().Fingerprint(); got != want {
			t.Errorf("the rows are %s, and %s when the run goes on", want, got)
		}
		var names []string
		for i := range again.Rows {
			names = append(names, again.ItemName(i, 0))
		}
		slices.Sort(names)
		if n := len(slices.Compact(names)); n != 23 {
			t.Errorf("%d names for 23 rows", n)
		}
	}
}
