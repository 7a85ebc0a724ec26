package device

import (
	"errors"
	"fmt"
	"testing"
)

// A device's failure becomes an error, whatever else there was; a mistake goes on.
func TestCatch(t *testing.T) {
	lost := errors.New("the card is lost")
	run := func(f func() error) (err error) {
		defer Catch(&err)
		return f()
	}
	err := run(func() error { panic(Failure{fmt.Errorf("step 7: %w", lost)}) })
	var f Failure
	if !errors.Is(err, lost) || !errors.As(err, &f) || err.Error() != "step 7: the card is lost" {
		t.Errorf("a failure is %v", err)
	}
	if err := run(func() error { return lost }); err != lost {
		t.Errorf("an error is %v", err)
	}
	if err := run(func() error { return nil }); err != nil {
		t.Errorf("nothing is %v", err)
	}
	defer func() {
		if r := recover(); r != "a mistake" {
			t.Errorf("a mistake is %v", r)
		}
	}()
	t.Errorf("a mistake was caught: %v", run(func() error { panic("a mistake") }))
}
