package audio

import (
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
