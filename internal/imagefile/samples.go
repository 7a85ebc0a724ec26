package imagefile

import (
	"encoding/binary"
	"fmt"
	"math"
	"slices"
)

// Type is that of a sample in [Image].Pix.
type Type uint8

const (
	Byte  Type = iota // 0 to 255
	Short             // 0 to 65535, two bytes, the low one first
	Float             // float32, four bytes, the low one first; NaN where there are no data
)

// Size is the bytes of a sample.
func (t Type) Size() int { return 1 << t }

// Bits names the samples for people.
func (t Type) Bits() string {
	return [...]string{"8 bits", "16 bits", "32-bit floats"}[t]
}

// MostChannels is how many channels an image may have, and MostBands of how many in a file
// some may be chosen.
const (
	MostChannels = 16
	MostBands    = 64
)

// Plain reports whether the image is a picture of 8 bits, grey or in colour.
func (m *Image) Plain() bool { return m.Type == Byte && (m.C == 1 || m.C == 3) }

// Complete reports whether there are as many samples as the image's size says.
func (m *Image) Complete() bool {
	return m.W >= 1 && m.H >= 1 && m.C >= 1 && m.Type <= Float && len(m.Pix) == m.W*m.H*m.C*m.Type.Size()
}

// Floats writes len(dst) samples from sample at on to dst.
func (m *Image) Floats(dst []float32, at int) {
	switch m.Type {
	case Byte:
		for i, v := range m.Pix[at:][:len(dst)] {
			dst[i] = float32(v)
		}
	case Short:
		p := m.Pix[2*at:][:2*len(dst)]
		for i := range dst {
			dst[i] = float32(binary.LittleEndian.Uint16(p[2*i:]))
		}
	default:
		p := m.Pix[4*at:][:4*len(dst)]
		for i := range dst {
			dst[i] = math.Float32frombits(binary.LittleEndian.Uint32(p[4*i:]))
		}
	}
}

// SetFloats is the inverse of Floats; values are rounded to what the type holds.
func (m *Image) SetFloats(at int, src []float32) {
	whole := func(v, most float32) float32 {
		if v != v {
			return 0
		}
		return float32(math.RoundToEven(float64(min(max(v, 0), most))))
	}
	switch m.Type {
	case Byte:
		for i, v := range src {
			m.Pix[at+i] = uint8(whole(v, 255))
		}
	case Short:
		for i, v := range src {
			binary.LittleEndian.PutUint16(m.Pix[2*(at+i):], uint16(whole(v, 65535)))
		}
	default:
		for i, v := range src {
			binary.LittleEndian.PutUint32(m.Pix[4*(at+i):], math.Float32bits(v))
		}
	}
}

// Measures are what is known of the samples of an image's channels.
type Measures struct {
	Mean, Square []float64 // mean and mean square of each channel; NaN of one that has no data
	Gaps         int       // samples that are no data
}

// Measure measures an image of any type. The sums are in a fixed order.
func (m *Image) Measure() Measures {
	all := Measures{Mean: make([]float64, m.C), Square: make([]float64, m.C)}
	count := make([]int, m.C)
	row := make([]float32, m.W*m.C)
	for y := range m.H {
		m.Floats(row, y*len(row))
		for x := 0; x < len(row); x += m.C {
			for c, v := range row[x : x+m.C] {
				if v != v {
					all.Gaps++
					continue
				}
				count[c]++
				all.Mean[c] += float64(v)
				all.Square[c] += float64(float64(v) * float64(v))
			}
		}
	}
	for c, n := range count {
		all.Mean[c] /= float64(n)
		all.Square[c] /= float64(n)
	}
	return all
}

// Take returns the image with the channels of the given numbers, counted from 1, in their
// order; without any, itself.
func (m Image) Take(bands []int) (Image, error) {
	if len(bands) == 0 {
		return m, nil
	}
	if most := slices.Max(bands); most > m.C {
		return Image{}, missing(most, m.C)
	}
	size := m.Type.Size()
	out := m
	out.C, out.Extra, out.Pix = len(bands), 0, make([]uint8, m.W*m.H*len(bands)*size)
	to := out.Pix
	for from := m.Pix; len(from) > 0; from = from[m.C*size:] {
		for _, b := range bands {
			copy(to[:size], from[(b-1)*size:])
			to = to[size:]
		}
	}
	return out, nil
}

// missing says that a file lacks a channel that was chosen.
func missing(band, channels int) error {
	what := fmt.Sprintf("%d channels", channels)
	if channels == 1 {
		what = "one channel"
	}
	return sizeError(fmt.Sprintf("it has %s, but channel %d is asked for", what, band))
}

// tooMany refuses a file of more channels than an image may have, if none are chosen.
func tooMany(channels int, bands []int) error {
	if len(bands) == 0 && channels > MostChannels {
		return sizeError(fmt.Sprintf("it has %d channels, and up to %d are read; choose some by their numbers, with --bands",
			channels, MostChannels))
	}
	return nil
}

// mostValue is the largest value that is taken for one. Files write numbers beyond it where
// they have no data.
const mostValue = 1e30

// settle makes no data of what is infinite in an image of floats, and refuses what is nothing
// but that, or no value.
func (m *Image) settle() error {
	if m.Type != Float {
		return nil
	}
	some := false
	for i := 0; i < len(m.Pix); i += 4 {
		v := math.Float32frombits(binary.LittleEndian.Uint32(m.Pix[i:]))
		switch {
		case v-v != 0:
			binary.LittleEndian.PutUint32(m.Pix[i:], math.Float32bits(float32(math.NaN())))
		case v > mostValue || v < -mostValue:
			return sizeError(fmt.Sprintf("it has the value %g, which looks like a mark for missing data; write NaN there", v))
		default:
			some = true
		}
	}
	if !some {
		return sizeError("it has no data: no value is a finite number")
	}
	return nil
}
