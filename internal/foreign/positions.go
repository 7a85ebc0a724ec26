package foreign

import "math"

// fixed reports whether a position embedding of grid × grid patches is not learned: the
// sines and cosines of MoCo v3 (vits.py, build_2d_sincos_position_embedding) or, the two
// directions exchanged, of MAE (util/pos_embed.py).
func fixed(values []float32, grid, dim int, moco bool) bool {
	patches := values[len(values)-grid*grid*dim:]
	if dim%4 != 0 || grid < 2 {
		return false
	}
	quarter := dim / 4
	for y := range grid {
		for x := range grid {
			first, second := y, x
			if !moco {
				first, second = x, y
			}
			row := patches[(y*grid+x)*dim:][:dim]
			for i := range quarter {
				omega := math.Pow(10000, -float64(i)/float64(quarter))
				s1, c1 := math.Sincos(float64(first) * omega)
				s2, c2 := math.Sincos(float64(second) * omega)
				for k, want := range [4]float64{s1, c1, s2, c2} {
					if math.Abs(float64(row[k*quarter+i])-want) > 1e-3 {
						return false
					}
				}
			}
		}
	}
	return true
}

// resized interpolates a position embedding of from × from patches to one of to × to.
// What stands before the patches, the class token's, stays as it is. It is the bicubic
// interpolation of PyTorch without aligned corners (aten/src/ATen/native/UpSample.h), to
// a size, as DeiT, MAE and DINO take it.
func resized(values []float32, from, to, dim int) []float32 {
	class := values[:len(values)-from*from*dim]
	patches := values[len(class):]
	out := make([]float32, len(class)+to*to*dim)
	copy(out, class)
	rows := make([][4]tap, to)
	for i := range rows {
		rows[i] = taps(i, from, to)
	}
	for y := range to {
		for x := range to {
			dst := out[len(class)+(y*to+x)*dim:][:dim]
			for _, v := range rows[y] {
				for _, h := range rows[x] {
					src := patches[(v.at*from+h.at)*dim:][:dim]
					for k := range dst {
						dst[k] += float32(v.weight * h.weight * float64(src[k]))
					}
				}
			}
		}
	}
	return out
}

// tap is a place that is read and how much it counts.
type tap struct {
	at     int
	weight float64
}

// taps are what place i of to reads of from places, those at the edge again beyond it.
func taps(i, from, to int) (all [4]tap) {
	const a = -0.75
	center := (float64(i)+0.5)*float64(from)/float64(to) - 0.5
	low := math.Floor(center)
	for k := range all {
		d := math.Abs(center - (low - 1 + float64(k)))
		w := ((a*d-5*a)*d+8*a)*d - 4*a
		if d <= 1 {
			w = ((a+2)*d-(a+3))*d*d + 1
		}
		all[k] = tap{min(max(int(low)-1+k, 0), from-1), w}
	}
	return all
}
