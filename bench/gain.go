package main

import (
	"context"
	"fmt"
	"slices"
)

// gains compares our own step of ResNet-18 on all threads with that on two, in alternation,
// and with what the ceilings gain.
func (b *bench) gains(ctx context.Context, t *table) error {
	for _, w := range workloads {
		if w.name != workloads[2].name && w.name != workloads[3].name {
			continue
		}
		if why := w.lacks(b.processor); why != "" {
			t.leave("many threads, "+w.name, why)
			continue
		}
		if b.threads <= 2 {
			t.leave("many threads, "+w.name, "there are no more than two")
			continue
		}
		threads := [2]int{2, b.threads}
		var steps, ceilings [2]side
		for round := range b.rounds {
			b.progress("many threads, %s: round %d of %d", w.name, round+1, b.rounds)
			for i, n := range threads {
				c, err := b.ceiling(ctx, w.precision(), n)
				if err != nil {
					return err
				}
				ceilings[i].times = append(ceilings[i].times, c.Gflops)
				args := slices.Concat([]string{"bench"}, w.args,
					[]string{"--threads", fmt.Sprint(n), "--warmup", "1", "--steps", fmt.Sprint(w.steps), "--json"})
				s, err := timed(ctx, b.ours, args)
				if err != nil {
					return err
				}
				steps[i].add(s)
				b.progress("    %d threads %.4g s, ceiling %.0f Gflop/s", n, s.Median, c.Gflops)
			}
		}
		t.gains = append(t.gains, gainText(w.precision(), b.threads, steps, ceilings))
	}
	return nil
}

// gainText tells what more threads than two gave.
func gainText(precision string, threads int, steps, ceilings [2]side) string {
	gain, ceiling := steps[0].median()/steps[1].median(), ceilings[1].median()/ceilings[0].median()
	want := leastGain * ceiling / ceilingGain
	return fmt.Sprintf("Our own step, ResNet-18 at 32 px, %s: %s s on two threads, %s on %d, "+
		"which is %s× where the ceiling gains %s× (%s).",
		precision, steps[0].spread(), steps[1].spread(), threads, figures(gain), figures(ceiling),
		goal(round2(want), gain, true))
}

// round2 keeps two places.
func round2(v float64) float64 { return float64(int(v*100+0.5)) / 100 }
