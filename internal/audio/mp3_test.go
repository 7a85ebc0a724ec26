package audio

import (
	"encoding/binary"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"vicreg/internal/check"
)

// Against ffmpeg's own decoder: testdata/decoded.py. All three versions, padded
// frames, joint stereo, and short blocks.
func TestMP3Golden(t *testing.T) {
	g := check.Golden(t, "testdata/decoded.safetensors")
	for _, c := range []struct {
		name           string
		channels, rate int
	}{{"low.mp3", 1, 22050}, {"joint.mp3", 2, 32000}, {"eight.mp3", 1, 8000}} {
		s, err := Decode(file(t, c.name), Limits{})
		if err != nil || s.Channels != c.channels || s.Rate != c.rate {
			t.Fatalf("%s: %d channels, rate %d, %v", c.name, s.Channels, s.Rate, err)
		}
		check.Close(t, c.name, s.Samples, g.F32(c.name), 1e-5)
	}
}

// Tags and junk are passed over; what cannot be one recording is refused.
func TestMP3Files(t *testing.T) {
	low, eight, joint := file(t, "low.mp3"), file(t, "eight.mp3"), file(t, "joint.mp3")
	whole, err := Decode(low, Limits{})
	if err != nil {
		t.Fatal(err)
	}
	id3 := []byte("ID3\x04\x00\x00\x00\x00\x00\x06tagged")
	for _, c := range []struct {
		name   string
		data   []byte
		frames int // of whole, 0: an error
		want   string
	}{
		{"tags", slices.Concat(id3, id3, low, []byte("TAG"), make([]byte, 125)), whole.Frames(), ""},
		{"a tag and zeros", slices.Concat(id3, make([]byte, 5000), low), whole.Frames(), ""},
		{"junk first", slices.Concat([]byte("the end of a frame \xff\xfb, cut"), low), whole.Frames(), ""},
		{"junk within", slices.Concat(low[:105], []byte("\xff\xfb junk \xff\xff"), low[105:]), 0, ""},
		{"a cut frame", low[:len(low)-1], whole.Frames() - 576, ""},
		{"another rate", slices.Concat(low, eight), 0, "its rate changes from 22050 to 8000 samples a second"},
		{"mostly junk", slices.Concat(low, make([]byte, 2000), low), 0, "of 3254 bytes only 1254 are whole frames"},
		{"one frame's half", joint[:100], 0, "no whole frame"},
		{"a tag and junk", slices.Concat(id3, slices.Repeat([]byte("no sound \xff\xfb"), 100_000)), 0, "not a sound file"},
		{"a free bit rate", slices.Concat([]byte{0xff, 0xfb, 0, 0}, make([]byte, 500)), 0, "its bit rate is free"},
	} {
		check.Bounded(t, 16, time.Second, func() {
			s, err := Decode(c.data, Limits{})
			switch {
			case c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)):
				t.Errorf("%s: error %v, want %q", c.name, err, c.want)
			case c.want == "" && err != nil:
				t.Errorf("%s: %v", c.name, err)
			case c.frames > 0 && !slices.Equal(s.Samples, whole.Samples[:c.frames]):
				t.Errorf("%s: %d samples, want %d", c.name, s.Frames(), c.frames)
			}
		})
	}
}

// A file is held against the number of frames in its header; where it has none, what
// is missing is counted. noise.mp3 is of lame 3.100, 22 frames of 144 bytes of which
// most have data in those before them.
func TestMP3Whole(t *testing.T) {
	const n, size = 22, 144
	all := file(t, "noise.mp3")
	if len(all) != n*size {
		t.Fatalf("%d bytes", len(all))
	}
	cut := func(from, to int) []byte { return all[from*size : to*size] }
	head := func(magic string, frames uint32) []byte {
		f := make([]byte, size)
		copy(f, all[:4])
		if magic == "VBRI" {
			copy(f[36:], magic)
			binary.BigEndian.PutUint32(f[36+14:], frames)
			return f
		}
		copy(f[4+17:], magic+"\x00\x00\x00\x01")
		binary.BigEndian.PutUint32(f[4+17+8:], frames)
		return f
	}
	id3 := append([]byte("ID3\x04\x00\x00\x00\x00\x02\x00"), slices.Repeat(all[:4], 64)...)
	for _, c := range []struct {
		name  string
		parts [][]byte
		gaps  int
		cut   bool
		want  string
	}{
		{"no header", [][]byte{all}, 0, false, ""},
		{"Xing", [][]byte{head("Xing", n), all}, 0, false, ""},
		{"its own frame counted", [][]byte{head("Info", n+1), all}, 0, false, ""},
		{"VBRI", [][]byte{head("VBRI", n), all}, 0, false, ""},
		{"number not known", [][]byte{head("Xing", 0), cut(0, 9)}, 0, false, ""},
		{"number never filled in", [][]byte{head("Xing", math.MaxUint32), cut(0, 9)}, 0, false, ""},
		{"cut short", [][]byte{head("Xing", n), cut(0, n-2)}, 0, false, fmt.Sprintf("cut short: its header promises %d frames of MP3, %d are there", n, n-2)},
		{"VBRI, cut short", [][]byte{head("VBRI", n), cut(0, n-2)}, 0, false, "cut short"},
		{"a middle that is missing", [][]byte{head("Info", n), cut(0, 10), cut(15, n)}, 0, false, "cut short"},
		{"cut within a frame", [][]byte{all[:len(all)-9]}, 0, true, ""},
		{"joined", [][]byte{head("Xing", n), all, id3, head("Xing", n), all}, 0, false, ""},
		{"joined, the first cut short", [][]byte{head("Xing", n), cut(0, 9), head("Xing", n), all}, 0, false, "cut short"},
		{"joined, the second cut short", [][]byte{all, []byte("TAG"), make([]byte, 125), id3, head("Xing", n), cut(0, 9)}, 0, false, "cut short"},
		{"zeros within", [][]byte{cut(0, 10), make([]byte, 500), cut(10, n)}, 0, false, ""},
		{"junk within", [][]byte{cut(0, 10), []byte("some other bytes"), cut(10, n)}, 1, false, ""},
		{"junk twice", [][]byte{cut(0, 10), []byte("some other bytes"), cut(10, 20), []byte("some other bytes"), cut(20, n)}, 2, false, ""},
		{"junk behind", [][]byte{all, []byte("some other bytes")}, 1, false, ""},
		{"a tag behind", [][]byte{all, []byte("APETAGEX and what is in it")}, 0, false, ""},
		{"a middle that is missing, no header", [][]byte{cut(0, 7), cut(14, n)}, 1, false, ""},
		{"a middle that is missing, within frames", [][]byte{all[:1000], all[2000:]}, 1, false, ""},
		{"a part", [][]byte{cut(5, n)}, 0, false, ""},
		{"a part with a header", [][]byte{head("Info", n-5), cut(5, n)}, 0, false, ""},
	} {
		s, err := Decode(slices.Concat(c.parts...), Limits{})
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error %v, want %q", c.name, err, c.want)
		}
		if s.Gaps != c.gaps || s.Cut != c.cut {
			t.Errorf("%s: %d gaps, cut %v", c.name, s.Gaps, s.Cut)
		}
	}
}
