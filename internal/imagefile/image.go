// Package imagefile reads image files: [Read] for a path, [Decode] for bytes already in
// memory, [Stat] for the header alone. Pictures become plain 8-bit pixels; images of other
// numbers of channels, and of values that are no levels of grey, keep theirs.
//
// JPEG, PNG, GIF, BMP, TIFF, WebP and NumPy's arrays are told apart by their
// first bytes, whatever the file is called. What comes out:
//
//   - Grey files give one channel, all others of that kind three. A palette of greys alone
//     counts as grey.
//   - 16-bit samples keep their high byte. But a file none of whose samples
//     reaches 4096 is taken to hold 12 bits in 16, as cameras and scanners write
//     them, and one of none above 255 to hold 8: they are scaled up, and
//     [Image.Depth] tells. Where the file says how many bits are in use (a PNG in
//     sBIT, a TIFF in MaxSampleValue), that counts. The two steps are coarse so
//     that the files of one data set, dark ones too, are scaled alike.
//   - CMYK (JPEG, and TIFF of 8 bits that is not packed as JPEG) becomes RGB by
//     the plain formula (1−C)(1−K), as in Pillow.
//   - Transparent pixels are laid over white, so that the picture is the one a
//     viewer shows. (Pillow's convert("RGB") keeps the hidden colour instead;
//     black line art on a transparent ground would then be black all over.)
//   - The EXIF orientation is applied: the picture is upright.
//   - Of an animation, and of several pages, the first is read.
//   - A TIFF is a picture if it has red, green and blue, or grey and nothing besides but
//     transparency, in samples of at most 16 bits. Any other gives all its samples as they
//     are: of 8 or 16 bits, or of 32 if they have a sign or a fraction. Samples that the
//     file (GDAL) marks as no data become NaN.
//   - A NumPy array of h × w or h × w × c or c × h × w gives its numbers as they are; the
//     smaller one of the first and the last size is c, of equal ones the last. An array of
//     bytes with one or three channels is a picture.
//   - [Limits].Raw keeps the values of TIFF, PNG and NumPy files in any case. Bands chooses
//     some of the channels, and keeps their values too.
//
// What is not read is refused by its name; it is not called broken. Files are not
// trusted: the number of pixels is checked before any is decoded, against a limit
// and against what a file of its length can hold, and a decoder that panics gives
// an error.
package imagefile

import "fmt"

// Image is W × H pixels of C channels (of a picture 1: grey, 3: red, green, blue), stored
// row by row, the channels of a pixel side by side: sample c of the pixel at (x, y) is
// number (y*W+x)*C+c, and takes Type.Size() bytes of Pix.
type Image struct {
	W, H, C int
	Type    Type
	Pix     []uint8

	// Depth is set where a file has samples of 16 bits that use fewer: 8, 12, or
	// as many as the file tells. They were scaled so that these bits fill the
	// range. It is 0 for all other files.
	Depth int

	Cut   bool // samples had 16 bits, of which the upper 8 are left
	Extra int  // channels of the file that are left out, though they are no transparency
	Pages bool // the file has further pages, which are not read
}

// Luma returns the grey value of a colour, by the integer formula of Pillow's
// mode L (ITU-R 601-2).
func Luma(r, g, b uint8) uint8 {
	return uint8((uint32(r)*19595 + uint32(g)*38470 + uint32(b)*7471 + 0x8000) >> 16)
}

// Convert returns the image with 1 or 3 channels: itself if it has as many,
// else a new one. Colour becomes grey by [Luma]; grey is repeated. It must be a picture.
func (m Image) Convert(channels int) Image {
	if channels != 1 && channels != 3 || !m.Plain() {
		panic(fmt.Sprintf("imagefile: %d channels of %s made %d", m.C, m.Type.Bits(), channels))
	}
	if channels == m.C {
		return m
	}
	out := m
	out.C, out.Pix = channels, make([]uint8, m.W*m.H*channels)
	if channels == 1 {
		for i := range out.Pix {
			p := m.Pix[3*i : 3*i+3 : 3*i+3]
			out.Pix[i] = Luma(p[0], p[1], p[2])
		}
		return out
	}
	for i, v := range m.Pix {
		p := out.Pix[3*i : 3*i+3 : 3*i+3]
		p[0], p[1], p[2] = v, v, v
	}
	return out
}

// Moments returns the mean and the mean square of three channels of a picture, of pixels in
// [0, 1]. Those of a grey one are three times the same. The sums are exact.
func (m Image) Moments() (mean, square [3]float64) {
	var sum, squares [3]uint64
	if m.C == 1 {
		for _, v := range m.Pix {
			sum[0] += uint64(v)
			squares[0] += uint64(v) * uint64(v)
		}
		sum[1], sum[2], squares[1], squares[2] = sum[0], sum[0], squares[0], squares[0]
	} else {
		for p := m.Pix; len(p) >= 3; p = p[3:] {
			r, g, b := uint64(p[0]), uint64(p[1]), uint64(p[2])
			sum[0] += r
			sum[1] += g
			sum[2] += b
			squares[0] += r * r
			squares[1] += g * g
			squares[2] += b * b
		}
	}
	pixels := float64(m.W) * float64(m.H)
	for c := range 3 {
		mean[c] = float64(sum[c]) / pixels / 255
		square[c] = float64(squares[c]) / pixels / (255 * 255)
	}
	return mean, square
}

// oriented returns the image turned upright, for an EXIF orientation of 1 to 8.
func (m Image) oriented(orientation int) Image {
	if orientation < 2 || orientation > 8 {
		return m
	}
	w, h := m.W, m.H
	if orientation >= 5 {
		w, h = h, w
	}
	// The pixel shown at (x, y) is stored at origin + x*stepX + y*stepY.
	var origin, stepX, stepY int
	right, down, lastX, lastY := 1, m.W, m.W-1, (m.H-1)*m.W
	switch orientation {
	case 2: // mirrored left to right
		origin, stepX, stepY = lastX, -right, down
	case 3: // half a turn
		origin, stepX, stepY = lastX+lastY, -right, -down
	case 4: // mirrored top to bottom
		origin, stepX, stepY = lastY, right, -down
	case 5: // transposed
		origin, stepX, stepY = 0, down, right
	case 6: // shown a quarter turn clockwise
		origin, stepX, stepY = lastY, -down, right
	case 7: // transposed over the other diagonal
		origin, stepX, stepY = lastX+lastY, -down, -right
	case 8: // shown a quarter turn anticlockwise
		origin, stepX, stepY = lastX, down, -right
	}
	out := m
	out.W, out.H, out.Pix = w, h, make([]uint8, len(m.Pix))
	i, size := 0, m.C*m.Type.Size()
	for y := range h {
		s := origin + y*stepY
		for range w {
			switch size {
			case 1:
				out.Pix[i] = m.Pix[s]
			case 3:
				copy(out.Pix[i:i+3:i+3], m.Pix[3*s:3*s+3:3*s+3])
			default:
				copy(out.Pix[i:i+size], m.Pix[size*s:])
			}
			i += size
			s += stepX
		}
	}
	return out
}
