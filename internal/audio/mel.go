package audio

import (
	"fmt"
	"math"

	"gonum.org/v1/gonum/dsp/fourier"
)

// MelConfig says how a log-mel spectrogram is made.
type MelConfig struct {
	Window float64 `yaml:"window"` // seconds
	Hop    float64 `yaml:"hop"`    // seconds from frame to frame
	Bands  int     `yaml:"bands"`  // of the mel scale
	Low    float64 `yaml:"low"`    // Hz, where the lowest band begins
	High   float64 `yaml:"high"`   // Hz, where the highest band ends; 0: half the rate
	FFT    int     `yaml:"fft"`    // samples; 0: a power of two that holds the window, with bins no further apart than the bands
	Floor  float64 `yaml:"floor"`  // of power, before the logarithm
}

// DefaultMelConfig returns what is usual for speech and environmental sound:
// windows of 25 ms, 10 ms apart, 64 bands up to half the rate.
func DefaultMelConfig() MelConfig {
	return MelConfig{Window: 0.025, Hop: 0.01, Bands: 64, Floor: 1e-10}
}

// Check returns what is wrong with the numbers of c for some samples a second,
// naming the YAML key.
func (c MelConfig) Check(rate int) error {
	nyquist := float64(rate) / 2
	switch {
	case rate < 1:
		return fmt.Errorf("rate is %d: there must be samples", rate)
	case !(c.Window > 0 && c.Window <= 10):
		return fmt.Errorf("window is %v: it must be a length in seconds, as 0.025", c.Window)
	case !(c.Hop > 0 && c.Hop <= 10):
		return fmt.Errorf("hop is %v: it must be a length in seconds, as 0.01", c.Hop)
	case math.Round(c.Window*float64(rate)) < 2 || math.Round(c.Hop*float64(rate)) < 1:
		return fmt.Errorf("window %v and hop %v are less than a sample at %d samples a second", c.Window, c.Hop, rate)
	case math.Round(c.Window*float64(rate)) > mostFFT:
		return fmt.Errorf("window is %v: at %d samples a second it holds more than %d", c.Window, rate, mostFFT)
	case c.Bands < 1 || c.Bands > 4096:
		return fmt.Errorf("bands is %d: it must lie between 1 and 4096", c.Bands)
	case !(c.Low >= 0 && c.Low < nyquist):
		return fmt.Errorf("low is %v Hz: it must lie between 0 and %v, half the rate", c.Low, nyquist)
	case c.High != 0 && !(c.High > c.Low && c.High <= nyquist):
		return fmt.Errorf("high is %v Hz: it must lie between low, %v, and %v, half the rate; 0 means that half", c.High, c.Low, nyquist)
	case c.FFT != 0 && (c.FFT < int(math.Round(c.Window*float64(rate))) || c.FFT > mostFFT):
		return fmt.Errorf("fft is %d: it must hold the window of %v samples; 0 lets it be chosen", c.FFT, math.Round(c.Window*float64(rate)))
	case !(c.Floor > 0):
		return fmt.Errorf("floor is %v: it must be above 0, for silence to have a logarithm", c.Floor)
	}
	return nil
}

// mostFFT is how many samples a transform may have.
const mostFFT = 1 << 20

// Mel makes log-mel spectrograms of samples of one rate. It agrees with
// torchaudio's transforms.MelSpectrogram with its defaults: a periodic Hann
// window in the middle of the transform, frames centred on every hop with the
// ends reflected, power 2, HTK's mel scale, triangles in Hz without area
// normalisation; then the natural logarithm of the power or Floor, whichever is
// greater. Any number of goroutines may use one, each with its own Scratch.
type Mel struct {
	config  MelConfig
	fft     int
	hop     int
	window  []float64 // of fft samples
	filters []filter  // by band
}

// filter weighs some bins of the power spectrum.
type filter struct {
	first  int
	weight []float64
}

// NewMel returns spectrograms of sound with some samples a second.
func NewMel(c MelConfig, rate int) (*Mel, error) {
	if err := c.Check(rate); err != nil {
		return nil, err
	}
	if c.High == 0 {
		c.High = float64(rate) / 2
	}
	m := &Mel{config: c, hop: int(math.Round(c.Hop * float64(rate)))}
	length := int(math.Round(c.Window * float64(rate)))
	edges := c.edges()
	if m.fft = c.FFT; m.fft == 0 {
		narrow := edges[1] - edges[0] // the lowest are the narrowest
		for m.fft = 2; m.fft < length || float64(rate)/float64(m.fft) > narrow && m.fft < 1<<16; {
			m.fft *= 2
		}
	}
	m.filters = m.triangles(edges, rate)
	m.window = make([]float64, m.fft)
	left := (m.fft - length) / 2
	for i := range length {
		m.window[left+i] = 0.5 - 0.5*math.Cos(2*math.Pi*float64(i)/float64(length))
	}
	return m, nil
}

