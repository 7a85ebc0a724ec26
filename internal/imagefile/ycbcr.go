package imagefile

import "image"

// ycc turns luma and chroma into colour, in 16-bit fixed point:
//
//	R = s(Y−o) + r·Cr,  G = s(Y−o) − g·Cb − h·Cr,  B = s(Y−o) + b·Cb
type ycc struct {
	scale, offset, half int32 // s, o, and what is added before the fraction is cut off
	r, g, h, b          int32
}

var (
	// The JFIF formula, full range. Luma is scaled by 0x10101, a little over 1,
	// as image/color does, which rounds.
	jfif = ycc{scale: 0x10101, r: 91881, g: 22554, h: 46802, b: 116130}

	// BT.601 with luma in 16..235, which WebP stores.
	studio = ycc{scale: 76309, offset: 16, half: 1 << 15, r: 104597, g: 25674, h: 53278, b: 132201}
)

// fromYCbCr converts the pixels of src. Chroma samples are repeated over the
// pixels they cover.
func fromYCbCr(out Image, src *image.YCbCr, k *ycc) {
	shift := 0
	switch src.SubsampleRatio {
	case image.YCbCrSubsampleRatio422, image.YCbCrSubsampleRatio420:
		shift = 1
	case image.YCbCrSubsampleRatio411, image.YCbCrSubsampleRatio410:
		shift = 2
	}
	for y := range out.H {
		luma := src.Y[src.YOffset(src.Rect.Min.X, src.Rect.Min.Y+y):][:out.W]
		at := src.COffset(src.Rect.Min.X, src.Rect.Min.Y+y)
		chroma := (out.W-1)>>shift + 1
		k.row(out.Pix[y*out.W*3:(y+1)*out.W*3], luma, src.Cb[at:][:chroma], src.Cr[at:][:chroma], shift)
	}
}

// rowPlain converts the pixels of luma, of which 1<<shift share a sample of cb
// and cr.
func (k *ycc) rowPlain(dst, luma, cbs, crs []uint8, shift int) {
	x := 0
	for i := range cbs {
		cb, cr := int32(cbs[i])-128, int32(crs[i])-128
		dr, dg, db := k.r*cr+k.half, k.half-k.g*cb-k.h*cr, k.b*cb+k.half
		for end := min(x+1<<shift, len(luma)); x < end; x++ {
			l := (int32(luma[x]) - k.offset) * k.scale
			d := dst[3*x : 3*x+3 : 3*x+3]
			d[0], d[1], d[2] = clamp16(l+dr), clamp16(l+dg), clamp16(l+db)
		}
	}
}

// clamp16 shifts a 16-bit fixed-point value to an integer in 0..255.
func clamp16(v int32) uint8 {
	if uint32(v)&0xff000000 == 0 {
		return uint8(v >> 16)
	}
	if v < 0 {
		return 0
	}
	return 255
}
