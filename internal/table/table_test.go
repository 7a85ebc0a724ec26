package table

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"vicreg/internal/check"
)

func write(t testing.TB, dir string, files map[string]string) {
	t.Helper()
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
	}
}

// tableOf reads a manifest and spells it: rows as line[cells], notes behind.
func tableOf(t testing.TB, name, text string, wanted ...string) string {
	t.Helper()
	dir := t.TempDir()
	write(t, dir, map[string]string{name: text})
	tab, err := Read(filepath.Join(dir, name), "manifest", wanted)
	if err != nil {
		return strings.ReplaceAll(err.Error(), dir+"/", "")
	}
	out := ""
	for _, r := range tab.Rows {
		if r.Err != nil {
			out += fmt.Sprintf("%d!%v ", r.Line, r.Err)
			continue
		}
		out += fmt.Sprintf("%d%q ", r.Line, r.Cells)
	}
	return strings.TrimSpace(out + strings.Join(tab.Notes, "; "))
}

func TestTables(t *testing.T) {
	for _, c := range []struct{ name, text, want string }{
		// Quote marks in TSV stand for themselves unless they enclose a field.
		{"t.tsv", "a\tb\n1\t\"Hello\" says the sign\n2\tx\n", `2["1" "\"Hello\" says the sign"] 3["2" "x"]`},
		{"t.tsv", "a\tb\n1\t\"Hello says\n2\tx\n3\ty\"\n4\tz\n", `2["1" "\"Hello says"] 3["2" "x"] 4["3" "y\""] 5["4" "z"] t.tsv: 1 row opens a quote mark that a later row closes; they are taken as rows of their own, with quote marks as they stand: row 2`},
		{"t.tsv", "a\tb\n1\t\"never closed\n2\tx\n", `2["1" "\"never closed"] 3["2" "x"]`},
		{"t.tsv", "a\tb\n1\t\"whole \"\"field\"\"\"\n2\t\"\"\n", `2["1" "whole \"field\""] 3["2" ""]`},
		{"t.tsv", "a\tb\n\"1\"\t\"two\nlines\"\n2\tx\n", `2["1" "two\nlines"] 4["2" "x"] t.tsv: 1 field holds line breaks: row 2`},
		{"t.tsv", "a\tb\n1\t\"a\ttab\"\n2\tx\n", `2["1" "a\ttab"] 3["2" "x"]`},
		{"t.tsv", "a\tb\tc\n1\t\"so\tbe it\"\n2\tx\ty\n", `2["1" "\"so"] 3["2" "x"]`},
		{"t.tsv", "a\tb\n1\t\"\"\"quoted\"\" word\"\n", `2["1" "\"quoted\" word"]`},
		{"t.tsv", "a\tb\n1\t\"a\", \"b\"\n", `2["1" "\"a\", \"b\""]`},
		{"t.tsv", "a\tb\n1\t5\" nail\n", `2["1" "5\" nail"]`},
		{"t.tsv", "a\n\"x\ny\"\n", "t.tsv: there is no column \"b\""}, // see below

		// In CSV they enclose what begins with one.
		{"t.csv", "a,b\n1,\"x\ny\"\n2,\"z\r\nz\"\n", `2["1" "x\ny"] 4["2" "z\nz"] t.csv: 2 fields hold line breaks, the first in row 2`},
		{"t.csv", "a,b\n1,\"open\n2,x\n", `t.csv: row 2: the quote mark that opens field 2 is never closed; double a quote mark that stands for itself ("") and enclose the field in quote marks`},
		{"t.csv", "a,b\n1,\"Hello\" says the sign\n2,x\n", `t.csv: row 2: field 2 opens with a quote mark, and what follows the closing one is "says the sign"; double a quote mark that stands for itself ("")`},
		{"t.csv", "a,b\n1,\"open\n2,\"x\"\n", `t.csv: row 2: field 2 opens with a quote mark, and what follows the closing one is "x\""; double a quote mark that stands for itself ("")`},
		{"t.csv", "a,b\n1,5\" nail\n", `2["1" "5\" nail"]`},
		{"t.csv", "a,b\n1, \"spaced, out\" \n", `2["1" "spaced, out"]`},

		// Rows of another width.
		{"t.csv", "a,b\n1\n2,x\n3,y,z\n", `2!it has 1 fields, but the header has 2 3["2" "x"] 4!it has 3 fields, but the header has 2`},
		{"t.csv", "a,b\n1,x,\n2,y,,\n3,z\n", `2["1" "x"] 3["2" "y"] 4["3" "z"] t.csv: 2 rows end in more separators than the header has, with nothing behind them, the first in row 2`},
		{"t.csv", "a,b,\n1,x,\n2,y,\n", `2["1" "x"] 3["2" "y"]`},
		{"t.csv", "a,b\n1,x\n,\n  \n , \n2,y\n\n", `2["1" "x"] 6["2" "y"] t.csv: 2 rows have no value in any column and are left out, the first in row 3`},

		// Line ends, marks, separators.
		{"t.csv", "\ufeffa,b\r\n1,x\r\n2,y", `2["1" "x"] 3["2" "y"]`},
		{"t.csv", "a,b\r\r\n1,\"x\"\r\r\n2,y\r\r\n", `2["1" "x"] 3["2" "y"]`},
		{"t.csv", "a,b\r1,x\r2,y\r", `2["1" "x"] 3["2" "y"]`},
		{"t.csv", "a,b\r1,\"x\rz\"\r2,y\r", `2["1" "x\rz"] 4["2" "y"] t.csv: 1 field holds line breaks: row 2`},
		{"t.csv", "a,b\n1,x\rz\n2,y\n", `2["1" "x\rz"] 3["2" "y"]`},
		{"t.csv", " a , b \n1,x\n", `2["1" "x"]`},
		{"t.csv", "\n\na,b\n1,x\n", `4["1" "x"]`},
		{"t.csv", "a\tb\n1\tx, y\n", `2["1" "x, y"]`},
		{"t.csv", "a;b\n1,5;x\n", `2["1,5" "x"]`},
		{"t.csv", "a;b;m, s, kg\n1;x;2\n", `2["1" "x"]`},
		{"t.csv", "sep=;\na;b\n1;x,y\n", `3["1" "x,y"]`},
		{"t.tsv", "a,b\n1,x\n", `2["1" "x"]`},
		{"t.csv", "a,b,a\n1,2,3\n", `t.csv: the header names column "a" twice`},
		{"t.csv", "a|b\n1|x\n", `t.csv: there is no column "a"; its columns are a|b alone (commas, semicolons or tabs separate columns)`},
		{"t.csv", "a,c,d\n1,x,y\n", `t.csv: there is no column "b"; its columns are a, c, d`},
		{"t.csv", "a,b\n1,x\x00\n", `t.csv: this is no text (row 2 holds a zero byte); give a CSV, TSV or JSON lines file with a header`},
		{"t.csv", "a\x00,\x00b\x00\n\x001\x00,\x002\x00\n\x00", "t.csv: this is UTF-16 text; save it as UTF-8"},
		{"t.csv", "PK\x03\x04\x14\x00\x00", "t.csv: this is no text but a zip archive, as a spreadsheet is: save it as CSV"},
		{"t.csv", "\x1f\x8b\x08\x00", "t.csv: this is no text but compressed by gzip: unpack it"},

		// JSON.
		{"t.jsonl", `{"a": 12345678901234567890, "b": 1e400}` + "\n" + `{"b": true, "a": null}`, `1["12345678901234567890" "1e400"] 2["" "true"]`},
		{"t.jsonl", `{"a": ["x", "y"], "b": 1}` + "\n" + `{"a": 1, "b": {"c": 2}}` + "\n" + `{"a": 1, "a": 2, "b": 3}` + "\n" + `{"c": 1, "c": 2, "a": "", "b": "NA"}`,
			`1!"a" is a list; a text or a number is needed 2!"b" is an object; a text or a number is needed 3!it names "a" twice 4["" "NA"]`},
		{"t.json", `[{"a": 1, "b": 2}, {"a": 3, "b": 4}`, "t.json: the list of rows has no end; the file is cut short"},
		{"t.json", `[{"a": 1, "b": 2}] {"a": 3, "b": 4}`, "t.json: row 1: something follows the list of rows"},
		{"t.jsonl", "{\"a\": 1, \"b\": 2}\n{\"a\": 1, ", "t.jsonl: row 2: the file ends within it"},
		{"t.jsonl", "{\"a\": 1, \"b\": 2}\n{\"a\": 1, \"b\"", "t.jsonl: row 2: the file ends within it"},
		{"t.jsonl", "{\"a\": 1, \"b\": 2}\n{\"a\": 1, \"b\": NaN}\n", `t.jsonl: row 2: it is not JSON at "NaN}"; write null for a number that is missing`},
		{"t.jsonl", "{\"a\": 1, \"b\": 2}\n{\"a\": 1 \"b\": 3}\n", `t.jsonl: row 2: it is not JSON at "\"b\": 3}"`},
		{"t.jsonl", "a,b\n1,2\n", `t.jsonl: row 1: it is not JSON at "a,b"`},
	} {
		if c.text == "a\n\"x\ny\"\n" {
			if got := tableOf(t, c.name, c.text, "a"); got != `2["\"x"] 3["y\""] t.tsv: 1 row opens a quote mark that a later row closes; they are taken as rows of their own, with quote marks as they stand: row 2` { // a list: a line is a row
				t.Error(got)
			}
			continue
		}
		got := tableOf(t, c.name, c.text, "a", "b")
		if strings.Contains(c.want, "there is no column") {
			dir := t.TempDir()
			write(t, dir, map[string]string{c.name: c.text})
			tab, err := Read(filepath.Join(dir, c.name), "manifest", []string{"a", "b"})
			if err == nil {
				if _, err = tab.Column("a"); err == nil {
					_, err = tab.Column("b")
				}
			}
			got = fmt.Sprint(err)
		}
		if got != c.want {
			t.Errorf("%q:\n%s\nwant\n%s", c.text, got, c.want)
		}
	}
}

