package audio

import (
	"bytes"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mewkiz/flac"
	"github.com/mewkiz/flac/frame"
	"github.com/mewkiz/flac/meta"

	"vicreg/internal/check"
)

// constantFLAC returns a file of frames of 65,535 samples that are all the same.
func constantFLAC(t testing.TB, frames int) []byte {
	t.Helper()
	var out bytes.Buffer
	enc, err := flac.NewEncoder(&out, &meta.StreamInfo{BlockSizeMin: 16, BlockSizeMax: 65535, SampleRate: 16000,
		NChannels: 1, BitsPerSample: 16})
	if err != nil {
		t.Fatal(err)
	}
	samples := make([]int32, 65535)
	for i := range frames {
		f := &frame.Frame{Header: frame.Header{BlockSize: 65535, SampleRate: 16000, BitsPerSample: 16,
			Num: uint64(i) * 65535}}
		f.Subframes = []*frame.Subframe{{SubHeader: frame.SubHeader{Pred: frame.PredConstant}, Samples: samples,
			NSamples: len(samples)}}
		if err := enc.WriteFrame(f); err != nil {
			t.Fatal(err)
		}
	}
	return out.Bytes()
}

// Tags, pictures and what follows the last sample are passed over; what the header
// says is held against what is there, and takes no memory by itself.
func TestFLACHeader(t *testing.T) {
	x := [][]int32{{1 << 14, -1 << 14, 1 << 13, 0, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16}}
	good := encodeFLAC(t, x, 16, 16)
	const info = 8 + 34
	frames := good[info:]
	head := bytes.Clone(good[:info])
	head[4] = 0 // not the last block
	picture := append([]byte{6 | 128, 0, 0, 9}, "a picture"...)
	promise := func(samples byte) []byte {
		b := bytes.Clone(good)
		b[25] = samples // the lowest byte of the number of samples
		return b
	}
	for _, c := range []struct {
		name string
		data []byte
		want string
	}{
		{"plain", good, ""},
		{"a picture", slices.Concat(head, picture, frames), ""},
		{"an ID3 tag", slices.Concat([]byte("ID3\x04\x00\x00\x00\x00\x00\x05 tags"), good), ""},
		{"bytes behind it", slices.Concat(good, make([]byte, 100)), ""},
		{"a tag behind it", slices.Concat(good, []byte("TAG"), make([]byte, 125)), ""},
		{"a picture of 16 MB", slices.Concat(head, []byte{6 | 128, 255, 255, 255}, frames), "FLAC header is broken or cut short"},
		{"no end of blocks", slices.Concat(head, []byte{6, 0, 0, 0}), "FLAC header is broken or cut short"},
		{"another first block", slices.Concat([]byte("fLaC"), picture, good[4:]), "FLAC header is broken or cut short"},
		{"more promised", promise(17), "cut short: its header promises 17 samples, 16 are there"},
		{"less promised", promise(15), "its header promises 15 samples, 16 are there or more"},
		{"32 bits", slices.Concat(good[:20], []byte{good[20] | 1, 0xf0 | good[21]}, good[22:]), "FLAC samples have 32 bits; up to 24 are read"},
		{"another rate", slices.Concat(good[:18], []byte{good[18] ^ 1}, good[19:]), "Hz after 0 samples, where the header says"},
		{"nothing but silence", constantFLAC(t, 200), "which only silence or a broken file does"},
		{"a promise of 2³⁶ samples", slices.Concat(good[:21], []byte{good[21] | 15, 255, 255, 255, 255}, good[26:]), "the limit is"},
	} {
		check.Bounded(t, 300, 3*time.Second, func() {
			s, err := Decode(c.data, Limits{})
			if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
				t.Errorf("%s: error %v, want %q", c.name, err, c.want)
			}
			if err == nil && (s.Frames() != 16 || s.Samples[0] != 0.5) {
				t.Errorf("%s: %v", c.name, s.Samples)
			}
		})
	}
}

