package batch

import (
	"errors"
	"io"
	"slices"
	"testing"
)

// Processes that share batches make the rows of one that makes all of them, each its part
// of every piece, and replace bad items alike.
func TestParts(t *testing.T) {
	read := func(o Order) (steps [][]float32) {
		o.Seed, o.Epochs = 5, 2
		r := Rows{Data: "numbers", Kind: "numbers", Items: 30, Name: func(int) string { return "" },
			Shapes: [][]int{{2}}, Batch: 12,
			Make: func(w *Worker, r *Row) error {
				if r.Item == 7 {
					return errors.New("bad")
				}
				r.Views[0][0], r.Views[0][1] = float32(r.Item), float32(r.Due)
				return nil
			}}
		l, err := r.Train(o)
		if err != nil {
			t.Fatal(err)
		}
		defer l.Done()
		for {
			b, err := l.Next()
			if err == io.EOF {
				return steps
			}
			if err != nil {
				t.Fatal(err)
			}
			for i, item := range b.Items {
				if b.Views[0].Data[2*i] != float32(item) {
					t.Fatalf("row %d is of another item", i)
				}
			}
			steps = append(steps, slices.Clone(b.Views[0].Data))
		}
	}
	whole := read(Order{})
	for _, c := range []struct{ parts, piece int }{{2, 0}, {3, 0}, {4, 0}, {2, 8}, {4, 8}, {12, 0}} {
		piece := c.piece
		if piece == 0 {
			piece = 12
		}
		got := make([][]float32, len(whole))
		var parts [][][]float32
		for i := range c.parts {
			parts = append(parts, read(Order{Part: i, Parts: c.parts, Piece: c.piece}))
		}
		for s := range whole {
			for at := 0; at < 12; at += piece {
				n := min(piece, 12-at) / c.parts
				for _, p := range parts {
					from := at / c.parts
					got[s] = append(got[s], p[s][2*from:2*(from+n)]...)
				}
			}
			if !slices.Equal(got[s], whole[s]) {
				t.Errorf("%d parts of pieces of %d, step %d: %v, want %v", c.parts, c.piece, s, got[s], whole[s])
			}
		}
	}
}
