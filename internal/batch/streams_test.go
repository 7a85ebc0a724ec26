package batch

import (
	"slices"
	"testing"

	"vicreg/internal/augment"
	"vicreg/internal/rng"
)

// An image in the place of a bad one is seen as the bad one would have been: by the
// stream of the item whose turn it was, so that no view comes twice.
func TestStreamOfTheItemDue(t *testing.T) {
	d := noise(11, 30, 20, 3)
	d.Items[4].Path = t.TempDir() + "/gone.png"
	c := Config{Order: Order{Seed: 3, Epochs: 1}, Views: pair(8), Batch: 11, Mean: colour, Std: colour}
	l := train(t, NewSource(d, SourceOptions{Channels: 3}), c)
	defer l.Close()
	b, err := l.Next()
	if err != nil {
		t.Fatal(err)
	}
	row := slices.Index(rng.Perm(11, 3, rng.Shuffle, 0), 4)
	if b.Items[row] != 5 {
		t.Fatalf("item %d is in the place of item 4", b.Items[row])
	}
	norm := augment.NewNorm(colour, colour)
	want := make([]float32, 8*8*3)
	for v := range b.Views {
		new(augment.Scratch).View(want, rng.New(3, rng.Augment, 0, 4, uint64(v)), *d.Items[5].Image, &c.Views[v].View,
			8, norm)
		if !slices.Equal(b.Views[v].Data[row*len(want):][:len(want)], want) {
			t.Errorf("view %d is of another stream", v)
		}
	}
}
