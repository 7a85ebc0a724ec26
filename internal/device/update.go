package device

import (
	"vicreg/internal/kernel/vector"
)

// Member is one parameter of a group, and what goes with it; of the same length, or none.
type Member struct {
	W, G Array
	M, V Array // what an optimizer keeps: momentum or mean, and mean square

	Decay  bool // weight decay applies, and LARS's ratio
	Static bool // the learning rate is Update.Peak: the second of two
	Frozen bool // it is left alone
}

// Group is the parameters that one operation handles together. It costs a device some time
// when its members change.
type Group struct {
	Members []Member

	kept any
}

// Kept returns what a device keeps with the group, Keep changes it.
func (g *Group) Kept() any  { return g.kept }
func (g *Group) Keep(x any) { g.kept = x }

// Rule is how an optimizer changes parameters. Package kernel/vector defines each.
type Rule uint8

const (
	ByMomentum Rule = iota // MomentumStep
	ByNesterov             // NesterovStep
	ByLARS                 // LARSStep; MomentumStep of members without Decay
	ByAdam                 // AdamStep
)

// Update is a step of an optimizer.
type Update struct {
	Group
	Rule

	LR, Peak                        float64 // learning rates
	Momentum, WeightDecay, Eta, Eps float64
	Clip                            bool
	Betas                           [2]float64
	Number                          int // of the step, from 1
}

// Rate returns the learning rate and the weight decay of a member.
func (u *Update) Rate(m *Member) (lr, decay float64) {
	if lr = u.LR; m.Static {
		lr = u.Peak
	}
	if m.Decay {
		decay = u.WeightDecay
	}
	return lr, decay
}

func (c CPU) Update(u *Update) {
	for i := range u.Members {
		x := &u.Members[i]
		if x.Frozen {
			continue
		}
		lr, decay := u.Rate(x)
		w, m, g := c.f32(x.W), c.f32(x.M), c.f32(x.G)
		rate, momentum := float32(lr), float32(u.Momentum)
		switch {
		case u.Rule == ByAdam:
			vector.AdamStep(w, m, c.f32(x.V), g, u.Number, lr, u.Betas[0], u.Betas[1], u.Eps, decay)
		case u.Rule == ByNesterov:
			vector.NesterovStep(w, m, g, rate, momentum, float32(decay))
		case u.Rule == ByLARS && x.Decay:
			vector.LARSStep(w, m, g, u.LARS(lr))
		default:
			vector.MomentumStep(w, m, g, rate, momentum, float32(decay), 1)
		}
	}
}

// LARS returns the constants of a step by that rule.
func (u *Update) LARS(lr float64) vector.LARS {
	return vector.LARS{LR: lr, Momentum: u.Momentum, WeightDecay: u.WeightDecay, Eta: u.Eta, Eps: u.Eps, Clip: u.Clip}
}

// Norm computes the length of all gradients.
func (c CPU) Norm(u *Update) Number {
	m := &measured
	m.Lock()
	defer m.Unlock()
	m.arrays = m.arrays[:0]
	for i := range u.Members {
		m.arrays = append(m.arrays, c.f32(u.Members[i].G))
	}
	defer clear(m.arrays)
	return Known(vector.Length(m.arrays...))
}

func (c CPU) Blend(g *Group, keep, take float32) {
	for i := range g.Members {
		vector.Blend(c.f32(g.Members[i].W), keep, take, c.f32(g.Members[i].G))
	}
}

func (c CPU) Clear(g *Group) {
	for i := range g.Members {
		vector.Fill(c.f32(g.Members[i].G), 0)
	}
}

// Number is one that a device may still be computing when it hands it out.
type Number struct {
	v    float64
	from Reader
	at   int
}

// Reader waits for a device's numbers. A number is there until the operation that makes
// it is called again.
type Reader interface{ Number(at int) float64 }

// Known is a number that is there already, Coming one that is number at of a device.
func Known(v float64) Number            { return Number{v: v} }
func Coming(from Reader, at int) Number { return Number{from: from, at: at} }

// Here says that the number is there without waiting.
func (n Number) Here() bool { return n.from == nil }

// Read returns the number, when it is there.
func (n Number) Read() float64 {
	if n.from == nil {
		return n.v
	}
	return n.from.Number(n.at)
}
