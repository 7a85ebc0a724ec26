package settings

import (
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"vicreg/internal/check"
)

type Part struct {
	P float64
	Q *part2 `yaml:"q"`
}

type part2 struct {
	Words []string `yaml:"words,flow,omitempty"`
}

type starts []Part

func (s *starts) Start(n int) error {
	if n < 2 {
		return errors.New("needs two items")
	}
	*s = make(starts, n)
	for i := range *s {
		(*s)[i].P = 7
	}
	return nil
}

type whole1 struct {
	N     int
	U     uint64
	X     float64
	B     bool
	S     string
	List  []int
	Pair  [2]float64
	Part  `yaml:",inline"`
	Opt   *float64
	Items starts
}

func TestLay(t *testing.T) {
	half, five := 0.5, 5.0
	for _, tt := range []struct {
		yaml string
		want whole1
	}{
		{"", whole1{}},
		{"# nothing\n", whole1{}},
		{"---\n", whole1{}},
		{"---\nn: 3\n...\n", whole1{N: 3}},
		{"n: 3\n---\n# no more\n", whole1{N: 3}},
		{"\ufeffn: 3\r\nx: 0.5\r\n", whole1{N: 3, X: 0.5}},
		{"\xff\xfen\x00:\x00 \x003\x00\n\x00", whole1{N: 3}},
		{"{\"n\": 3, \"x\": 5e-1, \"s\": \"a\"}", whole1{N: 3, X: 0.5, S: "a"}},
		{"n: -0x10\nu: 18446744073709551615\n", whole1{N: -16, U: math.MaxUint64}},
		{fmt.Sprintf("n: %d\nu: 1_000\n", math.MaxInt), whole1{N: math.MaxInt, U: 1000}},
		{"n: 2.0\nu: 1e2\nlist: [1.50e1, 0o17, 0b11, +4]\n", whole1{N: 2, U: 100, List: []int{15, 15, 3, 4}}},
		{"x: .5\npair: [1., 1_0.5e-1]\nopt: 5\n", whole1{X: 0.5, Pair: [2]float64{1, 1.05}, Opt: &five}},
		{"x: 0x10\npair: [00.5, 0e5]\n", whole1{X: 16, Pair: [2]float64{0.5, 0}}},
		{"b: yes\ns: no\n", whole1{B: true, S: "no"}},
		{"b: On\ns: 2001-12-14\n", whole1{B: true, S: "2001-12-14"}},
		{"s: 1e3\n", whole1{S: "1e3"}},
		{"s: 012\n", whole1{S: "012"}},
		{"s: \"~\"\n", whole1{S: "~"}},
		{"s: ''\n", whole1{S: ""}},
		{"s: 1:30\n", whole1{S: "1:30"}},
		{"s: !!binary /w==\n", whole1{S: "\xff"}},
		{"s: !!str 12\n", whole1{S: "12"}},
		{"list: []\n", whole1{}},
		{"p: 1\nq: {words: [a, 1, yes, null-null]}\n", whole1{Part: Part{1, &part2{[]string{"a", "1", "yes", "null-null"}}}}},
		{"items: [{}, {p: 1}]\n", whole1{Items: starts{{P: 7}, {P: 1}}}},
		{"items:\n- &i {p: 0.5, q: {}}\n- *i\n- {<<: *i, p: 2}\n- {<<: [{p: 3}, *i]}\n", whole1{Items: starts{
			{P: half, Q: &part2{}}, {P: half, Q: &part2{}}, {P: 2, Q: &part2{}}, {P: 3, Q: &part2{}}}}},
	} {
		var got whole1
		if err := Unmarshal([]byte(tt.yaml), "f", &got); err != nil || !reflect.DeepEqual(got, tt.want) {
			t.Errorf("%q: %+v, %v; want %+v", tt.yaml, got, err, tt.want)
		}
	}
	// What is not named stays; what is pointed to is not written through.
	first := whole1{N: 1, S: "a", Opt: &half, Part: Part{Q: &part2{[]string{"x"}}}}
	second := first
	if err := Unmarshal([]byte("opt: 5\nq: {words: [y]}\nn: 2\n"), "f", &second); err != nil {
		t.Fatal(err)
	}
	if half != 0.5 || first.Part.Q.Words[0] != "x" || second.S != "a" || *second.Opt != 5 {
		t.Errorf("%+v and %+v", first, second)
	}
}

