package vorbis

import (
	"math"
	"math/cmplx"

	"gonum.org/v1/gonum/dsp/fourier"
)

// imdct is the inverse transform of n coefficients into 2n samples,
//
//	y[i] = Σ x[k]·cos(π/n·(i + ½ + n/2)·(k + ½))
//
// by way of a DCT-IV, and that of an FFT of half the size.
type imdct struct {
	n     int
	fft   *fourier.CmplxFFT
	twist []complex128
	z, f  []complex128
	u     []float32
}

func newIMDCT(n int) *imdct {
	t := &imdct{n: n, fft: fourier.NewCmplxFFT(n / 2), twist: make([]complex128, n/2),
		z: make([]complex128, n/2), f: make([]complex128, n/2), u: make([]float32, n)}
	for i := range t.twist {
		t.twist[i] = cmplx.Exp(complex(0, -math.Pi*float64(8*i+1)/float64(8*n)))
	}
	return t
}

// transform writes 2n samples to y.
func (t *imdct) transform(y, x []float32) {
	n := t.n
	for i, w := range t.twist {
		t.z[i] = complex(float64(x[2*i]), float64(x[n-1-2*i])) * w
	}
	t.fft.Coefficients(t.f, t.z)
	for i, w := range t.twist {
		v := t.f[i] * w
		t.u[2*i], t.u[n-1-2*i] = float32(real(v)), float32(-imag(v))
	}
	half := n / 2
	copy(y, t.u[half:])
	for i := half; i < 3*half; i++ {
		y[i] = -t.u[3*half-1-i]
	}
	for i := 3 * half; i < 2*n; i++ {
		y[i] = -t.u[i-3*half]
	}
}