// Whatever columns and keys there are, a table takes memory and time as its
// bytes do.
func TestTableBounds(t *testing.T) {
	keys, wide, quotes := new(strings.Builder), new(strings.Builder), new(strings.Builder)
	for i := range 40_000 {
		fmt.Fprintf(keys, "{\"a\": 1, \"k%d\": 1}\n", i)
	}
	for i := range 400_000 {
		fmt.Fprintf(wide, "c%d,", i)
	}
	wide.WriteString("a\n" + strings.Repeat(strings.Repeat("1,", 400_000)+"1\n", 2))
	quotes.WriteString("a\tb\n")
	for i := range 100_000 {
		fmt.Fprintf(quotes, "%d\t%s\n", i, []string{`"x""y`, `"""`, `""x`, `"`}[i%4])
	}
	wanted := []string{"a", "b"}
	for i := range 2000 {
		wanted = append(wanted, fmt.Sprintf("c%d", i))
	}
	for name, text := range map[string]string{
		"keys.jsonl": keys.String(), "wide.csv": wide.String(), "quotes.tsv": quotes.String(),
		"deep.jsonl": strings.Repeat(`{"a":`, 100_000), "lists.json": strings.Repeat("[", 500_000), "quotes.csv": "a,b\n" + strings.Repeat("\"", 600_001),
		"commas.csv": "a,b\n" + strings.Repeat(",", 600_000), "lines.csv": "a,b" + strings.Repeat("\n", 600_000),
		"header.csv": "a,b" + strings.Repeat(",", 2<<20), "row.csv": "a,b\n" + strings.Repeat(",", 2<<20) + "\n1,2\n",
		"row.tsv": "a\tb\n" + strings.Repeat("\t", 2<<20) + "\n1\t2\n", "returns.csv": "a,b" + strings.Repeat("\n", 200_000) + strings.Repeat("\r", 200_001),
	} {
		dir := t.TempDir()
		write(t, dir, map[string]string{name: text})
		check.Bounded(t, 200, 6*time.Second, func() {
			tab, err := Read(filepath.Join(dir, name), "manifest", wanted[:map[bool]int{true: 2002, false: 2}[name == "wide.csv"]])
			if err == nil {
				_, err = tab.Column("b")
			}
			if (err == nil) != strings.Contains("quotes.tsv row.csv row.tsv", name) || err != nil && len(err.Error()) > 2000 {
				t.Errorf("%s: %.2000v", name, err)
			}
		})
	}
}

