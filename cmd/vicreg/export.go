package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"vicreg"
	"vicreg/internal/durable"
	"vicreg/internal/export"
	"vicreg/internal/onnx"
	"vicreg/internal/safetensors"
	"vicreg/internal/show"
	"vicreg/internal/torchfile"
)

func newExport() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "export RUN",
		Short: "Write a run's encoder for other programs: ONNX, timm, safetensors, PyTorch",
		Long: `Writes the encoder of a run folder (or of a model.safetensors file) as other
programs read it:

  onnx         a graph from raw pixels (or samples, numbers, bytes) to features,
               normalisation included, of any number of items at once
  timm         a folder that timm.create_model('local-dir:PATH') loads
  safetensors  arrays under the names of torchvision and timm
  torch        the same as a .pth that torch.load reads

What was written is read back before it is put in place, and its features of a
made-up batch are compared with the encoder's own. A fine-tuned model's
classifier goes along.`,
		Example: `  vicreg export runs/photos --format onnx --out encoder.onnx
  vicreg export runs/photos --format timm --out photos-timm`,
		Args: oneArg("run folder"),
	}
	var (
		o           vicreg.ExportOptions
		out, branch string
		asJSON      bool
		g           guard
	)
	flags := cmd.Flags()
	flags.SortFlags = false
	flags.StringVar(&o.Format, "format", "", "`what` to write: onnx, timm, safetensors or torch (default by the ending of --out)")
	flags.StringVar(&out, "out", "", "`file` to write, or for timm a folder; replaces none but an earlier export (without --force)")
	g.forcible(flags)
	flags.BoolVar(&o.Expander, "with-expander", false, "the expander as well: in ONNX a second output, embedding")
	flags.StringVar(&branch, "branch", "a", "which `branch` of a run whose branches are separate: a or b")
	flags.BoolVar(&asJSON, "json", false, "print JSON")
	cmd.RunE = func(_ *cobra.Command, args []string) error {
		if out == "" {
			return usagef("--out is missing: name the file to write, such as encoder.onnx")
		}
		known := strings.Join(export.Formats(), ", ")
		if o.Format == "" {
			if o.Format = formatOf(out); o.Format == "" {
				return usagef("--format is missing, and the ending of --out %s does not tell it; known: %s", show.Name(out), known)
			}
		}
		if !slices.Contains(export.Formats(), o.Format) {
			return usagef("--format %q is unknown; known: %s", o.Format, known)
		}
		if branch != "a" && branch != "b" {
			return usagef("--branch %q is unknown; known: a, b", branch)
		}
		m, err := vicreg.OpenBranch(args[0], branch)
		if err != nil {
			return err
		}
		g.reads(m.Info().Path)
		g.run(filepath.Dir(m.Info().Path))
		if out, err = g.export(out, o.Format); err != nil {
			return err
		}
		r, err := counting(func(ctx context.Context, c *counter) (*vicreg.Exported, error) {
			o.Progress = c.count
			return m.Export(ctx, out, o)
		})
		if err != nil {
			return err
		}
		if asJSON {
			return printJSON(r)
		}
		writeNotes(stdout, r.Notes)
		_, err = fmt.Fprintln(stdout, show.Line(describeExport(r)))
		return err
	}
	return cmd
}

// formatOf tells a format by the ending of a file's name, "" if it does not.
func formatOf(path string) string {
	switch strings.ToLower(filepath.Ext(path)) {
	case ".onnx":
		return "onnx"
	case ".safetensors":
		return "safetensors"
	case ".pth", ".pt":
		return "torch"
	}
	return ""
}

// describeExport says what was written, of which shapes, and how it compares.
func describeExport(r *vicreg.Exported) string {
	var outputs []string
	for _, output := range r.Outputs {
		outputs = append(outputs, fmt.Sprintf("%s n × %d", output.Name, output.Width))
	}
	input := r.Input + " n"
	for _, n := range r.InputShape {
		input += fmt.Sprintf(" × %d", n)
	}
	differ := "are the same"
	if r.Difference > 0 {
		differ = fmt.Sprintf("differ by at most %.2g of the largest", r.Difference)
	}
	return fmt.Sprintf("%s, %s, %.1f MB: %s of %s (%s); read back, %d values of %s %s",
		show.Name(r.Path), r.Format, float64(r.Bytes)/1e6, strings.Join(outputs, " and "), input, r.Reads,
		r.Values, show.Count(r.Items, "made-up item"), differ)
}

// What export writes, told by what is in a file.
var exportKinds = map[string]kind{
	"onnx":        {"an ONNX model that vicreg wrote", func(path string) bool { return onnx.Producer(path) == export.Producer }},
	"safetensors": {"arrays that vicreg exported", isExport},
	"torch": {"a state dict that vicreg exported", func(path string) bool {
		return torchfile.Producer(path) == export.Producer
	}},
}

func isExport(path string) bool {
	f, err := safetensors.Open(path)
	if err != nil {
		return false
	}
	defer f.Close()
	return strings.HasPrefix(f.Metadata["producer"], export.Producer)
}

// isTimmConfig reports whether a file is a config.json that export wrote.
func isTimmConfig(path string) bool {
	f, err := durable.OpenRegular(path)
	if err != nil {
		return false
	}
	defer f.Close()
	var c struct {
		Pretrained struct {
			Tag string `json:"tag"`
		} `json:"pretrained_cfg"`
	}
	return json.NewDecoder(f).Decode(&c) == nil && c.Pretrained.Tag == export.Producer
}

// export returns where an export to path is written, which is a file or, for timm, a
// folder or a place for one.
func (g *guard) export(path, format string) (string, error) {
	if format != "timm" {
		return g.output("--out", path, exportKinds[format])
	}
	st, err := os.Stat(path)
	switch {
	case err == nil && !st.IsDir():
		return "", usagef("--out %s: this is %s; timm loads a folder, so name one", path, durable.Kind(st.Mode()))
	case errors.Is(err, fs.ErrNotExist):
		where, _, err := g.locate("--out", filepath.Clean(path))
		return where, err
	case err != nil:
		return "", fmt.Errorf("--out %s cannot be used: %w", path, durable.Reason(err))
	}
	for i, k := range []kind{{"the config.json of an earlier export", isTimmConfig}, exportKinds["safetensors"]} {
		file := export.Files(path, format)[i]
		to, err := g.output("--out:", file, k)
		if err != nil {
			return "", err
		}
		if st, err := os.Lstat(file); err == nil && st.Mode()&fs.ModeSymlink != 0 {
			return "", usagef("--out: %s is a link, to %s; name another folder", file, to)
		}
	}
	return path, nil
}
