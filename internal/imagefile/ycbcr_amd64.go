package imagefile

import "vicreg/internal/cpu"

//go:generate sh -c "cd ../augment/_asm && go run ./ycbcr -out ../../imagefile/ycbcr_amd64.s -stubs ../../imagefile/ycbcr_stubs_amd64.go -pkg imagefile"

// row is rowPlain; what does not fill a vector goes there.
func (k *ycc) row(dst, luma, cb, cr []uint8, shift int) {
	n := len(luma) &^ 7
	if !cpu.AVX2 || n == 0 || shift > 1 {
		k.rowPlain(dst, luma, cb, cr, shift)
		return
	}
	m := n >> shift
	_, _, _ = dst[3*n-1], cb[m-1], cr[m-1]
	if shift == 1 {
		rowHalfAVX2(&dst[0], &luma[0], &cb[0], &cr[0], n, &k.scale)
	} else {
		rowFullAVX2(&dst[0], &luma[0], &cb[0], &cr[0], n, &k.scale)
	}
	k.rowPlain(dst[3*n:], luma[n:], cb[m:], cr[m:], shift)
}
