package audio

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
)

// The container is read here because no library reads all of it: go-audio/wav and
// youpy/go-wav read neither extensible headers nor floating point properly; beep reads
// no floating point and at most two channels; and x/image/riff refuses files that were
// written to a pipe, whose lengths are unknown.

// Format tags, of the fmt chunk or the start of an extensible one's GUID
// (Microsoft, "Multiple channel audio data and WAVE files", 2001).
const (
	wavePCM        = 1
	waveFloat      = 3
	waveExtensible = 0xfffe
)

var waveTags = map[uint16]string{
	2: "ADPCM", 6: "A-law", 7: "µ-law", 0x11: "ADPCM", 0x31: "GSM", 0x50: "MPEG audio", 0x55: "MP3", 0x161: "WMA",
}

// waveFormat is a fmt chunk.
type waveFormat struct {
	tag      uint16
	channels int
	rate     int
	bytes    int // of a sample of one channel
}

// unknown reports whether a size is one that programs write when they cannot go back and
// fill it in, as on a pipe. It is close to 2³¹ (sox 0x7ffff000, or the whole frames in
// that; arecord 0x80000000; lame and oggdec 0x7fffffff) or a little below 2³² (ffmpeg
// 0xffffffff, others that less their header).
func unknown(size int64) bool {
	const slack = 1 << 16
	return size >= 1<<31-slack && size <= 1<<31+slack ||
		size >= 1<<32-slack && size <= math.MaxUint32 || size >= 1<<62 // the last of RF64
}

// nextWAV returns where in b a wave file begins, -1 if none does.
func nextWAV(b []byte) int {
	for at := 0; ; {
		i := bytes.Index(b[at:], []byte("WAVE"))
		if i < 0 {
			return -1
		}
		if at += i; at >= 8 && isWAV(b[at-8:at+4]) {
			return at - 8
		}
		at += 4
	}
}

// behind returns how many bytes after the samples are not chunks, a tag or zeros. More
// samples are an error. If odd, a byte should follow the samples, which some programs
// leave out.
func behind(b []byte, odd bool) (unread int, err error) {
	padded := b
	if odd && len(b) > 0 {
		padded = b[1:]
	}
	for _, b := range [][]byte{padded, b} {
		if ok, more := walk(b); more {
			return 0, errors.New("it has its samples in several data chunks, which is not read; convert it")
		} else if ok {
			return 0, nil
		}
	}
	if isTag(padded) || isTag(b) || len(bytes.Trim(b, "\x00")) == 0 {
		return 0, nil
	}
	return len(b), nil
}

// isTag reports whether b begins as a tag that players write behind sounds.
func isTag(b []byte) bool {
	for _, magic := range []string{"ID3", "TAG", "APETAGEX", "LYRICSBEGIN"} {
		if bytes.HasPrefix(b, []byte(magic)) {
			return true
		}
	}
	return false
}

// walk reports whether b is nothing or chunks, and whether there are samples among
// them.
func walk(b []byte) (ok, samples bool) {
	for len(b) > 1 {
		if len(b) < 8 {
			return false, samples
		}
		for _, c := range b[:4] {
			if c < ' ' || c > '~' {
				return false, samples
			}
		}
		size := int64(binary.LittleEndian.Uint32(b[4:]))
		samples = samples || string(b[:4]) == "data" && size > 0
		if b = b[8:]; size > int64(len(b)) {
			return false, samples
		}
		b = b[min(size+size%2, int64(len(b))):]
	}
	return true, samples
}

// decodeWAV reads a wave file. Samples of unknown size go on to the end of the file,
// whatever comes after them; sox and ffmpeg do the same.
func decodeWAV(data []byte, limits Limits) (Sound, error) {
	le := binary.LittleEndian
	kind := "WAV"
	if id := string(data[:4]); id != "RIFF" {
		kind = id + " wave"
	}
	wide := int64(-1) // bytes of samples, as an RF64 file has it
	var f *waveFormat
	for at := 12; at+8 <= len(data); {
		id, size := string(data[at:at+4]), int64(le.Uint32(data[at+4:]))
		body := data[at+8:]
		whole := size <= int64(len(body))
		if whole {
			body = body[:size]
		}
		switch id {
		case "ds64": // the sizes of RF64 and BW64, in 64 bits; those in 32 are all ones
			if !whole || size < 16 {
				return Sound{}, errors.New("the file is cut short within its header")
			}
			wide = int64(le.Uint64(body[8:]) & math.MaxInt64)
		case "fmt ":
			if !whole {
				return Sound{}, errors.New("the file is cut short within its header")
			}
			var err error
			if f, err = parseFormat(body); err != nil {
				return Sound{}, err
			}
		case "data":
			if f == nil {
				return Sound{}, errors.New("its samples come before the fmt chunk that would describe them")
			}
			if size == math.MaxUint32 && wide >= 0 {
				size = wide
			}
			rest := data[at+8:]
			if next := nextWAV(rest); next >= 0 {
				return Sound{}, fmt.Errorf("another WAV file begins within it, at byte %d; split it", at+8+next)
			}
			unread := 0
			switch ok, more := walk(rest); {
			case size == 0 && ok && more:
				at += 8
				continue
			case size == 0 && ok:
				body = nil
			case size == 0, size > int64(len(rest)) && unknown(size): // never filled in
				body = rest
			case size <= int64(len(rest)):
				body = rest[:size]
				var err error
				if unread, err = behind(rest[size:], size%2 == 1); err != nil {
					return Sound{}, err
				}
			default:
				return Sound{}, fmt.Errorf("the file is cut short: its header promises %d bytes of samples, %d are there", size, len(rest))
			}
			s, err := f.samples(body, limits)
			s.Unread = unread
			return s, err
		}
		if !whole {
			break
		}
		at += 8 + int(size+size%2)
	}
	if f == nil {
		return Sound{}, fmt.Errorf("this %s file has no fmt chunk, or is cut short before it", kind)
	}
	return Sound{}, fmt.Errorf("this %s file has a header, but holds no samples (no data chunk)", kind)
}

