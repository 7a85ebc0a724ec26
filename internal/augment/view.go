// Package augment makes views of images, sounds, series, numbers and texts: pure
// functions of a random stream and an item.
//
// Of images, [View] says how one view is distributed; [Scratch.View] draws one and makes
// it. Each step rounds to 8 bits as Pillow 9.4 does through torchvision 0.14,
// so that published recipes see the pictures they were tuned on. Pictures made
// for evaluation, without chance, come from [Scratch.Plain].
//
// [Waveform], [Spectrogram], [Series], [Numeric] and [Text] say how views of the
// others are distributed and have a method View that draws and makes one. They
// work on normalised values: 0 is the mean, which is what padding and masks hold,
// and 1 a standard deviation. Where the view is as long as the item, it may be
// made in place. Without chance, items become views of a length by
// [CenterWaveform], [CenterSpectrogram], [CenterSeries] and [Tokens].
package augment

import (
	"fmt"
)

// View is the distribution of one view. Its steps are made in the order of the
// fields, then [Norm] makes numbers of pixels. Grey images take only those
// steps that mean something without colour, and so do images that are no pictures: see
// [View.LeftOut].
type View struct {
	CropMin  float64    `yaml:"crop_min"`       // least and
	CropMax  float64    `yaml:"crop_max"`       // greatest share of the image's area that is kept
	Ratio    [2]float64 `yaml:"ratio,flow"`     // least and greatest width / height of the crop
	Flip     float64    `yaml:"flip"`           // probability
	Turn     float64    `yaml:"turn,omitempty"` // probability of one, two or three quarter turns, each as likely
	Jitter   Jitter     `yaml:"jitter"`
	Grey     float64    `yaml:"grey"` // probability
	Blur     Blur       `yaml:"blur"`
	Solarize Solarize   `yaml:"solarize"`
}

// Jitter changes brightness, contrast and saturation by factors drawn from
// [max(0, 1-x), 1+x] and turns the hue by [-Hue, Hue] of a circle, the four in
// random order.
type Jitter struct {
	P          float64 `yaml:"p"`
	Brightness float64 `yaml:"brightness"`
	Contrast   float64 `yaml:"contrast"`
	Saturation float64 `yaml:"saturation"`
	Hue        float64 `yaml:"hue"`
}

// Blur is a Gaussian blur of uniformly drawn standard deviation.
type Blur struct {
	P     float64    `yaml:"p"`
	Sigma [2]float64 `yaml:"sigma,flow"` // pixels
}

// Solarize inverts the values that reach the threshold.
type Solarize struct {
	P         float64 `yaml:"p"`
	Threshold int     `yaml:"threshold"` // 0 to 256
}

// Released returns the pair of views of the released code (facebookresearch/
// vicreg, augmentations.py): alike but for blur and solarisation.
func Released() [2]View {
	v := View{
		CropMin: 0.08, CropMax: 1, Ratio: [2]float64{3.0 / 4, 4.0 / 3},
		Flip:     0.5,
		Jitter:   Jitter{P: 0.8, Brightness: 0.4, Contrast: 0.4, Saturation: 0.2, Hue: 0.1},
		Grey:     0.2,
		Blur:     Blur{P: 1, Sigma: [2]float64{0.1, 2}},
		Solarize: Solarize{P: 0, Threshold: 128},
	}
	w := v
	w.Blur.P, w.Solarize.P = 0.1, 0.2
	return [2]View{v, w}
}

// Check returns what is wrong with the numbers of v, naming the YAML key.
func (v View) Check() error {
	inside := func(key string, x, lo, hi float64) error {
		if !(x >= lo && x <= hi) { // also catches NaN
			return fmt.Errorf("%s is %v: it must lie between %v and %v", key, x, lo, hi)
		}
		return nil
	}
	for _, c := range []struct {
		key       string
		x, lo, hi float64
	}{
		{"crop_min", v.CropMin, 0, 1},
		{"crop_max", v.CropMax, 0, 1},
		{"flip", v.Flip, 0, 1},
		{"turn", v.Turn, 0, 1},
		{"jitter.p", v.Jitter.P, 0, 1},
		{"jitter.brightness", v.Jitter.Brightness, 0, 100},
		{"jitter.contrast", v.Jitter.Contrast, 0, 100},
		{"jitter.saturation", v.Jitter.Saturation, 0, 100},
		{"jitter.hue", v.Jitter.Hue, 0, 0.5},
		{"grey", v.Grey, 0, 1},
		{"blur.p", v.Blur.P, 0, 1},
		{"blur.sigma[0]", v.Blur.Sigma[0], 0, 100},
		{"blur.sigma[1]", v.Blur.Sigma[1], 0, 100},
		{"solarize.p", v.Solarize.P, 0, 1},
		{"solarize.threshold", float64(v.Solarize.Threshold), 0, 256},
	} {
		if err := inside(c.key, c.x, c.lo, c.hi); err != nil {
			return err
		}
	}
	switch {
	case v.CropMax <= 0:
		return fmt.Errorf("crop_max is 0: nothing would be left of the image")
	case v.CropMin > v.CropMax:
		return fmt.Errorf("crop_min %v is greater than crop_max %v", v.CropMin, v.CropMax)
	case !(v.Ratio[0] > 0 && v.Ratio[0] <= v.Ratio[1] && v.Ratio[1] <= 1000):
		return fmt.Errorf("ratio is %v: it must be two positive numbers, the smaller first", v.Ratio)
	case v.Blur.Sigma[0] > v.Blur.Sigma[1]:
		return fmt.Errorf("blur.sigma is %v: the smaller comes first", v.Blur.Sigma)
	}
	return nil
}
