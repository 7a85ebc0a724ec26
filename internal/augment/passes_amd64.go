package augment

import (
	"slices"

	"vicreg/internal/cpu"
)

//go:generate sh -c "cd _asm && go run ./views -out ../passes_amd64.s -stubs ../passes_stubs_amd64.go -pkg augment"

// Each function checks that its operands are long enough, then runs the active variant.
// What is left over, too little for a vector, goes to the plain twin.

func interleave(dst, src []uint8, offsets *[lines]int, n int) {
	if !cpu.AVX2 || n < lines {
		interleavePlain(dst, src, offsets, n)
		return
	}
	_, _, _ = dst[lines*n-1], src[slices.Max(offsets[:])+n-1], src[slices.Min(offsets[:])]
	interleaveAVX2(&dst[0], &src[0], &offsets[0], n&^(lines-1))
	if n%lines != 0 { // the last 16, some for the second time
		interleaveAVX2(&dst[(n-lines)*lines], &src[n-lines], &offsets[0], lines)
	}
}

func split(dst []uint8, offsets *[lines]int, src []uint8, n int) {
	if !cpu.AVX2 || n < lines {
		splitPlain(dst, offsets, src, n)
		return
	}
	_, _, _ = src[lines*n-1], dst[slices.Max(offsets[:])+n-1], dst[slices.Min(offsets[:])]
	splitAVX2(&dst[0], &offsets[0], &src[0], n&^(lines-1))
	if n%lines != 0 {
		splitAVX2(&dst[n-lines], &offsets[0], &src[(n-lines)*lines], lines)
	}
}

func weigh(dst []uint8, ds int, src []uint8, ss int, t *table, n int) {
	if !cpu.AVX2 || n < 8 {
		weighPlain(dst, ds, src, ss, t, n)
		return
	}
	outs := len(t.first)
	_, _, _, _ = dst[(outs-1)*ds+n-1], src[(t.end-1)*ss+n-1], t.count[outs-1], t.weight[outs*t.size-1]
	weighAVX2(&dst[0], ds, &src[0], ss, &t.first[0], &t.count[0], &t.weight[0], t.size, outs, n)
}

// boxes is boxPlain; m is a multiple of 16.
func boxes(dst, src []uint8, n, m int, b box) {
	if !cpu.AVX2 {
		boxPlain(dst, src, n, m, b)
		return
	}
	_, _ = dst[n*m-1], src[(n+2*b.radius+2)*m-1]
	boxAVX2(&dst[0], &src[(b.radius+1)*m], n, m, b.radius, b.weight, b.edge)
}

// substitute maps values by l.
func substitute(pix []uint8, l *level) {
	if n := len(pix) &^ 63; cpu.AVX2 && n > 0 {
		var parts level
		for i := range parts {
			parts[i] = l[i]
			if i%128 >= 16 {
				parts[i] ^= l[i-16]
			}
		}
		substituteAVX2(&pix[0], n, &parts[0])
		pix = pix[n:]
	}
	substitutePlain(pix, l)
}

// eights returns the number of pixels that go to assembly, and the rest.
func eights(pix []uint8) (n int, rest []uint8) {
	if !cpu.AVX2 {
		return 0, pix
	}
	n = len(pix) / 24 * 8
	return n, pix[3*n:]
}

// lumaSum adds up the luma of colour pixels.
func lumaSum(pix []uint8) uint64 {
	n, rest := eights(pix)
	sum := lumaSumPlain(rest)
	if n > 0 {
		sum += lumaSumAVX2(&pix[0], n)
	}
	return sum
}

// greyPixels sets the channels of colour pixels to their luma.
func greyPixels(pix []uint8) {
	n, rest := eights(pix)
	if n > 0 {
		greyAVX2(&pix[0], n)
	}
	greyPlain(rest)
}

// saturatePixels moves the channels of colour pixels away from their luma, to
// factor times the distance.
func saturatePixels(pix []uint8, factor float32) {
	n, rest := eights(pix)
	if n > 0 {
		saturateAVX2(&pix[0], n, factor)
	}
	if len(rest) > 0 {
		saturatePlain(rest, factor)
	}
}

// turnHue adds shift to the hue of colour pixels, in 8-bit HSV.
func turnHue(pix []uint8, shift uint8) {
	n, rest := eights(pix)
	if n > 0 {
		hueAVX2(&pix[0], n, uint32(shift))
	}
	if len(rest) > 0 {
		huePlain(rest, shift)
	}
}
