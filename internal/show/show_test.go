package show

import (
	"encoding/json"
	"strconv"
	"strings"
	"testing"
)

func TestNameIsOneReversibleLine(t *testing.T) {
	for name, want := range map[string]string{
		"cat 1.jpg":      "cat 1.jpg",
		"Zoë/日本/🐈.png":   "Zoë/日本/🐈.png",
		`back\slash.png`: `back\slash.png`,
		"b\nc.png":       `"b\nc.png"`,
		"\x1b[2Jx":       `"\x1b[2Jx"`,
		"a\u2028b":       `"a\u2028b"`,
		"a\u202eb":       `"a\u202eb"`,
		"\xff.png":       `"\xff.png"`,
		`"quoted"`:       `"\"quoted\""`,
		"":               `""`,
	} {
		got := Name(name)
		if got != want {
			t.Errorf("%q: %s, want %s", name, got, want)
		}
		back := got
		if strings.HasPrefix(got, `"`) {
			var err error
			if back, err = strconv.Unquote(got); err != nil {
				t.Errorf("%s: %v", got, err)
			}
		}
		if back != name || strings.ContainsAny(got, "\n\r\x1b") {
			t.Errorf("%q: %s is read as %q", name, got, back)
		}
	}
}

func TestTextKeepsNothingThatActs(t *testing.T) {
	for in, want := range map[string]string{
		"two\nlines\tand é": "two\nlines\tand é",
		"\x1b[31mred\x07":   `\x1b[31mred\a`,
		"a\rb\x7f\xfe":      `a\rb\x7f\xfe`,
	} {
		if got := Text(in); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
	if got := Line("a\nb\tc\x1b"); got != `a\nb\tc\x1b` {
		t.Errorf("%q", got)
	}
}

func TestValid(t *testing.T) {
	for in, want := range map[string]string{"caf\xe9": `caf\xe9`, "caf\xe8\xff": `caf\xe8\xff`, "café\n\ufffd\\": "café\n\ufffd\\", "é\xe9": `é\xe9`} {
		if got := Valid(in); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
}

func TestTally(t *testing.T) {
	counts := map[string]int{".heic": 30, "": 1, ".ppm": 1}
	if got := Tally(counts, "without an ending"); got != "30 .heic, 1 without an ending, 1 .ppm" {
		t.Error(got)
	}
	for _, e := range []string{".a", ".b", ".c", ".d"} {
		counts[e] = 2
	}
	if got := Tally(counts, "without an ending"); got != "30 .heic, 2 .a, 2 .b, 2 .c, 2 .d, 2 others" {
		t.Error(got)
	}
}

func TestSome(t *testing.T) {
	if got := Some([]string{"a", "b\n", "c"}, 2); got != `a, "b\n" and 1 more` {
		t.Error(got)
	}
	if got := Some([]string{"a"}, 2); got != "a" {
		t.Error(got)
	}
}

func TestJSON(t *testing.T) {
	const evil = "a\x1b[31m\x7f\u009b2J\u202ebé×\U000e0001\n"
	raw, err := json.Marshal(evil)
	if err != nil {
		t.Fatal(err)
	}
	got := JSON(raw)
	if want := `"a\u001b[31m\u007f\u009b2J\u202ebé×\udb40\udc01\n"`; string(got) != want {
		t.Errorf("%s, want %s", got, want)
	}
	var back string
	if err := json.Unmarshal(got, &back); err != nil || back != evil {
		t.Errorf("%q, %v", back, err)
	}
}
