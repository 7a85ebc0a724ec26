// Package mp3 decodes MPEG sound of layer III, which is MP3, of versions 1, 2 and
// 2.5 (rates from 8 to 48 kHz).
//
//	f, err := mp3.Find(data)      // the frames, told from tags and junk
//	x := f.Decode()           // f.Samples() × f.Channels
//
// It is written here because github.com/hajimehoshi/go-mp3, which is no longer kept,
// loses the last byte of padded frames of version 2, so that speech at 22,050 Hz and
// 32 kbit/s comes out as noise, and takes memory as tags say.
//
// The format: ISO/IEC 11172-3 and 13818-3.
package mp3

import (
	"bytes"
	"errors"
	"fmt"
)

// Stream is the frames of a file.
type Stream struct {
	Channels int // 2 if any frame has two
	Rate     int

	// What its header promises and what is there, of the first recording that has
	// fewer frames than its Xing, Info or VBRI header says; else both are 0.
	Promised, Have int
	Cut            bool // it ends within a frame, which is left out
	Gaps           int  // places where frames are missing or broken; Decode finds more

	frames   [][]byte
	perFrame int          // samples of a channel
	resumed  map[int]bool // frames that come behind a gap
}

// header is the first four bytes of a frame.
type header [4]byte

func (h header) valid() bool {
	return h[0] == 0xff && h[1]&0xe0 == 0xe0 && h[1]>>3&3 != 1 && h[1]>>1&3 == 1 && // a version, layer III
		h[2]>>4 != 15 && h[2]>>2&3 != 3
}

// like reports whether frames of h and g may be of one stream.
func (h header) like(g header) bool { return (h[1]^g[1])&0xfe == 0 && (h[2]^g[2])&0x0c == 0 }

func (h header) v1() bool   { return h[1]>>3&3 == 3 }
func (h header) mono() bool { return h[3]>>6 == 3 }
func (h header) free() bool { return h[2]>>4 == 0 }

// side returns the bytes of the side information.
func (h header) side() int {
	switch {
	case h.v1() && !h.mono():
		return 32
	case h.v1() || !h.mono():
		return 17
	}
	return 9
}

// mode returns which kinds of joint stereo are on.
func (h header) mode() (ms, intensity bool) {
	joint := h[3]>>6 == 1
	return joint && h[3]&0x20 != 0, joint && h[3]&0x10 != 0
}

// rateIndex is 0 to 2 of version 1, 3 to 5 of version 2 and 6 to 8 of version 2.5.
func (h header) rateIndex() int {
	return int(h[2]>>2&3) + [4]int{6, 0, 3, 0}[h[1]>>3&3]
}

var rates = [9]int{44100, 48000, 32000, 22050, 24000, 16000, 11025, 12000, 8000}

// kbits are the bit rates of version 1, and of the others.
var kbits = [2][15]int{
	{0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320},
	{0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160},
}

// size returns the bytes of the frame.
func (h header) size() int {
	k, slots := kbits[1], 72
	if h.v1() {
		k, slots = kbits[0], 144
	}
	return slots*1000*k[h[2]>>4]/rates[h.rateIndex()] + int(h[2]>>1&1)
}

// Find returns the frames in data. What is before them or between them is passed
// over, and counted if it is no tag; a last frame that is cut short is left out.
func Find(data []byte) (*Stream, error) {
	s := &Stream{resumed: map[int]bool{}}
	var first header
	var of recording
	begin, end, framed := 0, 0, 0 // where the first frame begins and the last ends; bytes of all
	// head returns the header at a place, if there is one.
	head := func(at int) (h header, ok bool) {
		if at+4 > len(data) {
			return h, false
		}
		h = header(data[at:])
		return h, h.valid()
	}
	for at := 0; ; {
		if at == end {
			at += tagSize(data[at:])
		}
		next := bytes.IndexByte(data[at:], 0xff)
		if next < 0 {
			break
		}
		at += next
		h, ok := head(at)
		if !ok || len(s.frames) > 0 && h.free() {
			at++
			continue
		}
		size := h.size()
		if h.free() {
			return nil, errors.New("its bit rate is free, which is not read")
		}
		after, sure := head(at + size)
		sure = sure && after.like(h)
		switch {
		case len(s.frames) == 0 && (sure || at+size == len(data)):
			first = h
		case len(s.frames) > 0 && sure && !h.like(first):
			return nil, fmt.Errorf("its rate changes from %d to %d samples a second after %d frames", s.Rate, rates[h.rateIndex()], len(s.frames))
		case len(s.frames) == 0 || !h.like(first):
			at++ // it only looks like one
			continue
		}
		if at+size > len(data) {
			s.Cut = at == end
			break
		}
		if len(s.frames) == 0 {
			begin = at
		} else if isGap(data[end:at]) {
			s.Gaps++
			s.resumed[len(s.frames)] = true
		}
		of.add(s, data[at:at+size])
		end, framed = at+size, framed+size
		s.Rate = rates[first.rateIndex()]
		s.frames = append(s.frames, data[at:at+size])
		if h.mono() {
			s.Channels = max(s.Channels, 1)
		} else {
			s.Channels = 2
		}
		at += size
	}
	if len(s.frames) == 0 {
		return nil, errors.New("there is no whole frame in it")
	}
	of.end(s)
	if !s.Cut && isGap(data[end:]) {
		s.Gaps++
	}
	if framed < (end-begin)/2 {
		return nil, fmt.Errorf("of %d bytes only %d are whole frames", end-begin, framed)
	}
	s.perFrame = 576
	if first.v1() {
		s.perFrame = 1152
	}
	return s, nil
}

// Frames returns how many frames there are.
func (s *Stream) Frames() int { return len(s.frames) }

// Samples returns how many samples Decode returns of each channel.
func (s *Stream) Samples() int { return len(s.frames) * s.perFrame }

// Decode returns the samples of the channels in turn, of mono frames among stereo
// ones the same twice. A frame that cannot be decoded is silence, and one of a gap
// unless a recording begins there, as the first frames of a part of a file.
func (s *Stream) Decode() []float32 {
	out := make([]float32, s.Samples()*s.Channels)
	d := new(decoder)
	begun, bad := false, -gapFrames // whether a frame was whole; the last that was not, or that came behind a gap
	for i, f := range s.frames {
		whole := d.frame(out[i*s.perFrame*s.Channels:][:s.perFrame*s.Channels], f, s.Channels)
		if s.resumed[i] {
			bad = i
		}
		switch _, tag := promise(f); {
		case tag:
			begun = false
		case whole:
			begun = true
		case begun:
			if i-bad >= gapFrames {
				s.Gaps++
			}
			bad = i
		}
	}
	return out
}
