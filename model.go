package vicreg

import (
	"context"
	"fmt"
	"image"
	"slices"

	"vicreg/internal/batch"
	"vicreg/internal/dataset"
	"vicreg/internal/imagefile"
	"vicreg/internal/kernel/shape"
	"vicreg/internal/model"
	"vicreg/internal/pretrained"
	"vicreg/internal/recipe"
)

// Model is a trained encoder with its expander, one branch of a run. A model of weights
// that came from elsewhere may have no expander. Any number of
// goroutines may use it at once, as the handlers of a server do, and each gets the bits
// that it would get alone: images are decoded and resized side by side, and go through the
// network one batch at a time, each batch on all processors (see [SetThreads]). The model
// keeps its weights as products read them, and the memory of the largest batch so far.
type Model struct{ file *pretrained.Model }

// Info describes a model.
type Info struct {
	Path       string    // of its file
	Method     string    // that trained it
	Arch       string    // as Encoder.Arch
	Width      int       // as Encoder.Width
	Stem       string    // as Encoder.Stem
	Channels   int       // 1 grey, 3 colour, another number of images that are no pictures; 0 of what is no image
	Size       int       // width and height of an input, in pixels
	Features   int       // values of a representation
	Embedding  int       // values of an embedding; 0 without an expander
	Expander   string    // as Config.Expander; empty: there is none
	Parameters int       // of the encoder
	Raw        bool      // it reads the values of files, not pixels from 0 to 1
	Bands      []int     // of the channels of files, from 1, those that it reads; nil: all
	Mean       []float64 // of each channel, that is subtracted from pixels from 0 to 1, or from values
	Std        []float64 // of each channel, that they are divided by
	Dataset    string    // name of the data it was trained on
	Images     int       // images, or pairs, it was trained on
	Epochs     int       // of the whole run
	Seed       uint64    // of the run
	Source     string    // the file of another project that the weights were taken from; empty: none
}

// Open loads the model of a run's folder, or a model.safetensors file that vicreg wrote.
// What is missing, damaged or no such model is an error, and so is one that takes more
// memory than there is.
func Open(path string) (*Model, error) { return OpenBranch(path, "a") }

// OpenBranch is Open for branch "a" or "b" of a run whose branches have weights
// of their own. Of pairs, a reads the first side and b the second.
func OpenBranch(path, branch string) (*Model, error) {
	i := slices.Index([]string{"a", "b"}, branch)
	if i < 0 {
		return nil, fmt.Errorf("unknown branch %q; known: a, b", branch)
	}
	file, err := pretrained.Open(path, i)
	if err != nil {
		return nil, err
	}
	return &Model{file}, nil
}

// Info describes the model.
func (m *Model) Info() Info {
	f := m.file
	e := f.Meta.Encoder
	info := Info{
		Path: f.Path, Method: f.Method, Arch: e.Arch, Width: e.Width, Stem: e.Stem, Channels: f.Channels(),
		Size: f.Size, Raw: f.Raw, Bands: slices.Clone(f.Bands),
		Features: f.Encoder.Dim(), Expander: f.Meta.Expander.Widths,
		Parameters: model.Count(f.Encoder.Params()), Mean: slices.Clone(f.Mean), Std: slices.Clone(f.Std),
		Dataset: f.Dataset, Images: f.Images, Epochs: f.Epochs, Seed: f.Seed,
	}
	if f.Expander != nil {
		info.Embedding = f.Expander.Dim()
	}
	if f.Source != nil {
		info.Source = f.Source.String()
	}
	return info
}

// errEmbedding says that a model makes no embeddings.
func (m *Model) errEmbedding() error {
	if m.file.Expander != nil {
		return nil
	}
	return fmt.Errorf("%s has no expander, so there are no embeddings; take the representations", m.file.Path)
}

// notes are those of the model and of the data it works on.
func (m *Model) notes(data []string) []string { return slices.Concat(m.file.Notes, data) }

// source returns a data set's images as the model takes them, without those
// that cannot be read, and what is wrong with these; all counts the bad of all
// parts.
func (m *Model) source(ctx context.Context, d *dataset.Dataset, limits Data, workers int, all *batch.Tally,
	part string) (*batch.Source, []string, error) {
	o := m.file.SourceOptions(limits.limits())
	o.Most = limits.MaxBad
	if err := d.Choose(o.Limits.Bands); err != nil {
		return nil, nil, err
	}
	s := batch.NewSource(d, o)
	found, err := s.Scan(ctx, batch.ScanOptions{Workers: workers, Tally: all, Part: part})
	if err != nil {
		return nil, nil, err
	}
	var bad []string
	for _, b := range found.Bad {
		bad = append(bad, b.Err.Error())
	}
	return s, bad, nil
}

// limits are those of an image of the data.
func (d Data) limits() imagefile.Limits {
	return recipe.Data{MaxPixels: d.MaxPixels, Bands: d.Bands, Values: d.Values}.Limits()
}

