package token

import (
	"math"
	"math/rand/v2"
	"testing"

	"vicreg/internal/check"
	"vicreg/internal/kernel/shape"
)

// TestGELUGolden holds GELU and its gradient to PyTorch's, also far from zero.
func TestGELUGolden(t *testing.T) {
	g := check.Golden(t, "testdata/gelu.safetensors")
	check.EachVariant(t, func(t *testing.T) {
		u, d := g.F32("x"), g.F32("dout")
		got, slope := make([]float32, len(u)), make([]float32, len(u))
		gelu(got, u)
		geluGrad(slope, d, u)
		check.Close(t, "gelu", got, g.F32("out"), 1e-6)
		check.Close(t, "gelu beside its gradient", u, g.F32("out"), 1e-6)
		check.Close(t, "gradient", slope, g.F32("dx"), 1e-6)
		for i, v := range g.F32("out") {
			if math.Abs(float64(got[i]-v)) > 1e-6 ||
				math.Abs(float64(slope[i]-g.F32("dx")[i])) > 1e-6*(1+math.Abs(float64(d[i]))) {
				t.Errorf("gelu(%v) = %v, want %v; gradient %v, want %v", g.F32("x")[i], got[i], v, slope[i], g.F32("dx")[i])
			}
		}
	})
}

// Row kernels of transformers agree with their twins, at all lengths, and touch
// nothing beside their operands.
func TestTokenRows(t *testing.T) {
	check.EachVariant(t, func(t *testing.T) {
		for _, low := range []bool{false, true} {
			r := rand.New(rand.NewPCG(31, 32))
			for _, c := range append([]int{2, 20, 40, 50, 100, 197}, check.Widths...) {
				for _, rows := range []int{1, 2, 5} {
					testTokenRows(t, r, c, rows, low)
				}
			}
		}
	})
}

func testTokenRows(t *testing.T, r *rand.Rand, c, rows int, low bool) {
	guarded := func(n int) []float32 {
		s := check.Guarded(t, n, low)
		for i := range s {
			s[i] = float32(r.NormFloat64())
		}
		return s
	}
	same := func(s []float32) []float32 { return append([]float32(nil), s...) }
	const gap, tol = 3, 2e-6
	stride := c + gap
	n := (rows-1)*stride + c // the last row ends with its elements

	u, d, dst := guarded(c), guarded(c), guarded(c)
	for i := range u {
		u[i] *= 3
	}
	want, wantU := same(dst), same(u)
	gelu(dst, u)
	geluPlain(want, u)
	check.CloseAbs(t, "gelu", dst, want, tol, tol)
	geluGrad(dst, d, u)
	geluGradPlain(want, d, wantU)
	check.CloseAbs(t, "geluGrad", dst, want, tol, tol)
	check.CloseAbs(t, "geluGrad u", u, wantU, tol, tol)

	s, wide := guarded(n), guarded(n)
	for i := range s {
		s[i] *= 10
	}
	s[0] = -1e30 // as good as masked
	wantS, wantWide := same(s), same(wide)
	peak, sum := guarded(rows), guarded(rows)
	wantPeak, wantSum := make([]float32, rows), make([]float32, rows)
	lse := make([]float32, rows)
	raw := same(s)
	softmaxRows(s, stride, rows, c, 0.7, peak, sum)
	for i := range rows {
		softmaxRowPlain(wantS[i*stride:][:c], 0.7, &wantPeak[i], &wantSum[i])
	}
	check.Close(t, "softmaxRows", s, wantS, tol)
	check.Close(t, "peak", peak, wantPeak, 0)
	check.Close(t, "sum", sum, wantSum, tol)
	for i := range lse {
		lse[i] = 0.7*peak[i] + float32(math.Log(float64(sum[i])))
	}
	copy(s, raw)
	copy(wantS, raw)
	dots := guarded(rows)
	softmaxGradRows(s, wide, stride, rows, c, 0.7, lse, dots)
	for i := range rows {
		softmaxGradRowPlain(wantS[i*stride:][:c], wantWide[i*stride:][:c], 0.7, lse[i], dots[i])
	}
	check.Close(t, "softmaxGradRows p", s, wantS, 1e-5)
	check.Close(t, "softmaxGradRows d", wide, wantWide, 1e-5)

	gamma, beta, x := guarded(c), guarded(c), guarded(rows*c)
	for i := range x {
		x[i] = 3*x[i] + 10
	}
	norm := RowNorm{Gamma: gamma, Beta: beta, Eps: 1e-6, Mean: guarded(rows), Rstd: guarded(rows)}
	wantNorm := norm
	wantNorm.Mean, wantNorm.Rstd = make([]float32, rows), make([]float32, rows)
	out := guarded(n)
	wantOut := same(out)
	normRows(out, stride, x, c, rows, c, &norm, 0)
	normRowsPlain(wantOut, stride, x, c, rows, c, &wantNorm)
	check.CloseAbs(t, "mean", norm.Mean, wantNorm.Mean, tol, 1e-6)
	if c > 1 {
		check.Close(t, "rstd", norm.Rstd, wantNorm.Rstd, 1e-5)
		check.CloseAbs(t, "normRows", out, wantOut, 1e-5, 1e-5)
	}
	copy(norm.Mean, wantNorm.Mean)
	copy(norm.Rstd, wantNorm.Rstd)

	for _, added := range []bool{false, true} {
		var add []float32
		wantAdd := make([]float32, rows*c)
		if added {
			add = guarded(rows * c)
			copy(wantAdd, add)
		}
		x1, wantX := guarded(rows*c), same(x)
		copy(x1, x)
		dx, wantDx := guarded(rows*c), make([]float32, rows*c)
		dGamma, dBeta := guarded(c), guarded(c)
		wantGamma, wantBeta := same(dGamma), same(dBeta)
		f := RowFinish{X: shape.Floats(x1), Norm: norm, Add: shape.Floats(add)}
		normGradRows(nil, shape.Floats(dx), out, stride, &f, 0, rows, c, dGamma, dBeta)
		normGradRowsPlain(wantDx, wantAdd, out, stride, wantX, rows, c, &norm, wantGamma, wantBeta)
		if c > 1 {
			check.CloseAbs(t, "normGradRows", dx, wantDx, 1e-5, 1e-5)
			check.CloseAbs(t, "normGradRows x", x1, wantX, 1e-5, 1e-5)
			check.CloseAbs(t, "dGamma", dGamma, wantGamma, 1e-5, 1e-5)
			check.CloseAbs(t, "dBeta", dBeta, wantBeta, 1e-5, 1e-5)
		}
	}
}

