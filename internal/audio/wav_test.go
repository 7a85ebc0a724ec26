package audio

import (
	"encoding/binary"
	"math"
	"slices"
	"strings"
	"testing"
)

// Programs that write to a pipe cannot go back to fill in sizes. The headers are
// those of sox, arecord, ffmpeg, lame and flac -d, which have left these values.
func TestWAVPipe(t *testing.T) {
	le := binary.LittleEndian
	for _, c := range []struct {
		name       string
		riff, data uint32
	}{
		{"sox", 0x7ffff024, 0x7ffff000},
		{"sox of 6 bytes a frame", 0x7ffff048, 0x7fffeffc},
		{"arecord", 0x80000024, 0x80000000},
		{"arecord, older", 0x7fffff24, 0x7fffff00},
		{"ffmpeg", math.MaxUint32, math.MaxUint32},
		{"its header counted", math.MaxUint32, 0xffffffdb},
		{"its header and tags counted", math.MaxUint32, 0xffffff00},
		{"lame --decode, oggdec", 0x80000023, 0x7fffffff},
		{"flac -d", 0, 0},
		{"Python's wave, GStreamer", 36, 0},
		{"only RIFF filled in", 0, 0},
	} {
		for _, before := range [][][]byte{nil, {chunk("LIST", []byte("INFOISFT\x02\x00\x00\x00ab"))}} {
			file := wave(fmtChunk(wavePCM, 1, 8000, 16, false), encode([]float64{0.5, 0, 0, 0.25}, 16, false),
				before...)
			at := len(file) - 12
			le.PutUint32(file[4:], c.riff)
			if c.name == "only RIFF filled in" {
				le.PutUint32(file[4:], uint32(len(file)-8))
			}
			le.PutUint32(file[at:], c.data)
			s, err := Decode(file, Limits{})
			if err != nil || !slices.Equal(s.Samples, []float32{0.5, 0, 0, 0.25}) {
				t.Errorf("%s: %v, %v", c.name, s.Samples, err)
			}
			// half a frame more is left out, as at the end of any file
			if s, err := Decode(append(file, 1), Limits{}); err != nil || len(s.Samples) != 4 {
				t.Errorf("%s, half a sample: %v, %v", c.name, s.Samples, err)
			}
		}
	}
}

// Sizes that are merely wrong are not taken for unknown ones.
func TestWAVCutShort(t *testing.T) {
	for _, size := range []uint32{9, 10, 100_000, 1 << 30, 0x7ffe0000, 0xc0000000, 0xfffe0000} {
		file := wave(fmtChunk(wavePCM, 1, 8000, 16, false), make([]byte, 8))
		binary.LittleEndian.PutUint32(file[40:], size)
		if _, err := Decode(file, Limits{}); err == nil || !strings.Contains(err.Error(), "cut short") {
			t.Errorf("size %d: error %v", size, err)
		}
	}
}

// An empty data chunk with other chunks behind it has no samples.
func TestWAVEmpty(t *testing.T) {
	pcm := fmtChunk(wavePCM, 1, 8000, 16, false)
	body := slices.Concat([]byte("WAVE"), chunk("fmt ", pcm), chunk("data", nil), chunk("LIST", []byte("INFOx")), chunk("id3 ", []byte("ID3")))
	for _, riff := range []uint32{uint32(len(body)), 0, math.MaxUint32} {
		file := chunk("RIFF", body)
		binary.LittleEndian.PutUint32(file[4:], riff)
		if s, err := Decode(file, Limits{}); err == nil || !strings.Contains(err.Error(), "holds no samples") {
			t.Errorf("%v, %v", s.Samples, err)
		}
	}
}

