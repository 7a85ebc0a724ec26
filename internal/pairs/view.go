package pairs

import (
	"fmt"
	"math"
	"math/rand/v2"

	"vicreg/internal/audio"
	"vicreg/internal/augment"
)

// maker writes views of one side. Any number of goroutines may use it, each with
// a memory of its own.
type maker struct {
	side      Side
	norm      *augment.Norm // of images
	mean, inv []float32     // of numbers: a view holds (v - mean) · inv
}

// memory is the working memory of one goroutine.
type memory struct {
	image augment.Scratch
}

func newMaker(side Side) *maker {
	if !side.Resolved() {
		panic(fmt.Sprintf("pairs: side %s is not resolved; scan first", &side))
	}
	side.fill()
	m := &maker{side: side}
	switch side.Type {
	case "image":
		if side.Raw() {
			m.norm = augment.NewRawNorm(side.Mean, side.Std)
		} else {
			m.norm = augment.NewNorm(side.Mean, side.Std)
		}
	case "numeric", "embedding":
		m.mean, m.inv = inverse(side.Mean, side.Std)
	}
	return m
}

// inverse returns what normalises: (v - mean) · inv.
func inverse(mean, std []float64) (m, inv []float32) {
	for i := range mean {
		m = append(m, float32(mean[i]))
		inv = append(inv, float32(1/std[i]))
	}
	return m, inv
}

// fill sets how views are drawn to what is usual, where that is left open.
func (s *Side) fill() {
	switch {
	case s.Type == "waveform" && s.Waveform == nil:
		s.Waveform = s.Usual("waveform").(*augment.Waveform)
	case s.Type == "spectrogram" && s.Spectrogram == nil:
		s.Spectrogram = s.Usual("spectrogram").(*augment.Spectrogram)
	case s.Type == "series" && s.Series == nil:
		s.Series = s.Usual("series").(*augment.Series)
	case (s.Type == "numeric" || s.Type == "embedding") && s.Numeric == nil:
		s.Numeric = s.Usual("numeric").(*augment.Numeric)
	case s.Type == "text" && s.Text == nil:
		s.Text = s.Usual("text").(*augment.Text)
	}
}

// Usual returns the usual value of one of the settings of a side, by its key. What a
// file leaves open within it keeps that value.
func (s *Side) Usual(key string) any {
	switch key {
	case "mel":
		return to(audio.DefaultMelConfig())
	case "waveform":
		return to(augment.DefaultWaveform())
	case "spectrogram":
		return to(augment.DefaultSpectrogram())
	case "series":
		return to(augment.DefaultSeries())
	case "numeric":
		return to(augment.DefaultNumeric())
	case "text":
		return to(augment.DefaultText())
	}
	return nil
}

func to[T any](v T) *T { return &v }

// checkViews returns what is wrong with the settings of views.
func (s *Side) checkViews() error {
	for _, v := range []struct {
		key   string
		given bool
		fits  bool
		check func() error
	}{
		{"waveform", s.Waveform != nil, s.Type == "waveform", func() error { return s.Waveform.Check() }},
		{"spectrogram", s.Spectrogram != nil, s.Type == "spectrogram", func() error { return s.Spectrogram.Check() }},
		{"series", s.Series != nil, s.Type == "series", func() error { return s.Series.Check() }},
		{"numeric", s.Numeric != nil, s.Type == "numeric" || s.Type == "embedding", func() error { return s.Numeric.Check() }},
		{"text", s.Text != nil, s.Type == "text", func() error { return s.Text.Check() }},
	} {
		if !v.given {
			continue
		}
		if !v.fits {
			return fmt.Errorf("%s: %s holds settings of views of %s; leave it out", s.Type, v.key, v.key)
		}
		if err := v.check(); err != nil {
			return fmt.Errorf("%s: %s.%w", s.Type, v.key, err)
		}
	}
	return nil
}

// view writes a sample as training sees it, changed by chance: an image as its
// view says, the others as the side does.
func (m *maker) view(dst []float32, r *rand.Rand, s *Sample, image *augment.View, w *memory) {
	switch side := &m.side; side.Type {
	case "image":
		w.image.View(dst, r, s.Image, image, side.Size, m.norm)
	case "waveform":
		side.Waveform.View(r, dst, s.Values)
	case "spectrogram":
		side.Spectrogram.View(r, dst, s.Values, side.Mel.Bands, side.Std[0])
	case "series":
		side.Series.View(r, dst, s.Values, side.Channels)
	case "numeric", "embedding":
		m.numbers(dst, s.Values)
		x := dst[:len(s.Values)] // without indicators
		side.Numeric.View(r, x, x)
	case "text":
		side.Text.View(r, dst, s.Text)
	}
}

// plain writes a sample as evaluation uses it, without randomness. Of what is too long
// it takes the middle, of a text the beginning. What is too short is padded with the
// mean on both sides, a text at its end.
func (m *maker) plain(dst []float32, s *Sample, w *memory) {
	switch m.side.Type {
	case "image":
		w.image.Plain(dst, s.Image, m.side.Size, m.norm)
	case "waveform":
		augment.CenterWaveform(dst, s.Values)
	case "spectrogram":
		augment.CenterSpectrogram(dst, s.Values, m.side.Mel.Bands)
	case "series":
		augment.CenterSeries(dst, s.Values, m.side.Channels)
	case "numeric", "embedding":
		m.numbers(dst, s.Values)
	case "text":
		augment.Tokens(dst, s.Text)
	}
}

// numbers writes values normalised, the mean where one is missing, and an
// indicator for each of the columns that are incomplete.
func (m *maker) numbers(dst, values []float32) {
	for i, v := range values {
		dst[i] = (v - m.mean[i]) * m.inv[i]
		if math.IsNaN(float64(v)) {
			dst[i] = 0
		}
	}
	at := len(values)
	for i, name := range m.side.Columns {
		if at < len(dst) && name == m.side.Incomplete[at-len(values)] {
			dst[at] = 0
			if math.IsNaN(float64(values[i])) {
				dst[at] = 1
			}
			at++
		}
	}
}