// The same table comes out of every format.
func TestReadTable(t *testing.T) {
	dir := t.TempDir()
	want := "[id caption load] 2[1 a dog, \"Rex\" 0.5] 3[2 ein Ärgernis ] 5[3 two\nlines 1e3]"
	write(t, dir, map[string]string{
		"plain.csv":    "id,caption,load\n1,\"a dog, \"\"Rex\"\"\",0.5\n2,ein Ärgernis,\n\n3,\"two\nlines\",1e3\n",
		"excel.csv":    "\xef\xbb\xbfid;caption;load\r\n1;\"a dog, \"\"Rex\"\"\";0.5\r\n2;ein Ärgernis;\r\n\r\n3;\"two\r\nlines\";1e3\r\n",
		"sniffed":      "id;caption;load\n1;\"a dog, \"\"Rex\"\"\";0.5\n2;ein Ärgernis;\n\n3;\"two\nlines\";1e3\n",
		"sniffed.txt":  "id\tcaption\tload\n1\t\"a dog, \"\"Rex\"\"\"\t0.5\n2\tein Ärgernis\t\n\n3\t\"two\nlines\"\t1e3\n",
		"plain.jsonl":  "{\"id\": 1, \"caption\": \"a dog, \\\"Rex\\\"\", \"load\": 0.5}\n{\"id\": \"2\", \"caption\": \"ein Ärgernis\", \"load\": null}\n\n\n{\"caption\": \"two\\nlines\", \"load\": 1e3, \"id\": 3}\n",
		"array.json":   "[{\"id\": 1,\n\"caption\": \"a dog, \\\"Rex\\\"\", \"load\": 0.5},\n{\"id\": 2, \"caption\": \"ein Ärgernis\"},\n\n{\"id\": 3, \"caption\": \"two\\nlines\", \"load\": 1e3}]\n",
		"unnamed.json": " \n{\"id\": 1, \"caption\": \"a dog, \\\"Rex\\\"\"}\n{\"id\": 2, \"caption\": \"ein Ärgernis\"}\n\n{\"id\": 3, \"caption\": \"two\\nlines\", \"load\": 1e3}\n",
	})
	for name, w := range map[string]string{
		"plain.csv": want, "excel.csv": want, "sniffed": want, "sniffed.txt": want,
		"plain.jsonl":  strings.NewReplacer("2[", "1[", "3[2", "2[2").Replace(want),
		"array.json":   strings.Replace(strings.Replace(want, "2[", "1[", 1), "3[2", "3[2", 1),
		"unnamed.json": strings.Replace(want, " 0.5", " ", 1),
	} {
		tab, err := Read(filepath.Join(dir, name), "manifest", []string{"id", "caption", "load"})
		if err != nil {
			t.Error(err)
			continue
		}
		got := fmt.Sprint(tab.Columns)
		for _, r := range tab.Rows {
			if r.Err != nil {
				t.Error(r.Err)
			}
			got += fmt.Sprintf(" %d%v", r.Line, r.Cells)
		}
		if got != w {
			t.Errorf("%s:\n%s\nwant\n%s", name, got, w)
		}
	}
	// In TSV a quote inside a field is a quote.
	write(t, dir, map[string]string{"quotes.tsv": "size\ttext\n12\t12\" long, 5' wide\n"})
	if tab, err := Read(filepath.Join(dir, "quotes.tsv"), "manifest", []string{"size", "text"}); err != nil || tab.Rows[0].Cells[1] != `12" long, 5' wide` {
		t.Errorf("%+v, %v", tab, err)
	}
}

