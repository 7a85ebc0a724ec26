package augment

import (
	"fmt"

	"vicreg/internal/imagefile"
)

// Norm turns the values of images into numbers. Of pictures, as torchvision's ToTensor and
// Normalize do: (v/255 - mean) / std for each channel, in float32. Of other images
// (v - mean) / std, and 0 where there are no data.
type Norm struct {
	lut       [][256]float32 // of pictures
	mean, std []float32      // of other images
}

// NewNorm returns the normalisation of pictures with len(mean) channels.
func NewNorm(mean, std []float64) *Norm {
	if len(mean) != len(std) || len(mean) != 1 && len(mean) != 3 {
		panic(fmt.Sprintf("augment: normalisation with %d means and %d standard deviations", len(mean), len(std)))
	}
	n := &Norm{lut: make([][256]float32, len(mean))}
	for c := range n.lut {
		for v := range 256 {
			n.lut[c][v] = (float32(v)/255 - float32(mean[c])) / float32(std[c])
		}
	}
	return n
}

// NewRawNorm returns the normalisation of images whose values are those of their files.
func NewRawNorm(mean, std []float64) *Norm {
	if len(mean) != len(std) || len(mean) == 0 {
		panic(fmt.Sprintf("augment: normalisation with %d means and %d standard deviations", len(mean), len(std)))
	}
	n := &Norm{mean: make([]float32, len(mean)), std: make([]float32, len(std))}
	for c := range mean {
		n.mean[c], n.std[c] = float32(mean[c]), float32(std[c])
	}
	return n
}

// Raw reports whether it is of images whose values are those of their files.
func (n *Norm) Raw() bool { return n.lut == nil }

// Channels is how many channels the images have.
func (n *Norm) Channels() int { return len(n.lut) + len(n.mean) }

// colours is the number of channels that have a meaning as grey or as red, green and blue; 0
// if none does.
func (n *Norm) colours() int { return len(n.lut) }

// ToFloat writes the normalised pixels of img to dst, h × w × c.
func (n *Norm) ToFloat(dst []float32, img imagefile.Image) {
	if n.Raw() {
		n.checkRaw(img)
		if len(dst) != img.W*img.H*img.C {
			panic(fmt.Sprintf("augment: image of %d × %d × %d, room for %d values", img.H, img.W, img.C, len(dst)))
		}
		n.rawInto(dst, img, 0)
		return
	}
	checkImage(img)
	n.apply(dst, img, &identity)
}

// rawInto writes len(dst) normalised values of img from value at on to dst; both are whole
// pixels.
func (n *Norm) rawInto(dst []float32, img imagefile.Image, at int) {
	img.Floats(dst, at)
	for len(dst) > 0 {
		for c, v := range dst[:len(n.mean)] {
			z := (v - n.mean[c]) / n.std[c]
			if z != z {
				z = 0
			}
			dst[c] = z
		}
		dst = dst[len(n.mean):]
	}
}

// back turns normalised values into those of files.
func (n *Norm) back(x []float32) {
	for len(x) > 0 {
		for c, z := range x[:len(n.mean)] {
			x[c] = float32(z*n.std[c]) + n.mean[c]
		}
		x = x[len(n.mean):]
	}
}

func (n *Norm) checkRaw(img imagefile.Image) {
	if !img.Complete() || img.C != len(n.mean) {
		panic(fmt.Sprintf("augment: image of %d × %d × %d with %d bytes, normalisation of %d channels",
			img.H, img.W, img.C, len(img.Pix), len(n.mean)))
	}
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
