package reckon

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"vicreg/internal/host"
	"vicreg/internal/method"
	"vicreg/internal/model"
	"vicreg/internal/recipe"
)

// near is the share of the memory above which a run gets a warning.
const near = 0.85

// anyMachine is more than any has, for systems that do not tell.
var anyMachine = host.Memory{Bytes: 1 << 46, Limit: "no machine has more than"}

// Check returns an error if a run would not fit into the memory, which says what would
// fit, or a note if there is little to spare. A network that cannot be built is an error
// too.
func Check(c recipe.Config, d Data) (note string, err error) {
	return checkIn(c, d, d.limit())
}

func checkIn(c recipe.Config, d Data, limit host.Memory) (note string, err error) {
	need, err := Run(c, d)
	if err != nil {
		return "", err
	}
	if limit.Bytes > anyMachine.Bytes {
		limit = anyMachine
	}
	total := need.Total()
	if total > limit.Bytes {
		total = need.Least()
	}
	if total > limit.Bytes {
		return "", fmt.Errorf("%s needs about %s of memory, and %s: %s", about(c), host.Bytes(total), limit,
			fitting(c, d, func(n Need) bool { return n.Least() <= limit.Bytes }))
	}
	if total > near*limit.Bytes {
		note = fmt.Sprintf("the run needs about %s of memory, and %s; if it is killed for want of memory, take a smaller batch%s", host.Bytes(total), limit, orPieces(c))
	}
	return note, nil
}

// orPieces ends a sentence that tells to take a smaller batch.
func orPieces(c recipe.Config) string {
	if c.Pieces() {
		return " or smaller pieces of it"
	}
	return " or have it in pieces (--micro-batch)"
}

// Room returns how many bytes of decoded images each of two parts of the data may keep
// beside a run, on a device (nil: the processor), most at most; -1 is none.
func Room(c recipe.Config, d Data, card *Card, most int64) int64 {
	d.Card = card
	need, err := Run(c, d)
	left := (near*min(d.limit().Bytes, anyMachine.Bytes) - need.OnHost(card)) / 2
	if err != nil || left < 1<<20 {
		return -1
	}
	return int64(min(float64(most), left))
}

// Inference checks that an encoder can be built and take items of a batch forward.
func Inference(c recipe.Config) error {
	v, err := ofBranch(c, 0)
	if err != nil {
		return err
	}
	l := (*Card)(nil).lent(c.Precision, v.config, model.Head{Widths: "2"}, nil, c.Batch)
	values := float64(c.Batch)
	for _, s := range v.input.Shape {
		values *= float64(s)
	}
	return Bytes(fmt.Sprintf("%s with batch %d", describe(c, 0), c.Batch), float*(4*v.encoder+l.Target+values))
}

// Loss checks that VICReg's loss of embeddings of n × d can be timed.
func Loss(n, d int) error {
	rows, columns := float64(n), float64(d)
	return Bytes(fmt.Sprintf("the loss of %d × %d", n, d), float*(4*rows*columns+gram(rows, columns)))
}

// Bytes checks that something which needs so much memory fits.
func Bytes(what string, need float64) error {
	limit := host.MemoryLimit()
	if limit.Bytes > anyMachine.Bytes {
		limit = anyMachine
	}
	if need > limit.Bytes || math.IsNaN(need) {
		return fmt.Errorf("%s needs about %s of memory, and %s", what, host.Bytes(need), limit)
	}
	return nil
}

// about names what a run's memory depends on.
func about(c recipe.Config) string {
	what := describe(c, 0)
	if c.Separate() && c.Pairs != nil {
		what += " beside " + describe(c, 1)
	}
	if q := c.Queue.Size; q > 0 {
		what += fmt.Sprintf(", a queue of %d", q)
	}
	return fmt.Sprintf("%s, expander %s, with batch %d%s", what, c.Expander, c.Batch, c.InPieces())
}

// describe names an encoder and what it reads: "resnet50 at 224 px".
func describe(c recipe.Config, b int) string {
	e := c.EncoderOf(b)
	what := e.Arch
	if e.Width > 0 && e.Width != 64 && (strings.HasPrefix(e.Arch, "resnet") || e.Arch == "mlp") {
		what += fmt.Sprintf(" of width %d", e.Width)
	}
	if c.Pairs == nil {
		return what + fmt.Sprintf(" at %d px", c.Size)
	}
	return what
}

// knob is a number of a configuration that takes memory.
type knob struct {
	value, least int
	set          func(c *recipe.Config, v int)
	what         func(v int) string
}

