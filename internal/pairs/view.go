package pairs

import (
	"fmt"
	"math"
	"unicode/utf8"

	"vicreg/internal/augment"
)

// Tokens of a text: padding, bytes from 1 on, and the mask.
const (
	Padding = 0
	Mask    = 257
)

// maker writes views of one side. Any number of goroutines may use it, each with
// a memory of its own.
type maker struct {
	side      Side
	norm      *augment.Norm // of images
	mean, inv []float32     // of everything else: a view holds (v - mean) · inv
}

// memory is the working memory of one goroutine.
type memory struct {
	image augment.Scratch
}

func newMaker(side Side) *maker {
	if !side.Resolved() {
		panic(fmt.Sprintf("pairs: side %s is not resolved; scan first", &side))
	}
	m := &maker{side: side}
	if side.Type == "image" {
		m.norm = augment.NewNorm(side.Mean, side.Std)
		return m
	}
	for i := range side.Mean {
		m.mean = append(m.mean, float32(side.Mean[i]))
		m.inv = append(m.inv, float32(1/side.Std[i]))
	}
	return m
}

// plain writes a sample as evaluation sees it, without chance: of an image the
// middle, of a waveform, a spectrogram or a series that is too long the middle,
// and of a text the beginning. What is too short is padded on both sides with
// the mean; a text with [Padding] at its end.
func (m *maker) plain(dst []float32, s *Sample, w *memory) {
	switch m.side.Type {
	case "image":
		w.image.Plain(dst, s.Image, m.side.Size, m.norm)
	case "series", "waveform":
		m.window(dst, s.Values, m.spare(dst, s)/2)
	case "spectrogram":
		m.frames(dst, s.Values, m.spare(dst, s)/2)
	case "text":
		tokens(dst, s.Text)
	case "numeric", "embedding":
		m.numbers(dst, s.Values)
	}
}

// spare returns how many points a sample has more than a view; they may be
// fewer.
func (m *maker) spare(dst []float32, s *Sample) int {
	of := len(m.mean) // values of a point
	if m.side.Type == "spectrogram" {
		of = m.side.Mel.Bands
	}
	return (len(s.Values) - len(dst)) / of
}

// window writes the part of values, t' × c, that begins with point shift to dst,
// t × c, normalised; where there are no values, the mean.
func (m *maker) window(dst, values []float32, shift int) {
	c := len(m.mean)
	clear(dst)
	lo := max(0, -shift)
	hi := min(len(dst)/c, len(values)/c-shift)
	for i := lo; i < hi; i++ {
		from, to := values[(i+shift)*c:(i+shift+1)*c], dst[i*c:(i+1)*c]
		for k, v := range from {
			to[k] = (v - m.mean[k]) * m.inv[k]
		}
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

// tokens writes the bytes of a text as numbers from 1 on; what is too long loses
// its end, at the start of a character.
func tokens(dst []float32, text string) {
	if n := len(dst); len(text) > n {
		for n > 0 && !utf8.RuneStart(text[n]) {
			n--
		}
		text = text[:n]
	}
	for i := range len(text) {
		dst[i] = float32(text[i]) + 1
	}
	clear(dst[len(text):])
}
