//go:build !amd64

package kernel

func poolMax(dst []float32, arg []uint8, in *reader, off []int64, tap []int32) {
	poolMaxPlain(dst, arg, in, off, tap, 0)
}

func poolGrad(dst, d []float32, arg []uint8, off []int64, tap []int32) {
	poolGradPlain(dst, d, arg, off, tap, 0)
}
