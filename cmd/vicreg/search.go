package main

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"vicreg"
	"vicreg/internal/durable"
	"vicreg/internal/index"
	"vicreg/internal/recipe"
	"vicreg/internal/show"
)

// searchFlags are the flags of vicreg search besides those of data and machine.
type searchFlags struct {
	queries        []string
	index, html    string
	k, probe       int
	others, asJSON bool
	guard          guard
	given          func() []string // the flags of data and machine that were
}

func newSearch() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "search RUN",
		Short: "Find the images that are most like another",
		Long: `Finds those images of --data, or of an index that vicreg index wrote, whose
features are nearest to those of a query by cosine, as the encoder of a run folder
(or of a model.safetensors file) sees them: 1 is the same direction, 0 is nothing
in common. --html writes the images side by side, in one file that needs nothing
else. A query that is itself among the images is found first and marked; --others
leaves it out.`,
		Example: `  vicreg search runs/photos --data ~/photos --query cat.jpg -k 12
  vicreg search runs/photos --index photos.index --query cat.jpg --html cats.html
  vicreg search runs/photos --index photos.index --query a.jpg --query b.jpg --json`,
		Args: oneArg("run folder"),
	}
	var f searchFlags
	flags := cmd.Flags()
	flags.SortFlags = false
	config := newConfigFlags(flags)
	flags.StringArrayVar(&f.queries, "query", nil, "`image` to look for, or a folder of some; may be given several times")
	flags.IntVarP(&f.k, "k", "k", 12, "`images` to find for each query")
	flags.BoolVar(&f.others, "others", false, "leave the query itself out where it is among the images")
	flags.StringVar(&f.index, "index", "", "`file` that vicreg index wrote, to search instead of --data")
	flags.IntVar(&f.probe, "probe", 0, "`lists` to read of an index that has some; 0: as many as it says")
	config.data()
	flags.StringVar(&f.html, "html", "", "page to write with the images side by side, a `file` ending in .html; replaces none but an earlier one")
	f.guard.forcible(flags)
	branch := newBranchFlag(flags)
	config.machine()
	where := newDeviceFlag(flags)
	flags.BoolVar(&f.asJSON, "json", false, "print JSON")
	f.given = config.given
	cmd.RunE = func(_ *cobra.Command, args []string) error {
		if err := f.check(); err != nil {
			return err
		}
		in, err := f.open(args[0], branch, config)
		if err != nil {
			return err
		}
		vicreg.SetThreads(in.threads)
		f.guard.sources = append(f.guard.sources, f.queries...)
		if f.html != "" {
			f.guard.looks(args[0], in)
			f.guard.reads(f.index)
			if f.html, err = f.guard.output("--html", f.html, contactSheet); err != nil {
				return err
			}
		}
		return f.search(in, where.name)
	}
	return cmd
}

// check finds what is wrong with the flags by themselves.
func (f *searchFlags) check() error {
	switch {
	case len(f.queries) == 0:
		return usagef("--query is missing: name the image to look for")
	case f.k < 1 || f.k >= index.MostNearest:
		return usagef("-k is %d, but must be from 1 to %d", f.k, index.MostNearest-1)
	case f.probe < 0:
		return usagef("--probe is %d, but must be 0 or more", f.probe)
	case f.probe > 0 && f.index == "":
		return usagef("--probe is for an index that has lists, and there is no --index")
	case f.html != "" && filepath.Ext(f.html) != ".html":
		return usagef("--html %q must name a file that ends in .html", f.html)
	}
	if f.index != "" {
		for _, name := range f.given() {
			if !slices.Contains([]string{"max-pixels", "threads", "workers"}, name) {
				return usagef("--%s says which images to embed, and those of --index are embedded already; give one", name)
			}
		}
	}
	for _, q := range f.queries {
		if q == "" {
			return usagef("--query is empty; name the image to look for")
		}
	}
	return nil
}

// open opens the model, and says what there is to embed besides queries.
func (f *searchFlags) open(run string, branch *branchFlag, config *configFlags) (l looker, err error) {
	if f.index == "" {
		return branch.images(run, config)
	}
	c, err := recipe.Load(recipe.Default)
	if err != nil {
		return l, err
	}
	config.apply(&c)
	if err := c.Validate(); err != nil {
		return l, usageError{err}
	}
	l.model, err = branch.model(run)
	l.images.MaxPixels, l.threads, l.workers = c.Data.MaxPixels, c.Threads, c.Workers
	return l, err
}

