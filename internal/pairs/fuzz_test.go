package pairs

import (
	"bytes"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"vicreg/internal/check"
	"vicreg/internal/npy"
	"vicreg/internal/table"
)

// tables are small manifests of all kinds.
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

// Numbers and labels of any manifest are taken or refused.
func FuzzManifest(f *testing.F) {
	for _, name := range []string{"m.csv", "m.tsv", "m.jsonl", "m"} {
		for _, text := range tables {
			f.Add(name, []byte(text))
		}
	}
	f.Fuzz(func(t *testing.T, name string, raw []byte) {
		if strings.ContainsAny(name, "\x00") || len(name) > 100 {
			return
		}
		var tab *table.Table
		var err error
		wanted := []string{"photo", "caption", "x"}
		slices.Sort(wanted)
		check.Bounded(t, 64, 2*time.Second, func() { tab, err = table.Parse(name, "manifest", raw, wanted) })
		if err != nil {
			if len(err.Error()) > 1000 {
				t.Errorf("a long error: %.1000v", err)
			}
			return
		}
		list := []Side{{Type: "numeric", Columns: []string{"x"}}}
		check.Bounded(t, 64, 2*time.Second, func() {
			d := &Data{sides: list, manifest: tab.Name, Rows: make([]Row, len(tab.Rows)),
				matrix: make([]*npy.Array, 1), writings: make([][]writing, 1)}
			for i, r := range tab.Rows {
				d.Rows[i] = Row{Line: r.Line, Index: i, Label: -1, cells: make([][]string, 1), err: r.Err}
			}
			if d.take(tab, 0) != nil || d.label(tab, "caption") != nil {
				return
			}
			for i := range d.Rows {
				if d.Rows[i].err != nil {
					continue
				}
				if m, err := d.numeric(0, d.Rows[i].cells[0]); err == nil &&
					(math.IsNaN(float64(m.Values[0])) || math.IsInf(float64(m.Values[0]), 0)) {
					t.Errorf("%q is %v", d.Rows[i].cells[0], m.Values[0])
				}
			}
		})
	})
}

// A series that was accepted is finite, and the same when it is written plainly.
func FuzzSeries(f *testing.F) {
	for _, text := range []string{
		"time,x,y\n10:00,1,2\n10:01,3,4\n", "1;2\n\n3;NA\n5;6\n7;\n", "1 10\n2 20\n", "t;a\n0;0,5\n1;1,25\n", "0,000;1,000\n0,311;0,951\n", "0,5 1,5\n0,25 2\n",
		"x\n1\n2\n", "x,y\n1,2\n3\n", "# c\n1\t2\n# d\n3\t\n", "1,003\n2,514\n", "x,load\n1,3%\n2,4%\n", ",0,1\n0,0.5,1.5\n1,2.5,3.5\n", "1\r2\r", "\"0,5\",\"1,5\"\n1,2\n", "1,\"2\n", "-0,5\n0,081\n",
		"a;b\n1 003;1.003,5\n2 004;3\n", "1e38 1e39\n", "\xff\xfe1\x00", "1,2,\n3,4,\n", "−5 3\n4 5\n",
	} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		var s series
		var err error
		check.Bounded(t, 64, 2*time.Second, func() {
			if s, err = parseSeries(raw); err == nil {
				err = s.complete()
			}
		})
		if err != nil {
			if len(err.Error()) > 1000 {
				t.Errorf("a long error: %.1000v", err)
			}
			return
		}
		if s.c == 0 || len(s.values)%s.c != 0 || len(s.facts.names) > 0 && len(s.facts.names) != s.c {
			t.Fatalf("%d values in %d channels named %q", len(s.values), s.c, s.facts.names)
		}
		var plain bytes.Buffer
		for i, v := range s.values {
			if math.IsNaN(float64(v)) || math.IsInf(float64(v), 0) {
				t.Fatalf("value %d is %v", i, v)
			}
			fmt.Fprint(&plain, strconv.FormatFloat(float64(v), 'e', -1, 32))
			if (i+1)%s.c == 0 {
				plain.WriteByte('\n')
			} else {
				plain.WriteByte('\t')
			}
		}
		again, err := parseSeries(plain.Bytes())
		if err != nil || again.c != s.c || !slices.Equal(again.values, s.values) {
			t.Errorf("%v: %d channels %v, then %d %v", err, s.c, s.values, again.c, again.values)
		}
	})
}

// A side that was accepted is written as it is read.
func FuzzSide(f *testing.F) {
	for _, spec := range []string{"image=photo", " numeric = temp, load ", "embedding=vectors.npy", "text=caption = in words", "numeric=a,,b", "=", "series="} {
		f.Add(spec)
	}
	f.Fuzz(func(t *testing.T, spec string) {
		check.Bounded(t, 16, time.Second, func() {
			s, err := ParseSide(spec)
			if err != nil {
				return
			}
			if again, err := ParseSide(s.String()); err != nil || again.String() != s.String() ||
				!slices.Equal(again.Columns, s.Columns) {
				t.Errorf("%q is %q, then %q: %v", spec, s.Columns, again.Columns, err)
			}
		})
	})
}

// Either reading of a number is one that Go can read, and a plain number has the
// value it has there.
func FuzzReadings(f *testing.F) {
	for _, cell := range []string{"5", "-1.5e3", "1,003", "1.234,5", "1 003", "0x10", "inf", "3%", "−5", "1_000", "1'000.5"} {
		f.Add(cell)
	}
	f.Fuzz(func(t *testing.T, cell string) {
		for _, bare := range []bool{false, true} {
			p, c := readings(cell, bare)
			for _, text := range []string{p, c} {
				if v, err := strconv.ParseFloat(text, 64); text != "" &&
					(math.IsNaN(v) || err != nil && !math.IsInf(v, 0)) {
					t.Errorf("%q is read as %q: %v", cell, text, err)
				}
			}
			want, err := strconv.ParseFloat(cell, 64)
			if got, _ := strconv.ParseFloat(p, 64); err == nil && p != "" && got != want {
				t.Errorf("%q is read as %q, %v", cell, p, got)
			}
		}
		unitOf(cell)
	})
}
