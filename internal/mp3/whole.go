package mp3

import (
	"bytes"
	"encoding/binary"
	"math"
)

const (
	gapBytes  = 4 // that may lie between frames for no reason
	gapFrames = 4 // broken ones this near to one another are of one gap
)

// recording counts the frames behind a header that says how many there are.
type recording struct{ promised, have int }

// add takes the next frame of s.
func (r *recording) add(s *Stream, frame []byte) {
	n, tag := promise(frame)
	if !tag {
		r.have++
		return
	}
	r.end(s)
	*r = recording{promised: n}
}

// end holds the recording against its header. Some count the header's own frame.
func (r *recording) end(s *Stream) {
	if r.promised > r.have+1 && s.Promised == 0 {
		s.Promised, s.Have = r.promised, r.have
	}
}

// promise reports whether a frame holds a Xing, Info or VBRI header in place of sound,
// and returns how many frames it says there are, 0 if it does not.
//
// The headers: http://gabriel.mp3-tech.org/mp3infotag.html, and "MP3 Audio Frame
// Headers" by K. Windszus.
func promise(frame []byte) (frames int, tag bool) {
	h := header(frame)
	number := func(at int) int {
		if at+4 > len(frame) {
			return 0
		}
		if n := binary.BigEndian.Uint32(frame[at:]); n < math.MaxUint32 {
			return int(n)
		}
		return 0
	}
	has := func(at int, magic string) bool { return at < len(frame) && bytes.HasPrefix(frame[at:], []byte(magic)) }
	at := 4 + h.side()
	if h[1]&1 == 0 && !has(at, "Xing") && !has(at, "Info") {
		at += 2 // behind a checksum, or as if there were none
	}
	switch {
	case has(at, "Xing"), has(at, "Info"):
		if number(at+4)&1 != 0 {
			frames = number(at + 8)
		}
		return frames, true
	case has(36, "VBRI"):
		return number(36 + 14), true
	}
	return 0, false
}

// tagSize returns the bytes of the ID3 tags that b begins with, which may hold
// pictures where frames seem to begin.
func tagSize(b []byte) int {
	size := 0
	for {
		t := b[size:]
		n := 0
		switch {
		case len(t) >= 128 && bytes.HasPrefix(t, []byte("TAG")):
			n = 128
		case len(t) >= 10 && bytes.HasPrefix(t, []byte("ID3")) && (t[6]|t[7]|t[8]|t[9])&128 == 0:
			n = 10 + int(t[6])<<21 + int(t[7])<<14 + int(t[8])<<7 + int(t[9])
			if t[5]&0x10 != 0 {
				n += 10 // a footer
			}
		}
		if n == 0 || n > len(t) {
			return size
		}
		size += n
	}
}

// isGap reports whether bytes between frames are more than a tag, zeros, or a few.
func isGap(b []byte) bool {
	b = bytes.Trim(b[tagSize(b):], "\x00")
	return len(b) > gapBytes && !bytes.HasPrefix(b, []byte("LYRICSBEGIN")) && !bytes.Contains(b, []byte("APETAGEX")) &&
		!bytes.HasPrefix(b, []byte("TAG+"))
}
