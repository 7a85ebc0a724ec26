package optim

import "math"

// Schedule is a linear warm-up from 0 to Peak and a cosine from there to
// End·Peak at the last step; released lines 165–179. Stairs and Drops change that for
// training with labels. See [Schedule.Replan] for one whose last step became another on
// the way.
type Schedule struct {
	Peak   float64 // learning rate after warm-up
	End    float64 // share of Peak that is left at the end; released 0.001
	Warmup int     // steps
	Steps  int     // of the whole run

	// Stairs is the steps of a stair: the rate changes after so many alone, as PyTorch's
	// CosineAnnealingLR does that is told of epochs. 0: after every step.
	Stairs int

	// Drops, if there are any, take the cosine's place: after so many steps the rate is
	// divided by 10.
	Drops []int

	before  *Schedule // the plan that held up to a step; nil: there was none
	from    int       // that step
	passage int       // steps from the rate there to that of this plan
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

// Replan returns the schedule of a run that is to have another number of steps when
// it has done from of them. Those stay as they were. Then the rate goes in a straight
// line, over the steps of passage:
//   - in a run that becomes longer and is past its warm-up, back to Peak, and from
//     there in a cosine to End·Peak at the new last step;
//   - else to what it is there in a run of the new length, and on along that.
func (s Schedule) Replan(from, steps, passage int) Schedule {
	old := s
	s.Steps, s.before, s.from, s.passage = steps, &old, from, passage
	return s
}

// At returns the learning rate of a step, which count from 0.
func (s Schedule) At(step int) float64 {
	if s.Stairs > 0 {
		step -= step % s.Stairs
	}
	if s.before == nil || s.from == 0 {
		return s.plain(step)
	}
	if step < s.from {
		return s.before.At(step)
	}
	after := s.plain
	if s.Steps > s.before.Steps && s.from >= s.Warmup {
		after = func(step int) float64 { return s.cosine(step, s.from+s.passage) }
	}
	if end := s.from + s.passage; step < end {
		start := s.before.At(s.from - 1)
		return start + (after(end)-start)*float64(step-s.from+1)/float64(s.passage+1)
	}
	return after(step)
}

// plain is At of a run that had this length from the start.
func (s Schedule) plain(step int) float64 {
	if step < s.Warmup {
		return s.Peak * float64(step) / float64(s.Warmup)
	}
	if len(s.Drops) > 0 {
		rate := s.Peak
		for _, drop := range s.Drops {
			if step >= drop {
				rate /= 10
			}
		}
		return rate
	}
	return s.cosine(step, s.Warmup)
}

// cosine is the rate of a step in the cosine from Peak at step top to the end.
func (s Schedule) cosine(step, top int) float64 {
	done := float64(step-top) / float64(max(1, s.Steps-top))
	q := 0.5 * (1 + math.Cos(math.Pi*min(done, 1)))
	return s.Peak*q + s.End*s.Peak*(1-q)
}
