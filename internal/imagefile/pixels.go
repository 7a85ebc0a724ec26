package imagefile

import (
	"image"
	"image/color"
)

// From converts a picture in memory, as [Decode] does one from a file.
func From(m image.Image) Image { return pixels(m, &jfif, false) }

// pixels turns a decoded picture into an Image. k and grey are what the decoder's type
// does not say: how luma and chroma are stored, and whether four samples are those of a
// grey picture with transparency.
func pixels(decoded image.Image, k *ycc, grey bool) Image {
	bounds := decoded.Bounds()
	w, h := bounds.Dx(), bounds.Dy()
	rgb := func() Image { return Image{W: w, H: h, C: 3, Pix: make([]uint8, w*h*3)} }

	if bounds.Min != (image.Point{}) {
		switch decoded.(type) {
		case *image.YCbCr, *image.NYCbCrA:
			// A part of a picture may start inside a chroma sample, where
			// fromYCbCr cannot: hide the type, so that At does the work.
			decoded = struct{ image.Image }{decoded}
		}
	}
	switch src := decoded.(type) {
	case *image.Gray:
		out := Image{W: w, H: h, C: 1, Pix: make([]uint8, w*h)}
		for y := range h {
			copy(out.Pix[y*w:(y+1)*w], src.Pix[y*src.Stride:])
		}
		return out

	case *image.Gray16: // big-endian samples
		out := Image{W: w, H: h, C: 1, Pix: make([]uint8, w*h)}
		for y := range h {
			row := src.Pix[y*src.Stride:]
			for x := range w {
				out.Pix[y*w+x] = row[2*x]
			}
		}
		return out

	case *image.Paletted:
		return fromPaletted(src)

	case *image.YCbCr:
		out := rgb()
		fromYCbCr(out, src, k)
		return out

	case *image.NYCbCrA:
		out := rgb()
		fromYCbCr(out, &src.YCbCr, k)
		for y := range h {
			row := out.Pix[y*w*3 : (y+1)*w*3]
			alpha := src.A[y*src.AStride:]
			for x := range w {
				if a := alpha[x]; a != 255 {
					p := row[3*x : 3*x+3 : 3*x+3]
					p[0], p[1], p[2] = onWhite(p[0], a), onWhite(p[1], a), onWhite(p[2], a)
				}
			}
		}
		return out

	case *image.RGBA: // colours already multiplied by alpha
		out := rgb()
		for y := range h {
			row, dst := src.Pix[y*src.Stride:], out.Pix[y*w*3:(y+1)*w*3]
			for x := range w {
				s, d := row[4*x:4*x+4:4*x+4], dst[3*x:3*x+3:3*x+3]
				white := 255 - s[3]
				d[0], d[1], d[2] = addClamp(s[0], white), addClamp(s[1], white), addClamp(s[2], white)
			}
		}
		return out

	case *image.NRGBA:
		return greyIf(grey, fromNRGBA(rgb(), src.Pix, src.Stride, 1))

	case *image.NRGBA64:
		return greyIf(grey, fromNRGBA(rgb(), src.Pix, src.Stride, 2))

	case *image.RGBA64:
		out := rgb()
		for y := range h {
			row, dst := src.Pix[y*src.Stride:], out.Pix[y*w*3:(y+1)*w*3]
			for x := range w {
				s, d := row[8*x:8*x+8:8*x+8], dst[3*x:3*x+3:3*x+3]
				white := 255 - s[6]
				d[0], d[1], d[2] = addClamp(s[0], white), addClamp(s[2], white), addClamp(s[4], white)
			}
		}
		return out

	case *image.CMYK:
		out := rgb()
		for y := range h {
			row, dst := src.Pix[y*src.Stride:], out.Pix[y*w*3:(y+1)*w*3]
			for x := range w {
				s, d := row[4*x:4*x+4:4*x+4], dst[3*x:3*x+3:3*x+3]
				light := 255 - uint32(s[3])
				for c := range 3 {
					d[c] = uint8(((255-uint32(s[c]))*light + 127) / 255)
				}
			}
		}
		return out
	}

	out := rgb() // types no decoder here returns
	for y := range h {
		for x := range w {
			c := color.NRGBAModel.Convert(decoded.At(bounds.Min.X+x, bounds.Min.Y+y)).(color.NRGBA)
			copy(out.Pix[(y*w+x)*3:], []uint8{onWhite(c.R, c.A), onWhite(c.G, c.A), onWhite(c.B, c.A)})
		}
	}
	return out
}

