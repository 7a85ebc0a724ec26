package eval

import (
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
	s := newScaler(t.train)
	p := Probe{}
	x := t.train
	x.X = s.apply(t.train)
	small, back := x, func(w []float32) []float32 { return w }
	switch n, d := len(x.Labels), x.D; {
	case d <= mostFeatures:
	case n <= mostFeatures:
		o.Progress("linear probe: products of the training images", 0, n)
		if small, back, err = span(ctx, x); err != nil {
			return p, err
		}
	default:
		r := NewProjection(d, mostFeatures)
		small.X, small.D, back = r.Apply(nil, x.X), mostFeatures, r.back
		p.Note = fmt.Sprintf("linear probe: %d features of %d images are projected to %d at random", d, n, mostFeatures)
	}
	if err := ctx.Err(); err != nil {
		return p, err
	}
	f := newLogistic(ctx, small.X, small.Labels, small.D, t.classes, o.C)
	w, bias := f.w, []float64(nil)
	if f.params() > mostWeights {
		if p.Note != "" {
			p.Note += "; "
		}
		p.Note += fmt.Sprintf("linear probe: %d classes of %d features are too many weights for logistic regression; a discriminant analysis is fitted", t.classes, small.D)
		w, bias = f.discriminant(o)
		p.Converged = true
		x = x.some(2000)
	} else {
		all := make([]float64, f.params())
		m := minimizer{f: f.evaluate, hessian: f.hessian, iterations: o.Iterations, ctx: ctx, progress: o.Progress}
		p.Loss, p.Iterations, p.Converged = m.minimize(all)
		f.set(all)
		bias = all[len(f.w):]
	}
	if err := ctx.Err(); err != nil {
		return p, err
	}
	w = back(w)
	o.Progress("linear probe: scoring", 0, 0)
	for _, part := range []struct {
		set Set
		to  *float64
	}{{x, &p.Train}, {Set{X: s.apply(t.test), D: t.test.D, Labels: t.test.Labels}, &p.Accuracy}} {
		g := newLogistic(ctx, part.set.X, part.set.Labels, part.set.D, t.classes, o.C)
		g.w = w
		right, err := g.classify(bias)
		if err != nil {
			return p, err
		}
		p.Outcome = t.outcome(right)
		*part.to = p.Outcome.Top1
	}
	return p, nil
}
