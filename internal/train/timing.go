package train

import (
	"cmp"
	"context"
	"fmt"
	"runtime/debug"
	"time"

	"vicreg/internal/advice"
	"vicreg/internal/batch"
	"vicreg/internal/dataset"
	"vicreg/internal/optim"
)

// How long a few steps are timed.
const (
	timedSeconds = 4
	timedSteps   = 40
	slowStep     = 5 // seconds of one that is not done again to be timed
)

// timed returns how fast the run will be. It builds the run as it will be, on some of
// its images, and takes a few steps with it; then all of that is gone, and the run
// itself is built from its start.
func (r *run) timed(ctx context.Context, s *images) (speed advice.Speed, err error) {
	c := r.config
	c.Epochs, c.Warmup = cmp.Or(c.Epochs, 100), 0
	some := dataset.Dataset{Name: s.trainData.Name, Classes: s.trainData.Classes}
	for _, i := range spread(s.len(), c.Batch+c.Batch/4, func(int) bool { return true }) {
		some.Items = append(some.Items, s.trainData.Items[i])
	}
	_, pixels, _ := s.sizes(&some)
	part := &images{trainData: &some, cache: s.cache, limits: s.limits}
	n := part.len()
	began := time.Now()
	if _, _, err := part.scan(ctx, &c, nil); err != nil {
		return speed, err
	}
	scanned := time.Since(began).Seconds()
	speed.Decode = scanned / float64(n)
	if part.len() < c.Batch {
		return speed, fmt.Errorf("only %d of %d images can be read", part.len(), n)
	}
	defer debug.FreeOSMemory()
	timed := &run{config: c, corpus: s, report: Silent{}}
	if err := timed.build(); err != nil {
		return speed, err
	}
	if speed.Step, err = timed.stepSeconds(ctx, part); err != nil {
		return speed, err
	}
	// Two views go forward, and come back for twice that.
	speed.Embed = speed.Step / float64(5*c.Batch)
	if some.Items[0].Held() {
		speed.Cached = 1
	} else if _, areas := s.areas(s.trainData); pixels > 0 && len(areas) > 0 {
		// Photographs differ much in size: time goes by the pixel, and the largest do
		// not stay.
		room := float64(max(0, cmp.Or(s.cache, batch.DefaultCache)))
		var mean float64
		speed.Cached, mean = stay(areas, s.len(), float64(c.Channels), room)
		speed.Decode = scanned / (pixels * float64(n)) * mean
	}
	const written = 200e6 // bytes of a checkpoint in a second
	values := 0
	for _, p := range timed.method.Params() {
		values += len(p.Value)
	}
	speed.Save = 0.03 + float64(values)*8/written
	return speed, nil
}

// stepSeconds returns how long a step takes once the first are done.
func (r *run) stepSeconds(ctx context.Context, part *images) (float64, error) {
	c := r.config
	schedule := optim.NewSchedule(c.Optimizer.BaseLR, c.Optimizer.EndLRFactor, c.Batch, r.steps, c.Epochs, c.Warmup)
	loader, err := part.batches(c, batch.Order{Seed: c.Seed, Epochs: timedSteps + 10})
	if err != nil {
		return 0, err
	}
	defer loader.Close()
	defer context.AfterFunc(ctx, loader.Close)()
	r.method.StartEpoch(0)
	began, from := time.Now(), 0
	for step := range timedSteps {
		b, err := loader.Next()
		if err == nil {
			err = ctx.Err()
		}
		if err != nil {
			return 0, err
		}
		if _, _, err := r.method.Step(b); err != nil {
			return 0, err
		}
		r.grads.norm()
		r.optimizer.Step(schedule.At(min(step, r.steps*c.Epochs-1)))
		r.method.AfterStep(step+1, c.Epochs*r.steps)
		took := time.Since(began).Seconds()
		switch {
		case step < 2 && took < slowStep: // memory is taken, batches are made ahead
			began, from = time.Now(), step+1
		case took >= timedSeconds && (step-from >= 2 || took >= 3*slowStep):
			return took / float64(step+1-from), nil
		}
	}
	return time.Since(began).Seconds() / float64(timedSteps-from), nil
}
