package batch

import (
	"bytes"
	"errors"
	"fmt"
	"hash/crc32"
	"image"
	"image/color"
	"image/jpeg"
	"image/png"
	"io"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"vicreg/internal/augment"
	"vicreg/internal/dataset"
	"vicreg/internal/imagefile"
	"vicreg/internal/rng"
)

// noise returns a data set of n images of w × h × c held in memory.
func noise(n, w, h, c int) *dataset.Dataset {
	d := &dataset.Dataset{Name: "noise", Channels: c}
	x := uint32(1)
	for i := range n {
		pix := make([]uint8, w*h*c)
		for j := range pix {
			x = x*1664525 + 1013904223
			pix[j] = uint8(x >> 24)
		}
		d.Items = append(d.Items, dataset.Item{Name: fmt.Sprintf("noise[%d]", i), Label: -1,
			Image: &imagefile.Image{W: w, H: h, C: c, Pix: pix}})
	}
	return d
}

// photos writes n small images to a folder, JPEG and PNG, each of its own
// colour and size; those listed in broken are cut short.
func photos(t testing.TB, n int, broken ...int) *dataset.Dataset {
	dir := t.TempDir()
	for i := range n {
		m := image.NewRGBA(image.Rect(0, 0, 20+i%5, 24-i%7))
		for y := range m.Rect.Max.Y {
			for x := range m.Rect.Max.X {
				m.SetRGBA(x, y, color.RGBA{uint8(5 * i), uint8(9 * x), uint8(9 * y), 255})
			}
		}
		var b bytes.Buffer
		name := fmt.Sprintf("%03d.jpg", i)
		var err error
		if i%2 == 0 {
			err = jpeg.Encode(&b, m, nil)
		} else {
			name = fmt.Sprintf("%03d.png", i)
			err = png.Encode(&b, m)
		}
		data := b.Bytes()
		if slices.Contains(broken, i) {
			data = data[:len(data)/2]
		}
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, name), data, 0o666)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	d, _, err := dataset.Open(dir, dataset.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func pair(size int) []View {
	v := augment.Released()
	return []View{{v[0], size}, {v[1], size}}
}

var grey, colour = []float64{0.5}, []float64{0.5, 0.4, 0.3}

// read returns one line for each batch: its epoch and step, items, and a
// checksum of every view.
func read(t testing.TB, l *Loader) []string {
	t.Helper()
	defer l.Close()
	var lines []string
	for {
		b, err := l.Next()
		if err == io.EOF {
			return lines
		}
		if err != nil {
			t.Fatal(err)
		}
		line := fmt.Sprintf("%d/%d %v", b.Epoch, b.Step, b.Items)
		for _, v := range b.Views {
			if v.Shape[0] != len(b.Items) || len(v.Data) != v.Shape[0]*v.Shape[1]*v.Shape[2]*v.Shape[3] {
				t.Fatalf("shape %v, %d values, %d items", v.Shape, len(v.Data), len(b.Items))
			}
			sum := crc32.NewIEEE()
			for _, x := range v.Data {
				bits := math.Float32bits(x)
				sum.Write([]byte{byte(bits), byte(bits >> 8), byte(bits >> 16), byte(bits >> 24)})
			}
			line += fmt.Sprintf(" %08x", sum.Sum32())
		}
		lines = append(lines, line)
	}
}

func train(t testing.TB, s *Source, c Config) *Loader {
	t.Helper()
	l, err := s.Train(c)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// The same batches come for any number of goroutines, any cache, and when the
// loader starts in the middle.
func TestReproducible(t *testing.T) {
	d := photos(t, 23)
	c := Config{Order: Order{Seed: 7, Epochs: 3}, Views: pair(8), Batch: 5, Mean: colour, Std: colour, Workers: 1}
	source := NewSource(d, SourceOptions{Channels: 3, Cache: -1})
	want := read(t, train(t, source, c))
	if len(want) != 3*4 {
		t.Fatalf("%d batches", len(want))
	}
	for workers := 1; workers <= 4; workers++ {
		for _, cache := range []int64{0, 20 << 10} {
			c := c
			c.Workers, c.Ahead = workers, 1+workers%3
			s := NewSource(d, SourceOptions{Channels: 3, Cache: cache})
			if got := read(t, train(t, s, c)); !slices.Equal(got, want) {
				t.Errorf("%d workers, cache %d:\n%s\nwant\n%s", workers, cache, strings.Join(got, "\n"), strings.Join(want, "\n"))
			}
			c.Epoch, c.Step = 1, 2
			if got := read(t, train(t, s, c)); !slices.Equal(got, want[6:]) {
				t.Errorf("from epoch 1 step 2, %d workers: %s", workers, strings.Join(got, "\n"))
			}
			c.Epoch, c.Step = 1, 4 // the end of the epoch
			if got := read(t, train(t, s, c)); !slices.Equal(got, want[8:]) {
				t.Errorf("from the end of epoch 1: %s", strings.Join(got, "\n"))
			}
		}
	}
	c.Seed++
	if other := read(t, train(t, source, c)); slices.Equal(other, want) {
		t.Error("another seed gives the same batches")
	}
	if want[0][4:] == want[4][4:] {
		t.Error("two epochs begin alike")
	}
}

// Each row is the view drawn from the stream of (seed, augment, epoch, item,
// view), so no two epochs show an item alike, nor in the same order.
func TestStreams(t *testing.T) {
	d := noise(6, 30, 20, 3)
	s := NewSource(d, SourceOptions{Channels: 3})
	c := Config{Order: Order{Seed: 3, Epochs: 3}, Views: pair(8), Batch: 6, Mean: colour, Std: colour}
	l := train(t, s, c)
	defer l.Close()
	norm := augment.NewNorm(colour, colour)
	var scratch augment.Scratch
	want := make([]float32, 8*8*3)
	orders := map[string]bool{}
	shown := map[string]bool{}
	for epoch := range 3 {
		b, err := l.Next()
		if err != nil {
			t.Fatal(err)
		}
		if want := rng.Perm(6, 3, rng.Shuffle, uint64(epoch)); !slices.Equal(b.Items, want) {
			t.Errorf("epoch %d: items %v, want %v", epoch, b.Items, want)
		}
		orders[fmt.Sprint(b.Items)] = true
		for row, item := range b.Items {
			for v := range b.Views {
				got := b.Views[v].Data[row*len(want) : (row+1)*len(want)]
				scratch.View(want, rng.New(3, rng.Augment, uint64(epoch), uint64(item), uint64(v)),
					*d.Items[item].Image, &c.Views[v].View, 8, norm)
				if !slices.Equal(got, want) {
					t.Errorf("epoch %d item %d view %d is of another stream", epoch, item, v)
				}
				shown[fmt.Sprint(got)] = true
			}
		}
	}
	if len(orders) != 3 || len(shown) != 3*6*2 {
		t.Errorf("%d orders and %d views in three epochs of six items", len(orders), len(shown))
	}
}

// Up to a tenth of the items may turn bad, not one more.
func TestTenthTurnsBad(t *testing.T) {
	for _, c := range []struct {
		items, bad int
		fails      bool
	}{{40, 4, false}, {40, 5, true}, {39, 3, false}, {39, 4, true}, {9, 1, true}, {10, 1, false}} {
		r := Rows{Data: "d", Kind: "sounds", Items: c.items, Name: func(i int) string { return fmt.Sprintf("%02d", i) },
			Shapes: [][]int{{1}}, Batch: c.items, Workers: 1,
			Make: func(w *Worker, r *Row) error {
				if r.Item < c.bad {
					return fmt.Errorf("%02d: broken", r.Item)
				}
				return nil
			}}
		l, err := r.Train(Order{Seed: 1, Epochs: 1})
		if err != nil {
			t.Fatal(err)
		}
		_, err = l.Next()
		many := new(TooManyBad)
		switch {
		case !c.fails && err != nil:
			t.Errorf("%d of %d bad: %v", c.bad, c.items, err)
		case c.fails && (!errors.As(err, &many) || many.Total != c.items || len(many.Bad) != c.items/10+1):
			t.Errorf("%d of %d bad: error %v", c.bad, c.items, err)
		}
		if !c.fails && len(l.Bad()) != c.bad {
			t.Errorf("%d of %d bad: %v listed", c.bad, c.items, l.Bad())
		}
		l.Close()
	}
}

// An epoch holds each image once; two rows and two views differ.
func TestEpoch(t *testing.T) {
	s := NewSource(noise(50, 9, 9, 1), SourceOptions{Channels: 1})
	l := train(t, s, Config{Order: Order{Epochs: 1}, Views: pair(8), Batch: 12, Mean: grey, Std: grey})
	defer l.Close()
	seen := map[int]bool{}
	for {
		b, err := l.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		for row, item := range b.Items {
			if seen[item] {
				t.Errorf("item %d comes twice", item)
			}
			seen[item] = true
			a, c := b.Views[0].Data[row*64:row*64+64], b.Views[1].Data[row*64:row*64+64]
			if slices.Equal(a, c) {
				t.Errorf("item %d: both views are alike", item)
			}
		}
	}
	if len(seen) != 48 {
		t.Errorf("%d items in 4 batches of 12", len(seen))
	}
	if _, err := l.Next(); err != io.EOF {
		t.Errorf("after the end: %v", err)
	}
}

func TestBatchTooLarge(t *testing.T) {
	s := NewSource(noise(3, 8, 8, 1), SourceOptions{Channels: 1})
	_, err := s.Train(Config{Order: Order{Epochs: 1}, Views: pair(8), Batch: 4, Mean: grey, Std: grey})
	if err == nil || !strings.Contains(err.Error(), "a batch of 4 images is larger than the data set (noise: 3 images)") {
		t.Error(err)
	}
}

func TestPlain(t *testing.T) {
	d := noise(7, 8, 8, 1)
	d.Items[2].Image = &imagefile.Image{W: 30, H: 11, C: 3, Pix: bytes.Repeat([]byte{10, 20, 30}, 330)}
	d.Items[3].Image = &imagefile.Image{W: 1, H: 4000, C: 1, Pix: bytes.Repeat([]byte{51}, 4000)}
	s := NewSource(d, SourceOptions{Channels: 1})
	mean, std := []float64{0.2}, []float64{0.5}
	l := s.Plain(PlainConfig{Size: 8, Batch: 3, Mean: mean, Std: std, Workers: 2})
	defer l.Close()
	for step, want := range [][]int{{0, 1, 2}, {3, 4, 5}, {6}} {
		b, err := l.Next()
		if err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(b.Items, want) || b.Step != step || len(b.Views) != 1 || b.Views[0].Shape[0] != len(want) ||
			len(b.Views[0].Data) != 64*len(want) {
			t.Fatalf("step %d: items %v, shape %v", b.Step, b.Items, b.Views[0].Shape)
		}
		for row, item := range b.Items {
			for j, got := range b.Views[0].Data[row*64 : row*64+64] {
				m := d.Items[item].Image
				v := float64(imagefile.Luma(10, 20, 30))
				switch {
				case item == 3:
					v = 51
				case item != 2:
					v = float64(m.Pix[j]) // as it is
				}
				if diff := float64(got) - (v/255-0.2)/0.5; math.Abs(diff) > 1e-6 {
					t.Fatalf("item %d pixel %d: %v, off by %v", item, j, got, diff)
				}
			}
		}
	}
	if _, err := l.Next(); err != io.EOF {
		t.Errorf("after the end: %v", err)
	}
	some := read(t, s.Plain(PlainConfig{Items: []int{5, 1}, Size: 8, Batch: 4, Mean: mean, Std: std}))
	if len(some) != 1 || !strings.HasPrefix(some[0], "0/0 [5 1] ") {
		t.Errorf("items 5 and 1: %v", some)
	}
	if none := read(t, s.Plain(PlainConfig{Items: []int{}, Size: 8, Batch: 4, Mean: mean, Std: std})); none != nil {
		t.Errorf("no items: %v", none)
	}
}

// An image of another size is shown by its middle, resized as 256 is to 224:
// the row is augment's Center of the picture.
func TestPlainCentre(t *testing.T) {
	d := noise(2, 64, 45, 3)
	s := NewSource(d, SourceOptions{Channels: 3})
	l := s.Plain(PlainConfig{Size: 14, Batch: 2, Mean: colour, Std: colour})
	defer l.Close()
	b, err := l.Next()
	if err != nil {
		t.Fatal(err)
	}
	norm := augment.NewNorm(colour, colour)
	var scratch augment.Scratch
	want := make([]float32, 14*14*3)
	for i := range 2 {
		scratch.Center(want, *d.Items[i].Image, 16, 14, norm)
		if !slices.Equal(b.Views[0].Data[i*len(want):(i+1)*len(want)], want) {
			t.Errorf("image %d is not shown by its middle", i)
		}
	}
}

// A file that turns bad is replaced by the next good one, whoever finds out.
func TestTurnsBad(t *testing.T) {
	d := photos(t, 40)
	for _, i := range []int{4, 5, 39} {
		if err := os.WriteFile(d.Items[i].Path, []byte("gone"), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	var want []string
	for workers := 1; workers <= 4; workers++ {
		s := NewSource(d, SourceOptions{Channels: 3})
		l := train(t, s, Config{Order: Order{Epochs: 2}, Views: pair(8), Batch: 40, Mean: colour, Std: colour,
			Workers: workers})
		b, err := l.Next()
		if err != nil {
			t.Fatal(err)
		}
		items := slices.Sorted(slices.Values(b.Items))
		if items[0] != 0 || items[1] != 0 || slices.Contains(items, 4) || !slices.Equal(items[5:8], []int{6, 6, 6}) {
			t.Errorf("items %v", items)
		}
		rest := read(t, l)
		if want == nil {
			want = rest
		}
		if !slices.Equal(rest, want) {
			t.Errorf("%d workers: other batches", workers)
		}
		bad := l.Bad()
		if len(bad) != 3 || bad[0].Name != "004.jpg" || bad[2].Name != "039.png" || !strings.Contains(bad[0].Err.Error(), "004.jpg: not an image") {
			t.Errorf("bad: %v", bad)
		}
	}

	for i := range 40 {
		os.Remove(d.Items[i].Path)
	}
	s := NewSource(d, SourceOptions{Channels: 3})
	l := train(t, s, Config{Order: Order{Epochs: 2}, Views: pair(8), Batch: 40, Mean: colour, Std: colour, Workers: 2})
	_, err := l.Next()
	if many := new(TooManyBad); !errors.As(err, &many) || many.Total != 40 {
		t.Errorf("all files gone: %v", err)
	}
	p := s.Plain(PlainConfig{Size: 8, Batch: 4, Mean: colour, Std: colour})
	if _, err := p.Next(); !errors.Is(err, os.ErrNotExist) || !strings.Contains(err.Error(), "000.jpg: ") {
		t.Errorf("all files gone: %v", err)
	}
}

// Close ends everything at any time, also while Next waits.
func TestClose(t *testing.T) {
	before := runtime.NumGoroutine()
	s := NewSource(noise(80, 24, 24, 3), SourceOptions{Channels: 3})
	c := Config{Order: Order{Epochs: 1000}, Views: pair(32), Batch: 40, Mean: colour, Std: colour, Workers: 3}
	for batches := range 3 {
		l := train(t, s, c)
		for range batches {
			if _, err := l.Next(); err != nil {
				t.Fatal(err)
			}
		}
		closed := make(chan bool)
		go func() { l.Close(); close(closed) }()
		for {
			if _, err := l.Next(); err == ErrClosed {
				break
			} else if err != nil {
				t.Fatal(err)
			}
		}
		<-closed
		l.Close()
	}
	train(t, s, c).Close() // at once
	l := train(t, s, c)
	l.Next()
	l.Close()
	for range 100 {
		if runtime.NumGoroutine() <= before {
			return
		}
		time.Sleep(time.Millisecond)
	}
	t.Errorf("%d goroutines, %d before", runtime.NumGoroutine(), before)
}

// A loader in steady state allocates next to nothing.
func TestAllocations(t *testing.T) {
	s := NewSource(noise(256, 28, 28, 1), SourceOptions{Channels: 1})
	l := train(t, s, Config{Order: Order{Epochs: 1000}, Views: pair(28), Batch: 64, Mean: grey, Std: grey, Workers: 1})
	defer l.Close()
	next := func() {
		if _, err := l.Next(); err != nil {
			t.Fatal(err)
		}
	}
	for range 6 {
		next()
	}
	if n := testing.AllocsPerRun(8, next); n > 8 { // the permutation of an epoch
		t.Errorf("%v allocations for a batch of 64", n)
	}
}

func BenchmarkTwoViews(b *testing.B) {
	for _, size := range []int{28, 32} {
		c, mean := 1, grey
		if size == 32 {
			c, mean = 3, colour
		}
		b.Run(fmt.Sprintf("%d×%d×%d", size, size, c), func(b *testing.B) {
			s := NewSource(noise(2000, size, size, c), SourceOptions{Channels: c})
			l, err := s.Train(Config{Order: Order{Epochs: 1 << 30}, Views: pair(size), Batch: 250, Mean: mean,
				Std: mean, Workers: 1})
			if err != nil {
				b.Fatal(err)
			}
			defer l.Close()
			images := 0
			for b.Loop() {
				batch, err := l.Next()
				if err != nil {
					b.Fatal(err)
				}
				images += len(batch.Items)
			}
			b.ReportMetric(float64(images)/b.Elapsed().Seconds(), "images/s")
		})
	}
}
