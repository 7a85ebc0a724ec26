// Package train is the loop: data in, a trained encoder and its scores out.
//
// [Pretrain] starts a run and [Resume] goes on with one; both come to (*run).train,
// below. What a run computes depends on its configuration and its position (epoch and
// step) alone. So one that was stopped anywhere and resumed ends with the same bits as
// one that was not.
package train

import (
	"context"
	"errors"
	"fmt"
	"time"

	"vicreg/internal/batch"
	"vicreg/internal/method"
	"vicreg/internal/optim"
	"vicreg/internal/runlog"
)

// train goes on from where the run stands until its last epoch is done. When
// ctx is cancelled it finishes the step, saves everything and returns an error
// that matches ErrInterrupted.
func (r *run) train(ctx context.Context) error {
	c := r.config
	schedule := r.schedule()
	loader, err := r.corpus.batches(c, r.order(), r.ahead())
	if err != nil {
		return err
	}
	defer loader.Done()
	defer context.AfterFunc(ctx, loader.Close)()
	r.saved = time.Now()
	for r.at.Epoch < c.Epochs {
		if r.at.Step == 0 {
			r.method.StartEpoch(r.at.Epoch)
		}
		for r.at.Step < r.steps {
			if err := r.step(ctx, loader, schedule); err != nil {
				return err
			}
		}
		if err := r.endEpoch(ctx, schedule); err != nil {
			return err
		}
	}
	return nil
}

// step does one step of the run and adds it to the figures.
func (r *run) step(ctx context.Context, loader *batch.Loader, schedule optim.Schedule) error {
	c := r.config

	// Data.
	began := time.Now()
	b, stop, err := r.next(ctx, loader)
	if stop {
		return r.interrupt()
	}
	if err != nil {
		return err
	}
	waited := time.Since(began).Seconds()
	if err := r.boardViews(b); err != nil {
		return err
	}

	// Forward, loss and backward; update.
	lr := schedule.At(r.at.Steps)
	outcome, err := method.Queue(r.method, b)
	if err != nil {
		return fmt.Errorf("step %d: %w; %s", r.at.Steps+1, err, r.lastFinite())
	}
	loss, terms, norm, err := r.update(outcome, lr)
	if err != nil {
		return err
	}
	r.recent.add(r.at.Step, r.method.Embeddings())
	r.at.Step++
	r.at.Steps++

	// Account.
	if err := r.add(loss, terms); err != nil {
		return err
	}
	took := time.Since(began).Seconds()
	r.clock.add(took, waited)
	r.at.TrainSeconds, r.at.WaitSeconds = r.at.TrainSeconds+took, r.at.WaitSeconds+waited
	r.at.EpochSeconds, r.at.EpochWait = r.at.EpochSeconds+took, r.at.EpochWait+waited
	s := runlog.Step{Event: "step", Epoch: r.at.Epoch + 1, Step: r.at.Steps, Loss: loss, Terms: terms, LR: lr,
		GradNorm: norm,
		Images:   per(float64(c.Batch), r.clock.step), WaitShare: per(r.clock.wait, r.clock.step)}
	r.report.Step(s)
	if err := r.boardStep(s); err != nil {
		return err
	}
	if r.at.Steps%c.LogEvery == 0 {
		if err := r.write(s); err != nil {
			return err
		}
	}

	// Save when it is time to, or when the run is to stop.
	stop, due := ctx.Err() != nil, c.CheckpointMinutes > 0 && time.Since(r.saved).Minutes() >= c.CheckpointMinutes
	r.vote(&stop, &due)
	if stop {
		return r.interrupt()
	}
	if due {
		return r.save()
	}
	return nil
}

// endEpoch computes the figures of an epoch whose steps are all done, and saves.
func (r *run) endEpoch(ctx context.Context, schedule optim.Schedule) error {
	err := r.only(func() error { return r.figures(ctx, schedule) })
	if errors.Is(err, ErrInterrupted) {
		return r.interrupt() // a resumed run comes back to the end of this epoch
	}
	if err != nil {
		return err
	}
	r.at.Epoch, r.at.Step = r.at.Epoch+1, 0
	return r.save()
}

// figures computes and tells those of an epoch whose steps are all done.
func (r *run) figures(ctx context.Context, schedule optim.Schedule) error {
	c := r.config
	e := runlog.Epoch{Event: "epoch", Epoch: r.at.Epoch + 1, Step: r.at.Steps, LR: schedule.At(r.at.Steps - 1),
		Device: r.computer()}
	e.Loss, e.Terms = r.means()
	e.Images, e.WaitShare = per(float64(r.at.Step*c.Batch), r.at.EpochSeconds), per(r.at.EpochWait, r.at.EpochSeconds)
	collapses := r.recent.figures(&e, r.method.TargetStd())
	scored, due := r.corpus.scored() > 0 && c.Eval.Every > 0 && (r.at.Epoch+1)%c.Eval.Every == 0, r.due(r.at.Epoch+1)
	trend := r.at.Trend
	if scored || due {
		err := r.watch(ctx, &e, scored, due)
		if ctx.Err() != nil {
			return ErrInterrupted
		}
		if failure(err) {
			return err
		}
		if err != nil {
			if err := r.warn("the encoder could not be scored: %s", err); err != nil {
				return err
			}
		}
		if e.Views != nil {
			trend = append(trend, runlog.Seen{Epoch: e.Epoch, Step: e.Step, Sight: *e.Views})
		}
	}
	best := r.better(&e)
	e.Seconds = r.clock.elapsed()
	r.report.Epoch(e)
	if err := r.write(e); err != nil {
		return err
	}
	if err := r.boardEpoch(e); err != nil {
		return err
	}
	for _, why := range collapses {
		if err := r.warn("%s", why); err != nil {
			return err
		}
	}
	r.at.Last, r.at.Trend, r.at.Best = &e, trend, best
	return nil
}

// interrupt saves the run where it stands and says so.
func (r *run) interrupt() error {
	r.savedModel = time.Time{}
	if err := r.save(); err != nil {
		return err
	}
	return &Interrupted{Folder: r.folder, Epoch: r.at.Epoch + 1, Step: r.at.Steps,
		Trained: r.at.Epoch >= r.config.Epochs, Device: r.flag()}
}
