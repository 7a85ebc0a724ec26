package report

import (
	"fmt"
	"math"
	"strings"
	"time"

	"vicreg/internal/runlog"
	"vicreg/internal/show"
)

// terms says what a term of a loss is and what a good value looks like.
var terms = map[string]string{
	"invariance": "How far apart the descriptions of two views of one image are. It should fall, but not at once to 0: that is what a collapse looks like.",
	"variance":   "How far the numbers of a description fall short of varying from image to image. It should fall towards 0.",
	"covariance": "How much different numbers of a description say the same thing. It should stay small.",
}

// about says how a method learns from two views, for those who do not know it.
func about(method, title string) string {
	switch method {
	case "vicreg":
		return "VICReg has three terms: invariance pulls the descriptions of the two views together, variance keeps each number of a description varying from image to image, and covariance keeps the numbers from repeating each other."
	case "supervised":
		return "It is trained with the labels, as something to compare with."
	}
	return fmt.Sprintf("It learns to describe both views alike without coming to describe all images alike, in the way of %s.", title)
}

// story tells in three sentences what was trained on what, how, and how to judge it.
func (r *Run) story() []string {
	f := r.Facts
	s := r.Summary
	what := "images"
	if f.Pairs {
		what = "pairs"
	}
	on := show.Line(f.Data)
	was := "is"
	if s != nil {
		was, on = "was", fmt.Sprintf("%s %s of “%s”", thousands(s.Images), what, show.Line(s.Dataset))
	} else if on != "" {
		on = fmt.Sprintf("the %s of “%s”", what, on)
	}
	how := "without using any labels"
	if f.Tuned {
		how = "with their labels"
	}
	first := fmt.Sprintf("A network (%s) %s trained on %s, %s, so that it turns %s into a short list of numbers, its description.",
		f.Network, was, on, how, map[bool]string{true: "each side of a pair", false: "an image"}[f.Pairs])
	var second, third string
	switch {
	case f.Tuned:
		began := "It began with random weights"
		if f.From != "" {
			began = fmt.Sprintf("It began with the weights of “%s”", show.Line(f.From))
		}
		second = began + ", was shown crops of labelled images, which were also mirrored now and then, and learned to name their classes."
		third = "What counts is the share of images that it was not trained on whose class it names, beside that of an answer that is always the commonest class."
		return []string{first, second, third}
	case f.Pairs:
		second = "The two sides of a pair are two views of one thing. " + about(f.Method, f.Title)
	default:
		if f.From != "" {
			first += fmt.Sprintf(" It began with the weights of “%s”.", show.Line(f.From))
		}
		second = "Of each image it sees two views: crops at random places whose colours are changed at random, two looks at one thing. " + about(f.Method, f.Title)
	}
	third = "It has learned something if things that are alike get descriptions that are alike: views, or sides, of one thing should find each other among many"
	if s != nil && s.KNN != nil {
		third = fmt.Sprintf("It has learned something if images that are alike get descriptions that are alike: kNN looks up the %d nearest neighbours of each image that it was not trained on, and is the share of images whose class they name", f.K)
	}
	return []string{first, second, third + ". The same network before any training is what to compare with."}
}

// Measure is a figure at the end, what it is and what a good value is.
type Measure struct{ Name, Value, Before, Good, What string }

// figures are what shows a collapse.
func (r *Run) figures(std, correlation, rank float64) []Measure {
	f := r.Facts
	target := "clearly above 0"
	if f.Target > 0 {
		target = fmt.Sprintf("near %g; 0 is a collapse", f.Target)
	}
	return []Measure{
		{"Standard deviation", three(std), "", target, "How much a number of the embedding changes from image to image."},
		{"Correlation", fmt.Sprintf("%.3f", correlation), "", "near 0; 1 is a collapse", "How much two numbers of the embedding say the same, on average."},
		{"Effective rank", fmt.Sprintf("%.1f", rank), "", "high; 1 is a collapse", "In how many directions the embeddings differ from their mean."},
	}
}

// percent writes a share.
func percent(share float64) string { return fmt.Sprintf("%.1f%%", 100*share) }

// noise is the standard error of a share of n images.
func noise(share float64, n int) float64 { return math.Sqrt(share * (1 - share) / float64(n)) }

// Score is a score beside the untrained encoder's.
type Score struct {
	Name, Trained, Untrained, Gain, Noise, Said, What string
}

