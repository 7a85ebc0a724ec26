package atlas

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"html/template"
	"image"
	"image/draw"
	"image/jpeg"
	"io"
	"path/filepath"

	"vicreg/internal/durable"
	"vicreg/internal/show"
)

// Pictures are the thumbnails of a map. One goroutine uses them at a time.
type Pictures struct {
	folder string
	sheets Sheets
	open   []image.Image
	urls   map[int]template.URL
}

// mostSheet is how long the file of a sheet may be.
const mostSheet = 64 << 20

// Pictures returns the thumbnails of a map that lies in a folder. A sheet is read when a
// picture of it is asked for.
func (m *Map) Pictures(folder string) *Pictures {
	return &Pictures{folder: folder, sheets: m.Sheets, open: make([]image.Image, len(m.Sheets.Files)),
		urls: map[int]template.URL{}}
}

// Image returns a point's thumbnail; nil if the map has none.
func (p *Pictures) Image(point int) (image.Image, error) {
	if len(p.sheets.Files) == 0 {
		return nil, nil
	}
	sheet, x, y := p.sheets.Thumb(point)
	if p.open[sheet] == nil {
		m, err := p.read(filepath.Join(p.folder, p.sheets.Files[sheet]))
		if err != nil {
			return nil, err
		}
		p.open[sheet] = m
	}
	side := p.sheets.Side
	return p.open[sheet].(interface {
		SubImage(image.Rectangle) image.Image
	}).SubImage(image.Rect(x, y, x+side, y+side)), nil
}

// read reads a sheet and checks its size before it is decoded.
func (p *Pictures) read(path string) (image.Image, error) {
	f, err := durable.OpenRegular(path)
	if err != nil {
		return nil, fmt.Errorf("%s, pictures of the map, cannot be read: %w", show.Name(path), durable.Reason(err))
	}
	defer f.Close()
	bad := func(what string) error {
		return fmt.Errorf("%s holds no pictures of the map: %s; make the map anew with vicreg map", show.Name(path), what)
	}
	head, err := jpeg.DecodeConfig(io.LimitReader(f, mostSheet))
	if err != nil {
		return nil, bad("it is damaged")
	}
	if w, h := p.sheets.Columns*p.sheets.Side, p.sheets.Rows*p.sheets.Side; head.Width != w || head.Height > h {
		return nil, bad(fmt.Sprintf("it has %d × %d pixels, not %d × %d", head.Width, head.Height, w, h))
	}
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return nil, durable.Reason(err)
	}
	m, err := jpeg.Decode(io.LimitReader(f, mostSheet))
	if err != nil {
		return nil, bad("it is damaged")
	}
	return m, nil
}

// URL returns a point's thumbnail as a data URL, empty if the map has none.
func (p *Pictures) URL(point int) (template.URL, error) {
	if url, ok := p.urls[point]; ok {
		return url, nil
	}
	m, err := p.Image(point)
	if m == nil || err != nil {
		return "", err
	}
	url, err := jpegURL(m, 82)
	p.urls[point] = url
	return url, err
}

// jpegURL is a picture as a data URL.
func jpegURL(m image.Image, quality int) (template.URL, error) {
	to := image.NewRGBA(image.Rect(0, 0, m.Bounds().Dx(), m.Bounds().Dy()))
	draw.Draw(to, to.Rect, m, m.Bounds().Min, draw.Src)
	var b bytes.Buffer
	if err := jpeg.Encode(&b, to, &jpeg.Options{Quality: quality}); err != nil {
		return "", err
	}
	return template.URL("data:image/jpeg;base64," + base64.StdEncoding.EncodeToString(b.Bytes())), nil
}
