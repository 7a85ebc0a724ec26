package train

import (
	"errors"
	"math"
	"testing"

	"vicreg/internal/batch"
	"vicreg/internal/recipe"
)

// What is looked at ahead is what the first batch of the run holds.
func TestLookAhead(t *testing.T) {
	c, err := recipe.Load("quick")
	if err != nil {
		t.Fatal(err)
	}
	c.Data.Limit, c.Batch, c.Size, c.Seed = 60, 8, 20, 5
	p, err := LookAhead(t.Context(), c, 8)
	if err != nil {
		t.Fatal(err)
	}
	r, err := prepare(t.Context(), c, Options{})
	if err != nil {
		t.Fatal(err)
	}
	s := r.corpus.(*images)
	if _, _, err := s.scan(t.Context(), &r.config, func(int, int) {}); err != nil {
		t.Fatal(err)
	}
	loader, err := s.batches(r.config, batch.Order{Seed: r.config.Seed, Epochs: 1}, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer loader.Close()
	b, err := loader.Next()
	if err != nil {
		t.Fatal(err)
	}
	if len(p.Images) != 8 || len(p.Notes) > 0 || p.Dataset != "sample" {
		t.Fatalf("%d images of %s, %v", len(p.Images), p.Dataset, p.Notes)
	}
	for k, m := range p.Images {
		if name := s.trainData.Items[b.Items[k]].Name; m.Name != name {
			t.Fatalf("image %d is %s, in the run %s", k, m.Name, name)
		}
		for v, seen := range m.Views {
			n := len(seen.Image.Pix)
			for i, x := range b.Views[v].Data[k*n : (k+1)*n] {
				want := 255 * (float64(x)*r.config.Normalize.Std[0] + r.config.Normalize.Mean[0])
				if math.Abs(float64(seen.Image.Pix[i])-want) > 0.01 {
					t.Fatalf("value %d of view %d of image %d is %d, in the run %v", i, v, k, seen.Image.Pix[i], want)
				}
			}
			if a := seen.Crop; a.W < 1 || a.X+a.W > m.Image.W || a.Y+a.H > m.Image.H {
				t.Errorf("a crop of %+v", a)
			}
		}
	}
	c.Pairs = new(recipe.Pairs)
	if _, err := LookAhead(t.Context(), c, 8); !errors.Is(err, ErrNoImages) {
		t.Errorf("pairs: %v", err)
	}
}
