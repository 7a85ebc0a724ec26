package recipe

import (
	"fmt"
	"math"
	"reflect"
	"slices"
	"strings"

	"vicreg/internal/dataset"
	"vicreg/internal/imagefile"
	"vicreg/internal/loss"
	"vicreg/internal/model"
	"vicreg/internal/settings"
)

var (
	sharings   = []string{"shared", "separate"}
	stems      = []string{"small", "padded", "linear", "imagenet", "large"}
	optimizers = []string{"lars", "sgd", "adamw"}
	precisions = []string{"float32", "tf32", "bf16"}
)

// Archs returns the encoders that a configuration may name.
func Archs() []string { return model.Archs() }

func conventions() []string {
	var names []string
	for _, c := range []loss.Convention{loss.Released, loss.Formula, loss.Pseudocode} {
		names = append(names, c.String())
	}
	return names
}

// The most that a configuration may ask for. What takes memory may still be more than
// any machine has, so that another check can say what would fit this one. Below most, no
// product of these numbers overflows.
const (
	most       = min(1_000_000_000_000, math.MaxInt)
	maxSize    = 16_384 // pixels
	maxEpochs  = 1_000_000
	maxViews   = 100
	maxLayers  = 100
	maxTasks   = 4096 // workers and threads
	maxRounds  = 10_000
	maxRate    = 10_000_000 // samples a second
	maxColumns = 100_000
	maxMinutes = 10_000_000
)

// Validate returns the first mistake in c as one sentence, or nil. It takes no
// memory for what c asks for.
func (c *Config) Validate() error {
	switch {
	case !(c.Minutes >= 0 && c.Minutes <= maxMinutes):
		return fmt.Errorf("minutes is %v, but must be from 0 (nothing is chosen) to %d", c.Minutes, maxMinutes)
	case c.Pairs != nil && (slices.Contains(c.Open(), "size") || slices.Contains(c.Open(), "batch")):
		return fmt.Errorf("size or batch is open, but what suits pairs is not chosen by itself; give them, or a recipe that leaves neither open, such as %s", Default)
	}
	filled := c.Filled()
	return filled.validate()
}

func (c *Config) validate() error {
	for _, f := range []func() error{c.validateValues, c.validateNames, c.validateNumbers, c.validateViews,
		c.validateData, c.validatePieces, c.validateTune, c.validatePairs,
		c.validateBranches, c.validateReplans} {
		if err := f(); err != nil {
			return err
		}
	}
	return c.validateMachinery()
}

// validateValues finds numbers and texts that no file could have given.
func (c *Config) validateValues() error { return readable(reflect.ValueOf(*c), "") }

// readable names the first value in v that package settings could not read again under
// its key.
func readable(v reflect.Value, path string) error {
	switch v.Kind() {
	case reflect.Float64:
		if x := v.Float(); math.IsNaN(x) || math.IsInf(x, 0) {
			return fmt.Errorf("%s is %v, but must be a finite number", path, x)
		}
	case reflect.String:
		if v.Len() > settings.MaxText {
			return fmt.Errorf("%s is a text of %d bytes, but must have at most %d", path, v.Len(), settings.MaxText)
		}
	case reflect.Pointer:
		if !v.IsNil() {
			return readable(v.Elem(), path)
		}
	case reflect.Slice, reflect.Array:
		for i := range v.Len() {
			if err := readable(v.Index(i), fmt.Sprintf("%s[%d]", path, i)); err != nil {
				return err
			}
		}
	case reflect.Struct:
		for i := range v.NumField() {
			f := v.Type().Field(i)
			key, inline := strings.CutSuffix(f.Tag.Get("yaml"), ",inline")
			if key, _, _ = strings.Cut(key, ","); inline || path == "" {
				key = path + key
			} else {
				key = path + "." + key
			}
			if err := readable(v.Field(i), key); err != nil {
				return err
			}
		}
	}
	return nil
}

