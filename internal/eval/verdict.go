package eval

import (
	"fmt"
	"math"

	"vicreg/internal/runlog"
	"vicreg/internal/show"
)

// Spread returns in how many directions the features x, n × d, lie: their effective
// rank, and the standard deviation of features of length 1, times √d.
func Spread(x []float32, d int) (rank, std float64) {
	n := len(x) / d
	rank = NewSpectrum(x, n, d).Rank
	_, all := columnStats(unit(x, d), n, d)
	for _, v := range all {
		std += v / math.Sqrt(float64(d))
	}
	return rank, std
}

// Looks is how often an encoder is looked at during so many epochs of images, by some
// items of which two views are seen each time: ten times at most, and more than twice
// only if that takes a small share of the time.
func Looks(epochs, images, items int) int {
	const most, least, share = 10, 2, 0.15 // of the images trained on; backward takes twice as long as forward
	n := share * float64(epochs) * float64(images) / float64(items)
	return min(epochs, max(least, int(min(n, most))))
}

// Judgement is what a run is judged by.
type Judgement struct {
	Training
	Epochs int
	Mu     float64 // weight of VICReg's variance term; 0: another method, or none

	Trained   runlog.Sight
	Untrained *runlog.Sight // nil: not known
	Chance    float64
	Items     int
	HeldOut   bool
	Trend     []runlog.Seen
	Scores    *[2]Scores // of the trained and the untrained encoder; nil: no labels
}

// What the figures must be. See docs/recipes.md for what they were taken from.
const (
	clearly    = 1.25 // times the untrained encoder's R1 is better
	noise      = 0.02 // of R1
	lastThird  = 2.0 / 3
	risingPart = 0.1  // of what R1 gained, in the last third
	fewRank    = 0.25 // of the untrained encoder's, has collapsed
	lowSpread  = 0.02 // of features that have collapsed
	fewImages  = 2000
)

// Judge says what came of a run and what to try next.
func Judge(j Judgement) runlog.Verdict {
	v := runlog.Verdict{Trained: j.Trained, Untrained: j.Untrained, Chance: j.Chance, Items: j.Items,
		HeldOut: j.HeldOut, Trend: j.Trend}
	v.Rising = j.rising()
	clear := j.clear()
	learned := clear
	if j.Scores != nil {
		learned = j.above() && (clear || !j.short())
	}
	switch {
	case j.collapsed() && !learned:
		v.Is = runlog.Collapsed
	case learned:
		v.Is = runlog.Learned
	case v.Rising || j.short():
		v.Is = runlog.Longer
	default:
		v.Is = runlog.Little
	}
	v.Text = fmt.Sprintf("%s: %s.", words[v.Is], j.figures())
	v.Spread = j.spread()
	v.Next = j.next(v)
	return v
}

var words = map[string]string{
	runlog.Learned: "It learned", runlog.Longer: "It needs longer", runlog.Little: "It learned little", runlog.Collapsed: "It collapsed",
}

// base is the R1 that counts as nothing learned.
func (j *Judgement) base() float64 {
	if j.Untrained != nil {
		return max(j.Untrained.R1, j.Chance)
	}
	return j.Chance
}

// above reports whether the scores are above the untrained encoder's.
func (j *Judgement) above() bool {
	s := j.Scores
	return s[0].KNN >= s[1].KNN && s[0].Linear >= s[1].Linear && (s[0].KNN > s[1].KNN || s[0].Linear > s[1].Linear)
}

// clear reports whether R1 is clearly above the untrained encoder's.
func (j *Judgement) clear() bool {
	return j.Trained.R1 > max(clearly*j.base(), j.base()+2*noise)
}

// collapsed reports whether the features have come to be alike.
func (j *Judgement) collapsed() bool {
	r := j.Trained
	if r.Std < lowSpread || r.Rank < fewestRanks && j.Items >= fewestRows { // fewer have a low rank by themselves
		return true
	}
	if j.Untrained != nil && r.Rank < fewRank*j.Untrained.Rank && r.R1 < j.Untrained.R1 {
		return true
	}
	return j.Collapsed && !j.clear()
}

