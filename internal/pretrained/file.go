// Package pretrained reads and writes model.safetensors, which is what people use of a
// run: the encoder under torchvision's names and in its layout, the expander, if there is
// one, under expander.*, and in the metadata all that is needed to feed images to it.
package pretrained

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"vicreg/internal/augment"
	"vicreg/internal/batch"
	"vicreg/internal/device"
	"vicreg/internal/durable"
	"vicreg/internal/host"
	"vicreg/internal/imagefile"
	"vicreg/internal/method"
	"vicreg/internal/model"
	"vicreg/internal/nn"
	"vicreg/internal/pairs"
	"vicreg/internal/recipe"
	"vicreg/internal/runlog"
	"vicreg/internal/safetensors"
	"vicreg/internal/show"
)

// Meta is what a model's file says beside its arrays.
type Meta struct {
	Method    string
	Encoder   model.Config
	Branch    int        // 0, or 1 for the second of two
	Expander  model.Head // of no widths: there is none
	Size      int        // pixels, width and height of an input
	Mean, Std []float64
	Raw       bool        // what it reads are the values of files, not pixels from 0 to 1
	Bands     []int       // of the channels of files, from 1, those that it reads; none: all
	Side      *pairs.Side // what it reads of pairs; nil of images
	Dataset   string
	Images    int // trained on
	Epochs    int // of the whole run
	Step      int // done when it was saved; 0 of 0 where that is not known
	Steps     int // of the whole run
	Seed      uint64
	Init      string  // the checksum of the model whose weights it started from; empty: random ones
	Source    *Source // whose file the weights were taken from; nil: vicreg trained it
}

// Source is the file of another project that a model's weights were taken from.
type Source struct {
	File   string `json:"file"`   // its name
	Sum    string `json:"sum"`    // its checksum, CRC-32C
	Layout string `json:"layout"` // whose names its arrays have
}

func (s *Source) String() string {
	return fmt.Sprintf("%s (checksum %s), %s", s.File, s.Sum, s.Layout)
}

// Model is an encoder and its expander, ready for inference. Any number of goroutines
// may use it: what they embed goes through the networks one batch at a time.
type Model struct {
	Meta
	Path     string
	Encoder  model.Encoder
	Expander *model.Expander // nil: it has none
	Notes    []string        // what a user should know of the file, a sentence each

	engine *engine
	norm   *augment.Norm // of images

	mu sync.Mutex               // guards on
	on map[device.Device]*Model // the same elsewhere
}

const (
	format         = "vicreg model 3"
	bareFormat     = "vicreg model 2" // without checksums
	firstFormat    = "vicreg model 1" // images only, one branch, without checksums
	expanderPrefix = "expander."
	tracked        = "num_batches_tracked"
)

// parts are the networks of a model.
func parts(encoder model.Encoder, expander *model.Expander) []part {
	all := []part{{"", encoder}}
	if expander != nil {
		all = append(all, part{expanderPrefix, expander})
	}
	return all
}

// part is a network and what stands before the names of its arrays.
type part struct {
	prefix string
	network
}

type network interface {
	Params() []*nn.Param
	Buffers() []*nn.Param
}

// arrays are all of a network.
func arrays(n network) []*nn.Param { return slices.Concat(n.Params(), n.Buffers()) }

// Save writes a model durably. The expander may be nil, where meta names none.
func Save(path string, meta Meta, encoder model.Encoder, expander *model.Expander) error {
	var tensors []safetensors.Tensor
	var scratch []float32 // in the file's order, one tensor after the other
	add := func(prefix string, ps []*nn.Param) {
		for _, p := range ps {
			t := safetensors.Tensor{Name: prefix + p.Name, Shape: p.Shape}
			if strings.HasSuffix(p.Name, tracked) {
				t.Data = []int64{int64(p.Number())}
			} else {
				if len(scratch) < p.Value.Len() {
					scratch = make([]float32, p.Value.Len())
				}
				t.Data = safetensors.Made{Len: p.Value.Len(), Make: func() []float32 { return p.TorchInto(scratch) }}
			}
			tensors = append(tensors, t)
		}
	}
	for _, p := range parts(encoder, expander) {
		add(p.prefix, arrays(p))
	}
	return safetensors.WriteSealedFile(path, tensors, meta.encode())
}

// Replaces returns an error if the file at path is somebody else's: one that Save did
// not write with the same meta, at whatever step. The name of the data is left out: a
// folder may be moved, and a file holds its name as UTF-8 alone.
func (m *Meta) Replaces(path string) error {
	f, err := safetensors.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer f.Close()
	ours := slices.Contains([]string{format, bareFormat, firstFormat}, f.Metadata["format"])
	for key, want := range m.encode() {
		if _, ok := f.Metadata[key]; !ok && ours {
			continue // an older version did not write it
		}
		if key != "format" && key != "step" && key != "dataset" && f.Metadata[key] != want {
			return fmt.Errorf("%s is another model: its %s is %.40q, not %.40q", path, key, f.Metadata[key], want)
		}
	}
	return nil
}

