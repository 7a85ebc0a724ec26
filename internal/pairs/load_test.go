package pairs

import (
	"fmt"
	"hash/crc32"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"vicreg/internal/augment"
	"vicreg/internal/batch"
)

// mixed writes n rows with a side of every type, and scans them.
func mixed(t testing.TB, n int) (*Source, string) {
	dir := t.TempDir()
	csv := "photo,wav,s,v,x,y,caption\n"
	for i := range n {
		writePNG(t, filepath.Join(dir, fmt.Sprintf("%d.png", i)), 12, 10+i%3, rgb(i))
		writeWAV(t, filepath.Join(dir, fmt.Sprintf("%d.wav", i)), 8000, tone(700+30*i, 8000, 200+50*float64(i), 0.4))
		writeArray(t, filepath.Join(dir, fmt.Sprintf("s%d.npy", i)), 10+i%4, 2,
			func(a, b int) float32 { return float32(a*i%7 + b) })
		writeArray(t, filepath.Join(dir, fmt.Sprintf("v%d.npy", i)), 1, 5,
			func(a, b int) float32 { return float32(i % (b + 2)) })
		x := fmt.Sprint(i % 5)
		if i%6 == 1 {
			x = ""
		}
		csv += fmt.Sprintf("%d.png,%[1]d.wav,s%[1]d.npy,v%[1]d.npy,%s,%d,caption number %[1]d\n", i, x, i*i%11)
	}
	write(t, dir, map[string]string{"all.csv": csv})
	s, _ := open(t, filepath.Join(dir, "all.csv"), "image=photo", "waveform=wav", "spectrogram=wav", "series=s", "embedding=v", "numeric=x,y", "text=caption")
	return s, dir
}

// read returns one line for each batch: its epoch and step, items, and a
// checksum of every view.
func read(t testing.TB, l *batch.Loader) []string {
	t.Helper()
	defer l.Close()
	var out []string
	for {
		b, err := l.Next()
		if err == io.EOF {
			return out
		}
		if err != nil {
			t.Fatal(err)
		}
		line := fmt.Sprintf("%d/%d %v", b.Epoch, b.Step, b.Items)
		for _, v := range b.Views {
			sum := crc32.NewIEEE()
			for _, x := range v.Data {
				if math.IsNaN(float64(x)) || math.IsInf(float64(x), 0) {
					t.Fatalf("%v in a view of shape %v", x, v.Shape)
				}
				bits := math.Float32bits(x)
				sum.Write([]byte{byte(bits), byte(bits >> 8), byte(bits >> 16), byte(bits >> 24)})
			}
			line += fmt.Sprintf(" %08x", sum.Sum32())
		}
		out = append(out, line)
	}
}

// The same batches come for any number of goroutines, any cache, and when the
// loader starts in the middle.
func TestTrainReproducible(t *testing.T) {
	s, dir := mixed(t, 23)
	released := augment.Released()
	c := Config{Order: batch.Order{Seed: 7, Epochs: 3}, Batch: 5, Images: slices.Repeat(released[:1], 7), Workers: 1}
	train := func(s *Source, c Config) []string {
		l, err := s.Train(c)
		if err != nil {
			t.Fatal(err)
		}
		return read(t, l)
	}
	want := train(s, c)
	if len(want) != 3*4 {
		t.Fatalf("%d batches", len(want))
	}
	for k, first := range strings.Fields(want[0])[6:] {
		for _, line := range want[1:] {
			if strings.Fields(line)[6+k] == first {
				t.Errorf("%s: two batches are the same", s.Sides()[k].Type)
			}
		}
	}
	for workers := 1; workers <= 3; workers++ {
		for _, cache := range []int64{0, -1, 20 << 10} {
			d, _, err := Open(filepath.Join(dir, "all.csv"), s.Sides(), Options{})
			if err != nil {
				t.Fatal(err)
			}
			again := NewSource(d, s.Sides(), cache) // as a resumed run: without a scan
			c := c
			c.Workers = workers
			if got := train(again, c); !slices.Equal(got, want) {
				t.Errorf("%d workers, cache %d:\n%s\nwant\n%s", workers, cache, strings.Join(got, "\n"), strings.Join(want, "\n"))
			}
			c.Epoch, c.Step = 1, 2
			if got := train(again, c); !slices.Equal(got, want[6:]) {
				t.Errorf("from epoch 1 step 2, %d workers: %s", workers, strings.Join(got, "\n"))
			}
		}
	}
	c.Batch = 24
	if _, err := s.Train(c); err == nil || !strings.Contains(err.Error(), "a batch of 24 rows is larger than the data set (all: 23 rows)") {
		t.Error(err)
	}
}

// A row that turns bad is replaced by the next, both sides of it.
func TestTurnsBad(t *testing.T) {
	s, dir := mixed(t, 20)
	os.Remove(filepath.Join(dir, "s4.npy"))
	d, _, err := Open(filepath.Join(dir, "all.csv"), s.Sides(), Options{})
	if err != nil {
		t.Fatal(err)
	}
	released := augment.Released()
	l, err := NewSource(d, s.Sides(), 0).Train(Config{Order: batch.Order{Epochs: 1}, Batch: 20,
		Images: slices.Repeat(released[:1], 7)})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	b, err := l.Next()
	if err != nil {
		t.Fatal(err)
	}
	count := make([]int, 20)
	for _, i := range b.Items {
		count[i]++
	}
	if count[4] != 0 || count[5] != 2 {
		t.Errorf("%v", count)
	}
	bad := l.Bad()
	if len(bad) != 1 || bad[0].Name != "all.csv: row 6" ||
		!strings.HasPrefix(bad[0].Err.Error(), "all.csv: row 6: s: ") || !strings.HasSuffix(bad[0].Err.Error(), "s4.npy: there is no such file") {
		t.Errorf("%v", bad)
	}
}

func TestViewSettings(t *testing.T) {
	s := sides(t, "waveform=wav")[0]
	s.Text = &augment.Text{}
	if err := s.Check(); err == nil || err.Error() != "waveform: text holds settings of views of text; leave it out" {
		t.Error(err)
	}
	s.Text, s.Waveform = nil, &augment.Waveform{Shift: 2}
	if err := s.Check(); err == nil || !strings.HasPrefix(err.Error(), "waveform: waveform.shift is 2: it must lie between 0 and 1") {
		t.Error(err)
	}
}

// A matrix that the memory does not hold is told before it is read.
func TestMatrixMemory(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, map[string]string{"p.csv": "text\na\nb\nc\n"})
	path := filepath.Join(dir, "e.npy")
	header := "{'descr': '|u1', 'fortran_order': False, 'shape': (3, 1000000), }"
	b := append([]byte("\x93NUMPY\x01\x00"), byte(len(header)), 0)
	if err := os.WriteFile(path, append(b, header...), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(path, int64(len(b)+len(header)+3_000_000)); err != nil {
		t.Fatal(err)
	}
	t.Setenv("VICREG_MEMORY", "10MB")
	_, _, err := Open(filepath.Join(dir, "p.csv"), sides(t, "text=text", "embedding=e.npy"), Options{})
	if err == nil || !strings.Contains(err.Error(), "e.npy: its 3 × 1000000 numbers take 12 MB, but VICREG_MEMORY allows 10 MB") {
		t.Errorf("error %v", err)
	}
}