// spread says whether anything collapsed, and by which figures.
func (j *Judgement) spread() string {
	is := "Nothing has collapsed"
	switch r := j.Trained; {
	case r.Std < lowSpread:
		is = "The features are all but alike"
	case j.collapsed() && !j.Collapsed:
		is = "The features lie in few directions"
	case j.Collapsed && j.clear():
		is = "The embedding has collapsed, the features have not"
	case j.Collapsed:
		is = "The embedding has collapsed"
	}
	untrained := ""
	if j.Untrained != nil {
		untrained = fmt.Sprintf(", untrained %.0f", j.Untrained.Rank)
	}
	return fmt.Sprintf("%s: effective rank of the features %.0f%s.", is, j.Trained.Rank, untrained)
}

// rising reports whether R1 still rose in the last third of the run.
func (j *Judgement) rising() bool {
	n := len(j.Trend)
	if n < 2 {
		return false
	}
	last := j.Trend[n-1]
	from := j.Trend[0]
	for _, t := range j.Trend[:n-1] {
		if float64(t.Step) <= lastThird*float64(last.Step) {
			from = t
		}
	}
	return last.R1-from.R1 > max(noise, risingPart*(last.R1-j.base()))
}

// short reports whether the run had few steps.
func (j *Judgement) short() bool { return j.Steps < fewSteps }

// figures tell what the verdict rests on.
func (j *Judgement) figures() string {
	text := ""
	if s := j.Scores; s != nil {
		text = fmt.Sprintf("kNN %s and linear probe %s, untrained %s and %s; ", percent(s[0].KNN), percent(s[0].Linear), percent(s[1].KNN), percent(s[1].Linear))
	}
	what, untrained := "of views find the other one of their image first", ""
	if u := j.Untrained; u != nil {
		untrained = fmt.Sprintf(", untrained %s", percent(u.R1))
	} else {
		what = "of the sides of pairs find their other side first"
	}
	return text + fmt.Sprintf("%s %s among %d%s, by chance %s", percent(j.Trained.R1), what, j.Items, untrained,
		percent(j.Chance))
}

// percent is a percentage to two figures or so.
func percent(x float64) string {
	if x < 0.0995 {
		return fmt.Sprintf("%.1f%%", 100*x)
	}
	return fmt.Sprintf("%.0f%%", 100*x)
}

// next is what to try.
func (j *Judgement) next(v runlog.Verdict) string {
	epochs := 2 * j.Epochs
	if j.Steps > 0 { // to enough steps
		epochs = max(epochs, (fewSteps*j.Epochs+j.Steps-1)/j.Steps)
	}
	more := fmt.Sprintf("go on with --resume RUN --epochs %d", epochs)
	smaller := j.Batch > smallBatch && j.Images > 0 && j.Images/j.Batch < leastSteps
	switch v.Is {
	case runlog.Collapsed:
		switch {
		case j.Method == "vicreg" && j.Mu < 1:
			return fmt.Sprintf("Next: the weight of the variance term is %v, which does not hold features apart; leave it at 25 (--mu).", j.Mu)
		case j.Trained.Std < lowSpread && j.Method == "vicreg":
			return "Next: a third of the learning rate (--base-lr), or a larger weight of the variance term (--mu)."
		}
		return "Next: a third of the learning rate (--base-lr), or a longer warm-up (--warmup)."
	case runlog.Longer:
		if smaller {
			return fmt.Sprintf("Next: %s, or a smaller --batch than %d, which makes more steps of an epoch of %d images.", more, j.Batch, j.Images)
		}
		return fmt.Sprintf("Next: %s.", more)
	case runlog.Little:
		return "Next: " + j.reason() + "."
	}
	switch {
	case v.Rising:
		return fmt.Sprintf("Next: it still got better at the end, so %s.", more)
	case j.short():
		return fmt.Sprintf("Next: %s are few, so %s.", show.Count(j.Steps, "step"), more)
	case j.Images > 0 && j.Images < fewImages:
		return fmt.Sprintf("Next: it no longer got better at the end, so longer gives little; more than %d images, which need no labels, give most.", j.Images)
	}
	return "Next: it no longer got better at the end, so longer gives little; a larger --size or a wider encoder may see more."
}
