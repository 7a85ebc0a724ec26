package dataset

import (
	"fmt"
	"testing"
)

// A share of a class is what it says in decimals, though its product in binary may be
// a hair below; and at least one image is held out of two, but never the last.
func TestShareHeldOut(t *testing.T) {
	for _, c := range []struct {
		items int
		share float64
		want  int
	}{{100, 0.29, 29}, {100, 0.57, 57}, {10, 0.7, 7}, {10, 0.69, 6}, {30, 0.1, 3}, {2, 0.1, 1}, {2, 0.9, 1},
		{1, 0.9, 0}, {9, 1, 8}, {9, 0, 0}} {
		d := &Dataset{Classes: []string{"a"}}
		for i := range c.items {
			d.Items = append(d.Items, Item{Name: fmt.Sprint(i)})
		}
		train, test := d.split(c.share)
		held := 0
		if test != nil {
			held = len(test.Items)
		}
		if held != c.want || len(train.Items) != c.items-c.want {
			t.Errorf("%v of %d: %d held out, %d left, want %d held out", c.share, c.items, held, len(train.Items), c.want)
		}
	}
}
