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
	"io"
	"io/fs"
	"math"
	"os"
	"strings"

	"vicreg/internal/mp3"
)

// Sound is what a file holds.
type Sound struct {
	Samples  []float32 // frames × channels, between -1 and 1
	Channels int
	Rate     int // frames a second

	Peak   float32 // how far its samples went beyond full scale, from which all are scaled down; 0: nowhere
	Gaps   int     // places where frames of an MP3 or pages of an Ogg file are missing or broken
	Cut    bool    // it is an MP3 that ends within a frame, which is left out
	Unread int     // bytes behind the samples of a WAV that are no chunk
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

	packed int64 // bytes of compressed sound, which bound the samples too; 0: they do not
}

// The default limits: of samples, an hour and three quarters at 16 kHz.
const (
	MaxBytes   = 1 << 30
	MaxSamples = 100_000_000
	maxRate    = 384_000
	maxChans   = 64
)

// What compressed sound may unpack to, so that a small file cannot fill the memory: some
// samples whatever its size (nine minutes at 16 kHz), and for each byte more than any
// encoder makes of a sound that is not silent most of the time.
const (
	unpackFree    = 1 << 23
	unpackPerByte = 100
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
	if err == nil {
		err = look(path)
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

// look returns an error if the file at path does not begin like any that can be read, so
// that a film is refused before all of it is in memory.
func look(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	head := make([]byte, 1<<16)
	n, err := io.ReadFull(f, head)
	if err != io.EOF && err != io.ErrUnexpectedEOF && err != nil {
		return err
	}
	if head = head[:n]; bytes.HasPrefix(head, []byte("ID3")) {
		return nil // what a tag is before may lie further on
	}
	_, err = sniff(head)
	return err
}

// format is one kind of file.
type format struct {
	name   string
	lossy  bool
	decode func(data []byte, limits Limits) (Sound, error)
}

var (
	formatWAV  = &format{"WAV", false, decodeWAV}
	formatFLAC = &format{"FLAC", false, decodeFLAC}
	formatMP3  = &format{"MP3", true, decodeMP3}
	formatOgg  = &format{"Ogg Vorbis", true, decodeOgg}
)

// Decode reads a sound from the bytes of a file.
func Decode(data []byte, limits Limits) (s Sound, err error) {
	limits = limits.orDefault()
	data, err = stripTags(data)
	if err != nil {
		return Sound{}, err
	}
	f, err := sniff(data)
	if err != nil {
		return Sound{}, err
	}
	if f != formatWAV {
		limits.packed = int64(len(data))
	}
	defer func() { // the library of FLAC indexes into what files say
		if r := recover(); r != nil {
			s, err = Sound{}, fmt.Errorf("its %s data is broken, and breaks its decoder", f.name)
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
	if err := s.fit(f.lossy); err != nil {
		return Sound{}, err
	}
	return s, nil
}

// How far samples may go beyond 1. Lossy formats overshoot a little; that is clipped, as
// players do. Other sounds are scaled down, but if they go far beyond, they are whole
// numbers or broken.
const (
	overshoot = 1.2
	maxPeak   = 4
)

// fit makes samples lie between -1 and 1.
func (s *Sound) fit(lossy bool) error {
	peak, where := float32(0), 0
	for i, v := range s.Samples {
		if v != v || math.IsInf(float64(v), 0) {
			return fmt.Errorf("sample %d is %v", i/s.Channels, v)
		}
		if v = max(v, -v); v > peak {
			peak, where = v, i
		}
	}
	switch {
	case peak <= 1:
	case peak > maxPeak && lossy:
		return fmt.Errorf("sample %d is %v where full scale is 1: its data is broken, or much too loud", where/s.Channels, s.Samples[where])
	case peak > maxPeak:
		return tooLoud(where/s.Channels, float64(s.Samples[where]))
	case lossy && peak <= overshoot:
		for i, v := range s.Samples {
			s.Samples[i] = max(-1, min(1, v))
		}
	default:
		for i, v := range s.Samples {
			s.Samples[i] = v / peak
		}
		s.Peak = peak
	}
	return nil
}

// tooLoud says that a sample is far beyond full scale.
func tooLoud(i int, v float64) error {
	return fmt.Errorf("sample %d is %g: samples in floating point must lie between -1 and 1; scale them", i, v)
}

// tooLong says that a file holds more samples than the limit, or nil.
func (l Limits) tooLong(samples int64) error {
	if samples > l.Samples {
		return fmt.Errorf("it holds %d samples or more; the limit is %d", samples, l.Samples)
	}
	if l.packed > 0 && samples > unpackFree+unpackPerByte*l.packed {
		return fmt.Errorf("its %d bytes unpack to %d samples or more, which only silence or a broken file does", l.packed, samples)
	}
	return nil
}

// stripTags returns what is between ID3 tags: one or several of version 2 before the
// sound, and one of version 1 after it.
func stripTags(data []byte) ([]byte, error) {
	tagged := false
	for len(data) >= 10 && string(data[:3]) == "ID3" {
		size := 10 + int(data[6]&127)<<21 + int(data[7]&127)<<14 + int(data[8]&127)<<7 + int(data[9]&127)
		if data[5]&0x10 != 0 {
			size += 10 // a footer
		}
		if size > len(data) {
			return nil, fmt.Errorf("the file is cut short: its ID3 tag says that it has %d bytes, %d are there", size, len(data))
		}
		data, tagged = data[size:], true
	}
	if n := len(data) - 128; n >= 0 && string(data[n:n+3]) == "TAG" && !isWAV(data) {
		data, tagged = data[:n], true
	}
	if tagged && len(bytes.Trim(data, "\x00")) == 0 {
		return nil, errors.New("it holds an ID3 tag, as MP3 files do, but no sound")
	}
	return data, nil
}

func isWAV(data []byte) bool {
	if len(data) < 12 || string(data[8:12]) != "WAVE" {
		return false
	}
	id := string(data[:4])
	return id == "RIFF" || id == "RF64" || id == "BW64"
}

// sniff tells the format from the first bytes of a file.
func sniff(data []byte) (*format, error) {
	has := func(at int, magic string) bool {
		return len(data) >= at+len(magic) && string(data[at:at+len(magic)]) == magic
	}
	start := strings.ToLower(string(bytes.TrimSpace(data[:min(len(data), 64)])))
	what := "not a sound file"
	switch {
	case isWAV(data):
		return formatWAV, nil
	case has(0, "fLaC"):
		return formatFLAC, nil
	case has(0, "OggS"):
		what = "an Ogg file, but not of Vorbis"
		for _, k := range oggKinds { // Vorbis first, whatever is beside it
			if bytes.Contains(data[:min(len(data), 1024)], []byte(k.magic)) {
				if k.name == "Vorbis" {
					return formatOgg, nil
				}
				what = k.name + " in an Ogg file"
				break
			}
		}
	case len(data) > 3 && data[0] == 0xff && data[1]&0xe0 == 0xe0 && data[1]&6 == 2: // layer III
		return formatMP3, nil
	case len(data) > 3 && data[0] == 0xff && data[1]&0xf6 == 0xf0: // ADTS
		what = "an AAC sound"
	case len(data) > 3 && data[0] == 0xff && data[1]&0xe0 == 0xe0 && data[1]&6 != 0 &&
		data[1] != 0xfe: // that is text in UTF-16
		what = "an MPEG sound of layer I or II (MP1, MP2)"
	case len(data) == 0:
		return nil, errors.New("the file is empty")
	case has(0, "RIFX"), has(0, "riff"):
		what = "a wave file of a kind (RIFX or W64) that is not read"
	case has(0, "RIFF"):
		what = "a RIFF file, but no wave file (a film, or cut short)"
	case has(0, "\x1aE\xdf\xa3"):
		what = "a Matroska or WebM file"
	case has(0, "wvpk"):
		what = "a WavPack sound"
	case has(0, "#!AMR"):
		what = "an AMR sound"
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
	if strings.HasPrefix(what, "not a sound file") { // junk before its frames, or what fills a tag's room
		if m, err := mp3.Find(data[:min(len(data), 1<<16)]); err == nil && m.Frames() > 2 {
			return formatMP3, nil
		}
	}
	return nil, errors.New(what + "; WAV, FLAC, MP3 and Ogg Vorbis are read")
}
