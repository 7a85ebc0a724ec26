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

	"github.com/spf13/cobra"

	"vicreg"
	"vicreg/internal/atlas"
	"vicreg/internal/durable"
	"vicreg/internal/show"
)

// What vicreg map writes: map.json with sheets of pictures beside it.
var (
	mapFile   = kind{"a map that vicreg drew", atlas.Is}
	mapSheets = kind{"the pictures of a map that vicreg drew", func(path string) bool {
		return atlas.Is(filepath.Join(filepath.Dir(path), atlas.FileName))
	}}
	mapPage = kind{"a page that vicreg map wrote", func(path string) bool { return begins(path, atlas.Mark) }}
)

// mapFlags are the flags of vicreg map besides those of data and machine.
type mapFlags struct {
	o      vicreg.MapOptions
	out    string
	html   string
	asJSON bool
	guard  guard
}

func newMap() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "map RUN",
		Short: "Draw what a run's encoder sees in images",
		Long: `Looks at images with the encoder of a run folder (or of a model.safetensors file)
and draws a map of them on which those lie near each other that the encoder takes
for alike (t-SNE, and the plane of the largest variance). For each image it finds the
nearest neighbours, now and with the encoder untrained; for all of them clusters,
duplicates and outliers. No labels are needed; where there are some, they colour
the map.

All goes to the folder map of the run, where vicreg watch and vicreg report find it.
--html writes a page as well, one file that needs nothing else: point at the map to
see images.`,
		Example: `  vicreg map runs/photos --data ~/photos
  vicreg map runs/photos --data ~/photos --html map.html
  vicreg map runs/photos --points 20000 --clusters 30 --json`,
		Args: oneArg("run folder"),
	}
	var f mapFlags
	flags := cmd.Flags()
	flags.SortFlags = false
	config := newConfigFlags(flags)
	config.data()
	flags.IntVar(&f.o.Points, "points", 10_000, "`images` on the map at most, spread evenly over the data; up to 20000")
	flags.IntVar(&f.o.Clusters, "clusters", 0, "`groups` to find; 0: by the number of images, from 2 to 40")
	flags.StringVar(&f.out, "out", "", "`folder` to write to, in place of an earlier map (default map in the run folder)")
	flags.StringVar(&f.html, "html", "", "write a page to this `file` ending in .html as well, under 5 MB; replaces none but an earlier one")
	f.guard.forcible(flags)
	flags.IntVar(&f.o.Batch, "batch", 0, "`images` at once; 0: from 16 to 256, as their size is")
	flags.StringVar(&f.o.Precision, "precision", "float32", "`kind` of numbers to compute with: float32, tf32 or bf16")
	branch := newBranchFlag(flags)
	config.machine()
	where := newDeviceFlag(flags)
	flags.BoolVar(&f.asJSON, "json", false, "print JSON")
	cmd.RunE = func(_ *cobra.Command, args []string) error {
		if err := f.check(flags.Changed("out")); err != nil {
			return err
		}
		if err := where.multiplies(f.o.Precision); err != nil {
			return err
		}
		in, err := branch.images(args[0], config)
		if err != nil {
			return err
		}
		vicreg.SetThreads(in.threads)
		f.o.Workers, f.o.Device = in.workers, where.name
		f.guard.looks(args[0], in)
		if f.html != "" {
			if f.html, err = f.guard.output("--html", f.html, mapPage); err != nil {
				return err
			}
		}
		return f.draw(args[0], in)
	}
	return cmd
}

// check finds what is wrong with the flags by themselves.
func (f *mapFlags) check(out bool) error {
	switch {
	case f.o.Points < atlas.Fewest || f.o.Points > atlas.MostPoints:
		return usagef("--points is %d, but must be from %d to %d", f.o.Points, atlas.Fewest, atlas.MostPoints)
	case f.o.Clusters < 0 || f.o.Clusters > f.o.Points:
		return usagef("--clusters is %d, but must be from 0 to the number of points, %d", f.o.Clusters, f.o.Points)
	case f.o.Batch < 0:
		return usagef("--batch is %d, but must be 0 or more", f.o.Batch)
	case out && f.out == "":
		return usagef("--out is empty; name a folder")
	case f.html != "" && filepath.Ext(f.html) != ".html":
		return usagef("--html %q must name a file that ends in .html", f.html)
	}
	return nil
}

// folder returns where the map goes. It makes the folder if that is not there; empty says so.
func (f *mapFlags) folder(run string) (folder string, empty bool, err error) {
	folder = f.out
	if folder == "" {
		if st, err := os.Stat(run); err != nil || !st.IsDir() {
			return "", false, usagef("--out is missing: %s is not the folder of a run, so name a folder for the map", show.Name(run))
		}
		folder = filepath.Join(run, atlas.Folder)
	}
	err = os.Mkdir(folder, 0o777)
	switch empty = err == nil; {
	case errors.Is(err, fs.ErrNotExist):
		return "", false, fmt.Errorf("--out %s cannot be written: no such file or directory; make the folder %s first",
			folder, parent(folder))
	case err != nil && !errors.Is(err, fs.ErrExist):
		return "", false, fmt.Errorf("--out %s cannot be written: %w", folder, durable.Reason(err))
	case err != nil:
		if st, err := os.Stat(folder); err == nil && !st.IsDir() {
			return "", false, usagef("--out %s: this is a file; name a folder", folder)
		}
	}
	for name, k := range map[string]kind{atlas.FileName: mapFile, atlas.SheetName: mapSheets} {
		if _, err := f.guard.output("--out", filepath.Join(folder, name), k); err != nil {
			if empty {
				os.Remove(folder)
			}
			return "", false, err
		}
	}
	return folder, empty, nil
}

