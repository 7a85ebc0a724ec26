package augment

import (
	"math"
	"math/rand/v2"
)

// Draw is what was drawn for one view.
type Draw struct {
	Crop      Rect
	Flip      bool
	Turns     int     // quarter turns anticlockwise, after the flip
	Jitter    [4]Step // the first Jitters of them, in this order
	Jitters   int
	Grey      bool
	Blur      bool
	Sigma     float64
	Solarize  bool
	Threshold int
}

// Step is one of the four jitters.
type Step struct {
	Kind   Kind
	Factor float64 // 1 changes nothing; for Hue a share of the circle
}

// Kind says what a jitter changes.
type Kind uint8

const (
	Brightness Kind = iota
	Contrast
	Saturation
	Hue
)

// Draw draws a view of an image w × h with c channels that are grey or red, green and blue; 0:
// they are something else. The distributions are those of torchvision 0.14.
func (v *View) Draw(r *rand.Rand, w, h, c int) Draw {
	d := Draw{Crop: v.drawCrop(r, w, h), Threshold: v.Solarize.Threshold}
	d.Flip = r.Float64() < v.Flip
	if v.Turn > 0 && r.Float64() < v.Turn {
		d.Turns = 1 + r.IntN(3)
	}
	if r.Float64() < v.Jitter.P {
		v.Jitter.draw(&d, r, c)
	}
	if c == 3 {
		d.Grey = r.Float64() < v.Grey
	}
	if d.Blur = r.Float64() < v.Blur.P; d.Blur {
		d.Sigma = uniform(r, v.Blur.Sigma[0], v.Blur.Sigma[1])
	}
	if c > 0 {
		d.Solarize = r.Float64() < v.Solarize.P
	}
	return d
}

// drawCrop is RandomResizedCrop.get_params: ten tries of a uniform area and a
// log-uniform ratio, then the largest central crop within the ratios.
func (v *View) drawCrop(r *rand.Rand, w, h int) Rect {
	lo, hi := math.Log(v.Ratio[0]), math.Log(v.Ratio[1])
	for range 10 {
		area := float64(w*h) * uniform(r, v.CropMin, v.CropMax)
		ratio := math.Exp(uniform(r, lo, hi))
		cw := int(math.RoundToEven(math.Sqrt(area * ratio)))
		ch := int(math.RoundToEven(math.Sqrt(area / ratio)))
		if 0 < cw && cw <= w && 0 < ch && ch <= h {
			y := r.IntN(h - ch + 1)
			x := r.IntN(w - cw + 1)
			return Rect{x, y, cw, ch}
		}
	}
	cw, ch := w, h
	switch ratio := float64(w) / float64(h); {
	case ratio < v.Ratio[0]:
		ch = max(1, int(math.RoundToEven(float64(w)/v.Ratio[0])))
	case ratio > v.Ratio[1]:
		cw = max(1, int(math.RoundToEven(float64(h)*v.Ratio[1])))
	}
	return Rect{(w - cw) / 2, (h - ch) / 2, cw, ch}
}

func (j *Jitter) draw(d *Draw, r *rand.Rand, c int) {
	var steps [4]Step
	n := 0
	for kind, x := range [4]float64{j.Brightness, j.Contrast, j.Saturation, j.Hue} {
		k := Kind(kind)
		if x == 0 || c != 3 && k >= Saturation {
			continue
		}
		lo, hi := max(0, 1-x), 1+x
		if k == Hue {
			lo, hi = -x, x
		}
		steps[n] = Step{k, uniform(r, lo, hi)}
		n++
	}
	r.Shuffle(n, func(a, b int) { steps[a], steps[b] = steps[b], steps[a] })
	d.Jitter, d.Jitters = steps, n
}

func uniform(r *rand.Rand, lo, hi float64) float64 { return lo + float64((hi-lo)*r.Float64()) }