// Embed returns the representation of each image, Info.Features values, resized and
// centre-cropped as the model expects. Images of any size and colour will do; an empty
// one is an error, as is a model of pairs (see [Model.EmbedPairs]).
//
// An image alone gives the same bits at every call. In company the last bits may differ,
// as products sum in another order. When ctx ends, Embed returns its error, after the
// batch under way at the latest.
func (m *Model) Embed(ctx context.Context, images ...image.Image) ([][]float32, error) {
	if err := m.errImages(); err != nil {
		return nil, err
	}
	d := &dataset.Dataset{Name: "images"}
	for i, im := range images {
		if im.Bounds().Empty() {
			return nil, fmt.Errorf("image %d is empty", i)
		}
		pixels := imagefile.From(im)
		d.Items = append(d.Items, dataset.Item{Name: fmt.Sprint(i), Label: -1, Image: &pixels})
	}
	switch len(images) {
	case 0:
		return nil, nil
	case 1:
		x, err := m.file.Image(ctx, *d.Items[0].Image)
		if err != nil {
			return nil, err
		}
		return [][]float32{x}, nil
	}
	s := batch.NewSource(d, m.file.SourceOptions(imagefile.Limits{}))
	e := m.file.Embedder(0, 0)
	x, err := e.Embed(ctx, e.Images(s, nil))
	if err != nil {
		return nil, err
	}
	return split(x, e.Dim()), nil
}

// split cuts n × d values into rows.
func split(x []float32, d int) [][]float32 {
	out := make([][]float32, len(x)/d)
	for i := range out {
		out[i] = x[i*d : (i+1)*d : (i+1)*d]
	}
	return out
}

// Embeddings are the features of a data set's images, or of the rows of a manifest,
// without the bad ones.
type Embeddings struct {
	Features [][]float32 // a row for each image, Info.Features or Info.Embedding values wide
	Names    []string    // of each image, below the folder that was named
	Labels   []int       // of each image, an index into Classes; -1: none
	Classes  []string    // their names
	Bad      []string    // images that could not be read, each with its reason
	Notes    []string    // what of the data was left out or guessed, a sentence each
}

// EmbedOptions say what EmbedData, EmbedFiles and EmbedPairs compute, and how. The zero
// value is what is usual.
type EmbedOptions struct {
	Layer     string // representation (the encoder's, also if empty) or embedding (the expander's)
	Batch     int    // images at once; 0: from 16 to 256, as their size is and fits into memory
	Precision string // of products in the encoder: float32 (also if empty), tf32 or bf16, see Config
	Workers   int    // goroutines that decode; 0: one for each processor
	Device    string // what the networks are computed on, as in WithDevice; empty: where the model is

	// Progress is told after every batch how many images are done; may be nil.
	Progress func(done, total int)
}

// EmbedData embeds every image of a data set, labelled or not; of one with parts,
// those of the training part first. Of d it follows Source, Labels, Limit, MaxPixels,
// MaxBad, Bands and Values; without Bands it takes those that the model was trained on. A
// data set that cannot be opened, more bad images than may be, and a feature that
// is no finite number are errors. When ctx ends it returns ctx's error.
func (m *Model) EmbedData(ctx context.Context, d Data, o EmbedOptions) (*Embeddings, error) {
	return m.embed(ctx, o, d, func() (*dataset.Dataset, error) {
		return dataset.OpenAll(d.Source, dataset.Options{Labels: d.Labels})
	})
}

// EmbedFiles embeds the images that paths name: files, and all images of folders.
// Of d it follows Limit, MaxPixels, MaxBad, Bands and Values. Errors are those of EmbedData.
func (m *Model) EmbedFiles(ctx context.Context, paths []string, d Data, o EmbedOptions) (*Embeddings, error) {
	return m.embed(ctx, o, d, func() (*dataset.Dataset, error) { return dataset.OpenPaths(paths) })
}

// embed embeds the images that open lists, within the limits of d.
func (m *Model) embed(ctx context.Context, o EmbedOptions, d Data,
	open func() (*dataset.Dataset, error)) (*Embeddings, error) {
	if err := m.errImages(); err != nil {
		return nil, err
	}
	e, err := m.embedder(o)
	if err != nil {
		return nil, err
	}
	all, err := open()
	if err != nil {
		return nil, err
	}
	all.Limit(d.Limit)
	s, bad, err := m.source(ctx, all, d, o.Workers, nil, "")
	if err != nil {
		return nil, err
	}
	x, err := e.Embed(ctx, e.Images(s, nil))
	if err != nil {
		return nil, err
	}
	out := &Embeddings{
		Features: split(x, e.Dim()), Labels: all.Labels(), Classes: all.Classes, Bad: bad, Notes: m.notes(all.Notes),
	}
	for _, item := range all.Items {
		out.Names = append(out.Names, item.Name)
	}
	return out, nil
}

// embedder returns the model at work as o says.
func (m *Model) embedder(o EmbedOptions) (*pretrained.Embedder, error) {
	on, err := m.On(o.Device)
	if err != nil {
		return nil, err
	}
	e := on.file.Embedder(o.Batch, o.Workers)
	e.Progress = o.Progress
	switch o.Layer {
	case "", "representation":
	case "embedding":
		if err := m.errEmbedding(); err != nil {
			return nil, err
		}
		e.Expander = on.file.Expander
	default:
		return nil, fmt.Errorf("unknown layer %q; known: representation, embedding", o.Layer)
	}
	e.Precision, err = shape.ParsePrecision(o.Precision)
	return e, err
}
