package vector

// normsPlain sums in 16 lanes; the fast variants use more.
func normsPlain(w, g []float32) (ww, gg, wg float64) {
	var lanes [3][16]float32
	for i, x := range w {
		y := g[i]
		lanes[0][i&15] += x * x
		lanes[1][i&15] += y * y
		lanes[2][i&15] += x * y
	}
	for i := range 16 {
		ww += float64(lanes[0][i])
		gg += float64(lanes[1][i])
		wg += float64(lanes[2][i])
	}
	return ww, gg, wg
}