func (c *Config) validateViews() error {
	if len(c.Views) < 2 && (len(c.Views) == 0 || !c.single(nil)) {
		return fmt.Errorf("views has %d views, but an image needs two or more", len(c.Views))
	}
	total := 0
	for i, v := range c.Views {
		if err := v.Check(); err != nil {
			return fmt.Errorf("views[%d].%w", i, err)
		}
		switch {
		case v.Size < 0 || v.Size > 0 && v.Size < 8:
			return fmt.Errorf("views[%d].size is %d, but must be at least 8 pixels, or 0 for the run's", i, v.Size)
		case v.Size > maxSize:
			return fmt.Errorf("views[%d].size is %d, but must be at most %d pixels", i, v.Size, maxSize)
		case v.Count < 0:
			return fmt.Errorf("views[%d].count is %d, but must be 1 or more", i, v.Count)
		case v.Count > maxViews:
			return fmt.Errorf("views[%d].count is %d, but must be at most %d", i, v.Count, maxViews)
		}
		if total += max(1, v.Count); total > maxViews {
			return fmt.Errorf("views has more than %d views of an image; take fewer", maxViews)
		}
	}
	if total == 1 && (c.Separate() || c.Regularize.On() || c.Pairs != nil) {
		return fmt.Errorf("views has one view, but separate branches, pairs and added variance or covariance need two")
	}
	return nil
}

func (c *Config) validateBranches() error {
	var dims [2]int
	for b := range dims {
		spec := c.ExpanderOf(b)
		widths, err := model.ParseExpander(spec)
		if err != nil {
			return err
		}
		if len(widths) > maxLayers {
			return fmt.Errorf("the expander has %d layers, but must have at most %d", len(widths), maxLayers)
		}
		if slices.Max(widths) > most {
			return fmt.Errorf("the expander has a layer of width %d, but must have at most %d", slices.Max(widths), most)
		}
		if dims[b] = widths[len(widths)-1]; dims[b] < 2 {
			return fmt.Errorf("expander %q ends in width %d, but embeddings need at least 2 dimensions", spec, dims[b])
		}
		if err := model.Check(c.EncoderOf(b).Arch, c.InputOf(b).Kind); err != nil {
			return err
		}
	}
	if dims[0] != dims[1] {
		return fmt.Errorf("the expanders %q and %q end in widths %d and %d, but both branches' embeddings must have the same width; give both the same last number", c.ExpanderOf(0), c.ExpanderOf(1), dims[0], dims[1])
	}
	if !c.Separate() && (c.EncoderB != nil || c.ExpanderB != "") {
		return fmt.Errorf("branches are shared, but the second one has an encoder or expander of its own; set branches to separate")
	}
	return nil
}

func (c *Config) validateNames() error {
	for _, f := range []struct {
		what, got string
		known     []string
	}{
		{"method", c.Method, known()},
		{"branches", c.Branches, sharings},
		{"stem", c.EncoderOf(0).Stem, stems},
		{"stem of the second branch", c.EncoderOf(1).Stem, stems},
		{"loss convention", c.Loss.Convention, conventions()},
		{"optimizer", c.Optimizer.Name, optimizers},
		{"precision", c.Precision, precisions},
	} {
		if !slices.Contains(f.known, f.got) {
			return fmt.Errorf("unknown %s %q; known: %s", f.what, f.got, strings.Join(f.known, ", "))
		}
	}
	return dataset.CheckLabels(c.Data.Labels)
}

// deref returns what p points to, 0 for nil.
func deref(p *float64) float64 {
	if p == nil {
		return 0
	}
	return *p
}

