package imagefile

import (
	"bytes"
	"io"

	"vicreg/internal/tiff"
)

func sizeTIFF(r io.ReaderAt, bytes int64) (claim, error) {
	f, err := tiff.Open(r, bytes)
	if err != nil {
		return claim{}, err
	}
	return claim{f.W, f.H, f.Check, f.Memory}, nil
}

func decodeTIFF(data []byte) (Image, error) {
	f, err := tiff.Open(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		return Image{}, err
	}
	visits := visitsOf(len(data)) // for all strips together
	p, err := f.Decode(data, func(strip []byte) (w, h, c int, pix []byte, err error) {
		m, err := decodeJPEGWithin(strip, &visits)
		return m.W, m.H, m.C, m.Pix, err
	})
	if err != nil {
		return Image{}, err
	}
	return Image{W: p.W, H: p.H, C: p.C, Pix: p.Pix, Depth: p.Depth}, nil
}
