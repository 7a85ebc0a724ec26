// Package optim updates parameters from their gradients: LARS as VICReg's
// released code has it, SGD with momentum, AdamW, and the learning-rate schedule
// of the released code.
//
// "Released" is main_vicreg.py of facebookresearch/vicreg at commit 4e12602.
package optim

import (
	"fmt"

	"vicreg/internal/device"
	"vicreg/internal/nn"
)

// Optimizer changes the parameters it was made for. Parameters without a
// gradient, which are running statistics, stay as they are. The same bits come
// out for any number of workers.
type Optimizer interface {
	Name() string

	// Norm returns the length of all gradients as one vector. They may not change until
	// the next Step.
	Norm() device.Number

	// Step updates every parameter from its Grad, with learning rate lr.
	Step(lr float64)

	// State returns what the optimizer remembers from step to step, as named
	// arrays. Saving their values and putting them back into an optimizer made
	// with the same parameters restores it.
	State() []*nn.Param
}

// Config names an optimizer and holds its constants.
type Config struct {
	Name        string  // lars, sgd or adamw
	Momentum    float64 // lars, sgd
	WeightDecay float64
	Eta         float64    // lars: trust coefficient
	Clip        bool       // lars: as solo-learn's, see LARS
	Nesterov    bool       // sgd
	Betas       [2]float64 // adamw
	Eps         float64    // adamw; lars with Clip
	DecayAll    bool       // sgd, adamw: weight decay on 1-D parameters as well
	Peak        float64    // learning rate of static parameters
	Share       float64    // above 0: these have this share of the schedule's rate instead
}

// New returns the optimizer that c names. Weight decay leaves out 1-D parameters
// (biases and the scales and shifts of normalisation) unless DecayAll.
func New(params []*nn.Param, c Config) (Optimizer, error) {
	o, err := named(params, c)
	if s, ok := o.(interface{ share(float64) }); ok {
		s.share(c.Share)
	}
	return o, err
}

func named(params []*nn.Param, c Config) (Optimizer, error) {
	switch c.Name {
	case "lars":
		l := LARS{Peak: c.Peak, Momentum: c.Momentum, WeightDecay: c.WeightDecay, Eta: c.Eta, Clip: c.Clip}
		if c.Clip {
			l.Eps = c.Eps
		}
		return NewLARS(params, l), nil
	case "sgd":
		return NewSGD(params, SGD{Peak: c.Peak, DecayAll: c.DecayAll, Momentum: c.Momentum, WeightDecay: c.WeightDecay,
			Nesterov: c.Nesterov}), nil
	case "adamw":
		return NewAdamW(params, AdamW{Peak: c.Peak, DecayAll: c.DecayAll, WeightDecay: c.WeightDecay, Betas: c.Betas,
			Eps: c.Eps}), nil
	}
	return nil, fmt.Errorf("unknown optimizer %q; known: lars, sgd, adamw", c.Name)
}

// trainable returns the parameters that have a gradient.
func trainable(params []*nn.Param) []*nn.Param {
	var out []*nn.Param
	for _, p := range params {
		if p.Grad.None() {
			continue
		}
		if p.Grad.Len() != p.Value.Len() {
			panic(fmt.Sprintf("optim: %s has %d values and a gradient of %d", p.Name, p.Value.Len(), p.Grad.Len()))
		}
		out = append(out, p)
	}
	return out
}

// buffers returns a zero array for each parameter, named after it, where it lives.
func buffers(params []*nn.Param, what string) []*nn.Param {
	out := make([]*nn.Param, len(params))
	for i, p := range params {
		out[i] = nn.NewBuffer(p.Name+"."+what, p.Shape...)
		out[i].To(p.Device())
	}
	return out
}

// step is what optimizers share: the update of all parameters by a rule.
type step struct {
	params []*nn.Param
	all    bool // weight decay on 1-D parameters as well
	update device.Update
	part   float64 // of the rate, that static parameters have; 0: the update's Peak
}

// share gives static parameters a share of the schedule's rate.
func (s *step) share(part float64) { s.part = part }

// newStep returns the update of the parameters that have a gradient, where m, and v, are
// what the optimizer keeps of them.
func newStep(u device.Update, params, m, v []*nn.Param, all bool) step {
	s := step{params: params, all: all, update: u}
	s.update.Members = make([]device.Member, len(params))
	for i := range params {
		s.update.Members[i].M = m[i].Value
		if v != nil {
			s.update.Members[i].V = v[i].Value
		}
	}
	s.look()
	return s
}

// look takes in where parameters are and what may change about them.
func (s *step) look() {
	for i, p := range s.params {
		m := &s.update.Members[i]
		m.W, m.G, m.Static, m.Frozen, m.Decay = p.Value, p.Grad, p.Static, p.Frozen, s.all || !flat(p)
	}
}

// device returns where the parameters are.
func (s *step) device() device.Device {
	if len(s.params) == 0 {
		return device.Local
	}
	return s.params[0].Device()
}

func (s *step) Norm() device.Number {
	s.look()
	return s.device().Norm(&s.update)
}

func (s *step) Step(lr float64) {
	s.look()
	s.update.Number++
	s.update.LR = lr
	if s.part > 0 {
		s.update.Peak = lr * s.part
	}
	s.device().Update(&s.update)
}

// flat reports whether p is a bias or belongs to a normalisation; released
// lines 235–236.
func flat(p *nn.Param) bool { return len(p.Shape) <= 1 }
