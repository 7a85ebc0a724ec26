package batch

import (
	"bytes"
	"context"
	"errors"
	"math"
	"os"
	"slices"
	"strings"
	"testing"

	"vicreg/internal/dataset"
	"vicreg/internal/imagefile"
)

// The data set's own numbers, in float64.
func stats(d *dataset.Dataset) (mean, std [3]float64) {
	for _, item := range d.Items {
		m := item.Image.Convert(3)
		for i, v := range m.Pix {
			mean[i%3] += float64(v) / 255 / float64(m.W*m.H*len(d.Items))
			std[i%3] += float64(v) / 255 * float64(v) / 255 / float64(m.W*m.H*len(d.Items))
		}
	}
	for c := range 3 {
		std[c] = math.Sqrt(std[c] - mean[c]*mean[c])
	}
	return
}

func TestScanMeasures(t *testing.T) {
	d := noise(30, 9, 7, 3)
	d.Items = append(d.Items, noise(10, 40, 3, 1).Items...)
	mean, std := stats(d)
	var first *Report
	for workers := 1; workers <= 4; workers++ {
		s := NewSource(d, SourceOptions{})
		calls, last := 0, 0
		r, err := s.Scan(context.Background(), ScanOptions{Workers: workers, Progress: func(done, total int) {
			if done <= last || total != 40 {
				t.Errorf("progress %d of %d after %d", done, total, last)
			}
			calls, last = calls+1, done
		}})
		if err != nil {
			t.Fatal(err)
		}
		if calls == 0 || last != 40 {
			t.Errorf("%d calls of progress, the last with %d", calls, last)
		}
		if r.Images != 40 || r.Grey != 10 || r.Channels != 3 || s.channels != 3 || r.MinW != 9 || r.MaxW != 40 ||
			r.MinH != 3 || r.MaxH != 7 {
			t.Errorf("%+v", r)
		}
		for c := range 3 {
			if math.Abs(r.Mean[c]-mean[c]) > 1e-12 || math.Abs(r.Std[c]-std[c]) > 1e-12 {
				t.Errorf("mean %v std %v, want %v %v", r.Mean, r.Std, mean, std)
			}
		}
		if first == nil {
			first = r
		}
		if !slices.Equal(r.Mean, first.Mean) || !slices.Equal(r.Std, first.Std) {
			t.Errorf("%d workers measure other bits", workers)
		}
	}
	for _, c := range []struct {
		data           *dataset.Dataset
		want, channels int
	}{{noise(3, 5, 5, 1), 0, 1}, {noise(3, 5, 5, 1), 3, 3}, {noise(3, 5, 5, 3), 1, 1}} {
		s := NewSource(c.data, SourceOptions{Channels: c.want})
		r, err := s.Scan(context.Background(), ScanOptions{})
		if err != nil || r.Channels != c.channels || len(r.Mean) != c.channels || len(r.Std) != c.channels {
			t.Errorf("%+v, %v", r, err)
		}
		if m, _ := s.Image(1); m.C != c.channels {
			t.Errorf("image of %d channels", m.C)
		}
	}
	flat := noise(3, 5, 5, 1)
	for i := range flat.Items {
		flat.Items[i].Image.Pix = make([]uint8, 25)
	}
	if r, err := NewSource(flat, SourceOptions{}).Scan(context.Background(), ScanOptions{}); err != nil ||
		r.Std[0] != 1 {
		t.Errorf("black images: %+v, %v", r, err)
	}
}

// The sample measures as the literature says of Fashion-MNIST (0.286, 0.353).
func TestScanSample(t *testing.T) {
	d, _, err := dataset.Open("sample", dataset.Options{})
	if err != nil {
		t.Fatal(err)
	}
	r, err := NewSource(d, SourceOptions{}).Scan(context.Background(), ScanOptions{})
	if err != nil || r.Channels != 1 || math.Abs(r.Mean[0]-0.2868) > 0.002 || math.Abs(r.Std[0]-0.3524) > 0.002 {
		t.Errorf("%+v, %v", r, err)
	}
}

