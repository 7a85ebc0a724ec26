package pairs

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"vicreg/internal/check"
)

func TestSeriesText(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		// Decimal commas.
		{"t;a;b\n0;0,5;1,25\n1;0,75;-2\n", "3 [0 0.5 1.25 1 0.75 -2] t,a,b"},
		{"0,000;1,000;0,316\n0,311;0,951;1,263\n", "3 [0 1 0.316 0.311 0.951 1.263]"},
		{"t\ta\n0\t0,000\n1\t0,311\n", "2 [0 0 1 0.311] t,a"},
		{"0,5 1,5\n0,25 2\n", "2 [0.5 1.5 0.25 2]"},
		{"\"0,5\",\"1,5\"\n\"0,25\",2\n", "2 [0.5 1.5 0.25 2]"},
		{"x\n0,5\n1,25\n2\n", "1 [0.5 1.25 2] x"},
		{"a;b\n1,003;0,5\n2,514;0,25\n", "2 [1.003 0.5 2.514 0.25] a,b"}, // the other column tells
		{"a;b\n1,003;5\n2,514;7\n", `line 2: "1,003" may be 1003 or 1.003, and no other value of the column tells which; write numbers with a decimal point and nothing between thousands`},
		{"a;b\n1,003;0.5\n2,514;0.25\n", `line 2: "1,003" may be 1003 or 1.003, and no other value of the column tells which; write numbers with a decimal point and nothing between thousands`},
		{"a;b\n1.003;0,5\n1.004;0,6\n", `line 2: "1.003" may be 1.003 or 1003, and no other value of the column tells which; write numbers with a decimal point and nothing between thousands`},
		{"a;b\n1.003,5;0,5\n1.004;0,6\n", "2 [1003.5 0.5 1004 0.6] a,b"},
		{"a,b\r\r\n1,\"2\"\r\r\n3,4\r\r\n", "2 [1 2 3 4] a,b"},
		{"[1, 2, 3]\n[4, 5, 6]\n", `line 1: "3]" is a number with "]"; write the number alone`},
		{"a;b\n1,003.5;1\n1,003;2\n", "2 [1003.5 1 1003 2] a,b"},
		{"a;b\n1,5;1\n1.5;2\n", `column 1 has both decimal points and decimal commas, as "1.5" and "1,5"`},
		{"0,311,0,951\n0,590,0,807\n0,081,0,584\n", `line 3: "081" may be part of a number with a comma in it, or a value of its own; write decimal points and nothing between thousands, or semicolons between values`},
		{"-0,5\n0,25\n", `line 1: "-0" may be part of a number with a comma in it, or a value of its own; write decimal points and nothing between thousands, or semicolons between values`},
		{"a,b\n0,5,1,5\n0,25,2,5\n", "line 2 has 4 values, the first has 2; numbers with decimal commas need semicolons, tabs or spaces between them"},
		{"12,5\n13,-7\n", "2 [12 5 13 -7]"},
		{"12,5\n13,25\n", "2 [12 5 13 25] ?12,5"},
		{"3,705.5\n2,113\n", "2 [3 705.5 2 113] ?3,705.5"},
		{"3,705.5\n2,013\n", `line 2: "013" may be part of a number with a comma in it, or a value of its own; write decimal points and nothing between thousands, or semicolons between values`},
		{"1.5,007\n2.5,008\n", "2 [1.5 7 2.5 8]"},
		{"1.5,07,0\n2.5,08,1\n", "3 [1.5 7 0 2.5 8 1]"},
		{"a,b\n12,5\n13,25\n", "2 [12 5 13 25] a,b"},
		{"1 234,5\n2 345,6\n", "2 [1 234.5 2 345.6] ?1 234,5"},
		{"1 234,5\n2 34,6\n", "2 [1 234.5 2 34.6]"},
		{"12, 5\n13, 25\n", "2 [12 5 13 25]"},

		// Separators, found from the whole file.
		{"a, m; b, s\n1;2\n3;4\n", "2 [1 2 3 4] a, m,b, s"},
		{"1, 2, 3\n4, 5, 6\n", "3 [1 2 3 4 5 6]"},
		{"  1   2\n  3  -4\n", "2 [1 2 3 -4]"},
		{"2024-01-01 10:00:00,1.5,2\n2024-01-01 10:00:01,3.5,4\n", "2 [1.5 2 3.5 4] -column 1"},
		{"1,2,\n3,4,\n", "2 [1 2 3 4]"},
		{"a,b\n1,2,\n3,4,\n", "2 [1 2 3 4] a,b"},
		{"1\r2\r3\r", "1 [1 2 3]"},
		{"a;b\n0,5;0\n#N/A;1\n2,5;2\n#DIV/0!;3\n4,5;4\n", "2 [0.5 0 1.5 1 2.5 2 3.5 3 4.5 4] a,b ~2"},
		{"#N/A\n1.5\n2.5\n#NUM!\n3.5\n", "1 [1.5 1.5 2.5 3 3.5] ~2"},
		{"1 2\n#N/A 3\n5 6\n#NA are missing\n", "2 [1 2 3 3 5 6] ~1 #1"},
		{"0,1\n0.000,1.000\n0.100,0.992\n0.199,0.966\n", "2 [0 1 0.1 0.992 0.199 0.966] <0, 1"},
		{"0\n0.5\n1.5\n0.7\n0.8\n", "1 [0.5 1.5 0.7 0.8] <0"},
		{"0\n0.5\n1.25\n0.7\n0.8\n", "1 [0 0.5 1.25 0.7 0.8] <?0"},
		{"0,1\n0.1,0.995\n0.2,0.98\n0.3,0.955\n", "2 [0 1 0.1 0.995 0.2 0.98 0.3 0.955] <?0, 1"},
		{"0,1\n0.5,1\n1,0.25\n1.5,0\n", "2 [0 1 0.5 1 1 0.25 1.5 0]"},
		{"a,b\n-,1\n1,2\n3,4\n5,6\n", "2 [1 1 1 2 3 4 5 6] a,b ~1"},
		{"sep=;\nZeit;Wert\n0,5;1,25\n1,5;2\n", "2 [0.5 1.25 1.5 2] Zeit,Wert"},
		{"\"sep=,\"\r\na,b\r\n1,2\r\n3,x\r\n", `line 4: "x" is not a number`},

		// A first row of values that are none is no header.
		{"inf,-inf\n0.5,1.5\n1.5,2.5\n", `line 1: "inf" is not a number`},
		{"OL\n0.5\n1.5\n", `line 1: "OL" is not a number`},
		{"nan,OL\n0.5,1.5\n1.5,2.5\n", `line 1: "OL" is not a number`},

		// Numbers written as few people do.
		{"t,v\n0,\"1,17,582\"\n1,\"1,00,000\"\n2,\"12,34,56,789\"\n", "2 [0 117582 1 100000 2 1.2345679e+08] t,v"},
		{"t,v\n0,EUR 5\n1,EUR 6\n", `line 2: "EUR 5" is a number with "EUR"; write the number alone`},
		{"t,v\n0,<5\n1,<6\n", `line 2: "<5" is a number with "<"; write the number alone`},
		{"t,v\n0,(3)\n1,(4)\n", `line 2: "(3)" is a number with "("; write the number alone`},
		{"t,v\n0,0x10\n1,0x1F\n", `line 2: "0x10" is a number with "0x"; write the number alone`},
		{"t,v\n0,5mV\n1,6mV\n", `line 2: "5mV" is a number with "mV"; write the number alone`},
		{"t;v\n0;999\n1;1.137\n2;1.250\n", "2 [0 999 1 1.137 2 1.25] t,v .1.137"},
		{"t;v\n0;1.137\n3000;1.250\n", "2 [0 1.137 3000 1.25] t,v .1.137"},
		{"t,v\n0,999\n1,1.137\n2,1.250\n", "2 [0 999 1 1.137 2 1.25] t,v .1.137"},
		{"t,v\n0,1.137\n3000,1.250\n", "2 [0 1.137 3000 1.25] t,v"},
		{"t,v\n0,9999\n1,1.137\n2,1.250\n", "2 [0 9999 1 1.137 2 1.25] t,v"},
		{"t;v\n0;999\n1;1.137\n2;1.25\n", "2 [0 999 1 1.137 2 1.25] t,v"},
		{"t,v\n0,1e-50\n1,2e-50\n2,3e-50\n", "2 [0 0 1 0 2 0] t,v =v"},
		{"# made by x\n# t y\n1 2\n3 4\n# a pause\n5 6\n", "2 [1 2 3 4 5 6] #1"},
		{",0,1\n0,0.5,1.5\n1,2.5,3.5\n", "3 [0 0.5 1.5 1 2.5 3.5] ,0,1"},

		// What is no number.
		{"time,x\n10:00,1\n10:01,2\n", "1 [1 2] x -time"},
		{"x,y\n1,NA\n2,null\n3,4\n-,5\n6,7\n", "2 [1 4 2 4 3 4 4.5 5 6 7] x,y ~3"},
		{"x,load\n1,3%\n2,4%\n", `line 2: "3%" is a number with "%"; write the number alone`},
		{"x;v\n1;3 V\n2;4 V\n", `line 2: "3 V" is a number with "V"; write the number alone`},
		{"x,y\n1,2\n2,3%\n", `line 3: "3%" is a number with "%"; write the number alone`},
		{"x,id\n1,12ab\n2,13cd\n3,7ef\n", "1 [1 2 3] x -id"},
		{"x,y\ns,m\n1,2\n", `line 2: "s" is not a number`},
		{"x,y\n1,2\n2,1e400\n", `line 3: "1e400", which is too large a number`},
		{"x,y\n1,2\n2,inf\n", `line 3: "inf" is not a number`},
		{"x,y\n1,2\n2,1_000\n", `line 3: "1_000" is not a number`},
		{"t,x\n1700000001,1\n1700000002,2\n1700000003,4\n", "2 [1.7e+09 1 1.7e+09 2 1.7e+09 4] t,x =t"},
		{"\xb0C,x\n1,2\n3,4\n", "2 [1 2 3 4] �C,x"},
		{"x,x\n1,2\n3,4\n", "2 [1 2 3 4] x,x (2)"},
		{"x (2),x,x,x\n1,2,3,4\n3,4,5,6\n", "4 [1 2 3 4 3 4 5 6] x (2),x,x (3),x (4)"},
		{strings.Repeat("x", 201) + ",y\n1,2\n3,4\n", "2 [1 2 3 4] " + strings.Repeat("x", 200) + ",y"},
		{"x;y\n1;1 003\n2;1 004,5\n", "2 [1 1003 2 1004.5] x,y"},
		{"x,y\n1,\"2\n3,4\n", `line 2: the quote mark that opens field 2 is never closed; double a quote mark that stands for itself ("") and enclose the field in quote marks`},
		{strings.Repeat("1,", 20_000) + "\n" + strings.Repeat("1,", 20_000) + "\n", "line 1 has 20001 values; a row is a point, and a series has 4096 channels at most, so it may have to be transposed"},
		{strings.Repeat("1,", 5_000) + "\n" + strings.Repeat("1,", 5_000) + "\n", "a series of 5000 channels, 4096 at most; a row is a point and a column a channel, so it may have to be transposed"},
		{"\xff\xfe1\x00,\x002\x00", "this is UTF-16 text; save it as UTF-8"},
	} {
		dir := t.TempDir()
		path := filepath.Join(dir, "s.csv")
		write(t, dir, map[string]string{"s.csv": c.text})
		var got string
		if s, err := readSeries(path); err != nil {
			got = strings.TrimPrefix(err.Error(), path+": ")
		} else {
			got = fmt.Sprint(s.c, " ", s.values, " ", strings.Join(s.facts.names, ","))
			if len(s.facts.dropped) > 0 {
				got += " -" + strings.Join(s.facts.dropped, ",")
			}
			if s.facts.filled > 0 {
				got += fmt.Sprint(" ~", s.facts.filled)
			}
			if s.facts.comment > 0 {
				got += fmt.Sprint(" #", s.facts.comment)
			}
			if len(s.facts.coarse) > 0 {
				got += " =" + strings.Join(s.facts.coarse, ",")
			}
			if s.facts.either != "" {
				got += " ?" + s.facts.either
			}
			if s.facts.numbered != "" {
				got += " <" + s.facts.numbered
			}
			if s.facts.doubtful != "" {
				got += " <?" + s.facts.doubtful
			}
			if s.facts.dotted != "" {
				got += " ." + s.facts.dotted
			}
			got = strings.Join(strings.Fields(got), " ")
		}
		if got != c.want {
			t.Errorf("%.200q:\n%.400s\nwant\n%s", c.text, got, c.want)
		}
	}
}

