// Package plain defines convolution: one loop nest each, for tests.
package plain

import (
	"vicreg/internal/kernel/shape"
)

// The plain twins: the definitions, one loop nest each, accumulated in float64. Sums are of
// what was stored, which may be bfloat16.
// Every faster way is tested against them.

// Conv is the convolution.
func Conv(y shape.Values, s shape.Conv, src shape.Source, w []float32, sums *shape.Sums) {
	oh, ow := s.OutH(), s.OutW()
	acc := make([]float64, s.K)
	if sums != nil {
		clear(sums.A)
		clear(sums.B)
	}
	for n := range s.N {
		for oy := range oh {
			for ox := range ow {
				clear(acc)
				Taps(s, n, oy, ox, func(in, tap int) {
					for c := range s.C {
						v := float64(src.At(in+c, c))
						for k, wk := range w[(tap+c)*s.K:][:s.K] {
							acc[k] += v * float64(wk)
						}
					}
				})
				out := ((n*oh+oy)*ow + ox) * s.K
				for k, v := range acc {
					y.Set(out+k, float32(v))
					if y.Half() {
						v = float64(y.At(out + k))
					}
					if sums != nil {
						sums.A[k] += v
						sums.B[k] += v * v
					}
				}
			}
		}
	}
}

// ConvInputGrad is its input gradient, finished as f says.
func ConvInputGrad(dx shape.Values, s shape.Conv, g shape.Grad, w []float32, f shape.Finish) {
	oh, ow := s.OutH(), s.OutW()
	acc := make([]float64, s.InLen())
	for n := range s.N {
		for oy := range oh {
			for ox := range ow {
				out := ((n*oh+oy)*ow + ox) * s.K
				Taps(s, n, oy, ox, func(in, tap int) {
					for c := range s.C {
						for k, wk := range w[(tap+c)*s.K:][:s.K] {
							acc[in+c] += float64(g.At(out+k, k)) * float64(wk)
						}
					}
				})
			}
		}
	}
	Finish(dx, acc, s.C, f)
}

// Finish does what Finish says with the products in acc.
func Finish(dx shape.Values, acc []float64, channels int, f shape.Finish) {
	if f.Sums != nil {
		clear(f.Sums.A)
		clear(f.Sums.B)
	}
	for i, v := range acc {
		c := i % channels
		if !f.Add.None() {
			v += float64(f.Add.At(i))
		}
		if !f.Mask.X.None() && f.Mask.At(i, c) <= 0 {
			v = 0
		}
		dx.Set(i, float32(v))
		if dx.Half() {
			v = float64(dx.At(i))
		}
		if f.Sums != nil {
			f.Sums.A[c] += v
			f.Sums.B[c] += v * float64(f.Dot.At(i))
		}
	}
}

// ConvWeightGrad adds the weight gradient to dw.
func ConvWeightGrad(dw []float32, s shape.Conv, g shape.Grad, src shape.Source) {
	oh, ow := s.OutH(), s.OutW()
	acc := make([]float64, len(dw))
	for n := range s.N {
		for oy := range oh {
			for ox := range ow {
				out := ((n*oh+oy)*ow + ox) * s.K
				Taps(s, n, oy, ox, func(in, tap int) {
					for c := range s.C {
						v := float64(src.At(in+c, c))
						for k := range s.K {
							acc[(tap+c)*s.K+k] += v * float64(g.At(out+k, k))
						}
					}
				})
			}
		}
	}
	for i, v := range acc {
		dw[i] += float32(v)
	}
}

// Taps calls f for each weight position whose input pixel lies inside the
// image: in is the index of the pixel's first channel, tap counts rows of w.
func Taps(s shape.Conv, n, oy, ox int, f func(in, tap int)) {
	for r := range s.R {
		for t := range s.S {
			y, x := oy*s.Stride+r-s.Pad, ox*s.Stride+t-s.PadW()
			if y >= 0 && y < s.H && x >= 0 && x < s.W {
				f(((n*s.H+y)*s.W+x)*s.C, (r*s.S+t)*s.C)
			}
		}
	}
}
