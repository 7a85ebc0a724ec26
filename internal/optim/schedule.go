package optim

import "math"

// Schedule is a linear warm-up from 0 to Peak and a cosine from there to
// End·Peak at the last step; released lines 165–179.
type Schedule struct {
	Peak   float64 // learning rate after warm-up
	End    float64 // share of Peak that is left at the end; released 0.001
	Warmup int     // steps
	Steps  int     // of the whole run
}

// NewSchedule returns the schedule of a run, with Peak = baseLR·batch/256 as
// released.
func NewSchedule(baseLR, end float64, batch, stepsPerEpoch, epochs int, warmupEpochs float64) Schedule {
	return Schedule{
		Peak:   baseLR * float64(batch) / 256,
		End:    end,
		Warmup: int(math.Round(warmupEpochs * float64(stepsPerEpoch))),
		Steps:  epochs * stepsPerEpoch,
	}
}

// At returns the learning rate of a step, which count from 0.
func (s Schedule) At(step int) float64 {
	if step < s.Warmup {
		return s.Peak * float64(step) / float64(s.Warmup)
	}
	done := float64(step-s.Warmup) / float64(max(1, s.Steps-s.Warmup))
	q := 0.5 * (1 + math.Cos(math.Pi*min(done, 1)))
	return s.Peak*q + s.End*s.Peak*(1-q)
}