func normRowsPlain(dst []float32, ds int, x []float32, xs, rows, c int, n *RowNorm) {
	for r := range rows {
		normRowPlain(dst[r*ds:][:c], x[r*xs:][:c], n.Gamma, n.Beta, n.Eps, &n.Mean[r], &n.Rstd[r])
	}
}

func normGradRowsPlain(dst, add, d []float32, ds int, x []float32, rows, c int, n *RowNorm, dGamma, dBeta []float32) {
	for r := range rows {
		normGradRowPlain(dst[r*c:][:c], add[r*c:][:c], d[r*ds:][:c], x[r*c:][:c], n.Gamma, n.Beta, n.Mean[r],
			n.Rstd[r], dGamma, dBeta)
	}
}

// TestAttention holds attention and its gradient to the definition in float64.
func TestAttention(t *testing.T) {
	check.EachVariant(t, func(t *testing.T) {
		r := rand.New(rand.NewPCG(41, 42))
		for _, c := range []struct{ heads, width int }{{1, 64}, {3, 48}, {2, 10}, {2, 34}} {
			s := Attention{Starts: []int32{0, 5, 5, 38, 39, 152, 217}, C: c.width, Heads: c.heads}
			rows := s.Rows()
			qkv, do := check.Normal(r, rows*3*c.width), check.Normal(r, rows*c.width)
			o, lse, dqkv := make([]float32, rows*c.width), make([]float32, rows*c.heads),
				make([]float32, rows*3*c.width)
			AttentionForward(shape.Floats(o), lse, s, shape.Floats(qkv))
			AttentionGrad(shape.Floats(dqkv), s, shape.Floats(qkv), shape.Floats(o), shape.Floats(do), lse)
			wantO, wantD := attend(s, qkv, do)
			check.Close(t, "o", o, wantO, 1e-6)
			check.Close(t, "dqkv", dqkv, wantD, 2e-6)
		}
	})
}

