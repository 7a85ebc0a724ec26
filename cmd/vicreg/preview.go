package main

import (
	"bytes"
	"context"
	_ "embed"
	"encoding/base64"
	"errors"
	"fmt"
	"html/template"
	"image"
	"image/jpeg"
	"image/png"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/image/draw"

	"vicreg"
	"vicreg/internal/augment"
	"vicreg/internal/compare"
	"vicreg/internal/durable"
	"vicreg/internal/imagefile"
	"vicreg/internal/recipe"
	"vicreg/internal/runlog"
	"vicreg/internal/show"
	"vicreg/internal/train"
)

//go:embed preview.html
var previewText string

var previewPage = template.Must(template.New("preview").Parse(previewText))

// previewMark is in every page of views.
const previewMark = `<meta name="generator" content="vicreg views">`

var viewsPage = kind{"a page that vicreg views wrote", func(path string) bool { return begins(path, previewMark) }}

// shownViews is how many views of an image are shown: those that a loss compares first.
const shownViews = 2

func newViews() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "views [RUN]",
		Short: "Show the views that a recipe makes of images, before any training",
		Long: `Shows some images and the two views of each that a run would draw in its first
epoch: of --data with the recipe, the file and the flags that pretrain takes, or those
of a run that is there. What a view must keep for the encoder to know the image again
should be in both; if it is not, raise --crop-min or lower what destroys it.

It writes a picture, or with --html a page that says what was drawn for each view.`,
		Example: `  vicreg views --data ~/photos --html views.html
  vicreg views --data ~/photos --crop-min 0.4 --jitter 0 --out views.png
  vicreg views runs/photos --html views.html`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) > 1 {
				return usagef("%s takes one run folder or none, got %d arguments (see %[1]s --help)", cmd.CommandPath(), len(args))
			}
			return nil
		},
	}
	var (
		f         = &pretrainFlags{device: &deviceFlag{processor}}
		n         int
		out, html string
		g         guard
	)
	flags := cmd.Flags()
	flags.SortFlags = false
	config := newConfigFlags(flags)
	config.data()
	config.holdout()
	flags.StringVar(&f.recipe, "recipe", "", "built-in `recipe` to start from: "+strings.Join(vicreg.Recipes(), ", ")+" (default "+recipe.Photos+" for images of your own, else "+recipe.Default+")")
	flags.StringVar(&f.config, "config", "", "YAML `file` laid over the recipe")
	bind(config, flags.String, "method", "`system` to train with", func(c *recipe.Config) *string { return &c.Method })
	bind(config, flags.Int, "size", "width and height of a view, in `pixels`", func(c *recipe.Config) *int { return &c.Size })
	bind(config, flags.Uint64, "seed", "`number` that fixes every random choice", func(c *recipe.Config) *uint64 { return &c.Seed })
	config.views()
	flags.IntVar(&n, "images", 16, "`images` to show, up to 256")
	flags.StringVar(&out, "out", "", "picture to write, a `file` ending in .png (default views.png, without --html)")
	flags.StringVar(&html, "html", "", "page to write, a `file` ending in .html")
	g.forcible(flags)
	f.flags = flags
	config.showDefaults()
	cmd.RunE = func(_ *cobra.Command, args []string) error {
		switch {
		case n < 1 || n > 256:
			return usagef("--images is %d, but must be from 1 to 256", n)
		case html != "" && filepath.Ext(html) != ".html":
			return usagef("--html %q must name a file that ends in .html", html)
		case out == "" && html == "":
			out = "views.png"
		}
		if out != "" && filepath.Ext(out) != ".png" {
			return usagef("--out %q must name a file that ends in .png", out)
		}
		c, err := viewsOf(args, f, config)
		if err != nil {
			return err
		}
		g.config(&c)
		for _, to := range []struct {
			flag string
			path *string
			kind
		}{{"--out", &out, picture}, {"--html", &html, viewsPage}} {
			if *to.path != "" {
				if *to.path, err = g.output(to.flag, *to.path, to.kind); err != nil {
					return err
				}
			}
		}
		p, err := counting(func(ctx context.Context, _ *counter) (*train.Peek, error) {
			return train.LookAhead(ctx, c, n)
		})
		if errors.Is(err, train.ErrNoImages) {
			return usageError{err}
		}
		if err != nil {
			return err
		}
		if more := len(p.Config.Crops()) - shownViews; more > 0 {
			p.Notes = append(p.Notes, fmt.Sprintf("the run draws %s of each image besides", show.Count(more, "more view")))
		}
		writeNotes(stdout, p.Notes)
		return writePeek(p, out, html)
	}
	return cmd
}