// What is left out, filled in, put in order or guessed of the files is said, over
// all parts at once.
func TestSeriesNotes(t *testing.T) {
	dir := t.TempDir()
	files := map[string]string{}
	manifest := "path,split\n"
	for i := range 20 {
		text := "time,t,x,y\n"
		for j := range 6 {
			x := fmt.Sprint(j * j)
			if i == 3 && j == 2 {
				x = "NA"
			}
			switch {
			case i == 5:
				text = strings.Replace(text, "time,t,x,y", "time,t,y,x", 1) + fmt.Sprintf("10:0%d,%d,%d,%s\n", j, j, 7-j*j*j, x)
			case i == 7:
				text = strings.Replace(text, "time,t,x,y", "time,t,v,w", 1) + fmt.Sprintf("10:0%d,%d,%s,%d\n", j, j, x, 7-j*j*j)
			default:
				text += fmt.Sprintf("10:0%d,%d,%s,%d\n", j, j, x, 7-j*j*j)
			}
		}
		files[fmt.Sprintf("%d.csv", i)] = text
		manifest += fmt.Sprintf("%d.csv,%s\n", i, []string{"train", "train", "train", "test"}[i%4])
	}
	files["m.csv"] = manifest
	write(t, dir, files)
	list := sides(t, "series=path")
	train, test, err := Open(filepath.Join(dir, "m.csv"), list, Options{Split: "split"})
	if err != nil {
		t.Fatal(err)
	}
	parts := NewParts(train, test)
	s := NewSource(train, list, 0)
	r, err := s.Scan(context.Background(), ScanOptions{Parts: parts, Part: "rows to train on"})
	if err != nil || len(r.Notes) > 0 {
		t.Fatal(r, err)
	}
	held := NewSource(test, s.Sides(), 0)
	if r, err = held.Scan(context.Background(), ScanOptions{Parts: parts, Part: "rows to score on"}); err != nil {
		t.Fatal(err)
	}
	want := []string{
		"series=path: 20 of 20 rows have columns without any number, which are left out: 20 time",
		"series=path: 1 of 20 rows miss values, 1 in all, which are filled in from those beside them",
		"series=path: 1 of 20 rows have their columns in another order; they are put into that of the others, t, x, y",
		"series=path: 1 of 20 rows have columns of other names, as t, v, w; they are taken by their places for t, x, y",
		"series=path: 20 of 20 rows have a column that counts up evenly, as times and row numbers do: 20 t; it is a channel like the others",
	}
	if !slices.Equal(r.Notes, want) {
		t.Errorf("%s", strings.Join(r.Notes, "\n"))
	}
	// The file in another order is the same series as the others.
	x, y := all(t, s, 0), all(t, held, 0)
	if !slices.Equal(x[0], x[4]) || !slices.Equal(x[0], y[1]) {
		t.Errorf("%v\n%v\n%v", x[0], x[4], y[1])
	}
	side := s.Sides()[0]
	if err := side.Check(); err != nil || !slices.Equal(side.Names, []string{"t", "x", "y"}) ||
		!near(side.Mean[2], 7-225./6) {
		t.Errorf("%v %+v", err, side)
	}
}

