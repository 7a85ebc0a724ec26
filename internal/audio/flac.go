package audio

import (
	"bytes"
	"crypto/md5"
	"errors"
	"fmt"
	"io"

	"github.com/mewkiz/flac"
)

// flacStream returns the stream of a FLAC file without what describes it, such as
// pictures, whose sizes nothing is taken for.
func flacStream(data []byte) (*flac.Stream, error) {
	errHeader := errors.New("its FLAC header is broken or cut short")
	const info = 4 + 34 // the block of the sound's own figures, which comes first
	rest := data[4:]
	if len(rest) < info || rest[0]&127 != 0 || string(rest[1:4]) != "\x00\x00\x22" {
		return nil, errHeader
	}
	head := append([]byte("fLaC\x80"), rest[1:info]...)
	for last := false; !last; {
		if len(rest) < 4 {
			return nil, errHeader
		}
		size := 4 + int(rest[1])<<16 + int(rest[2])<<8 + int(rest[3])
		if size > len(rest) {
			return nil, errHeader
		}
		last = rest[0]&128 != 0
		rest = rest[size:]
	}
	stream, err := flac.New(io.MultiReader(bytes.NewReader(head), bytes.NewReader(rest)))
	if err != nil {
		return nil, errHeader
	}
	return stream, nil
}

// decodeFLAC reads a FLAC file and holds it against the number of samples and
// the checksum in its header.
func decodeFLAC(data []byte, limits Limits) (Sound, error) {
	stream, err := flacStream(data)
	if err != nil {
		return Sound{}, err
	}
	info := stream.Info
	s := Sound{Channels: int(info.NChannels), Rate: int(info.SampleRate)}
	promised := int64(info.NSamples) * int64(s.Channels)
	if err := limits.tooLong(promised); err != nil {
		return Sound{}, err
	}
	if info.BitsPerSample > 24 {
		return Sound{}, fmt.Errorf("its FLAC samples have %d bits; up to 24 are read; convert it", info.BitsPerSample)
	}
	s.Samples = make([]float32, 0, min(promised, 4*int64(len(data)))) // more if it is nearly silent
	sum := md5.New()
	scale := 1 / float64(int64(1)<<(max(1, info.BitsPerSample)-1))
	for promised == 0 || int64(len(s.Samples)) < promised {
		f, err := stream.ParseNext()
		if err == io.EOF {
			break
		}
		if errors.Is(err, io.ErrUnexpectedEOF) {
			return Sound{}, fmt.Errorf("its FLAC data is cut short after %d samples", s.Frames())
		}
		if err != nil {
			return Sound{}, fmt.Errorf("its FLAC data is broken after %d samples", s.Frames())
		}
		switch {
		case len(f.Subframes) != s.Channels:
			return Sound{}, fmt.Errorf("its FLAC data is broken: %d channels after %d samples, where the header says %d", len(f.Subframes), s.Frames(), s.Channels)
		case f.BitsPerSample != info.BitsPerSample:
			return Sound{}, fmt.Errorf("its FLAC data is broken: %d bits a sample after %d samples, where the header says %d", f.BitsPerSample, s.Frames(), info.BitsPerSample)
		case f.SampleRate != info.SampleRate:
			return Sound{}, fmt.Errorf("its FLAC data is broken: %d Hz after %d samples, where the header says %d", f.SampleRate, s.Frames(), info.SampleRate)
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
	case promised > 0 && promised < int64(len(s.Samples)):
		return Sound{}, fmt.Errorf("its FLAC data is broken: its header promises %d samples, %d are there or more", info.NSamples, s.Frames())
	case info.MD5sum != [md5.Size]byte{} && !bytes.Equal(sum.Sum(nil), info.MD5sum[:]):
		return Sound{}, errors.New("its FLAC data is broken: the samples do not have the checksum in the header")
	}
	return s, nil
}
