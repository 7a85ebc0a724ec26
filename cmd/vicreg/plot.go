package main

import (
	"fmt"
	"path/filepath"

	"github.com/spf13/cobra"

	"vicreg/internal/compare"
	"vicreg/internal/show"
)

func newPlot() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "plot RUN",
		Short: "Draw the curves of a run",
		Long: `Draws what a run went through, finished or not: the loss and each of its terms,
by step and as means of epochs, and after each epoch the figures that show a
collapse and the kNN score, or without labels how views find each other.`,
		Example: `  vicreg plot runs/photos                        # writes runs/photos/curves.png
  vicreg plot runs/photos --out photos.svg`,
		Args: oneArg("run folder"),
	}
	var (
		out string
		g   guard
	)
	cmd.Flags().StringVar(&out, "out", "", "picture to write, a `file` ending in .png or .svg (default curves.png in the run folder)")
	g.forcible(cmd.Flags())
	cmd.RunE = func(_ *cobra.Command, args []string) error {
		folder := args[0]
		if out == "" {
			out = filepath.Join(folder, "curves.png")
		}
		if ext := filepath.Ext(out); ext != ".png" && ext != ".svg" {
			return usagef("--out %q must name a file that ends in .png or .svg", out)
		}
		r, err := compare.Read(runName(folder), folder)
		if err != nil {
			return err
		}
		g.run(folder)
		where, err := g.output("--out", out, picture)
		if err != nil {
			return err
		}
		if err := g.picture("--out", where, folder); err != nil {
			return err
		}
		if err := compare.Curves(where, r); err != nil {
			return err
		}
		last := r.Epochs[len(r.Epochs)-1]
		_, err = fmt.Fprintf(stdout, "%s of %s in %s\n", show.Count(last.Epoch, "epoch"), folder, out)
		return err
	}
	return cmd
}
