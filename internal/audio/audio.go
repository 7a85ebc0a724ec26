// Package audio turns sound files into samples, and samples into log-mel
// spectrograms.
//
//	s, err := audio.Read("call.wav", audio.Limits{})
//	x := audio.Resample(s.Mono(), s.Rate, 8000)
//	mel, err := audio.NewMel(audio.DefaultMelConfig(), 8000)
//	out := mel.Spectrogram(nil, x, mel.NewScratch()) // Bands × Frames
//
// WAV, FLAC, MP3 and Ogg Vorbis are read, told apart by what is in the file and
// not by its name.
package audio

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"strings"
)

// Sound is what a file holds.
type Sound struct {
	Samples  []float32 // frames × channels, between -1 and 1
	Channels int
	Rate     int // frames a second
}

// Frames returns the number of samples of each channel.
func (s Sound) Frames() int { return len(s.Samples) / s.Channels }

// Seconds returns how long it sounds.
func (s Sound) Seconds() float64 { return float64(s.Frames()) / float64(s.Rate) }

// Mono returns the mean of the channels; of one channel the samples themselves.
func (s Sound) Mono() []float32 {
	if s.Channels == 1 {
		return s.Samples
	}
	x := make([]float32, s.Frames())
	for i := range x {
		var sum float32
		for _, v := range s.Samples[i*s.Channels:][:s.Channels] {
			sum += v
		}
		x[i] = sum / float32(s.Channels)
	}
	return x
}

// Limits bounds what a file may ask for; zero fields mean the defaults.
type Limits struct {
	Bytes   int64 // size of the file
	Samples int64 // of all channels
}

// The default limits: of samples, an hour and three quarters at 16 kHz.
const (
	MaxBytes   = 1 << 30
	MaxSamples = 100_000_000
	maxRate    = 384_000
	maxChans   = 64
)

func (l Limits) orDefault() Limits {
	if l.Bytes <= 0 {
		l.Bytes = MaxBytes
	}
	if l.Samples <= 0 {
		l.Samples = MaxSamples
	}
	return l
}

// Extensions are the file name endings of the formats read, in lower case.
var Extensions = []string{".wav", ".wave", ".flac", ".mp3", ".ogg", ".oga"}

// Read reads the sound at path. Errors begin with the path.
func Read(path string, limits Limits) (Sound, error) {
	limits = limits.orDefault()
	info, err := os.Stat(path)
	if err == nil {
		switch {
		case info.IsDir():
			err = errors.New("this is a folder")
		case !info.Mode().IsRegular():
			err = errors.New("this is not a regular file")
		case info.Size() > limits.Bytes:
			err = fmt.Errorf("the file has %d bytes; the limit is %d", info.Size(), limits.Bytes)
		}
	}
	var data []byte
	if err == nil {
		data, err = os.ReadFile(path)
	}
	var s Sound
	if err == nil {
		s, err = Decode(data, limits)
	}
	if err != nil {
		var p *fs.PathError
		if errors.As(err, &p) {
			err = p.Err
		}
		return Sound{}, fmt.Errorf("%s: %w", path, err)
	}
	return s, nil
}

// format is one kind of file.
type format struct {
	name   string
	decode func(data []byte, limits Limits) (Sound, error)
}

var (
	formatWAV  = &format{"WAV", decodeWAV}
	formatFLAC = &format{"FLAC", decodeFLAC}
	formatMP3  = &format{"MP3", decodeMP3}
	formatOgg  = &format{"Ogg Vorbis", decodeOgg}
)

