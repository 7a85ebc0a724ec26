package index

import (
	"bytes"
	"errors"
	"fmt"
	"image"
	"image/color"
	"image/jpeg"
	"sync"

	"golang.org/x/image/draw"

	"vicreg/internal/dataset"
	"vicreg/internal/imagefile"
	"vicreg/internal/show"
)

// Pictures finds the images of an index again, where they were when it was made. Any
// number of goroutines may use it.
type Pictures struct {
	Index  *File
	Limits imagefile.Limits

	once sync.Once
	item map[string]*dataset.Item // of images without a file of their own; nil: several have the name
	err  error
}

// Image reads an image.
func (p *Pictures) Image(item int) (imagefile.Image, error) {
	if file := p.Index.FileOf(item); file != "" {
		return imagefile.Read(file, p.Limits)
	}
	p.once.Do(p.open)
	if p.err != nil {
		return imagefile.Image{}, p.err
	}
	name := p.Index.Items[item].Name
	in, known := p.item[name]
	if known && in == nil {
		return imagefile.Image{}, fmt.Errorf("%s is the name of several images in %s", show.Name(name), show.Name(p.Index.Source))
	}
	if !known {
		return imagefile.Image{}, fmt.Errorf("%s is no longer in %s", show.Name(name), show.Name(p.Index.Source))
	}
	return in.Read(p.Limits)
}

// open lists the data that the index was made of.
func (p *Pictures) open() {
	if p.Index.Source == "" {
		p.err = errors.New("the index does not say where its images are")
		return
	}
	all, err := dataset.OpenAll(p.Index.Source, dataset.Options{Labels: "none"})
	if err != nil {
		p.err = err
		return
	}
	p.item = make(map[string]*dataset.Item, len(all.Items))
	for i := range all.Items {
		name := all.Items[i].Name
		if _, twice := p.item[name]; twice {
			p.item[name] = nil
			continue
		}
		p.item[name] = &all.Items[i]
	}
}

// Thumbnail returns an image as a JPEG file, neither side longer than size.
func Thumbnail(m imagefile.Image, size int) ([]byte, error) {
	m = m.Show(m.Stretch())
	w, h := m.W, m.H
	if long := max(w, h); long > size {
		w, h = max(1, (w*size+long/2)/long), max(1, (h*size+long/2)/long)
	}
	var from image.Image
	if m.C == 1 {
		from = &image.Gray{Pix: m.Pix, Stride: m.W, Rect: image.Rect(0, 0, m.W, m.H)}
	} else {
		from = rgb{m}
	}
	to := image.NewRGBA(image.Rect(0, 0, w, h))
	draw.CatmullRom.Scale(to, to.Rect, from, from.Bounds(), draw.Src, nil)
	var b bytes.Buffer
	err := jpeg.Encode(&b, to, &jpeg.Options{Quality: 85})
	return b.Bytes(), err
}

// rgb is an image of three channels for package draw.
type rgb struct{ imagefile.Image }

func (m rgb) ColorModel() color.Model { return color.RGBAModel }
func (m rgb) Bounds() image.Rectangle { return image.Rect(0, 0, m.W, m.H) }
func (m rgb) At(x, y int) color.Color { return m.RGBA64At(x, y) }
func (m rgb) RGBA64At(x, y int) color.RGBA64 {
	p := m.Pix[3*(y*m.W+x):]
	return color.RGBA64{R: 257 * uint16(p[0]), G: 257 * uint16(p[1]), B: 257 * uint16(p[2]), A: 0xffff}
}
