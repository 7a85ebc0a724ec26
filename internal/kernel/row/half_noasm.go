//go:build !amd64

package row

import "vicreg/internal/kernel/shape"

func affineHalves(shape.Values, int, shape.Values, int, int, int, []float32, []float32, float32) int {
	return 0
}

func gradHalves(shape.Values, int, shape.Values, shape.Values, int, int, int, []float32, []float32, []float32) int {
	return 0
}

func convertHalves(shape.Values, int, shape.Values, int, int, int) int { return 0 }

func joinHalves(shape.Values, int, shape.Values, int, shape.Values, int, int, int, *Joining) int {
	return 0
}

func storeHalves([]uint16, int, []float32, int, int, int, []float32, []float32) int { return 0 }
func finishHalves(*finishArgs) int                                                  { return 0 }
func pairHalvesFast([]float32, int, []uint16, int, int, int) int                    { return 0 }

func PoolMax(dst shape.Values, arg []uint8, in *Reader, off []int64, tap []int32) {
	poolMaxValues(dst, arg, in, off, tap, 0)
}

func PoolGrad(dst []float32, d shape.Values, arg []uint8, off []int64, tap []int32) {
	poolGradValues(dst, d, arg, off, tap, 0)
}