// viewsOf is the configuration whose views are shown: that of a run, with the flags of views
// laid over it, or a new one.
func viewsOf(args []string, f *pretrainFlags, config *configFlags) (recipe.Config, error) {
	if len(args) == 0 {
		return f.configuration(config)
	}
	for _, name := range []string{"recipe", "config", "method"} {
		if f.flags.Changed(name) {
			return recipe.Config{}, usagef("--%s is of a new run, and the views of %s are asked for; give one", name, show.Name(args[0]))
		}
	}
	if err := runlog.CheckFolder(args[0]); err != nil {
		return recipe.Config{}, err
	}
	c, err := readOwn(args[0])
	if err != nil {
		return c, err
	}
	config.apply(&c)
	if err := c.Validate(); err != nil {
		return c, usageError{err}
	}
	return c, nil
}

// writePeek writes the picture and the page that are asked for.
func writePeek(p *train.Peek, out, html string) error {
	if out != "" {
		var b bytes.Buffer
		if err := png.Encode(&b, contact(p)); err != nil {
			return err
		}
		if err := durable.WriteFile(out, compare.Sign(b.Bytes())); err != nil {
			return fmt.Errorf("%s cannot be written: %w", out, durable.Reason(err))
		}
		fmt.Fprintf(stdout, "%s of %s in %s\n", show.Count(len(p.Images), "image"), show.Name(p.Dataset), out)
	}
	if html != "" {
		page, err := peekPage(p)
		if err != nil {
			return err
		}
		if err := durable.WriteFile(html, page); err != nil {
			return fmt.Errorf("%s cannot be written: %w", html, durable.Reason(err))
		}
		fmt.Fprintf(stdout, "%s of %s in %s\n", show.Count(len(p.Images), "image"), show.Name(p.Dataset), html)
	}
	return nil
}

// contact puts every image and its views side by side, two images a row.
func contact(p *train.Peek) image.Image {
	const side, gap, blocks = 160, 8, 2
	columns := 1 + min(shownViews, len(p.Config.Crops()))
	wide := columns*(side+gap) + 2*gap
	rows := (len(p.Images) + blocks - 1) / blocks
	sheet := image.NewRGBA(image.Rect(0, 0, min(blocks, len(p.Images))*wide, rows*(side+gap)+gap))
	draw.Draw(sheet, sheet.Rect, image.White, image.Point{}, draw.Src)
	for i, m := range p.Images {
		x, y := i%blocks*wide+gap, i/blocks*(side+gap)+gap
		place := func(m imagefile.Image) {
			from := rgba(m)
			w, h := side, side
			if m.W > m.H {
				h = max(1, side*m.H/m.W)
			} else {
				w = max(1, side*m.W/m.H)
			}
			at := image.Rect(0, 0, w, h).Add(image.Pt(x+(side-w)/2, y+(side-h)/2))
			draw.CatmullRom.Scale(sheet, at, from, from.Rect, draw.Src, nil)
			x += side + gap
		}
		place(m.Image)
		for _, v := range m.Views[:columns-1] {
			place(v.Image)
		}
	}
	return sheet
}

