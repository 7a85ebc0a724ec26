package audio

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mewkiz/flac"
	"github.com/mewkiz/flac/frame"
	"github.com/mewkiz/flac/meta"

	"vicreg/internal/check"
)

// chunk returns a RIFF chunk.
func chunk(id string, body []byte) []byte {
	b := binary.LittleEndian.AppendUint32([]byte(id), uint32(len(body)))
	b = append(b, body...)
	if len(body)%2 == 1 {
		b = append(b, 0)
	}
	return b
}

// wave returns a WAV file.
func wave(format, data []byte, before ...[]byte) []byte {
	b := append([]byte("WAVE"), chunk("fmt ", format)...)
	for _, c := range before {
		b = append(b, c...)
	}
	return chunk("RIFF", append(b, chunk("data", data)...))
}

// fmtChunk returns the body of a fmt chunk, extensible if guid is set.
func fmtChunk(tag, channels, rate, bits int, extensible bool) []byte {
	le := binary.LittleEndian
	width := (bits + 7) / 8
	top := tag
	if extensible {
		top = waveExtensible
	}
	b := le.AppendUint16(nil, uint16(top))
	b = le.AppendUint16(b, uint16(channels))
	b = le.AppendUint32(b, uint32(rate))
	b = le.AppendUint32(b, uint32(rate*channels*width))
	b = le.AppendUint16(b, uint16(channels*width))
	b = le.AppendUint16(b, uint16(bits))
	if extensible {
		b = le.AppendUint16(b, 22)
		b = le.AppendUint16(b, uint16(bits))
		b = le.AppendUint32(b, 0)
		b = le.AppendUint16(b, uint16(tag))
		b = append(b, "\x00\x00\x00\x00\x10\x00\x80\x00\x00\xaa\x00\x38\x9b\x71"...)
	}
	return b
}

// encode writes samples as a WAV of some bits stores them.
func encode(x []float64, bits int, float bool) []byte {
	le := binary.LittleEndian
	var b []byte
	for _, v := range x {
		switch {
		case float && bits == 32:
			b = le.AppendUint32(b, math.Float32bits(float32(v)))
		case float:
			b = le.AppendUint64(b, math.Float64bits(v))
		case bits == 8:
			b = append(b, byte(int(v*128)+128))
		case bits <= 16:
			b = le.AppendUint16(b, uint16(int16(v*(1<<15))))
		case bits <= 24:
			u := uint32(int32(v * (1 << 23)))
			b = append(b, byte(u), byte(u>>8), byte(u>>16))
		default:
			b = le.AppendUint32(b, uint32(int32(v*(1<<31))))
		}
	}
	return b
}

func TestWAV(t *testing.T) {
	x := []float64{0, 0.5, -0.25, -1, 0.75, 0.125} // exact in 8 bits
	for _, c := range []struct {
		bits  int
		float bool
	}{{8, false}, {12, false}, {16, false}, {20, false}, {24, false}, {32, false}, {32, true}, {64, true}} {
		for _, channels := range []int{1, 2, 3} {
			for _, extensible := range []bool{false, true} {
				tag := wavePCM
				if c.float {
					tag = waveFloat
				}
				file := wave(fmtChunk(tag, channels, 8000, c.bits, extensible), encode(x, c.bits, c.float),
					chunk("LIST", []byte("odd")))
				s, err := Decode(file, Limits{})
				if err != nil {
					t.Fatalf("%+v, %d channels: %v", c, channels, err)
				}
				if s.Channels != channels || s.Rate != 8000 || s.Frames() != 6/channels ||
					s.Seconds() != float64(6/channels)/8000 {
					t.Errorf("%+v: %d channels, rate %d, %d frames", c, s.Channels, s.Rate, s.Frames())
				}
				for i, v := range s.Samples {
					if float64(v) != x[i] {
						t.Errorf("%+v: sample %d is %v, want %v", c, i, v, x[i])
					}
				}
				mono := s.Mono()
				if want := (x[3] + x[4] + x[5]) / 3; channels == 3 && math.Abs(float64(mono[1])-want) > 1e-7 {
					t.Errorf("the mean of three channels is %v, want %v", mono[1], want)
				}
			}
		}
	}
}

