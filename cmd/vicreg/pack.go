package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"vicreg/internal/batch"
	"vicreg/internal/dataset"
)

func newPack() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "pack",
		Short: "Write a data set as one file of decoded images",
		Long: `Decodes every image of a data set once and writes them all to one file, with
their names, labels and classes, and with the split where the data has a test
set. --data takes that file like any data set; the images in it are read at the
speed of memory, so that no later run decodes them again.

A file of decoded images is large: three bytes a pixel, or up to four for each channel
of images that are no pictures. --size makes images smaller whose shorter side is
longer than that. Images that cannot be read are left out, counted and named; more than
a tenth of them is an error, unless --max-bad says otherwise.`,
		Example: `  vicreg pack --data ~/photos --size 256 --out photos.pack
  vicreg pretrain --data photos.pack`,
		Args: noArgs,
	}
	var (
		data, labels, out string
		size, workers     int
		g                 guard
	)
	flags := cmd.Flags()
	flags.SortFlags = false
	config := newConfigFlags(flags)
	flags.StringVar(&data, "data", "", "`images`: a folder, shards or tables such as train-{000..127}.tar or train-*.parquet, a CIFAR or idx file, fashion-mnist, or sample (built in)")
	flags.StringVar(&labels, "labels", "auto", strings.Replace(labelsUsage, "for scoring", "to keep", 1))
	config.limits()
	flags.IntVar(&size, "size", 0, "shorter side of larger images, in `pixels`; 0: as they are")
	flags.StringVar(&out, "out", "", "`file` to write, such as photos.pack; replaces none but an earlier pack")
	g.forcible(flags)
	flags.IntVar(&workers, "workers", 0, "`processors` that decode; 0: all")
	cmd.RunE = func(*cobra.Command, []string) error {
		switch {
		case data == "":
			return usagef("--data is missing: name a folder of images, a file or a known data set")
		case out == "":
			return usagef("--out is missing: name the file to write, such as photos.pack")
		case dataset.CheckLabels(labels) != nil:
			return usageError{dataset.CheckLabels(labels)}
		case size < 0:
			return usagef("--size is %d, but must be at least 0", size)
		case workers < 0:
			return usagef("--workers is %d, but must be at least 0", workers)
		}
		limits, err := config.limited()
		if err != nil {
			return err
		}
		g.sources = append(g.sources, data)
		g.reads(dataset.LabelFile(labels))
		out, err := g.output("--out", out, packedData)
		if err != nil {
			return err
		}
		train, test, err := dataset.Open(data, dataset.Options{Labels: labels})
		if err != nil {
			return err
		}
		p, err := counting(func(ctx context.Context, c *counter) (*batch.Packed, error) {
			return batch.Pack(ctx, out, train, test,
				batch.PackOptions{Short: size, Limits: limits.Limits(), Most: limits.MaxBad,
					Workers: workers, Progress: c.count})
		})
		if err != nil {
			return err
		}
		var bad []string
		for _, b := range p.Bad {
			bad = append(bad, b.Err.Error())
		}
		writeNotes(stdout, train.Notes)
		writeBad(stdout, false, bad)
		_, err = fmt.Fprintln(stdout, describePacked(p, train.Classes, out))
		return err
	}
	return cmd
}

// describePacked says what was written.
func describePacked(p *batch.Packed, classes []string, out string) string {
	s := fmt.Sprintf("%d images", p.Train+p.Test)
	if p.Test > 0 {
		s += fmt.Sprintf(" (%d to train, %d to score)", p.Train, p.Test)
	}
	if classes != nil {
		s += fmt.Sprintf(" of %d classes", p.Classes)
		if p.Classes == 1 {
			s = strings.TrimSuffix(s, "es")
		}
	}
	return fmt.Sprintf("%s in %s, %.1f MB", s, out, float64(p.Bytes)/1e6)
}
