// Package export writes models as other programs read them: as ONNX, as arrays under the
// names of torchvision and timm (safetensors or PyTorch's own format), and as a folder
// that timm loads. What was written is read back, and its features of a made-up batch are
// compared with the model's own, before it is put in place.
package export

import (
	"context"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"vicreg/internal/durable"
	"vicreg/internal/host"
	"vicreg/internal/onnx"
	"vicreg/internal/pretrained"
	"vicreg/internal/recipe"
	"vicreg/internal/tensor"
)

// Names of outputs, and of arrays behind the encoder.
const (
	features       = "features"
	embedding      = "embedding"
	logits         = "logits"
	expanderPrefix = "expander."
)

// Formats names what can be written.
func Formats() []string { return []string{"onnx", "timm", "safetensors", "torch"} }

// Tolerance is how far features that were read back may be from the model's, as a share of
// the largest.
const Tolerance = 1e-4

// Options say what to write.
type Options struct {
	Format   string                // one of Formats
	Expander bool                  // and the expander: in ONNX a second output
	Progress func(done, total int) // of the comparison; may be nil
}

// Result says what was written, and how it compares.
type Result struct {
	Path       string   `json:"path"`
	Format     string   `json:"format"`
	Files      []string `json:"files"`
	Bytes      int64    `json:"bytes"`
	Input      string   `json:"input"`       // its name
	Reads      string   `json:"reads"`       // what that is
	InputShape []int    `json:"input_shape"` // of one item
	Outputs    []Output `json:"outputs"`
	Items      int      `json:"compared_items"`
	Values     int      `json:"compared_values"`
	Difference float64  `json:"largest_difference"` // of a value, as a share of the largest value
	Notes      []string `json:"notes,omitempty"`
}

// Output is what an exported network gives for one item.
type Output struct {
	Name  string `json:"name"`
	Width int    `json:"width"`
}

// work is one export.
type work struct {
	Options
	m     *pretrained.Model
	path  string
	input input
	head  string // what the layers behind the encoder give: embedding, logits, or "": they are left out
	Result
}

// Files returns the files that an export to path writes.
func Files(path, format string) []string {
	if format == "timm" {
		return []string{filepath.Join(path, "config.json"), filepath.Join(path, "model.safetensors")}
	}
	return []string{path}
}

// Write writes a model to path, a file or, for timm, a folder that it makes if need be.
func Write(ctx context.Context, m *pretrained.Model, path string, o Options) (*Result, error) {
	w := &work{Options: o, m: m, path: path, input: newInput(m)}
	w.Result = Result{Path: path, Format: o.Format, Files: Files(path, o.Format), Input: w.input.name,
		Reads: w.input.what, InputShape: w.input.shape, Outputs: []Output{{features, m.Encoder.Dim()}}}
	switch {
	case m.Method == recipe.Supervised && m.Expander != nil:
		w.head = logits
	case o.Expander && m.Expander == nil:
		return nil, fmt.Errorf("%s has no expander that could be exported", m.Path)
	case o.Expander:
		w.head = embedding
	}
	if w.head != "" {
		w.Outputs = append(w.Outputs, Output{w.head, m.Expander.Dim()})
	}
	w.note()
	var write func(context.Context) error
	switch o.Format {
	case "onnx":
		write = w.onnx
	case "safetensors":
		write = w.safetensors
	case "torch":
		write = w.torch
	case "timm":
		write = w.timm
	default:
		return nil, fmt.Errorf("unknown format %q; known: %s", o.Format, strings.Join(Formats(), ", "))
	}
	if err := write(ctx); err != nil {
		return nil, err
	}
	for _, file := range w.Files {
		st, err := os.Stat(file)
		if err != nil {
			return nil, err
		}
		w.Bytes += st.Size()
	}
	return &w.Result, nil
}

// note collects what a user should know.
func (w *work) note() {
	w.Notes = slices.Clone(w.m.Notes)
	if w.m.Expander != nil && w.head == "" {
		left := fmt.Sprintf("the expander, %s, was left out", w.m.Meta.Expander.Widths)
		if w.Options.Format != "timm" {
			left += "; --with-expander takes it along"
		}
		w.Notes = append(w.Notes, left)
	}
	if len(w.input.mean) > 0 && w.Options.Format != "onnx" {
		w.Reads += ", then normalised"
	}
	if len(w.input.mean) > 0 && (w.Options.Format == "safetensors" || w.Options.Format == "torch") {
		w.Notes = append(w.Notes, fmt.Sprintf("the network reads normalised input, (v - mean) / std with mean %s and std %s",
			brief(w.input.mean), brief(w.input.std)))
	}
}

// brief writes numbers, the first few of many.
func brief(v []float64) string {
	const most = 4
	var all []string
	for _, x := range v[:min(len(v), most)] {
		all = append(all, strconv.FormatFloat(x, 'g', 4, 64))
	}
	if len(v) > most {
		all = append(all, fmt.Sprintf("… (%d in all)", len(v)))
	}
	return strings.Join(all, ", ")
}

