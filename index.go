package vicreg

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"

	"vicreg/internal/dataset"
	"vicreg/internal/index"
	"vicreg/internal/pretrained"
	"vicreg/internal/show"
)

// Index holds the representations of many images, to be searched for the nearest: in a
// file, of which a search reads what it needs, or in memory. Any number of goroutines may
// search it.
type Index struct {
	Bad   []string // images that could not be read when IndexData made it, each with its reason
	Notes []string // what of the data was left out or guessed then, a sentence each

	file     *index.File
	pictures index.Pictures
}

// indexOf is a file with what finds its images again.
func indexOf(f *index.File) *Index { return &Index{file: f, pictures: index.Pictures{Index: f}} }

// IndexInfo describes an index.
type IndexInfo struct {
	Path     string  // of its file; empty: in memory
	Model    string  // path of the model that made it, as it was then
	Weights  string  // checksum of that model's weights
	Dataset  string  // name of the data
	Images   int     // images that can be found
	Features int     // values of a representation
	Lists    int     // groups that the images lie in; 0: every search is exact
	Probe    int     // groups that a search reads unless told otherwise
	Recall   float64 // share of the ten nearest found so, of images held back when it was made
}

// IndexOptions say how IndexData embeds, and what index it makes. The zero value is what
// is usual.
type IndexOptions struct {
	// Lists groups the images around so many centroids, of which a search reads the nearest
	// alone: faster for hundreds of thousands of images, at the price of missing some. As
	// many groups are read as find 95% of the ten nearest. The square root of the number
	// of images, up to four times that, is usual. 0: every search is exact.
	Lists int

	Batch     int    // as EmbedOptions.Batch
	Precision string // as EmbedOptions.Precision
	Workers   int    // as EmbedOptions.Workers
	Device    string // as EmbedOptions.Device

	// Progress is told how many images are done; may be nil.
	Progress func(done, total int)
	// Phase is told before what takes long besides embedding; may be nil.
	Phase func(what string)
}

// phase returns what is told before what takes long.
func (o *IndexOptions) phase() func(string) {
	if o.Phase == nil {
		return func(string) {}
	}
	return o.Phase
}

// SearchOptions say what to search for.
type SearchOptions struct {
	K     int // how many of the nearest, at most 1000; 0: 12
	Probe int // groups to read of an index with lists; 0: IndexInfo.Probe; all of them: exact
}

// Match is an image that was found.
type Match struct {
	Item   int     // its place in the index, from 0
	Name   string  // below the folder of the data
	File   string  // its path; empty: it is in no file of its own
	Class  string  // its label; empty: none
	Cosine float32 // of the angle to the query, from -1 to 1
}

// chunk is how many batches are embedded between two writes.
const chunk = 32

// IndexData embeds every image of a data set and writes the representations to a new
// index at path, in place of what is there; an empty path keeps it in memory. Without
// lists no more than a few batches are in memory at a time. Data and errors are those of
// [Model.EmbedData]. Close the index when it is no longer needed.
func (m *Model) IndexData(ctx context.Context, path string, d Data, o IndexOptions) (*Index, error) {
	if err := m.errImages(); err != nil {
		return nil, err
	}
	if o.Lists < 0 {
		return nil, fmt.Errorf("an index of %d lists", o.Lists)
	}
	e, err := m.embedder(EmbedOptions{Batch: o.Batch, Precision: o.Precision, Workers: o.Workers, Device: o.Device})
	if err != nil {
		return nil, err
	}
	all, err := dataset.OpenAll(d.Source, dataset.Options{Labels: d.Labels})
	if err != nil {
		return nil, err
	}
	all.Limit(d.Limit)
	s, bad, err := m.source(ctx, all, d, o.Workers, nil, "")
	if err != nil {
		return nil, err
	}
	meta, items, err := m.contents(all, d, o)
	if err != nil {
		return nil, err
	}
	n := len(items)
	var add func([]float32) error
	var whole []float32
	var w *index.Writer
	if path == "" {
		whole = make([]float32, 0, n*e.Dim())
		add = func(x []float32) error { whole = append(whole, x...); return nil }
	} else {
		if w, err = index.Create(path, meta, n, e.Dim(), o.Lists); err != nil {
			return nil, err
		}
		defer w.Abort()
		add = w.Add
	}
	done := 0
	if o.Progress != nil {
		e.Progress = func(part, _ int) { o.Progress(done+part, n) }
	}
	places := make([]int, n)
	for i := range places {
		places[i] = i
	}
	for part := range slices.Chunk(places, chunk*min(e.Batch, max(1, n))) {
		x, err := e.Embed(ctx, e.Images(s, part))
		if err == nil {
			err = add(x)
		}
		if err != nil {
			return nil, err
		}
		done += len(part)
	}
	var f *index.File
	if path == "" {
		f = index.Of(meta, items, whole, e.Dim())
	} else if f, err = w.Close(ctx, items, o.phase()); err != nil {
		return nil, err
	}
	x := indexOf(f)
	x.Bad, x.Notes = bad, m.notes(all.Notes)
	return x, nil
}

