package table

import (
	"bytes"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"vicreg/internal/check"
)

// tables are small tables of all kinds.
var tables = []string{
	"photo,caption,x\n1.png,\"a dog, \"\"Rex\"\"\",0.5\n2.png,plain,\n\n3.png,\"two\nlines\",1e3\n",
	"\ufeffphoto;caption;x\r\n1.png;a, b;0,5\r\n;;\r\n2.png;\"c;d\";1.003,5\r\n3.png;e\r\n",
	"photo\tcaption\tx\n1.png\t\"Hello\" says the sign\t1 003\n2.png\t\"two\nlines\"\tNA\n3.png\t\"a\ttab\"\t-\n",
	"photo,caption\r1.png,a\r2.png,b\r",
	"{\"photo\": \"1.png\", \"caption\": [1], \"x\": 1e400}\n{\"x\": null, \"caption\": \"a\", \"caption\": \"b\"}\n",
	"[{\"photo\": \"1.png\", \"k1\": 1},\n{\"k2\": {\"photo\": 2}, \"x\": 12345678901234567890}]",
	"sep=;\nphoto;x\n1;2\n", "photo\n", "PK\x03\x04\x00", "\xff\xfea\x00", "a\x00,\x00b\x00\n\x001\x00,\x00",
	"photo,x\n1,\"open\n2,3\n", "photo,x,\n1,2,\n3,4,,\n5\n", " photo , x \n\"1\" , \"2\" \n",
	"x\n1,003\n", "x\n0.5\n0,5\n1,003\n", "x\n3%\n$3\n0x10\n−5\n",
}

// Whatever a table holds: rows are counted, each by a line of its own, and
// none is lost unless a field that holds line breaks is told of.
func FuzzTable(f *testing.F) {
	cap60, err := os.ReadFile("testdata/cap60.tsv")
	if err != nil {
		f.Fatal(err)
	}
	for _, name := range []string{"m.csv", "m.tsv", "m.jsonl", "m"} {
		for _, text := range append(tables, string(cap60)) {
			f.Add(name, []byte(text))
		}
	}
	f.Fuzz(func(t *testing.T, name string, raw []byte) {
		if strings.ContainsAny(name, "\x00") || len(name) > 100 {
			return
		}
		var tab *Table
		var err error
		wanted := []string{"photo", "caption", "x"}
		slices.Sort(wanted)
		check.Bounded(t, 64, 2*time.Second, func() { tab, err = Parse(name, "table", raw, wanted) })
		if err != nil {
			if len(err.Error()) > 1000 {
				t.Errorf("a long error: %.1000v", err)
			}
			return
		}
		last, most := 0, 1+bytes.Count(raw, []byte("\n"))+bytes.Count(raw, []byte("\r"))
		json, _ := formatOf(name, bytes.TrimPrefix(raw, []byte("\ufeff")))
		for _, r := range tab.Rows {
			if r.Line < last || r.Line == last && json != lines || r.Line > most {
				t.Errorf("row %d after %d, of %d lines", r.Line, last, most)
			}
			last = r.Line
			if len(r.Cells) != len(wanted) {
				t.Errorf("row %d has %d cells", r.Line, len(r.Cells))
			}
		}
		notes := strings.Join(tab.Notes, "\n")
		if json != lines && !strings.Contains(notes, "line break") && !bytes.Contains(raw, []byte("\r")) {
			text := string(bytes.TrimPrefix(raw, []byte("\ufeff")))
			if _, rest, line := tab.separator(text, comma, false); line == 2 {
				text = rest
			}
			least, most := -1, -1 // a line of tabs is a row in a table with tabs
			for line := range strings.Lines(text) {
				if strings.Trim(strings.TrimSpace(line), " \x1a") != "" {
					least++
				}
				if strings.Trim(line, " \n\x1a") != "" {
					most++
				}
			}
			// Rows of nothing but separators are told of.
			if got := len(tab.Rows); got > most || got < least && notes == "" {
				t.Errorf("%d rows of %d to %d lines: %q", got, least, most, notes)
			}
		}
	})
}