// scores are those of the encoders of a run.
func (r *Run) scores() (all []Score) {
	s := r.Summary
	if s == nil {
		return nil
	}
	add := func(name, what string, trained, untrained *float64, n int) {
		if trained == nil {
			return
		}
		row := Score{Name: name, What: what, Trained: percent(*trained)}
		if n > 0 {
			row.Noise = fmt.Sprintf("± %.1f", 100*noise(*trained, n))
		}
		if untrained != nil {
			row.Untrained, row.Gain = percent(*untrained), fmt.Sprintf("%+.1f", 100*(*trained-*untrained))
			row.Said = said(*trained, *untrained, n)
		}
		all = append(all, row)
	}
	knn := fmt.Sprintf("class of the %d nearest neighbours", r.Facts.K)
	const linear = "class by a linear classifier on the descriptions"
	add("kNN", knn, s.KNN, s.RandomInitKNN, s.Scored)
	add("Linear probe", linear, s.Linear, s.RandomInitLinear, s.Scored)
	if b := s.BranchB; b != nil {
		add("Second encoder, kNN", knn, b.KNN, b.RandomInitKNN, b.Scored)
		add("Second encoder, linear probe", linear, b.Linear, b.RandomInitLinear, b.Scored)
	}
	if c := s.Classifier; c != nil {
		add("Top-1", fmt.Sprintf("the class that the classifier names first; naming always the commonest class: %s", percent(c.Commonest())),
			&c.Top1, nil, c.Scored)
		add("Top-5", "the class is among the first five that it names", c.Top5, nil, c.Scored)
	}
	if v := s.Verdict; v != nil {
		var before *float64
		if v.Untrained != nil {
			before = &v.Untrained.R1
		}
		add("Views find each other", fmt.Sprintf("the other view comes first among those of %d; by chance %s", v.Items, percent(v.Chance)), &v.Trained.R1, before, v.Items)
	}
	if t := s.Retrieval; t != nil {
		find := func(name string, r runlog.Recall) {
			add(name, fmt.Sprintf("the partner comes first among %s; by chance %s", thousands(r.Gallery), percent(r.Chance1)), &r.R1, nil, r.Queries)
		}
		find("First side finds second", t.AToB)
		find("Second side finds first", t.BToA)
	}
	return all
}

// said says whether a gain is more than noise: two standard errors of a difference of
// two shares that are taken as independent, which is careful, as they are of the same
// images.
func said(trained, untrained float64, n int) string {
	if n <= 0 {
		return ""
	}
	gain := trained - untrained
	edge := 2 * math.Hypot(noise(trained, n), noise(untrained, n))
	switch {
	case gain > edge:
		return "better than untrained"
	case gain < -edge:
		return "worse than untrained"
	}
	return "within the noise"
}

// measures are those without labels.
func measures(layer string, trained, untrained *runlog.Measures) []Measure {
	row := func(name, form string, of func(*runlog.Measures) *float64, good, what string) Measure {
		m := Measure{Name: name, Value: "–", Before: "–", Good: good, What: what}
		if v := of(trained); v != nil {
			m.Value = fmt.Sprintf(form, *v)
		}
		if untrained != nil {
			if v := of(untrained); v != nil {
				m.Before = fmt.Sprintf(form, *v)
			}
		}
		return m
	}
	return []Measure{
		row("Standard deviation", "%.3f", func(m *runlog.Measures) *float64 { return &m.Std }, "above 0", "how much a number changes from image to image"),
		row("Correlation", "%.3f", func(m *runlog.Measures) *float64 { return &m.Correlation }, "near 0", "how much two numbers say the same"),
		row("RankMe", "%.1f", func(m *runlog.Measures) *float64 { return &m.RankMe }, "high", fmt.Sprintf("effective rank of the %s, not centred, %d at most", layer, trained.Width)),
		row("LiDAR", "%.1f", func(m *runlog.Measures) *float64 { return &m.LiDAR }, "high", fmt.Sprintf("effective rank of what in the %s tells images apart; compares runs, not a run with its beginning", layer)),
		row("α-ReQ", "%.2f", func(m *runlog.Measures) *float64 { return m.AlphaReQ }, "near 1", "how fast the spectrum falls"),
		row("Alignment", "%.3f", func(m *runlog.Measures) *float64 { return &m.Alignment }, "low, if uniformity is low too", "distance of views of an image"),
		row("Uniformity", "%.2f", func(m *runlog.Measures) *float64 { return &m.Uniformity }, "low; about −4 is best", "how evenly images lie on the sphere"),
	}
}

// took is how long something took, for people.
func took(seconds float64) string {
	d := time.Duration(seconds * float64(time.Second))
	switch {
	case seconds < 10:
		return fmt.Sprintf("%.1f seconds", seconds)
	case seconds < 120:
		return fmt.Sprintf("%.0f seconds", seconds)
	case d < 2*time.Hour:
		return fmt.Sprintf("%.0f minutes", d.Minutes())
	}
	return fmt.Sprintf("%.1f hours", d.Hours())
}

// sentence begins with a capital letter.
func sentence(s string) string {
	if s == "" || strings.HasPrefix(s, "kNN") {
		return s
	}
	return strings.ToUpper(s[:1]) + s[1:]
}
