package train

import (
	"os"
	"slices"
	"testing"

	"vicreg/internal/batch"
)

func TestMiddle(t *testing.T) {
	for _, tt := range []struct {
		x    []float64
		want float64
	}{
		{[]float64{3}, 3},
		{[]float64{3, 5}, 4},
		{[]float64{5, 1, 3}, 3},
		{[]float64{4, 100, 6, 0.1, 5}, 5},
		{[]float64{9, 9, 9, 9, 9, 9, 9, 9, 9, 1000, 9, 9, 9, 9, 0, 9}, 9},
	} {
		if got := middle(tt.x); got != tt.want {
			t.Errorf("the middle of %v is %v, want %v", tt.x, got, tt.want)
		}
	}
}

func TestRepeated(t *testing.T) {
	if got := repeated([]int{1, 2, 3}, 7); !slices.Equal(got, []int{1, 2, 3, 1, 2, 3, 1}) {
		t.Errorf("%v", got)
	}
}

// A sample is spread over all items, also when there is time for the least alone.
func TestSampled(t *testing.T) {
	items := sampled(t.Context(), 2, 3*mostSampled, 1e9, func(int) {})
	if len(items) != mostSampled || slices.Max(items) < 3*mostSampled-10 || slices.Min(items) > 10 {
		t.Errorf("%d items: %v", len(items), items)
	}
	items = sampled(t.Context(), 1, 3*mostSampled, 0, func(int) {})
	if len(items) != leastSampled || !slices.IsSorted(items) || slices.Max(items) < 3*mostSampled/2 ||
		slices.Min(items) > 3*mostSampled/2 {
		t.Errorf("%d items: %v", len(items), items)
	}
	if items = sampled(t.Context(), 2, 3, 0, func(int) {}); !slices.Equal(items, []int{0, 1, 2}) {
		t.Errorf("of 3 items: %v", items)
	}
}

// The images of a sample stay decoded, or are decoded again, as they will in the run;
// headers are read once.
func TestSampleOfImages(t *testing.T) {
	c := chosen(t)
	c.Batch, c.Size = 16, 8
	for _, tt := range []struct {
		cache int64
		kept  bool
		again bool
	}{
		{0, true, false},
		{-1, false, true},
		{1 << 14, true, true},
	} {
		s := new(images)
		if err := s.list(c); err != nil {
			t.Fatal(err)
		}
		s.cache = tt.cache
		c := c
		some, err := s.sample(t.Context(), &c)
		if err != nil {
			t.Fatal(err)
		}
		held, files := 0, 0
		for _, item := range some.part.(*images).trainData.Items {
			if item.Held() {
				held++
			} else {
				files++
			}
		}
		if (held > 0) != tt.kept || (files > 0) != tt.again || (some.kept != nil) != (tt.kept && tt.again) ||
			!(some.look > 0) || c.Channels == 0 {
			t.Errorf("cache %d: %d stay decoded, %d do not: %+v", tt.cache, held, files, some)
		}
		if some.len() != s.len() {
			t.Errorf("the sample is one of %d items, not %d", some.len(), s.len())
		}
		loader, err := some.batches(c, batch.Order{Epochs: 1}, nil)
		if err != nil {
			t.Fatal(err)
		}
		if b, err := loader.Next(); err != nil || len(b.Items) != c.Batch {
			t.Errorf("%v, %v", b, err)
		}
		loader.Close()
	}

	s := new(images)
	if err := s.list(c); err != nil {
		t.Fatal(err)
	}
	side := s.looked(s.trainData).side
	for _, item := range s.trainData.Items {
		if err := os.Remove(item.Path); err != nil {
			t.Fatal(err)
		}
	}
	if again := s.looked(s.trainData).side; side == 0 || again != side {
		t.Errorf("the shorter side is %d, and %d when looked at again", side, again)
	}
	if _, err := s.sample(t.Context(), &c); err == nil {
		t.Error("a sample of files that are gone")
	}
}
