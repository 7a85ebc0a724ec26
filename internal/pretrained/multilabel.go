package pretrained

import (
	"context"
	"fmt"

	"vicreg/internal/eval"
	"vicreg/internal/host"
	"vicreg/internal/model"
)

// Marked are items of which each may be of several classes.
type Marked struct {
	Input
	Marks []int8 // items × classes, see package eval
}

// Machines fits a support vector machine a class to the representations of an encoder, and
// to those of the same one untrained, and scores them. It calls phase before each part of the
// work.
func (e *Embedder) Machines(ctx context.Context, untrained model.Encoder, train, test Marked, classes int,
	o eval.Options, phase func(string)) (scores [2]eval.Machines, err error) {
	if err := e.fitsMachines(train, test, classes); err != nil {
		return scores, err
	}
	other, free, err := e.Of(untrained)
	if err != nil {
		return scores, err
	}
	defer free()
	for i, part := range []struct {
		what string
		Embedder
	}{{"trained", *e}, {"untrained", *other}} {
		phase("embedding with the " + part.what + " encoder")
		one := part.Embedder
		one.Expander = nil
		var sets [2]eval.Marked
		for j, in := range []Marked{train, test} {
			x, err := one.Embed(ctx, in.Input)
			if err != nil {
				return scores, err
			}
			sets[j] = eval.Marked{X: x, D: one.Dim(), Marks: in.Marks}
		}
		phase("scoring the " + part.what + " encoder")
		if scores[i], err = eval.Fit(ctx, sets[0], sets[1], classes, o); err != nil {
			return scores, err
		}
	}
	return scores, nil
}

// fitsMachines returns an error if memory does not hold the features, which are not kept in
// a file here.
func (e *Embedder) fitsMachines(train, test Marked, classes int) error {
	n, m, d := float64(train.Items), float64(test.Items), float64(e.Encoder.Dim())
	need := host.PeakRSS()*(1<<20) + 4*2*(n+m)*d + (n+m)*float64(classes)*(3*8+4*4)
	if limit := host.MemoryLimit(); need > limit.Bytes {
		return fmt.Errorf("support vector machines of %d classes on %d images, %.0f features each, take about %s of memory, but %s; "+
			"score fewer (--limit), or use a machine with more", classes, train.Items+test.Items, d, host.Bytes(need), limit)
	}
	return nil
}