// edges returns the frequencies at which bands begin, end and are centred, in
// equal steps of HTK's mel, 2595·log10(1 + f/700).
func (c MelConfig) edges() []float64 {
	mel := func(f float64) float64 { return 2595 * math.Log10(1+f/700) }
	edge := make([]float64, c.Bands+2)
	lo, hi := mel(c.Low), mel(c.High)
	for i := range edge {
		step := lo + (hi-lo)*float64(i)/float64(len(edge)-1)
		edge[i] = 700 * (math.Pow(10, step/2595) - 1)
	}
	return edge
}

// triangles returns the bands' filters: straight lines in Hz from 0 at the edges
// of a band to 1 at its centre.
func (m *Mel) triangles(edge []float64, rate int) []filter {
	filters := make([]filter, m.config.Bands)
	for b := range filters {
		f := &filters[b]
		for bin := max(0, int(edge[b]*float64(m.fft)/float64(rate))-1); bin <= m.fft/2; bin++ {
			hz := float64(bin) * float64(rate) / float64(m.fft)
			if hz > edge[b+2] {
				break
			}
			w := min((hz-edge[b])/(edge[b+1]-edge[b]), (edge[b+2]-hz)/(edge[b+2]-edge[b+1]))
			if w <= 0 {
				continue
			}
			if len(f.weight) == 0 {
				f.first = bin
			}
			f.weight = append(f.weight, w)
		}
	}
	return filters
}

// Bands returns the height of a spectrogram.
func (m *Mel) Bands() int { return m.config.Bands }

// FFT returns the samples of a transform, and Hop those from frame to frame.
func (m *Mel) FFT() int { return m.fft }
func (m *Mel) Hop() int { return m.hop }

// Frames returns the width of the spectrogram of n samples: one at the start,
// and one more for each whole hop.
func (m *Mel) Frames(n int) int {
	if n == 0 {
		return 0
	}
	return 1 + n/m.hop
}

// Samples returns how many samples make so many frames, at least.
func (m *Mel) Samples(frames int) int { return max(1, (frames-1)*m.hop) }

// Silence returns the value of every point of a silent spectrogram, the lowest
// that there is.
func (m *Mel) Silence() float32 { return float32(math.Log(m.config.Floor)) }

// Scratch is a goroutine's memory for spectrograms of one Mel.
type Scratch struct {
	fft  *fourier.FFT
	seq  []float64
	coef []complex128
}

// NewScratch returns memory for a goroutine.
func (m *Mel) NewScratch() *Scratch {
	return &Scratch{fourier.NewFFT(m.fft), make([]float64, m.fft), make([]complex128, m.fft/2+1)}
}

// Spectrogram writes the spectrogram of x, Bands × Frames, to dst's memory if
// that suffices.
func (m *Mel) Spectrogram(dst, x []float32, s *Scratch) []float32 {
	frames := m.Frames(len(x))
	if n := m.config.Bands * frames; cap(dst) < n {
		dst = make([]float32, n)
	} else {
		dst = dst[:n]
	}
	for t := range frames {
		start := t*m.hop - m.fft/2
		if start >= 0 && start+m.fft <= len(x) {
			for i, v := range x[start : start+m.fft] {
				s.seq[i] = float64(v) * m.window[i]
			}
		} else {
			for i := range s.seq {
				s.seq[i] = float64(x[reflect(start+i, len(x))]) * m.window[i]
			}
		}
		s.fft.Coefficients(s.coef, s.seq)
		for b := range m.filters {
			f := &m.filters[b]
			sum := 0.0
			for i, w := range f.weight {
				c := s.coef[f.first+i]
				sum += w * (real(c)*real(c) + imag(c)*imag(c))
			}
			dst[b*frames+t] = float32(math.Log(max(sum, m.config.Floor)))
		}
	}
	return dst
}

// reflect folds i into [0, n) at the first and last elements, as often as needed.
func reflect(i, n int) int {
	if n == 1 {
		return 0
	}
	period := 2 * (n - 1)
	if i %= period; i < 0 {
		i += period
	}
	return min(i, period-i)
}