// A column without a name, or two of one name, do not keep channels from their order.
func TestSeriesOrderOfOddNames(t *testing.T) {
	for _, c := range []struct{ usual, other, note string }{
		{",x,y", ",y,x", "have their columns in another order; they are put into that of the others, (no name), x, y"},
		{"x,y,y", "y,x,y", "have their columns in another order; they are put into that of the others, x, y, y (2)"},
		{",,y", "y,,", "have their columns in another order; they are put into that of the others, (no name), (2), y"},
		{",x,y", "t,y,x", "have columns of other names, as t, y, x; they are taken by their places for (no name), x, y"},
		{"t,x,y", "", "have no names of columns; they are taken by their places for t, x, y"},
	} {
		dir := t.TempDir()
		files := map[string]string{"m.csv": "path\n"}
		usual, other := strings.Split(c.usual, ","), strings.Split(c.other, ",")
		for i := range 10 {
			header, at := usual, []int{0, 1, 2}
			if i == 4 && strings.Contains(c.note, "order") {
				header, at = other, nil
				left := slices.Clone(usual)
				for _, name := range other {
					at = append(at, slices.Index(left, name))
					left[at[len(at)-1]] = "taken"
				}
			} else if i == 4 {
				header = other
			}
			text := strings.Join(header, ",") + "\n"
			for j := range 6 {
				row := []int{j*j + 2, 50 - j*j*j, i + j%2}
				text += fmt.Sprintf("%d,%d,%d\n", row[at[0]], row[at[1]], row[at[2]])
			}
			name := fmt.Sprintf("%d.csv", i)
			files[name] = strings.TrimLeft(text, "\n")
			files["m.csv"] += name + "\n"
		}
		write(t, dir, files)
		list := sides(t, "series=path")
		d, _, err := Open(filepath.Join(dir, "m.csv"), list, Options{})
		if err != nil {
			t.Fatal(err)
		}
		s := NewSource(d, list, 0)
		r, err := s.Scan(context.Background(), ScanOptions{})
		if err != nil {
			t.Fatal(c, err)
		}
		if want := []string{"series=path: 1 of 10 rows " + c.note}; !slices.Equal(r.Notes, want) {
			t.Errorf("%q, %q: %q", c.usual, c.other, r.Notes)
		}
		if x := all(t, s, 0); strings.Contains(c.note, "order") && !slices.Equal(x[4][:2], x[3][:2]) {
			t.Errorf("%q: %v, %v", c.other, x[3], x[4])
		}
		side := s.Sides()[0]
		if err := side.Check(); err != nil {
			t.Error(err)
		}
	}
}

