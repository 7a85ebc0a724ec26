package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
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
	flags.Float64SliceVar(&o.Mean, "mean", nil, "`values` to subtract from pixels from 0 to 1, one for each channel with commas between (default ImageNet's); of other channels than 1 or 3 from the values of files")
	flags.Float64SliceVar(&o.Std, "std", nil, "`values` to divide them by (default ImageNet's)")
	flags.IntVar(&o.Heads, "heads", 0, "`heads` of a vision transformer; 0: as the layout has it, or one for each 64 channels")
	flags.StringVar(&o.Stem, "stem", "", "`kind` of a 3×3 first convolution: small (a border of 1 pixel), padded (of 2) or linear (no ReLU) (default found)")
	flags.BoolVar(&asJSON, "json", false, "print JSON")
	cmd.RunE = func(_ *cobra.Command, args []string) error {
		if out == "" {
			return usagef("--out is missing: name the folder to write, such as runs/released")
		}
		if err := o.Validate(); err != nil {
			return usagef("--%w", err)
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
		taken, err := counting(func(ctx context.Context, c *counter) (*foreign.Taken, error) {
			o.Progress = c.count
			return foreign.Take(ctx, f, t.path, o)
		})
		if errors.Is(err, foreign.ErrOurs) {
			return usagef("%w; leave the flags but --out away", err)
		}
		if err != nil {
			return err
		}
		t.made = nil
		r := reported(taken)
		if asJSON {
			return printJSON(r)
		}
		return r.print()
	}
	return cmd
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
	Raw     bool               `json:"raw,omitempty"` // of values of files, not of pixels from 0 to 1
	Std     []float64          `json:"std"`
	Taken   int                `json:"arrays_taken"`
	Left    []foreign.Left     `json:"left"`
	Notes   []string           `json:"notes"` // what was guessed, a sentence each

	config model.Config
}

func reported(t *foreign.Taken) *imported {
	e := t.Meta.Encoder
	return &imported{
		config: e, Model: t.Path, Source: t.Meta.Source, Prefix: t.Prefix,
		Encoder: infoOf(t.Meta, t.Encoder, t.Expander), Width: e.Width, Stem: e.Stem, Heads: e.Heads, Patch: e.Patch,
		Size: t.Meta.Size, Mean: t.Meta.Mean, Std: t.Meta.Std, Raw: t.Meta.Raw,
		Taken: t.Arrays, Left: t.Left, Notes: t.Notes,
	}
}

func (r *imported) print() error {
	w := tabwriter.NewWriter(stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintf(w, "file\t%s\n", show.Line(r.Source.String()))
	r.Encoder.network(w, r.config, shapeOf(r.Encoder.Input))
	what := "pixels"
	if r.Raw {
		what = "values"
	}
	fmt.Fprintf(w, "%s\tmean %s, std %s\n", what, list(r.Mean), list(r.Std))
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
