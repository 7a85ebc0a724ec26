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

// readSound reads one channel at the file's own rate. Silence is an error, and so is a
// rate that cannot be resampled to the side's, if that is known.
func (s *Side) readSound(d *Data, path string) (Sample, error) {
	if err := d.present(path); err != nil {
		return Sample{}, err
	}
	sound, err := d.sound(path)
	if err != nil {
		return Sample{}, err
	}
	m := Sample{Values: sound.Mono(), rate: sound.Rate}
	if sound.Peak > 0 || sound.Gaps > 0 || sound.Cut || sound.Unread > 0 {
		m.sound, sound.Samples = &sound, nil
	}
	if err := s.canResample(len(m.Values), m.rate); err != nil {
		return m, fmt.Errorf("%s: %w", path, err)
	}
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

// sound reads a sound out of its file.
func (d *Data) sound(path string) (audio.Sound, error) {
	m := d.files[path]
	if m == nil {
		return audio.Read(path, audio.Limits{})
	}
	raw, err := m.Read(audio.MaxBytes)
	var s audio.Sound
	if err == nil {
		s, err = audio.Decode(raw, audio.Limits{})
	}
	if err != nil {
		err = fmt.Errorf("%s: %w", path, err)
	}
	return s, err
}

// canResample returns an error if n samples of some rate cannot be resampled to the
// side's rate.
func (s *Side) canResample(n, rate int) error {
	if s.Rate == 0 {
		return nil
	}
	return audio.CanResample(n, rate, s.Rate)
}

// decodeAudio reads a waveform at the side's rate, or its spectrogram, mels ×
// frames.
func (s *Source) decodeAudio(k int, path string) (Sample, error) {
	side := &s.sides[k]
	m, err := side.readSound(s.data, path)
	if err != nil {
		return m, err
	}
	m.Values, m.rate = audio.Resample(m.Values, m.rate, side.Rate), side.Rate
	if mel := s.mels[k]; mel != nil {
		if frames := mel.Frames(len(m.Values)); frames > audio.MaxSamples/mel.Bands() {
			return m, fmt.Errorf("%s: its spectrogram would have %d bands × %d frames, more than %d values; raise mel.hop", path, mel.Bands(), frames, int64(audio.MaxSamples))
		}
		m.Values = mel.Spectrogram(nil, m.Values, mel.NewScratch())
	}
	return m, nil
}

// resolveRate sets the rate of side k, if it is open, to the most common one, at most
// maxRate. Rows that cannot be resampled to it are bad.
func (s *Source) resolveRate(k int, all [][]found) {
	side := &s.sides[k]
	if side.Rate != 0 {
		return // Sample has seen to it
	}
	count := map[int]int{}
	for i := range all {
		if f := &all[i][k]; f.decoded && !rowBad(all[i]) {
			count[f.rate]++
		}
	}
	for rate, n := range count {
		if side.Rate == 0 || n > count[side.Rate] || n == count[side.Rate] && rate < side.Rate {
			side.Rate = rate
		}
	}
	side.Rate = min(side.Rate, maxRate)
	for i := range all {
		f := &all[i][k]
		if !f.decoded {
			continue
		}
		if err := side.canResample(f.length, f.rate); err != nil {
			f.decoded, f.err = false, fmt.Errorf("%s: %w", s.data.path(s.data.Rows[i].cells[k][0]), err)
		}
	}
}

// resolveSound resolves bands and length from the sounds found, whose lengths count
// samples at the files' own rates.
func (s *Side) resolveSound(good []*found) error {
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

// seconds writes a number of samples as seconds.
func seconds(samples, rate int) string {
	return fmt.Sprintf("%v s", math.Round(100*float64(samples)/float64(rate))/100)
}

// ofSounds says what was scaled, missing or left out of the files of a sound.
func (s *Side) ofSounds(good []*found) (notes []string) {
	var loud, broken, gaps, cut, behind, unread int
	peak := float32(0)
	for _, f := range good {
		m := f.sound
		if m == nil {
			continue
		}
		if m.Peak > 0 {
			loud++
			peak = max(peak, m.Peak)
		}
		if m.Gaps > 0 {
			broken++
			gaps += m.Gaps
		}
		if m.Cut {
			cut++
		}
		if m.Unread > 0 {
			behind++
			unread += m.Unread
		}
	}
	note := func(n int, format string, args ...any) {
		if n > 0 {
			about := fmt.Sprintf("%s: %d of %d sounds ", s, n, len(good))
			notes = append(notes, about+fmt.Sprintf(format, args...))
		}
	}
	note(loud, "go beyond full scale, up to %.4g times, and are scaled down to it", peak)
	note(broken, "have gaps, %d in all, where frames or pages are missing or broken", gaps)
	note(cut, "are MP3s that end within a frame, as files do that are cut short; that frame is left out")
	note(behind, "are WAVs with more behind the samples that their headers tell of, %d bytes in all, which are not read", unread)
	return notes
}
