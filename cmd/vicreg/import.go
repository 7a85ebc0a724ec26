package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"vicreg/internal/durable"
	"vicreg/internal/foreign"
	"vicreg/internal/model"
	"vicreg/internal/pretrained"
	"vicreg/internal/runlog"
	"vicreg/internal/show"
)

func newImport() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "import FILE",
		Short: "Take an encoder out of another project's checkpoint",
		Long: `Takes the encoder out of a file of weights, of PyTorch (.pth, .pt, .bin, .tar,
.ckpt) or safetensors, and writes it to a folder that pretrain --init, eval, embed
and info read. Nothing in the file is executed.

Known are the files of VICReg, VICRegL, torchvision, timm, lightly, solo-learn, MoCo,
SwAV, DeepCluster v2, BYOL, SimSiam, Barlow Twins, DINO and MAE: ResNets, and vision
transformers as timm has them. Which network it is, is seen in the names and shapes;
what cannot be seen is guessed, and said. Classifiers, projectors, queues and momentum
encoders are left, and named. An expander is taken from VICReg's own checkpoints.`,
		Example: `  vicreg import resnet50.pth --out runs/released
  vicreg import moco_v2_800ep_pretrain.pth.tar --out runs/moco
  vicreg import dino_deitsmall16_pretrain.pth --size 96 --out runs/dino
  vicreg pretrain --init runs/released --data ~/photos --out runs/photos`,
		Args: oneArg("file of weights"),
	}
	var (
		o      foreign.Options
		out    string
		asJSON bool
		g      guard
	)
	flags := cmd.Flags()
	flags.SortFlags = false
	flags.StringVar(&out, "out", "", "`folder` to write the model to; replaces none but a model that was imported")
	g.forcible(flags)
	flags.StringVar(&o.Prefix, "prefix", "", "`beginning` of the names of the encoder's arrays, where a file holds several (default found)")
	flags.IntVar(&o.Size, "size", 0, "width and height of an input, in `pixels`; 0: as the weights have it; the positions of a vision transformer are interpolated for others")
	flags.Float64SliceVar(&o.Mean, "mean", nil, "`values` to subtract from pixels from 0 to 1, one for each channel with commas between (default ImageNet's)")
	flags.Float64SliceVar(&o.Std, "std", nil, "`values` to divide them by (default ImageNet's)")
	flags.IntVar(&o.Heads, "heads", 0, "`heads` of a vision transformer; 0: as the layout has it, or one for each 64 channels")
	flags.StringVar(&o.Stem, "stem", "", "`kind` of a 3×3 first convolution: small (a border of 1 pixel), padded (of 2) or linear (no ReLU) (default found)")
	flags.BoolVar(&asJSON, "json", false, "print JSON")
	cmd.RunE = func(_ *cobra.Command, args []string) error {
		if err := checkImport(o, out); err != nil {
			return err
		}
		file := args[0]
		f, err := foreign.Open(file)
		if err != nil {
			return err
		}
		defer f.Close()
		g.reads(file)
		t, err := g.taken(out)
		if err != nil {
			return err
		}
		defer t.remove()
		r, err := counting(func(ctx context.Context, c *counter) (*imported, error) {
			return takeFrom(ctx, file, f, o, t.path, c)
		})
		if err != nil {
			return err
		}
		t.made = nil
		if asJSON {
			return printJSON(r)
		}
		return r.print()
	}
	return cmd
}

// checkImport finds what is wrong with the flags of import.
func checkImport(o foreign.Options, out string) error {
	switch {
	case out == "":
		return usagef("--out is missing: name the folder to write, such as runs/released")
	case o.Size < 0 || o.Size > 1<<14:
		return usagef("--size is %d, but must be between 1 and %d, or 0", o.Size, 1<<14)
	case o.Heads < 0:
		return usagef("--heads is %d, but must be at least 1, or 0", o.Heads)
	case o.Stem != "" && o.Stem != "small" && o.Stem != "padded" && o.Stem != "linear":
		return usagef("--stem %q is unknown; known: small, padded, linear", o.Stem)
	}
	for _, v := range o.Mean {
		if math.IsNaN(v) || math.IsInf(v, 0) {
			return usagef("--mean has %v, but must have finite numbers", v)
		}
	}
	for _, v := range o.Std {
		if !(v > 0) || math.IsInf(v, 0) {
			return usagef("--std has %v, but must have finite numbers above 0", v)
		}
	}
	return nil
}

// importedModel is what import replaces: its own kind.
var importedModel = kind{"a model that vicreg import wrote", func(path string) bool {
	m, err := pretrained.Describe(path, 0)
	return err == nil && m.Source != nil
}}

// target is where a model is imported to.
type target struct {
	path string
	made []string // folders that were not there, the innermost first
}

// remove takes back folders that were made for nothing.
func (t *target) remove() {
	for _, folder := range t.made {
		os.Remove(folder)
	}
}

// absent lists a folder and those above it, as far as they are not there.
func absent(folder string) (all []string) {
	for folder = filepath.Clean(folder); ; folder = filepath.Dir(folder) {
		if _, err := os.Lstat(folder); !errors.Is(err, fs.ErrNotExist) {
			return all
		}
		all = append(all, folder)
	}
}

