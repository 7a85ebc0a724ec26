package token

import (
	"math/rand/v2"
	"slices"
	"testing"

	"vicreg/internal/check"
	"vicreg/internal/kernel/shape"
	"vicreg/internal/parallel"
)

// both are the same values as bfloat16 and as float32.
type both struct{ half, full shape.Values }

func random(r *rand.Rand, n int) both {
	b := both{shape.Halves(make([]uint16, n)), shape.Floats(check.Normal(r, n))}
	for i, v := range b.full.F {
		b.half.Set(i, v)
		b.full.F[i] = b.half.At(i)
	}
	return b
}

// near checks that what was made in bfloat16 is what was made in float32, rounded.
func (b both) near(t *testing.T, what string, tol float64) {
	t.Helper()
	got := make([]float32, b.half.Len())
	for i := range got {
		got[i] = b.half.At(i)
	}
	check.Close(t, what, got, b.full.F, tol)
}

// each runs f on both kinds of values; pick takes what belongs to one.
func each(f func(pick func(both) shape.Values)) {
	f(func(b both) shape.Values { return b.half })
	f(func(b both) shape.Values { return b.full })
}

// What transformers do with rows of bfloat16 is what they do with the same rows in float32,
// rounded once; with products of bfloat16 nearly so.
func TestHalfTokens(t *testing.T) {
	defer parallel.SetWorkers(0)
	check.EachVariant(t, func(t *testing.T) {
		r := rand.New(rand.NewPCG(61, 62))
		for i, c := range []struct{ n, c, k int }{{1, 3, 5}, {230, 24, 40}, {113, 140, 33}, {5, 2048, 16},
			{3, 16, 32}} {
			for _, precision := range []shape.Precision{shape.Float32, shape.BF16} {
				parallel.SetWorkers(1 + i%3)
				s := Dense{N: c.n, C: c.c, K: c.k, Precision: precision}
				tol := 5e-3
				if precision == shape.BF16 && shape.HasBF16() {
					tol = 1.5e-2
				}
				x, add, y := random(r, c.n*c.c), random(r, c.n*c.k), random(r, c.n*c.k)
				w, bias := check.Normal(r, c.c*c.k), check.Normal(r, c.k)
				norm := RowNorm{Gamma: check.Normal(r, c.c), Beta: check.Normal(r, c.c), Eps: 1e-6,
					Mean: make([]float32, c.n), Rstd: make([]float32, c.n)}
				for name, from := range map[string]RowSource{"plain": {}, "gelu": {GELU: true}, "norm": {Norm: norm}} {
					each(func(pick func(both) shape.Values) {
						from.X = pick(x)
						DenseForward(pick(y), s, from, w, bias, pick(add))
					})
					y.near(t, name, tol)
				}
				each(func(pick func(both) shape.Values) {
					DenseForward(pick(y), s, RowSource{X: pick(x)}, w, bias, shape.Values{})
				})
				y.near(t, "without more", tol)

				d, dx, more := random(r, c.n*c.k), random(r, c.n*c.c), random(r, c.n*c.c)
				u, at := random(r, c.n*c.c), random(r, c.n*c.c)
				for name, f := range map[string]func(pick func(both) shape.Values) RowFinish{
					"plain": func(func(both) shape.Values) RowFinish { return RowFinish{} },
					"add":   func(pick func(both) shape.Values) RowFinish { return RowFinish{Add: pick(more)} },
					"gelu":  func(pick func(both) shape.Values) RowFinish { return RowFinish{U: pick(u)} },
					"norm": func(pick func(both) shape.Values) RowFinish {
						return RowFinish{X: pick(at), Norm: norm, DGamma: make([]float32, c.c),
							DBeta: make([]float32, c.c), Add: pick(more)}
					},
				} {
					var sums [][]float32
					each(func(pick func(both) shape.Values) {
						db, f := make([]float32, c.k), f(pick)
						DenseInputGrad(pick(dx), s, pick(d), w, db, f)
						sums = append(sums, slices.Concat(db, f.DGamma, f.DBeta))
					})
					dx.near(t, "gradient, "+name, tol)
					check.Close(t, "sums, "+name, sums[0], sums[1], tol)
				}
				u.near(t, "gelu left", tol)
				at.near(t, "norm left", tol)
				var dw [2][]float32
				each(func(pick func(both) shape.Values) {
					dw[0], dw[1] = dw[1], check.Ramp(c.c*c.k)
					DenseWeightGrad(dw[1], s, pick(x), pick(d))
				})
				check.Close(t, "dw", dw[0], dw[1], tol)

				each(func(pick func(both) shape.Values) { LayerNorm(pick(dx), pick(x), norm) })
				dx.near(t, "LayerNorm", tol)
				f := RowFinish{Norm: norm, DGamma: make([]float32, c.c), DBeta: make([]float32, c.c)}
				each(func(pick func(both) shape.Values) {
					f.X, f.Add = pick(x), pick(more)
					LayerNormGrad(pick(dx), pick(at), f)
				})
				dx.near(t, "LayerNormGrad", tol)
			}
		}
	})
}

