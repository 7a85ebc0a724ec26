package pairs

import (
	"fmt"
	"path/filepath"
	"slices"
	"testing"

	"vicreg/internal/augment"
	"vicreg/internal/batch"
	"vicreg/internal/rng"
)

// Each view of each row of each epoch has a stream of its own.
func TestStreams(t *testing.T) {
	dir := t.TempDir()
	csv := "x,y\n"
	for i := range 6 {
		csv += fmt.Sprintf("%d,%d\n", i*i%7, 3*i)
	}
	write(t, dir, map[string]string{"all.csv": csv})
	s, _ := open(t, filepath.Join(dir, "all.csv"), "numeric=x,y", "numeric=y,x")
	l, err := s.Train(Config{Order: batch.Order{Seed: 3, Epochs: 3}, Batch: 6, Images: make([]augment.View, 2)})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	want := make([]float32, 2)
	for epoch := range 3 {
		b, err := l.Next()
		if err != nil {
			t.Fatal(err)
		}
		for row, item := range b.Items {
			for k := range b.Views {
				sample, err := s.Sample(item, k)
				if err != nil {
					t.Fatal(err)
				}
				r := rng.New(3, rng.Augment, uint64(epoch), uint64(item), uint64(k))
				newMaker(s.sides[k]).view(want, r, &sample, nil, new(memory))
				if got := b.Views[k].Data[2*row:][:2]; !slices.Equal(got, want) {
					t.Errorf("epoch %d row %d side %d is %v, want %v", epoch, item, k, got, want)
				}
			}
		}
	}
}
