package train

import (
	"context"

	"vicreg/internal/batch"
	"vicreg/internal/checkpoint"
	"vicreg/internal/dataset"
	"vicreg/internal/pretrained"
	"vicreg/internal/recipe"
	"vicreg/internal/runlog"
)

// corpus is what a run learns from and is scored on. Its methods are called in
// this order; those that take a configuration may rely on what scan left in it.
type corpus interface {
	// list finds out what items there are without looking into them.
	list(c recipe.Config) error

	// fingerprint changes when the items do.
	fingerprint() string

	// files are the files that hold the items.
	files() dataset.Files

	// readable reports whether such a file can be used.
	readable(path string) bool

	// sample decodes some of the items, and fills in what the configuration leaves to
	// be measured by these alone.
	sample(ctx context.Context, c *recipe.Config) (*sample, error)

	// scan looks at the items, drops and returns those that cannot be used, and
	// fills in what the configuration leaves to be measured.
	scan(ctx context.Context, c *recipe.Config, progress func(done, total int)) (train, test []checkpoint.Bad,
		err error)

	// without takes the place of scan in a run that is resumed: it drops the items that
	// were bad when the run started.
	without(c recipe.Config, train, test []checkpoint.Bad)

	// unscored says why an encoder cannot be scored though the items have labels, and
	// then forgets the labels. It is empty if it can be scored, or if there are none.
	unscored() string

	notes() []string              // what is left out, filled in or guessed, a sentence each
	name() string                 // for people
	views(c recipe.Config) string // what a view is, for people
	kind() string                 // of items, plural
	len() int                     // items to train on
	scored() int                  // items to score on; 0: there are none, or no labels

	retrieved() int // items held out whose sides are to find each other

	// labels returns the label of each item to train on, -1 for none, and how many
	// classes there are; 0: no labels.
	labels() (labels []int, classes int)

	// batches starts making batches for training, in some memory (nil: Go's).
	batches(c recipe.Config, o batch.Order, memory batch.Memory) (*batch.Loader, error)

	// inputs returns what a branch's encoder is scored on: at most so many items of each
	// part (0: all), spread evenly, without those that have no label or turned bad late.
	inputs(e *pretrained.Embedder, branch, most int, late []checkpoint.Bad) (train, test pretrained.Input)

	// retrieval returns the measure of how well the two sides of the items held out
	// find each other; nil if nothing is held out, or items have no sides.
	retrieval() retrieval

	// judges is how many items an encoder is judged by without labels, 0: it cannot
	// be; heldOut reports whether they are others than those trained on; and sight
	// returns how encoders, by branch, see them, but for those that turned bad late.
	judges() int
	heldOut() bool
	sight(ctx context.Context, c recipe.Config, viewers []*pretrained.Embedder,
		late []checkpoint.Bad) (pretrained.Sighting, error)
}

// retrieval measures with an embedder of each side, and leaves out the items that
// turned bad late.
type retrieval func(ctx context.Context, sides [2]*pretrained.Embedder, late []checkpoint.Bad) (*runlog.Retrieval,
	error)

func newCorpus(c recipe.Config) corpus {
	if c.Pairs != nil {
		return new(pairing)
	}
	return new(images)
}

// spread returns the indices of most good items of n (0: all), spread evenly.
func spread(n, most int, good func(item int) bool) []int {
	var items []int
	for i := range n {
		if good(i) {
			items = append(items, i)
		}
	}
	if n := len(items); 0 < most && most < n {
		for i := range most {
			items[i] = items[i*n/most]
		}
		items = items[:most]
	}
	return items
}

// names returns the names of bad items.
func names(bad []checkpoint.Bad) map[string]bool {
	set := map[string]bool{}
	for _, b := range bad {
		set[b.Name] = true
	}
	return set
}

func badItems(list []batch.Bad) []checkpoint.Bad {
	var out []checkpoint.Bad
	for _, b := range list {
		out = append(out, checkpoint.Bad{Name: b.Name, Reason: b.Err.Error()})
	}
	return out
}
