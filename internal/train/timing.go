package train

import (
	"cmp"
	"context"
	"math"
	"runtime"
	"runtime/debug"
	"slices"
	"time"

	"vicreg/internal/advice"
	"vicreg/internal/batch"
	"vicreg/internal/device"
	"vicreg/internal/kernel/vector"
	"vicreg/internal/method"
	"vicreg/internal/optim"
	"vicreg/internal/recipe"
	"vicreg/internal/rng"
	"vicreg/internal/runlog"
)

// How long a few steps are timed.
const (
	timedSeconds = 3
	timedSteps   = 40
	slowStep     = 5    // seconds of one that is not done again to be timed
	timedShare   = 0.02 // of the whole run: the timing of a short one is short
	firstSteps   = 2    // that are not counted: memory is taken, batches are made ahead
	leastTimed   = 3    // that are
)

// timed returns how fast the run will be. It builds the run as it will be, on some of
// its items, and takes a few steps with it; then all of that is gone, and the run
// itself is built from its start.
func (r *run) timed(ctx context.Context) (speed advice.Speed, err error) {
	c := r.own() // of one process, which is timed alone
	open := c.Epochs == 0
	c.Epochs, c.Warmup = cmp.Or(c.Epochs, 100), 0
	some, err := r.corpus.sample(ctx, &c)
	if err != nil {
		return speed, err
	}
	speed.Look = some.look
	defer debug.FreeOSMemory()
	timed := &run{config: c, corpus: some, report: Silent{}, device: r.device}
	defer func() { timed.release(err) }()
	defer device.Catch(&err)
	if d := timed.data(); d.Classes > 1 {
		method.Complete(&timed.config, d)
	}
	began := time.Now()
	if err := timed.build(); err != nil {
		return speed, err
	}
	speed.Build = time.Since(began).Seconds()
	steps := c.Epochs * timed.steps
	if open {
		steps = math.MaxInt32
	}
	if speed.Step, err = timed.stepSeconds(ctx, some, steps); err != nil {
		return speed, err
	}
	if some.kept != nil { // what decoding costs beside the computing
		pure, err := timed.stepSeconds(ctx, some.kept, steps/2)
		if err != nil {
			return speed, err
		}
		speed.Decode = max(0, speed.Step-pure) * some.more
		speed.Step = min(speed.Step, pure) + speed.Decode
	}
	if speed.Embed, speed.EmbedB, err = timed.embedSeconds(ctx, some); err != nil {
		return speed, err
	}
	speed.Epoch = timed.epochSeconds()
	const written = 500e6 // bytes of a checkpoint in a second
	values := 0
	for _, p := range timed.method.Params() {
		values += p.Value.Len()
	}
	speed.Save = 0.02 + float64(values)*8/written
	speed.Before = r.clock.elapsed()
	return speed, nil
}

// stepSeconds returns how long one of so many steps with items of a corpus takes once
// the first are done.
func (r *run) stepSeconds(ctx context.Context, from corpus, steps int) (float64, error) {
	c := r.config
	schedule := optim.NewSchedule(c.Optimizer.BaseLR, c.Optimizer.EndLRFactor, c.Batch, r.steps, c.Epochs, c.Warmup)
	loader, err := from.batches(c, batch.Order{Seed: c.Seed, Epochs: timedSteps + 10}, r.ahead())
	if err != nil {
		return 0, err
	}
	defer loader.Done()
	defer context.AfterFunc(ctx, loader.Close)()
	r.method.StartEpoch(0)
	var took []float64
	whole := 0.0
	for step := range timedSteps {
		began := time.Now()
		b, err := loader.Next()
		if err == nil {
			err = ctx.Err()
		}
		if err != nil {
			return 0, err
		}
		outcome, err := method.Queue(r.method, b)
		if err != nil {
			return 0, err
		}
		length := r.optimizer.Norm()
		r.optimizer.Step(schedule.At(min(step, r.steps*c.Epochs-1)))
		r.method.AfterStep(step+1, c.Epochs*r.steps)
		outcome.Read()
		length.Read()
		r.recent.add(0, r.method.Embeddings())
		took = append(took, time.Since(began).Seconds())
		whole += took[step]
		counted := took[min(len(took)-1, firstSteps):]
		typical := middle(counted)
		if typical >= slowStep || len(counted) >= leastTimed && step >= firstSteps &&
			whole > min(timedSeconds, timedShare*typical*float64(steps)) {
			break
		}
	}
	return middle(took[min(len(took)-1, firstSteps):]), nil
}

// middle returns the mean of some numbers without the tenth of them that is farthest
// down and the one farthest up.
func middle(x []float64) (mean float64) {
	x = slices.Sorted(slices.Values(x))
	if cut := (len(x) + 5) / 10; len(x) > 2*cut {
		x = x[cut : len(x)-cut]
	}
	for _, v := range x {
		mean += v / float64(len(x))
	}
	return mean
}

// embedSeconds returns how long it takes to embed an item with the encoder of each
// branch; 0 of a second branch that there is none of.
func (r *run) embedSeconds(ctx context.Context, some *sample) (a, b float64, err error) {
	var seconds [2]float64
	for i, e := range r.embedders {
		in := some.input(e, i)
		for range 2 { // memory is taken the first time
			began := time.Now()
			if _, err := e.Embed(ctx, in); err != nil {
				return 0, 0, err
			}
			seconds[i] = time.Since(began).Seconds() / float64(in.Items)
		}
	}
	return seconds[0], seconds[1], nil
}

// epochSeconds returns what an epoch takes beside its steps: the figures of its
// embeddings, and what the method does at its start.
func (r *run) epochSeconds() float64 {
	// What a method keeps of items is empty at first.
	random := rng.New(r.config.Seed, rng.Bench)
	for _, p := range r.method.State() {
		v := p.Read()
		empty := vector.Length(v) == 0
		if len(p.Shape) == 2 { // a bank, of which the timed steps have filled a part
			empty = len(vector.FilledRows(nil, v, p.Shape[1])) < p.Shape[0]
		}
		if empty {
			p.Draw(random.NormFloat64)
		}
	}
	var began time.Time
	for epoch := range 2 { // memory is taken the first time
		began = time.Now()
		r.recent.figures(new(runlog.Epoch), r.method.TargetStd())
		r.method.StartEpoch(epoch)
	}
	return time.Since(began).Seconds()
}

// workersOf returns how many goroutines decode.
func workersOf(c recipe.Config) int { return cmp.Or(c.Workers, runtime.GOMAXPROCS(0)) }
