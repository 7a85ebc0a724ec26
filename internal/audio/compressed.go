package audio

import (
	"bytes"
	"crypto/md5"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/hajimehoshi/go-mp3"
	"github.com/mewkiz/flac"
)

// decodeFLAC reads a FLAC file and holds it against the number of samples and
// the checksum in its header.
func decodeFLAC(data []byte, limits Limits) (Sound, error) {
	stream, err := flac.New(bytes.NewReader(data))
	if err != nil {
		return Sound{}, fmt.Errorf("its FLAC header is broken or cut short (%w)", err)
	}
	info := stream.Info
	s := Sound{Channels: int(info.NChannels), Rate: int(info.SampleRate)}
	promised := int64(info.NSamples) * int64(s.Channels)
	if err := limits.tooLong(promised); err != nil {
		return Sound{}, err
	}
	sum := md5.New()
	scale := 1 / float64(int64(1)<<(max(1, info.BitsPerSample)-1))
	for {
		f, err := stream.ParseNext()
		if err == io.EOF {
			break
		}
		if err != nil {
			return Sound{}, fmt.Errorf("its FLAC data is broken or cut short after %d samples (%w)", s.Frames(), err)
		}
		if len(f.Subframes) != s.Channels {
			return Sound{}, fmt.Errorf("its FLAC data is broken: %d channels after %d samples, where the header says %d", len(f.Subframes), s.Frames(), s.Channels)
		}
		f.Hash(sum)
		n := len(f.Subframes[0].Samples)
		if err := limits.tooLong(int64(len(s.Samples) + n*s.Channels)); err != nil {
			return Sound{}, err
		}
		for i := range n {
			for _, sub := range f.Subframes {
				s.Samples = append(s.Samples, float32(float64(sub.Samples[i])*scale))
			}
		}
	}
	switch {
	case promised > int64(len(s.Samples)):
		return Sound{}, fmt.Errorf("the file is cut short: its header promises %d samples, %d are there", info.NSamples, s.Frames())
	case info.MD5sum != [md5.Size]byte{} && !bytes.Equal(sum.Sum(nil), info.MD5sum[:]):
		return Sound{}, errors.New("its FLAC data is broken: the samples do not have the checksum in the header")
	}
	return s, nil
}

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
