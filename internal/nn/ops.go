package nn

import "vicreg/internal/kernel"

func maxPool(out []float32, argmax []uint8, s kernel.Conv, src kernel.Source) {
	i := 0
	for n := range s.N {
		for oy := range s.OutH() {
			for ox := range s.OutW() {
				for c := range s.C {
					first := true
					for t := range s.R * s.S {
						y, x := oy*s.Stride+t/s.S-s.Pad, ox*s.Stride+t%s.S-s.Pad
						if y < 0 || y >= s.H || x < 0 || x >= s.W {
							continue
						}
						if v := src.At(((n*s.H+y)*s.W+x)*s.C+c, c); first || v > out[i] {
							out[i], argmax[i], first = v, uint8(t), false
						}
					}
					i++
				}
			}
		}
	}
}

func maxPoolGrad(dx, d []float32, argmax []uint8, s kernel.Conv, f kernel.Finish) {
	clear(dx)
	i := 0
	for n := range s.N {
		for oy := range s.OutH() {
			for ox := range s.OutW() {
				for c := range s.C {
					t := int(argmax[i])
					y, x := oy*s.Stride+t/s.S-s.Pad, ox*s.Stride+t%s.S-s.Pad
					dx[((n*s.H+y)*s.W+x)*s.C+c] += d[i]
					i++
				}
			}
		}
	}
	kernel.FinishGrad(dx, s.C, f)
}

func avgPool(out []float32, in Act, src kernel.Source) {
	hw := in.H * in.W
	for n := range in.N {
		for c := range in.C {
			var sum float64
			for p := range hw {
				sum += float64(src.At((n*hw+p)*in.C+c, c))
			}
			out[n*in.C+c] = float32(sum / float64(hw))
		}
	}
}

func avgPoolGrad(dx, d []float32, in Act, f kernel.Finish) {
	hw := in.H * in.W
	for i := range dx {
		n, c := i/(hw*in.C), i%in.C
		dx[i] = d[n*in.C+c] / float32(hw)
	}
	kernel.FinishGrad(dx, in.C, f)
}
