package kernel

import "vicreg/internal/cpu"

func poolMax(dst []float32, arg []uint8, in *reader, off []int64, tap []int32) {
	c := len(dst) &^ 15
	if !cpu.AVX2 || c == 0 {
		poolMaxPlain(dst, arg, in, off, tap, 0)
		return
	}
	_, _, _ = arg[c-1], in.scale[c-1], in.coef[c-1]
	if cpu.AVX512 {
		poolMaxAVX512(&dst[0], &arg[0], &in.x[0], &off[0], &tap[0], len(off), c, &in.scale[0], &in.coef[0], in.lo)
	} else {
		poolMaxAVX2(&dst[0], &arg[0], &in.x[0], &off[0], &tap[0], len(off), c, &in.scale[0], &in.coef[0], in.lo)
	}
	poolMaxPlain(dst, arg, in, off, tap, c)
}

func poolGrad(dst, d []float32, arg []uint8, off []int64, tap []int32) {
	c := len(dst) &^ 15
	if !cpu.AVX2 || c == 0 || len(off) == 0 {
		poolGradPlain(dst, d, arg, off, tap, 0)
		return
	}
	if cpu.AVX512 {
		poolGradAVX512(&dst[0], &d[0], &arg[0], &off[0], &tap[0], len(off), c)
	} else {
		poolGradAVX2(&dst[0], &d[0], &arg[0], &off[0], &tap[0], len(off), c)
	}
	poolGradPlain(dst, d, arg, off, tap, c)
}
