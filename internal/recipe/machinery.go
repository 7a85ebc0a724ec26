package recipe

import (
	"fmt"
	"slices"
	"strings"

	"vicreg/internal/model"
)

// None stands for a predictor that is not there.
const None = "none"

// Heads says how expander and predictor are built and how gradients flow. See
// [model.Head].
type Heads struct {
	// Norm is batch normalisation in the expander. Without it the last layer has a bias
	// in place of a normalisation.
	Norm          bool   `yaml:"norm"`
	Last          string `yaml:"last"`           // last layer of the expander: plain, bias, norm (without weights) or affine
	Predictor     string `yaml:"predictor"`      // widths of its hidden layers, as 512 or 512-512, or none; it ends in the embedding's
	PredictorNorm bool   `yaml:"predictor_norm"` // batch normalisation in its hidden layers
	PredictorLast string `yaml:"predictor_last"` // its last layer
	StopGradient  bool   `yaml:"stop_gradient"`  // whether what is predicted counts as a constant
}

// Momentum is the encoder that makes the targets: a moving average, with
//
//	target = τ·target + (1 − τ)·encoder
//
// after every step, of which τ goes from Base to Final along a cosine.
type Momentum struct {
	Use   bool    `yaml:"use"` // else the encoder itself makes the targets
	Base  float64 `yaml:"base"`
	Final float64 `yaml:"final"`
}

// Queue holds embeddings of earlier steps.
type Queue struct {
	Size  int `yaml:"size"`            // embeddings, of each view; 0: none
	Start int `yaml:"start,omitempty"` // epochs before they count (swav)
}

// Prototypes are the centres that clusters are known by.
type Prototypes struct {
	Counts     []int   `yaml:"counts,flow"`          // prototypes of each clustering; swav has one
	Freeze     int     `yaml:"freeze,omitempty"`     // epochs in which they do not learn (swav)
	Epsilon    float64 `yaml:"epsilon,omitempty"`    // of Sinkhorn's iterations (swav)
	Iterations int     `yaml:"iterations,omitempty"` // Sinkhorn's (swav)
	KMeans     int     `yaml:"kmeans,omitempty"`     // iterations of k-means at the start of an epoch (deepcluster)
}

// Redundancy holds the constants of Barlow Twins.
type Redundancy struct {
	Lambda float64 `yaml:"lambda"` // weight of the off-diagonal
	Scale  float64 `yaml:"scale"`  // of the whole loss
}

// Whitening holds the constants of W-MSE.
type Whitening struct {
	Size       int     `yaml:"size"`          // rows whitened together; 0: the whole batch
	Iterations int     `yaml:"iterations"`    // ways to cut the batch
	Eps        float64 `yaml:"eps,omitempty"` // share of the identity in the covariance
}

// Regularize is VICReg's regularisation on the expander's output of another
// method (paper, table 4), with Loss's gamma, eps and convention.
type Regularize struct {
	Variance   float64 `yaml:"variance"`   // μ
	Covariance float64 `yaml:"covariance"` // ν
}

// On says whether there is any.
func (r Regularize) On() bool { return r.Variance > 0 || r.Covariance > 0 }

// Projector returns how the expander of branch 0 or 1 is built.
func (c *Config) Projector(branch int) model.Head {
	h := model.Head{Widths: c.ExpanderOf(branch), NoNorm: !c.Heads.Norm, Last: c.Heads.Last}
	if h.NoNorm && (h.Last == model.Norm || h.Last == model.Affine) {
		h.Last = model.Bias
	}
	return h
}

// Predictor returns how the predictor is built, if there is one.
func (c *Config) Predictor() (model.Head, bool) {
	if c.Heads.Predictor == None || c.Heads.Predictor == "" {
		return model.Head{}, false
	}
	widths := fmt.Sprintf("%s-%d", c.Heads.Predictor, last(c.ExpanderOf(0)))
	return model.Head{Widths: widths, NoNorm: !c.Heads.PredictorNorm, Last: c.Heads.PredictorLast}, true
}