// Whatever a series holds, it takes memory and time as its bytes do.
func TestSeriesBounds(t *testing.T) {
	for name, text := range map[string]string{
		"wide":   strings.Repeat(strings.Repeat("1,", 160_000)+"1\n", 2),
		"long":   strings.Repeat("1,2;3 4\t5\n", 60_000),
		"quotes": strings.Repeat("\"\"\"\n", 150_000), "spaces": strings.Repeat(" ", 600_000),
		"blanks": "a,b\n1,2\n3,4\n" + strings.Repeat(",", 2<<20) + "\n5,6\n", "points": "1 2\n" + strings.Repeat("1 ", 2<<20) + "\n",
		"digits": strings.Repeat("1", 600_000), "commas": strings.Repeat(",", 600_000),
		"groups": strings.Repeat("1,000", 100_000), "returns": strings.Repeat("\r", 300_001) + strings.Repeat("\n", 300_000),
	} {
		dir := t.TempDir()
		write(t, dir, map[string]string{name: text})
		check.Bounded(t, 250, 6*time.Second, func() {
			if _, err := readSeries(filepath.Join(dir, name)); err == nil && name != "long" ||
				err != nil && len(err.Error()) > 1000 {
				t.Errorf("%s: %.1000v", name, err)
			}
		})
	}
}