// Floating point beyond full scale is scaled down to it, all channels alike.
func TestScale(t *testing.T) {
	for _, c := range []struct {
		x    []float64
		want []float32
		peak float32
	}{
		{[]float64{1, -1, 0.5, 0}, []float32{1, -1, 0.5, 0}, 0},
		{[]float64{1.5, -2, 0.5, 0}, []float32{0.75, -1, 0.25, 0}, 2},
		{[]float64{0.5, 4, -4, -1}, []float32{0.125, 1, -1, -0.25}, 4},
		{[]float64{0.125, -1.25, 0, 0}, []float32{0.1, -1, 0, 0}, 1.25},
	} {
		for _, bits := range []int{32, 64} {
			s, err := Decode(wave(fmtChunk(waveFloat, 2, 8000, bits, false), encode(c.x, bits, true)), Limits{})
			if err != nil || !slices.Equal(s.Samples, c.want) || s.Peak != c.peak {
				t.Errorf("%v: %v, peak %v, %v", c.x, s.Samples, s.Peak, err)
			}
		}
	}
}

// Far beyond full scale are whole numbers, or what was never scaled.
func TestTooLoud(t *testing.T) {
	for _, v := range []float64{4.5, -32768, 1e300, -1e300} {
		_, err := Decode(wave(fmtChunk(waveFloat, 1, 8000, 64, false), encode([]float64{0.5, v}, 64, true)), Limits{})
		if want := fmt.Sprintf("sample 1 is %g: samples in floating point must lie between -1 and 1", v); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want %q", err, want)
		}
	}
}

// What lossy formats overshoot a little is clipped, more is scaled.
func TestOvershoot(t *testing.T) {
	for _, c := range []struct {
		x, want []float32
		peak    float32
		err     string
	}{
		{[]float32{0.5, -1.2, 1.1}, []float32{0.5, -1, 1}, 0, ""},
		{[]float32{0.5, -1.25, 1}, []float32{0.4, -1, 0.8}, 1.25, ""},
		{[]float32{0.5, 5}, nil, 0, "sample 1 is 5 where full scale is 1"},
		{[]float32{float32(math.NaN())}, nil, 0, "sample 0 is NaN"},
	} {
		s := Sound{Samples: c.x, Channels: 1}
		err := s.fit(true)
		if c.err != "" {
			if err == nil || !strings.Contains(err.Error(), c.err) {
				t.Errorf("error %v, want %q", err, c.err)
			}
			continue
		}
		if err != nil || !slices.Equal(s.Samples, c.want) || s.Peak != c.peak {
			t.Errorf("%v, peak %v, %v, want %v", s.Samples, s.Peak, err, c.want)
		}
	}
}