// rgba is an image of at most a few hundred pixels a side: of a larger one every so many
// pixels' mean.
func rgba(m imagefile.Image) *image.RGBA {
	f := max(1, min(m.W, m.H)/320)
	out := image.NewRGBA(image.Rect(0, 0, m.W/f, m.H/f))
	for i := range out.Rect.Dx() * out.Rect.Dy() {
		x, y := i%out.Rect.Dx(), i/out.Rect.Dx()
		for c := range 3 {
			sum := 0
			for d := range f * f {
				sum += int(m.Pix[((y*f+d/f)*m.W+x*f+d%f)*m.C+min(c, m.C-1)])
			}
			out.Pix[4*i+c] = uint8(sum / (f * f))
		}
		out.Pix[4*i+3] = 255
	}
	return out
}

// peekPage makes the page.
func peekPage(p *train.Peek) ([]byte, error) {
	type view struct {
		URL        template.URL
		Words      string
		X, Y, W, H float64 // the crop in hundredths of the image
	}
	type row struct {
		Name  string
		URL   template.URL
		Views []view
	}
	var page struct {
		Mark                 template.HTML
		Title, Recipe, Sizes string
		Notes                []string
		Rows                 []row
	}
	page.Mark, page.Title, page.Notes = previewMark, show.Line(p.Dataset), p.Notes
	page.Recipe = "the recipe " + show.Line(p.Config.Recipe)
	if p.Config.Recipe == "" {
		page.Recipe = show.Line(p.Config.Method)
	}
	page.Sizes = fmt.Sprintf("%d × %d", p.Config.Crops()[0].Size, p.Config.Crops()[0].Size)
	for _, m := range p.Images {
		r := row{Name: show.Name(m.Name)}
		var err error
		if r.URL, err = dataURL(m.Image); err != nil {
			return nil, err
		}
		for _, v := range m.Views[:min(shownViews, len(m.Views))] {
			url, err := dataURL(v.Image)
			if err != nil {
				return nil, err
			}
			share := func(part, of int) float64 { return 100 * float64(part) / float64(of) }
			r.Views = append(r.Views, view{url, drawnWords(&v.Draw, m.Image.W, m.Image.H), share(v.Crop.X, m.Image.W),
				share(v.Crop.Y, m.Image.H), share(v.Crop.W, m.Image.W), share(v.Crop.H, m.Image.H)})
		}
		page.Rows = append(page.Rows, r)
	}
	var b bytes.Buffer
	err := previewPage.Execute(&b, page)
	return b.Bytes(), err
}

// dataURL is a picture of at most a few hundred pixels a side.
func dataURL(m imagefile.Image) (template.URL, error) {
	var b bytes.Buffer
	if err := jpeg.Encode(&b, rgba(m), &jpeg.Options{Quality: 88}); err != nil {
		return "", err
	}
	return template.URL("data:image/jpeg;base64," + base64.StdEncoding.EncodeToString(b.Bytes())), nil
}

// drawnWords says what was drawn for a view of an image of w × h pixels, in the order in which
// it is done.
func drawnWords(d *augment.Draw, w, h int) string {
	words := []string{fmt.Sprintf("%.0f%% of the image", 100*float64(d.Crop.W*d.Crop.H)/float64(w*h))}
	add := func(yes bool, format string, args ...any) {
		if yes {
			words = append(words, fmt.Sprintf(format, args...))
		}
	}
	add(d.Flip, "mirrored")
	add(d.Turns > 0, "turned by %d°", 90*d.Turns)
	for _, j := range d.Jitter[:d.Jitters] {
		switch name := [...]string{"brightness", "contrast", "saturation", "hue"}[j.Kind]; j.Kind {
		case augment.Hue:
			add(true, "%s %+.0f°", name, 360*j.Factor)
		default:
			add(true, "%s × %.2f", name, j.Factor)
		}
	}
	add(d.Grey, "grey")
	add(d.Blur, "blur of %.1f pixels", d.Sigma)
	add(d.Solarize, "solarized from %d on", d.Threshold)
	return strings.Join(words, ", ")
}