// validateMachinery finds machinery that the method does not have, or that makes
// no sense.
func (c *Config) validateMachinery() error {
	m, err := MachineryOf(c.Method)
	if err != nil {
		return err
	}
	h, t := c.Heads, c.Momentum
	for what, got := range map[string]string{"heads.last": h.Last, "heads.predictor_last": h.PredictorLast} {
		if !slices.Contains(model.Lasts(), got) {
			return fmt.Errorf("unknown %s %q; known: %s", what, got, strings.Join(model.Lasts(), ", "))
		}
	}
	predictor, has := c.Predictor()
	if has {
		if _, err := model.ParseExpander(predictor.Widths); err != nil {
			return fmt.Errorf("predictor %q is not a list of widths: give positive numbers joined by hyphens, as 512 or 512-512, or none", h.Predictor)
		}
		if widths, _ := model.ParseExpander(predictor.Widths); len(widths) > maxLayers || slices.Max(widths) > most {
			return fmt.Errorf("the predictor has %d layers of width %d or less, but must have at most %d of %d", len(widths), slices.Max(widths), maxLayers, most)
		}
	}
	for _, f := range []struct {
		given bool
		part  string
		what  string
	}{
		{has, "predictor", "predictor is " + h.Predictor},
		{h.StopGradient, "stop-gradient", "stop_gradient is true"},
		{t.Use, "momentum-encoder", "momentum_encoder is used"},
		{len(c.Crops()) > 2, "many-views", fmt.Sprintf("there are %d views", len(c.Crops()))},
	} {
		if f.given && !m.Has(f.part) {
			return fmt.Errorf("%s, but method %s has no %s", f.what, c.Method, strings.ReplaceAll(f.part, "many-views", "use for more than 2"))
		}
	}
	r, q := c.Regularize, c.Queue
	counts := append([]int{0}, c.Prototypes.Counts...)
	for _, f := range []struct {
		ok   bool
		what string
		got  any
		want string
	}{
		{!m.Has("temperature") || c.Temperature > 0, "temperature", c.Temperature, "above 0"},
		{!t.Use || t.Base >= 0 && t.Base <= t.Final, "momentum_encoder base", t.Base, "from 0 to its final value"},
		{!t.Use || t.Final <= 1, "momentum_encoder final", t.Final, "1 or less"},
		{q.Size >= 0, "queue size", q.Size, "0 (none) or more"},
		{q.Size <= most, "queue size", q.Size, fmt.Sprintf("at most %d", most)},
		{q.Start >= 0, "queue start", q.Start, "0 or more epochs"},
		{q.Size == 0 || q.Start < c.Epochs, "queue start", q.Start, fmt.Sprintf("before the run ends, after %d epochs; start it earlier, or give a queue of 0 for none", c.Epochs)},
		{c.Prototypes.Freeze >= 0, "prototypes freeze", c.Prototypes.Freeze, "0 or more epochs"},
		{len(counts) <= maxViews, "number of prototypes counts", len(counts), fmt.Sprintf("at most %d", maxViews)},
		{slices.Max(counts) <= most, "prototypes count", slices.Max(counts), fmt.Sprintf("at most %d", most)},
		{c.Prototypes.Iterations >= 0, "prototypes iterations", c.Prototypes.Iterations, "0 or more"},
		{c.Prototypes.Iterations <= maxRounds, "prototypes iterations", c.Prototypes.Iterations, fmt.Sprintf("at most %d", maxRounds)},
		{c.Prototypes.KMeans >= 0, "prototypes kmeans", c.Prototypes.KMeans, "0 or more iterations"},
		{c.Prototypes.KMeans <= maxRounds, "prototypes kmeans", c.Prototypes.KMeans, fmt.Sprintf("at most %d iterations", maxRounds)},
		{c.Whitening.Iterations <= maxRounds, "whitening iterations", c.Whitening.Iterations, fmt.Sprintf("at most %d", maxRounds)},
		{c.Whitening.Size <= most, "whitening size", c.Whitening.Size, fmt.Sprintf("at most %d", most)},
		{r.Variance >= 0, "regularize variance", r.Variance, "0 or more"},
		{r.Covariance >= 0, "regularize covariance", r.Covariance, "0 or more"},
	} {
		if !f.ok {
			return fmt.Errorf("%s is %v, but must be %s", f.what, f.got, f.want)
		}
	}
	switch {
	case m.Has("stop-gradient") && !h.StopGradient && t.Use:
		return fmt.Errorf("stop_gradient is false, but the targets come from a momentum encoder, which never gets a gradient; to let it through, leave out the momentum encoder as well")
	case r.On() && m.Has("coefficients"):
		return fmt.Errorf("variance and covariance are added to method %s, which has both; set mu and nu instead", c.Method)
	case c.Separate() && m.Shared != "":
		return fmt.Errorf("method %s cannot have separate branches: %s; of the methods, %s can", c.Method, m.Shared, strings.Join(separable(), ", "))
	}
	return nil
}

// last returns the last width of an expander that is known to be good.
func last(spec string) int {
	widths, _ := model.ParseExpander(spec)
	return widths[len(widths)-1]
}
