package vicreg_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"image"
	"image/png"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"sync"
	"testing"

	"vicreg"
	"vicreg/internal/method"
	"vicreg/internal/model"
	"vicreg/internal/pretrained"
)

// untrained returns a model that was saved before its first step.
func untrained(t testing.TB, arch string, width, size int) *vicreg.Model {
	t.Helper()
	m := pretrained.Meta{
		Method: "vicreg", Encoder: model.Config{Arch: arch, Width: width, Stem: "small", Input: model.ImageInput(size, 3)},
		Expander: model.Head{Widths: "64-64", Last: model.Plain}, Size: size,
		Mean: []float64{0.5, 0.5, 0.5}, Std: []float64{0.25, 0.25, 0.25}, Seed: 1,
	}
	encoder, err := method.NewEncoder(m.Encoder, m.Seed, 0)
	if err != nil {
		t.Fatal(err)
	}
	expander, err := model.NewHead(encoder.Dim(), m.Expander, nil)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "model.safetensors")
	if err := pretrained.Save(path, m, encoder, expander); err != nil {
		t.Fatal(err)
	}
	opened, err := vicreg.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	return opened
}

// picture is an image of many colours, another for each number.
func picture(number, w, h int) image.Image {
	m := image.NewRGBA(image.Rect(0, 0, w, h))
	for i := range m.Pix {
		m.Pix[i] = uint8(i*(2*number+7) + i*i>>6)
		if i%4 == 3 {
			m.Pix[i] = 255
		}
	}
	return m
}

// Eight goroutines get from one model the bits that one gets, whatever the others ask of it
// meanwhile.
func TestEmbedConcurrently(t *testing.T) {
	m := untrained(t, "resnet10", 8, 24)
	folder := t.TempDir()
	for i := range 3 {
		var b bytes.Buffer
		if err := png.Encode(&b, picture(i, 30, 28)); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(folder, fmt.Sprint(i, ".png")), b.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	// What goroutine i asks for.
	ask := func(i int) ([][]float32, error) {
		switch i % 4 {
		case 0, 1:
			return m.Embed(t.Context(), picture(i, 20+i, 30))
		case 2:
			return m.Embed(t.Context(), picture(i, 24, 24), picture(1, 40, 24), picture(2, 9, 99))
		}
		o := vicreg.EmbedOptions{Batch: 2, Layer: "embedding"}
		if i > 4 {
			o = vicreg.EmbedOptions{Batch: 2, Precision: "bf16"}
		}
		e, err := m.EmbedData(t.Context(), vicreg.Data{Source: folder}, o)
		if err != nil {
			return nil, err
		}
		return e.Features, nil
	}
	const goroutines = 8
	var want [goroutines][][]float32
	for i := range want {
		var err error
		if want[i], err = ask(i); err != nil {
			t.Fatal(err)
		}
	}
	var wg sync.WaitGroup
	for i := range goroutines {
		wg.Go(func() {
			for range 5 {
				got, err := ask(i)
				if err != nil || !slices.EqualFunc(got, want[i], slices.Equal[[]float32]) {
					t.Errorf("goroutine %d: other features than alone, error %v", i, err)
				}
			}
		})
	}
	wg.Wait()
}

// A call that waits for the model, and one that is at work on many batches, end with their
// context.
func TestEmbedEndsWithItsContext(t *testing.T) {
	m := untrained(t, "resnet10", 8, 24)
	ctx, cancel := context.WithCancel(t.Context())
	o := vicreg.EmbedOptions{Batch: 1, Progress: func(done, total int) { cancel() }}
	if _, err := m.EmbedData(ctx, vicreg.Data{Source: "sample", Limit: 50}, o); !errors.Is(err, context.Canceled) {
		t.Errorf("a data set: %v", err)
	}
	for n := range 3 {
		images := []image.Image{picture(1, 9, 9), picture(2, 9, 9)}[:n]
		if _, err := m.Embed(ctx, images...); n > 0 && !errors.Is(err, context.Canceled) {
			t.Errorf("%d images: %v", n, err)
		}
	}
	if _, err := m.Embed(t.Context(), picture(1, 9, 9)); err != nil {
		t.Errorf("afterwards: %v", err)
	}
}

// A model packs its weights once: what an image allocates is small beside them.
func TestEmbedKeepsItsWeights(t *testing.T) {
	m := untrained(t, "resnet18", 32, 32)
	img := picture(1, 32, 32)
	embed := func() {
		if _, err := m.Embed(t.Context(), img); err != nil {
			t.Fatal(err)
		}
	}
	embed()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	const times = 10
	for range times {
		embed()
	}
	runtime.ReadMemStats(&after)
	bytes, weights := int(after.TotalAlloc-before.TotalAlloc)/times, 4*m.Info().Parameters
	if bytes > weights/20 {
		t.Errorf("an image allocates %d bytes, with weights of %d", bytes, weights)
	}
}

func BenchmarkEmbedOne(b *testing.B) {
	for _, c := range []struct {
		arch        string
		width, size int
	}{{"resnet18", 64, 32}, {"resnet18", 64, 96}, {"vit-tiny", 0, 96}} {
		b.Run(fmt.Sprintf("%s-%d", c.arch, c.size), func(b *testing.B) {
			m := untrained(b, c.arch, c.width, c.size)
			img := picture(1, 120, 100)
			b.ReportAllocs()
			for b.Loop() {
				if _, err := m.Embed(b.Context(), img); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run(fmt.Sprintf("%s-%d/8", c.arch, c.size), func(b *testing.B) {
			m := untrained(b, c.arch, c.width, c.size)
			b.ReportAllocs()
			b.SetParallelism(max(1, 8/runtime.GOMAXPROCS(0)))
			b.ResetTimer()
			b.RunParallel(func(pb *testing.PB) {
				img := picture(1, 120, 100)
				for pb.Next() {
					if _, err := m.Embed(b.Context(), img); err != nil {
						b.Error(err)
					}
				}
			})
		})
	}
}
