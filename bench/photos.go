package main

import (
	"bytes"
	"context"
	"fmt"
	"image"
	"image/color"
	"image/jpeg"
	"math"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
)

// data makes what the views are made of, when it is first asked for.
type data struct{ dir, vicreg string }

// fill replaces PHOTOS by a folder of JPEG files, PACK by the same packed, and
// SMALL by a file of small images that fits into memory.
func (d data) fill(ctx context.Context, args []string) ([]string, error) {
	filled := make([]string, len(args))
	for i, a := range args {
		var err error
		switch a {
		case "PHOTOS":
			a = filepath.Join(d.dir, "photos")
			err = makePhotos(a)
		case "PACK":
			photos := filepath.Join(d.dir, "photos")
			if err = makePhotos(photos); err != nil {
				break
			}
			a = filepath.Join(d.dir, "photos.pack")
			var b []byte
			if b, err = exec.CommandContext(ctx, d.vicreg, "pack", "--data", photos, "--out", a).CombinedOutput(); err != nil {
				err = fmt.Errorf("cannot pack the photos: %w\n%s", err, b)
			}
		case "SMALL":
			a = filepath.Join(d.dir, "small.bin")
			err = makeSmall(a)
		}
		if err != nil {
			return nil, err
		}
		filled[i] = a
	}
	return filled, nil
}

// makePhotos writes 64 files of 500 × 375 pixels, quality 90, unless the folder
// is there.
func makePhotos(dir string) error {
	if _, err := os.Stat(dir); err == nil {
		return nil
	}
	if err := os.Mkdir(dir, 0o755); err != nil {
		return err
	}
	for i := range 64 {
		var b bytes.Buffer
		if err := jpeg.Encode(&b, scene(uint64(i), 500, 375), &jpeg.Options{Quality: 90}); err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(dir, fmt.Sprintf("%02d.jpg", i)), b.Bytes(), 0o644); err != nil {
			return err
		}
	}
	return nil
}

// makeSmall writes 1024 images of 32 × 32 in the form of CIFAR-10.
func makeSmall(path string) error {
	var b bytes.Buffer
	for i := range 1024 {
		m := scene(uint64(i), 32, 32)
		b.WriteByte(uint8(i % 10))
		for c := range 3 {
			for p := c; p < len(m.Pix); p += 4 {
				b.WriteByte(m.Pix[p])
			}
		}
	}
	return os.WriteFile(path, b.Bytes(), 0o644)
}

// scene draws a picture with what photos have: soft light, shapes with edges,
// texture of every size, and the noise of a sensor.
func scene(seed uint64, w, h int) *image.RGBA {
	r := rand.New(rand.NewPCG(seed, 5))
	type shape struct{ x, y, a, b, sin, cos, r, g, bl, rough float64 }
	shapes := make([]shape, 12)
	for i := range shapes {
		size := 0.4 / (1 + float64(i)/2)
		sin, cos := math.Sincos(math.Pi * r.Float64())
		shapes[i] = shape{r.Float64(), r.Float64(), size * (0.3 + r.Float64()), size * (0.3 + r.Float64()),
			sin, cos, r.Float64(), r.Float64(), r.Float64(), r.Float64()}
	}
	texture := octaves(r)
	light, side := r.Float64(), r.Float64()-0.5
	m := image.NewRGBA(image.Rect(0, 0, w, h))
	for py := range h {
		for px := range w {
			x, y := float64(px)/float64(w), float64(py)/float64(w)
			red, green, blue := 0.3+0.4*light, 0.4+0.3*y, 0.8-0.5*y
			rough := 0.4
			for _, s := range shapes {
				dx, dy := x-s.x, y-s.y
				u, v := (dx*s.cos+dy*s.sin)/s.a, (dy*s.cos-dx*s.sin)/s.b
				if u*u+v*v < 1 {
					shade := 0.6 + 0.4*v
					red, green, blue, rough = s.r*shade, s.g*shade, s.bl*shade, s.rough
				}
			}
			t := 0.7*rough*texture(x, y) + side*(x-0.5) + 0.014*r.NormFloat64()
			level := func(v float64) uint8 { return uint8(255 * min(max(v+t, 0), 1)) }
			m.SetRGBA(px, py, color.RGBA{level(red), level(green), level(blue), 255})
		}
	}
	return m
}

// octaves returns a texture around zero: smooth random values on grids, each
// twice as fine as the one before and weaker.
func octaves(r *rand.Rand) func(x, y float64) float64 {
	const side = 64
	var grid [side * side]float64
	for i := range grid {
		grid[i] = 2*r.Float64() - 1
	}
	at := func(i, j int) float64 { return grid[(i&(side-1))*side+j&(side-1)] }
	return func(x, y float64) float64 {
		sum, weight := 0.0, 0.5
		for scale := 4.0; scale < 300; scale *= 2 {
			u, v := x*scale, y*scale
			i, j := int(u), int(v)
			u, v = u-float64(i), v-float64(j)
			sum += weight * ((at(i, j)*(1-u)+at(i+1, j)*u)*(1-v) + (at(i, j+1)*(1-u)+at(i+1, j+1)*u)*v)
			weight *= 0.75
		}
		return sum
	}
}
