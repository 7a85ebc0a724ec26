package atlas

import (
	"encoding/json"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"strconv"

	"vicreg/internal/durable"
	"vicreg/internal/show"
)

// mark is the value of "format" in every map.json.
const mark = "vicreg map 1"

// mostBytes is how long a map.json may be.
const mostBytes = 64 << 20

// file is map.json: what points have in common stands in columns, two numbers or so many
// neighbours a point one after the other.
type file struct {
	Format     string       `json:"format"`
	Model      string       `json:"model"`
	Weights    string       `json:"weights"`
	Method     string       `json:"method,omitempty"`
	Arch       string       `json:"arch,omitempty"`
	Epochs     int          `json:"epochs,omitempty"`
	Dataset    string       `json:"dataset"`
	Images     int          `json:"images"`
	Notes      []string     `json:"notes,omitempty"`
	Classes    []string     `json:"classes,omitempty"`
	Clusters   []clusterRow `json:"clusters,omitempty"`
	Sheets     sheets       `json:"sheets"`
	Variance   [2]rounded   `json:"variance"`
	Duplicates [][]int      `json:"duplicates,omitempty"`
	Outliers   []int        `json:"outliers,omitempty"`
	Points     pointColumns `json:"points"`
}

type clusterRow struct {
	Size     int     `json:"size"`
	Cosine   rounded `json:"cosine"`
	Examples []int   `json:"examples"`
}

type sheets struct {
	Side    int      `json:"side"`
	Columns int      `json:"columns"`
	Rows    int      `json:"rows"`
	Files   []string `json:"files"`
}

type pointColumns struct {
	Names      []string  `json:"names"`
	PCA        []rounded `json:"pca"`
	TSNE       []rounded `json:"tsne"`
	Class      []int     `json:"class,omitempty"`
	Cluster    []int     `json:"cluster,omitempty"`
	Outlier    []rounded `json:"outlier"`
	K          int       `json:"k"` // neighbours of each
	Neighbours []int     `json:"neighbours,omitempty"`
	Before     []int     `json:"before,omitempty"`
}

// rounded is a number of which four decimals are written.
type rounded float32

func (r rounded) MarshalJSON() ([]byte, error) {
	v := math.Round(float64(r)*1e4) / 1e4
	return strconv.AppendFloat(nil, v+0, 'f', -1, 64), nil // + 0: no -0
}

// Read takes a map from its folder. It does not look at the sheets. A folder that holds no
// map is an error that matches fs.ErrNotExist.
func Read(folder string) (*Map, error) {
	path := filepath.Join(folder, FileName)
	f, err := durable.OpenRegular(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%s holds no map: %w", show.Name(folder), fs.ErrNotExist)
	}
	if err != nil {
		return nil, fmt.Errorf("%s cannot be read: %w", show.Name(path), durable.Reason(err))
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, mostBytes+1))
	if err != nil {
		return nil, fmt.Errorf("%s cannot be read: %w", show.Name(path), durable.Reason(err))
	}
	m, what := parse(b)
	if what != "" {
		return nil, fmt.Errorf("%s is no map that can be shown: %s; make it anew with vicreg map", show.Name(path), what)
	}
	return m, nil
}

// Is reports whether a file is a map.json, whole or damaged.
func Is(path string) bool { return durable.Begins(path, `{"format":"`+mark[:len(mark)-1]) }

// parse returns a map, or what is wrong with it.
func parse(b []byte) (*Map, string) {
	if len(b) > mostBytes {
		return nil, fmt.Sprintf("it is larger than %d MiB", mostBytes>>20)
	}
	var f file
	if err := json.Unmarshal(b, &f); err != nil {
		return nil, "it is damaged"
	}
	if f.Format != mark {
		return nil, "it is of another version"
	}
	p := &f.Points
	n, k := len(p.Names), p.K
	switch {
	case n > MostPoints:
		return nil, fmt.Sprintf("it has %d points", n)
	case k < 0 || k > 100:
		return nil, fmt.Sprintf("its points have %d neighbours", k)
	case len(p.PCA) != 2*n || len(p.TSNE) != 2*n || len(p.Outlier) != n || !is(p.Class, n) || !is(p.Cluster, n) ||
		!is(p.Neighbours, n*k) || !is(p.Before, n*k):
		return nil, "its columns are not of one length"
	}
	m := &Map{Model: f.Model, Weights: f.Weights, Method: f.Method, Arch: f.Arch, Epochs: f.Epochs, Dataset: f.Dataset,
		Images: f.Images, Classes: f.Classes, Duplicates: f.Duplicates, Outliers: f.Outliers, Note: f.Notes,
		Sheets: Sheets(f.Sheets), Variance: pair(f.Variance[:]), Points: make([]Point, n)}
	for _, c := range f.Clusters {
		m.Clusters = append(m.Clusters, Cluster{c.Size, float32(c.Cosine), c.Examples})
	}
	for i := range m.Points {
		q := Point{Name: p.Names[i], PCA: pair(p.PCA[2*i:]), TSNE: pair(p.TSNE[2*i:]), Class: -1, Cluster: -1,
			Outlier: float32(p.Outlier[i]), Neighbours: row(p.Neighbours, i, k), Before: row(p.Before, i, k)}
		if p.Class != nil {
			q.Class = p.Class[i]
		}
		if p.Cluster != nil {
			q.Cluster = p.Cluster[i]
		}
		m.Points[i] = q
	}
	return m, m.check()
}

