package pairs

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// spell writes a number as people do: with so many decimals, the mark before them,
// and one between thousands.
func spell(v float64, decimals int, decimal, group string) string {
	s := strconv.FormatFloat(v, 'f', decimals, 64)
	sign := ""
	if s[0] == '-' {
		sign, s = "-", s[1:]
	}
	whole, fraction, _ := strings.Cut(s, ".")
	for i := len(whole) - 3; i > 0 && group != ""; i -= 3 {
		whole = whole[:i] + group + whole[i:]
	}
	if fraction != "" {
		fraction = decimal + fraction
	}
	return sign + whole + fraction
}

// Series written in any usual way are read with the values that they have, or
// refused. Whole numbers with thousands cannot be told from decimals and are
// refused unless others tell; commas both between values and in them are not
// written here, but in quote marks.
func TestSeriesInAnyWriting(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	read, refused := 0, 0
	for range 3000 {
		separator := []string{";", "\t", " ", ",", ", ", " ; "}[r.IntN(6)]
		decimal := []string{".", ","}[r.IntN(2)]
		group := []string{"", "", map[string]string{".": ",", ",": "."}[decimal], "'", "\u00a0"}[r.IntN(5)]
		if separator == " " && group == "\u00a0" {
			group = ""
		}
		header, counter, missing := r.IntN(2) == 0, r.IntN(3) == 0, r.IntN(4) == 0
		c, n := 1+r.IntN(4), 2+r.IntN(8)
		decimals, scale := make([]int, c), make([]float64, c)
		for j := range c {
			decimals[j], scale[j] = r.IntN(5), []float64{1, 10, 5000, 5e6}[r.IntN(4)]
			if group == "." {
				decimals[j] = max(1, decimals[j]) // 1.003 alone has decimals
			}
		}
		var text strings.Builder
		var want []float32
		row := func(cells []string) {
			for j, cell := range cells {
				if strings.TrimSpace(separator) == "," && strings.Contains(cell, ",") {
					cells[j] = `"` + cell + `"`
				}
			}
			text.WriteString(strings.Join(cells, separator) + []string{"\n", "\r\n"}[n%2])
		}
		if header {
			var names []string
			for j := range c {
				names = append(names, fmt.Sprintf("c%d", j))
			}
			row(names)
		}
		for i := range n {
			var cells []string
			for j := range c {
				v := (2*r.Float64() - 1) * scale[j]
				s := spell(v, decimals[j], decimal, group)
				if counter && j == 0 {
					s = fmt.Sprint(i)
				}
				plain := strings.ReplaceAll(s, group, "")
				if group == "" {
					plain = s
				}
				f, err := strconv.ParseFloat(strings.ReplaceAll(plain, decimal, "."), 32)
				if err != nil {
					t.Fatal(err)
				}
				if missing && i == 0 && j == c-1 && n > 3 {
					s = []string{"NA", "nan", "-", "null"}[r.IntN(4)]
					f = -12345 // whatever it is filled with
				}
				cells, want = append(cells, s), append(want, float32(f))
			}
			row(cells)
		}
		s, err := parseSeries([]byte(text.String()))
		if err == nil {
			err = s.complete()
		}
		if err != nil {
			refused++
			continue
		}
		if s.facts.either != "" { // it is said that nothing tells
			refused++
			continue
		}
		read++
		for i, v := range want {
			if v == -12345 && i < len(s.values) {
				want[i] = s.values[i]
			}
		}
		if s.c != c || !slices.Equal(s.values, want) {
			t.Errorf("separator %q, decimal %q, group %q:\n%s%d channels %v, want %d %v", separator, decimal, group, text.String(), s.c, s.values, c, want)
		}
	}
	t.Logf("%d read, %d refused", read, refused)
	if read < 4*refused {
		t.Errorf("only %d are read, %d refused", read, refused)
	}
}
