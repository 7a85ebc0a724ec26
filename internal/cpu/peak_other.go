//go:build !amd64

package cpu

func multiplyAdds(Arithmetic, int) int { return 0 }

func avx512MultiplyAdds(Arithmetic, int) int { panic("cpu: no AVX-512") }
