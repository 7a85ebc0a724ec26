//go:build !amd64

package kernel

func norms(w, g []float32) (ww, gg, wg float64) { return normsPlain(w, g) }
