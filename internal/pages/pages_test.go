package pages

import "testing"

// All that is lent can be read and written, and is zero at first.
func TestFloats(t *testing.T) {
	for _, n := range []int{0, 1, 1000, large / 4, large/4 + 1, large/2 - 1, large / 2, large + 17, 3*large + 5} {
		s := Floats(n)
		if len(s) != n {
			t.Fatalf("%d floats, want %d", len(s), n)
		}
		for i, v := range s {
			if v != 0 {
				t.Fatalf("element %d of %d is %g at first", i, n, v)
			}
			s[i] = float32(i)
		}
		for i, v := range s {
			if v != float32(i) {
				t.Fatalf("element %d of %d is %g", i, n, v)
			}
		}
	}
}
