package audio

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/hajimehoshi/go-mp3"
)

// decodeMP3 reads an MP3 file as far as it goes; the format does not say how
// long it should be. Two channels that are the same are one.
func decodeMP3(data []byte, limits Limits) (Sound, error) {
	d, err := mp3.NewDecoder(bytes.NewReader(data))
	if err == io.EOF {
		return Sound{}, errors.New("this MP3 file holds no samples, or is cut short before them")
	}
	if err != nil {
		return Sound{}, fmt.Errorf("its MP3 data is broken (%w)", err)
	}
	if err := limits.tooLong(d.Length() / 2); err != nil {
		return Sound{}, err
	}
	raw, err := io.ReadAll(d)
	if err != nil {
		return Sound{}, fmt.Errorf("its MP3 data is broken (%w)", err)
	}
	s := Sound{Channels: 1, Rate: d.SampleRate(), Samples: make([]float32, len(raw)/4)}
	left := func(i int) int16 { return int16(binary.LittleEndian.Uint16(raw[4*i:])) }
	right := func(i int) int16 { return int16(binary.LittleEndian.Uint16(raw[4*i+2:])) }
	for i := range s.Samples {
		if left(i) != right(i) {
			s.Channels = 2
			break
		}
		s.Samples[i] = float32(left(i)) / (1 << 15)
	}
	if s.Channels == 2 {
		s.Samples = make([]float32, len(raw)/4*2)
		for i := range s.Frames() {
			s.Samples[2*i], s.Samples[2*i+1] = float32(left(i))/(1<<15), float32(right(i))/(1<<15)
		}
	}
	return s, nil
}
