package check

import (
	"testing"
	"time"
)

func TestBounded(t *testing.T) {
	if processorTime() == 0 {
		t.Skip("the system does not tell how long it works")
	}
	for _, c := range []struct {
		what   string
		bytes  int
		work   time.Duration
		passes bool
	}{
		{"little", 1 << 10, 0, true},
		{"3 MiB", 3 << 20, 0, false},
		{"210 ms", 0, 210 * time.Millisecond, false},
	} {
		r := &recorder{TB: t}
		Bounded(r, 2, 200*time.Millisecond, func() {
			taken = make([]byte, c.bytes)
			for start := processorTime(); processorTime()-start < c.work && c.work > 0; {
			}
		})
		if r.failed == c.passes {
			t.Errorf("%s: failed %v", c.what, r.failed)
		}
	}
}

var taken []byte