func TestMistakesNameTheirLine(t *testing.T) {
	for _, tt := range []struct{ yaml, want string }{
		{"n: 2.9\n", "f:1: n is 2.9, but must be a whole number"},
		{"x: 1\nn: 1.5e0\n", "f:2: n is 1.5e0, but must be a whole number"},
		{"n: many\n", "f:1: n is many, but must be a whole number"},
		{"n: \"3\"\n", `f:1: n is the text "3", but must be a whole number, without quotes`},
		{"n: '3'\n", `f:1: n is the text "3", but must be a whole number, without quotes`},
		{"n: !!str 3\n", `f:1: n is the text "3", but must be a whole number, without quotes`},
		{"n: !!int 3\n", "f:1: n has the tag !!int, which is not read here"},
		{"n: !x 3\n", "f:1: n has the tag !x, which is not read here"},
		{"n: 010\n", "f:1: n is 010, but must be a whole number written without a leading 0"},
		{"n: 1:30\n", "f:1: n is 1:30, but must be a whole number"},
		{"n: 1_\n", "f:1: n is 1_, but must be a whole number"},
		{"n: 0x\n", "f:1: n is 0x, but must be a whole number"},
		{"n: 1,000\n", "f:1: n is 1,000, but must be a whole number written with a point, not a comma"},
		{"n: 50%\n", "f:1: n is 50%, but must be a whole number without a per cent sign"},
		{"n: 9223372036854775808\n", "f:1: n is 9223372036854775808, but must be a whole number between -9223372036854775808 and 9223372036854775807"},
		{"n: 1e999999\n", "f:1: n is 1e999999, but must be a whole number between"},
		{"n: 1e9999999\n", "f:1: n is 1e9999999, but must be a whole number"},
		{"n: " + strings.Repeat("9", 5000) + "\n", "f:1: n is 9999999999999999999999999999999999999999…, but must be a whole number between"},
		{"n: .inf\n", "f:1: n is .inf, but must be a whole number"},
		{"n: true\n", "f:1: n is true, but must be a whole number"},
		{"n: [1]\n", "f:1: n is a list, but must be a whole number"},
		{"n: {a: 1}\n", "f:1: n is a list of keys and values, but must be a whole number"},
		{"n: 2001-12-14\n", "f:1: n is 2001-12-14, but must be a whole number"},
		{"u: -1\n", "f:1: u is -1, but must be a whole number of at least 0"},
		{"u: 18446744073709551616\n", "f:1: u is 18446744073709551616, but must be a whole number of at most 18446744073709551615"},
		{"x: .nan\n", "f:1: x is .nan, but must be a finite number"},
		{"x: -.INF\n", "f:1: x is -.INF, but must be a finite number"},
		{"x: 1e400\n", "f:1: x is 1e400, but must be a number of at most 1.8e308"},
		{"x: 010\n", "f:1: x is 010, but must be a number written without a leading 0"},
		{"x: " + strings.Repeat("9", 400) + "\n", "f:1: x is 9999999999999999999999999999999999999999…, but must be a number of at most 1.8e308"},
		{"x: 0,5\n", "f:1: x is 0,5, but must be a number written with a point, not a comma"},
		{"x: 0x1p-2\n", "f:1: x is 0x1p-2, but must be a number"},
		{"x: 1.2.3\n", "f:1: x is 1.2.3, but must be a number"},
		{"b: 1\n", "f:1: b is 1, but must be true or false"},
		{"b: yES \n", ""},
		{"b: 'yes'\n", `f:1: b is the text "yes", but must be true or false, without quotes`},
		{"s: [a]\n", "f:1: s is a list, but must be a text"},
		{"s:\n", "f:1: s has no value; give one, or leave the key out"},
		{"x: 1\nn:\n", "f:2: n has no value"},
		{"q: null\n", "f:1: q has no value"},
		{"items: ~\n", "f:1: items has no value"},
		{"items: [null, null]\n", "f:1: items[0] has no value"},
		{"items:\n- {}\n-\n", "f:3: items[1] has no value"},
		{"items: []\n", "f:1: items needs two items"},
		{"items: 3\n", "f:1: items is 3, but must be a list"},
		{"items: {p: 3}\n", "f:1: items is a list of keys and values, but must be a list"},
		{"items: [{}, 3]\n", "f:1: items[1] is 3, but must be keys and values, of: p, q"},
		{"pair: [1]\n", "f:1: pair is a list of 1, but must be one of 2"},
		{"pair: [1, 2, 3]\n", "f:1: pair is a list of 3, but must be one of 2"},
		{"pair: [1, a]\n", "f:1: pair[1] is a, but must be a number"},
		{"list: 1\n", "f:1: list is 1, but must be a list"},
		{"q: {words: [a, ]}\nm: 1\n", `f:2: unknown key "m"; known here: n, u, x, b, s, list, pair, p, q, opt, items`},
		{"N: 3\n", `f:1: unknown key "N"`},
		{"part: 3\n", `f:1: unknown key "part"`},
		{"q:\n  wards: []\n", `f:2: unknown key "q.wards"; known here: words`},
		{"n: 1\nx: 2\nn: 3\n", `f:3: key "n" is given twice, on line 1 and here; keep one`},
		{"n: 1\n\"n\": 3\n", `f:2: key "n" is given twice`},
		{"items: [{}, {p: 1, p: 1}]\n", `f:1: key "items[1].p" is given twice`},
		{"[n]: 1\n", "f:1: a key must be a word"},
		{"null: 1\n", `f:1: unknown key "null"`},
		{"- n\n", "f:1: here are to be keys and values"},
		{"n\n", "f:1: here are to be keys and values"},
		{"n=3\n", "f:1: here are to be keys and values"},
		{"null\n", "f:1: "},
		{"n: 1\n---\nn: 2\n", "f:2: a second document begins here"},
		{"---\nn: 1\n--- # more\nx: 2\n", "f:3: a second document begins here"},
		{"n: 1\n---\n---\nx: 2\n", "f:3: a second document begins here"},
		{"n: 1\n---\nx: [\n", "f:"},
		{"n: 1\n---\nfoo\n", "f:2: a second document"},
		{"--- 3\n", "f:1: here are"},
		{"n: *a\n", "f:1: *a stands for what &a marks"},
		{"x: 1\nn: *a\n", "f:2: *a stands for what &a marks"},
		{"items: &a [*a, *a]\n", "f:1: items[0] is a list, but must be keys"},
		{"items: [&a {q: {words: &w [*w]}}, {}]\n", "f:1: items[0].q.words[0] is a list, but must be a text"},
		{"items: [&a {<<: *a}, {}]\n", "f:1: aliases (*) repeat too much"},
		{"x: 1\n\tn: 2\n", "f:2: the line begins with a tab"},
		{"q:\n\twords: []\n", "f:2: the line begins with a tab"},
		{"n: 1: 2\n", "f:1: there is a colon too many"},
		{"x: 1\nn: 1: 2\n", "f:2: there is a colon too many"},
		{"x: 1\nq:\n  words: []\n n: 1\n", "f:4: the line does not fit those above it"},
		{"x: 1\n- n\nb: true\n", "f:2: the line does not fit those above it"},
		{"x: 1\nlist:\n  - 1\n  n: 2\n", "f:4: the line does not fit those above it"},
		{"  x: 1\n n: 2\n", "f:2: the line does not fit those above it"},
		{"x: 1\nlist: [1, 2\nn: 1\n", "f:"},
		{"list: [\n", "f:1: a value is missing, or a bracket is not closed"},
		{"x: 1\ns: 'a\n", "f:2: a quote is not closed"},
		{"x: 1\ns: @a\n", "f:2: a value begins with a character that has a meaning of its own"},
		{"x: 1\n# \xe4\n", "f:2: these bytes are no text in UTF-8"},
		{"x: 1\ns: \x00\n", "f:2: there is a control character (U+0000)"},
		{"s: \"\\x\"\n", "f:1: this is no YAML: did not find expected hexdecimal number"},
		{"s: !!binary =\n", "f:1: s is marked as !!binary, but is not in base64"},
		{"s: " + strings.Repeat("x", 5000), "f:1: s is a text of 5000 bytes, more than 4096"},
		{"n: !!binary /w==\n", "f:1: n is the text"},
		{strings.Repeat("[", 20000), "f:1: "},
		{strings.Repeat("n: 1\n", maxMarks), "f is too large for settings"},
		{strings.Repeat(" ", maxBytes+1), "f is too large for settings"},
	} {
		got := whole1{N: 17}
		err := Unmarshal([]byte(tt.yaml), "f", &got)
		if tt.want == "" {
			continue
		}
		if err == nil || !strings.HasPrefix(err.Error(), tt.want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%.60q: %v; want %s", tt.yaml, err, tt.want)
		}
		if !reflect.DeepEqual(got, whole1{N: 17}) {
			t.Errorf("%.60q changed something", tt.yaml)
		}
	}
}

