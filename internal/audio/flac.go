package audio

import (
	"bytes"
	"crypto/md5"
	"errors"
	"fmt"
	"io"

	"github.com/mewkiz/flac"
	"github.com/mewkiz/flac/frame"
	"github.com/mewkiz/flac/meta"
)

// flacInfo returns what the header of a FLAC file says of its sound, and the bytes from
// its first frame on. It skips whatever else the header holds, such as pictures, and
// takes no memory for the sizes that are stated there.
func flacInfo(data []byte) (*meta.StreamInfo, []byte, error) {
	errHeader := errors.New("its FLAC header is broken or cut short")
	const info = 4 + 34 // the block of the sound's own figures, which comes first
	rest := data[4:]
	if len(rest) < info || rest[0]&127 != 0 || string(rest[1:4]) != "\x00\x00\x22" {
		return nil, nil, errHeader
	}
	head := append([]byte("fLaC\x80"), rest[1:info]...)
	for last := false; !last; {
		if len(rest) < 4 {
			return nil, nil, errHeader
		}
		size := 4 + int(rest[1])<<16 + int(rest[2])<<8 + int(rest[3])
		if size > len(rest) {
			return nil, nil, errHeader
		}
		last = rest[0]&128 != 0
		rest = rest[size:]
	}
	stream, err := flac.New(bytes.NewReader(head))
	if err != nil {
		return nil, nil, errHeader
	}
	return stream.Info, rest, nil
}

// decodeFLAC reads a FLAC file. If several follow one another and are alike, it reads
// all.
func decodeFLAC(data []byte, limits Limits) (Sound, error) {
	var s Sound
	for files := 1; ; files++ {
		rest, err := s.addFLAC(data, limits)
		if err != nil {
			return Sound{}, err
		}
		if data = nextFLAC(rest); data == nil {
			return s, nil
		}
		if files == 1000 {
			return Sound{}, errors.New("it is a chain of more than 1000 recordings")
		}
	}
}

// nextFLAC returns the rest from the next file's header on, nil if there is none.
func nextFLAC(rest []byte) []byte {
	for {
		at := bytes.Index(rest, []byte("fLaC"))
		if at < 0 {
			return nil
		}
		if rest = rest[at:]; len(rest) >= 8 && rest[4]&127 == 0 && string(rest[5:8]) == "\x00\x00\x22" {
			return rest
		}
		rest = rest[4:]
	}
}

// addFLAC adds the samples of the file that data begins with, compares them with the
// number and the checksum in its header, and returns what follows the file.
func (s *Sound) addFLAC(data []byte, limits Limits) (rest []byte, err error) {
	info, data, err := flacInfo(data)
	if err != nil {
		return nil, err
	}
	channels, rate := int(info.NChannels), int(info.SampleRate)
	if s.Channels != 0 && (s.Channels != channels || s.Rate != rate) {
		return nil, fmt.Errorf("it is a chain of recordings that differ: %d channels at %d Hz, then %d at %d Hz; split it", s.Channels, s.Rate, channels, rate)
	}
	s.Channels, s.Rate = channels, rate
	start := len(s.Samples)
	promised := int64(info.NSamples) * int64(channels) // 0: not known
	if err := limits.tooLong(int64(start) + promised); err != nil {
		return nil, err
	}
	if info.BitsPerSample > 24 {
		return nil, fmt.Errorf("its FLAC samples have %d bits; up to 24 are read; convert it", info.BitsPerSample)
	}
	if s.Samples == nil {
		s.Samples = make([]float32, 0, min(promised, 4*int64(len(data)))) // more if it is nearly silent
	}
	sum := md5.New()
	scale := 1 / float64(int64(1)<<(max(1, info.BitsPerSample)-1))
	r := bytes.NewReader(data)
	var next uint64 // number of the frame, or of its first sample; where a part of a recording begins is not known
	have := func() int64 { return int64(len(s.Samples) - start) }
	for promised == 0 || have() < promised {
		if rest = data[len(data)-r.Len():]; promised == 0 && noFrames(rest) {
			break
		}
		f, err := flacFrame(r, info, s.Frames())
		if err == io.EOF {
			return nil, fmt.Errorf("the file is cut short: its header promises %d samples, %d are there", info.NSamples, have()/int64(channels))
		}
		if err != nil {
			return nil, err
		}
		f.Hash(sum)
		n := len(f.Subframes[0].Samples)
		if promised == 0 && have() > 0 && f.Num != next {
			return nil, fmt.Errorf("its FLAC data is broken: frames are missing after %d samples", s.Frames())
		}
		next = f.Num + 1
		if !f.HasFixedBlockSize {
			next = f.Num + uint64(n)
		}
		if err := limits.tooLong(int64(len(s.Samples) + n*channels)); err != nil {
			return nil, err
		}
		for i := range n {
			for _, sub := range f.Subframes {
				s.Samples = append(s.Samples, float32(float64(sub.Samples[i])*scale))
			}
		}
	}
	rest = data[len(data)-r.Len():]
	switch {
	case promised > 0 && promised < have():
		return nil, fmt.Errorf("its FLAC data is broken: its header promises %d samples, %d are there or more", info.NSamples, have()/int64(channels))
	case moreFrames(rest, info):
		return nil, fmt.Errorf("its FLAC data is broken: more frames come behind the %d samples that it should have", have()/int64(channels))
	case info.MD5sum != [md5.Size]byte{} && !bytes.Equal(sum.Sum(nil), info.MD5sum[:]):
		return nil, errors.New("its FLAC data is broken: the samples do not have the checksum in the header")
	}
	return rest, nil
}

