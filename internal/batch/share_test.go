package batch

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"testing"
)

// A share that may be bad may be bad to the last item, and not one more, when images
// are looked at and when they are loaded.
func TestShareThatMayBeBad(t *testing.T) {
	for _, c := range []struct {
		share      float64
		items, bad int
		fails      bool
	}{{0.25, 16, 4, false}, {0.25, 16, 5, true}, {0, 16, 1, true}, {0.5, 5, 2, false}, {0.5, 5, 3, true},
		{0.03125, 64, 2, false}, {0.03125, 64, 3, true}} {
		tally := Tally{Total: c.items, Most: &c.share}
		if err := tally.Add(c.items, make([]Bad, c.bad)); (err != nil) != c.fails {
			t.Errorf("%d of %d bad, and %v may be: %v", c.bad, c.items, c.share, err)
		}
		r := Rows{Data: "d", Kind: "sounds", Items: c.items, Name: func(i int) string { return fmt.Sprint(i) },
			Shapes: [][]int{{1}}, Batch: c.items, Workers: 1, Most: &c.share,
			Make: func(w *Worker, r *Row) error {
				if r.Item < c.bad {
					return errors.New("broken")
				}
				return nil
			}}
		l, err := r.Train(Order{Seed: 1, Epochs: 1})
		if err != nil {
			t.Fatal(err)
		}
		if _, err = l.Next(); (err != nil) != c.fails {
			t.Errorf("%d of %d turn bad, and %v may be: %v", c.bad, c.items, c.share, err)
		}
		l.Close()
	}
}

// Mean and deviation are those of the images that were decoded, however many others
// there are.
func TestMomentsOfTheDecoded(t *testing.T) {
	d := photos(t, 12)
	some := NewSource(d, SourceOptions{Channels: 3})
	r, err := some.Scan(context.Background(), ScanOptions{Decode: 3})
	if err != nil {
		t.Fatal(err)
	}
	if r.Decoded != 3 || r.Images != 12 {
		t.Fatalf("%d of %d decoded", r.Decoded, r.Images)
	}
	var mean, square [3]float64
	for i := range d.Items {
		if !Chosen(3, 12)(i) {
			continue
		}
		m, err := some.Image(i)
		if err != nil {
			t.Fatal(err)
		}
		a, b := m.Moments()
		for c := range mean {
			mean[c], square[c] = mean[c]+a[c]/3, square[c]+b[c]/3
		}
	}
	for c := range mean {
		std := math.Sqrt(square[c] - mean[c]*mean[c])
		if math.Abs(r.Mean[c]-mean[c]) > 1e-9 || math.Abs(r.Std[c]-std) > 1e-9 {
			t.Errorf("channel %d: mean %v and std %v, want %v and %v", c, r.Mean[c], r.Std[c], mean[c], std)
		}
	}
}

// An image that has no room takes none: smaller ones behind it are still kept.
func TestRoomForSmallerImages(t *testing.T) {
	d := photos(t, 2)
	s := NewSource(d, SourceOptions{Channels: 3, Cache: 24 * 20 * 3})
	s.room.Store(100)
	for range 3 {
		if _, err := s.Image(0); err != nil {
			t.Fatal(err)
		}
	}
	if left := s.room.Load(); left != 100 {
		t.Errorf("%d of 100 bytes are left after images that had no room", left)
	}
	s.room.Store(1 << 20)
	if _, err := s.Image(1); err != nil {
		t.Fatal(err)
	}
	os.Remove(d.Items[1].Path)
	if _, err := s.Image(1); err != nil {
		t.Errorf("it was not kept: %v", err)
	}
}
