package vector

import "vicreg/internal/cpu"

//go:generate go -C ../_asm run ./norms -out ../vector/norms_amd64.s -stubs ../vector/norms_stubs_amd64.go -pkg vector

func norms(w, g []float32) (ww, gg, wg float64) {
	n := len(w) &^ 31
	if !cpu.AVX2 {
		n = 0
	}
	ww, gg, wg = normsPlain(w[n:], g[n:])
	if n == 0 {
		return ww, gg, wg
	}
	_ = g[n-1]
	var lanes [48]float32
	if cpu.AVX512 {
		normsAVX512(&w[0], &g[0], n, &lanes[0])
	} else {
		normsAVX2(&w[0], &g[0], n, &lanes[0])
	}
	for i := range 16 {
		ww += float64(lanes[i])
		gg += float64(lanes[i+16])
		wg += float64(lanes[i+32])
	}
	return ww, gg, wg
}
