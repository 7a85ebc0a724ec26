package atlas

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"image"
	"image/color"
	"image/jpeg"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"testing"

	"vicreg/internal/rng"
)

var update = flag.Bool("update", false, "write the map in testdata anew")

const fixtureFolder = "testdata/map"

// fixture is a small map of coloured squares, whose colours are what tells them apart.
func fixture() (*Map, [][]byte) {
	const n, groups, k, side, columns = 240, 6, 8, 32, 12
	m := &Map{Model: "runs/squares/model.safetensors", Weights: "0123456789abcdef", Method: "vicreg", Arch: "resnet18",
		Epochs: 20, Dataset: "squares", Images: 1200, Variance: [2]float32{0.41, 0.22},
		Sheets: Sheets{Side: side, Columns: columns, Rows: 10},
		Note:   []string{"the map shows 240 of 1200 images, spread evenly"}}
	r := rng.New(7)
	sheets := make([]*image.RGBA, n/120)
	for i := range sheets {
		sheets[i] = image.NewRGBA(image.Rect(0, 0, columns*side, 10*side))
	}
	for g := range groups {
		m.Classes = append(m.Classes, []string{"red", "yellow", "green", "cyan", "blue", "magenta"}[g])
		m.Clusters = append(m.Clusters, Cluster{Size: n / groups, Cosine: 0.9 - float32(g)/20})
	}
	for i := range n {
		g := i % groups
		angle := 2 * math.Pi * float64(g) / groups
		at := func(spread float64) [2]float32 {
			return [2]float32{float32(0.7*math.Cos(angle) + spread*r.NormFloat64()),
				float32(0.7*math.Sin(angle) + spread*r.NormFloat64())}
		}
		p := Point{Name: fmt.Sprintf("%s/%03d.png", m.Classes[g], i), PCA: at(0.09), TSNE: at(0.06), Class: g, Cluster: g,
			Outlier: float32(0.05 + 0.1*r.Float64())}
		for j := range k {
			p.Neighbours = append(p.Neighbours, (i+groups*(j+1))%n)
			p.Before = append(p.Before, (i+j*7+1)%n)
		}
		m.Points = append(m.Points, p)
		if i < groups*9 {
			m.Clusters[g].Examples = append(m.Clusters[g].Examples, i)
		}
		sheet, x0, y0 := m.Sheets.Thumb(i)
		for y := range side {
			for x := range side {
				w := 0.5 + 0.5*float64(x+y)/(2*side)
				c := func(phase float64) uint8 { return uint8(255 * w * max(0, min(1, 0.5+math.Cos(angle-phase)))) }
				sheets[sheet].SetRGBA(x0+x, y0+y, color.RGBA{c(0), c(2 * math.Pi / 3), c(4 * math.Pi / 3), 255})
			}
		}
	}
	m.Duplicates = [][]int{{6, 12, 18}, {1, 7}}
	m.Outliers = []int{5, 100, 33}
	for _, o := range m.Outliers {
		m.Points[o].Outlier += 0.4
	}
	var files [][]byte
	for _, s := range sheets {
		var b bytes.Buffer
		if err := jpeg.Encode(&b, s, nil); err != nil {
			panic(err)
		}
		files = append(files, b.Bytes())
	}
	return m, files
}

// rounded is a map as it is after it was written.
func (m *Map) roundedTo(t *testing.T) *Map {
	t.Helper()
	out, what := parse(m.encode())
	if what != "" {
		t.Fatal(what)
	}
	return out
}

func TestFixture(t *testing.T) {
	want, sheets := fixture()
	if *update {
		if err := os.RemoveAll(fixtureFolder); err != nil {
			t.Fatal(err)
		}
		if err := want.Write(fixtureFolder, sheets); err != nil {
			t.Fatal(err)
		}
	}
	m, err := Read(fixtureFolder)
	if err != nil {
		t.Fatal(err)
	}
	want.Sheets.Files = m.Sheets.Files // JPEG encoders may change
	if !reflect.DeepEqual(m, want.roundedTo(t)) {
		t.Error("the map in testdata is another; write it anew with -update")
	}
	for i, p := range m.Points {
		if math.Abs(float64(p.TSNE[0]-want.Points[i].TSNE[0])) > 1e-4 {
			t.Fatalf("point %d at %v, want %v", i, p.TSNE, want.Points[i].TSNE)
		}
	}
}

