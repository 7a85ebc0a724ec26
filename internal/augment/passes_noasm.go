//go:build !amd64

package augment

func interleave(dst, src []uint8, offsets *[lines]int, n int) { interleavePlain(dst, src, offsets, n) }
func split(dst []uint8, offsets *[lines]int, src []uint8, n int) {
	splitPlain(dst, offsets, src, n)
}

func weigh(dst []uint8, ds int, src []uint8, ss int, t *table, n int) {
	weighPlain(dst, ds, src, ss, t, n)
}

func boxes(dst, src []uint8, n, m int, b box) { boxPlain(dst, src, n, m, b) }

func substitute(pix []uint8, l *level)      { substitutePlain(pix, l) }
func lumaSum(pix []uint8) uint64            { return lumaSumPlain(pix) }
func greyPixels(pix []uint8)                { greyPlain(pix) }
func saturatePixels(pix []uint8, f float32) { saturatePlain(pix, f) }
func turnHue(pix []uint8, shift uint8)      { huePlain(pix, shift) }
