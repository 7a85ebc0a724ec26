package cuda_test

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"vicreg/internal/device"
)

func TestPatchTokens(t *testing.T) {
	d := open(t)
	for _, mix := range tokenMixes {
		for _, p := range []device.Patches{
			{N: 3, Patches: 4, C: 8, Class: true}, {N: 2, Patches: 5, C: 7, Class: true}, {N: 4, Patches: 9, C: 300},
			{N: 1, Patches: 1, C: 16, Class: true}, {N: 20, Patches: 2, C: 264, Class: true},
		} {
			t.Run(fmt.Sprint(mix.name, p), func(t *testing.T) {
				agree(t, d, func(s *side) {
					tokens, class, dClass := p.Tokens(), device.Array{}, device.Array{}
					if p.Class {
						class, dClass = s.channels(p.C), s.channels(p.C)
					}
					x, y := s.normal(mix.a, p.N*p.Patches*p.C), s.empty(mix.b, p.N*tokens*p.C)
					position := s.channels(tokens * p.C)
					s.PatchTokens(y, p, x, position, class, s.channels(p.C))
					s.showValues("y", y)

					dd := s.normal(mix.b, p.N*tokens*p.C)
					dPosition, dBias := s.channels(tokens*p.C), s.channels(p.C)
					s.PatchTokensGrad(dd, p, dPosition, dClass, dBias)
					s.show("patches", dd.Slice(0, p.N*p.Patches*p.C), equal)
					s.show("dPosition", dPosition, near32)
					s.show("dBias", dBias, near32)
					s.show("dClass", dClass, near32)
					dd = s.normal(mix.b, p.N*tokens*p.C)
					s.PatchTokensGrad(dd, p, device.Array{}, dClass, dBias) // fixed positions
					s.show("dBias", dBias, near32)
				})
			})
		}
	}
}

func TestLookup(t *testing.T) {
	d := open(t)
	for _, mix := range tokenMixes {
		for _, test := range []struct{ rows, c, table, places int }{
			{1, 8, 3, 2}, {63, 5, 40, 7}, {300, 33, 4, 100}, {2100, 4, 11, 3}, {130, 150, 2000, 77},
		} {
			t.Run(fmt.Sprint(mix.name, test), func(t *testing.T) {
				agree(t, d, func(s *side) {
					ids := make([]int32, 2*test.rows)
					for i := range test.rows {
						ids[2*i], ids[2*i+1] = int32(s.rand.IntN(test.table)), int32(s.rand.IntN(test.places))
						if i > test.rows/2 && i < test.rows*2/3 {
							ids[2*i] = int32(test.table - 1) // a long run of one
						}
					}
					at := s.ints(ids)
					table, position := s.channels(test.table*test.c), s.channels(test.places*test.c)
					y := s.empty(mix.a, test.rows*test.c)
					s.Lookup(y, test.c, at, table, position)
					s.showValues("y", y)
					dd := s.normal(mix.a, test.rows*test.c)
					s.LookupGrad(dd, test.c, at, table, position)
					s.show("table", table, near32)
					s.show("positions", position, near32)
				})
			})
		}
	}
}

// The sums of a table's gradient are the same bits each time.
func TestLookupGradIsTheSameEachTime(t *testing.T) {
	d := open(t)
	const rows, c = 500, 16
	var first []float64
	for range 3 {
		s := &side{Device: d, rand: rand.New(rand.NewPCG(1, 2))}
		ids := make([]int32, 2*rows)
		for i := range ids {
			ids[i] = int32(s.rand.IntN(3))
		}
		table, position := s.channels(3*c), s.channels(3*c)
		s.LookupGrad(s.normal(device.Float32, rows*c), c, s.ints(ids), table, position)
		got := append(s.values(table), s.values(position)...)
		if first == nil {
			first = got
		}
		for i, v := range got {
			if v != first[i] {
				t.Fatalf("element %d is %v, and was %v", i, v, first[i])
			}
		}
	}
}

func TestSequences(t *testing.T) {
	d := open(t)
	for _, mix := range tokenMixes {
		for _, c := range []int{1, 8, 45, 128} {
			for _, lengths := range [][]int{{1}, {3, 1, 20}, {2, 0, 9, 0}} {
				t.Run(fmt.Sprint(mix.name, lengths, c), func(t *testing.T) {
					agree(t, d, func(s *side) {
						from := starts(lengths)
						n, rows, at := len(lengths), int(from[len(lengths)]), s.ints(from)
						x, y := s.normal(mix.a, rows*c), s.empty(mix.b, n*c)
						s.TokenMean(y, c, at, x)
						s.showValues("mean", y)
						dx, dy := s.empty(mix.a, rows*c), s.normal(mix.b, n*c)
						s.TokenMeanGrad(dx, c, at, dy)
						s.showValues("gradient of the mean", dx)
						for _, l := range lengths {
							if l == 0 { // there is no first row
								return
							}
						}
						s.FirstToken(y, c, at, x)
						s.showValues("first", y)
						dx = s.empty(mix.a, rows*c)
						s.FirstTokenGrad(dx, c, at, dy)
						s.showValues("gradient of the first", dx)
					})
				})
			}
		}
	}
}