func TestErrors(t *testing.T) {
	pcm := fmtChunk(wavePCM, 1, 8000, 16, false)
	good := wave(pcm, make([]byte, 100))
	float := func(v float64) []byte {
		return wave(fmtChunk(waveFloat, 1, 8000, 32, false), encode([]float64{0, v}, 32, true))
	}
	badGUID := fmtChunk(wavePCM, 1, 8000, 16, true)
	badGUID[30]++
	mulaw, wrongAlign, noRate := fmtChunk(7, 1, 8000, 8, false), bytes.Clone(pcm), fmtChunk(wavePCM, 1, 0, 16, false)
	wrongAlign[12] = 3
	ogg, err := os.ReadFile("testdata/tone.ogg")
	if err != nil {
		t.Fatal(err)
	}
	flacFile := encodeFLAC(t, make([][]int32, 1), 16, 0)
	for _, c := range []struct {
		name string
		data []byte
		want string
	}{
		{"empty.wav", nil, "the file is empty"},
		{"zeros.wav", make([]byte, 2000), "nothing but zeros"},
		{"page.mp3", []byte("<!DOCTYPE html><html>not found"), "a web page, not a sound"},
		{"text.txt", []byte("these are some words"), "not a sound file; WAV, FLAC, MP3 and Ogg Vorbis are read"},
		{"a.m4a", []byte("\x00\x00\x00\x20ftypM4A more"), "an MPEG-4 file"},
		{"a.avi", []byte("RIFF\x00\x00\x00\x20AVI more"), "a RIFF file, but no wave file"},
		{"a.webm", []byte("\x1aE\xdf\xa3 and more of it"), "a Matroska or WebM file"},
		{"a.aiff", []byte("FORM\x00\x00\x00\x20AIFFmore"), "an AIFF sound"},
		{"a.opus", append([]byte("OggS"), "........................OpusHead"...), "Opus in an Ogg file"},
		{"rf64.wav", []byte("RF64\xff\xff\xff\xffWAVEmore"), "RF64"},
		{"id3.mp3", []byte("ID3\x04\x00\x00\x7f\x7f\x7f\x7f more"), "the file is cut short: its ID3 tag says that it has 268435465 bytes, 15 are there"},
		{"tag2.mp3", append([]byte("ID3\x04\x00\x00\x00\x00\x00\x00"), make([]byte, 300)...), "it holds an ID3 tag, as MP3 files do, but no sound"},
		{"a.mp2", []byte("\xff\xfd\x84\x00\x00\x00\x00\x00\x00\x00\x00\x00"), "an MPEG sound of layer I or II"},
		{"a.aac", []byte("\xff\xf1\x50\x80\x00\x00\x00\x00\x00\x00\x00\x00"), "an AAC sound"},
		{"utf16.txt", []byte("\xff\xfet\x00e\x00x\x00t\x00s\x00"), "not a sound file; WAV"},
		{"short.wav", good[:len(good)-10], "the file is cut short: its header promises 100 bytes of samples, 90 are there"},
		{"header.wav", good[:44], "the file is cut short: its header promises 100 bytes of samples, 0 are there"},
		{"cut.wav", good[:30], "cut short within its header"},
		{"riff.wav", good[:12], "has no fmt chunk"},
		{"none.wav", chunk("RIFF", append([]byte("WAVE"), chunk("fmt ", pcm)...)), "holds no samples"},
		{"silent.wav", wave(pcm, nil), "has a header, but holds no samples"},
		{"order.wav", chunk("RIFF", append([]byte("WAVE"), chunk("data", []byte("1234"))...)), "before the fmt chunk"},
		{"tiny.wav", wave(pcm[:10], []byte("1234")), "fmt chunk has 10 bytes"},
		{"mulaw.wav", wave(mulaw, []byte("1234")), "compressed (µ-law); convert it to PCM"},
		{"odd.wav", wave(fmtChunk(99, 1, 8000, 8, false), []byte("1234")), "compressed (format 99)"},
		{"guid.wav", wave(badGUID, []byte("1234")), "unknown extensible format"},
		{"align.wav", wave(wrongAlign, []byte("1234")), "16 bits a sample, 1 channels, 3 bytes a frame"},
		{"wide.wav", wave(fmtChunk(wavePCM, 1, 8000, 40, false), make([]byte, 40)), "40 bits"},
		{"rate.wav", wave(noRate, []byte("1234")), "0 samples a second"},
		{"many.wav", wave(fmtChunk(wavePCM, 99, 8000, 16, false), make([]byte, 400)), "99 channels"},
		{"nan.wav", float(math.NaN()), "sample 1 is NaN"},
		{"loud.wav", float(3000), "must lie between -1 and 1; scale them"},
		{"long.wav", wave(pcm, make([]byte, 4000)), "the limit is 1000"},
		{"cut.ogg", ogg[:5000], "cut short: its last Ogg page"},
		{"end.ogg", ogg[:len(ogg)-1], "cut short: its last Ogg page"},
		{"headers.flac", flacFile[:20], "FLAC header is broken or cut short"},
		{"silent.flac", flacFile, "has a header, but holds no samples"},
		{"tag.mp3", append([]byte("ID3\x04\x00\x00\x00\x00\x00\x00"), make([]byte, 300)...), "MP3"},
		{"sync.mp3", []byte("\xff\xfb\x90\x64"), "MP3"},
	} {
		path := filepath.Join(t.TempDir(), c.name)
		if err := os.WriteFile(path, c.data, 0o644); err != nil {
			t.Fatal(err)
		}
		_, err := Read(path, Limits{Samples: 1000})
		if err == nil || !strings.HasPrefix(err.Error(), path+": ") || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error %v, want %q", c.name, err, c.want)
		}
		if err != nil && strings.Count(err.Error(), c.name) != 1 {
			t.Errorf("%s is named %d times: %v", c.name, strings.Count(err.Error(), c.name), err)
		}
	}
	dir := t.TempDir()
	if _, err := Read(dir, Limits{}); err == nil || err.Error() != dir+": this is a folder" {
		t.Errorf("a folder: %v", err)
	}
	if _, err := Read(os.DevNull, Limits{}); err == nil || err.Error() != os.DevNull+": this is not a regular file" {
		t.Errorf("a device: %v", err)
	}
	if _, err := Read(filepath.Join(dir, "no.wav"), Limits{}); err == nil || !strings.Contains(err.Error(), "no.wav: no such file") {
		t.Errorf("a missing file: %v", err)
	}
	path := filepath.Join(dir, "big.wav")
	if err := os.WriteFile(path, good, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := Read(path, Limits{Bytes: 100}); err == nil || !strings.Contains(err.Error(), "the limit is 100") {
		t.Errorf("a big file: %v", err)
	}
}