func (c *Config) validateNumbers() error {
	o, l := c.Optimizer, c.Loss
	first, second := c.EncoderOf(0), c.EncoderOf(1)
	atMost := func(n int) string { return fmt.Sprintf("at most %d", n) }
	for _, f := range []struct {
		ok   bool
		what string
		got  any
		want string
	}{
		{c.Size >= 8, "size", c.Size, "at least 8 pixels"},
		{c.Size <= maxSize, "size", c.Size, atMost(maxSize) + " pixels"},
		{c.Channels >= 0 && c.Channels <= imagefile.MostChannels, "channels", c.Channels, fmt.Sprintf("1 (grey), 3 (colour), another number up to %d, or 0 (as the data)", imagefile.MostChannels)},
		{wide(first), "encoder width", first.Width, "at least 1"},
		{wide(second), "width of the second encoder", second.Width, "at least 1"},
		{first.Width <= most && second.Width <= most, "encoder width", max(first.Width, second.Width), atMost(most)},
		{min(first.Patch, second.Patch) >= 0, "encoder patch", min(first.Patch, second.Patch), "at least 1 pixel, or 0 for the usual"},
		{max(first.Patch, second.Patch) <= maxSize, "encoder patch", max(first.Patch, second.Patch), atMost(maxSize) + " pixels"},
		{sized(first), "encoder dim, blocks and heads", size(first), "from 0, for the usual, to " + fmt.Sprint(most)},
		{sized(second), "encoder dim, blocks and heads", size(second), "from 0, for the usual, to " + fmt.Sprint(most)},
		{c.Batch >= 2, "batch", c.Batch, "at least 2: variance and covariance are taken over the batch"},
		{c.Batch <= most, "batch", c.Batch, atMost(most)},
		{c.Epochs >= 1, "epochs", c.Epochs, "at least 1"},
		{c.Epochs <= maxEpochs, "epochs", c.Epochs, atMost(maxEpochs)},
		{c.Warmup >= 0, "warmup", c.Warmup, "0 or more epochs"},
		{c.Warmup <= maxEpochs, "warmup", c.Warmup, atMost(maxEpochs)},
		{l.Lambda >= 0, "loss lambda", l.Lambda, "0 or more"},
		{l.Mu >= 0, "loss mu", l.Mu, "0 or more"},
		{l.Nu >= 0, "loss nu", l.Nu, "0 or more"},
		{l.MuB == nil || *l.MuB >= 0, "loss mu_b", deref(l.MuB), "0 or more"},
		{l.NuB == nil || *l.NuB >= 0, "loss nu_b", deref(l.NuB), "0 or more"},
		{l.Gamma > 0, "loss gamma", l.Gamma, "above 0"},
		{l.Eps > 0, "loss eps", l.Eps, "above 0"},
		{o.BaseLR > 0, "base_lr", o.BaseLR, "above 0"},
		{o.EndLRFactor >= 0 && o.EndLRFactor <= 1, "end_lr_factor", o.EndLRFactor, "from 0 to 1"},
		{o.Momentum >= 0 && o.Momentum < 1, "momentum", o.Momentum, "from 0 to below 1"},
		{o.WeightDecay >= 0, "weight_decay", o.WeightDecay, "0 or more"},
		{o.Name != "lars" || o.Eta > 0, "eta", o.Eta, "above 0"},
		{!o.Clip || o.Name == "lars", "clip", o.Clip, "false: only lars clips its trust ratio, and the optimizer is " + o.Name},
		{!o.Nesterov || o.Name == "sgd", "nesterov", o.Nesterov, "false: it belongs to sgd, and the optimizer is " + o.Name},
		{o.Betas[0] >= 0 && o.Betas[0] < 1 && o.Betas[1] >= 0 && o.Betas[1] < 1, "betas", o.Betas, "two numbers from 0 to below 1"},
		{o.Eps > 0, "optimizer eps", o.Eps, "above 0"},
		{c.Eval.Every >= 0, "eval every", c.Eval.Every, "0 or more epochs"},
		{c.Eval.Limit >= 0, "eval limit", c.Eval.Limit, "0 (all) or more images"},
		{c.Eval.K >= 1, "eval k", c.Eval.K, "at least 1"},
		{c.Eval.Temperature > 0, "eval temperature", c.Eval.Temperature, "above 0"},
		{c.CheckpointMinutes >= 0, "checkpoint_minutes", c.CheckpointMinutes, "0 (only each epoch) or more"},
		{c.LogEvery >= 1, "log_every", c.LogEvery, "at least 1 step"},
		{c.Workers >= 0, "workers", c.Workers, "0 or more"},
		{c.Workers <= maxTasks, "workers", c.Workers, atMost(maxTasks)},
		{c.Threads >= 0, "threads", c.Threads, "0 or more"},
		{c.Threads <= maxTasks, "threads", c.Threads, atMost(maxTasks)},
	} {
		// A comparison with NaN is false, so NaN is refused as well.
		if !f.ok {
			return fmt.Errorf("%s is %v, but must be %s", f.what, f.got, f.want)
		}
	}
	return nil
}

// wide reports whether an encoder's width suits its kind.
func wide(e Encoder) bool {
	return e.Width >= 1 || e.Width == 0 && !strings.HasPrefix(e.Arch, "resnet")
}

// sized reports whether the size of a vision transformer is one that can be; the
// network's own limits come later.
func sized(e Encoder) bool {
	return min(e.Dim, e.Blocks, e.Heads) >= 0 && max(e.Dim, e.Blocks, e.Heads) <= most
}

