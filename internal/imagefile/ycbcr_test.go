package imagefile

import (
	"bytes"
	"math/rand/v2"
	"testing"
	"unsafe"

	"vicreg/internal/check"
	"vicreg/internal/cpu"
)

// Every luma with every chroma, under every variant as in plain Go.
func TestEveryYCbCr(t *testing.T) {
	luma := make([]uint8, 512)
	for i := range luma {
		luma[i] = uint8(i / 2)
	}
	cb, cr := make([]uint8, 512), make([]uint8, 512)
	got, want := make([]uint8, 3*512), make([]uint8, 3*512)
	for _, k := range []*ycc{&jfif, &studio} {
		for u := range 256 {
			for v := range 256 {
				cb[0], cr[0] = uint8(u), uint8(v)
				for n := 1; n < len(cb); n *= 2 {
					copy(cb[n:], cb[:n])
					copy(cr[n:], cr[:n])
				}
				shift := v % 2
				k.row(got, luma, cb[:512>>shift], cr[:512>>shift], shift)
				k.rowPlain(want, luma, cb[:512>>shift], cr[:512>>shift], shift)
				if !bytes.Equal(got, want) {
					t.Fatalf("%+v: chroma %d, %d differs", *k, u, v)
				}
			}
		}
	}
}

// Rows of all lengths, between pages that may not be touched.
func TestYCbCrRows(t *testing.T) {
	if !cpu.AVX2 {
		t.Skip("no assembly for this processor")
	}
	r := rand.New(rand.NewPCG(1, 2))
	bytesOf := func(n int, low bool) []uint8 {
		f := check.Guarded(t, (n+3)/4, low)
		b := unsafe.Slice((*uint8)(unsafe.Pointer(&f[0])), 4*len(f))
		if !low {
			b = b[len(b)-n:]
		}
		for i := range b {
			b[i] = uint8(r.Uint32())
		}
		return b[:n]
	}
	for n := 1; n < 50; n++ {
		for shift := range 3 {
			low := (n+shift)%2 == 0
			m := (n-1)>>shift + 1
			luma, cb, cr := bytesOf(n, low), bytesOf(m, low), bytesOf(m, low)
			got, want := bytesOf(3*n, low), make([]uint8, 3*n)
			jfif.row(got, luma, cb, cr, shift)
			jfif.rowPlain(want, luma, cb, cr, shift)
			if !bytes.Equal(got, want) {
				t.Fatalf("%d pixels, shift %d: differs from plain Go", n, shift)
			}
		}
	}
}
