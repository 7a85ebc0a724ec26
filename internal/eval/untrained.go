package eval

import (
	"fmt"
	"math"

	"vicreg/internal/show"
)

// Training is how an encoder came to be, as far as that is known; 0 is not.
type Training struct {
	Method    string
	Images    int // that it learnt from
	Batch     int
	Steps     int
	BaseRate  float64 // learning rate for a batch of 256
	Collapsed bool
	Taken     bool // the weights are another project's
}

// supervised is the name of the method for which few steps are enough.
const supervised = "supervised"

// What makes a run short or its batches odd. They are rules of thumb: with fewer
// steps than that no method here is past the point where it has unlearnt what an
// untrained network does well.
const (
	fewSteps   = 1000
	smallBatch = 32
	leastSteps = 8 // in an epoch
)

// BelowUntrained says in a sentence that a trained encoder scores below the same
// one untrained, or not above it in any score, and what the likely reason is; empty if
// neither is so. It goes by trained.Test, the number of images that both are scored on:
// what they can tell by chance is no difference. 0: it is not known, and every
// difference counts.
func BelowUntrained(trained, untrained Scores, t Training) string {
	n := trained.Test
	what, is := "", "is"
	switch knn, linear := below(trained.KNN, untrained.KNN, n), below(trained.Linear, untrained.Linear, n); {
	case knn && linear:
		what, is = "kNN and linear probe", "are"
	case knn:
		what = "kNN"
	case linear:
		what = "the linear probe"
	case n > 0 && trained.KNN <= untrained.KNN && trained.Linear <= untrained.Linear &&
		min(untrained.KNN, untrained.Linear) < 1:
		return fmt.Sprintf("kNN and linear probe are no better than the untrained encoder's, as far as %s can tell: %s", show.Count(n, "image"), t.reason())
	default:
		return ""
	}
	return fmt.Sprintf("%s %s below the untrained encoder's: %s", what, is, t.reason())
}

// below reports whether a share p of n images that are right is below another, q, by
// more than two standard errors of the difference, each share taken as binomial and
// independent of the other:
//
//	q − p > 2·√(p(1−p)/n + q(1−q)/n)
//
// Both shares are of the same images, so the error is less than that, if anything, and
// what passes the bound is no chance. Without n the error is 0.
func below(p, q float64, n int) bool {
	err := 0.0
	if n > 0 {
		err = 2 * math.Sqrt((p*(1-p)+q*(1-q))/float64(n))
	}
	return q-p > err
}

// reason is the likely one, and what to do.
func (t Training) reason() string {
	few := t.Steps > 0 && t.Steps < fewSteps
	switch {
	case t.Taken:
		return "its weights are another project's, so likely they were trained on images quite unlike these, or want another size, mean or std (vicreg import --size, --mean, --std)"
	case t.Collapsed:
		return "the embeddings have collapsed; lower the learning rate (--base-lr)"
	case few && t.Batch > 0 && t.Batch > smallBatch && t.Images > 0 && t.Images/t.Batch < leastSteps:
		return fmt.Sprintf("likely the batch of %d is too large for %d images, which makes %s an epoch and %d in all; take a smaller --batch or more --epochs", t.Batch, t.Images, show.Count(t.Images/t.Batch, "step"), t.Steps)
	case few:
		return fmt.Sprintf("likely it was trained too little, %s; give it more --epochs, to some thousand steps", show.Count(t.Steps, "step"))
	case t.Batch > 0 && t.Batch < smallBatch && t.Method != supervised:
		return fmt.Sprintf("likely the batch of %d is too small to tell its images apart by; take a --batch of %d or more", t.Batch, 2*smallBatch)
	case t.BaseRate > 0 && t.Steps > 0:
		return fmt.Sprintf("it had %d steps, so likely the learning rate of %v does not suit it; try a third of it and three times it (--base-lr)", t.Steps, t.BaseRate)
	}
	return "likely it had too few steps, a batch too small or too large for its images, or a learning rate that does not suit it"
}
