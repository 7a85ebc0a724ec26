package atlas

import (
	"bytes"
	_ "embed"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"html/template"
	"image"
	"image/jpeg"
	"math"
	"slices"

	"golang.org/x/image/draw"

	"vicreg/internal/show"
)

var (
	//go:embed page.html
	pageText string
	//go:embed page.css
	pageStyle template.CSS
	//go:embed page.js
	pageScript template.JS

	page = template.Must(template.New("page").Parse(pageText))
)

// Mark is in every page that [Page] makes.
const Mark = `<meta name="generator" content="vicreg map">`

// A page holds less than mostPage bytes: what is on it besides the pictures of points, which
// get the rest and of which each is at most pointSide pixels wide.
const (
	mostPage  = 4_900_000
	pointSide = 40
)

// What a page shows at most.
const (
	pageWalls      = 10
	pageNeighbours = 8
	pageExamples   = 8
	pageDuplicates = 24
)

// drawn is what the script on a page knows. Places are in thousandths.
type drawn struct {
	Names    []string `json:"names"`
	TSNE     []int    `json:"tsne"`
	PCA      []int    `json:"pca"`
	Class    []int    `json:"class,omitempty"`
	Cluster  []int    `json:"cluster"`
	Near     []int    `json:"near"`
	K        int      `json:"k"`
	Classes  []string `json:"classes"`
	Clusters int      `json:"clusters"`
	Palette  []string `json:"palette"`
	Pictures int      `json:"pictures"` // of points that are spread evenly
	Columns  int      `json:"columns"`
	Side     int      `json:"side"`
}

// Page returns a map as one HTML page that needs nothing beside it, under 5 MB, with what had
// to be left out for that, a sentence each.
func Page(m *Map, p *Pictures) (html []byte, notes []string, err error) {
	var v struct {
		Title, Model, About               string
		Mark, Outliers, Clusters, Doubles template.HTML
		Wall                              template.HTML
		Style, Parts                      template.CSS
		Script                            template.JS
		Data, Sprite                      template.JS
		ByClass, Pictures                 bool
		Duplicates                        int
		Same                              string
		Notes                             []string
		VarianceX, VarianceY              string
	}
	v.Mark, v.Style, v.Parts, v.Script = Mark, pageStyle, Style, pageScript
	v.Title = show.Line(m.Dataset)
	v.Model = show.Name(m.Model)
	v.About = fmt.Sprintf("%s by %s", show.Count(len(m.Points), "image"), show.Line(m.Arch))
	if m.Method != "" {
		v.About += ", trained with " + show.Line(m.Method)
	}
	v.ByClass, v.Pictures, v.Duplicates = len(m.Classes) > 0, len(m.Sheets.Files) > 0, len(m.Duplicates)
	v.VarianceX, v.VarianceY = percent(m.Variance[0]), percent(m.Variance[1])
	if now, before, ok := m.Agreement(); ok {
		v.Same = fmt.Sprintf("Over the whole map, %s of the nearest %d have the label of their image; "+
			"with the untrained encoder it was %s.", percent(float32(now)), len(m.Points[0].Neighbours), percent(float32(before)))
	}
	if v.Wall, err = Wall(m, p, m.Some(pageWalls), pageNeighbours); err != nil {
		return nil, nil, err
	}
	if v.Clusters, err = Clusters(m, p, pageExamples); err != nil {
		return nil, nil, err
	}
	if v.Doubles, err = Duplicates(m, p, pageDuplicates); err != nil {
		return nil, nil, err
	}
	if v.Outliers, err = Outliers(m, p, len(m.Outliers)); err != nil {
		return nil, nil, err
	}
	if n := len(m.Duplicates); n > pageDuplicates {
		notes = append(notes, fmt.Sprintf("the page shows %d of %d groups of duplicates", pageDuplicates, n))
	}
	d := m.drawn()
	raw, err := json.Marshal(d)
	if err != nil {
		return nil, nil, err
	}
	var b bytes.Buffer
	v.Data = template.JS(raw)
	if err := page.Execute(&b, &v); err != nil {
		return nil, nil, err
	}
	if v.Pictures {
		sprite, err := m.sprite(p, d, (mostPage-b.Len())*3/4)
		if err != nil {
			return nil, nil, err
		}
		if d.Pictures < len(m.Points) {
			notes = append(notes, fmt.Sprintf("the page holds the pictures of %d of %d points, spread evenly, "+
				"to stay under 5 MB", d.Pictures, len(m.Points)))
		}
		v.Sprite = template.JS(base64.StdEncoding.EncodeToString(sprite))
	}
	v.Notes = slices.Concat(m.Note, notes)
	if raw, err = json.Marshal(d); err != nil {
		return nil, nil, err
	}
	v.Data = template.JS(raw)
	b.Reset()
	if err := page.Execute(&b, &v); err != nil {
		return nil, nil, err
	}
	return b.Bytes(), notes, nil
}

func percent(share float32) string { return fmt.Sprintf("%.0f%%", 100*share) }

// drawn returns what the script knows, without pictures.
func (m *Map) drawn() *drawn {
	const near = 6
	d := &drawn{Clusters: len(m.Clusters), Palette: Palette, Classes: []string{}}
	for _, c := range m.Classes {
		d.Classes = append(d.Classes, show.Line(c))
	}
	thousandths := func(at [2]float32) []int {
		return []int{int(math.Round(1000 * float64(at[0]))), int(math.Round(1000 * float64(at[1])))}
	}
	for i := range m.Points {
		p := &m.Points[i]
		name := []rune(show.Name(p.Name))
		if most := 80; len(name) > most {
			name = append([]rune("…"), name[len(name)-most+1:]...)
		}
		d.Names = append(d.Names, string(name))
		d.TSNE = append(d.TSNE, thousandths(p.TSNE)...)
		d.PCA = append(d.PCA, thousandths(p.PCA)...)
		if len(m.Classes) > 0 {
			d.Class = append(d.Class, p.Class)
		}
		d.Cluster = append(d.Cluster, p.Cluster)
		d.K = min(near, len(p.Neighbours))
		d.Near = append(d.Near, p.Neighbours[:d.K]...)
	}
	return d
}

// sprite makes one JPEG file of the pictures of as many points as room allows, and says in d
// which and how they lie.
func (m *Map) sprite(p *Pictures, d *drawn, room int) ([]byte, error) {
	n := len(m.Points)
	d.Side = min(pointSide, m.Sheets.Side)
	for count := min(n, max(1, room/200)); ; count = count * 3 / 4 {
		b, err := m.some(p, d, count)
		if err != nil || len(b) <= room || count <= 1 {
			return b, err
		}
		count = min(count, count*room/len(b)*4/3+1) // the size is about the number's
	}
}

// some is sprite of so many points.
func (m *Map) some(p *Pictures, d *drawn, count int) ([]byte, error) {
	d.Pictures, d.Columns = count, int(math.Ceil(math.Sqrt(float64(count))))
	rows := (count + d.Columns - 1) / d.Columns
	all := image.NewRGBA(image.Rect(0, 0, d.Columns*d.Side, rows*d.Side))
	for s := range count {
		from, err := p.Image(s * len(m.Points) / count)
		if err != nil {
			return nil, err
		}
		x, y := s%d.Columns*d.Side, s/d.Columns*d.Side
		draw.ApproxBiLinear.Scale(all, image.Rect(x, y, x+d.Side, y+d.Side), from, from.Bounds(), draw.Src, nil)
	}
	var b bytes.Buffer
	err := jpeg.Encode(&b, all, &jpeg.Options{Quality: 72})
	return b.Bytes(), err
}
