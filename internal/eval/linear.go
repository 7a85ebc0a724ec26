package eval

import (
	"cmp"
	"context"
	"fmt"
)

// Probe is the result of a linear probe.
type Probe struct {
	Accuracy   float64 // share of the test images that are right
	Train      float64 // the same for the training images; of a discriminant analysis, for 2,000 of them
	Iterations int
	Converged  bool
	Loss       float64 // what was minimised, divided by C·n; 0 of a discriminant analysis
	Outcome    Outcome // of the test images
	Note       string  // a sentence on what was done in another way than usual; empty: nothing
}

// Sizes from which a probe is fitted in another way, so that no matrix outgrows
// memory or patience. Tests make them small.
var (
	// mostFeatures is the side of the largest matrix of features × features:
	// 4,096 take 134 MB and a few seconds.
	mostFeatures = 4096

	// mostWeights is how many weights, features × classes, are fitted step by
	// step: two dozen arrays of that length in float64 are kept.
	mostWeights = 1 << 22
)

// Linear fits multinomial logistic regression to the training features, standardised,
// and scores it on the test features. Like scikit-learn's LogisticRegression it
// minimises
//
//	C · Σ log loss + ½ ‖W‖²
//
// without a penalty on the intercepts, until it converges or after o.Iterations.
//
// With more than 4,096 features it works in a space of as many dimensions as there are
// training images, which holds the minimum; or, if these are too many as well, in a
// random projection to 4,096. With more than 4 million weights it fits a discriminant
// analysis instead, in one step. Probe.Note tells of the last two.
func Linear(ctx context.Context, train, test Set, o Options) (Probe, error) {
	o = o.filled()
	if !(o.C > 0) || o.Iterations < 1 {
		panic(fmt.Sprintf("eval: linear probe with C %v and %d iterations", o.C, o.Iterations))
	}
	t, err := newTask(train, test)
	if err != nil {
		return Probe{}, err
	}
	outer := ctx
	ctx, fail := context.WithCancelCause(outer)
	defer fail(nil)
	ended := func() error { // why, if it has
		if ctx.Err() == nil {
			return nil
		}
		return cmp.Or(outer.Err(), context.Cause(ctx))
	}
	s, err := newScaler(ctx, t.train, o.Progress)
	if err != nil {
		return Probe{}, err
	}
	p := Probe{}
	full := t.train.features(s)
	labels, d := t.train.Labels, t.train.D
	x, back := full, func(w []float32) []float32 { return w }
	switch n := len(labels); {
	case d <= mostFeatures:
	case n <= mostFeatures:
		o.Progress("linear probe: products of the training images", 0, n)
		if x, back, err = span(ctx, full, n, d); err != nil {
			return p, err
		}
		d = n
	default:
		r := NewProjection(d, mostFeatures)
		p.Note = fmt.Sprintf("linear probe: %d features of %d images are projected to %d at random", d, n, mostFeatures)
		if t.train.Stored != nil {
			less, err := r.store(ctx, full, n, o)
			if err != nil {
				return p, err
			}
			defer less.Close()
			x = &stored{from: less}
		} else {
			x = held{r.Apply(nil, full.(held).x), mostFeatures}
		}
		d, back = mostFeatures, r.back
	}
	if err := ended(); err != nil {
		return p, err
	}
	f := newLogistic(ctx, fail, x, labels, d, t.classes, o.C)
	w, bias := f.w, []float64(nil)
	again := Set{Labels: labels, D: t.train.D} // to be scored with full
	if f.params() > mostWeights {
		if p.Note != "" {
			p.Note += "; "
		}
		p.Note += fmt.Sprintf("linear probe: %d classes of %d features are too many weights for logistic regression; a discriminant analysis is fitted", t.classes, d)
		w, bias = f.discriminant(o)
		p.Converged = true
		if t.train.Stored != nil {
			full = t.train.features(s) // which reads no more than single images
		}
		if again, err = again.some(full, 2000); err != nil {
			return p, err
		}
		full = again.features(nil)
	} else {
		all := make([]float64, f.params())
		m := minimizer{f: f.evaluate, hessian: f.hessian, iterations: o.Iterations, ctx: ctx, progress: o.Progress}
		p.Loss, p.Iterations, p.Converged = m.minimize(all)
		f.set(all)
		bias = all[len(f.w):]
	}
	if err := ended(); err != nil {
		return p, err
	}
	w = back(w)
	o.Progress("linear probe: scoring", 0, 0)
	for _, part := range []struct {
		x      features
		labels []int
		to     *float64
	}{{full, again.Labels, &p.Train}, {t.test.features(s), t.test.Labels, &p.Accuracy}} {
		g := newLogistic(ctx, fail, part.x, part.labels, t.train.D, t.classes, o.C)
		g.w = w
		right, err := g.classify(bias)
		if err := cmp.Or(ended(), err); err != nil {
			return p, err
		}
		p.Outcome = t.outcome(right)
		*part.to = p.Outcome.Top1
	}
	return p, nil
}
