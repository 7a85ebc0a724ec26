package main

import (
	"fmt"
	"math"
	"runtime"

	"github.com/spf13/cobra"

	"vicreg/internal/augment"
	"vicreg/internal/batch"
	"vicreg/internal/dataset"
	"vicreg/internal/device"
	"vicreg/internal/reckon"
)

func newBenchViews(f *benchFlags) *cobra.Command {
	var (
		data          string
		size, workers int
	)
	cmd := &cobra.Command{
		Use:   "views",
		Short: "Time the making of views",
		Long: `Times one pass over a data set that makes the released pair of views of every
image: read, decoded and augmented anew each time, or taken from where a packed
or a small data set holds them. --workers processors do all of it.`,
		Example: `  vicreg bench views --data ~/photos --size 224 --workers 1
  vicreg bench views --data photos.pack --size 224 --workers 1`,
		Args: noArgs,
		RunE: func(*cobra.Command, []string) error {
			switch {
			case data == "":
				return usagef("--data is missing: name a folder of images, a file or a known data set")
			case size < 1:
				return usagef("--size is %d, but must be at least 1", size)
			case size > 16_384:
				return usagef("--size is %d, but must be at most 16384", size)
			case workers < 0:
				return usagef("--workers is %d, but must be at least 0", workers)
			case workers > 4096:
				return usagef("--workers is %d, but must be at most 4096", workers)
			}
			if err := f.onProcessor("views are made on the processor"); err != nil {
				return err
			}
			f.reads = append(f.reads, data)
			// Of 16 images at most, in three batches.
			if err := reckon.Bytes(fmt.Sprintf("making views of %d pixels", size), 3*16*2*3*4*float64(size)*float64(size)); err != nil {
				return usageError{err}
			}
			return f.measure(fmt.Sprintf("two views of %d pixels, %d workers", size, workers),
				func(device.Device) (func() error, int, int, error) { return viewsWork(data, size, workers) })
		},
	}
	flags := cmd.Flags()
	flags.SortFlags = false
	flags.StringVar(&data, "data", "", "`images`: whatever pretrain takes")
	flags.IntVar(&size, "size", 224, "width and height of a view, in `pixels`")
	flags.IntVar(&workers, "workers", 0, "`processors` to use; 0: all")
	return cmd
}

// viewsWork makes a function that makes the views of one pass, and counts its
// images.
func viewsWork(data string, size, workers int) (func() error, int, int, error) {
	if workers > 0 {
		runtime.GOMAXPROCS(workers)
	}
	d, _, err := dataset.Open(data, dataset.Options{Labels: "none"})
	if err != nil {
		return nil, 0, 0, err
	}
	views := augment.Released()
	n := min(16, len(d.Items))
	steps := batch.Steps(len(d.Items), n)
	// As torchvision is used with ImageNet.
	mean, std := []float64{0.485, 0.456, 0.406}, []float64{0.229, 0.224, 0.225}
	loader, err := batch.NewSource(d, batch.SourceOptions{Channels: 3, Cache: -1, View: size}).Train(batch.Config{
		Order: batch.Order{Seed: 1, Epochs: math.MaxInt32},
		Views: []batch.View{{View: views[0], Size: size}, {View: views[1], Size: size}},
		Batch: n, Mean: mean, Std: std, Workers: workers})
	if err != nil {
		return nil, 0, 0, err
	}
	return func() error {
		for range steps {
			if _, err := loader.Next(); err != nil {
				return err
			}
		}
		return nil
	}, n * steps, 0, nil
}
