package atlas

import (
	"bytes"
	"context"
	"errors"
	"hash/maphash"
	"image"
	"image/jpeg"

	"golang.org/x/image/draw"

	"vicreg/internal/batch"
	"vicreg/internal/imagefile"
)

// Thumbnails have this side, or a smaller multiple of 16, the side of what JPEG files compress
// together; and sheets are so wide and high at most.
const (
	mostSide  = 64
	sheetSide = 2048
)

// Gallery is what looking at the images of a map leaves: thumbnails, and what tells images
// apart that look alike. Its images come in order, some at a time.
type Gallery struct {
	layout  Sheets
	n, done int
	sheet   *image.RGBA // the next to be encoded
	sheets  [][]byte    // JPEG files
	signs   []signature
	pixels  []uint64 // of each image a hash of its pixels
	seed    maphash.Seed
}

// NewGallery returns a gallery for n images, of which none has more than side pixels in both
// directions.
func NewGallery(n, side int) *Gallery {
	side = min(mostSide, max(16, (side+15)/16*16))
	columns := sheetSide / side
	for columns > 1 && (columns-1)*(columns-1) >= n {
		columns--
	}
	return &Gallery{layout: Sheets{Side: side, Columns: columns, Rows: columns}, n: n, signs: make([]signature, n),
		pixels: make([]uint64, n), seed: maphash.MakeSeed()}
}

// Add takes the next images, count of them, as read gives them, on so many goroutines (0: one
// for each processor).
func (g *Gallery) Add(ctx context.Context, count, workers int, read func(i int) (imagefile.Image, error)) error {
	each := g.layout.Columns * g.layout.Rows
	for first := 0; first < count; {
		if g.sheet == nil {
			left := min(each, g.n-g.done)
			rows := (left + g.layout.Columns - 1) / g.layout.Columns
			g.sheet = image.NewRGBA(image.Rect(0, 0, g.layout.Columns*g.layout.Side, rows*g.layout.Side))
			draw.Draw(g.sheet, g.sheet.Rect, image.White, image.Point{}, draw.Src)
		}
		part := min(count-first, each-g.done%each)
		errs := make([]error, part)
		err := batch.Each(ctx, workers, part, func(_, at int) {
			m, err := read(first + at)
			if err != nil {
				errs[at] = err
				return
			}
			g.take(g.done+at, m)
		})
		if err := errors.Join(err, errors.Join(errs...)); err != nil {
			return err
		}
		first += part
		g.done += part
		if g.done%each == 0 || g.done == g.n {
			var b bytes.Buffer
			if err := jpeg.Encode(&b, g.sheet, &jpeg.Options{Quality: 82}); err != nil {
				return err
			}
			g.sheets, g.sheet = append(g.sheets, b.Bytes()), nil
		}
	}
	return nil
}

// take looks at image i: a square from its middle becomes the thumbnail.
func (g *Gallery) take(i int, m imagefile.Image) {
	g.pixels[i] = maphash.Bytes(g.seed, m.Pix) ^ uint64(m.W)<<32 ^ uint64(m.C)
	from := reduced(m.Show(m.Stretch()), 2*mostSide)
	g.signs[i] = sign(from)
	_, x, y := g.layout.Thumb(i)
	w, h := from.Bounds().Dx(), from.Bounds().Dy()
	short := min(w, h)
	part := image.Rect(0, 0, short, short).Add(image.Pt((w-short)/2, (h-short)/2))
	to := image.Rect(x, y, x+g.layout.Side, y+g.layout.Side)
	draw.CatmullRom.Scale(g.sheet, to, from, part, draw.Src, nil)
}

// reduced is an image whose shorter side is from least to twice that, each pixel the mean of a
// square of an image's; of a smaller image, the same size.
func reduced(m imagefile.Image, least int) *image.RGBA {
	f := max(1, min(m.W, m.H)/least)
	w, h := m.W/f, m.H/f
	out := image.NewRGBA(image.Rect(0, 0, w, h))
	for y := range h {
		for x := range w {
			var sum [3]int
			for dy := range f {
				row := m.Pix[((y*f+dy)*m.W+x*f)*m.C:]
				for dx := range f {
					for c := range sum {
						sum[c] += int(row[dx*m.C+min(c, m.C-1)])
					}
				}
			}
			p := out.Pix[4*(y*w+x):]
			for c, s := range sum {
				p[c] = uint8((s + f*f/2) / (f * f))
			}
			p[3] = 255
		}
	}
	return out
}