// flacFrame reads a frame, before which there were so many samples. If a frame does not
// state its rate or number of bits, the header's count, which the library leaves to its
// caller. The error is io.EOF if there is no frame.
func flacFrame(r io.Reader, info *meta.StreamInfo, after int) (*frame.Frame, error) {
	f, err := frame.New(r)
	if err == nil {
		if f.SampleRate == 0 {
			f.SampleRate = info.SampleRate
		}
		if f.BitsPerSample == 0 {
			f.BitsPerSample = info.BitsPerSample
		}
		switch n := f.Channels.Count(); {
		case n != int(info.NChannels):
			return nil, fmt.Errorf("its FLAC data is broken: %d channels after %d samples, where the header says %d", n, after, info.NChannels)
		case f.BitsPerSample != info.BitsPerSample:
			return nil, fmt.Errorf("its FLAC data is broken: %d bits a sample after %d samples, where the header says %d", f.BitsPerSample, after, info.BitsPerSample)
		case f.SampleRate != info.SampleRate:
			return nil, fmt.Errorf("its FLAC data is broken: %d Hz after %d samples, where the header says %d", f.SampleRate, after, info.SampleRate)
		}
		err = f.Parse()
	}
	switch {
	case err == io.EOF:
		return nil, err
	case errors.Is(err, io.ErrUnexpectedEOF):
		return nil, fmt.Errorf("its FLAC data is cut short after %d samples", after)
	case err != nil:
		return nil, fmt.Errorf("its FLAC data is broken after %d samples", after)
	}
	return f, nil
}

// noFrames reports whether a file whose length is not known has ended: the rest is
// nothing, another file, a tag or zeros.
func noFrames(rest []byte) bool {
	return bytes.HasPrefix(rest, []byte("fLaC")) || isTag(rest) || len(bytes.TrimLeft(rest, "\x00")) == 0
}

// moreFrames reports whether rest, up to another file if there is one, holds the
// beginning of a frame like those of the header.
func moreFrames(rest []byte, info *meta.StreamInfo) bool {
	if next := nextFLAC(rest); next != nil {
		rest = rest[:len(rest)-len(next)]
	}
	for {
		at := bytes.IndexByte(rest, 0xff)
		if at < 0 || at+6 > len(rest) {
			return false
		}
		if rest = rest[at:]; rest[1]&^1 == 0xf8 {
			// of a frame's first bytes 22 bits are known, and 8 are a checksum
			if f, err := frame.New(bytes.NewReader(rest[:min(len(rest), 16)])); err == nil &&
				f.Channels.Count() == int(info.NChannels) &&
				(f.BitsPerSample == 0 || f.BitsPerSample == info.BitsPerSample) &&
				(f.SampleRate == 0 || f.SampleRate == info.SampleRate) {
				return true
			}
		}
		rest = rest[1:]
	}
}