// With bfloat16 attention comes close to itself in float32.
func TestAttentionBF16(t *testing.T) {
	if !shape.HasBF16() {
		t.Skip("no bfloat16 here")
	}
	r := rand.New(rand.NewPCG(43, 44))
	s := Attention{Starts: []int32{0, 5, 5, 38, 39, 152, 217}, C: 96, Heads: 2, Precision: shape.BF16}
	rows := s.Rows()
	qkv, do := check.Normal(r, rows*3*s.C), check.Normal(r, rows*s.C)
	o, lse, dqkv := make([]float32, rows*s.C), make([]float32, rows*s.Heads), make([]float32, rows*3*s.C)
	AttentionForward(shape.Floats(o), lse, s, shape.Floats(qkv))
	AttentionGrad(shape.Floats(dqkv), s, shape.Floats(qkv), shape.Floats(o), shape.Floats(do), lse)
	wantO, wantD := attend(s, qkv, do)
	check.Close(t, "o", o, wantO, 1e-2)
	check.Close(t, "dqkv", dqkv, wantD, 1e-2)
	plain := make([]float32, len(o))
	s.Precision = shape.Float32
	AttentionForward(shape.Floats(plain), lse, s, shape.Floats(qkv))
	same := true
	for i := range o {
		same = same && o[i] == plain[i]
	}
	if same {
		t.Error("the products are float32")
	}
}

// attend is attention by its definition.
func attend(s Attention, qkv, do []float32) (o, dqkv []float32) {
	n, c, hd := s.Rows(), s.C, s.C/s.Heads
	o, dqkv = make([]float32, n*c), make([]float32, n*3*c)
	grad := make([]float64, n*3*c)
	scale := 1 / math.Sqrt(float64(hd))
	for i := range len(s.Starts) - 1 {
		first, last := int(s.Starts[i]), int(s.Starts[i+1])
		for h := range s.Heads {
			at := func(row, part int) int { return row*3*c + part*c + h*hd }
			for a := first; a < last; a++ {
				p, dp := make([]float64, last-first), make([]float64, last-first)
				total, dot := 0.0, 0.0
				for b := first; b < last; b++ {
					for e := range hd {
						p[b-first] += float64(qkv[at(a, 0)+e]) * float64(qkv[at(b, 1)+e])
						dp[b-first] += float64(do[a*c+h*hd+e]) * float64(qkv[at(b, 2)+e])
					}
					p[b-first] = math.Exp(p[b-first] * scale)
					total += p[b-first]
				}
				for b := range p {
					p[b] /= total
					dot += p[b] * dp[b]
				}
				for e := range hd {
					sum := 0.0
					for b := first; b < last; b++ {
						sum += p[b-first] * float64(qkv[at(b, 2)+e])
						ds := p[b-first] * (dp[b-first] - dot) * scale
						grad[at(a, 0)+e] += ds * float64(qkv[at(b, 1)+e])
						grad[at(b, 1)+e] += ds * float64(qkv[at(a, 0)+e])
						grad[at(b, 2)+e] += p[b-first] * float64(do[a*c+h*hd+e])
					}
					o[a*c+h*hd+e] = float32(sum)
				}
			}
		}
	}
	for i, v := range grad {
		dqkv[i] = float32(v)
	}
	return o, dqkv
}

