package main

import (
	"cmp"
	"context"
	"fmt"
	"os"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"vicreg"
	"vicreg/internal/durable"
	"vicreg/internal/index"
	"vicreg/internal/recipe"
	"vicreg/internal/show"
)

// imageIndex is the kind of the files that vicreg index writes.
var imageIndex = kind{"an index that vicreg wrote", index.Is}

func newIndex() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "index RUN",
		Short: "Write a run's features of images to a file to search in",
		Long: `Writes the features of all images of --data, as the encoder of a run folder (or
of a model.safetensors file) sees them, to one file, in which vicreg search and
vicreg serve find the images that are most alike. The file says which model made
it and where the images are; the images stay there.

A search looks at every image, which takes a second for a million. For more
images --lists groups them: a search then reads a few groups alone, as many as
find 95% of the ten nearest. How many that are is measured and written into the
file. Images that cannot be read are left out, counted and named; more than a
tenth of them is an error, unless --max-bad says otherwise.`,
		Example: `  vicreg index runs/photos --data ~/photos --out photos.index
  vicreg search runs/photos --index photos.index --query cat.jpg
  vicreg index runs/photos --data ~/many --lists 2000 --out many.index`,
		Args: oneArg("run folder"),
	}
	var (
		o      vicreg.IndexOptions
		out    string
		asJSON bool
		g      guard
	)
	flags := cmd.Flags()
	flags.SortFlags = false
	config := newConfigFlags(flags)
	config.data()
	flags.StringVar(&out, "out", "", "`file` to write, such as photos.index; replaces none but an earlier index")
	g.forcible(flags)
	flags.IntVar(&o.Lists, "lists", 0, "`groups` to divide the images into, for hundreds of thousands of them; the square root of their number or up to four times that is usual; 0: none, every search is exact")
	flags.IntVar(&o.Batch, "batch", 0, "`images` at once; 0: from 16 to 256, as their size is")
	flags.StringVar(&o.Precision, "precision", "float32", "`kind` of numbers to compute with: float32, tf32 or bf16")
	branch := newBranchFlag(flags)
	config.machine()
	where := newDeviceFlag(flags)
	flags.BoolVar(&asJSON, "json", false, "print JSON")
	cmd.RunE = func(_ *cobra.Command, args []string) error {
		switch {
		case out == "":
			return usagef("--out is missing: name the file to write, such as photos.index")
		case o.Lists < 0:
			return usagef("--lists is %d, but must be 0 or more", o.Lists)
		case o.Batch < 0:
			return usagef("--batch is %d, but must be 0 or more", o.Batch)
		}
		if err := where.multiplies(o.Precision); err != nil {
			return err
		}
		in, err := branch.images(args[0], config)
		if err != nil {
			return err
		}
		vicreg.SetThreads(in.threads)
		o.Workers, o.Device = in.workers, where.name
		g.looks(args[0], in)
		if out, err = g.output("--out", out, imageIndex); err != nil {
			return err
		}
		x, err := counting(func(ctx context.Context, c *counter) (*vicreg.Index, error) {
			o.Progress, o.Phase = c.count, c.describe
			return in.model.IndexData(ctx, out, in.images, o)
		})
		if err != nil {
			return err
		}
		defer x.Close()
		return writeIndexed(x, out, asJSON)
	}
	return cmd
}

// writeIndexed says what an index holds.
func writeIndexed(x *vicreg.Index, out string, asJSON bool) error {
	info := x.Info()
	st, err := os.Stat(out)
	if err != nil {
		return fmt.Errorf("%s: %w", out, durable.Reason(err))
	}
	if asJSON {
		all := map[string]any{"index": out, "dataset": info.Dataset, "images": info.Images, "features": info.Features,
			"bytes": st.Size(), "model": info.Model, "weights": info.Weights, "lists": info.Lists,
			"bad_images": len(x.Bad), "bad_image_list": append([]string{}, x.Bad...), "notes": append([]string{}, x.Notes...)}
		if info.Lists > 0 {
			all["probe"], all["recall_at_10"] = info.Probe, info.Recall
		}
		return printJSON(all)
	}
	writeNotes(stdout, x.Notes)
	writeBad(stdout, false, x.Bad)
	fmt.Fprintf(stdout, "%s × %d features in %s, %.1f MB\n", show.Count(info.Images, "image"), info.Features, out, float64(st.Size())/1e6)
	if info.Lists > 0 {
		fmt.Fprintf(stdout, "A search reads %d of %d lists, which found %.1f%% of the ten nearest of images held back.\n", info.Probe, info.Lists, 100*info.Recall)
	}
	return nil
}

// branchFlag chooses the branch of a run for a command that looks at images alone.
type branchFlag struct{ modelFlags }

func newBranchFlag(flags *pflag.FlagSet) *branchFlag {
	f := &branchFlag{modelFlags{flags: flags}}
	f.whichBranch()
	return f
}

// images is open for a run on images.
func (f *branchFlag) images(run string, config *configFlags) (l looker, err error) {
	if l.model, err = f.model(run); err != nil && !f.flags.Changed("data") {
		return l, err
	}
	unopened := err
	var data recipe.Data
	own, damaged := runOwn(l.model)
	switch given := f.flags.Changed("data"); {
	case damaged != nil && !given:
		return l, damaged
	case own != nil && !given:
		config.apply(own)
		if err = own.Validate(); err != nil {
			err = usageError{err}
		}
		data, l.threads, l.workers = own.Data, own.Threads, own.Workers
	default:
		data, l.threads, l.workers, err = config.source()
	}
	l.images = vicreg.Data(data)
	return l, cmp.Or(err, unopened) // what is wrong with the flags comes first
}

// model opens the model of a run on images.
func (f *branchFlag) model(run string) (*vicreg.Model, error) {
	if f.branch != "a" && f.branch != "b" {
		return nil, usagef("--branch %q is unknown; known: a, b", f.branch)
	}
	m, err := vicreg.OpenBranch(run, f.branch)
	if err != nil {
		return nil, err
	}
	if side, paired := m.Paired(); paired {
		return nil, usagef("%s was trained on pairs and its encoder reads %s; this command is for encoders of images", run, side)
	}
	return m, nil
}
