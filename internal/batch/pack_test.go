package batch

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"vicreg/internal/augment"
	"vicreg/internal/dataset"
	"vicreg/internal/imagefile"
)

// A packed data set is the one it was made of, without its bad images.
func TestPack(t *testing.T) {
	dir := t.TempDir()
	var first []byte
	for _, workers := range []int{1, 3} {
		train := photos(t, 60, 7, 40)
		train.Name, train.Classes = "photos", []string{"a", "b"}
		test := noise(9, 8, 5, 1)
		for i := range train.Items {
			train.Items[i].Label = i % 2
		}
		for i := range test.Items {
			test.Items[i].Label = 1
		}
		path := filepath.Join(dir, "a.pack")
		calls := 0
		p, err := Pack(context.Background(), path, train, test,
			PackOptions{Workers: workers, Progress: func(done, total int) {
				if calls++; total != 69 {
					t.Errorf("%d of %d", done, total)
				}
			}})
		if err != nil {
			t.Fatal(err)
		}
		if p.Train != 58 || p.Test != 9 || len(p.Bad) != 2 || p.Bad[0].Name != "007.png" || p.Bad[1].Name != "040.jpg" || calls == 0 {
			t.Errorf("%+v after %d calls", p, calls)
		}
		data, err := os.ReadFile(path)
		if err != nil || int64(len(data)) != p.Bytes {
			t.Errorf("%d bytes, %v, want %d", len(data), err, p.Bytes)
		}
		if first == nil {
			first = data
		}
		if !bytes.Equal(first, data) {
			t.Errorf("%d workers write other bytes", workers)
		}
		gotTrain, gotTest, err := dataset.Open(path, dataset.Options{Holdout: 0.5})
		if err != nil {
			t.Fatal(err)
		}
		train.Remove([]int{7, 40})
		source := NewSource(train, SourceOptions{})
		for i, got := range gotTrain.Items {
			want, err := source.Image(i)
			m, badly := got.Read(imagefile.Limits{})
			if err != nil || badly != nil || got.Name != train.Items[i].Name || got.Label != train.Items[i].Label ||
				got.Image.W != want.W || m.W != want.W || !bytes.Equal(m.Pix, want.Pix) {
				t.Fatalf("%s comes back otherwise (%v, %v)", train.Items[i].Name, err, badly)
			}
		}
		for i, got := range gotTest.Items {
			if m, err := got.Read(imagefile.Limits{}); err != nil ||
				!bytes.Equal(m.Pix, test.Items[i].Image.Pix) || got.Label != 1 {
				t.Fatalf("%s comes back otherwise (%v)", got.Name, err)
			}
		}

		// It measures as the folder does, and its pixels are read once.
		a, err := source.Scan(context.Background(), ScanOptions{})
		if err != nil {
			t.Fatal(err)
		}
		packed := NewSource(gotTrain, SourceOptions{Channels: 3})
		b, err := packed.Scan(context.Background(), ScanOptions{})
		if err != nil || a.Mean[2] != b.Mean[2] || a.Std[0] != b.Std[0] || a.MaxW != b.MaxW {
			t.Errorf("%+v and %+v, %v", a, b, err)
		}
		one, _ := packed.Image(3)
		if two, err := packed.Image(3); err != nil || &one.Pix[0] != &two.Pix[0] {
			t.Errorf("a copy, %v", err)
		}
		// A large one is measured in part.
		if b, err = packed.Scan(context.Background(), ScanOptions{Decode: 10}); err != nil || b.Decoded != 10 ||
			b.Images != 58 || b.MaxW != a.MaxW {
			t.Errorf("%+v, %v", b, err)
		}
	}
}

func TestPackResizes(t *testing.T) {
	d := noise(2, 60, 40, 3)
	d.Items = append(d.Items, noise(1, 9, 30, 1).Items...)
	path := filepath.Join(t.TempDir(), "a.pack")
	if _, err := Pack(context.Background(), path, d, nil, PackOptions{Short: 10}); err != nil {
		t.Fatal(err)
	}
	got, _, err := dataset.Open(path, dataset.Options{})
	if err != nil {
		t.Fatal(err)
	}
	var want imagefile.Image
	new(augment.Scratch).Resize(&want, *d.Items[1].Image, 15, 10)
	if m, err := got.Items[1].Read(imagefile.Limits{}); err != nil || m.W != 15 || m.H != 10 ||
		!bytes.Equal(m.Pix, want.Pix) {
		t.Errorf("%d × %d, %v", m.W, m.H, err)
	}
	if m := got.Items[2].Image; m.W != 9 || m.H != 30 {
		t.Errorf("a small image became %d × %d", m.W, m.H)
	}
}

// packedNoise packs n images, every third of them grey.
func packedNoise(t *testing.T, n int) (path string) {
	t.Helper()
	d := noise(n, 30, 20, 3)
	for i := 0; i < n; i += 3 {
		m := d.Items[i].Image.Convert(1)
		d.Items[i].Image = &m
	}
	path = filepath.Join(t.TempDir(), "a.pack")
	if _, err := Pack(context.Background(), path, d, nil, PackOptions{}); err != nil {
		t.Fatal(err)
	}
	return path
}

// What is read again each time, into the worker's own buffer, makes the batches
// that kept images make.
func TestPackedWithoutCache(t *testing.T) {
	path := packedNoise(t, 24)
	var want []float32
	for _, cache := range []int64{-1, 0, 3 * 30 * 20 * 5} {
		d, _, err := dataset.Open(path, dataset.Options{})
		if err != nil {
			t.Fatal(err)
		}
		s := NewSource(d, SourceOptions{Channels: 3, Cache: cache})
		l, err := s.Train(Config{Order: Order{Seed: 1, Epochs: 2},
			Views: []View{{View: augment.Released()[0], Size: 16}}, Batch: 8,
			Mean: []float64{0.5, 0.5, 0.5}, Std: []float64{1, 1, 1}, Workers: 3})
		if err != nil {
			t.Fatal(err)
		}
		var got []float32
		for range 6 {
			b, err := l.Next()
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, b.Views[0].Data...)
		}
		l.Close()
		if want == nil {
			want = got
		}
		if !slices.Equal(got, want) {
			t.Errorf("with room for %d bytes the batches are others", cache)
		}
	}
}

// A packed image whose pixels have changed is left out as a broken file is.
func TestPackedImageTurnsBad(t *testing.T) {
	path := packedNoise(t, 24)
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	raw[100] ^= 1
	if err := os.WriteFile(path, raw, 0o644); err != nil {
		t.Fatal(err)
	}
	d, _, err := dataset.Open(path, dataset.Options{})
	if err != nil {
		t.Fatal(err)
	}
	r, err := NewSource(d, SourceOptions{}).Scan(context.Background(), ScanOptions{})
	if err != nil || len(r.Bad) != 1 || r.Images != 23 || !strings.Contains(r.Bad[0].Err.Error(), "a.pack: noise[0] is damaged: the checksum of its pixels is") {
		t.Errorf("%+v, %v", r, err)
	}
}

func TestPackErrors(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "a.pack")
	_, err := Pack(context.Background(), path, photos(t, 20, 1, 2, 3), nil, PackOptions{Workers: 2})
	many := new(TooManyBad)
	if !errors.As(err, &many) || many.Total != 20 {
		t.Error(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := Pack(ctx, path, photos(t, 5), nil, PackOptions{}); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	if _, err := Pack(context.Background(), path, &dataset.Dataset{Name: "void"}, nil, PackOptions{}); err == nil ||
		!strings.Contains(err.Error(), "no images") {
		t.Error(err)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("%v is left, %v", left, err)
	}
}
