package pairs

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
)

func TestReadings(t *testing.T) {
	for cell, want := range map[string]string{ // with a decimal point | with a decimal comma; one: the same
		"5": "5", "-5": "-5", "+5": "+5", "−5": "-5", "1e5": "1e5", "1E+05": "1E+05", "007": "007",
		"1.5": "1.5|", "1.": "1.|", ".5": ".5|", "-0.1234": "-0.1234|", "1.5e-3": "1.5e-3|",
		"0,1234": "|0.1234", "1,5": "|1.5", "-,5": "|-.5", "0,123": "|0.123", "12345,678": "|12345.678", "1,5e3": "|1.5e3", "1,003e2": "|1.003e2",
		"1,003": "1003|1.003", "-12,345": "-12345|-12.345", "1.003": "1.003|1003",
		"1,234,567": "1234567|", "1.234.567": "|1234567", "1,234.5": "1234.5|", "1.234,5": "|1234.5", "1,234,567.125": "1234567.125|",
		"1 003": "1003", "1\u00a0003": "1003", "1\u202f003,5": "|1003.5", "12'345.5": "12345.5|", "1 234 567": "1234567",
		"": "-", "-": "-", ".": "-", ",": "-", "1,": "-", "1,2,3": "-", "1,23,456": "123456|", "1,23,45": "-", "123,45,678": "-", "12,34.5": "-", "1.2.3": "-", "1.234.56": "-", "0x10": "-", "1_000": "-",
		"inf": "-", "Infinity": "-", "nan": "-", "1e": "-", "e5": "-", "1e5.5": "-", "1e++5": "-", "3%": "-", "$3": "-", "3 V": "-", "1 00": "-", "1 000 0": "-", "1  000": "-",
		"1 234'567": "-", "10:00": "-", "2024-01-05": "-", "--5": "-", "5-": "-", "(5)": "-", "१२": "-", "1.5f": "-", "0b1": "-", "1p5": "-",
	} {
		p, c := readings(cell, false)
		got := p
		if p != c {
			got = p + "|" + c
		} else if p == "" {
			got = "-"
		}
		if got != want {
			t.Errorf("%q: %s, want %s", cell, got, want)
		}
	}
	for cell, want := range map[string]string{"3%": "%", "3 V": "V", "12.5°C": "°C", "-4,5 mV": "mV", "$3": "$", "€ 3,50": "€", "1,003 kg": "kg",
		"warm": "", "10:00": "", "S1": "", "2024-01-05": "", "3": "", "%": "", "3a4": ""} {
		if got := unitOf(cell); got != want {
			t.Errorf("%q: unit %q, want %q", cell, got, want)
		}
	}
}

// What a column of a manifest says of its own numbers settles what commas are; if
// nothing does, it is an error.
func TestNumericColumns(t *testing.T) {
	for _, c := range []struct{ cells, want string }{
		{"0,5 1,25 2", "[0.5 1.25 2]"},
		{"0,5 1,003", `[0.5 1.003] x: "1,003" in row 3 is read as 1.003, since other values of the column are written as "0,5"`},
		{"0.5 1,003", `[0.5 1003] x: "1,003" in row 3 is read as 1003, since other values of the column are written as "0.5"`},
		{"1,234,567 1,003", `[1.234567e+06 1003] x: "1,003" in row 3 is read as 1003, since other values of the column are written as "1,234,567"`},
		{"1.003 2", `[1.003 2] x: "1.003" in row 2 is read with a decimal point, since no value tells otherwise; if points stand between thousands, take them out`},
		{"1.003 2000", "[1.003 2000]"},
		{"999 1.5", "[999 1.5]"},
		{"1e-50 2e-50 0", `[0 0 0] x: values as small as "1e-50" are 0 in the 32 bits they are computed with, or nearly so; multiply them`},
		{"1.234,5 1.003", `[1234.5 1003] x: "1.003" in row 3 is read as 1003, since other values of the column are written as "1.234,5"`},
		{"1700000001 1700000002 1700000003", `[1.7e+09 1.7e+09 1.7e+09] x: values that differ, as those about "1700000003", are the same in the 32 bits they are computed with; take off what they have in common`},
		{"17000001 17000003", "[1.7e+07 1.7000004e+07]"},
		{"1,003 2,500 3", `m.tsv: row 2: x: "1,003" may be 1003 or 1.003, and no other value of the column tells which; write numbers with a decimal point and nothing between thousands`},
		{"0.5 0.25 1.5 1.5 1.5 1.5 1.5 1.5 1.5 1.5 0,5", `[0.5 0.25 1.5 1.5 1.5 1.5 1.5 1.5 1.5 1.5] m.tsv: row 12: x is "0,5", but other values have a decimal point, as "0.5"`},
		{"1 1 1 1 1 1 1 1 1 1 3%", `[1 1 1 1 1 1 1 1 1 1] m.tsv: row 12: x is "3%", a number with "%"; write the number alone`},
		{"1 1 1 1 1 1 1 1 1 1 1e400", `[1 1 1 1 1 1 1 1 1 1] m.tsv: row 12: x is "1e400", which is too large a number`},
		{"1 1 1 1 1 1 1 1 1 1 1e39", `[1 1 1 1 1 1 1 1 1 1] m.tsv: row 12: x is "1e39", which is too large a number`},
		{"1 1 1 1 1 1 1 1 1 1 0x10", `[1 1 1 1 1 1 1 1 1 1] m.tsv: row 12: x is "0x10", a number with "0x"; write the number alone`},
		{"1 1 1 1 1 1 1 1 1 1 inf", `[1 1 1 1 1 1 1 1 1 1] m.tsv: row 12: x is "inf", which is not a finite number`},
	} {
		dir := t.TempDir()
		write(t, dir, map[string]string{"m.tsv": "x\n" + strings.ReplaceAll(c.cells, " ", "\n") + "\n"})
		list := sides(t, "numeric=x")
		d, _, err := Open(filepath.Join(dir, "m.tsv"), list, Options{})
		got := fmt.Sprint(err)
		if err == nil {
			s := NewSource(d, list, 0)
			r, err := s.Scan(context.Background(), ScanOptions{})
			if err != nil {
				t.Error(err)
				continue
			}
			var values []float32
			for i := range d.Rows {
				m, err := s.Sample(i, 0)
				if err != nil {
					t.Error(err)
				}
				values = append(values, m.Values...)
			}
			got = strings.TrimSpace(fmt.Sprint(values, " ", strings.Join(d.Notes, "; ")))
			for _, b := range r.Bad {
				got += " " + b.Err.Error()
			}
		}
		if got != c.want {
			t.Errorf("%s:\n%s\nwant\n%s", c.cells, got, c.want)
		}
	}
}
