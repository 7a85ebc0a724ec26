package vicreg

import (
	"context"
	"fmt"
	"slices"

	"vicreg/internal/atlas"
	"vicreg/internal/batch"
	"vicreg/internal/dataset"
	"vicreg/internal/pretrained"
	"vicreg/internal/show"
)

// MapInfo says what MapData found and wrote.
type MapInfo struct {
	Folder   string // that holds map.json and the thumbnails
	Dataset  string // name of the data
	Images   int    // of the data
	Points   int    // of them that the map shows
	Clusters int    // groups of images that lie in one direction

	Duplicates [][]string // names of images that show the same, the largest group first
	Outliers   []string   // names of the images that lie farthest from others, the farthest first

	Bad   []string // images that could not be read, each with its reason
	Notes []string // what of the data was left out or guessed, a sentence each
}

// MapOptions say how MapData draws a map. The zero value is what is usual.
type MapOptions struct {
	Points   int // images on the map, spread evenly over those of the data, at most 20,000; 0: 10,000
	Clusters int // 0: by the number of images, from 2 to 40

	Batch     int    // as EmbedOptions.Batch
	Precision string // as EmbedOptions.Precision
	Workers   int    // as EmbedOptions.Workers
	Device    string // as EmbedOptions.Device

	// Progress is told what is under way and how far that is; may be nil.
	Progress func(what string, done, total int)
}

// MapData writes to a folder what the encoder sees in the images of a data set: their places
// on two maps, the nearest neighbours of each with the encoder as it is and as it was before
// training, clusters, duplicates, outliers and thumbnails. A map that is in the folder stays
// whole until the new one is. Data and errors are those of [Model.EmbedData], and a map needs
// four images or more.
func (m *Model) MapData(ctx context.Context, folder string, d Data, o MapOptions) (*MapInfo, error) {
	if err := m.errImages(); err != nil {
		return nil, err
	}
	if o.Points == 0 {
		o.Points = 10_000
	}
	if o.Points < atlas.Fewest || o.Points > atlas.MostPoints || o.Clusters < 0 {
		return nil, fmt.Errorf("a map of %d images in %d clusters: there must be from %d to %d images, and 0 or more clusters",
			o.Points, o.Clusters, atlas.Fewest, atlas.MostPoints)
	}
	if o.Progress == nil {
		o.Progress = func(string, int, int) {}
	}
	all, err := dataset.OpenAll(d.Source, dataset.Options{Labels: d.Labels})
	if err != nil {
		return nil, err
	}
	all.Limit(d.Limit)
	images := len(all.Items)
	all.Limit(o.Points)
	so := m.file.SourceOptions(d.limits())
	so.Most = d.MaxBad
	if err := all.Choose(so.Limits.Bands); err != nil {
		return nil, err
	}
	source := batch.NewSource(all, so)
	found, err := source.Scan(ctx, batch.ScanOptions{Workers: o.Workers,
		Progress: func(done, total int) { o.Progress("looking at the images", done, total) }})
	if err != nil {
		return nil, err
	}
	n := len(all.Items)
	if n < atlas.Fewest {
		return nil, fmt.Errorf("%s has %s; a map needs %d or more", show.Name(d.Source), show.Count(n, "image"), atlas.Fewest)
	}
	e := m.file.Meta
	out := &atlas.Map{Model: m.file.Path, Weights: m.file.Weights(), Method: m.file.Method, Arch: e.Encoder.Arch,
		Epochs: m.file.Epochs, Dataset: all.Name, Images: images, Classes: all.Classes}
	for _, item := range all.Items {
		out.Points = append(out.Points, atlas.Point{Name: item.Name, Class: item.Label, Cluster: -1})
	}
	if n < images-len(found.Bad) {
		out.Note = append(out.Note, fmt.Sprintf("the map shows %d of %s, spread evenly", n, show.Count(images, "image")))
	}
	sights, gallery, err := m.sights(ctx, source, so, found, o)
	if err != nil {
		return nil, err
	}
	err = out.Make(ctx, sights[0], sights[1], m.file.Encoder.Dim(), gallery,
		atlas.Options{Clusters: o.Clusters, Progress: o.Progress})
	if err != nil {
		return nil, err
	}
	info := &MapInfo{Folder: folder, Dataset: all.Name, Images: images, Points: n, Clusters: len(out.Clusters),
		Notes: append(m.notes(all.Notes), out.Note...)}
	for _, b := range found.Bad {
		info.Bad = append(info.Bad, b.Err.Error())
	}
	names := func(points []int) (names []string) {
		for _, i := range points {
			names = append(names, out.Points[i].Name)
		}
		return names
	}
	for _, group := range out.Duplicates {
		info.Duplicates = append(info.Duplicates, names(group))
	}
	info.Outliers = names(out.Outliers)
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	return info, out.Write(folder, gallery.Sheets())
}

// partBytes is how much of decoded images a map keeps at a time, where all are too much.
const partBytes = 256 << 20

// sights are the features of all images of a source with the encoder and with the same one
// untrained, and their thumbnails. Where the source cannot keep all of them decoded, they are
// taken some at a time, so that none is decoded three times.
func (m *Model) sights(ctx context.Context, s *batch.Source, options batch.SourceOptions, found *batch.Report,
	o MapOptions) (x [2][]float32, g *atlas.Gallery, err error) {
	now, err := m.embedder(EmbedOptions{Batch: o.Batch, Precision: o.Precision, Workers: o.Workers, Device: o.Device})
	if err != nil {
		return x, nil, err
	}
	untrained, err := m.file.Untrained()
	if err != nil {
		return x, nil, err
	}
	before, free, err := now.Of(untrained)
	if err != nil {
		return x, nil, err
	}
	defer free()
	all := s.Data().Items
	n, largest := len(all), max(1, found.MaxW*found.MaxH*found.Bytes)
	part, whole := n, n <= batch.DefaultCache/largest
	if !whole {
		part = max(1, min(1024, partBytes/largest)/now.Batch) * now.Batch
		options.Cache = partBytes
	}
	g = atlas.NewGallery(n, min(found.MaxW, found.MaxH))
	done := 0
	for items := range slices.Chunk(all, part) {
		held := s
		if !whole {
			some := *s.Data()
			some.Items = items
			held = batch.NewSource(&some, options)
		}
		if err := g.Add(ctx, len(items), o.Workers, held.Image); err != nil {
			return x, nil, err
		}
		for i, e := range []*pretrained.Embedder{now, before} {
			e.Progress = func(some, of int) {
				o.Progress("embedding with the trained and the untrained encoder", 2*done+i*of+some, 2*n)
			}
			features, err := e.Embed(ctx, e.Images(held, nil))
			if err != nil {
				return x, nil, err
			}
			if x[i] == nil {
				x[i] = make([]float32, 0, n*e.Dim())
			}
			x[i] = append(x[i], features...)
		}
		done += len(items)
	}
	return x, g, nil
}