func TestHalfAttention(t *testing.T) {
	defer parallel.SetWorkers(0)
	check.EachVariant(t, func(t *testing.T) {
		r := rand.New(rand.NewPCG(63, 64))
		for i, c := range []struct{ heads, width int }{{1, 64}, {3, 48}, {2, 10}} {
			for _, precision := range []shape.Precision{shape.Float32, shape.BF16} {
				parallel.SetWorkers(1 + i)
				tol := 5e-3
				if precision == shape.BF16 && shape.HasBF16() {
					tol = 1.5e-2
				}
				s := Attention{Starts: []int32{0, 5, 5, 38, 39, 152, 217}, C: c.width, Heads: c.heads,
					Precision: precision}
				rows := s.Rows()
				qkv, do := random(r, rows*3*c.width), random(r, rows*c.width)
				o, dqkv, lse := random(r, rows*c.width), random(r, rows*3*c.width), make([]float32, rows*c.heads)
				each(func(pick func(both) shape.Values) {
					AttentionForward(pick(o), lse, s, pick(qkv))
					AttentionGrad(pick(dqkv), s, pick(qkv), pick(o), pick(do), lse)
				})
				o.near(t, "o", tol)
				dqkv.near(t, "dqkv", tol)
			}
		}
	})
}

// Embeddings and means of bfloat16 are those of float32, rounded.
func TestHalfEmbeddings(t *testing.T) {
	check.EachVariant(t, func(t *testing.T) {
		r := rand.New(rand.NewPCG(65, 66))
		for _, c := range []int{1, 31, 70} {
			const tol = 4e-3
			s := Patches{3, 4, c, true}
			x, y := random(r, 12*c), random(r, 15*c)
			position, class, bias := check.Normal(r, 5*c), check.Normal(r, c), check.Normal(r, c)
			each(func(pick func(both) shape.Values) { PatchTokens(pick(y), s, pick(x), position, class, bias) })
			y.near(t, "PatchTokens", tol)
			var sums [][]float32
			y = random(r, 15*c)
			each(func(pick func(both) shape.Values) {
				p, cl, b := make([]float32, 5*c), make([]float32, c), make([]float32, c)
				PatchTokensGrad(pick(y), s, p, cl, b)
				sums = append(sums, slices.Concat(p, cl, b))
			})
			check.Close(t, "PatchTokensGrad", sums[0], sums[1], 1e-6)
			y.near(t, "patches", 0)

			ids := []int32{0, 1, 2, 0, 1, 1, 0, 2}
			rows, table := random(r, 4*c), check.Normal(r, 3*c)
			each(func(pick func(both) shape.Values) { Lookup(pick(rows), c, ids, table, position) })
			rows.near(t, "Lookup", tol)
			rows, sums = random(r, 4*c), nil
			each(func(pick func(both) shape.Values) {
				a, b := make([]float32, 3*c), make([]float32, 5*c)
				LookupGrad(pick(rows), c, ids, a, b)
				sums = append(sums, slices.Concat(a, b))
			})
			check.Close(t, "LookupGrad", sums[0], sums[1], 1e-6)

			starts := []int32{0, 3, 4, 10, 11}
			in, out := random(r, 11*c), random(r, 4*c)
			for name, run := range map[string]func(pick func(both) shape.Values){
				"TokenMean":      func(pick func(both) shape.Values) { TokenMean(pick(out), c, starts, pick(in)) },
				"TokenMeanGrad":  func(pick func(both) shape.Values) { TokenMeanGrad(pick(in), c, starts, pick(out)) },
				"FirstToken":     func(pick func(both) shape.Values) { FirstToken(pick(out), c, starts, pick(in)) },
				"FirstTokenGrad": func(pick func(both) shape.Values) { FirstTokenGrad(pick(in), c, starts, pick(out)) },
			} {
				in, out = random(r, 11*c), random(r, 4*c)
				each(run)
				in.near(t, name, tol)
				out.near(t, name, tol)
			}
		}
	})
}