// TestDense holds the passes of a dense layer to the steps they are made of.
func TestDense(t *testing.T) {
	check.EachVariant(t, func(t *testing.T) {
		r := rand.New(rand.NewPCG(51, 52))
		for _, c := range []struct{ n, c, k int }{{1, 3, 5}, {230, 24, 40}, {113, 140, 33}, {5, 1024, 16},
			{3, 16, 1024}, {0, 4, 4}} {
			s := Dense{N: c.n, C: c.c, K: c.k}
			x, w, bias, add := check.Normal(r, c.n*c.c), check.Normal(r, c.c*c.k), check.Normal(r, c.k),
				check.Normal(r, c.n*c.k)
			y, want := make([]float32, c.n*c.k), make([]float32, c.n*c.k)
			product := func(src []float32) {
				for i := range c.n {
					for j := range c.k {
						sum := float64(bias[j]) + float64(add[i*c.k+j])
						for p := range c.c {
							sum += float64(src[i*c.c+p]) * float64(w[p*c.k+j])
						}
						want[i*c.k+j] = float32(sum)
					}
				}
			}
			DenseForward(shape.Floats(y), s, RowSource{X: shape.Floats(x)}, w, bias, shape.Floats(add))
			product(x)
			check.Close(t, "plain", y, want, 1e-6)

			g := make([]float32, len(x))
			geluPlain(g, x)
			DenseForward(shape.Floats(y), s, RowSource{X: shape.Floats(x), GELU: true}, w, bias, shape.Floats(add))
			product(g)
			check.Close(t, "gelu", y, want, 2e-6)

			norm := RowNorm{Gamma: check.Normal(r, c.c), Beta: check.Normal(r, c.c), Eps: 1e-6,
				Mean: make([]float32, c.n),
				Rstd: make([]float32, c.n)}
			h := make([]float32, len(x))
			normRowsPlain(h, c.c, x, c.c, c.n, c.c, &norm)
			DenseForward(shape.Floats(y), s, RowSource{X: shape.Floats(x), Norm: norm}, w, bias, shape.Floats(add))
			product(h)
			check.Close(t, "norm", y, want, 2e-6)

			d := check.Normal(r, c.n*c.k)
			raw := make([]float32, len(x)) // d·wᵀ
			wantBias := make([]float32, c.k)
			for i := range c.n {
				for p := range c.c {
					sum := 0.0
					for j := range c.k {
						sum += float64(d[i*c.k+j]) * float64(w[p*c.k+j])
					}
					raw[i*c.c+p] = float32(sum)
				}
				for j := range c.k {
					wantBias[j] += d[i*c.k+j]
				}
			}
			dx, dbias := make([]float32, len(x)), make([]float32, c.k)
			DenseInputGrad(shape.Floats(dx), s, shape.Floats(d), w, dbias, RowFinish{})
			check.Close(t, "dx", dx, raw, 2e-6)
			check.CloseAbs(t, "dbias", dbias, wantBias, 1e-5, 1e-6)

			more := check.Normal(r, len(x))
			sum := make([]float32, len(x))
			for i := range sum {
				sum[i] = raw[i] + more[i]
			}
			copy(dx, more)
			DenseInputGrad(shape.Floats(dx), s, shape.Floats(d), w, dbias, RowFinish{Add: shape.Floats(dx)})
			check.Close(t, "dx + add", dx, sum, 2e-6)

			u, wantU := append([]float32(nil), x...), append([]float32(nil), x...)
			wantDx := make([]float32, len(x))
			DenseInputGrad(shape.Floats(dx), s, shape.Floats(d), w, dbias, RowFinish{U: shape.Floats(u)})
			geluGradPlain(wantDx, raw, wantU)
			check.Close(t, "dx through gelu", dx, wantDx, 2e-6)
			check.Close(t, "gelu left", u, wantU, 1e-6)

			u, wantU = append([]float32(nil), x...), append([]float32(nil), x...)
			f := RowFinish{X: shape.Floats(u), Norm: norm, DGamma: make([]float32, c.c), DBeta: make([]float32, c.c),
				Add: shape.Floats(dx)}
			wantGamma, wantBeta := make([]float32, c.c), make([]float32, c.c)
			copy(dx, more)
			DenseInputGrad(shape.Floats(dx), s, shape.Floats(d), w, dbias, f)
			normGradRowsPlain(wantDx, more, raw, c.c, wantU, c.n, c.c, &norm, wantGamma, wantBeta)
			check.Close(t, "dx through norm", dx, wantDx, 1e-5)
			check.Close(t, "norm left", u, wantU, 1e-5)
			check.CloseAbs(t, "dgamma", f.DGamma, wantGamma, 1e-5, 1e-6)
			check.CloseAbs(t, "dbeta", f.DBeta, wantBeta, 1e-5, 1e-6)

			dw, wantW := check.Normal(r, c.c*c.k), make([]float32, c.c*c.k)
			copy(wantW, dw)
			for p := range c.c {
				for j := range c.k {
					sum := float64(wantW[p*c.k+j])
					for i := range c.n {
						sum += float64(x[i*c.c+p]) * float64(d[i*c.k+j])
					}
					wantW[p*c.k+j] = float32(sum)
				}
			}
			DenseWeightGrad(dw, s, shape.Floats(x), shape.Floats(d))
			check.Close(t, "dw", dw, wantW, 2e-6)
		}
	})
}
