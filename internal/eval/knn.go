package eval

import (
	"context"
	"fmt"
	"math"
	"slices"

	"vicreg/internal/kernel/product"
)

// KNN returns the share of test images whose class their nearest training images tell:
// the o.K images of greatest cosine s vote with exp(s / o.Temperature) for their own
// class (Wu et al., "Unsupervised feature learning via non-parametric instance
// discrimination", 2018, section 3.4). Where there are fewer training images than that,
// all vote. Of equal cosines the earlier training image counts as nearer; of equal votes
// the earlier class wins.
func KNN(ctx context.Context, train, test Set, o Options) (float64, error) {
	o.Others = nil
	votes, err := Neighbours(ctx, train, test, o)
	if err != nil {
		return 0, err
	}
	return votes[0].Top1, nil
}

// Neighbours returns what is right by the votes of o.K neighbours, see KNN, and of each of
// o.Others. Classes that get no vote have no rank.
func Neighbours(ctx context.Context, fit, test Set, o Options) ([]Outcome, error) {
	o = o.filled()
	numbers := append([]int{o.K}, o.Others...)
	if slices.Min(numbers) < 1 || !(o.Temperature > 0) {
		panic(fmt.Sprintf("eval: %d neighbours and temperature %v", numbers, o.Temperature))
	}
	t, err := newTask(fit, test)
	if err != nil {
		return nil, err
	}
	n, m, d := len(t.train.Labels), len(t.test.Labels), t.train.D
	k := min(slices.Max(numbers), n)
	far := unit(t.test.X, d)

	// Cosines come in blocks of test × training images; of each only the best k of a
	// test image are kept. Training features are read once.
	const wide = 2048
	high := max(16, min(256, (1<<22)/d)) // a block takes a fraction of a second
	cos := make([]float32, high*wide)
	best := make([]neighbours, m)
	for i := range best {
		best[i] = neighbours{make([]float32, k), make([]int32, k), 0}
	}
	train, near := t.train.features(nil), make([]float32, min(wide, n)*d)
	for j := 0; j < n; j += wide {
		o.Progress("nearest neighbours", j, n)
		w := min(wide, n-j)
		block, err := train.block(j, j+w)
		if err != nil {
			return nil, err
		}
		unitTo(near, block, d)
		for i := 0; i < m; i += high {
			if err := ctx.Err(); err != nil {
				return nil, err
			}
			h := min(high, m-i)
			product.Gemm(product.Mat{Data: cos, Rows: h, Cols: w},
				product.Mat{Data: far[i*d:], Rows: h, Cols: d},
				product.Mat{Data: near, Rows: w, Cols: d, Trans: true}, false)
			rows(h, func(lo, hi int) {
				for r := lo; r < hi; r++ {
					best[i+r].offer(cos[r*w:(r+1)*w], j)
				}
			})
		}
	}
	tallies := make([]*Tally, len(numbers))
	for i := range tallies {
		tallies[i] = NewTally(t.classes)
	}
	ballot := newBallot(t.classes)
	for i := range best {
		for a, number := range numbers {
			label := t.test.Labels[i]
			winner, rank := ballot.vote(&best[i], min(number, n), t.train.Labels, o.Temperature, label)
			tallies[a].count(label, winner, rank)
		}
	}
	outcomes := make([]Outcome, len(numbers))
	for i, tally := range tallies {
		outcomes[i] = t.outcome(tally)
	}
	return outcomes, nil
}

// unit returns the rows of x, n × d, scaled to length 1; a zero row stays.
func unit(x []float32, d int) []float32 {
	out := make([]float32, len(x))
	unitTo(out, x, d)
	return out
}

// unitTo is unit in memory that is there.
func unitTo(out, x []float32, d int) {
	rows(len(x)/d, func(lo, hi int) {
		for i := lo; i < hi; i++ {
			from, to := x[i*d:(i+1)*d], out[i*d:(i+1)*d]
			var sum float64
			for _, v := range from {
				sum += float64(v) * float64(v)
			}
			if sum == 0 {
				clear(to)
				continue
			}
			inv := 1 / math.Sqrt(sum)
			for k, v := range from {
				to[k] = float32(float64(v) * inv)
			}
		}
	})
}

// neighbours are the nearest training images seen so far, the nearest first.
type neighbours struct {
	cos   []float32
	index []int32
	n     int
}

// offer shows the cosines of the training images from first on.
func (b *neighbours) offer(cos []float32, first int) {
	k := len(b.cos)
	worst := float32(math.Inf(-1))
	if b.n == k {
		worst = b.cos[k-1]
	}
	for i, c := range cos {
		if c <= worst {
			continue
		}
		if b.n < k {
			b.n++
		}
		at := b.n - 1
		for at > 0 && b.cos[at-1] < c {
			b.cos[at], b.index[at] = b.cos[at-1], b.index[at-1]
			at--
		}
		b.cos[at], b.index[at] = c, int32(first+i)
		if b.n == k {
			worst = b.cos[k-1]
		}
	}
}

// ballot counts votes.
type ballot struct {
	votes []float64 // of each class; -1: none
	voted []int     // classes that have some
}

func newBallot(classes int) *ballot {
	b := &ballot{votes: make([]float64, classes)}
	for i := range b.votes {
		b.votes[i] = -1
	}
	return b
}

// vote returns the class that the k nearest vote for, and how many rank before a label;
// all classes do if nobody votes for it. Votes are relative to the nearest neighbour's, so
// that no temperature makes them overflow.
func (b *ballot) vote(of *neighbours, k int, labels []int, temperature float64, label int) (winner, rank int) {
	b.voted = b.voted[:0]
	for i, c := range of.cos[:k] {
		class := labels[of.index[i]]
		if b.votes[class] < 0 {
			b.votes[class] = 0
			b.voted = append(b.voted, class)
		}
		b.votes[class] += math.Exp(float64(c-of.cos[0]) / temperature)
	}
	before := func(class, other int) bool {
		v, w := b.votes[class], b.votes[other]
		return v > w || v == w && class < other
	}
	known := label < len(b.votes) && b.votes[label] >= 0
	winner = b.voted[0]
	for _, class := range b.voted {
		if before(class, winner) {
			winner = class
		}
		if known && before(class, label) {
			rank++
		}
	}
	if !known {
		rank = len(b.votes)
	}
	for _, class := range b.voted {
		b.votes[class] = -1
	}
	return winner, rank
}