func parseFormat(b []byte) (*waveFormat, error) {
	if len(b) < 16 {
		return nil, fmt.Errorf("its fmt chunk has %d bytes; 16 are the least", len(b))
	}
	le := binary.LittleEndian
	f := &waveFormat{tag: le.Uint16(b), channels: int(le.Uint16(b[2:])), rate: int(le.Uint32(b[4:]))}
	align, bits := int(le.Uint16(b[12:])), int(le.Uint16(b[14:]))
	if f.tag == waveExtensible {
		// KSDATAFORMAT_SUBTYPE: a tag, then 14 bytes that all of them share
		if len(b) < 40 || string(b[26:40]) != "\x00\x00\x00\x00\x10\x00\x80\x00\x00\xaa\x00\x38\x9b\x71" {
			return nil, errors.New("its samples are of an unknown extensible format; convert the file to PCM")
		}
		f.tag = le.Uint16(b[24:])
	}
	if f.channels < 1 || f.channels > maxChans {
		return nil, fmt.Errorf("it says that it has %d channels; from 1 to %d are read", f.channels, maxChans)
	}
	f.bytes = align / f.channels // samples of 12 or 20 bits stand in the upper bits
	switch {
	case f.tag != wavePCM && f.tag != waveFloat:
		name := waveTags[f.tag]
		if name == "" {
			name = fmt.Sprintf("format %d", f.tag)
		}
		return nil, fmt.Errorf("this WAV file is compressed (%s); convert it to PCM", name)
	case align != f.channels*f.bytes || bits < 1 || f.bytes != (bits+7)/8,
		f.tag == wavePCM && f.bytes > 4, f.tag == waveFloat && f.bytes != 4 && f.bytes != 8:
		return nil, fmt.Errorf("its header is wrong or not supported: %d bits a sample, %d channels, %d bytes a frame", bits, f.channels, align)
	}
	return f, nil
}

// samples converts frames, the last of them left out if it is not whole.
func (f *waveFormat) samples(b []byte, limits Limits) (Sound, error) {
	frame := f.bytes * f.channels
	n := len(b) / frame * f.channels
	if err := limits.tooLong(int64(n)); err != nil {
		return Sound{}, err
	}
	le := binary.LittleEndian
	s := Sound{Samples: make([]float32, n), Channels: f.channels, Rate: f.rate}
	x := s.Samples
	switch {
	case f.tag == waveFloat && f.bytes == 4:
		for i := range x {
			x[i] = math.Float32frombits(le.Uint32(b[4*i:]))
		}
	case f.tag == waveFloat:
		for i := range x {
			v := math.Float64frombits(le.Uint64(b[8*i:]))
			if x[i] = float32(v); math.IsInf(float64(x[i]), 0) && !math.IsInf(v, 0) {
				return Sound{}, tooLoud(i/f.channels, v)
			}
		}
	case f.bytes == 1: // unsigned
		for i := range x {
			x[i] = float32(int(b[i])-128) / (1 << 7)
		}
	case f.bytes == 2:
		for i := range x {
			x[i] = float32(int16(le.Uint16(b[2*i:]))) / (1 << 15)
		}
	case f.bytes == 3:
		for i := range x {
			v := int32(uint32(b[3*i])<<8 | uint32(b[3*i+1])<<16 | uint32(b[3*i+2])<<24)
			x[i] = float32(v>>8) / (1 << 23)
		}
	default:
		for i := range x {
			x[i] = float32(float64(int32(le.Uint32(b[4*i:]))) / (1 << 31))
		}
	}
	return s, nil
}
