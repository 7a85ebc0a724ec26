package pairs

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// writeWAV writes 16-bit samples of one channel.
func writeWAV(t testing.TB, path string, rate int, samples []float64) {
	t.Helper()
	var b bytes.Buffer
	b.WriteString("RIFF")
	for _, v := range []any{uint32(36 + 2*len(samples)), []byte("WAVEfmt "), uint32(16), uint16(1), uint16(1),
		uint32(rate), uint32(2 * rate), uint16(2), uint16(16),
		[]byte("data"), uint32(2 * len(samples))} {
		binary.Write(&b, binary.LittleEndian, v)
	}
	for _, v := range samples {
		binary.Write(&b, binary.LittleEndian, int16(math.Round(v*32767)))
	}
	if err := os.WriteFile(path, b.Bytes(), 0o666); err != nil {
		t.Fatal(err)
	}
}

// tone returns n samples of a sine.
func tone(n, rate int, hz, loud float64) []float64 {
	x := make([]float64, n)
	for i := range x {
		x[i] = loud * math.Sin(2*math.Pi*hz*float64(i)/float64(rate))
	}
	return x
}

// calls writes 20 sounds of growing length at 8 kHz, and their manifest; the one
// of index 3 has another rate, 5 is silent, 6 cut short.
func calls(t testing.TB) string {
	dir := t.TempDir()
	csv := "wav,who\n"
	for i := range 20 {
		name := fmt.Sprintf("%d.wav", i)
		path := filepath.Join(dir, name)
		csv += fmt.Sprintf("%s,w%d\n", name, i%2)
		rate := 8000
		if i == 3 {
			rate = 16000
		}
		n := rate / 100 * (10 + i) // 0.1 s and 10 ms more each
		x := tone(n, rate, 300+100*float64(i), 0.5)
		if i == 5 {
			clear(x)
		}
		writeWAV(t, path, rate, x)
		if i == 6 {
			raw, _ := os.ReadFile(path)
			os.WriteFile(path, raw[:30], 0o666)
		}
	}
	write(t, dir, map[string]string{"calls.csv": csv})
	return filepath.Join(dir, "calls.csv")
}

func TestAudio(t *testing.T) {
	path := calls(t)
	s, r := open(t, path, "waveform=wav", "spectrogram=wav")
	a, b := s.Sides()[0], s.Sides()[1]
	// 95% of 18 sounds are 18: the longest has 0.29 s, 2320 samples, 30 frames.
	if a.Rate != 8000 || a.Length != 2368 || !slices.Equal(a.Shape(), []int{2368, 1}) || b.Rate != 8000 ||
		!slices.Equal(b.Shape(), []int{64, 32, 1}) {
		t.Errorf("%+v\n%+v", a, b)
	}
	if len(r.Bad) != 2 || !strings.HasPrefix(r.Bad[0].Err.Error(), "calls.csv: row 7: wav: ") ||
		!strings.HasSuffix(r.Bad[0].Err.Error(), "5.wav: the sound is silent") ||
		!strings.HasPrefix(r.Bad[1].Err.Error(), "calls.csv: row 8: wav: ") || !strings.Contains(r.Bad[1].Err.Error(), "6.wav: ") {
		t.Errorf("%v", r.Bad)
	}
	if want := []string{"waveform=wav: 18 of 18 are shorter than 0.3 s and are padded", "spectrogram=wav: 18 of 18 are shorter than 32 frames and are padded"}; !slices.Equal(r.Notes, want) {
		t.Errorf("%q", r.Notes)
	}
	if math.Abs(a.Mean[0]) > 0.01 || math.Abs(a.Std[0]-0.5/math.Sqrt2) > 0.01 || b.Std[0] < 1 || len(b.Mean) != 1 {
		t.Errorf("mean %v %v, std %v %v", a.Mean, b.Mean, a.Std, b.Std)
	}
	wave, mel := all(t, s, 0), all(t, s, 1)
	if len(wave) != 18 || len(mel) != 18 {
		t.Fatalf("%d and %d", len(wave), len(mel))
	}
	// The sound stands in the middle; what is around it is nothing.
	x := wave[0] // 800 samples in 2368
	if x[783] != 0 || x[784+800] != 0 ||
		math.Abs(float64(x[784+20])-0.5*math.Sin(2*math.Pi*300*20/8000)/a.Std[0]) > 0.01 {
		t.Errorf("%v", x[780:810])
	}
	// 16 kHz became 8 kHz: 0.13 s are 1040 samples.
	if m, err := s.Sample(3, 0); err != nil || len(m.Values) != 1040 ||
		math.Abs(float64(m.Values[500])-0.5*math.Sin(2*math.Pi*600*500/8000)/a.Std[0]) > 0.03 {
		t.Errorf("%d samples, %v", len(m.Values), err)
	}
	// A tone is loudest in its own band, the same in each of its frames.
	loudest := func(x []float32, frame int) int {
		best := 0
		for band := range 64 {
			if x[band*32+frame] > x[best*32+frame] {
				best = band
			}
		}
		return best
	}
	if low, high := loudest(mel[0], 16), loudest(mel[17], 16); low >= high || loudest(mel[17], 10) != high {
		t.Errorf("bands %d and %d", low, high)
	}
	if mel[0][20*32] != 0 || mel[0][20*32+31] != 0 || mel[0][20*32+16] == 0 {
		t.Errorf("%v", mel[0][20*32:21*32])
	}

	// What is fixed stays.
	list := sides(t, "waveform=wav", "spectrogram=wav")
	list[0].Length, list[0].Rate = 500, 4000
	list[1].Length, list[1].Rate = 10, 16000
	d, _, _ := Open(path, list, Options{})
	again := NewSource(d, list, 0)
	r, err := again.Scan(context.Background(), ScanOptions{})
	if err != nil || again.Sides()[0].Length != 500 || again.Sides()[0].Rate != 4000 || again.Sides()[1].Length != 10 {
		t.Errorf("%+v %v", again.Sides(), err)
	}
	if r.Notes[0] != "waveform=wav: 15 of 18 are longer than 0.13 s and are cut, 3 of 18 are shorter and are padded" {
		t.Errorf("%q", r.Notes)
	}
	if got := all(t, again, 0); math.Abs(float64(got[17][0]))+math.Abs(float64(got[17][1])) == 0 {
		t.Error("the middle of a long sound is empty")
	}
}

