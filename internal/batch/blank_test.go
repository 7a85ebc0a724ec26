package batch

import (
	"bytes"
	"fmt"
	"image"
	"image/png"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"

	"vicreg/internal/check"
	"vicreg/internal/dataset"
)

// Large blank pages, whose files are all but empty, are taken as they are, grey, and
// are not kept.
func TestBlankPages(t *testing.T) {
	const side, pages = 4000, 6
	var file bytes.Buffer
	if err := png.Encode(&file, image.NewGray(image.Rect(0, 0, side, side))); err != nil {
		t.Fatal(err)
	}
	d := &dataset.Dataset{Name: "pages"}
	for i := range pages {
		path := filepath.Join(t.TempDir(), fmt.Sprint(i, ".png"))
		if err := os.WriteFile(path, file.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
		d.Items = append(d.Items, dataset.Item{Name: path, Path: path, Label: -1})
	}
	s := NewSource(d, SourceOptions{Channels: 3})
	check.Bounded(t, pages*side*side>>20+32, 30*time.Second, func() {
		l := s.Plain(PlainConfig{Size: 16, Batch: pages, Mean: make([]float64, 3), Std: []float64{1, 1, 1}, Workers: 3})
		defer l.Close()
		b, err := l.Next()
		if err != nil || len(b.Views[0].Data) != pages*16*16*3 {
			t.Fatal(err)
		}
		if _, err := l.Next(); err != io.EOF {
			t.Error(err)
		}
	})
	for i := range s.cache {
		if s.cache[i].Load() != nil {
			t.Errorf("page %d is kept", i)
		}
	}
}
