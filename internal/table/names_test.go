package table

import (
	"strings"
	"testing"
)

// Every row of a file has a name of its own, by its line where that is possible.
func TestRowNames(t *testing.T) {
	for _, c := range []struct{ name, text, want string }{
		{"t.csv", "a\n1\n\n2\n", "row 2,row 4"},
		{"t.json", `[{"a": 1}, {"a": 2}, {"a": 3}]`, "object 1,object 2,object 3"},
		{"t.json", "[{\"a\": 1},\n{\"a\": 2},\n{\"a\": 3}]\n", "row 1,row 2,row 3"},
		{"t.json", "[\n  {\n    \"a\": 1\n  },\n  {\n    \"a\": 2\n  }\n]", "row 2,row 5"},
		{"t.json", "[\n  {\n    \"a\": 1\n  }, {\n    \"a\": 2\n  }\n]", "row 2,row 4"},
		{"t.jsonl", "{\"a\": 1}\n{\"a\": 2}\r\n{\"a\": 3}", "row 1,row 2,row 3"},
		{"t.jsonl", "{\"a\": 1}\r{\"a\": 2}\r{\"a\": 3}\r", "row 1,row 2,row 3"},
		{"t.jsonl", `{"a": 1} {"a": 2}{"a": 3}`, "object 1,object 2,object 3"},
		{"t.jsonl", "{\"a\": 1} {\"a\": 2}\n{\"a\": 3}\n{\"a\": 4} {\"a\": 5}", "object 1,object 2,row 2,object 4,object 5"},
	} {
		tab, err := Parse(c.name, "manifest", []byte(c.text), []string{"a"})
		if err != nil {
			t.Errorf("%q: %v", c.text, err)
			continue
		}
		var names []string
		for _, r := range tab.Rows {
			names = append(names, r.RowName())
		}
		if got := strings.Join(names, ","); got != c.want {
			t.Errorf("%q: %s, want %s", c.text, got, c.want)
		}
	}
	for _, c := range []struct{ text, want string }{
		{`[{"a": 1}, {"a": 2}, {"a": NaN}]`, "t.json: object 3: it is not JSON"},
		{`[{"a": 1}, {"a": 2}, 3]`, "t.json: object 3: each row must be an object"},
		{"[{\"a\": 1},\n{\"a\": NaN}]", "t.json: row 2: it is not JSON"},
	} {
		if _, err := Parse("t.json", "manifest", []byte(c.text), []string{"a"}); err == nil ||
			!strings.HasPrefix(err.Error(), c.want) {
			t.Errorf("%q: %v, want %s", c.text, err, c.want)
		}
	}
}
