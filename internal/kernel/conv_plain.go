package kernel

// The plain twins: the definitions, one loop nest each, accumulated in float64.
// Every faster way is tested against them.

func plainConvForward(y []float32, s Conv, src Source, w []float32, sums *Sums) {
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
				taps(s, n, oy, ox, func(in, tap int) {
					for c := range s.C {
						v := float64(src.At(in+c, c))
						for k, wk := range w[(tap+c)*s.K:][:s.K] {
							acc[k] += v * float64(wk)
						}
					}
				})
				out := y[((n*oh+oy)*ow+ox)*s.K:][:s.K]
				for k, v := range acc {
					out[k] = float32(v)
					if sums != nil {
						sums.A[k] += v
						sums.B[k] += v * v
					}
				}
			}
		}
	}
}

func plainConvInputGrad(dx []float32, s Conv, g Grad, w []float32, f Finish) {
	oh, ow := s.OutH(), s.OutW()
	acc := make([]float64, s.InLen())
	for n := range s.N {
		for oy := range oh {
			for ox := range ow {
				out := ((n*oh+oy)*ow + ox) * s.K
				taps(s, n, oy, ox, func(in, tap int) {
					for c := range s.C {
						for k, wk := range w[(tap+c)*s.K:][:s.K] {
							acc[in+c] += float64(g.At(out+k, k)) * float64(wk)
						}
					}
				})
			}
		}
	}
	plainFinish(dx, acc, s.C, f)
}

// plainFinish does what Finish says with the products in acc.
func plainFinish(dx []float32, acc []float64, channels int, f Finish) {
	if f.Sums != nil {
		clear(f.Sums.A)
		clear(f.Sums.B)
	}
	for i, v := range acc {
		c := i % channels
		if f.Add != nil {
			v += float64(f.Add[i])
		}
		if f.Mask.X != nil && f.Mask.At(i, c) <= 0 {
			v = 0
		}
		dx[i] = float32(v)
		if f.Sums != nil {
			f.Sums.A[c] += v
			f.Sums.B[c] += v * float64(f.Dot[i])
		}
	}
}

// plainConvWeightGrad adds the weight gradient to dw.
func plainConvWeightGrad(dw []float32, s Conv, g Grad, src Source) {
	oh, ow := s.OutH(), s.OutW()
	acc := make([]float64, len(dw))
	for n := range s.N {
		for oy := range oh {
			for ox := range ow {
				out := ((n*oh+oy)*ow + ox) * s.K
				taps(s, n, oy, ox, func(in, tap int) {
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

// taps calls f for each weight position whose input pixel lies inside the
// image: in is the index of the pixel's first channel, tap counts rows of w.
func taps(s Conv, n, oy, ox int, f func(in, tap int)) {
	for r := range s.R {
		for t := range s.S {
			y, x := oy*s.Stride+r-s.Pad, ox*s.Stride+t-s.padW()
			if y >= 0 && y < s.H && x >= 0 && x < s.W {
				f(((n*s.H+y)*s.W+x)*s.C, (r*s.S+t)*s.C)
			}
		}
	}
}