func TestScanRemovesBad(t *testing.T) {
	for _, workers := range []int{1, 3} {
		d := photos(t, 200, 0, 7, 8, 50, 51, 52, 100, 150, 198, 199)
		s := NewSource(d, SourceOptions{Cache: 60 << 10})
		r, err := s.Scan(context.Background(), ScanOptions{Workers: workers})
		if err != nil {
			t.Fatal(err)
		}
		var names []string
		for _, b := range r.Bad {
			names = append(names, b.Name)
			if !strings.Contains(b.Err.Error(), b.Name+": broken ") {
				t.Error(b.Err)
			}
		}
		if got := strings.Join(names, " "); got != "000.jpg 007.png 008.jpg 050.jpg 051.png 052.jpg 100.jpg 150.jpg 198.jpg 199.png" {
			t.Error(got)
		}
		if len(d.Items) != 190 || d.Items[0].Name != "001.png" || d.Items[6].Name != "009.png" || r.Images != 190 {
			t.Errorf("%d items left, the first %s", len(d.Items), d.Items[0].Name)
		}
		// The cache moves along.
		cached := 0
		for i := range d.Items {
			got, err := s.Image(i)
			if err != nil {
				t.Fatal(err)
			}
			if s.cache[i].Load() != nil {
				cached++
			}
			want, err := imagefile.Read(d.Items[i].Path, imagefile.Limits{})
			if err != nil || got.W != want.W || !bytes.Equal(got.Pix, want.Pix) {
				t.Fatalf("%s: other pixels", d.Items[i].Name)
			}
		}
		if cached < 20 || cached > 60 { // about 1.4 kB each in 60 KiB
			t.Errorf("%d images cached", cached)
		}
	}
}

// A tenth of the images may be bad, not one more.
func TestScanTenth(t *testing.T) {
	for broken, fails := range map[int]bool{4: false, 5: true} {
		var list []int
		for i := range broken {
			list = append(list, 7*i)
		}
		_, err := NewSource(photos(t, 40, list...), SourceOptions{}).Scan(context.Background(), ScanOptions{})
		if many := new(TooManyBad); fails != errors.As(err, &many) || !fails && err != nil {
			t.Errorf("%d of 40 broken: %v", broken, err)
		}
	}
}

func TestScanErrors(t *testing.T) {
	var broken []int
	for i := range 7 {
		broken = append(broken, 2*i)
	}
	d := photos(t, 60, broken...)
	_, err := NewSource(d, SourceOptions{}).Scan(context.Background(), ScanOptions{})
	many := new(TooManyBad)
	if !errors.As(err, &many) || len(many.Bad) != 7 || len(d.Items) != 60 {
		t.Fatal(err)
	}
	text := err.Error()
	if !strings.HasPrefix(text, "7 of 60 images cannot be read, more than a tenth: ") || strings.Count(text, "broken JPEG: the file is cut short") != 5 ||
		!strings.HasSuffix(text, "; and 2 more") || strings.Contains(text, "\n") {
		t.Error(text)
	}

	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := NewSource(photos(t, 10), SourceOptions{}).Scan(ctx, ScanOptions{}); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	if _, err := NewSource(&dataset.Dataset{Name: "void"}, SourceOptions{}).Scan(context.Background(),
		ScanOptions{}); err == nil {
		t.Error("a scan of nothing is fine")
	}
}

// Of a large data set some are decoded, the others' headers are looked at.
func TestScanSome(t *testing.T) {
	d := photos(t, 100)
	for _, i := range []int{1, 30} { // 30 is decoded
		if err := os.WriteFile(d.Items[i].Path, []byte("nothing of the kind"), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	r, err := NewSource(d, SourceOptions{}).Scan(context.Background(), ScanOptions{Decode: 20})
	if err != nil || r.Decoded != 19 || r.Images != 98 || len(r.Bad) != 2 || r.MinW != 20 || r.MaxW != 24 {
		t.Errorf("%+v, %v", r, err)
	}
}

// A photo kept for training is as large as its file says, and two goroutines
// that read it at once count it once.
func TestCacheRoom(t *testing.T) {
	d := photos(t, 30)
	s := NewSource(d, SourceOptions{Channels: 3, Cache: 1 << 20})
	done := make(chan bool)
	for range 4 {
		go func() {
			for i := range d.Items {
				s.Image(i)
			}
			done <- true
		}()
	}
	for range 4 {
		<-done
	}
	used := int64(0)
	for i := range s.cache {
		used += int64(len(s.cache[i].Load().Pix))
	}
	if left := s.room.Load(); left != 1<<20-used {
		t.Errorf("%d bytes left of %d with %d in use", left, 1<<20, used)
	}
}
