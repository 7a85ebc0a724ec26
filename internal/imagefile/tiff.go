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

func decodeTIFF(data []byte, limits Limits) (Image, error) {
	f, err := tiff.Open(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		return Image{}, err
	}
	visits := visitsOf(len(data)) // for all strips together
	jpeg := func(strip []byte) (w, h, c int, pix []byte, err error) {
		m, err := decodeJPEGWithin(strip, &visits, whole)
		return m.W, m.H, m.C, m.Pix, err
	}
	m, err := imageTIFF(f, data, jpeg, limits)
	m.Pages = f.Pages()
	return m, err
}

// imageTIFF reads a picture, or samples as they are.
func imageTIFF(f *tiff.File, data []byte, jpeg tiff.JPEG, limits Limits) (Image, error) {
	chosen := limits.All || len(limits.Bands) > 0
	if f.Sampled() && (chosen && f.Bits() >= 8 || limits.Raw && f.Bits() > 8 || !f.Pictured()) {
		return samplesTIFF(f, data, jpeg, limits)
	}
	p, err := f.Decode(data, jpeg)
	if err != nil {
		return Image{}, err
	}
	m := Image{W: p.W, H: p.H, C: p.C, Pix: p.Pix, Depth: p.Depth, Cut: f.Bits() == 16 && p.Depth == 0,
		Extra: f.Extra()}
	return m.Take(limits.Bands)
}

// samplesTIFF reads the samples of a file as they are.
func samplesTIFF(f *tiff.File, data []byte, jpeg tiff.JPEG, limits Limits) (Image, error) {
	want, extra := limits.Bands, 0
	if len(want) == 0 {
		n := f.Samples()
		if f.Pictured() && !limits.All {
			n, extra = f.Colours(), f.Extra()
		}
		if err := tooMany(n, nil); err != nil {
			return Image{}, err
		}
		for i := range n {
			want = append(want, i+1)
		}
	}
	for _, b := range want {
		if b > f.Samples() {
			return Image{}, missing(b, f.Samples())
		}
	}
	s, err := f.Read(data, want, jpeg)
	if err != nil {
		return Image{}, err
	}
	kind := map[int]Type{1: Byte, 2: Short, 4: Float}[s.Bytes]
	return Image{W: s.W, H: s.H, C: s.C, Pix: s.Pix, Extra: extra, Type: kind}, nil
}