// is reports whether a column has n values, or is not there.
func is(column []int, n int) bool { return column == nil || len(column) == n }

func pair(x []rounded) [2]float32 { return [2]float32{float32(x[0]), float32(x[1])} }

// row is what a column of k values a point holds of one.
func row(column []int, i, k int) []int {
	if column == nil {
		return nil
	}
	return column[i*k : (i+1)*k : (i+1)*k]
}

// encode is the inverse of parse.
func (m *Map) encode() []byte {
	f := file{Format: mark, Model: m.Model, Weights: m.Weights, Method: m.Method, Arch: m.Arch, Epochs: m.Epochs,
		Dataset: m.Dataset, Images: m.Images, Notes: m.Note, Classes: m.Classes, Sheets: sheets(m.Sheets),
		Variance: [2]rounded{rounded(m.Variance[0]), rounded(m.Variance[1])}, Duplicates: m.Duplicates,
		Outliers: m.Outliers}
	for _, c := range m.Clusters {
		f.Clusters = append(f.Clusters, clusterRow{c.Size, rounded(c.Cosine), c.Examples})
	}
	q := &f.Points
	for i := range m.Points {
		p := &m.Points[i]
		q.Names = append(q.Names, p.Name)
		q.PCA = append(q.PCA, rounded(p.PCA[0]), rounded(p.PCA[1]))
		q.TSNE = append(q.TSNE, rounded(p.TSNE[0]), rounded(p.TSNE[1]))
		q.Outlier = append(q.Outlier, rounded(p.Outlier))
		if len(m.Classes) > 0 {
			q.Class = append(q.Class, p.Class)
		}
		if len(m.Clusters) > 0 {
			q.Cluster = append(q.Cluster, p.Cluster)
		}
		q.K = len(p.Neighbours)
		q.Neighbours = append(q.Neighbours, p.Neighbours...)
		q.Before = append(q.Before, p.Before...)
	}
	b, err := json.Marshal(&f)
	if err != nil {
		panic("atlas: " + err.Error())
	}
	return append(b, '\n')
}

// Write keeps a map in a folder, which it makes if it is not there, with the sheets of its
// thumbnails, whose names it sets. A map that is in the folder is there whole until this one
// is, as sheets of another content have other names.
func (m *Map) Write(folder string, sheets [][]byte) error {
	if err := os.MkdirAll(folder, 0o777); err != nil {
		return fmt.Errorf("the folder %s cannot be made: %w", show.Name(folder), durable.Reason(err))
	}
	h := fnv.New32a()
	for _, s := range sheets {
		h.Write(s)
	}
	m.Sheets.Files = nil
	for i := range sheets {
		m.Sheets.Files = append(m.Sheets.Files, fmt.Sprintf("thumbs-%08x-%d.jpg", h.Sum32(), i))
	}
	if what := m.check(); what != "" {
		panic("atlas: " + what)
	}
	for i, s := range sheets {
		path := filepath.Join(folder, m.Sheets.Files[i])
		if err := durable.WriteFile(path, s); err != nil {
			return fmt.Errorf("%s cannot be written: %w", show.Name(path), durable.Reason(err))
		}
	}
	path := filepath.Join(folder, FileName)
	if err := durable.WriteFile(path, m.encode()); err != nil {
		return fmt.Errorf("%s cannot be written: %w", show.Name(path), durable.Reason(err))
	}
	m.sweep(folder)
	return nil
}

// sweep removes the sheets of an earlier map. One that cannot be removed harms nobody.
func (m *Map) sweep(folder string) {
	own := map[string]bool{}
	for _, f := range m.Sheets.Files {
		own[f] = true
	}
	entries, _ := os.ReadDir(folder)
	for _, e := range entries {
		if e.Type().IsRegular() && isSheet(e.Name()) && !own[e.Name()] {
			os.Remove(filepath.Join(folder, e.Name()))
		}
	}
}