// draw makes the map and says what is on it.
func (f *mapFlags) draw(run string, in looker) error {
	folder, empty, err := f.folder(run)
	if err != nil {
		return err
	}
	info, err := counting(func(ctx context.Context, c *counter) (*vicreg.MapInfo, error) {
		f.o.Progress = c.of
		return in.model.MapData(ctx, folder, in.images, f.o)
	})
	if err != nil {
		if empty {
			os.Remove(folder) // which is empty still
		}
		return err
	}
	m, err := atlas.Read(folder)
	if err != nil {
		return err
	}
	if f.html != "" {
		page, notes, err := atlas.Page(m, m.Pictures(folder))
		if err == nil {
			err = durable.WriteFile(f.html, page)
		}
		if err != nil {
			return fmt.Errorf("%s cannot be written: %w", f.html, durable.Reason(err))
		}
		info.Notes = append(info.Notes, notes...)
	}
	if f.asJSON {
		all := mapped(m, info)
		if f.html != "" {
			all["html"] = f.html
		}
		return printJSON(all)
	}
	writeNotes(stdout, info.Notes)
	writeBad(stdout, false, info.Bad)
	writeMap(m, info)
	if f.html != "" {
		fmt.Fprintf(stdout, "page        %s\n", f.html)
	}
	return nil
}

// writeMap says what is on a map.
func writeMap(m *atlas.Map, info *vicreg.MapInfo) {
	name := func(i int) string { return show.Name(m.Points[i].Name) }
	fmt.Fprintf(stdout, "%s of %s in %s\n", show.Count(len(m.Points), "image"), show.Name(m.Dataset), info.Folder)
	if now, before, ok := m.Agreement(); ok {
		fmt.Fprintf(stdout, "neighbours  %.0f%% of the nearest %d have the same label; %.0f%% with the encoder untrained\n",
			100*now, len(m.Points[0].Neighbours), 100*before)
	}
	sizes := make([]string, 0, 4)
	for i := range m.Clusters[:min(3, len(m.Clusters))] {
		text := fmt.Sprint(m.Clusters[i].Size)
		if class, share := m.Mostly(i); class >= 0 {
			text += fmt.Sprintf(" (%.0f%% %s)", 100*share, show.Line(m.Classes[class]))
		}
		sizes = append(sizes, text)
	}
	if len(m.Clusters) > 3 {
		sizes = append(sizes, "…")
	}
	fmt.Fprintf(stdout, "clusters    %d, of %s images\n", len(m.Clusters), strings.Join(sizes, ", "))
	const few = 3
	if len(m.Duplicates) == 0 {
		fmt.Fprintln(stdout, "duplicates  none")
	} else {
		more := 0
		for _, d := range m.Duplicates {
			more += len(d) - 1
		}
		fmt.Fprintf(stdout, "duplicates  %s shown by another image too:\n", show.Plural(more, "image is", "images are"))
		for _, d := range m.Duplicates[:min(few, len(m.Duplicates))] {
			line := name(d[0]) + " and " + name(d[1])
			if len(d) > 2 {
				line += fmt.Sprintf(" and %d more", len(d)-2)
			}
			fmt.Fprintf(stdout, "            %s\n", line)
		}
		if left := len(m.Duplicates) - few; left > 0 {
			fmt.Fprintf(stdout, "            and %s\n", show.Plural(left, "more group", "more groups"))
		}
	}
	fmt.Fprintln(stdout, "outliers    farthest from their neighbours:")
	for _, i := range m.Outliers[:min(few, len(m.Outliers))] {
		fmt.Fprintf(stdout, "            %.2f  %s\n", m.Points[i].Outlier, name(i))
	}
}

// mapped is what is on a map, as programs read it.
func mapped(m *atlas.Map, info *vicreg.MapInfo) map[string]any {
	type group struct {
		Images  int     `json:"images"`
		Cosine  float64 `json:"cosine"`
		Class   string  `json:"class,omitempty"`
		Share   float64 `json:"share,omitempty"`
		Nearest string  `json:"nearest"` // to the centre
	}
	type outlier struct {
		Name     string  `json:"name"`
		Distance float64 `json:"distance"`
	}
	rounded := func(v float64) float64 { return math.Round(v*1e4) / 1e4 }
	clusters, outliers := []group{}, []outlier{}
	for i, c := range m.Clusters {
		g := group{Images: c.Size, Cosine: rounded(float64(c.Cosine)), Nearest: m.Points[c.Examples[0]].Name}
		if class, share := m.Mostly(i); class >= 0 {
			g.Class, g.Share = show.Valid(m.Classes[class]), rounded(share)
		}
		clusters = append(clusters, g)
	}
	for _, i := range m.Outliers {
		outliers = append(outliers, outlier{m.Points[i].Name, rounded(float64(m.Points[i].Outlier))})
	}
	all := map[string]any{"map": info.Folder, "dataset": m.Dataset, "images": m.Images, "points": len(m.Points),
		"model": m.Model, "weights": m.Weights, "clusters": clusters, "duplicates": append([][]string{}, info.Duplicates...),
		"outliers": outliers, "bad_images": len(info.Bad), "bad_image_list": append([]string{}, info.Bad...),
		"notes": append([]string{}, info.Notes...)}
	if now, before, ok := m.Agreement(); ok {
		all["same_label"], all["same_label_untrained"] = rounded(now), rounded(before)
	}
	return all
}
