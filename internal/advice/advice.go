// Package advice chooses what a configuration leaves open, from what is known of the
// data and the machine, and says what is unwise in a configuration. It is given numbers
// alone, which package train finds.
package advice

import (
	"fmt"

	"vicreg/internal/host"
	"vicreg/internal/method"
	"vicreg/internal/recipe"
	"vicreg/internal/reckon"
	"vicreg/internal/show"
)

// Facts are what the choices are made from.
type Facts struct {
	Images  int     // to train on
	Scored  int     // to score on
	Judged  int     // of which two views are seen each time the encoder is judged without labels
	Side    int     // the shorter side of an image, in the median, in pixels; 0: not known
	Threads int     // that compute
	Memory  float64 // bytes that there may be

	Taught bool // classes: it is the classifier that is scored, on what there is to score on alone

	Retrieved int // pairs whose sides are to find each other

	Card *reckon.Card // the device that computes; nil: the processor
}

// Choice is one value that was chosen.
type Choice struct {
	Key    string // as it stands in a configuration
	Value  any
	Reason string
}

func (c Choice) String() string { return fmt.Sprintf("%s %v: %s", c.Key, c.Value, c.Reason) }

// Most and least that are chosen.
const (
	leastEpochs, mostEpochs = 10, 300
	leastBatch, mostBatch   = 16, 128
	enoughSteps             = 8    // of an epoch
	fewLost                 = 0.05 // of the images of an epoch
	near                    = 0.85 // of the memory
)

// Choose fills in size, stem and batch, as far as they are open.
func Choose(c *recipe.Config, f Facts) (made []Choice) {
	choose := func(key string, value any, format string, args ...any) {
		made = append(made, Choice{key, value, fmt.Sprintf(format, args...)})
	}
	ownSize, ownBatch := c.Size == 0, c.Batch == 0
	whySize, whyBatch := "", ""
	if ownSize {
		c.Size, whySize = size(*c, f)
	}
	stem := c.Encoder.Stem == ""
	suit := func() {
		if stem {
			c.Encoder.Stem = recipe.UsualStem(c.Size)
		}
	}
	suit()
	if ownBatch {
		c.Batch, whyBatch = batch(*c, f)
	}
	// Where memory is short, the batch is made smaller first.
	room := "as much as goes into " + host.Bytes(f.Memory) + " of memory"
	if f.Card != nil {
		room = "as much as goes into the memory of the device: " + f.Card.String()
	}
	for short := true; short && !fits(*c, f); {
		switch {
		case ownBatch && c.Batch > leastBatch && possible(*c, f, c.Batch/2):
			c.Batch, whyBatch = c.Batch/2, room
		case ownSize && c.Size > 32:
			c.Size, whySize = c.Size-32, room
			suit()
		default:
			short = false // what is not open is too much, as the check of the memory tells
		}
	}
	if ownSize {
		choose("size", c.Size, "%s", whySize)
	}
	if stem {
		choose("stem", c.Encoder.Stem, "the one for %d pixels", c.Size)
	}
	if ownBatch {
		choose("batch", c.Batch, "%s", whyBatch)
	}
	return made
}

// size returns width and height of a view.
func size(c recipe.Config, f Facts) (int, string) {
	of := fmt.Sprintf("the images' shorter side is %d pixels in the median", f.Side)
	switch {
	case f.Side == 0:
		return 96, "usual for photos"
	case f.Side <= 40:
		return max(8, (f.Side+2)/4*4), of
	case f.Side < 96:
		return 64, of
	case f.Side >= 160 && roomy(c, f):
		return 128, of + ", and so few leave time for more than 96"
	}
	return 96, of
}

// roomy reports whether there is time for as many epochs as make sense with views of 128
// pixels, if each thread is as fast as on the machine of docs/recipes.md, and a card as an
// H100.
func roomy(c recipe.Config, f Facts) bool {
	const aThread, aCard = 100, 15_000 // images a second
	speed := aThread * float64(max(1, f.Threads))
	if f.Card != nil {
		speed = aCard
	}
	epochs := mostEpochs
	if c.Epochs > 0 {
		epochs = c.Epochs
	}
	return float64(f.Images*epochs) <= 60*c.Minutes*speed
}

