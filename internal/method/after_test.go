package method

import (
	"math"
	"slices"
	"testing"

	"vicreg/internal/loss"
	"vicreg/internal/recipe"
)

// A step that is done moves every momentum encoder towards the network that learned.
func TestMomentumFollows(t *testing.T) {
	for _, name := range []string{"byol", "moco-v2", "moco-v3"} {
		m := build(t, config(t, name))
		target := map[string]func() *target{
			"byol":    func() *target { return m.(*byol).target },
			"moco-v2": func() *target { return m.(*mocoV2).target },
			"moco-v3": func() *target { return m.(*mocoV3).target },
		}[name]()
		step(t, m, views(0, 0))
		own, learns := target.own[0], target.learns[0]
		own.Value.Host()[0], learns.Value.Host()[0] = 1, 2
		m.AfterStep(1, 100)
		if !(own.Value.Host()[0] > 1 && own.Value.Host()[0] < 1.5) {
			t.Errorf("%s: from 1 towards 2 it came to %v", name, own.Value.Host()[0])
		}
	}
}

// The queues of MoCo get the keys of their views, as unit rows.
func TestQueuesGetKeys(t *testing.T) {
	m := build(t, config(t, "moco-v2")).(*mocoV2)
	for _, p := range m.target.own {
		for i := range p.Value.Host() {
			p.Value.Host()[i] *= 1 - float32(i%3)/4 // so that keys are no queries
		}
	}
	step(t, m, views(0, 0))
	var want [2][]float32
	for i, keys := range m.target.keys {
		want[i] = slices.Clone(new(loss.Units).Forward(keys, rows, 8))
	}
	m.AfterStep(1, 100)
	for i, q := range m.queues {
		if !slices.Equal(q.rows.Value.Host()[:rows*8], want[i]) {
			t.Errorf("queue %d does not hold the keys of view %d", i, i)
		}
	}
}

// SwAV's queues count from their epoch on, if they are full.
func TestQueueStarts(t *testing.T) {
	c := config(t, "swav")
	c.Queue.Start = 1
	m := build(t, c)
	epoch(t, m, 0)
	b := views(0, 0)
	loss := func(epoch int) float64 {
		b.Epoch = epoch
		v, _ := step(t, m, b)
		return v
	}
	before, from, later := loss(0), loss(1), loss(2)
	if before == from || from != later {
		t.Errorf("losses %v before, %v in the epoch that the queue counts from, %v later", before, from, later)
	}
}

// Where the compared embeddings count as constants, half of the invariance's gradient
// is left.
func TestHalfOfTheGradient(t *testing.T) {
	var norm [2]float64
	for i, stop := range []bool{false, true} {
		c := config(t, "vicreg")
		c.Loss.Mu, c.Loss.Nu = 0, 0
		c.Heads.Predictor, c.Heads.StopGradient = recipe.None, stop
		m := build(t, c)
		step(t, m, views(0, 0))
		norm[i] = math.Sqrt(gradNorm2(m))
	}
	if math.Abs(2*norm[1]/norm[0]-1) > 1e-4 {
		t.Errorf("the gradient is %v, %v with a stop", norm[0], norm[1])
	}
}

// Coefficients of the second branch are the first one's where they are not given.
func TestCoefficientsOfB(t *testing.T) {
	mu, nu := 2.0, 3.0
	for _, c := range []struct {
		mu, nu *float64
		want   loss.Coefficients
	}{{&mu, nil, loss.Coefficients{Mu: 2, Nu: 7}}, {nil, &nu, loss.Coefficients{Mu: 5, Nu: 3}},
		{&mu, &nu, loss.Coefficients{Mu: 2, Nu: 3}}} {
		l, err := NewLoss(recipe.Loss{Convention: "released", Mu: 5, Nu: 7, MuB: c.mu, NuB: c.nu})
		if err != nil || l.B == nil || *l.B != c.want {
			t.Errorf("%v, %v: %+v, %v", c.mu, c.nu, l.B, err)
		}
	}
}

// What Barlow Twins shows for collapse is what its loss sees: columns of deviation 1,
// where those of other methods that look at directions are rows of length 1.
func TestWatchedAsTheLossSees(t *testing.T) {
	for name, want := range map[string]float64{"barlow-twins": 8 * rows, "simclr": rows, "byol": rows} {
		m := build(t, config(t, name))
		step(t, m, views(0, 0))
		sum := 0.0
		for _, v := range m.Embeddings()[0].Values.Host() {
			sum += float64(v) * float64(v)
		}
		if math.Abs(sum/want-1) > 1e-3 {
			t.Errorf("%s: squares add up to %v, want %v", name, sum, want)
		}
		target := 1.0
		if name != "barlow-twins" {
			target = 1 / math.Sqrt(8)
		}
		if got := m.TargetStd(); math.Abs(got-target) > 1e-12 {
			t.Errorf("%s: target deviation %v, want %v", name, got, target)
		}
	}
}
