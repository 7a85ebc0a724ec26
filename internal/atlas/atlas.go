// Package atlas is what an encoder sees in a data set: a map of its images in the plane,
// the nearest neighbours of each with the encoder as it is and untrained, clusters,
// duplicates and outliers. [Make] computes it from features; [Map.Write] keeps it in a folder
// with thumbnails, from which [Read] takes it again. Package atlas knows no models.
package atlas

import (
	"fmt"
	"path/filepath"

	"vicreg/internal/show"
)

// MostPoints is how many images a map shows at most.
const MostPoints = 20_000

// Names of what is in the folder of a map, and of that folder in a run's.
const (
	Folder   = "map"
	FileName = "map.json"
	// SheetName is a name that a sheet of pictures may have.
	SheetName = "thumbs-00000000-0.jpg"
)

// Map is what an encoder sees in some images of a data set.
type Map struct {
	Model   string // path of its file, as it was then
	Weights string // checksum of its weights
	Method  string // that trained it
	Arch    string // of the encoder
	Epochs  int    // of the run, 0: unknown
	Dataset string // its name
	Images  int    // of the data set; the map has Points of them, spread evenly

	Points   []Point
	Classes  []string // names of the labels; empty: there are none
	Clusters []Cluster
	Sheets   Sheets // thumbnails of all points, in their order

	// Variance is the share of the variance of features that each of Point.PCA's two
	// directions has.
	Variance [2]float32

	Duplicates [][]int // groups of points that show the same image, the largest first
	Outliers   []int   // the points that lie farthest from others, the farthest first
	Note       []string
}

// Point is one image.
type Point struct {
	Name           string     // below the folder of the data
	PCA, TSNE      [2]float32 // its places in two maps, at most 1 from the middle
	Class, Cluster int        // indexes into Map's; -1: none

	// Outlier is how far the image lies from others: 1 less the mean cosine of its Neighbours.
	Outlier float32

	// Neighbours are the points that are nearest by cosine, the nearest first; Before those
	// with the encoder untrained, none if that is unknown.
	Neighbours, Before []int
}

// Cluster is a group of points that lie in one direction.
type Cluster struct {
	Size     int
	Cosine   float32 // mean, of its points and their centre
	Examples []int   // points nearest to the centre, the nearest first
}

// Sheets are JPEG files of thumbnails: Columns × Rows squares of Side pixels each, of which
// the first is at the upper left and the second to the right of it.
type Sheets struct {
	Side, Columns, Rows int
	Files               []string // names in the folder of the map
}

// Thumb returns where a point's thumbnail is: its sheet, an index into Files, and the pixel
// in it of its upper left corner.
func (s *Sheets) Thumb(point int) (sheet, x, y int) {
	each := s.Columns * s.Rows
	at := point % each
	return point / each, at % s.Columns * s.Side, at / s.Columns * s.Side
}

// check returns what is wrong with a map, "" if nothing.
func (m *Map) check() string {
	n := len(m.Points)
	points := func(all []int) bool {
		for _, p := range all {
			if p < 0 || p >= n {
				return false
			}
		}
		return true
	}
	switch {
	case n == 0 || n > MostPoints:
		return fmt.Sprintf("it has %s", show.Count(n, "point"))
	case m.Images < n:
		return fmt.Sprintf("it has %d points of %s", n, show.Count(m.Images, "image"))
	case !points(m.Outliers):
		return "an outlier is no point of it"
	}
	for i := range m.Points {
		p := &m.Points[i]
		switch {
		case p.Class < -1 || p.Class >= len(m.Classes):
			return fmt.Sprintf("point %d is of class %d of %d", i, p.Class, len(m.Classes))
		case p.Cluster < -1 || p.Cluster >= len(m.Clusters):
			return fmt.Sprintf("point %d is in cluster %d of %d", i, p.Cluster, len(m.Clusters))
		case !points(p.Neighbours) || !points(p.Before):
			return fmt.Sprintf("a neighbour of point %d is no point of it", i)
		}
	}
	for i, c := range m.Clusters {
		if c.Size < 0 || c.Size > n || !points(c.Examples) {
			return fmt.Sprintf("cluster %d is not of its points", i)
		}
	}
	for _, d := range m.Duplicates {
		if len(d) < 2 || !points(d) {
			return "duplicates are not of its points"
		}
	}
	return m.Sheets.check(n)
}

// check returns what is wrong with the sheets of n points, "" if nothing.
func (s *Sheets) check(n int) string {
	if len(s.Files) == 0 {
		return ""
	}
	if s.Side < 1 || s.Side > 512 || s.Columns < 1 || s.Columns > 256 || s.Rows < 1 || s.Rows > 256 {
		return fmt.Sprintf("its sheets are of %d × %d pictures of %d pixels", s.Columns, s.Rows, s.Side)
	}
	if each := s.Columns * s.Rows; len(s.Files) != (n+each-1)/each {
		return fmt.Sprintf("it has %s of %d pictures for %d points", show.Count(len(s.Files), "sheet"), each, n)
	}
	for _, f := range s.Files {
		if !isSheet(f) {
			return fmt.Sprintf("%s is no name of a sheet", show.Name(f))
		}
	}
	return ""
}

// isSheet reports whether a name is one of those that [Map.Write] gives to sheets.
func isSheet(name string) bool {
	ok, _ := filepath.Match("thumbs-[0-9a-f]*-[0-9]*.jpg", name)
	for _, r := range name {
		if r == '/' || r == '\\' || r == ':' || r < ' ' || r > '~' {
			return false
		}
	}
	return ok && len(name) <= 40
}
