package atlas

import (
	"bytes"
	_ "embed"
	"fmt"
	"html/template"

	"vicreg/internal/rng"
	"vicreg/internal/show"
)

//go:embed parts.html
var partsText string

var parts = template.Must(template.New("parts").Parse(partsText))

// Style is the style sheet of the parts that [Wall], [Clusters], [Duplicates] and [Outliers]
// make; a page has it once.
//
//go:embed parts.css
var Style template.CSS

// picture is a thumbnail with its name.
type picture struct {
	URL   template.URL
	Name  string
	Class string
	Same  bool // the class is that of the first of the row
	Score string
}

// picture returns a point's thumbnail.
func (m *Map) picture(p *Pictures, point int) (picture, error) {
	url, err := p.URL(point)
	at := &m.Points[point]
	out := picture{URL: url, Name: show.Name(at.Name)}
	if at.Class >= 0 {
		out.Class = show.Line(m.Classes[at.Class])
	}
	return out, err
}

// pictures returns those of many points, at most so many; where they have classes, those of
// class are marked.
func (m *Map) pictures(p *Pictures, points []int, most, class int) ([]picture, error) {
	var all []picture
	for _, i := range points[:min(most, len(points))] {
		one, err := m.picture(p, i)
		if err != nil {
			return nil, err
		}
		one.Same = class >= 0 && m.Points[i].Class == class
		all = append(all, one)
	}
	return all, nil
}

// part renders one of the templates.
func part(name string, data any) template.HTML {
	var b bytes.Buffer
	if err := parts.ExecuteTemplate(&b, name, data); err != nil {
		panic("atlas: " + err.Error())
	}
	return template.HTML(b.String())
}

// Some returns n points of a map, drawn at random, always the same ones.
func (m *Map) Some(n int) []int {
	r := rng.New(0, rng.Map, 0)
	return r.Perm(len(m.Points))[:min(n, len(m.Points))]
}

// Wall shows the nearest neighbours of some points, at most so many of each: those now, and
// below them those with the encoder untrained.
func Wall(m *Map, p *Pictures, points []int, neighbours int) (template.HTML, error) {
	type row struct {
		Point       picture
		Now, Before []picture
	}
	var rows []row
	for _, i := range points {
		at := &m.Points[i]
		var r row
		var err error
		if r.Point, err = m.picture(p, i); err != nil {
			return "", err
		}
		if r.Now, err = m.pictures(p, at.Neighbours, neighbours, at.Class); err != nil {
			return "", err
		}
		if r.Before, err = m.pictures(p, at.Before, neighbours, at.Class); err != nil {
			return "", err
		}
		rows = append(rows, r)
	}
	return part("wall", rows), nil
}

// Clusters shows the clusters of a map, the largest first, each with at most so many of the
// images nearest to its centre.
func Clusters(m *Map, p *Pictures, examples int) (template.HTML, error) {
	type group struct {
		Title, About string
		Pictures     []picture
	}
	var all []group
	for i, c := range m.Clusters {
		g := group{Title: fmt.Sprintf("Cluster %d", i+1), About: show.Count(c.Size, "image")}
		class, share := m.Mostly(i)
		if class >= 0 {
			g.About += fmt.Sprintf(", %.0f%% %s", 100*share, show.Line(m.Classes[class]))
		}
		var err error
		if g.Pictures, err = m.pictures(p, c.Examples, examples, class); err != nil {
			return "", err
		}
		all = append(all, g)
	}
	return part("groups", all), nil
}

// Mostly returns the most frequent class of a cluster and its share of the images there that
// have one, -1 if none has.
func (m *Map) Mostly(cluster int) (class int, share float64) {
	count, all := make([]int, len(m.Classes)), 0
	for i := range m.Points {
		if p := &m.Points[i]; p.Cluster == cluster && p.Class >= 0 {
			count[p.Class]++
			all++
		}
	}
	class = -1
	for c, n := range count {
		if n > 0 && (class < 0 || n > count[class]) {
			class = c
		}
	}
	if class < 0 {
		return -1, 0
	}
	return class, float64(count[class]) / float64(all)
}

// Duplicates shows the first groups of images that are alike.
func Duplicates(m *Map, p *Pictures, most int) (template.HTML, error) {
	var all [][]picture
	for _, d := range m.Duplicates[:min(most, len(m.Duplicates))] {
		group, err := m.pictures(p, d, 12, -1)
		if err != nil {
			return "", err
		}
		all = append(all, group)
	}
	return part("duplicates", all), nil
}

// Outliers shows the first images that lie far from all others.
func Outliers(m *Map, p *Pictures, most int) (template.HTML, error) {
	all, err := m.pictures(p, m.Outliers, most, -1)
	for i := range all {
		all[i].Score = fmt.Sprintf("%.2f", m.Points[m.Outliers[i]].Outlier)
	}
	return part("outliers", all), err
}

// Agreement is the share of neighbours that have the class of their point, now and with the
// encoder untrained; ok says whether there are classes and neighbours before.
func (m *Map) Agreement() (now, before float64, ok bool) {
	var same, all [2]int
	for i := range m.Points {
		p := &m.Points[i]
		for s, near := range [][]int{p.Neighbours, p.Before} {
			for _, j := range near {
				if c := m.Points[j].Class; c >= 0 && p.Class >= 0 {
					all[s]++
					if c == p.Class {
						same[s]++
					}
				}
			}
		}
	}
	if all[0] == 0 || all[1] == 0 {
		return 0, 0, false
	}
	return float64(same[0]) / float64(all[0]), float64(same[1]) / float64(all[1]), true
}
