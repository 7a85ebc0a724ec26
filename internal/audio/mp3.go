package audio

import (
	"fmt"

	"vicreg/internal/mp3"
)

// decodeMP3 reads an MP3 file. If it has a header with the number of frames, which the
// format does not demand, they are compared. Two channels that are equal become one.
func decodeMP3(data []byte, limits Limits) (Sound, error) {
	m, err := mp3.Find(data)
	if err != nil {
		return Sound{}, fmt.Errorf("its MP3 data is broken or cut short: %w", err)
	}
	if m.Promised > 0 {
		what := "the file is cut short"
		if m.Gaps > 0 {
			what = "parts of the file are missing"
		}
		return Sound{}, fmt.Errorf(what+": its header promises %d frames of MP3, %d are there", m.Promised, m.Have)
	}
	if err := limits.tooLong(int64(m.Samples()) * int64(m.Channels)); err != nil {
		return Sound{}, err
	}
	s := Sound{Channels: m.Channels, Rate: m.Rate, Samples: m.Decode(), Cut: m.Cut}
	s.Gaps = m.Gaps // Decode has found more
	if s.Channels == 1 {
		return s, nil
	}
	for i := 0; i < len(s.Samples); i += 2 {
		if s.Samples[i] != s.Samples[i+1] {
			return s, nil
		}
	}
	for i := range s.Frames() {
		s.Samples[i] = s.Samples[2*i]
	}
	s.Samples, s.Channels = s.Samples[:s.Frames()], 1
	return s, nil
}
