package audio

import (
	"bytes"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"vicreg/internal/check"
)

// Whatever the bytes, there is an error of one line or a sound, soon and in little
// memory, and never a panic.
func FuzzDecode(f *testing.F) {
	pcm := fmtChunk(wavePCM, 1, 8000, 16, false)
	f.Add(wave(pcm, make([]byte, 64), chunk("LIST", []byte("odd"))))
	f.Add(wave(fmtChunk(waveFloat, 2, 8000, 32, true), make([]byte, 64)))
	for _, size := range []string{"\x00\xf0\xff\x7f", "\x00\x00\x00\x80", "\xdb\xff\xff\xff", "\x00\x00\x00\x00"} {
		file := wave(pcm, []byte("12345678"))
		copy(file[40:], size)
		f.Add(file)
	}
	f.Add(slices.Concat([]byte("RF64\xff\xff\xff\xffWAVE"), chunk("ds64", make([]byte, 28)), chunk("fmt ", pcm), []byte("data\xff\xff\xff\xff12345678")))
	f.Add(wave(fmtChunk(wavePCM, 1, 1, 16, false), make([]byte, 1000)))
	f.Add([]byte("ID3\x04\x00\x00\x7f\x7f\x7f\x7f and no more than that"))
	stereo := [][]int32{make([]int32, 300), make([]int32, 300)}
	f.Add(encodeFLAC(f, stereo, 16, 300))
	f.Add(slices.Concat([]byte("ID3\x04\x00\x00\x00\x00\x00\x04tags"), encodeFLAC(f, stereo[:1], 24, 0)))
	f.Add(file(f, "odd13.flac"))
	f.Add(slices.Repeat(file(f, "odd5.flac"), 2))
	id := []byte("\x01vorbis\x00\x00\x00\x00\x01\x44\xac\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\xb8\x01")
	f.Add(vorbisFile(id, []byte("\x03vorbis\x00\x00\x00\x00\x00\x00\x00\x00\x01"), []byte("\x05vorbis\x00BCV@\x00\x00\x00\x80\x2d\x00\x00\x60\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00")))
	f.Add(vorbisFile(id, []byte("\x03vorbis\x00\x00\x00\x00\xff\xff\xff\xff\x01"), []byte("\x05vorbis\x00\x00")))
	for _, name := range []string{"stereo.ogg", "tone.ogg", "speech.mp3", "low.mp3", "joint.mp3", "eight.mp3", "noise.mp3"} {
		f.Add(file(f, name))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		if len(data) > 1<<20 {
			return
		}
		data = bytes.Clone(data)
		seal(data)
		check.Bounded(t, 64+len(data)>>12, 2*time.Second, func() {
			s, err := Decode(data, Limits{Samples: 1 << 20})
			switch {
			case err != nil && strings.ContainsFunc(err.Error(), func(r rune) bool { return r < ' ' || r == 0x7f }):
				t.Errorf("error %q", err)
			case err != nil && strings.Contains(err.Error(), "breaks its decoder") && !strings.Contains(err.Error(), "FLAC"):
				t.Error(err)
			case err == nil && (s.Frames() < 1 || s.Rate < 1 || len(s.Samples)%s.Channels != 0 ||
				len(s.Samples) > 1<<20):
				t.Errorf("%d samples, %d channels, rate %d", len(s.Samples), s.Channels, s.Rate)
			}
			for i, v := range s.Samples {
				if !(v >= -1 && v <= 1) {
					t.Fatalf("sample %d is %v", i, v)
				}
			}
			if err == nil && CanResample(s.Frames(), s.Rate, 8000) == nil && s.Frames() < 1<<14 {
				Resample(s.Mono(), s.Rate, 8000)
			}
		})
	})
}

// Whatever the rates, the length is what it says and no sample is out of bounds.
func FuzzResample(f *testing.F) {
	f.Add(uint32(1), uint32(16000), uint16(10))
	f.Add(uint32(44101), uint32(16000), uint16(1000))
	f.Add(uint32(384_000), uint32(1), uint16(1000))
	f.Add(uint32(48_000), uint32(44_100), uint16(3))
	f.Fuzz(func(t *testing.T, from, to uint32, n uint16) {
		from, to, n = from%maxRate+1, to%maxRate+1, n%4096
		x := make([]float32, n)
		for i := range x {
			x[i] = 1 - 2*float32(i%2)
		}
		if CanResample(len(x), int(from), int(to)) != nil {
			return
		}
		check.Bounded(t, 16, 2*time.Second, func() {
			y := Resample(x, int(from), int(to))
			if want := (uint64(n)*uint64(to) + uint64(from) - 1) / uint64(from); uint64(len(y)) != want {
				t.Errorf("%d samples, want %d", len(y), want)
			}
			for i, v := range y {
				if !(math.Abs(float64(v)) < 4) {
					t.Fatalf("sample %d is %v", i, v)
				}
			}
		})
	})
}