// Whole returns an error if the file of a model at path is not as it was written. Files of
// earlier versions, which carry no checksum, pass.
func Whole(path string) error {
	f, err := safetensors.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	return whole(f, path)
}

func whole(f *safetensors.File, path string) error {
	switch {
	case f.Sealed():
		return f.Verify()
	case f.Metadata["format"] == format:
		return fmt.Errorf("%s has lost its checksum, so it was changed after it was written", path)
	}
	return nil
}

// FileOf is the file of the model of branch 0 or 1 at a path that [Open] reads.
func FileOf(path string, branch int) string {
	if st, err := os.Stat(path); err == nil && st.IsDir() {
		return filepath.Join(path, runlog.ModelFiles[branch])
	}
	return path
}

// Describe is Open without the arrays. The error of a second branch where there is
// but one is fs.ErrNotExist.
func Describe(path string, branch int) (*Meta, error) {
	file, err := located(path, branch)
	if branch == 1 && (err != nil || file == path) {
		return nil, fs.ErrNotExist
	}
	if err != nil {
		return nil, err
	}
	f, err := opened(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	m := new(Meta)
	if err := m.decode(f.Metadata); err != nil {
		return nil, fmt.Errorf("%s: %w; %s", file, err, advice)
	}
	return m, nil
}

// Open reads the model of branch 0 or 1 of a run's folder, or that of a file.
func Open(path string, branch int) (*Model, error) {
	path, err := located(path, branch)
	if err != nil {
		return nil, err
	}
	f, err := opened(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	m, err := read(f, path)
	if err == nil {
		m.Notes = append(m.Notes, m.strange()...)
	}
	return m, err
}

// located is FileOf of what is there.
func located(path string, branch int) (string, error) {
	_, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return "", fmt.Errorf("there is no run folder or model %s", show.Name(path))
	case err != nil:
		return "", fmt.Errorf("%s cannot be read: %w", path, durable.Reason(err))
	}
	file := FileOf(path, branch)
	if _, err := os.Stat(file); err != nil {
		if _, first := os.Stat(filepath.Join(path, runlog.ModelFile)); first == nil {
			return "", fmt.Errorf("%s has no branch b: its views went through the same weights, those of branch a", path)
		}
		return "", fmt.Errorf("%s has no %s: either it is no run folder, or its run has not come to its first checkpoint (--resume %s goes on with it)", path, runlog.ModelFile, path)
	}
	return file, nil
}

// read takes a model out of a file.
func read(f *safetensors.File, path string) (m *Model, err error) {
	m = &Model{Path: path}
	if err := notOurs(f, path); err != nil {
		return nil, err
	}
	if err := m.Meta.decode(f.Metadata); err != nil {
		return nil, fmt.Errorf("%s: %w; %s", path, err, advice)
	}
	// Everything is compared with the file before memory is taken for it.
	if err := m.fits(f); err != nil {
		return nil, fmt.Errorf("%s: %w; %s", path, err, advice)
	}
	if err := m.room(); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	if err := whole(f, path); durable.Unreadable(err) {
		return nil, err
	} else if err != nil {
		return nil, fmt.Errorf("%w; %s", err, advice)
	}
	if !f.Sealed() {
		m.Notes = append(m.Notes, fmt.Sprintf("%s carries no checksum, as an earlier version wrote it: damage to it would go unseen", show.Name(path)))
	}
	if m.Step < m.Steps {
		m.Notes = append(m.Notes, fmt.Sprintf("%s is of a run that had not ended: it was saved after step %d of %d", show.Name(path), m.Step, m.Steps))
	}
	if m.Encoder, err = model.New(m.Meta.Encoder, nil); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	if m.Expander, err = m.newExpander(m.Encoder.Dim()); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	for _, part := range parts(m.Encoder, m.Expander) {
		for _, p := range arrays(part) {
			if err := load(f, part.prefix+p.Name, p); err != nil {
				return nil, fmt.Errorf("%s: %w", path, err)
			}
		}
	}
	m.engine = newEngine(new(nn.Arena))
	switch {
	case m.Channels() == 0 || m.Side != nil:
	case m.Raw:
		m.norm = augment.NewRawNorm(m.Mean, m.Std)
	default:
		m.norm = augment.NewNorm(m.Mean, m.Std)
	}
	return m, nil
}

// newExpander returns the expander of an encoder with representations of width in, its
// weights zero; nil if there is none.
func (m *Meta) newExpander(in int) (*model.Expander, error) {
	if m.Expander.None() {
		return nil, nil
	}
	return model.NewHead(in, m.Expander, nil)
}

// advice is what to do about a model's file that is damaged.
const advice = "copy it again from where it was made, or train it again"

// advised adds to the error of a damaged file what to do.
func advised(err error) error {
	if damaged := new(safetensors.Damaged); errors.As(err, &damaged) {
		return fmt.Errorf("%w; %s", err, advice)
	}
	return err
}

// fits compares the arrays that the metadata ask for with those of the file.
func (m *Meta) fits(f *safetensors.File) error {
	encoder, dim, err := model.Arrays(m.Encoder)
	if err != nil {
		return fmt.Errorf("its metadata describes no model: %w", err)
	}
	expander, err := m.Expander.Arrays(dim)
	if err != nil {
		return fmt.Errorf("its metadata describes no model: %w", err)
	}
	needed := map[string]bool{}
	for i, a := range slices.Concat(encoder, expander) {
		name := a.Name
		if i >= len(encoder) {
			name = expanderPrefix + name
		}
		needed[name] = true
		info, ok := f.Info(name)
		if !ok {
			return fmt.Errorf("it has no %s, which the %s that its metadata names needs", name, m.Encoder.Arch)
		}
		if !slices.Equal(info.Shape, a.Shape) {
			return fmt.Errorf("%s is %v, but %v in the %s that its metadata names", name, info.Shape, a.Shape, m.Encoder.Arch)
		}
	}
	for _, t := range f.Tensors {
		if m.Expander.None() && strings.HasPrefix(t.Name, expanderPrefix) {
			return fmt.Errorf("it has %s, but its metadata has expander \"\", which is none", show.Name(t.Name))
		}
		if !needed[t.Name] {
			return fmt.Errorf("it has %s, which the %s that its metadata names does not know", show.Name(t.Name), m.Encoder.Arch)
		}
	}
	return nil
}

// room returns an error if the parameters need more memory than there is. Each has a
// gradient beside it.
func (m *Meta) room() error {
	encoder, dim, _ := model.Arrays(m.Encoder)
	expander, _ := m.Expander.Arrays(dim)
	var total float64
	for _, a := range slices.Concat(encoder, expander) {
		total += float64(a.Len())
	}
	if need, limit := 8*total, host.MemoryLimit(); need > limit.Bytes {
		return fmt.Errorf("its %.0f million parameters take %s of memory, but %s", total/1e6, host.Bytes(need), limit)
	}
	return nil
}

func load(f *safetensors.File, name string, p *nn.Param) error {
	v, err := f.Float32(name)
	if err != nil {
		return err
	}
	if i, ok := notFinite(v); ok {
		return fmt.Errorf("number %d of %s is %v, so no features would be finite; %s", i+1, name, v[i], advice)
	}
	p.SetTorch(v)
	return nil
}

// Untrained returns the encoder as it was before the first step.
func (m *Meta) Untrained() (model.Encoder, error) {
	return method.NewEncoder(m.Encoder, m.Seed, m.Branch)
}

// UntrainedExpander returns the expander as it was before the first step; nil if there is
// none, or it is the classifier of a supervised method.
func (m *Meta) UntrainedExpander(encoder model.Encoder) (*model.Expander, error) {
	if m.Expander.None() || Classifies(m.Method) {
		return nil, nil
	}
	return method.NewExpander(encoder.Dim(), m.Expander, m.Seed, m.Branch)
}

// Head is the expander; nil if there is none, or it is the classifier of a supervised
// method.
func (m *Model) Head() *model.Expander {
	if Classifies(m.Method) {
		return nil
	}
	return m.Expander
}

// Classifies reports whether a method has a classifier where others have an expander.
func Classifies(method string) bool { return method == recipe.Supervised }

// SourceOptions are how images are decoded for the model, within limits, which may choose other
// channels of the files than those that it was trained on.
func (m *Meta) SourceOptions(limits imagefile.Limits) batch.SourceOptions {
	if limits.Bands == nil {
		limits.Bands = m.Bands
	}
	return batch.SourceOptions{Channels: m.Channels(), Raw: m.Raw, Limits: limits}
}

// Decode decodes an image for the model.
func (m *Meta) Decode(data []byte, limits imagefile.Limits) (imagefile.Image, error) {
	asked, _ := m.SourceOptions(limits).Asked()
	img, err := imagefile.Decode(data, asked)
	if err == nil {
		img, err = m.Fit(img)
	}
	return img, err
}

// Fit returns an image as the model reads it; an error says what it has instead.
func (m *Meta) Fit(img imagefile.Image) (imagefile.Image, error) {
	return batch.Fit(img, m.Channels(), m.Raw)
}

// Channels returns the channels of the images that the encoder reads, 0 if it reads
// something else.
func (m *Meta) Channels() int {
	if m.Encoder.Input.Kind != model.Images {
		return 0
	}
	return m.Encoder.Input.Shape[2]
}