func TestReadTableErrors(t *testing.T) {
	dir := t.TempDir()
	for name, c := range map[string]struct{ text, want string }{
		"empty.csv":  {"", "empty.csv: the manifest is empty; its first row must name the columns"},
		"header.csv": {"a,b\n", "header.csv: the manifest has no rows below its header"},
		"none.jsonl": {"\n", "none.jsonl: the manifest has no rows"},
		"twice.csv":  {"a,b,a\n1,2,3\n", `twice.csv: the header names column "a" twice`},
		"quote.csv":  {"a,b\n1,2\n3,\"x\" y\n", `quote.csv: row 3: field 2 opens with a quote mark, and what follows the closing one is "y"`},
		"wide.csv":   {"\xff\xfea\x00,\x00b\x00", "wide.csv: this is UTF-16 text; save it as UTF-8"},
		"latin.csv":  {"a,b\n1,2\n3,\xc4rger\n", "latin.csv: row 3: this is not UTF-8 text"},
		"zip.csv":    {"PK\x03\x04\x00\x00", "zip.csv: this is no text"},
		"bad.jsonl":  {"{\"a\": 1}\n{\"a\": 2\n{\"a\": 3}\n", "bad.jsonl: row 2: "},
		"list.jsonl": {"{\"a\": 1}\n[1, 2]\n", "list.jsonl: row 2: each row must be an object"},
	} {
		write(t, dir, map[string]string{name: c.text})
		if _, err := Read(filepath.Join(dir, name), "manifest", []string{"a"}); err == nil ||
			!strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %s", name, err, c.want)
		}
	}
	if _, err := Read(filepath.Join(dir, "no.csv"), "manifest", nil); err == nil || !strings.Contains(err.Error(), "no.csv: cannot read the manifest: there is no such file") {
		t.Error(err)
	}
}
