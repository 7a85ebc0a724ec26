package atlas

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"image/jpeg"
	"math"
	"path/filepath"
	"reflect"
	"slices"
	"testing"

	"vicreg/internal/imagefile"
	"vicreg/internal/parallel"
	"vicreg/internal/rng"
)

// scene is an image of a few coloured squares that i chooses, w pixels wide.
func scene(i, w, h, channels int) imagefile.Image {
	m := imagefile.Image{W: w, H: h, C: channels, Pix: make([]uint8, w*h*channels)}
	r := rng.New(uint64(i))
	var colours [9][3]uint8
	for c := range colours {
		colours[c] = [3]uint8{uint8(r.IntN(256)), uint8(r.IntN(256)), uint8(r.IntN(256))}
	}
	for p := range w * h {
		at := p%w*3/w + p/w*3/h*3
		for c := range channels {
			m.Pix[p*channels+c] = colours[at][c]
		}
	}
	return m
}

// gallery looks at n scenes, with read in place of some.
func gallery(t *testing.T, n, size int, others map[int]imagefile.Image) *Gallery {
	t.Helper()
	g := NewGallery(n, size)
	for first := 0; first < n; first += 37 {
		err := g.Add(t.Context(), min(37, n-first), 0, func(i int) (imagefile.Image, error) {
			if m, ok := others[first+i]; ok {
				return m, nil
			}
			return scene(first+i, size, size, 3), nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return g
}

func TestMake(t *testing.T) {
	defer parallel.SetWorkers(0)
	const n, d, of = 200, 24, 5
	make_ := func() (*Map, *Gallery) {
		x, before := groups(n, d, of, 0.25), groups(n, d, of, 9)
		for j := range d { // one like no other, and two of one direction
			x[77*d+j] = float32(j%2)*8 - 4
			x[20*d+j] = 2 * x[10*d+j]
		}
		g := gallery(t, n, 50, map[int]imagefile.Image{
			10: scene(3000, 50, 50, 3), 20: scene(3000, 90, 60, 3), // the same, larger
			30: scene(44, 50, 50, 3), // as 44
		})
		m := &Map{Model: "m", Dataset: "scenes", Images: n, Classes: []string{"a", "b", "c", "d", "e"}}
		for i := range n {
			m.Points = append(m.Points, Point{Name: fmt.Sprint(i), Class: i % of})
		}
		var told []string
		err := m.Make(t.Context(), x, before, d, g, Options{Clusters: 6, Progress: func(what string, _, _ int) {
			if len(told) == 0 || told[len(told)-1] != what {
				told = append(told, what)
			}
		}})
		if err != nil {
			t.Fatal(err)
		}
		if len(told) != 3 {
			t.Errorf("told %v", told)
		}
		return m, g
	}
	parallel.SetWorkers(1)
	m, g := make_()
	parallel.SetWorkers(3)
	if again, _ := make_(); !reflect.DeepEqual(again, m) {
		t.Error("3 workers give another map than 1")
	}
	if m.Outliers[0] != 77 || len(m.Outliers) != outlying || m.Points[77].Outlier < 0.3 {
		t.Errorf("outliers %v, %v for the one", m.Outliers, m.Points[77].Outlier)
	}
	if want := [][]int{{10, 20}, {30, 44}}; !reflect.DeepEqual(m.Duplicates, want) {
		t.Errorf("duplicates %v, want %v", m.Duplicates, want)
	}
	size := 0
	for i, c := range m.Clusters {
		size += c.Size
		if i > 0 && c.Size > m.Clusters[i-1].Size {
			t.Error("clusters are not in order")
		}
		if class, share := m.Mostly(i); c.Size > 10 && share < 0.9 {
			t.Errorf("cluster %d of %d is mostly %d: %v", i, c.Size, class, share)
		}
		if c.Cosine < 0.5 || c.Cosine > 1 || len(c.Examples) != min(examples, c.Size) {
			t.Errorf("cluster %d: %+v", i, c)
		}
		for _, e := range c.Examples {
			if m.Points[e].Cluster != i {
				t.Errorf("cluster %d has %d for an example", i, e)
			}
		}
	}
	if size != n || m.Points[77].Cluster == -1 {
		t.Errorf("clusters of %d images", size)
	}
	if now, before, ok := m.Agreement(); !ok || now < 0.95 || before > now-0.2 {
		t.Errorf("agreement %v, before %v", now, before)
	}
	var most float64
	for _, p := range m.Points {
		for _, v := range []float32{p.PCA[0], p.PCA[1], p.TSNE[0], p.TSNE[1]} {
			most = max(most, math.Abs(float64(v)))
		}
	}
	if math.Abs(most-1) > 1e-5 {
		t.Errorf("the farthest place is %v from the middle", most)
	}
	if err := m.Write(filepath.Join(t.TempDir(), "map"), g.Sheets()); err != nil {
		t.Fatal(err)
	}
}

// An encoder that has collapsed still gives a map, and a word on it; so do four images.
func TestMakeOfLittle(t *testing.T) {
	for _, n := range []int{Fewest, 150} {
		m := &Map{Images: n}
		for i := range n {
			m.Points = append(m.Points, Point{Name: fmt.Sprint(i), Class: -1})
		}
		x := make([]float32, 3*n)
		for i := range x {
			x[i] = 2
		}
		g := gallery(t, n, 20, nil)
		if err := m.Make(t.Context(), x, nil, 3, g, Options{}); err != nil {
			t.Fatal(err)
		}
		if len(m.Note) != 1 || m.Points[0].Before != nil || len(m.Duplicates) > 0 {
			t.Errorf("%d equal features: %v, %v, %v", n, m.Note, m.Points[0].Before, m.Duplicates)
		}
		if err := m.Write(t.TempDir(), g.Sheets()); err != nil {
			t.Fatal(err)
		}
	}
}

// Every thumbnail stands at its place, whatever parts the images come in.
func TestGallery(t *testing.T) {
	for _, c := range []struct{ n, size, side, columns, sheets int }{
		{70, 300, 64, 9, 1}, {70, 28, 32, 9, 1}, {1100, 64, 64, 32, 2}, {4, 8, 16, 2, 1},
	} {
		grey := scene(5000, c.size, c.size, 1)
		g := gallery(t, c.n, c.size, map[int]imagefile.Image{3: grey})
		if g.layout.Side != c.side || g.layout.Columns != c.columns || g.layout.Rows != c.columns {
			t.Errorf("%+v: laid out as %+v", c, g.layout)
		}
		if len(g.Sheets()) != c.sheets {
			t.Fatalf("%+v: %d sheets", c, len(g.Sheets()))
		}
		for _, i := range []int{0, 3, c.n - 1} {
			sheet, x, y := g.layout.Thumb(i)
			m, err := jpeg.Decode(bytes.NewReader(g.Sheets()[sheet]))
			if err != nil {
				t.Fatal(err)
			}
			want := scene(i, c.size, c.size, 3)
			if i == 3 {
				want = grey.Convert(3)
			}
			for _, at := range []float64{0.17, 0.5, 0.83} { // middles of squares
				r, gr, b, _ := m.At(x+int(at*float64(c.side)), y+c.side/2).RGBA()
				w := want.Pix[3*(c.size/2*c.size+int(at*float64(c.size))):]
				for j, v := range []uint32{r, gr, b} {
					if math.Abs(float64(v>>8)-float64(w[j])) > 40 {
						t.Errorf("%+v: image %d is %v at %v, want %v", c, i, []uint32{r >> 8, gr >> 8, b >> 8}, at, w[:3])
						break
					}
				}
			}
		}
	}
	bad := errors.New("bad")
	g := NewGallery(5, 20)
	err := g.Add(t.Context(), 5, 0, func(i int) (imagefile.Image, error) { return scene(i, 20, 20, 3), bad })
	if !errors.Is(err, bad) {
		t.Errorf("%v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	err = NewGallery(5, 20).Add(ctx, 5, 0, func(i int) (imagefile.Image, error) { return scene(i, 20, 20, 3), nil })
	if !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
}

// The same picture of another size, a little brighter or more coarsely stored is alike;
// another one, or the same moved or turned over, is not.
func TestAlike(t *testing.T) {
	of := func(m imagefile.Image) *signature {
		s := sign(reduced(m, 2*mostSide))
		return &s
	}
	m := scene(1, 200, 200, 3)
	changed := func(f func(at int, v uint8) uint8) imagefile.Image {
		out := m
		out.Pix = slices.Clone(m.Pix)
		for i, v := range out.Pix {
			out.Pix[i] = f(i, v)
		}
		return out
	}
	for _, c := range []struct {
		name string
		m    imagefile.Image
		want bool
	}{
		{"itself", m, true},
		{"smaller", scene(1, 66, 66, 3), true},
		{"twice as wide", scene(1, 400, 200, 3), true},
		{"coarser", changed(func(_ int, v uint8) uint8 { return v/12*12 + 6 }), true},
		{"brighter", changed(func(_ int, v uint8) uint8 { return min(250, v) + 5 }), true},
		{"much brighter", changed(func(_ int, v uint8) uint8 { return min(215, v) + 40 }), false},
		{"turned over", changed(func(at int, _ uint8) uint8 { return m.Pix[len(m.Pix)-3-at/3*3+at%3] }), false},
		{"another", scene(2, 200, 200, 3), false},
		{"grey", m.Convert(1), false},
	} {
		if got := of(m).alike(of(c.m)); got != c.want {
			t.Errorf("%s: %v", c.name, got)
		}
	}
	grey := func(v uint8) *signature {
		return of(imagefile.Image{W: 20, H: 20, C: 1, Pix: bytes.Repeat([]byte{v}, 400)})
	}
	if !grey(100).alike(grey(102)) || grey(100).alike(grey(104)) {
		t.Error("plain images are told apart otherwise")
	}
}