// own is pixels for a picture that is not needed afterwards; the Image takes over its
// memory where possible.
func own(decoded image.Image, grey bool) Image {
	switch src := decoded.(type) {
	case *image.Gray:
		if w, h := src.Rect.Dx(), src.Rect.Dy(); src.Stride == w {
			return Image{W: w, H: h, C: 1, Pix: src.Pix[: w*h : w*h]}
		}
	case *image.Paletted:
		if table, all := colourTable(src.Palette); all && src.Stride == src.Rect.Dx() {
			for i, v := range src.Pix {
				src.Pix[i] = table[v][0]
			}
			return Image{W: src.Rect.Dx(), H: src.Rect.Dy(), C: 1, Pix: src.Pix}
		}
	case *image.RGBA:
		if w, h := src.Rect.Dx(), src.Rect.Dy(); src.Stride == 4*w && src.Opaque() {
			pix := src.Pix
			for i := range w * h {
				pix[3*i], pix[3*i+1], pix[3*i+2] = pix[4*i], pix[4*i+1], pix[4*i+2]
			}
			return Image{W: w, H: h, C: 3, Pix: pix[: 3*w*h : 3*w*h]}
		}
	}
	return pixels(decoded, &jfif, grey)
}

// onWhite lays a colour of opacity a over white.
func onWhite(v, a uint8) uint8 {
	return uint8((uint32(v)*uint32(a) + 255*(255-uint32(a)) + 127) / 255)
}

func addClamp(a, b uint8) uint8 { return uint8(min(uint32(a)+uint32(b), 255)) }

// greyIf keeps one channel of an image whose three are equal.
func greyIf(grey bool, m Image) Image {
	if !grey {
		return m
	}
	out := Image{W: m.W, H: m.H, C: 1, Pix: make([]uint8, m.W*m.H)}
	for i := range out.Pix {
		out.Pix[i] = m.Pix[3*i]
	}
	return out
}

// fromNRGBA lays pixels of four samples, each of the given number of bytes
// (the high one first), over white.
func fromNRGBA(out Image, pix []uint8, stride, bytes int) Image {
	for y := range out.H {
		row, dst := pix[y*stride:], out.Pix[y*out.W*3:(y+1)*out.W*3]
		for x := range out.W {
			s, d := row[4*bytes*x:4*bytes*(x+1)], dst[3*x:3*x+3:3*x+3]
			a := s[3*bytes]
			if a == 255 {
				d[0], d[1], d[2] = s[0], s[bytes], s[2*bytes]
			} else {
				d[0], d[1], d[2] = onWhite(s[0], a), onWhite(s[bytes], a), onWhite(s[2*bytes], a)
			}
		}
	}
	return out
}

// colourTable returns the colours of a palette over white, and whether all are
// greys.
func colourTable(palette color.Palette) (table [256][3]uint8, grey bool) {
	grey = true
	for i, c := range palette[:min(len(palette), 256)] {
		n := color.NRGBAModel.Convert(c).(color.NRGBA)
		table[i] = [3]uint8{onWhite(n.R, n.A), onWhite(n.G, n.A), onWhite(n.B, n.A)}
		grey = grey && table[i][0] == table[i][1] && table[i][1] == table[i][2]
	}
	return table, grey
}

func fromPaletted(src *image.Paletted) Image {
	table, grey := colourTable(src.Palette)
	w, h := src.Rect.Dx(), src.Rect.Dy()
	if grey {
		out := Image{W: w, H: h, C: 1, Pix: make([]uint8, w*h)}
		for y := range h {
			row := src.Pix[y*src.Stride:]
			for x := range w {
				out.Pix[y*w+x] = table[row[x]][0]
			}
		}
		return out
	}
	out := Image{W: w, H: h, C: 3, Pix: make([]uint8, w*h*3)}
	for y := range h {
		row, dst := src.Pix[y*src.Stride:], out.Pix[y*w*3:(y+1)*w*3]
		for x := range w {
			copy(dst[3*x:3*x+3:3*x+3], table[row[x]][:])
		}
	}
	return out
}
