package batch

import (
	"io"
	"slices"
	"testing"

	"vicreg/internal/augment"
)

// Views depend on seed, round, view and image, and on nothing else.
func TestViews(t *testing.T) {
	s := NewSource(noise(9, 20, 16, 3), SourceOptions{Channels: 3})
	view := View{View: augment.Released()[0], Size: 8}
	mean, std := []float64{0.5, 0.5, 0.5}, []float64{0.2, 0.2, 0.2}
	made := func(c ViewsConfig) (x [][]float32) {
		t.Helper()
		c.View, c.Mean, c.Std = view, mean, std
		l := s.Views(c)
		defer l.Close()
		for {
			b, err := l.Next()
			if err == io.EOF {
				return x
			}
			if err != nil {
				t.Fatal(err)
			}
			for row := range slices.Chunk(b.Views[0].Data, 8*8*3) {
				x = append(x, slices.Clone(row))
			}
		}
	}
	base := made(ViewsConfig{Items: []int{1, 4, 7, 8}, Seed: 3, Batch: 4, Workers: 1})
	if len(base) != 4 {
		t.Fatalf("%d views", len(base))
	}
	for _, tt := range []struct {
		name string
		c    ViewsConfig
		at   int // of image 7
		same bool
	}{
		{"again", ViewsConfig{Items: []int{1, 4, 7, 8}, Seed: 3, Batch: 4, Workers: 1}, 2, true},
		{"other batches and workers", ViewsConfig{Items: []int{1, 4, 7, 8}, Seed: 3, Batch: 3, Workers: 5}, 2, true},
		{"among others", ViewsConfig{Items: []int{7, 2}, Seed: 3, Batch: 3}, 0, true},
		{"another seed", ViewsConfig{Items: []int{7}, Seed: 4, Batch: 3}, 0, false},
		{"another round", ViewsConfig{Items: []int{7}, Seed: 3, Round: 1, Batch: 3}, 0, false},
		{"the other view", ViewsConfig{Items: []int{7}, Seed: 3, Which: 1, Batch: 3}, 0, false},
	} {
		if got := slices.Equal(made(tt.c)[tt.at], base[2]); got != tt.same {
			t.Errorf("%s: the same %v, want %v", tt.name, got, tt.same)
		}
	}
}
