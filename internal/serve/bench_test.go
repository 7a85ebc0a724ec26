package serve

import (
	"bytes"
	"fmt"
	"image"
	"image/color"
	"image/jpeg"
	"io"
	"net/http"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"

	"vicreg/internal/imagefile"
	"vicreg/internal/method"
	"vicreg/internal/model"
	"vicreg/internal/pretrained"
)

// BenchmarkServe times an image, a JPEG file of the size that the model reads, in a plain
// loop of one goroutine that decodes and embeds, and as clients ask a server for it.
func BenchmarkServe(b *testing.B) {
	for _, c := range []struct {
		arch, stem string
		size       int
	}{{"resnet18", "small", 32}, {"resnet18", "small", 64}, {"resnet50", "imagenet", 224}} {
		m := untrained(b, c.arch, c.stem, c.size)
		var files [][]byte
		for i := range 64 {
			files = append(files, photo(i, c.size))
		}
		name := fmt.Sprintf("%s-%d", c.arch, c.size)
		b.Run(name+"/loop", func(b *testing.B) {
			for i := range b.N {
				img, err := imagefile.Decode(files[i%len(files)], imagefile.Limits{})
				if err != nil {
					b.Fatal(err)
				}
				if _, err := m.Image(b.Context(), img); err != nil {
					b.Fatal(err)
				}
			}
		})
		for _, clients := range []int{1, 8, 200} {
			b.Run(fmt.Sprintf("%s/clients=%d", name, clients), func(b *testing.B) {
				s, err := New(m, nil, Options{})
				if err != nil {
					b.Fatal(err)
				}
				defer s.Close()
				url, stop := listening(b, s)
				client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: clients}}
				var next atomic.Int64
				var wg sync.WaitGroup
				b.ResetTimer()
				for range clients {
					wg.Go(func() {
						for i := next.Add(1); i <= int64(b.N); i = next.Add(1) {
							r, err := client.Post(url+"/v1/embed", "image/jpeg", bytes.NewReader(files[i%int64(len(files))]))
							if err != nil {
								b.Error(err)
								return
							}
							io.Copy(io.Discard, r.Body)
							if r.Body.Close(); r.StatusCode != 200 {
								b.Errorf("status %d", r.StatusCode)
							}
						}
					})
				}
				wg.Wait()
				b.StopTimer()
				b.ReportMetric(float64(s.queue.images.Load())/float64(max(1, s.queue.batches.Load())), "images/batch")
				client.CloseIdleConnections()
				stop()
			})
		}
	}
}

// untrained is a model of usual width that was saved before its first step.
func untrained(b *testing.B, arch, stem string, size int) *pretrained.Model {
	meta := pretrained.Meta{Method: "vicreg", Size: size,
		Encoder: model.Config{Arch: arch, Width: 64, Stem: stem, Input: model.ImageInput(size, 3)},
		Mean:    []float64{0.5, 0.5, 0.5}, Std: []float64{0.25, 0.25, 0.25}}
	encoder, err := method.NewEncoder(meta.Encoder, 1, 0)
	if err != nil {
		b.Fatal(err)
	}
	path := filepath.Join(b.TempDir(), "model.safetensors")
	if err := pretrained.Save(path, meta, encoder, nil); err != nil {
		b.Fatal(err)
	}
	m, err := pretrained.Open(path, 0)
	if err != nil {
		b.Fatal(err)
	}
	return m
}

// photo is a JPEG file.
func photo(number, size int) []byte {
	m := image.NewRGBA(image.Rect(0, 0, size, size))
	for y := range size {
		for x := range size {
			r, g, b := x*(number%7+1), y*(number%5+1), x*y/(number+1)+number
			m.SetRGBA(x, y, color.RGBA{uint8(r), uint8(g), uint8(b), 255})
		}
	}
	var b bytes.Buffer
	if err := jpeg.Encode(&b, m, nil); err != nil {
		panic(err)
	}
	return b.Bytes()
}
