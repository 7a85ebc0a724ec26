package vicreg_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"image/jpeg"
	"image/png"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"vicreg"
)

// album is a folder of n pictures and one that is none.
func album(t testing.TB, n int) string {
	t.Helper()
	folder := t.TempDir()
	for i := range n {
		var b bytes.Buffer
		if err := png.Encode(&b, picture(i, 30+i%5, 28)); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(folder, fmt.Sprintf("%03d.png", i)), b.Bytes(), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(folder, "zz.png"), []byte("none"), 0o666); err != nil {
		t.Fatal(err)
	}
	return folder
}

// An index in a file, one with lists of which all are read, and one in memory find the
// same images with the same cosines, each image itself first.
func TestIndexData(t *testing.T) {
	m := untrained(t, "resnet10", 8, 24)
	folder := album(t, 60)
	data := vicreg.Data{Source: folder, Labels: "none"}
	e, err := m.EmbedData(t.Context(), data, vicreg.EmbedOptions{Batch: 8})
	if err != nil {
		t.Fatal(err)
	}
	var want [][]vicreg.Match
	for _, lists := range []int{-1, 0, 5} {
		o := vicreg.IndexOptions{Batch: 8, Lists: max(0, lists)}
		var counted []int
		o.Progress = func(done, total int) { counted = append(counted, done, total) }
		path := ""
		if lists >= 0 {
			path = filepath.Join(t.TempDir(), "x.index")
		}
		made, err := m.IndexData(t.Context(), path, data, o)
		if err != nil {
			t.Fatal(err)
		}
		defer made.Close()
		if len(made.Bad) != 1 || !strings.Contains(made.Bad[0], "zz.png") || !slices.Contains(counted, 60) {
			t.Errorf("bad %q, counted %v", made.Bad, counted)
		}
		x := made
		if path != "" {
			if x, err = vicreg.OpenIndex(path); err != nil {
				t.Fatal(err)
			}
			defer x.Close()
		}
		info := x.Info()
		if info.Images != 60 || info.Features != m.Info().Features || info.Lists != max(0, lists) || info.Path != path {
			t.Errorf("%+v", info)
		}
		if err := m.Suits(x); err != nil {
			t.Error(err)
		}
		got, err := x.Search(t.Context(), e.Features, vicreg.SearchOptions{K: 7, Probe: 5})
		if err != nil {
			t.Fatal(err)
		}
		if want == nil {
			want = got
		}
		for i := range got {
			if !slices.Equal(got[i], want[i]) {
				t.Fatalf("%d lists: image %d: %v, want %v", lists, i, got[i], want[i])
			}
			first := got[i][0]
			if first.Item != i || first.Name != e.Names[i] || first.Cosine < 0.9999 || x.At(first.File) != i {
				t.Errorf("%d lists: nearest to image %d is %+v", lists, i, first)
			}
		}
		b, err := x.Thumbnail(3, 16)
		if err != nil {
			t.Fatal(err)
		}
		if im, err := jpeg.Decode(bytes.NewReader(b)); err != nil || im.Bounds().Dx() != 16 || im.Bounds().Dy() != 14 {
			t.Errorf("thumbnail %v, %v", im.Bounds(), err)
		}
		if _, err := x.Thumbnail(60, 16); err == nil {
			t.Error("a thumbnail of nothing")
		}
	}
}

// An index of another model is refused, and what is no query.
func TestIndexRefuses(t *testing.T) {
	m, other := untrained(t, "resnet10", 8, 24), untrained(t, "resnet10", 8, 32)
	data := vicreg.Data{Source: album(t, 30), Labels: "none"}
	x, err := m.IndexData(t.Context(), "", data, vicreg.IndexOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if err := other.Suits(x); err == nil || !strings.Contains(err.Error(), "its inputs have another size") {
		t.Error(err)
	}
	for want, q := range map[string]struct {
		query []float32
		o     vicreg.SearchOptions
	}{
		"query 0 has 3 values, but the index is of 64": {make([]float32, 3), vicreg.SearchOptions{}},
		"a search for 1001 images":                     {make([]float32, 64), vicreg.SearchOptions{K: 1001}},
		"a search for -1 images":                       {make([]float32, 64), vicreg.SearchOptions{K: -1}},
	} {
		_, err := x.Search(t.Context(), [][]float32{q.query}, q.o)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("want %s, got %v", want, err)
		}
	}
	_, err = m.IndexData(t.Context(), filepath.Join(t.TempDir(), "x"), data, vicreg.IndexOptions{Lists: 30})
	if err == nil || !strings.Contains(err.Error(), "too many for 30 images") {
		t.Error(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	path := filepath.Join(t.TempDir(), "x")
	if _, err := m.IndexData(ctx, path, data, vicreg.IndexOptions{}); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	if _, err := os.Stat(path); err == nil {
		t.Error("a stopped index was written")
	}
}

// A server answers until its context ends, and lets nobody else listen in.
func TestServe(t *testing.T) {
	m := untrained(t, "resnet10", 8, 24)
	folder := album(t, 12)
	x, err := m.IndexData(t.Context(), "", vicreg.Data{Source: folder, Labels: "none"}, vicreg.IndexOptions{})
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	ready := make(chan int, 1)
	o := vicreg.ServeOptions{Token: "correct horse", Ready: func(together int) { ready <- together }}
	go func() { ended <- m.Serve(ctx, l, x, o) }()
	if together := <-ready; together < 1 {
		t.Errorf("%d images together", together)
	}
	image, err := os.ReadFile(filepath.Join(folder, "004.png"))
	if err != nil {
		t.Fatal(err)
	}
	r, err := http.NewRequest("POST", "http://"+l.Addr().String()+"/v1/search?k=1", bytes.NewReader(image))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer correct horse")
	got, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	answer, _ := io.ReadAll(got.Body)
	got.Body.Close()
	if got.StatusCode != 200 || !strings.Contains(string(answer), `"name":"004.png"`) {
		t.Errorf("%d %s", got.StatusCode, answer)
	}
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if l, err = net.Listen("tcp", "0.0.0.0:0"); err != nil {
		t.Fatal(err)
	}
	if err := m.Serve(t.Context(), l, nil, vicreg.ServeOptions{}); err == nil || !strings.Contains(err.Error(), "there is no token") {
		t.Error(err)
	}
}

func ExampleModel_IndexData() {
	folder, remove := pictures(20)
	defer remove()
	ctx := context.Background()
	c := tiny()
	c.Data.Source, c.Out = folder, filepath.Join(folder, "run")
	run, err := vicreg.Pretrain(ctx, c)
	if err != nil {
		log.Fatal(err)
	}
	m, err := vicreg.Open(run.Folder)
	if err != nil {
		log.Fatal(err)
	}

	x, err := m.IndexData(ctx, filepath.Join(folder, "pictures.index"), vicreg.Data{Source: folder}, vicreg.IndexOptions{})
	if err != nil {
		log.Fatal(err)
	}
	defer x.Close()
	query, err := m.Embed(ctx, stripes(7))
	if err != nil {
		log.Fatal(err)
	}
	found, err := x.Search(ctx, query, vicreg.SearchOptions{K: 3})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("the nearest of %d is %s, with a cosine of %.2f\n", x.Info().Images, found[0][0].Name, found[0][0].Cosine)
	// Output: the nearest of 20 is 07.png, with a cosine of 1.00
}