// Bombs of aliases, depth and length end soon.
func TestBombs(t *testing.T) {
	var merges strings.Builder
	merges.WriteString("items:\n- &a0 {p: 1}\n")
	for i := range 30 {
		fmt.Fprintf(&merges, "- &a%d {<<: [*a%d, *a%[2]d, *a%[2]d, *a%[2]d, *a%[2]d, *a%[2]d, *a%[2]d, *a%[2]d]}\n", i+1, i)
	}
	for name, text := range map[string]string{
		"merges":   merges.String(),
		"aliases":  "items: [&a {q: {words: [a]}}, " + strings.Repeat("*a,", 100000) + "]",
		"depth":    strings.Repeat("{a: ", 20000),
		"brackets": strings.Repeat("[", 1<<20),
		"quest":    strings.Repeat("? ", 1<<17),
		"dashes":   strings.Repeat("- ", 1<<17),
		"comments": strings.Repeat("a: # c\n# d\n\n", 30000),
		"list":     "list: [" + strings.Repeat("1,", maxMarks-2) + "]",
		"misfit":   strings.Repeat("n: 1\n", 50000) + "- a\n",
		"text":     "s: " + strings.Repeat("x", maxBytes-3),
		"lines":    "s: " + strings.Repeat("x\n ", maxMarks-1),
		"docs":     strings.Repeat("---\n", maxMarks/4-1),
		"tags":     strings.Repeat("!a ", 1<<17),
	} {
		t.Run(name, func(t *testing.T) {
			check.Bounded(t, 300, 5*time.Second, func() {
				var got whole1
				err := Unmarshal([]byte(text), "f", &got)
				if err != nil && len(err.Error()) > 400 {
					t.Errorf("a message of %d bytes", len(err.Error()))
				}
			})
		})
	}
}

func TestReadFile(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "f.yaml")
	if err := os.WriteFile(path, []byte("n: 1\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if raw, err := ReadFile(path, "configuration"); err != nil || string(raw) != "n: 1\n" {
		t.Errorf("%q, %v", raw, err)
	}
	large := filepath.Join(dir, "large")
	if f, err := os.Create(large); err != nil || f.Truncate(1<<40) != nil {
		t.Skip("no sparse files here")
	}
	for path, want := range map[string]string{
		dir:                        "is a folder",
		os.DevNull:                 "is a pipe or a device",
		filepath.Join(dir, "none"): "no such file",
		large:                      "too large",
	} {
		if _, err := ReadFile(path, "configuration"); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", path, err, want)
		}
	}
}
