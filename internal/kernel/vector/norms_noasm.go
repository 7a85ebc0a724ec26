//go:build !amd64

package vector

func norms(w, g []float32) (ww, gg, wg float64) { return normsPlain(w, g) }