// taken makes the folder for an imported model, which must be nobody else's.
func (g *guard) taken(out string) (*target, error) {
	t := new(target)
	st, err := os.Stat(out)
	switch {
	case err == nil && !st.IsDir():
		return nil, usagef("--out %s: this is %s, not a folder; name another", out, durable.Kind(st.Mode()))
	case errors.Is(err, fs.ErrNotExist):
		t.made = absent(out)
		if err := os.MkdirAll(out, 0o777); err != nil {
			t.remove()
			return nil, fmt.Errorf("--out %s cannot be made: %w", out, durable.Reason(err))
		}
	case err != nil:
		return nil, fmt.Errorf("--out %s cannot be written: %w", out, durable.Reason(err))
	}
	for _, name := range runlog.Present(out) {
		if name != runlog.ModelFile {
			return nil, usagef("--out %s: a run is there (%s); name another folder", out, name)
		}
	}
	t.path, err = g.output("--out", filepath.Join(out, runlog.ModelFile), importedModel)
	if err != nil {
		t.remove()
	}
	return t, err
}

// imported is what was taken of a file.
type imported struct {
	Model   string             `json:"model"` // the file that was written
	Source  *pretrained.Source `json:"source"`
	Prefix  string             `json:"prefix"` // before the names of the encoder's arrays
	Encoder branchInfo         `json:"encoder"`
	Width   int                `json:"width"`
	Stem    string             `json:"stem"`
	Heads   int                `json:"heads,omitempty"`
	Patch   int                `json:"patch,omitempty"`
	Size    int                `json:"size"`
	Mean    []float64          `json:"mean"`
	Std     []float64          `json:"std"`
	Taken   int                `json:"arrays_taken"`
	Left    []foreign.Left     `json:"left"`
	Notes   []string           `json:"notes"` // what was guessed, a sentence each

	config model.Config
}

// takeFrom writes the encoder in a file to path.
func takeFrom(ctx context.Context, name string, f *foreign.File, o foreign.Options, path string,
	c *counter) (*imported, error) {
	if strings.HasPrefix(f.Said["format"], "vicreg model") {
		return again(name, o, path)
	}
	x, err := foreign.Look(f, o)
	if err != nil {
		return nil, err
	}
	sum, err := foreign.Sum(name)
	if err != nil {
		return nil, err
	}
	encoder, expander, err := x.Load(ctx, f, c.count)
	if err != nil {
		return nil, err
	}
	meta := pretrained.Meta{Method: x.Method, Encoder: x.Encoder, Expander: x.Expander, Size: x.Size, Mean: x.Mean,
		Std: x.Std, Source: &pretrained.Source{File: filepath.Base(name), Sum: sum, Layout: "layout of " + x.Layout}}
	if err := write(path, meta, encoder, expander); err != nil {
		return nil, err
	}
	r := reported(path, meta, encoder, expander)
	r.Prefix, r.Taken, r.Left = x.Prefix, x.Taken, append([]foreign.Left{}, x.Left...)
	r.Notes = append(append([]string{}, f.Notes...), x.Guessed...)
	return r, nil
}

// again writes a model that vicreg wrote once more.
func again(name string, o foreign.Options, path string) (*imported, error) {
	if o.Prefix != "" || o.Heads > 0 || o.Stem != "" || o.Size > 0 || o.Mean != nil || o.Std != nil {
		return nil, usagef("%s is a model that vicreg wrote, which says itself what it is; leave the flags but --out away", show.Name(name))
	}
	m, err := pretrained.Open(name, 0)
	if err != nil {
		return nil, err
	}
	sum, err := foreign.Sum(name)
	if err != nil {
		return nil, err
	}
	meta := m.Meta
	meta.Source = &pretrained.Source{File: filepath.Base(name), Sum: sum, Layout: "a model of vicreg"}
	if err := write(path, meta, m.Encoder, m.Expander); err != nil {
		return nil, err
	}
	r := reported(path, meta, m.Encoder, m.Expander)
	r.Taken = len(m.Encoder.Params()) + len(m.Encoder.Buffers())
	r.Left, r.Notes = []foreign.Left{}, append([]string{}, m.Notes...)
	if m.Expander != nil {
		r.Taken += len(m.Expander.Params()) + len(m.Expander.Buffers())
	}
	return r, nil
}

func write(path string, meta pretrained.Meta, encoder model.Encoder, expander *model.Expander) error {
	if err := pretrained.Save(path, meta, encoder, expander); err != nil {
		return fmt.Errorf("cannot write %s: %w", path, durable.Reason(err))
	}
	return nil
}

func reported(path string, meta pretrained.Meta, encoder model.Encoder, expander *model.Expander) *imported {
	return &imported{config: meta.Encoder, Model: path, Source: meta.Source, Encoder: infoOf(meta, encoder, expander),
		Width: meta.Encoder.Width, Stem: meta.Encoder.Stem, Heads: meta.Encoder.Heads, Patch: meta.Encoder.Patch,
		Size: meta.Size, Mean: meta.Mean, Std: meta.Std}
}

func (r *imported) print() error {
	w := tabwriter.NewWriter(stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintf(w, "file\t%s\n", show.Line(r.Source.String()))
	r.Encoder.network(w, r.config, shapeOf(r.Encoder.Input))
	fmt.Fprintf(w, "pixels\tmean %s, std %s\n", list(r.Mean), list(r.Std))
	where := ""
	if r.Prefix != "" {
		where = fmt.Sprintf(", those of the encoder under %s", show.Name(r.Prefix))
	}
	fmt.Fprintf(w, "taken\t%s%s\n", show.Count(r.Taken, "array"), where)
	for i, l := range r.Left {
		title := "left"
		if i > 0 {
			title = ""
		}
		fmt.Fprintf(w, "%s\t%s\n", title, show.Line(l.String()))
	}
	if err := w.Flush(); err != nil {
		return err
	}
	writeNotes(stdout, r.Notes)
	_, err := fmt.Fprintf(stdout, "The model is in %s; pretrain --init %[1]s begins a run with it\n", show.Name(filepath.Dir(r.Model)))
	return err
}