// most is up to how many operations two items are compared, and not one.
const most = 2e9

// batch makes up a batch to compare.
func (w *work) batch() (onnx.Array, *tensor.Tensor) {
	n := 2
	if float64(w.m.Encoder.Flops(append([]int{n}, w.input.own...)...)) > most {
		n = 1
	}
	w.Items = n
	return w.input.batch(n)
}

// outputs are the model's own of a batch, by name.
func (w *work) outputs(ctx context.Context, x *tensor.Tensor) (map[string][]float32, error) {
	all := map[string][]float32{}
	for _, o := range w.Outputs {
		e := w.m.Embedder(x.Shape[0], 0)
		if o.Name != features {
			e.Expander = w.m.Expander
		}
		y, err := e.Values(ctx, x)
		if err != nil {
			return nil, err
		}
		if i := slices.IndexFunc(y, func(v float32) bool { return v-v != 0 }); i >= 0 {
			return nil, fmt.Errorf("the %s of a made-up item are not finite (number %d is %v): the weights are damaged or far too large, so nothing was written", o.Name, i%e.Dim()+1, y[i])
		}
		all[o.Name] = y
	}
	return all, nil
}

// compare holds outputs that were computed from what was written against the model's own.
func (w *work) compare(got, want map[string][]float32) error {
	for _, o := range w.Outputs {
		a, b := got[o.Name], want[o.Name]
		if len(a) != len(b) {
			return fmt.Errorf("what was written gives %d values for %s, not %d; nothing was kept", len(a), o.Name, len(b))
		}
		d := difference(a, b)
		if !(d <= Tolerance) {
			return fmt.Errorf("what was written gives other %s, by %.2g of the largest value; nothing was kept", o.Name, d)
		}
		w.Difference = max(w.Difference, d)
		w.Values += len(b)
	}
	return nil
}

// difference is the largest difference of values, as a share of the largest value.
func difference(a, b []float32) float64 {
	var far, large float64
	for i := range b {
		d := math.Abs(float64(a[i]) - float64(b[i]))
		if math.IsNaN(d) {
			return d
		}
		far, large = max(far, d), max(large, math.Abs(float64(b[i])))
	}
	if far == 0 {
		return 0
	}
	return far / large
}

// onnx writes a graph.
func (w *work) onnx(ctx context.Context) error {
	model := &onnx.Model{Producer: Producer, Version: host.Version(), Metadata: w.metadata(),
		Graph: *newGraph(w.m, &w.input, w.head)}
	need := host.PeakRSS()*(1<<20) + 1.5*float64(model.Size()) // of which all is read back
	if limit := host.MemoryLimit(); need > limit.Bytes {
		return fmt.Errorf("writing %s and reading it back takes about %s of memory, but %s", w.path, host.Bytes(need), limit)
	}
	f, err := durable.Create(w.path)
	if err != nil {
		return fmt.Errorf("%s cannot be written: %w", w.path, err)
	}
	defer f.Discard()
	if err := model.Write(f); err != nil {
		return fmt.Errorf("%s cannot be written: %w", w.path, durable.Reason(err))
	}
	return w.place(w.path, f, func() error { return w.checkONNX(ctx, f.Name()) })
}

// checkONNX reads a graph back and computes a batch.
func (w *work) checkONNX(ctx context.Context, path string) error {
	bytes, err := os.ReadFile(path)
	if err != nil {
		return durable.Reason(err)
	}
	model, err := onnx.Parse(bytes)
	if err != nil {
		return unread(err)
	}
	raw, x := w.batch()
	want, err := w.outputs(ctx, x)
	if err != nil {
		return err
	}
	out, err := model.Graph.Run(ctx, map[string]onnx.Array{w.input.name: raw}, w.Progress)
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case err != nil:
		return unread(err)
	}
	got := map[string][]float32{}
	for name, a := range out {
		got[name] = a.Floats
	}
	return w.compare(got, want)
}

// Producer is the name of the program in files.
const Producer = "vicreg"

// metadata says what other programs need to know, and where the model comes from.
func (w *work) metadata() map[string]string {
	m := w.m
	all := w.input.metadata(m)
	all["vicreg_version"] = host.Version()
	all["arch"], all["method"] = m.Meta.Encoder.Arch, m.Method
	all["dim"] = fmt.Sprint(m.Encoder.Dim())
	if e := m.Meta.Encoder; strings.HasPrefix(e.Arch, "resnet") {
		all["stem"] = e.Stem
	} else if e.Heads > 0 { // else those of the name
		all["heads"] = fmt.Sprint(e.Heads)
	}
	all["source"] = filepath.ToSlash(m.Path)
	if m.Source != nil {
		all["weights_from"] = m.Source.String()
	}
	return all
}
