package imagefile

import (
	"math"
	"slices"
)

// Stretch is the range of values of each channel shown that black and white stand for.
type Stretch struct{ low, high [3]float32 }

// shownSamples is how many pixels are looked at to find a Stretch.
const shownSamples = 1 << 16

// Stretch finds how the image is best seen: from the second to the ninety-eighth of a hundred
// of the values in each of the channels shown, as they lie in order.
func (m *Image) Stretch() Stretch {
	s := Stretch{high: [3]float32{255, 255, 255}}
	if m.Plain() {
		return s
	}
	step := max(1, m.W*m.H/shownSamples)
	pixel, values := make([]float32, m.C), [3][]float32{}
	for i := 0; i < m.W*m.H; i += step {
		m.Floats(pixel, i*m.C)
		for c := range m.shown() {
			if v := pixel[c]; v == v {
				values[c] = append(values[c], v)
			}
		}
	}
	for c, v := range values {
		if len(v) == 0 {
			continue
		}
		slices.Sort(v)
		s.low[c], s.high[c] = v[len(v)/50], v[len(v)-1-len(v)/50]
		if s.low[c] == s.high[c] {
			s.low[c], s.high[c] = v[0], v[len(v)-1]
		}
		if s.low[c] == s.high[c] { // grey
			s.low[c], s.high[c] = s.low[c]-1, s.high[c]+1
		}
	}
	return s
}

// shown is how many channels are shown of the image: three, or one where there are fewer.
func (m *Image) shown() int {
	if m.C < 3 {
		return 1
	}
	return 3
}

// Show returns a picture of the image for people: itself, if it is one; else its first three
// channels as red, green and blue, or the first alone if it has fewer than three, each
// stretched. What is no data is black.
func (m Image) Show(s Stretch) Image {
	if m.Plain() {
		return m
	}
	out := Image{W: m.W, H: m.H, C: m.shown()}
	out.Pix = make([]uint8, m.W*m.H*out.C)
	row := make([]float32, m.W*m.C)
	to := out.Pix
	for y := range m.H {
		m.Floats(row, y*len(row))
		for x := 0; x < len(row); x += m.C {
			for c := range out.C {
				v := (row[x+c] - s.low[c]) / (s.high[c] - s.low[c]) * 255
				if v != v {
					v = 0
				}
				to[c] = uint8(math.RoundToEven(float64(min(max(v, 0), 255))))
			}
			to = to[out.C:]
		}
	}
	return out
}