// knobs are in the order in which they are best given up.
func knobs(c recipe.Config, d Data) []knob {
	all := []knob{
		{c.MicroBatch, 8, func(c *recipe.Config, v int) { c.MicroBatch = v },
			func(v int) string { return fmt.Sprintf("pieces of %d", v) }},
		{c.Batch, 8, func(c *recipe.Config, v int) { c.Batch = v }, func(v int) string { return fmt.Sprintf("a batch of %d", v) }},
		{c.Queue.Size, c.Batch, func(c *recipe.Config, v int) { c.Queue.Size = v / c.Batch * c.Batch },
			func(v int) string { return fmt.Sprintf("a queue of %d", v/c.Batch*c.Batch) }},
		{c.Size, 16, func(c *recipe.Config, v int) { setSize(c, v) },
			func(v int) string { return fmt.Sprintf("views of %d pixels", v/16*16) }},
		{widest(c), 16, setExpander, func(v int) string {
			n := c
			setExpander(&n, v)
			return "an expander of " + n.Expander
		}},
		{c.Encoder.Width, 2, func(c *recipe.Config, v int) { c.Encoder.Width = v },
			func(v int) string { return fmt.Sprintf("an encoder of width %d", v) }},
	}
	if c.Method == "deepcluster" { // a bank of all images
		all = slices.Insert(all, 1, knob{d.Items, c.Batch, func(c *recipe.Config, v int) { c.Data.Limit = v },
			func(v int) string { return fmt.Sprintf("a limit of %d images", v) }})
	}
	for i, k := range c.Prototypes.Counts {
		all = append(all, knob{k, 2, func(c *recipe.Config, v int) {
			c.Prototypes.Counts = append([]int(nil), c.Prototypes.Counts...)
			c.Prototypes.Counts[i] = v
		}, func(v int) string { return fmt.Sprintf("%d prototypes", v) }})
	}
	return all
}

func setSize(c *recipe.Config, v int) {
	v = v / 16 * 16
	c.Views = append(recipe.Views(nil), c.Views...)
	for i := range c.Views {
		if s := c.Views[i].Size; s > v {
			c.Views[i].Size = v
		}
	}
	c.Size = v
}

func widest(c recipe.Config) (most int) {
	widths, _ := model.ParseExpander(c.Expander)
	for _, w := range widths {
		most = max(most, w)
	}
	return most
}

// setExpander makes no layer of the expanders wider than v.
func setExpander(c *recipe.Config, v int) {
	for _, spec := range []*string{&c.Expander, &c.ExpanderB} {
		if *spec == "" {
			continue
		}
		widths, _ := model.ParseExpander(*spec)
		var parts []string
		for _, w := range widths {
			parts = append(parts, fmt.Sprint(min(w, v)))
		}
		*spec = strings.Join(parts, "-")
	}
}

// fitting says what would fit. It names the first number that can be made small enough,
// by itself or together with another stem or a batch of 32, or says that none can.
func fitting(c recipe.Config, d Data, fits func(Need) bool) string {
	if one := fittingAlone(c, d, fits); one != "" {
		return one + " would fit" + inPieces(c, d, one, fits)
	}
	if c.Encoder.Stem == "small" && c.Size >= 96 && c.Pairs == nil {
		n := c
		n.Encoder.Stem = "imagenet"
		if need, err := Run(n, d); err == nil && fits(need) {
			return "the stem imagenet, which is for images of this size, would fit"
		}
		if one := fittingAlone(n, d, fits); one != "" {
			return one + " would fit with the stem imagenet, which is for images of this size"
		}
	}
	if c.Batch > 32 {
		n := c
		n.Batch = 32
		if one := fittingAlone(n, d, fits); one != "" {
			return one + " would fit with a batch of 32"
		}
	}
	return "take a smaller network, smaller views and a smaller batch"
}

// inPieces adds to one thing that would fit that the batch would in pieces, if it was the batch
// that was too large.
func inPieces(c recipe.Config, d Data, one string, fits func(Need) bool) string {
	if c.MicroBatch > 0 || !strings.HasPrefix(one, "a batch") {
		return ""
	}
	for n := 1 << 20; n >= 8; n /= 2 {
		if c.MicroBatch = n; !c.Pieces() || c.Validate() != nil {
			continue
		}
		if need, err := Run(c, d); err == nil && fits(need) {
			return fmt.Sprintf(", and so would this one in pieces of %d (--micro-batch %[1]d)", n)
		}
	}
	return ""
}

// divisor returns the greatest divisor of n up to most, or 0 if that is far below most.
func divisor(n, most int) int {
	for v := most; v > max(0, most-100_000); v-- {
		if n%v == 0 {
			return v
		}
	}
	return 0
}

// fittingAlone names the first number that can be made small enough by itself, or
// returns "".
func fittingAlone(c recipe.Config, d Data, enough func(Need) bool) string {
	fits := func(k knob, v int) bool {
		n := c
		k.set(&n, v)
		need, err := Run(n, d)
		return err == nil && enough(need)
	}
	for _, k := range knobs(c, d) {
		if k.value <= k.least || !fits(k, k.least) {
			continue
		}
		lo, hi := k.least, k.value // lo fits, hi does not
		for hi-lo > 1 {
			if mid := lo + (hi-lo)/2; fits(k, mid) {
				lo = mid
			} else {
				hi = mid
			}
		}
		n := max(1, d.Processes)
		for _, v := range []int{lo / n * n, lo, divisor(c.Queue.Size, lo),
			lo / max(1, c.Whitening.Size) * max(1, c.Whitening.Size)} {
			n := c
			k.set(&n, v)
			if n.Validate() == nil && method.Check(n, method.Data{Items: d.Items}) == nil {
				return k.what(v)
			}
		}
	}
	return ""
}