// contents is what an index says beside features.
func (m *Model) contents(all *dataset.Dataset, d Data, o IndexOptions) (meta index.Meta, items []index.Item,
	err error) {
	meta = index.Meta{Model: describe(m.file), Dataset: all.Name, Source: d.Source, Classes: all.Classes}
	meta.Model.Precision = o.Precision
	if place := dataset.Place(d.Source); place != "" {
		if meta.Source, err = dataset.Absolute(place); err != nil {
			return meta, nil, err
		}
		meta.Root = meta.Source
	}
	for _, i := range all.Items {
		item := index.Item{Name: i.Name, Label: i.Label}
		if i.Path != "" {
			file, err := filepath.Abs(i.Path)
			if err != nil {
				return meta, nil, err
			}
			if rel, err := filepath.Rel(meta.Root, file); err == nil && filepath.IsLocal(rel) {
				file = rel
			}
			if item.File = filepath.ToSlash(file); item.File == item.Name {
				item.File = "."
			}
		}
		items = append(items, item)
	}
	return meta, items, nil
}

// describe is a model as an index knows it.
func describe(f *pretrained.Model) index.Model {
	return index.Model{Path: f.Path, Sum: f.Weights(), Method: f.Method, Arch: f.Meta.Encoder.Arch, Size: f.Size,
		Channels: f.Channels(), Mean: f.Mean, Std: f.Std}
}

// OpenIndex opens an index that [Model.IndexData] or vicreg index wrote. Its table of
// contents is checked whole, features each time they are read. Close it when it is no
// longer needed.
func OpenIndex(path string) (*Index, error) {
	f, err := index.Open(path)
	if err != nil {
		return nil, err
	}
	return indexOf(f), nil
}

// Close closes the file of the index, if it has one.
func (x *Index) Close() error { return x.file.Close() }

// Info describes the index.
func (x *Index) Info() IndexInfo {
	f := x.file
	return IndexInfo{Path: f.Path, Model: f.Model.Path, Weights: f.Model.Sum, Dataset: f.Dataset,
		Images: len(f.Items), Features: f.D, Lists: f.Lists, Probe: f.Probe, Recall: f.Recall}
}

// Suits returns an error if an index was made by another model than m: features of the
// two cannot be compared.
func (m *Model) Suits(x *Index) error {
	own := describe(m.file)
	if what := own.Differs(&x.file.Model); what != "" {
		return fmt.Errorf("%s was made with another model (%s) than %s: %s; name that model, or make the index anew with this one",
			show.Name(x.file.Path), show.Name(x.file.Model.Path), show.Name(m.file.Path), what)
	}
	return nil
}

// Search returns the nearest images of each query by cosine, the nearest first; of equal
// ones the earlier in the index. Queries are representations of the model that made the
// index (see [Model.Suits]), of any length. A query gives the same bits alone and among
// others.
func (x *Index) Search(ctx context.Context, queries [][]float32, o SearchOptions) ([][]Match, error) {
	f := x.file
	if o.K == 0 {
		o.K = 12
	}
	if o.K < 1 || o.K > index.MostNearest || o.Probe < 0 {
		return nil, fmt.Errorf("a search for %d images in %d lists: there must be from 1 to %d images, and 0 or more lists",
			o.K, o.Probe, index.MostNearest)
	}
	flat := make([]float32, 0, len(queries)*f.D)
	for i, q := range queries {
		if len(q) != f.D {
			return nil, fmt.Errorf("query %d has %d values, but the index is of %d", i, len(q), f.D)
		}
		for j, v := range q {
			if v-v != 0 {
				return nil, fmt.Errorf("number %d of query %d is %v", j+1, i, v)
			}
		}
		flat = append(flat, q...)
	}
	found, err := f.Search(ctx, flat, index.Options{K: o.K, Probe: o.Probe})
	if err != nil {
		return nil, err
	}
	out := make([][]Match, len(found))
	for i, all := range found {
		for _, m := range all {
			out[i] = append(out[i], Match{Item: m.Item, Name: f.Items[m.Item].Name, File: f.FileOf(m.Item),
				Class: f.Class(m.Item), Cosine: m.Cosine})
		}
	}
	return out, nil
}

// At returns the place in the index of the image whose file is at path, or -1.
func (x *Index) At(path string) int { return x.file.At(path) }

// Thumbnail returns an image of the index as a JPEG file, neither side longer than size
// pixels. It reads the image where it was when the index was made; one that is no longer
// there is an error.
func (x *Index) Thumbnail(item, size int) ([]byte, error) {
	if item < 0 || item >= len(x.file.Items) || size < 1 {
		return nil, fmt.Errorf("there is no image %d of %d pixels among %d", item, size, len(x.file.Items))
	}
	m, err := x.pictures.Image(item)
	if err != nil {
		return nil, err
	}
	return index.Thumbnail(m, size)
}
