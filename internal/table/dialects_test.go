package table

import (
	"encoding/csv"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
)

// Tables of any fields come back as they were: CSV as a writer quotes it, with
// commas, semicolons or tabs; TSV without quoting, where quote marks are of the
// text; JSON lines.
func TestTablesInAnyWriting(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	pieces := []string{"a", "dog", " ", "\"", "\"\"", ",", ";", "\t", "\n", "'", "é", "\\", "#", "{", "\r", "0,5"}
	for i := range 4000 {
		columns, rows := 2+r.IntN(2), 1+r.IntN(6)
		kind := i % 5 // CSV with three separators, raw TSV, JSON lines
		field := func() string {
			for {
				var s string
				for range 1 + r.IntN(6) {
					s += pieces[r.IntN(len(pieces))]
				}
				s = strings.ReplaceAll(s, "\r", "")
				switch {
				case strings.TrimSpace(s) == "",
					kind == 3 && (strings.ContainsAny(s, "\t\n") || s[0] == '"' && s[len(s)-1] == '"'):
				case kind == 2 && strings.ContainsAny(s, "\t\n"): // see TestTables
				default:
					return s
				}
			}
		}
		header := []string{"a", "b", "c"}[:columns]
		var want [][]string
		var text strings.Builder
		w := csv.NewWriter(&text)
		w.Comma, w.UseCRLF = []rune{',', ';', '\t', ',', ','}[kind], i%2 == 0
		if kind < 3 {
			w.Write(header)
		} else if kind == 3 {
			text.WriteString(strings.Join(header, "\t") + "\n")
		}
		for range rows {
			var row []string
			for range columns {
				row = append(row, field())
			}
			want = append(want, row)
			switch kind {
			case 3:
				text.WriteString(strings.Join(row, "\t") + "\n")
			case 4:
				object := map[string]string{}
				for c, name := range header {
					object[name] = row[c]
				}
				line, err := json.Marshal(object)
				if err != nil {
					t.Fatal(err)
				}
				text.Write(append(line, '\n'))
			default:
				w.Write(row)
			}
		}
		w.Flush()
		tab, err := Parse([]string{"t.csv", "t", "t.tsv", "t.tsv", "t.jsonl"}[kind], "manifest", []byte(text.String()), header)
		if err != nil {
			t.Errorf("%q: %v", text.String(), err)
			continue
		}
		var got [][]string
		for _, row := range tab.Rows {
			if row.Err != nil {
				t.Errorf("%q: row %d: %v", text.String(), row.Line, row.Err)
			}
			got = append(got, row.Cells)
		}
		if fmt.Sprintf("%q", got) != fmt.Sprintf("%q", want) {
			t.Errorf("%d: %q:\n%q\nwant\n%q", kind, text.String(), got, want)
		}
	}
}
