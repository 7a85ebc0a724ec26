//go:build amd64

package cpu

import (
	"errors"
	"strings"
	"testing"
)

// A system that withholds AMX's registers leaves the next variant, and its reason is told.
func TestTilesWithheld(t *testing.T) {
	defer func(had bool, err error) { hasAMX, withheld = had, err }(hasAMX, withheld)
	refused := errors.New("not today")
	for _, test := range []struct {
		present bool
		answer  error
		want    bool
		err     error
	}{{false, nil, false, nil}, {false, refused, false, nil}, {true, nil, true, nil}, {true, refused, false, refused}} {
		asked := 0
		got, err := amx(test.present, func() error { asked++; return test.answer })
		if got != test.want || err != test.err || (asked == 1) != test.present {
			t.Errorf("present %v, answer %v: usable %v, %v, asked %d times", test.present, test.answer, got, err, asked)
		}
	}
	hasAMX, withheld = false, refused
	_, err := Set("amx")
	if err == nil || !strings.Contains(err.Error(), `variant "amx" cannot be used: not today; use one of `) {
		t.Errorf("Set(amx): %v", err)
	}
}
