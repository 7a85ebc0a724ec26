package foreign

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"vicreg/internal/model"
	"vicreg/internal/recipe"
	"vicreg/internal/show"
)

// Options say what a file alone cannot.
type Options struct {
	Prefix    string // before the names of the encoder's arrays; empty: found
	Heads     int    // of a vision transformer; 0: found
	Stem      string // of a residual network that begins with 3×3; empty: found
	Size      int    // pixels, width and height of an input; 0: found
	Mean, Std []float64

	Progress func(done, total int) // of arrays that are read; may be nil
}

// Found is an encoder in a file.
type Found struct {
	Layout   string // whose
	Prefix   string // before the names of its arrays
	Method   string // that trained it, or ""
	Encoder  model.Config
	Expander model.Head // of no widths: there is none, or none that fits

	Size      int
	Mean, Std []float64
	Raw       bool // it reads the values of files, not pixels from 0 to 1

	Taken   int      // arrays
	Left    []Left   // what is not taken
	Guessed []string // what the file does not say, a sentence each

	from     map[string]string // the file's names of the arrays that the encoder needs
	expander map[string]string // and the expander
	grid     int               // patches, width and height, of the file's positions
}

// Look finds the encoder in a file.
func Look(f *File, o Options) (*Found, error) {
	all := places(f.Arrays)
	if len(all) == 0 {
		return nil, f.none()
	}
	p, l, err := choose(f, all, o.Prefix)
	if err != nil {
		return nil, err
	}
	if f.ours() {
		o = f.said(o)
	}
	x := &Found{Layout: l.name, Prefix: p.prefix, Method: l.method, from: map[string]string{},
		Raw: f.ours() && f.Said["values"] == recipe.Raw}
	shapes := map[string][]int{} // by our names
	for _, a := range f.Arrays {
		if rest, ok := strings.CutPrefix(a.Name, p.prefix); ok {
			shapes[p.ours(rest)] = a.Shape
			x.from[p.ours(rest)] = a.Name
		}
	}
	if p.vit {
		err = x.vit(f, shapes, l, o)
	} else {
		err = x.resnet(shapes, p, l, o)
	}
	if flag := new(unsuited); errors.As(err, flag) {
		return nil, fmt.Errorf("%s: %w", show.Name(f.path), err)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: the encoder in it%s is not one that vicreg has: %w", show.Name(f.path), under(p.prefix), err)
	}
	if err := x.pixels(l, o); err != nil {
		return nil, err
	}
	needed, dim, err := model.Arrays(x.Encoder)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", show.Name(f.path), err)
	}
	if err := x.fits(shapes, needed); err != nil {
		return nil, fmt.Errorf("%s: the encoder in it%s is no %s: %w", show.Name(f.path), under(p.prefix), x.Encoder.Arch, err)
	}
	if l.says != "" {
		x.guess("%s", l.says)
	}
	if l.expander != "" {
		x.head(f, parentOf(p.prefix)+l.expander, dim)
	}
	x.count(f)
	return x, nil
}

// unsuited is a flag that does not suit the encoder, which alone would do.
type unsuited string

func (u unsuited) Error() string { return string(u) }

func unsuitedf(format string, args ...any) error { return unsuited(fmt.Sprintf(format, args...)) }

func under(prefix string) string {
	if prefix == "" {
		return ""
	}
	return fmt.Sprintf(", %s…,", show.Name(prefix))
}

// parentOf is what stands before the name of the module that a prefix names.
func parentOf(prefix string) string {
	return prefix[:strings.LastIndexByte(strings.TrimSuffix(prefix, "."), '.')+1]
}

// none is the error of a file without an encoder of any kind that is known.
func (f *File) none() error {
	if len(f.Arrays) == 0 {
		return fmt.Errorf("%s holds no arrays", show.Name(f.path))
	}
	var names []string
	for _, a := range f.Arrays[:min(3, len(f.Arrays))] {
		names = append(names, show.Name(a.Name))
	}
	return fmt.Errorf("%s: none of its %d arrays, such as %s, has a name by which a ResNet or a vision transformer is known; other encoders cannot be taken",
		show.Name(f.path), len(f.Arrays), strings.Join(names, ", "))
}

