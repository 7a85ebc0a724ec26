package imagefile

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
	"image"
	"image/color"
	"image/png"
	"io"
	"runtime"

	"vicreg/internal/tiff"
)

func sizePNG(r io.ReaderAt, bytes int64) (claim, error) {
	var first [16]byte
	if _, err := r.ReadAt(first[:], 0); err == nil && string(first[12:]) == "CgBI" {
		return claim{}, unsupportedError("Apple's form of it, for apps")
	}
	var ihdr [33]byte // up to the first checksum
	if _, err := r.ReadAt(ihdr[:], 0); err != nil {
		return claim{}, err
	}
	kind, depth := ihdr[25], int64(ihdr[24])
	if string(ihdr[12:16]) == "IHDR" && crc32.ChecksumIEEE(ihdr[12:29]) != binary.BigEndian.Uint32(ihdr[29:]) {
		return claim{}, png.FormatError("invalid checksum")
	}
	if kind == 3 && depth <= 8 { // the palette is read later
		ihdr[25] = 0
		binary.BigEndian.PutUint32(ihdr[29:], crc32.ChecksumIEEE(ihdr[12:29]))
	}
	c, err := png.DecodeConfig(readerOf(ihdr[:]))
	if err != nil {
		return claim{}, err
	}
	samples := samplesPNG[kind]
	check := func() error {
		row := (int64(c.Width)*samples*depth + 7) / 8
		if row*int64(c.Height)/1032 > bytes { // the most that Deflate packs
			return errCut
		}
		return nil
	}
	memory := func() int64 {
		decoded, pixels := max(1, depth/8), int64(3) // bytes each
		if keyed(r) {
			kind = 6
		}
		switch kind {
		case 0: // of 8 bits, they are the same
			pixels = depth / 16
		case 2:
			decoded *= 4
			pixels *= depth / 16
		case 4, 6:
			decoded, pixels = 4*decoded, 4
		}
		if ihdr[28] != 0 { // interlaced: a part of it is there twice
			decoded += decoded/2 + 1
		}
		return (decoded + pixels) * int64(c.Width) * int64(c.Height)
	}
	return claim{c.Width, c.Height, check, memory}, nil
}

// keyed reports whether a PNG has transparent colours. What stands behind many
// chunks is not looked for.
func keyed(r io.ReaderAt) bool {
	at := int64(8)
	for range 100 {
		var head [8]byte
		if _, err := r.ReadAt(head[:], at); err != nil || string(head[4:]) == "IDAT" {
			return false
		}
		if string(head[4:]) == "tRNS" {
			return true
		}
		at += 12 + int64(binary.BigEndian.Uint32(head[:]))
	}
	return true
}

// samplesPNG is the number of samples of a pixel, by the type of colour.
var samplesPNG = map[byte]int64{0: 1, 2: 3, 3: 1, 4: 2, 6: 4}

func readerOf(data []byte) io.Reader { return bytes.NewReader(data) }

func decodePNG(data []byte, limits Limits) (Image, error) {
	decoded, err := png.Decode(bytes.NewReader(data))
	if err != nil {
		loose, e := openLoose(data)
		if e != nil {
			return Image{}, e
		}
		if loose.raw() > small {
			runtime.GC() // what has been decoded so far
		}
		if decoded, err = loose.decode(); err != nil {
			return Image{}, err
		}
	}
	grey := data[25] == 0 || data[25] == 4
	if m, ok := deepPNG(decoded, grey); ok && limits.raw() {
		return m.Take(limits.Bands)
	}
	depth, deep := 0, false
	switch m := decoded.(type) {
	case *image.Paletted: // colours that the palette lacks are greys
		for i := coloursPNG(data); i < len(m.Palette); i++ {
			m.Palette[i] = color.Gray{Y: uint8(i)}
		}
	case *image.Gray16:
		depth = spread(m.Pix, 1, 1, significant(data))
	case *image.NRGBA64:
		depth = spread(m.Pix, 4, 3, significant(data))
		spread(m.Pix[6:], 4, 1, 0)
	case *image.RGBA64: // opaque
		depth = spread(m.Pix, 4, 3, significant(data))
	}
	switch decoded.(type) {
	case *image.Gray16, *image.NRGBA64, *image.RGBA64:
		deep = true
	}
	out := own(decoded, grey)
	out.Depth, out.Cut = depth, deep && depth == 0
	return out.Take(limits.Bands)
}

// deepPNG returns the samples of a picture of 16 bits as they are, transparency apart.
func deepPNG(decoded image.Image, grey bool) (Image, bool) {
	var pix []uint8
	stride, samples := 0, 4
	switch m := decoded.(type) {
	case *image.Gray16:
		pix, stride, samples = m.Pix, m.Stride, 1
	case *image.NRGBA64:
		pix, stride = m.Pix, m.Stride
	case *image.RGBA64: // opaque
		pix, stride = m.Pix, m.Stride
	default:
		return Image{}, false
	}
	out := Image{W: decoded.Bounds().Dx(), H: decoded.Bounds().Dy(), C: 3, Type: Short}
	if grey {
		out.C = 1
	}
	out.Pix = make([]uint8, 2*out.W*out.H*out.C)
	for i := range out.W * out.H {
		from := pix[i/out.W*stride+i%out.W*2*samples:]
		for c := range out.C {
			at := 2 * (i*out.C + c)
			out.Pix[at], out.Pix[at+1] = from[2*c+1], from[2*c]
		}
	}
	return out, true
}

// spread scales 16-bit samples that use fewer bits up to 16 bits. The first used of
// every every samples count. The bits in use are told, if the largest sample fits into
// them, or else as tiff.Depth finds them. spread returns them, or 0 if they were 16.
func spread(pix []uint8, every, used, told int) int {
	most := uint16(0)
	for i := 0; i+2*used <= len(pix); i += 2 * every {
		for k := i; k < i+2*used; k += 2 {
			most = max(most, binary.BigEndian.Uint16(pix[k:]))
		}
	}
	depth := tiff.Depth(most)
	if told >= 8 && told < 16 && most > 0 && int(most) < 1<<told {
		depth = told
	}
	if depth == 16 {
		return 0
	}
	for i := 0; i+2*used <= len(pix); i += 2 * every {
		for k := i; k < i+2*used; k += 2 {
			binary.BigEndian.PutUint16(pix[k:], binary.BigEndian.Uint16(pix[k:])<<(16-depth))
		}
	}
	return depth
}

// significant returns how many bits of a PNG's samples its sBIT chunk calls
// significant, 0 if it has none.
func significant(data []byte) int {
	found := 0
	chunksPNG(data, func(kind string, body []byte) bool {
		if kind == "sBIT" && len(body) > 0 {
			found = int(body[0])
		}
		return kind != "IDAT" && found == 0
	})
	return found
}

// coloursPNG returns how many colours a PNG's palette has.
func coloursPNG(data []byte) (n int) {
	chunksPNG(data, func(kind string, body []byte) bool {
		if kind == "PLTE" {
			n = len(body) / 3
		}
		return kind != "IDAT"
	})
	return n
}

// chunksPNG calls visit for each chunk of a PNG, until it returns false.
func chunksPNG(data []byte, visit func(kind string, body []byte) bool) {
	for i := 8; i+12 <= len(data); {
		length := int64(binary.BigEndian.Uint32(data[i:]))
		if int64(i)+12+length > int64(len(data)) {
			return
		}
		if !visit(string(data[i+4:i+8]), data[i+8:i+8+int(length)]) {
			return
		}
		i += 12 + int(length)
	}
}