// search finds the nearest of every query and writes them.
func (f *searchFlags) search(in looker, device string) error {
	type found struct {
		x       *vicreg.Index
		queries *vicreg.Embeddings
		matches [][]vicreg.Match
		took    time.Duration // to embed what is searched
	}
	r, err := counting(func(ctx context.Context, c *counter) (r found, err error) {
		o := vicreg.EmbedOptions{Workers: in.workers, Device: device}
		r.queries, err = in.model.EmbedFiles(ctx, f.queries, vicreg.Data{MaxPixels: in.images.MaxPixels}, o)
		if err != nil {
			return r, err
		}
		if f.index != "" {
			r.x, err = vicreg.OpenIndex(f.index)
		} else {
			began := time.Now()
			r.x, err = in.model.IndexData(ctx, "", in.images,
				vicreg.IndexOptions{Workers: in.workers, Device: device, Progress: c.count})
			r.took = time.Since(began)
		}
		if err == nil {
			err = in.model.Suits(r.x)
		}
		if err != nil {
			return r, err
		}
		if info := r.x.Info(); f.probe > info.Lists {
			return r, usagef("--probe is %d, but %s has %s", f.probe, f.index, show.Count(info.Lists, "list"))
		}
		c.describe("searching")
		so := vicreg.SearchOptions{K: f.k, Probe: f.probe}
		if f.others {
			so.K++
		}
		r.matches, err = r.x.Search(ctx, r.queries.Features, so)
		return r, err
	})
	if err != nil {
		return err
	}
	defer r.x.Close()
	all := f.answers(r.x, r.queries.Names, r.matches)
	if f.html != "" {
		notes, err := writeSheet(f.html, all, r.x)
		if err != nil {
			return fmt.Errorf("%s cannot be written: %w", f.html, durable.Reason(err))
		}
		r.x.Notes = append(r.x.Notes, notes...)
	}
	bad, notes := append(r.queries.Bad, r.x.Bad...), append(r.queries.Notes, r.x.Notes...)
	if f.asJSON {
		return printJSON(map[string]any{"queries": all, "images": r.x.Info().Images, "bad_images": len(bad),
			"bad_image_list": append([]string{}, bad...), "notes": append([]string{}, notes...)})
	}
	if r.took > 10*time.Second {
		notes = append(notes, fmt.Sprintf("embedding the images took %v; vicreg index keeps their features for the next search", r.took.Round(time.Second)))
	}
	writeNotes(stdout, notes)
	writeBad(stdout, false, bad)
	return writeAnswers(all, f.html)
}

// answer is a query and what was found.
type answer struct {
	Query   string     `json:"query"`
	Matches []likeness `json:"matches"`
}

// likeness is an image that was found.
type likeness struct {
	Item   int     `json:"item"` // its place among the images
	Name   string  `json:"name"`
	File   string  `json:"file,omitempty"`
	Class  string  `json:"class,omitempty"`
	Cosine float32 `json:"cosine"`
	Itself bool    `json:"is_query"`
}

// answers marks, or leaves out, what is a query itself.
func (f *searchFlags) answers(x *vicreg.Index, names []string, matches [][]vicreg.Match) []answer {
	all := make([]answer, len(names))
	for q, name := range names {
		itself := x.At(filepath.FromSlash(name))
		a := answer{Query: name, Matches: []likeness{}}
		for _, m := range matches[q] {
			if m.Item == itself && f.others {
				continue
			}
			class := show.Valid(m.Class)
			a.Matches = append(a.Matches, likeness{m.Item, m.Name, m.File, class, m.Cosine, m.Item == itself})
		}
		a.Matches = a.Matches[:min(f.k, len(a.Matches))]
		all[q] = a
	}
	return all
}

// nearby returns a path as it is from the working folder, if that is above it.
func nearby(path string) string {
	if here, err := os.Getwd(); err == nil && path != "" {
		if rel, err := filepath.Rel(here, path); err == nil && filepath.IsLocal(rel) {
			return rel
		}
	}
	return path
}

// writeAnswers lists paths and scores.
func writeAnswers(all []answer, html string) error {
	for i, a := range all {
		if i > 0 {
			fmt.Fprintln(stdout)
		}
		fmt.Fprintf(stdout, "%s\n", show.Name(a.Query))
		for _, m := range a.Matches {
			line := fmt.Sprintf("  %7.4f  %s", m.Cosine, show.Name(cmp.Or(nearby(m.File), m.Name)))
			if m.Class != "" {
				line += "  (" + show.Line(m.Class) + ")"
			}
			if m.Itself {
				line += "  the query itself"
			}
			fmt.Fprintln(stdout, line)
		}
	}
	if html != "" {
		fmt.Fprintf(stdout, "\nContact sheet in %s\n", html)
	}
	return nil
}
