package pretrained

import (
	"context"

	"vicreg/internal/batch"
	"vicreg/internal/eval"
	"vicreg/internal/pairs"
	"vicreg/internal/runlog"
)

// Pairs returns a side of the rows of a source that items lists (nil: all).
func (e *Embedder) Pairs(s *pairs.Source, side int, items []int) Input {
	d := s.Data()
	if items == nil {
		items = make([]int, len(d.Rows))
		for i := range items {
			items[i] = i
		}
	}
	in := Input{Items: len(items), Name: func(i int) string { return d.ItemName(items[i], side) }}
	for _, i := range items {
		in.Labels = append(in.Labels, d.Rows[i].Label)
	}
	in.Load = func(m batch.Memory) *batch.Loader {
		return s.Plain(pairs.PlainConfig{Side: side, Items: items, Batch: e.Batch, Workers: e.Workers, Memory: m})
	}
	return in
}

// Retrieve tells how well the rows of a source that items lists find their
// partners, each side embedded by its own embedder with its expander.
func Retrieve(ctx context.Context, sides [2]*Embedder, s *pairs.Source, items []int) (*runlog.Retrieval, error) {
	found, _, err := retrieve(ctx, sides, s, items)
	return found, err
}

// retrieve is Retrieve, and returns the embeddings as well.
func retrieve(ctx context.Context, sides [2]*Embedder, s *pairs.Source, items []int) (*runlog.Retrieval, eval.Pairs,
	error) {
	p := eval.Pairs{D: sides[0].Dim()}
	for i, e := range sides {
		x, err := e.Embed(ctx, e.Pairs(s, i, items))
		if err != nil {
			return nil, p, err
		}
		all := s.Data().Items(i)
		of := make([]int, len(items))
		for k, row := range items {
			of[k] = all[row]
		}
		if i == 0 {
			p.A, p.ItemA = x, of
		} else {
			p.B, p.ItemB = x, of
		}
	}
	ab, ba, err := eval.Retrieval(ctx, p)
	if err != nil {
		return nil, p, err
	}
	return &runlog.Retrieval{AToB: recall(ab), BToA: recall(ba)}, p, ctx.Err()
}

func recall(r eval.Recall) runlog.Recall {
	return runlog.Recall{R1: r.At[0], R5: r.At[1], R10: r.At[2], Chance1: r.Chance[0], Chance5: r.Chance[1],
		Chance10: r.Chance[2],
		Median:   r.Median, Queries: r.Queries, Gallery: r.Gallery}
}
