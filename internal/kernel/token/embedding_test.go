package token

import (
	"math/rand/v2"
	"testing"

	"vicreg/internal/check"
	"vicreg/internal/kernel/shape"
)

func addTo(dst, x []float32) {
	for i, v := range x {
		dst[i] += v
	}
}

func TestPatchTokens(t *testing.T) {
	check.EachWorkers(t, func(t *testing.T) {
		r := rand.New(rand.NewPCG(1, 2))
		for _, s := range []Patches{{3, 4, 5, true}, {2, 9, 33, false}, {5, 16, 64, true}, {1, 1, 96, true}} {
			n, p, c, tokens := s.N, s.Patches, s.C, s.Tokens()
			x, position, bias := check.Normal(r, n*p*c), check.Normal(r, tokens*c), check.Normal(r, c)
			var class, dClass, wantClass []float32
			if s.Class {
				class, dClass = check.Normal(r, c), check.Normal(r, c)
				wantClass = append(wantClass, dClass...)
			}
			got, want := make([]float32, n*tokens*c), make([]float32, n*tokens*c)
			first := tokens - p
			for i := range n {
				out := want[i*tokens*c:][:tokens*c]
				copy(out, position)
				addTo(out[:first*c], class)
				for j := range p * c {
					out[first*c+j] += x[i*p*c+j] + bias[j%c]
				}
			}
			PatchTokens(shape.Floats(got), s, shape.Floats(x), position, class, bias)
			check.Close(t, "tokens", got, want, 0)

			d := check.Normal(r, n*tokens*c)
			for _, learned := range []bool{true, false} {
				wantPosition, wantBias := check.Normal(r, tokens*c), check.Normal(r, c)
				dPosition, dBias := append([]float32(nil), wantPosition...), append([]float32(nil), wantBias...)
				var patches []float32
				for i := range n {
					rows := d[i*tokens*c:][:tokens*c]
					addTo(wantPosition, rows)
					addTo(wantClass, rows[:first*c])
					for j := first; j < tokens; j++ {
						addTo(wantBias, rows[j*c:][:c])
					}
					patches = append(patches, rows[first*c:]...)
				}
				own := append([]float32(nil), d...)
				if learned {
					PatchTokensGrad(shape.Floats(own), s, dPosition, dClass, dBias)
					check.Close(t, "dPosition", dPosition, wantPosition, 0)
				} else {
					PatchTokensGrad(shape.Floats(own), s, nil, dClass, dBias)
				}
				check.Close(t, "dClass", dClass, wantClass, 0)
				check.Close(t, "dBias", dBias, wantBias, 0)
				check.Close(t, "dPatches", own[:len(patches)], patches, 0)
			}
		}
	})
}

func TestLookup(t *testing.T) {
	check.EachWorkers(t, func(t *testing.T) {
		r := rand.New(rand.NewPCG(3, 4))
		for _, c := range []int{1, 31, 70} {
			const numbers, places, rows = 6, 9, 130
			table, position := check.Normal(r, numbers*c), check.Normal(r, places*c)
			dTable, dPosition := check.Normal(r, numbers*c), check.Normal(r, places*c)
			wantTable, wantPosition := append([]float32(nil), dTable...), append([]float32(nil), dPosition...)
			d, got, want := check.Normal(r, rows*c), make([]float32, rows*c), make([]float32, rows*c)
			var ids []int32
			for i := range rows {
				a, b := r.IntN(numbers), r.IntN(places)
				ids = append(ids, int32(a), int32(b))
				addTo(want[i*c:][:c], table[a*c:][:c])
				addTo(want[i*c:][:c], position[b*c:][:c])
				addTo(wantTable[a*c:][:c], d[i*c:][:c])
				addTo(wantPosition[b*c:][:c], d[i*c:][:c])
			}
			Lookup(shape.Floats(got), c, ids, table, position)
			check.Close(t, "rows", got, want, 0)
			LookupGrad(shape.Floats(d), c, ids, dTable, dPosition)
			check.Close(t, "dTable", dTable, wantTable, 0)
			check.Close(t, "dPosition", dPosition, wantPosition, 0)
		}
		Lookup(shape.Values{}, 4, nil, nil, nil)
		LookupGrad(shape.Values{}, 4, nil, nil, nil)
	})
}

func TestTokenMeans(t *testing.T) {
	check.EachWorkers(t, func(t *testing.T) {
		r := rand.New(rand.NewPCG(5, 6))
		starts := []int32{0, 3, 3, 10, 11}
		const n, rows = 4, 11
		for _, c := range []int{1, 31, 70} {
			x, d := check.Normal(r, rows*c), check.Normal(r, n*c)
			mean, first := make([]float32, n*c), make([]float32, n*c)
			dMean, dFirst := check.Normal(r, rows*c), check.Normal(r, rows*c)
			wantMean, wantFirst := make([]float32, n*c), make([]float32, n*c)
			wantDMean, wantDFirst := make([]float32, rows*c), make([]float32, rows*c)
			for i := range n {
				from, to := int(starts[i]), int(starts[i+1])
				for k := from; k < to; k++ {
					addTo(wantMean[i*c:][:c], x[k*c:][:c])
				}
				for j := range c {
					for k := from; k < to; k++ {
						wantDMean[k*c+j] = d[i*c+j] * (1 / float32(to-from))
					}
					if from < to {
						wantMean[i*c+j] *= 1 / float32(to-from)
					}
				}
			}
			TokenMean(shape.Floats(mean), c, starts, shape.Floats(x))
			check.Close(t, "mean", mean, wantMean, 0)
			TokenMeanGrad(shape.Floats(dMean), c, starts, shape.Floats(d))
			check.Close(t, "dMean", dMean, wantDMean, 0)

			full := []int32{0, 3, 4, 10, 11} // each has a first token
			for i := range n {
				copy(wantFirst[i*c:][:c], x[int(full[i])*c:])
				copy(wantDFirst[int(full[i])*c:][:c], d[i*c:])
			}
			FirstToken(shape.Floats(first), c, full, shape.Floats(x))
			check.Close(t, "first", first, wantFirst, 0)
			FirstTokenGrad(shape.Floats(dFirst), c, full, shape.Floats(d))
			check.Close(t, "dFirst", dFirst, wantDFirst, 0)
		}
	})
}