// What a frame does not say of itself is in the header: rates and numbers of bits
// that have no code. The files are of flac 1.4.2.
func TestFLACCodes(t *testing.T) {
	for _, c := range []struct {
		name                 string
		bits, channels, rate int
	}{{"odd13.flac", 13, 1, 88211}, {"odd5.flac", 5, 2, 96001}} {
		data := file(t, c.name)
		s, err := Decode(data, Limits{})
		if err != nil || s.Channels != c.channels || s.Rate != c.rate || s.Frames() != 20 {
			t.Fatalf("%s: %d channels at %d Hz, %d samples, %v", c.name, s.Channels, s.Rate, s.Frames(), err)
		}
		full := 1 << (c.bits - 1)
		for i, v := range s.Samples {
			n := (i/c.channels*7+3*(i%c.channels))%full - full/2
			if want := float32(n) / float32(full); v != want {
				t.Errorf("%s: sample %d is %v, want %v", c.name, i, v, want)
			}
		}
		data[len(data)-1]++
		if _, err := Decode(data, Limits{}); err == nil || !strings.Contains(err.Error(), "broken") {
			t.Errorf("%s, another checksum: %v", c.name, err)
		}
	}
}

// Files behind one another are read if they are alike; frames that a header does not
// count are not dropped.
func TestFLACChain(t *testing.T) {
	x := make([]int32, 300)
	for i := range x {
		x[i] = int32(i)
	}
	const info = 8 + 34
	known, open := encodeFLAC(t, [][]int32{x}, 16, 300), encodeFLAC(t, [][]int32{x}, 16, 300)
	clear(open[22:26]) // how long it is
	clear(open[26:info])
	tag := append([]byte("TAG"), make([]byte, 125)...)
	id3 := []byte("ID3\x04\x00\x00\x00\x00\x00\x04tags")
	for _, c := range []struct {
		name  string
		parts [][]byte
		files int // 0: an error
		want  string
	}{
		{"one", [][]byte{known}, 1, ""},
		{"two", [][]byte{known, known}, 2, ""},
		{"two of unknown length", [][]byte{open, open}, 2, ""},
		{"tags and zeros between", [][]byte{known, tag, id3, make([]byte, 9), open, tag, id3, known}, 3, ""},
		{"a tag behind an unknown length", [][]byte{open, id3}, 1, ""},
		{"other bits", [][]byte{known, encodeFLAC(t, [][]int32{make([]int32, 300)}, 24, 300)}, 2, ""},
		{"other channels", [][]byte{known, encodeFLAC(t, [][]int32{x, x}, 16, 300)}, 0, "recordings that differ: 1 channels at 11025 Hz, then 2 at 11025"},
		{"another rate", [][]byte{known, file(t, "odd13.flac")}, 0, "1 channels at 11025 Hz, then 1 at 88211 Hz; split it"},
		{"the second cut short", [][]byte{known, known[:len(known)-2]}, 0, "cut short after 556 samples"},
		{"the first cut short", [][]byte{known[:info], known}, 0, "broken after 0 samples"},
		{"frames that are not counted", [][]byte{known, known[info:]}, 0, "more frames come behind the 300 samples that it should have"},
		{"junk, then frames", [][]byte{known, []byte("TAG or junk"), known[info:], known}, 0, "more frames come behind the 300"},
		{"junk behind an unknown length", [][]byte{open, []byte("junk"), open}, 0, "broken after 300 samples"},
		{"frames that do not follow", [][]byte{open, open[info:]}, 0, "frames are missing after 300 samples"},
		{"too many", slices.Repeat([][]byte{known[:26], {0}, make([]byte, 15), known[info:]}, 1001), 0, "more than 1000 recordings"},
	} {
		check.Bounded(t, 64, 2*time.Second, func() {
			s, err := Decode(slices.Concat(c.parts...), Limits{})
			if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
				t.Errorf("%s: error %v, want %q", c.name, err, c.want)
			}
			if err == nil && (s.Frames() != c.files*300 || s.Samples[299] != 299./(1<<15)) {
				t.Errorf("%s: %d samples", c.name, s.Frames())
			}
		})
	}
}
