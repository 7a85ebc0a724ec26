package atlas

import (
	"bytes"
	"encoding/base64"
	"encoding/xml"
	"errors"
	"fmt"
	"image"
	"image/color"
	"image/jpeg"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestSVG(t *testing.T) {
	m, _ := fixture()
	m.Classes[2] = "<green>"
	for _, c := range []struct {
		o     Drawing
		dots  int
		words []string // that stand on the map
		not   string
	}{
		{Drawing{}, 240, []string{">red<", ">&lt;green&gt;<", "Map of 240 images by t-SNE"}, ">1<"},
		{Drawing{By: "cluster", PCA: true, Size: 300}, 240, []string{">1<", ">6<", "by PCA", `viewBox="0 0 300 300"`}, ">red<"},
		{Drawing{By: "none", Points: 50}, 50, []string{"Map of 50 images"}, "<text"},
	} {
		svg := string(SVG(m, c.o))
		for d := xml.NewDecoder(strings.NewReader(svg)); ; {
			if _, err := d.Token(); err == io.EOF {
				break
			} else if err != nil {
				t.Fatalf("%+v: %v", c.o, err)
			}
		}
		if n := strings.Count(svg, "h0"); n != c.dots {
			t.Errorf("%+v: %d dots, want %d", c.o, n, c.dots)
		}
		for _, w := range c.words {
			if !strings.Contains(svg, w) {
				t.Errorf("%+v: no %q", c.o, w)
			}
		}
		if strings.Contains(svg, c.not) {
			t.Errorf("%+v: there is %q", c.o, c.not)
		}
	}
	var one Map // the dot of a single point stands where its place says
	one.Points = []Point{{TSNE: [2]float32{1, -1}, Class: -1, Cluster: -1}}
	if svg := string(SVG(&one, Drawing{Size: 200})); !strings.Contains(svg, `"M188.0 188.0h0"`) {
		t.Errorf("%s", svg)
	}
}

// Names of groups do not lie on one another.
func TestLabels(t *testing.T) {
	names := []string{"first", "second", "third"}
	at := [][]float64{{100, 100, 100}, {100, 101}, {102}}
	all := labels(names, at, at, 720)
	for i, a := range all {
		for _, b := range all[:i] {
			if d := a.y - b.y; d < 12 && d > -12 {
				t.Errorf("%s at %v, %s at %v", a.name, a.y, b.name, b.y)
			}
		}
	}
	if all[0].name != "first" || all[0].y != 100 {
		t.Errorf("the largest group's name was moved: %v", all[0])
	}
}

func TestParts(t *testing.T) {
	m, sheets := fixture()
	folder := filepath.Join(t.TempDir(), "map")
	m.Points[7].Name = "<b>.png"
	if err := m.Write(folder, sheets); err != nil {
		t.Fatal(err)
	}
	p := m.Pictures(folder)
	wall, err := Wall(m, p, []int{0, 1}, 5)
	if err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(string(wall), "<img"); n != 2*(1+5+5) {
		t.Errorf("%d pictures on the wall", n)
	}
	// The neighbours now are all of the class, those before of all classes in turn.
	if n := strings.Count(string(wall), `class="same"`); n < 10 || n > 14 {
		t.Errorf("%d neighbours have the class of their point", n)
	}
	if strings.Contains(string(wall), "<b>.png") || !strings.Contains(string(wall), "&lt;b&gt;.png") {
		t.Error("a name stands in the page as it is")
	}
	clusters, err := Clusters(m, p, 4)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"Cluster 6", "40 images, 100% red"} {
		if !strings.Contains(string(clusters), want) {
			t.Errorf("clusters without %q", want)
		}
	}
	duplicates, err := Duplicates(m, p, 1)
	if n := strings.Count(string(duplicates), "<img"); err != nil || n != 3 {
		t.Errorf("%d pictures of duplicates, %v", n, err)
	}
	outliers, err := Outliers(m, p, 2)
	want := fmt.Sprintf("<p>%.2f<br>magenta/005.png (magenta)", m.Points[5].Outlier)
	if n := strings.Count(string(outliers), "<img"); err != nil || n != 2 || !strings.Contains(string(outliers), want) {
		t.Errorf("%d pictures of outliers, %v: %s", n, err, outliers)
	}
	if now, before, ok := m.Agreement(); !ok || now != 1 || before < 0.1 || before > 0.3 {
		t.Errorf("agreement %v before %v, %v", now, before, ok)
	}
	if !strings.Contains(string(Style), ".atlas-wall") {
		t.Error("no style")
	}
}