func size(e Encoder) string { return fmt.Sprintf("%d, %d, %d", e.Dim, e.Blocks, e.Heads) }

func (c *Config) validateData() error {
	d, n := c.Data, c.Normalize
	switch {
	case c.Init != nil && c.Init.Path == "":
		return fmt.Errorf("init has no path; name the run or the model whose weights the run starts from")
	case d.Source == "":
		return fmt.Errorf("no data: name a folder of images, a file, or a known data set")
	case d.Limit < 0:
		return fmt.Errorf("limit is %d, but must be 0 (all) or more", d.Limit)
	case d.Limit > most:
		return fmt.Errorf("limit is %d, but must be at most %d", d.Limit, most)
	case c.Eval.Limit > most || c.Eval.Every > maxEpochs:
		return fmt.Errorf("eval has a limit of %d and every %d, but must have at most %d and %d", c.Eval.Limit, c.Eval.Every, most, maxEpochs)
	case c.Recipe != "" && !slices.Contains(names, c.Recipe):
		return fmt.Errorf("unknown recipe %q; known: %s", c.Recipe, strings.Join(names, ", "))
	case d.Limit > 0 && d.Limit < c.Batch && c.Tune == nil: // else the batch is made smaller
		return fmt.Errorf("a batch of %d is larger than the %d images that limit leaves; lower the batch or raise the limit", c.Batch, d.Limit)
	case !(d.Holdout >= 0 && d.Holdout < 1):
		return fmt.Errorf("holdout is %v, but must be a share from 0 to below 1", d.Holdout)
	case c.Pairs != nil && d.MaxPixels != 0 && !c.Pairs.Images():
		return fmt.Errorf("max_pixels is a limit of images, but the sides of these pairs are %s and %s", c.Pairs.A.Type, c.Pairs.B.Type)
	case !(d.MaxPixels == 0 || d.MaxPixels >= 1e-6 && d.MaxPixels <= 10_000):
		return fmt.Errorf("max_pixels is %v, but must be from 0.000001 to 10000 million pixels, or 0 for 100", d.MaxPixels)
	case d.MaxBad != nil && !(*d.MaxBad >= 0 && *d.MaxBad < 1):
		return fmt.Errorf("max_bad is %v, but must be a share from 0 to below 1", *d.MaxBad)
	case len(n.Mean) != len(n.Std):
		return fmt.Errorf("normalize has %d means and %d standard deviations; give one of each per channel, or neither to measure them", len(n.Mean), len(n.Std))
	case len(n.Mean) > imagefile.MostChannels:
		return fmt.Errorf("normalize has %d channels, but images have at most %d", len(n.Mean), imagefile.MostChannels)
	case d.Values != "" && d.Values != Raw:
		return fmt.Errorf("values is %q, but must be %s (those of the files), or empty", d.Values, Raw)
	case c.Pairs != nil && (d.Values != "" || d.Bands != nil) && !c.Pairs.Images():
		return fmt.Errorf("values and bands are of images, but the sides of these pairs are %s and %s", c.Pairs.A.Type, c.Pairs.B.Type)
	case len(d.Bands) > imagefile.MostChannels:
		return fmt.Errorf("bands has %d channels, but images have at most %d", len(d.Bands), imagefile.MostChannels)
	case c.Pairs == nil && c.Channels != 0 && len(d.Bands) > 0 && c.Channels != len(d.Bands) &&
		!(c.Channels == 1 && len(d.Bands) == 3 && d.Values == ""):
		return fmt.Errorf("bands has %d channels, but channels is %d", len(d.Bands), c.Channels)
	case len(n.Mean) != 0 && c.Channels != 0 && len(n.Mean) != c.Channels:
		return fmt.Errorf("normalize has %d channels, but channels is %d", len(n.Mean), c.Channels)
	}
	for i, b := range d.Bands {
		switch {
		case b < 1 || b > imagefile.MostBands:
			return fmt.Errorf("bands has channel %d, but channels are numbered from 1 to %d", b, imagefile.MostBands)
		case slices.Contains(d.Bands[:i], b):
			return fmt.Errorf("bands has channel %d twice", b)
		}
	}
	for _, s := range n.Std {
		if !(s > 0) {
			return fmt.Errorf("normalize has a standard deviation of %v, but it must be above 0", s)
		}
	}
	return nil
}
