package serve

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
)

// odd is a model whose features depend on the company in batches of some sizes, which
// refuses negative values and fails at those above a hundred.
type odd struct {
	sizes []int
	seen  []int // sizes of batches
}

func (*odd) Values() int { return 2 }

func (o *odd) Prepared(_ context.Context, values []float32) ([]float32, error) {
	n := len(values) / 2
	o.seen = append(o.seen, n)
	y := make([]float32, n)
	for i := range y {
		switch y[i] = values[2*i] + values[2*i+1]; {
		case values[2*i] > 100:
			panic("out of range")
		case values[2*i] < -100:
			return nil, errors.New("too small")
		case slices.Contains(o.sizes, n) && i == n-1:
			y[i] += 1e-5
		}
	}
	return y, nil
}

// Only sizes of batches that change no bit are taken.
func TestQueueTriesSizes(t *testing.T) {
	for _, c := range []struct{ sizes, want []int }{
		{nil, []int{8, 4, 2, 1}}, {[]int{8}, []int{4, 2, 1}}, {[]int{2}, []int{8, 4, 1}}, {[]int{2, 4, 8}, []int{1}},
	} {
		q, err := newQueue(&odd{sizes: c.sizes})
		if err != nil {
			t.Fatal(err)
		}
		if q.close(); !slices.Equal(q.merge, c.want) {
			t.Errorf("where %v change bits: %v, want %v", c.sizes, q.merge, c.want)
		}
	}
}

// What is wrong with one image is not the others' fault, and whoever went away is not
// waited for.
func TestQueueParts(t *testing.T) {
	o := &odd{sizes: []int{8}}
	q, err := newQueue(o)
	if err != nil {
		t.Fatal(err)
	}
	defer q.close()
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	o.seen = nil
	var wg sync.WaitGroup
	for i := range 60 {
		wg.Go(func() {
			ctx, values := t.Context(), []float32{float32(i), 1}
			switch i % 6 {
			case 1:
				values[0] = -200
			case 2:
				values[0] = 200
			case 3:
				ctx = gone
			}
			taken := 0
			y, err := q.embed(ctx, values, func() { taken++ })
			good := err == nil && slices.Equal(y, []float32{float32(i) + 1})
			switch i % 6 {
			case 1:
				good = err != nil && err.Error() == "too small"
			case 2:
				good = errors.Is(err, errInternal)
			case 3:
				good = errors.Is(err, context.Canceled)
			}
			if !good || taken != 1 {
				t.Error(fmt.Sprint("image ", i, ": ", y, err, ", taken ", taken, " times"))
			}
		})
	}
	wg.Wait()
	if m := slices.Max(o.seen); m > 4 {
		t.Errorf("a batch of %d, which changes bits", m)
	}
}