// Every point's picture is its own, from any sheet.
func TestPictures(t *testing.T) {
	m, sheets := fixture()
	folder := t.TempDir()
	if err := m.Write(folder, sheets); err != nil {
		t.Fatal(err)
	}
	p := m.Pictures(folder)
	for i, primary := range map[int]int{0: 0, 122: 1, 124: 2, 238: 2} { // red, green, blue
		i = i / 6 * 6
		i += []int{0, 2, 4}[primary]
		url, err := p.URL(i)
		if err != nil {
			t.Fatal(err)
		}
		b, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(string(url), "data:image/jpeg;base64,"))
		if err != nil {
			t.Fatal(err)
		}
		im, err := jpeg.Decode(bytes.NewReader(b))
		if err != nil {
			t.Fatal(err)
		}
		if im.Bounds() != image.Rect(0, 0, 32, 32) {
			t.Errorf("a picture of %v", im.Bounds())
		}
		c := color.RGBAModel.Convert(im.At(28, 28)).(color.RGBA)
		rgb := []uint8{c.R, c.G, c.B}
		for j, v := range rgb {
			if v > 60 && j != primary || v < 150 && j == primary {
				t.Errorf("point %d is %v", i, c)
			}
		}
	}
	// Sheets that are gone, damaged or of another size are errors.
	for name, spoil := range map[string]func(path string) error{
		"cannot be read": os.Remove,
		"damaged":        func(path string) error { return os.WriteFile(path, sheets[0][:40], 0o666) },
		"32 × 32 pixels, not 384 × 320": func(path string) error {
			var b bytes.Buffer
			err := jpeg.Encode(&b, image.NewRGBA(image.Rect(0, 0, 32, 32)), nil)
			return errors.Join(err, os.WriteFile(path, b.Bytes(), 0o666))
		},
	} {
		if err := m.Write(folder, sheets); err != nil {
			t.Fatal(err)
		}
		if err := spoil(filepath.Join(folder, m.Sheets.Files[0])); err != nil {
			t.Fatal(err)
		}
		if _, err := m.Pictures(folder).URL(3); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%v, want %s", err, name)
		}
	}
}

// A page holds the map whole, refers to nothing beside it, and stays below its size by leaving
// pictures out, which it says.
func TestPage(t *testing.T) {
	m, sheets := fixture()
	m.Classes[2] = "</script><b>"
	folder := t.TempDir()
	if err := m.Write(folder, sheets); err != nil {
		t.Fatal(err)
	}
	page, notes, err := Page(m, m.Pictures(folder))
	if err != nil {
		t.Fatal(err)
	}
	html := string(page)
	for _, w := range []string{Mark, "What the encoder sees in squares", "Note: the map shows 240 of 1200 images",
		`"pictures":240,"columns":16,"side":32`, "100% of the nearest 8", "Cluster 6", "<h2>Outliers</h2>"} {
		if !strings.Contains(html, w) {
			t.Errorf("no %q", w)
		}
	}
	for _, w := range []string{"http:", "https:", "</script><b>", " src=\"thumbs", "ZgotmplZ"} {
		if strings.Contains(html, w) {
			t.Errorf("there is %q", w)
		}
	}
	if n := strings.Count(html, "</script>"); n != 2 || len(notes) > 0 {
		t.Errorf("%d ends of scripts, notes %v", n, notes)
	}
	d := m.drawn()
	for _, room := range []int{40_000, 12_000} {
		b, err := m.sprite(m.Pictures(folder), d, room)
		if err != nil || len(b) > room || d.Pictures >= 240 || d.Pictures < 10 {
			t.Errorf("%d bytes of %d pictures in room for %d, %v", len(b), d.Pictures, room, err)
		}
	}
	m.Sheets = Sheets{}
	if page, _, err := Page(m, m.Pictures(folder)); err != nil || !bytes.Contains(page, []byte(`"pictures":0`)) {
		t.Errorf("without pictures: %v", err)
	}
}
