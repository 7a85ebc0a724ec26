package main

import (
	"cmp"
	"context"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"vicreg"
	"vicreg/internal/dataset"
	"vicreg/internal/durable"
	"vicreg/internal/npy"
	"vicreg/internal/recipe"
	"vicreg/internal/runlog"
	"vicreg/internal/show"
)

func newEmbed() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "embed RUN [IMAGE ...]",
		Short: "Write a run's features of images as a NumPy array",
		Long: `Writes the features of images, as the encoder of a run folder (or of a
model.safetensors file) sees them: an array images × features of float32, and
beside it a text file with the name of each row's image. No labels are needed.
The images are those of --data, or files and folders that are named one by one.`,
		Example: `  vicreg embed runs/photos --data ~/photos --out e.npy    # and e.txt
  vicreg embed runs/photos cat.jpg dog.jpg more/ --out e.npy`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return usagef("%s needs a run folder, got 0 arguments (see %[1]s --help)", cmd.CommandPath())
			}
			return nil
		},
	}
	var (
		o   vicreg.EmbedOptions
		out string
		g   guard
	)
	flags := cmd.Flags()
	flags.SortFlags = false
	config := newConfigFlags(flags)
	config.data()
	model := newModelFlags(flags)
	flags.StringVar(&out, "out", "", "array to write, a `file` ending in .npy; the names go to the same name with .txt; replaces none but both that an earlier embed wrote (without --force)")
	g.forcible(flags)
	flags.StringVar(&o.Layer, "layer", "representation", "`layer` to write: representation (the encoder's) or embedding (the expander's)")
	flags.IntVar(&o.Batch, "batch", 0, "`images` at once; 0: from 16 to 256, as their size is")
	flags.StringVar(&o.Precision, "precision", "float32", "`kind` of numbers to compute with: float32, tf32 or bf16")
	model.whichBranch()
	config.machine()
	where := newDeviceFlag(flags)
	cmd.RunE = func(_ *cobra.Command, args []string) error {
		switch {
		case !strings.HasSuffix(out, ".npy"):
			return usagef("--out %q must name a file that ends in .npy", out)
		case o.Layer != "representation" && o.Layer != "embedding":
			return usagef("--layer %q is unknown; known: representation, embedding", o.Layer)
		case o.Batch < 0:
			return usagef("--batch is %d, but must be 0 or more", o.Batch)
		}
		if err := where.multiplies(o.Precision); err != nil {
			return err
		}
		files := args[1:]
		if len(files) > 0 {
			for _, name := range []string{"data", "labels", "pairs"} {
				if f := flags.Lookup(name); f != nil && f.Changed {
					return usagef("--%s and images named one by one, such as %s, contradict each other; give one", name, show.Name(files[0]))
				}
			}
			must(flags.Set("data", files[0]))
		}
		in, err := model.open(args[0], config)
		if err != nil {
			return err
		}
		vicreg.SetThreads(in.threads)
		o.Workers, o.Device = in.workers, where.name
		g.looks(args[0], in)
		g.sources = append(g.sources, files...)
		names := strings.TrimSuffix(out, ".npy") + ".txt"
		k := embeddings(out, names)
		if out, err = g.output("--out", out, k); err != nil {
			return err
		}
		if names, err = g.output("the file of names beside --out,", names, k); err != nil {
			return err
		}
		// Made first, so that a place where nothing can be written is found before the
		// work.
		array, err := durable.Create(out)
		if err != nil {
			return fmt.Errorf("--out %s cannot be written: %w", out, err)
		}
		defer array.Discard()
		what := "images"
		e, err := counting(func(ctx context.Context, c *counter) (*vicreg.Embeddings, error) {
			o.Progress = c.count
			if in.paired {
				what = "rows"
				return in.model.EmbedPairs(ctx, in.pairs, o)
			}
			if len(files) > 0 {
				return in.model.EmbedFiles(ctx, files, in.images, o)
			}
			return in.model.EmbedData(ctx, in.images, o)
		})
		if err != nil {
			return err
		}
		if err := writeEmbeddings(array, names, e); err != nil {
			return fmt.Errorf("cannot write %s and %s: %w", out, names, durable.Reason(err))
		}
		writeNotes(stdout, e.Notes)
		writeBad(stdout, in.paired, e.Bad)
		_, err = fmt.Fprintf(stdout, "%d %s × %d features in %s, their names in %s\n", len(e.Features), what, len(e.Features[0]), out, names)
		return err
	}
	return cmd
}

// looks adds what a model looks at, which lies at path.
func (g *guard) looks(path string, in looker) {
	g.reads(path)
	if !in.paired {
		g.sources = append(g.sources, in.images.Source)
		g.reads(dataset.LabelFile(in.images.Labels))
		return
	}
	manifest := in.pairs.Manifest
	c, err := recipe.ReadFile(filepath.Join(filepath.Dir(in.model.Info().Path), runlog.ConfigFile))
	if err == nil && c.Pairs != nil {
		g.pairs(cmp.Or(manifest, c.Data.Source), &c)
	} else if manifest != "" { // of a model without its folder
		g.manifests = append(g.manifests, manifest)
	}
}

// writeEmbeddings puts both files in place at once, as [embeddings] knows them again.
func writeEmbeddings(array *durable.File, names string, e *vicreg.Embeddings) error {
	w, err := npy.NewWriter(array, len(e.Features), len(e.Features[0]))
	if err != nil {
		return err
	}
	for _, row := range e.Features {
		if err := w.Write(row); err != nil {
			return err
		}
	}
	if err := w.Close(); err != nil {
		return err
	}
	named, err := durable.Create(names)
	if err != nil {
		return err
	}
	defer named.Discard()
	if _, err := named.Write([]byte(lines(e.Names))); err != nil {
		return err
	}
	return durable.Commit(array, named)
}

// lines writes a name a line, those that hold line breaks or control characters
// as string literals.
func lines(names []string) string {
	var b strings.Builder
	for _, n := range names {
		b.WriteString(show.Name(n))
		b.WriteByte('\n')
	}
	return b.String()
}