// RF64 and BW64 (EBU Tech 3306) say their sizes in a chunk of their own.
func TestRF64(t *testing.T) {
	le := binary.LittleEndian
	for _, id := range []string{"RF64", "BW64"} {
		for _, size := range []uint64{8, 0, math.MaxUint64, math.MaxInt64} {
			ds64 := le.AppendUint64(nil, 0)
			ds64 = le.AppendUint64(ds64, size)
			ds64 = append(ds64, make([]byte, 12)...)
			file := wave(fmtChunk(wavePCM, 2, 8000, 16, false), encode([]float64{0.5, 0.25, -0.5, -0.25}, 16, false))
			file = slices.Concat([]byte(id), file[4:12], chunk("ds64", ds64), file[12:])
			le.PutUint32(file[4:], math.MaxUint32)
			le.PutUint32(file[len(file)-12:], math.MaxUint32)
			s, err := Decode(file, Limits{})
			if err != nil || s.Channels != 2 || !slices.Equal(s.Samples, []float32{0.5, 0.25, -0.5, -0.25}) {
				t.Errorf("%s, %d: %v, %v", id, size, s.Samples, err)
			}
			if _, err := Decode(file[:len(file)-1], Limits{}); size == 8 &&
				(err == nil || !strings.Contains(err.Error(), "promises 8 bytes of samples, 7 are there")) {
				t.Errorf("%s cut short: %v", id, err)
			}
		}
	}
}

// What is behind the samples is not dropped without a word.
func TestWAVBehind(t *testing.T) {
	le := binary.LittleEndian
	one := wave(fmtChunk(wavePCM, 1, 8000, 8, false), []byte{192, 128, 64})
	plain := one[:len(one)-1] // without the byte that fills it up
	list := chunk("LIST", []byte("INFOISFT\x02\x00\x00\x00ab"))
	pipe := slices.Clone(one)
	le.PutUint32(pipe[len(pipe)-8:], math.MaxUint32)
	for _, c := range []struct {
		name   string
		parts  [][]byte
		frames int // 0: an error
		unread int
		want   string
	}{
		{"nothing", [][]byte{one}, 3, 0, ""},
		{"nothing to fill up", [][]byte{plain}, 3, 0, ""},
		{"a chunk", [][]byte{one, list}, 3, 0, ""},
		{"a chunk, and nothing to fill up", [][]byte{plain, list}, 3, 0, ""},
		{"zeros", [][]byte{one, make([]byte, 33)}, 3, 0, ""},
		{"a tag", [][]byte{one, []byte("TAG"), make([]byte, 125)}, 3, 0, ""},
		{"samples that are not counted", [][]byte{one, slices.Repeat([]byte{1, 2, 3}, 100)}, 3, 301, ""},
		{"another file", [][]byte{one, one}, 0, 0, "another WAV file begins within it, at byte 48; split it"},
		{"another file, nothing to fill up", [][]byte{plain, one}, 0, 0, "at byte 47"},
		{"another file behind chunks", [][]byte{one, list, one}, 0, 0, "at byte 70"},
		{"two of a pipe", [][]byte{pipe, pipe}, 0, 0, "at byte 48"},
		{"an RF64 behind", [][]byte{one, []byte("RF64\xff\xff\xff\xffWAVEds64")}, 0, 0, "at byte 48"},
		{"more samples", [][]byte{one, list, chunk("data", []byte{1, 2})}, 0, 0, "in several data chunks"},
		{"more samples, cut short", [][]byte{one, chunk("data", []byte{1, 2})[:9]}, 0, 0, "in several data chunks"},
		{"an empty data chunk first", [][]byte{one[:36], chunk("data", nil), one[36:]}, 3, 0, ""},
		{"no more samples", [][]byte{one, chunk("data", nil)}, 3, 0, ""},
	} {
		s, err := Decode(slices.Concat(c.parts...), Limits{})
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error %v, want %q", c.name, err, c.want)
		}
		if len(s.Samples) != c.frames || s.Unread != c.unread {
			t.Errorf("%s: %d samples, %d bytes not read", c.name, len(s.Samples), s.Unread)
		}
	}
}
