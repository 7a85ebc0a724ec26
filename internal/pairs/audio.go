package pairs

import (
	"fmt"
	"math"

	"vicreg/internal/audio"
)

const (
	maxRate    = 16_000 // samples a second, unless the side says more
	maxSeconds = 5      // of a view, unless the side says more
	quiet      = 1e-4   // a sound that nowhere exceeds this, 80 dB below full scale, is silent
)

// sound reports whether the side is made of audio.
func (s *Side) sound() bool { return s.Type == "waveform" || s.Type == "spectrogram" }

// readSound reads one channel at the file's own rate. Silence is an error.
func readSound(path string) (Sample, error) {
	if err := isFile(path); err != nil {
		return Sample{}, err
	}
	sound, err := audio.Read(path, audio.Limits{})
	if err != nil {
		return Sample{}, err
	}
	m := Sample{Values: sound.Mono(), rate: sound.Rate}
	peak := float32(0)
	for _, v := range m.Values {
		peak = max(peak, v, -v)
	}
	switch {
	case len(m.Values) == 0:
		return m, fmt.Errorf("%s: there is no sound in it", path)
	case peak < quiet:
		return m, fmt.Errorf("%s: the sound is silent", path)
	}
	return m, nil
}

// decodeAudio reads a waveform at the side's rate, or its spectrogram, mels ×
// frames.
func (s *Source) decodeAudio(k int, path string) (Sample, error) {
	m, err := readSound(path)
	if err != nil {
		return m, err
	}
	side := &s.sides[k]
	m.Values, m.rate = audio.Resample(m.Values, m.rate, side.Rate), side.Rate
	if mel := s.mels[k]; mel != nil {
		m.Values = mel.Spectrogram(nil, m.Values, mel.NewScratch())
	}
	return m, nil
}

// resolveSound resolves rate, bands and length from what was heard, of which
// lengths are samples at the files' own rates.
func (s *Side) resolveSound(good []*found) error {
	if s.Rate == 0 {
		count := map[int]int{}
		for _, f := range good {
			count[f.rate]++
		}
		for rate, n := range count {
			if s.Rate == 0 || n > count[s.Rate] || n == count[s.Rate] && rate < s.Rate {
				s.Rate = rate
			}
		}
		s.Rate = min(s.Rate, maxRate)
	}
	if s.Type == "spectrogram" && s.Mel == nil {
		c := audio.DefaultMelConfig()
		s.Mel = &c
	}
	if s.Length == 0 {
		at := *good[0] // some sound of the usual length
		at.length, at.rate = min(most(good, func(f *found) int { return s.samples(f) }), maxSeconds*s.Rate), s.Rate
		s.Length = (at.length + 63) / 64 * 64
		if s.Type == "spectrogram" {
			mel, err := audio.NewMel(*s.Mel, s.Rate)
			if err != nil {
				return fmt.Errorf("%s: mel.%w", s, err)
			}
			s.Length = (mel.Frames(at.length) + 15) / 16 * 16
		}
	}
	return s.Check()
}

// samples returns how long a sound is at the side's rate.
func (s *Side) samples(f *found) int { return (f.length*s.Rate + f.rate - 1) / f.rate }

// measureAudio fills in the mean and mean square of a sound that can be read.
func (s *Source) measureAudio(i, k int, f *found) {
	m, err := s.decode(k, s.data.path(s.data.Rows[i].cells[k][0]))
	if err != nil {
		f.err = err
		return
	}
	f.mean, f.squares = moments(m.Values, 1)
}

// seconds spells a number of samples.
func seconds(samples, rate int) string {
	return fmt.Sprintf("%v s", math.Round(100*float64(samples)/float64(rate))/100)
}
