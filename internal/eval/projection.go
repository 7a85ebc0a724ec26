package eval

import (
	"cmp"
	"context"
	"fmt"
	"math"

	"vicreg/internal/rng"
)

// Projection maps features of very many numbers to fewer at random, so that distances
// and products stay about the same (Kane and Nelson, "Sparser Johnson-Lindenstrauss
// transforms", 2014): every number is added, with a random sign, to a few of the
// outputs. The same sizes give the same projection.
type Projection struct {
	d, width int
	to       []int32 // d × spread: an output, or, with the minus sign, ^output
}

// spread is how many outputs a number goes to.
const spread = 8

// NewProjection returns the projection of d numbers to width.
func NewProjection(d, width int) *Projection {
	if d < 1 || width < spread {
		panic(fmt.Sprintf("eval: a projection of %d numbers to %d", d, width))
	}
	p := &Projection{d: d, width: width, to: make([]int32, d*spread)}
	r := rng.New(0, rng.Eval, uint64(d), uint64(width))
	for i := range p.to {
		at := int32(r.IntN(width))
		if r.Uint64()&1 == 1 {
			at = ^at
		}
		p.to[i] = at
	}
	return p
}

// Apply appends the projections of x, n × d, to dst, n × width.
func (p *Projection) Apply(dst, x []float32) []float32 {
	n := len(x) / p.d
	at := len(dst)
	dst = append(dst, make([]float32, n*p.width)...)
	out := dst[at:]
	scale := float32(1 / math.Sqrt(spread))
	rows(n, func(lo, hi int) {
		for i := lo; i < hi; i++ {
			row := out[i*p.width : (i+1)*p.width]
			for j, v := range x[i*p.d : (i+1)*p.d] {
				v *= scale
				for _, to := range p.to[j*spread : (j+1)*spread] {
					if to < 0 {
						row[^to] -= v
					} else {
						row[to] += v
					}
				}
			}
		}
	})
	return dst
}

// back returns the weights, k × d, that equal some weights of projected features.
func (p *Projection) back(w []float32) []float32 {
	k := len(w) / p.width
	out := make([]float32, k*p.d)
	scale := float32(1 / math.Sqrt(spread))
	rows(k, func(lo, hi int) {
		for c := lo; c < hi; c++ {
			row := w[c*p.width : (c+1)*p.width]
			for j := range p.d {
				var sum float32
				for _, to := range p.to[j*spread : (j+1)*spread] {
					if to < 0 {
						sum -= row[^to]
					} else {
						sum += row[to]
					}
				}
				out[c*p.d+j] = scale * sum
			}
		}
	})
	return out
}

// store puts the projections of features into a store, which must be closed.
func (p *Projection) store(ctx context.Context, x features, n int, o Options) (*Store, error) {
	out, err := NewStore(n, p.width)
	if err != nil {
		return nil, err
	}
	var room []float32
	for lo := 0; lo < n && err == nil; lo += 2048 {
		o.Progress("linear probe: projecting", lo, n)
		var block []float32
		if block, err = x.block(lo, min(lo+2048, n)); err == nil {
			room = p.Apply(room[:0], block)
			err = cmp.Or(ctx.Err(), out.Add(room))
		}
	}
	if err != nil {
		out.Close()
		return nil, err
	}
	return out, nil
}