// What is no sound is refused by its first bytes, however many follow.
func TestReadLooksFirst(t *testing.T) {
	path := filepath.Join(t.TempDir(), "film.wav")
	if err := os.WriteFile(path, []byte("\x00\x00\x00\x20ftypisom"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(path, MaxBytes); err != nil {
		t.Fatal(err)
	}
	check.Bounded(t, 1, time.Second, func() {
		if _, err := Read(path, Limits{}); err == nil || !strings.Contains(err.Error(), "an MPEG-4 file") {
			t.Errorf("error %v", err)
		}
	})
}

// encodeFLAC returns a FLAC file of channels of samples that its header says are n.
func encodeFLAC(t testing.TB, channels [][]int32, bits, n int) []byte {
	t.Helper()
	var out bytes.Buffer
	enc, err := flac.NewEncoder(&out, &meta.StreamInfo{
		BlockSizeMin: 16, BlockSizeMax: 4096, SampleRate: 11025,
		NChannels: uint8(len(channels)), BitsPerSample: uint8(bits), NSamples: uint64(n),
	})
	if err != nil {
		t.Fatal(err)
	}
	for at := 0; at < len(channels[0]); at += 256 {
		f := &frame.Frame{Header: frame.Header{
			HasFixedBlockSize: false, SampleRate: 11025, BitsPerSample: uint8(bits), Num: uint64(at),
			Channels: frame.Channels(len(channels) - 1),
		}}
		for _, x := range channels {
			part := x[at:min(at+256, len(x))]
			f.BlockSize = uint16(len(part))
			f.Subframes = append(f.Subframes, &frame.Subframe{
				SubHeader: frame.SubHeader{Pred: frame.PredVerbatim}, Samples: append([]int32(nil), part...),
				NSamples: len(part),
			})
		}
		if err := enc.WriteFrame(f); err != nil {
			t.Fatal(err)
		}
	}
	if err := enc.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func TestFLAC(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	for _, bits := range []int{8, 16, 24} {
		channels := make([][]int32, 2)
		for c := range channels {
			for i := range 700 {
				v := 0.8*math.Sin(float64(i)/20) + 0.1*r.Float64()
				channels[c] = append(channels[c], int32(v*float64(int(1)<<(bits-1))))
			}
		}
		file := encodeFLAC(t, channels, bits, 700)
		s, err := Decode(file, Limits{})
		if err != nil {
			t.Fatal(err)
		}
		if s.Channels != 2 || s.Rate != 11025 || s.Frames() != 700 {
			t.Fatalf("%d channels, rate %d, %d frames", s.Channels, s.Rate, s.Frames())
		}
		for i, v := range s.Samples {
			if want := float64(channels[i%2][i/2]) / float64(int(1)<<(bits-1)); float64(v) != want {
				t.Fatalf("%d bits: sample %d is %v, want %v", bits, i, v, want)
			}
		}
		if _, err := Decode(file[:len(file)/2], Limits{}); err == nil || !strings.Contains(err.Error(), "cut short") {
			t.Errorf("half a file: %v", err)
		}
		broken := bytes.Clone(file)
		broken[26]++ // the checksum in the header
		if _, err := Decode(broken, Limits{}); err == nil || !strings.Contains(err.Error(), "checksum") {
			t.Errorf("another checksum: %v", err)
		}
	}
}

// The values are those of the library's own reference decoder's output.
func TestOgg(t *testing.T) {
	s, err := Read("testdata/tone.ogg", Limits{})
	if err != nil {
		t.Fatal(err)
	}
	if s.Channels != 1 || s.Rate != 44100 || s.Frames() != 44100 {
		t.Fatalf("%d channels, rate %d, %d frames", s.Channels, s.Rate, s.Frames())
	}
	for at, want := range map[int]float64{0: 0.005767822, 1000: 0.730163574, 10000: 0.114440918, 20000: -0.126525879,
		30000: 0, 44000: 0.168914795} {
		if got := float64(s.Samples[at]); math.Abs(got-want) > 5e-5 {
			t.Errorf("sample %d is %v, want %v", at, got, want)
		}
	}
}

// Thirty frames of 576 samples of mono MPEG-2, 22,050 a second.
func TestMP3(t *testing.T) {
	s, err := Read("testdata/speech.mp3", Limits{})
	if err != nil {
		t.Fatal(err)
	}
	if s.Channels != 1 || s.Rate != 22050 || s.Frames() != 30*576 {
		t.Fatalf("%d channels, rate %d, %d frames", s.Channels, s.Rate, s.Frames())
	}
	power := 0.0
	for _, v := range s.Samples {
		power += float64(v) * float64(v)
	}
	if rms := math.Sqrt(power / float64(len(s.Samples))); rms < 1e-3 || rms > 0.5 {
		t.Errorf("the root mean square of speech is %v", rms)
	}
}

// A sine comes out as the sine that would have been sampled at the other rate.
func TestResampleSine(t *testing.T) {
	for _, c := range []struct{ from, to int }{{8000, 16000}, {16000, 8000}, {44100, 16000}, {22050, 8000},
		{8000, 11025}, {48000, 44100}} {
		nyquist := float64(min(c.from, c.to)) / 2
		for _, share := range []float64{0.01, 0.3, 0.88} {
			hz := share * nyquist
			x := make([]float32, c.from/2)
			for i := range x {
				x[i] = float32(math.Sin(2 * math.Pi * hz * float64(i) / float64(c.from)))
			}
			y := Resample(x, c.from, c.to)
			if want := (len(x)*c.to + c.from - 1) / c.from; len(y) != want {
				t.Fatalf("%v: %d samples, want %d", c, len(y), want)
			}
			edge := len(y) / 8 // the filter sees the silence beyond the ends
			worst := 0.0
			for j := edge; j < len(y)-edge; j++ {
				worst = max(worst, math.Abs(float64(y[j])-math.Sin(2*math.Pi*hz*float64(j)/float64(c.to))))
			}
			if worst > 1e-4 {
				t.Errorf("%d → %d, %.0f Hz: off by %.2g", c.from, c.to, hz, worst)
			}
		}
		if c.to > c.from {
			continue
		}
		// What the new rate cannot hold is gone.
		x := make([]float32, c.from/2)
		for i := range x {
			x[i] = float32(math.Sin(2 * math.Pi * 1.02 * nyquist * float64(i) / float64(c.from)))
		}
		y := Resample(x, c.from, c.to)
		for _, v := range y[len(y)/8 : len(y)*7/8] {
			if math.Abs(float64(v)) > 1e-4 {
				t.Errorf("%d → %d: a tone above the limit comes through at %v", c.from, c.to, v)
				break
			}
		}
	}
}

func TestResample(t *testing.T) {
	x := check.Random(1, 100)
	if y := Resample(x, 8000, 8000); &y[0] != &x[0] {
		t.Error("the same rate makes a copy")
	}
	if y := NewResampler(8000, 8000).Do(nil, x); len(y) != 100 || y[7] != x[7] {
		t.Error("the same rate changes samples")
	}
	for i := range x {
		x[i] = 0.25
	}
	r := NewResampler(44100, 8000)
	if y := r.Do(nil, make([]float32, 3)); len(y) != 1 || y[0] != 0 {
		t.Errorf("three silent samples become %v", y)
	}
	if len(r.Do(nil, nil)) != 0 {
		t.Error("nothing becomes something")
	}
	long := make([]float32, 44100)
	for i := range long {
		long[i] = 0.25
	}
	y := r.Do(nil, long)
	for _, v := range y[200 : len(y)-200] {
		if math.Abs(float64(v)-0.25) > 1e-6 {
			t.Fatalf("a constant 0.25 becomes %v", v)
		}
	}
	if n := testing.AllocsPerRun(5, func() { r.Do(y, long) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
