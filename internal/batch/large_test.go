package batch

import (
	"bytes"
	"fmt"
	"image"
	"image/color"
	"image/jpeg"
	"math"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"vicreg/internal/dataset"
	"vicreg/internal/imagefile"
)

// largePhotos writes JPEG files of a size, and opens them.
func largePhotos(t *testing.T, n, w, h int) *dataset.Dataset {
	dir := t.TempDir()
	for i := range n {
		m := image.NewRGBA(image.Rect(0, 0, w, h))
		for y := range h {
			for x := range w {
				wave := 60 * math.Sin(float64(x*(i+1))/23) * math.Cos(float64(y)/17)
				slope := 50 * math.Sin(float64(x+y)/40)
				m.SetRGBA(x, y, color.RGBA{uint8(128 + wave), uint8(100 + slope), uint8(40 + 150*y/h), 255})
			}
		}
		var b bytes.Buffer
		if err := jpeg.Encode(&b, m, &jpeg.Options{Quality: 92}); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, fmt.Sprintf("%d.jpg", i)), b.Bytes(), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	d, _, err := dataset.Open(dir, dataset.Options{Labels: "none"})
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// epoch returns the values of an epoch's views.
func epoch(t *testing.T, s *Source, c Config) [][]float32 {
	l := train(t, s, c)
	defer l.Close()
	var all [][]float32
	for range Steps(len(s.data.Items), c.Batch) {
		b, err := l.Next()
		if err != nil {
			t.Fatal(err)
		}
		for _, v := range b.Views {
			all = append(all, slices.Clone(v.Data))
		}
	}
	return all
}

// Views of large photos are the same whatever the number of workers and whatever was looked
// at before. Where libjpeg-turbo decodes them at a part of their size they differ little from
// those of whole ones, and none is kept; elsewhere not at all.
func TestLargePhotos(t *testing.T) {
	const size = 32
	d := largePhotos(t, 4, 1021, Large+1)
	c := Config{Order: Order{Seed: 3, Epochs: 1}, Views: pair(size), Batch: 2, Mean: colour, Std: colour, Workers: 1}
	whole := epoch(t, NewSource(d, SourceOptions{Channels: 3}), c)
	s := NewSource(d, SourceOptions{Channels: 3, View: size})
	for i := range d.Items {
		if _, err := s.Image(i); err != nil {
			t.Fatal(err)
		}
	}
	first := epoch(t, s, c)
	c.Workers = 3
	for range 2 {
		for v, again := range epoch(t, s, c) {
			if !slices.Equal(first[v], again) {
				t.Fatalf("view %d has other values", v)
			}
		}
	}
	kept := 0
	for i := range s.cache {
		if s.cache[i].Load() != nil {
			kept++
		}
	}
	if imagefile.Library() == "" {
		if kept != len(d.Items) {
			t.Errorf("%d of %d are kept", kept, len(d.Items))
		}
		for v := range whole {
			if !slices.Equal(first[v], whole[v]) {
				t.Errorf("view %d has other values", v)
			}
		}
		return
	}
	if kept != 0 {
		t.Errorf("%d are kept", kept)
	}
	others := 0
	for v := range whole {
		sum := 0.0
		for i := range whole[v] {
			sum += math.Abs(float64(whole[v][i] - first[v][i]))
		}
		// The standard deviation here is no more than 0.5 of 255 levels.
		if mean := 127 * sum / float64(len(whole[v])); mean > 3 {
			t.Errorf("view %d is %.2f levels off on average", v, mean)
		} else if mean > 0 {
			others++
		}
	}
	if others == 0 {
		t.Error("none was decoded at a part of its size")
	}
}

// Photos with a shorter side are kept, and decoded whole.
func TestPhotosThatAreNotLarge(t *testing.T) {
	d := largePhotos(t, 2, 800, Large-1)
	c := Config{Order: Order{Seed: 3, Epochs: 1}, Views: pair(32), Batch: 2, Mean: colour, Std: colour}
	s := NewSource(d, SourceOptions{Channels: 3, View: 32})
	first, whole := epoch(t, s, c), epoch(t, NewSource(d, SourceOptions{Channels: 3}), c)
	if !slices.Equal(first[0], whole[0]) || s.cache[0].Load() == nil || s.cache[1].Load() == nil {
		t.Error("views differ, or they are not kept")
	}
}
