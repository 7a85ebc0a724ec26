package pairs

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"vicreg/internal/augment"
	"vicreg/internal/batch"
)

// The share of rows that may be bad holds while training, too.
func TestShareThatTurnsBad(t *testing.T) {
	s, dir := mixed(t, 20)
	for i := 4; i < 9; i++ {
		os.Remove(filepath.Join(dir, fmt.Sprintf("s%d.npy", i)))
	}
	for _, c := range []struct {
		share float64
		fails bool
	}{{0.25, false}, {0.2, true}} {
		d, _, err := Open(filepath.Join(dir, "all.csv"), s.Sides(), Options{Most: &c.share})
		if err != nil {
			t.Fatal(err)
		}
		released := augment.Released()
		l, err := NewSource(d, s.Sides(), 0).Train(Config{Order: batch.Order{Epochs: 1}, Batch: 20,
			Images: slices.Repeat(released[:1], 7)})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := l.Next(); (err != nil) != c.fails {
			t.Errorf("5 of 20 turn bad, and %v may be: %v", c.share, err)
		}
		l.Close()
	}
}