func TestWrite(t *testing.T) {
	folder := filepath.Join(t.TempDir(), "run", "map")
	if _, err := Read(folder); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no map: %v", err)
	}
	m, sheets := fixture()
	if err := m.Write(folder, sheets); err != nil {
		t.Fatal(err)
	}
	first := m.Sheets.Files
	other := filepath.Join(folder, "thumbs-mine.jpg")
	if err := os.WriteFile(other, []byte("mine"), 0o666); err != nil {
		t.Fatal(err)
	}
	sheets[0] = append(slices.Clone(sheets[0]), 0)
	m.Dataset = "other"
	if err := m.Write(folder, sheets); err != nil {
		t.Fatal(err)
	}
	got, err := Read(folder)
	if err != nil {
		t.Fatal(err)
	}
	if got.Dataset != "other" || slices.Equal(got.Sheets.Files, first) {
		t.Errorf("%s with %v after %v", got.Dataset, got.Sheets.Files, first)
	}
	if !Is(filepath.Join(folder, FileName)) || Is(other) {
		t.Error("Is takes one for the other")
	}
	entries, err := os.ReadDir(folder)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	want := append([]string{FileName}, append(slices.Clone(got.Sheets.Files), "thumbs-mine.jpg")...)
	slices.Sort(want)
	if !slices.Equal(names, want) {
		t.Errorf("the folder holds %v, want %v", names, want)
	}
}

// A map that cannot be right is refused in one sentence that says why.
func TestRefusals(t *testing.T) {
	for _, c := range []struct {
		name  string
		spoil func(*Map)
		want  string
	}{
		{"no points", func(m *Map) { m.Points = nil }, "it has 0 points"},
		{"images", func(m *Map) { m.Images = 5 }, "it has 240 points of 5 images"},
		{"class", func(m *Map) { m.Points[3].Class = 6 }, "point 3 is of class 6 of 6"},
		{"cluster", func(m *Map) { m.Points[4].Cluster = -2 }, "point 4 is in cluster -2 of 6"},
		{"neighbour", func(m *Map) { m.Points[9].Neighbours[2] = 240 }, "a neighbour of point 9 is no point of it"},
		{"before", func(m *Map) { m.Points[9].Before[2] = -1 }, "a neighbour of point 9 is no point of it"},
		{"uneven", func(m *Map) { m.Points[9].Before = nil }, "its columns are not of one length"},
		{"outlier", func(m *Map) { m.Outliers[0] = 1000 }, "an outlier is no point of it"},
		{"duplicates", func(m *Map) { m.Duplicates[0] = []int{1} }, "duplicates are not of its points"},
		{"example", func(m *Map) { m.Clusters[1].Examples[0] = 1000 }, "cluster 1 is not of its points"},
		{"sheets", func(m *Map) { m.Sheets.Files = []string{"thumbs-0-0.jpg"} },
			"it has 1 sheet of 120 pictures for 240 points"},
		{"sheet", func(m *Map) { m.Sheets.Files = []string{"thumbs-0-0.jpg", "../thumbs-0-0.jpg"} },
			"../thumbs-0-0.jpg is no name of a sheet"},
		{"side", func(m *Map) { m.Sheets.Side, m.Sheets.Files = 0, []string{"thumbs-0-0.jpg"} },
			"its sheets are of 12 × 10 pictures of 0 pixels"},
	} {
		m, _ := fixture()
		c.spoil(m)
		if _, what := parse(m.encode()); what != c.want {
			t.Errorf("%s: %q, want %q", c.name, what, c.want)
		}
	}
	folder := t.TempDir()
	for content, want := range map[string]string{"": "it is damaged", "{}": "it is of another version",
		`{"format":"vicreg map 9"}`: "it is of another version"} {
		if err := os.WriteFile(filepath.Join(folder, FileName), []byte(content), 0o666); err != nil {
			t.Fatal(err)
		}
		_, err := Read(folder)
		want = filepath.Join(folder, FileName) + " is no map that can be shown: " + want + "; make it anew with vicreg map"
		if err == nil || err.Error() != want {
			t.Errorf("%q: %v, want %s", content, err, want)
		}
	}
}
