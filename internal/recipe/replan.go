package recipe

import (
	"errors"
	"fmt"
	"math"
	"slices"
)

// Replan is a change of the number of epochs in a run that had begun.
type Replan struct {
	Epochs  int     `yaml:"epochs"`  // that were planned till then
	Step    int     `yaml:"step"`    // steps that had been done
	Passage float64 `yaml:"passage"` // epochs in which the learning rate comes to the peak, or to that of the new plan
}

// mostReplans is how often a run may be changed.
const mostReplans = 1000

// PlannedFor returns the epochs that were planned when a step, from 0, was done.
func (c *Config) PlannedFor(step int) int {
	for _, r := range c.Replanned {
		if step < r.Step {
			return r.Epochs
		}
	}
	return c.Epochs
}

// Before returns the configuration as it was before the change i.
func (c *Config) Before(i int) Config {
	b := *c
	b.Epochs, b.Replanned = c.Replanned[i].Epochs, nil
	if i > 0 {
		b.Replanned = slices.Clone(c.Replanned[:i])
	}
	return b
}

// Replan plans another number of epochs for a run that has done so many steps, with
// stepsPerEpoch of them in an epoch. The learning rate moves to the peak, or to the new
// plan's, during a tenth of the epochs that are left, 10 at most.
func (c *Config) Replan(epochs, step, stepsPerEpoch int) {
	left := float64(epochs*stepsPerEpoch-step) / float64(stepsPerEpoch)
	c.Replanned = append(slices.Clone(c.Replanned), Replan{Epochs: c.Epochs, Step: step, Passage: UsualPassage(left)})
	c.Epochs = epochs
}

// UsualPassage returns during how many of the epochs left the learning rate moves to
// that of a new plan.
func UsualPassage(left float64) float64 { return min(10, math.Round(100*left)/1000) }

func (c *Config) validateReplans() error {
	for i, r := range c.Replanned {
		switch {
		case r.Epochs < 1 || r.Epochs > maxEpochs:
			return fmt.Errorf("replanned[%d].epochs is %d, but must be from 1 to %d", i, r.Epochs, maxEpochs)
		case r.Step < 0 || r.Step > most:
			return fmt.Errorf("replanned[%d].step is %d, but must be from 0 to %d", i, r.Step, most)
		case i > 0 && r.Step < c.Replanned[i-1].Step:
			return fmt.Errorf("replanned[%d].step is %d, but the change before was after step %d", i, r.Step, c.Replanned[i-1].Step)
		case !(r.Passage >= 0 && r.Passage <= maxEpochs):
			return fmt.Errorf("replanned[%d].passage is %v, but must be from 0 to %d epochs", i, r.Passage, maxEpochs)
		}
	}
	switch n := len(c.Replanned); {
	case n > mostReplans:
		return errors.New("replanned has more changes than a run can have")
	case n == 0 && c.Replanned != nil:
		return errors.New("replanned is a list of nothing; leave it out")
	}
	return nil
}
