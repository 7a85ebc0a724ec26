package augment

import (
	"fmt"

	"vicreg/internal/imagefile"
)

// Norm turns 8-bit values into numbers, as torchvision's ToTensor and
// Normalize do: (v/255 - mean) / std for each channel, in float32.
type Norm struct {
	lut [][256]float32
}

// NewNorm returns the normalisation of images with len(mean) channels.
func NewNorm(mean, std []float64) *Norm {
	if len(mean) != len(std) || len(mean) != 1 && len(mean) != 3 {
		panic(fmt.Sprintf("augment: normalisation with %d means and %d standard deviations", len(mean), len(std)))
	}
	n := &Norm{make([][256]float32, len(mean))}
	for c := range n.lut {
		for v := range 256 {
			n.lut[c][v] = (float32(v)/255 - float32(mean[c])) / float32(std[c])
		}
	}
	return n
}

// ToFloat writes the normalised pixels of img to dst, h × w × c.
func (n *Norm) ToFloat(dst []float32, img imagefile.Image) {
	checkImage(img)
	n.apply(dst, img, &identity)
}

// apply is ToFloat after the map l.
func (n *Norm) apply(dst []float32, img imagefile.Image, l *level) {
	if len(n.lut) != img.C || len(dst) != len(img.Pix) {
		panic(fmt.Sprintf("augment: image of %d × %d × %d, normalisation of %d channels, room for %d values",
			img.H, img.W, img.C, len(n.lut), len(dst)))
	}
	p := img.Pix
	if img.C == 1 {
		t := &n.lut[0]
		dst = dst[:len(p)]
		for i, v := range p {
			dst[i] = t[l[v]]
		}
		return
	}
	r, g, b := &n.lut[0], &n.lut[1], &n.lut[2]
	for len(p) >= 3 && len(dst) >= 3 {
		dst[0], dst[1], dst[2] = r[l[p[0]]], g[l[p[1]]], b[l[p[2]]]
		p, dst = p[3:], dst[3:]
	}
}