// A rate that the others' cannot be made of makes a bad row, whether the rate is
// open or known.
func TestAudioRates(t *testing.T) {
	for _, known := range []bool{false, true} {
		dir := t.TempDir()
		csv := "wav\n"
		for i := range 20 {
			name := fmt.Sprintf("%d.wav", i)
			csv += name + "\n"
			rate := 8000
			switch i {
			case 7:
				rate = 1
			case 9:
				rate = 44101 // odd, but sound
			}
			writeWAV(t, filepath.Join(dir, name), rate, tone(1000, 8000, 440, 0.5))
		}
		write(t, dir, map[string]string{"calls.csv": csv})
		list := sides(t, "waveform=wav", "spectrogram=wav")
		if known {
			list[0].Rate, list[1].Rate = 8000, 8000
		}
		d, _, err := Open(filepath.Join(dir, "calls.csv"), list, Options{})
		if err != nil {
			t.Fatal(err)
		}
		r, err := NewSource(d, list, 0).Scan(context.Background(), ScanOptions{})
		if err != nil {
			t.Fatal(err)
		}
		if len(r.Bad) != 1 || !strings.HasPrefix(r.Bad[0].Err.Error(), "calls.csv: row 9: wav: ") ||
			!strings.HasSuffix(r.Bad[0].Err.Error(), "7.wav: it says that its rate is 1 Hz, too low to make 8000 Hz of it (1000 or more are needed); give it its true rate, or leave it out") {
			t.Errorf("known %v: %v", known, r.Bad)
		}
		if want := "waveform=wav: 19 of 19 are shorter than 0.13 s and are padded"; r.Notes[0] != want {
			t.Errorf("known %v: %q, want %q", known, r.Notes, want)
		}
	}
}

// What was scaled, missing or left out of sounds is said once.
func TestAudioNotes(t *testing.T) {
	dir := t.TempDir()
	mp3, err := os.ReadFile("../audio/testdata/noise.mp3") // frames of 144 bytes
	if err != nil {
		t.Fatal(err)
	}
	le := binary.LittleEndian
	// float returns a file of floating point.
	float := func(x []float64) []byte {
		b := []byte("RIFF\x00\x00\x00\x00WAVEfmt \x10\x00\x00\x00\x03\x00\x01\x00\x40\x1f\x00\x00\x00\x7d\x00\x00\x04\x00\x20\x00data")
		b = le.AppendUint32(b, uint32(4*len(x)))
		for _, v := range x {
			b = le.AppendUint32(b, math.Float32bits(float32(v)))
		}
		return b
	}
	csv := "wav\n"
	for i := range 12 {
		data := float(tone(1600, 8000, 500, 1))
		switch i {
		case 1:
			data = float(tone(1600, 8000, 500, 2.5))
		case 2:
			data = float(tone(1600, 8000, 500, 1.5))
		case 3:
			data = append(data, "some other bytes"...)
		case 4:
			data = mp3[:len(mp3)-7]
		case 5:
			data = slices.Concat(mp3[:1000], mp3[1500:2000], mp3[2500:])
		case 6:
			data = mp3
		}
		name := fmt.Sprintf("%d.wav", i)
		csv += name + "\n"
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o666); err != nil {
			t.Fatal(err)
		}
	}
	write(t, dir, map[string]string{"calls.csv": csv})
	s, r := open(t, filepath.Join(dir, "calls.csv"), "waveform=wav")
	want := []string{
		"waveform=wav: 2 of 12 sounds go beyond full scale, up to 2.5 times, and are scaled down to it",
		"waveform=wav: 1 of 12 sounds have gaps, 2 in all, where frames or pages are missing or broken",
		"waveform=wav: 1 of 12 sounds are MP3s that end within a frame, as files do that are cut short; that frame is left out",
		"waveform=wav: 1 of 12 sounds are WAVs with more behind the samples that their headers tell of, 16 bytes in all, which are not read",
	}
	if len(r.Bad) > 0 || len(r.Notes) != 5 || !slices.Equal(r.Notes[1:], want) {
		t.Errorf("%v\n%s", r.Bad, strings.Join(r.Notes, "\n"))
	}
	// scaled, the loud ones are what they were recorded from
	x, err := s.Sample(0, 0)
	if err != nil {
		t.Fatal(err)
	}
	for i := 1; i < 3; i++ {
		y, err := s.Sample(i, 0)
		if err != nil {
			t.Fatal(err)
		}
		for k, v := range y.Values {
			if math.Abs(float64(v-x.Values[k])) > 1e-5 {
				t.Fatalf("%d.wav: sample %d is %v, want %v", i, k, v, x.Values[k])
			}
		}
	}
}