// Decode reads a sound from the bytes of a file.
func Decode(data []byte, limits Limits) (s Sound, err error) {
	limits = limits.orDefault()
	f, err := sniff(data)
	if err != nil {
		return Sound{}, err
	}
	defer func() { // the libraries index into what files say
		if r := recover(); r != nil {
			s, err = Sound{}, fmt.Errorf("its %s data is broken (%v)", f.name, r)
		}
	}()
	if s, err = f.decode(data, limits); err != nil {
		return Sound{}, err
	}
	switch {
	case s.Channels < 1 || s.Channels > maxChans:
		return Sound{}, fmt.Errorf("it says that it has %d channels; from 1 to %d are read", s.Channels, maxChans)
	case s.Rate < 1 || s.Rate > maxRate:
		return Sound{}, fmt.Errorf("it says that it has %d samples a second; from 1 to %d are read", s.Rate, maxRate)
	case len(s.Samples) == 0:
		return Sound{}, fmt.Errorf("this %s file has a header, but holds no samples", f.name)
	}
	return s, s.checkRange()
}

// checkRange makes sure that samples lie between -1 and 1. Lossy formats and
// floating point go a little further, which is clipped.
func (s Sound) checkRange() error {
	for i, v := range s.Samples {
		if v >= -1 && v <= 1 {
			continue
		}
		switch a := math.Abs(float64(v)); {
		case math.IsNaN(a) || math.IsInf(a, 0):
			return fmt.Errorf("sample %d is %v", i/s.Channels, v)
		case a > 4:
			return fmt.Errorf("sample %d is %v: samples in floating point must lie between -1 and 1; scale them", i/s.Channels, v)
		}
		s.Samples[i] = max(-1, min(1, v))
	}
	return nil
}

// tooLong says that a file holds more samples than the limit, or nil.
func (l Limits) tooLong(samples int64) error {
	if samples > l.Samples {
		return fmt.Errorf("it holds %d samples or more; the limit is %d", samples, l.Samples)
	}
	return nil
}

// sniff tells the format from the first bytes of a file.
func sniff(data []byte) (*format, error) {
	has := func(at int, magic string) bool {
		return len(data) >= at+len(magic) && string(data[at:at+len(magic)]) == magic
	}
	start := strings.ToLower(string(bytes.TrimSpace(data[:min(len(data), 64)])))
	what := "not a sound file"
	switch {
	case has(0, "RIFF") && has(8, "WAVE"):
		return formatWAV, nil
	case has(0, "fLaC"):
		return formatFLAC, nil
	case has(0, "OggS"):
		head := data[:min(len(data), 128)]
		switch {
		case bytes.Contains(head, []byte("\x01vorbis")):
			return formatOgg, nil
		case bytes.Contains(head, []byte("OpusHead")):
			what = "Opus in an Ogg file"
		default:
			what = "an Ogg file, but not of Vorbis"
		}
	case has(0, "ID3"): // a tag, before MP3 and at times before FLAC
		if len(data) > 10 {
			size := 10 + int(data[6]&127)<<21 + int(data[7]&127)<<14 + int(data[8]&127)<<7 + int(data[9]&127)
			if has(size, "fLaC") {
				return formatFLAC, nil
			}
		}
		return formatMP3, nil
	case len(data) > 3 && data[0] == 0xff && data[1]&0xe0 == 0xe0 && data[1]&6 == 2: // layer III
		return formatMP3, nil
	case len(data) == 0:
		return nil, errors.New("the file is empty")
	case has(0, "RF64"), has(0, "RIFX"), has(0, "riff"):
		what = "a wave file of a kind (RF64, RIFX or W64) that is not read"
	case has(0, "FORM"):
		what = "an AIFF sound"
	case has(4, "ftyp"):
		what = "an MPEG-4 file (M4A, AAC or a video)"
	case has(0, "caff"):
		what = "a CAF sound"
	case has(0, "\x30\x26\xb2\x75"):
		what = "a WMA sound"
	case has(0, ".snd"):
		what = "an AU sound"
	case strings.HasPrefix(start, "<!doctype html"), strings.HasPrefix(start, "<html"):
		what = "a web page, not a sound"
	case len(data) < 12 || len(bytes.Trim(data[:min(len(data), 4096)], "\x00")) == 0:
		what = "not a sound file (too short, or nothing but zeros)"
	}
	return nil, errors.New(what + "; WAV, FLAC, MP3 and Ogg Vorbis are read")
}
