package show

import "testing"

func TestCount(t *testing.T) {
	for _, tt := range []struct{ got, want string }{
		{Count(0, "step"), "0 steps"}, {Count(1, "step"), "1 step"}, {Count(2, "step"), "2 steps"},
		{Plural(1, "copy", "copies"), "1 copy"}, {Plural(3, "copy", "copies"), "3 copies"},
	} {
		if tt.got != tt.want {
			t.Errorf("%q, want %q", tt.got, tt.want)
		}
	}
}