// choose returns which of the encoders of a file to take, and whose layout the file has.
func choose(f *File, all []place, prefix string) (place, *layout, error) {
	var names, where []string
	for _, a := range f.Arrays {
		names = append(names, bare(a.Name))
	}
	if prefix != "" {
		wanted := slices.DeleteFunc(slices.Clone(all), func(p place) bool {
			return strings.TrimSuffix(p.prefix, ".") != strings.TrimSuffix(prefix, ".")
		})
		if len(wanted) == 0 {
			for _, p := range all {
				where = append(where, quoted(p.prefix))
			}
			return place{}, nil, fmt.Errorf("%s has no encoder under %s; it has: %s", show.Name(f.path), show.Name(prefix), strings.Join(where, ", "))
		}
		all = wanted
	}
	for i := range layouts {
		l := &layouts[i]
		for _, at := range l.at {
			for _, p := range all {
				if bare(p.prefix) == at && l.suits(p, names) {
					return p, l, nil
				}
			}
		}
	}
	if len(all) == 1 {
		return all[0], &layout{name: "no project that is known, with names of " + all[0].naming}, nil
	}
	for _, p := range all {
		where = append(where, quoted(p.prefix))
	}
	return place{}, nil, fmt.Errorf("%s holds %d encoders: %s; choose one with --prefix", show.Name(f.path), len(all), strings.Join(where, ", "))
}

func quoted(prefix string) string {
	if prefix == "" {
		return `the top, ""`
	}
	return show.Name(prefix)
}

// What the pixels of ImageNet are, which nearly all projects subtract and divide by.
var (
	imageNetMean = []float64{0.485, 0.456, 0.406}
	imageNetStd  = []float64{0.229, 0.224, 0.225}
)

// pixels says how images are made ready.
func (x *Found) pixels(l *layout, o Options) error {
	channels := x.Encoder.Input.Shape[2]
	mean, std, whose := imageNetMean, imageNetStd, "ImageNet's"
	if l.mean != nil && x.Encoder.Stem != "imagenet" && x.Size <= 64 {
		mean, std, whose = l.mean, l.std, "CIFAR-10's, as "+l.name+" has them"
	}
	if x.Raw && (len(o.Mean) == 0 || len(o.Std) == 0) {
		return fmt.Errorf("it reads %s of values that are no pixels, so there is no usual mean and deviation; give --mean and --std in the units of the files", show.Count(channels, "channel"))
	}
	if channels == 1 {
		mean, std, whose = []float64{0.449}, []float64{0.226}, "the average of ImageNet's three"
	}
	for _, part := range []struct {
		flag  string
		given []float64
		usual []float64
		to    *[]float64
	}{{"--mean", o.Mean, mean, &x.Mean}, {"--std", o.Std, std, &x.Std}} {
		switch {
		case len(part.given) == 0:
			*part.to = slices.Clone(part.usual)
		case len(part.given) == 1:
			*part.to = slices.Repeat(part.given, channels)
		case len(part.given) == channels:
			*part.to = slices.Clone(part.given)
		default:
			return fmt.Errorf("%s has %d numbers, but the encoder reads %d channels; give one for each, or one for all", part.flag, len(part.given), channels)
		}
	}
	if len(o.Mean) == 0 || len(o.Std) == 0 {
		x.guess("the pixels' mean and std are %s (--mean and --std say otherwise%s)", whose, l.pixels)
	}
	return nil
}

// ours reports whether vicreg export wrote a file.
func (f *File) ours() bool { return f.Said["vicreg_version"] != "" }

// said fills in from what such a file says of its encoder what flags do not.
func (f *File) said(o Options) Options {
	number := func(key string) int {
		n, err := strconv.Atoi(f.Said[key])
		if err != nil || n < 0 || n > 1<<14 {
			return 0
		}
		return n
	}
	numbers := func(key string) (list []float64) {
		if json.Unmarshal([]byte(f.Said[key]), &list) != nil {
			return nil
		}
		return list
	}
	o.Size, o.Heads = cmp.Or(o.Size, number("size")), cmp.Or(o.Heads, number("heads"))
	o.Stem = cmp.Or(o.Stem, f.Said["stem"])
	if o.Mean == nil {
		o.Mean = numbers("mean")
	}
	if std := numbers("std"); o.Std == nil && len(std) > 0 && slices.Min(std) > 0 {
		o.Std = std
	}
	return o
}

func (x *Found) guess(format string, args ...any) {
	x.Guessed = append(x.Guessed, fmt.Sprintf(format, args...))
}
