package imagefile

import (
	"bytes"
	"image"
	"image/color"
	"image/gif"
	"io"
)

func sizeGIF(r io.ReaderAt, bytes int64) (claim, error) {
	c, err := gif.DecodeConfig(io.NewSectionReader(r, 0, bytes))
	if err != nil {
		return claim{}, err
	}
	// A byte each for the indices of the frame and of the screen, and the pixels.
	return claim{w: c.Width, h: c.Height, memory: func() int64 { return 5 * int64(c.Width) * int64(c.Height) }}, nil
}

// decodeGIF reads the first frame, at its place on the screen. The ground that it
// leaves bare is transparent if the frame has a transparent colour, and of the
// first colour if it has none.
func decodeGIF(data []byte) (Image, error) {
	decoded, err := gif.Decode(bytes.NewReader(data))
	if err != nil {
		return Image{}, err
	}
	c, err := gif.DecodeConfig(bytes.NewReader(data))
	if err != nil {
		return Image{}, err
	}
	frame, bounds := decoded.(*image.Paletted), image.Rect(0, 0, c.Width, c.Height)
	if frame.Rect == bounds {
		return fromPaletted(frame), nil
	}
	whole := image.NewPaletted(bounds, frame.Palette)
	for i, c := range frame.Palette {
		if _, _, _, a := c.RGBA(); a == 0 && i < 256 {
			ground := bytes.Repeat([]byte{byte(i)}, bounds.Dx())
			for y := range bounds.Dy() {
				copy(whole.Pix[y*whole.Stride:], ground)
			}
			break
		}
	}
	for y := frame.Rect.Min.Y; y < frame.Rect.Max.Y; y++ {
		at := frame.PixOffset(frame.Rect.Min.X, y)
		copy(whole.Pix[whole.PixOffset(frame.Rect.Min.X, y):], frame.Pix[at:at+frame.Rect.Dx()])
	}
	if len(whole.Palette) == 0 {
		whole.Palette = color.Palette{color.Black}
	}
	return fromPaletted(whole), nil
}