// batch returns how many images a step takes: the largest power of two that leaves
// enough steps in an epoch and leaves out few images.
func batch(c recipe.Config, f Facts) (int, string) {
	best, lost := 0, 0
	for b := mostBatch; b >= leastBatch; b /= 2 {
		if !possible(c, f, b) || f.Images/b < enoughSteps {
			continue
		}
		rest := f.Images % b
		if best == 0 || rest < lost {
			best, lost = b, rest
		}
		if float64(lost) <= fewLost*float64(f.Images) {
			break
		}
	}
	if best > 0 {
		return best, fmt.Sprintf("%d steps in an epoch of %d images", f.Images/best, f.Images)
	}
	// There are few images, or the method wants more than the rule gives.
	for b := leastBatch; b <= mostBatch; b *= 2 {
		if possible(c, f, b) && b <= f.Images {
			return b, fmt.Sprintf("the least that suits method %s, as there are only %d images", c.Method, f.Images)
		}
	}
	b := 2
	for b*2 <= min(f.Images, leastBatch) {
		b *= 2
	}
	return b, fmt.Sprintf("there are only %d images", f.Images)
}

// possible reports whether c takes a batch.
func possible(c recipe.Config, f Facts, batch int) bool {
	c.Batch = batch
	d := method.Data{Items: f.Images}
	if c.Method == recipe.Supervised {
		d.Items = 0 // its labels are another matter
	}
	return c.Validate() == nil && method.Check(c.Filled(), d) == nil
}

// fits reports whether the run fits into the memory, with some to spare.
func fits(c recipe.Config, f Facts) bool {
	need, err := reckon.Run(c.Filled(), reckon.Data{Items: f.Images, Scored: f.Scored, Card: f.Card})
	if f.Card != nil && err == nil && need.OnCard() > near*f.Card.Free {
		return false
	}
	return err != nil || need.OnHost(f.Card) <= near*f.Memory
}

// Warnings say, a sentence each, what is unwise in a configuration for so many images of
// the user's own.
func Warnings(c recipe.Config, images int) (all []string) {
	warn := func(format string, args ...any) { all = append(all, fmt.Sprintf(format, args...)) }
	steps := images / c.Batch
	if steps < 4 {
		more := "a smaller --batch gives more"
		if c.Batch <= leastBatch {
			more = "more images, which need no labels, give more"
		}
		warn("an epoch of %d images has only %s of %d; %s", images, show.Count(steps, "step"), c.Batch, more)
	}
	if short := Short(c, images); short != "" {
		all = append(all, short)
	}
	if lost := images % c.Batch; float64(lost) > fewLost*float64(images) {
		warn("%d of %d images (%.0f%%) are left out of each epoch, others each time, as %d do not divide into steps of %d; another --batch may leave fewer",
			lost, images, 100*float64(lost)/float64(images), images, c.Batch)
	}
	for b := range branches(c) {
		switch stem := c.EncoderOf(b).Stem; {
		case !convolutional(c.EncoderOf(b).Arch):
		case stem == "small" && c.Size >= 96:
			warn("the stem small is for images of up to 64 pixels; at %d, --stem imagenet takes a fraction of the time and memory", c.Size)
		case stem == "imagenet" && c.Size <= 40:
			warn("the stem imagenet leaves little of %d pixels; --stem small sees more", c.Size)
		}
	}
	return all
}

// Short says that a run has too few steps; empty if it has not. Of all that [Warnings] say this
// alone is of the number of epochs, so it changes with them.
func Short(c recipe.Config, images int) string {
	if total := images / c.Batch * c.Epochs; total < 300 {
		return fmt.Sprintf("the run has only %s in all, and an encoder hardly learns in fewer than 300; more --epochs give more",
			show.Count(total, "step"))
	}
	return ""
}

// Rise returns the warm-up. Where it is open or longer than the run, one is chosen; in
// the second case a warning says so.
func Rise(c recipe.Config) (warmup float64, warning string) {
	usual := recipe.UsualWarmup(c.Epochs)
	switch {
	case c.Warmup == recipe.Automatic:
		return usual, ""
	case c.Warmup > float64(c.Epochs):
		return usual, fmt.Sprintf("a warm-up of %g epochs is longer than the run of %d, so it takes %g", c.Warmup, c.Epochs, usual)
	}
	return c.Warmup, ""
}

func branches(c recipe.Config) int {
	if c.Separate() && c.EncoderB != nil {
		return 2
	}
	return 1
}
