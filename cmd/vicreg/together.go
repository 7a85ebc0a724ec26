package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os/exec"
	"slices"
	"strings"

	"vicreg/internal/advice"
	"vicreg/internal/recipe"
	"vicreg/internal/show"
)

// together are the values that the runs of a comparison choose together if they leave
// them open, by key and flag: comparing runs of different lengths or sizes would tell
// nothing.
var together = []struct{ key, flag string }{{"size", "size"}, {"encoder.stem", "stem"}, {"batch", "batch"}, {"epochs", "epochs"}, {"warmup", "warmup"}}

// openOf returns the flags of what a configuration leaves to be chosen together.
// What follows from the epochs alone is left to the run where the epochs are given, and
// so is what its encoder has not.
func openOf(c *recipe.Config) (flags []string) {
	for _, t := range together {
		if slices.Contains(c.Open(), t.key) && (t.flag != "stem" || anyEncoder(c, residual)) {
			flags = append(flags, t.flag)
		}
	}
	if slices.Equal(flags, []string{"warmup"}) {
		return nil
	}
	return flags
}

// choice is what the runs of a comparison have chosen.
type choice struct {
	jobs   []job
	plans  map[string]plannedRun // by what a run is called, of those that were timed
	values map[string]string     // by flag, of runs that have begun before
}

// choose completes the jobs by what they leave open. Runs that began before, as
// asked tells, keep what they have, and the others take it from them. For the rest
// each kind of run is planned and timed, in a process of its own.
func choose(ctx context.Context, running *child, out string, where *deviceFlag, jobs []job,
	asked map[string][]string) ([]job, error) {
	c := &choice{jobs: jobs, plans: map[string]plannedRun{}, values: map[string]string{}}
	for i := range jobs {
		switch before, ok := asked[jobs[i].name]; {
		case jobs[i].recall(before):
			for flag, value := range jobs[i].chosen {
				c.values[flag] = cmp.Or(c.values[flag], value)
			}
		case ok && len(jobs[i].open) > 0:
			return nil, jobs[i].otherThan(before, out)
		}
	}
	var kinds []job
	for _, j := range jobs {
		if len(j.open) > 0 && j.chosen == nil && !slices.ContainsFunc(kinds, func(k job) bool { return k.of == j.of }) {
			kinds = append(kinds, j)
		}
	}
	live := newCounter()
	defer live.clear()
	for i, j := range kinds {
		live.describe(fmt.Sprintf("timing %s (%d of %d)", show.Line(j.of), i+1, len(kinds)))
		p, err := j.planned(ctx, running, c.values, where.args())
		if err != nil {
			return nil, err
		}
		c.plans[j.of] = p
	}
	live.clear()
	c.settle(kinds)
	return c.jobs, nil
}

// recall takes what a run that began before has chosen, from the flags that it was
// made with, and reports whether it did.
func (j *job) recall(before []string) bool {
	if len(j.open) == 0 || len(before) != len(j.args)+len(j.open) || !slices.Equal(before[:len(j.args)], j.args) {
		return false
	}
	chosen := map[string]string{}
	for i, flag := range j.open {
		value, is := strings.CutPrefix(before[len(j.args)+i], "--"+flag+"=")
		if !is {
			return false
		}
		chosen[flag] = value
	}
	j.chosen = chosen
	return true
}

// planned has pretrain say what it would do, with some values set and further arguments.
func (j *job) planned(ctx context.Context, running *child, values map[string]string, more []string) (p plannedRun,
	err error) {
	given := *j
	given.chosen = map[string]string{}
	for _, flag := range j.open {
		if value, is := values[flag]; is && flag != "batch" { // which a method may restrict
			given.chosen[flag] = value
		}
	}
	out, err := running.output(ctx, append([]string{"pretrain", "--plan", "--json"}, slices.Concat(given.flags(), more)...))
	if ctx.Err() != nil {
		return p, ctx.Err()
	}
	if exit := (*exec.ExitError)(nil); errors.As(err, &exit) {
		err = errors.New(complaint(exit.Stderr))
		if exit.ExitCode() == exitUsage {
			err = usageError{err}
		}
	}
	if err == nil {
		err = json.Unmarshal(out, &p)
	}
	if err != nil {
		return p, fmt.Errorf("%s: %w", j.name, err)
	}
	return p, nil
}

// complaint is what a process of this command said last on standard error.
func complaint(stderr []byte) string {
	text := string(bytes.TrimSpace(stderr))
	if at := strings.LastIndex(text, "vicreg: "); at >= 0 {
		text = text[at+len("vicreg: "):]
	}
	return cmp.Or(text, "it ended without a word")
}

// settle makes one choice from those of all kinds of runs: the smallest size, for which
// all have memory, and the epochs that suit the slowest.
func (c *choice) settle(kinds []job) {
	slowest := ""
	for _, k := range kinds {
		p := c.plans[k.of]
		if slices.Contains(k.open, "epochs") && (slowest == "" || p.Epochs < c.plans[slowest].Epochs) {
			slowest = k.of
		}
	}
	size := 0
	for _, k := range kinds {
		if slices.Contains(k.open, "size") && (size == 0 || c.plans[k.of].Size < size) {
			size = c.plans[k.of].Size
		}
	}
	for i := range c.jobs {
		j := &c.jobs[i]
		if len(j.open) == 0 || j.chosen != nil {
			continue
		}
		p := c.plans[j.of]
		j.seconds = p.seconds()
		epochs := p.Epochs
		if slowest != "" && slices.Contains(j.open, "epochs") {
			epochs = c.plans[slowest].Epochs
			j.seconds *= float64(epochs) / float64(p.Epochs)
		}
		stem := p.Stem
		if slices.Contains(j.open, "size") && p.Size != size {
			p.Size, stem = size, recipe.UsualStem(size)
		}
		j.chosen = map[string]string{}
		for _, flag := range j.open {
			j.chosen[flag] = map[string]string{"size": fmt.Sprint(p.Size), "stem": stem, "batch": fmt.Sprint(p.Batch),
				"epochs": fmt.Sprint(epochs), "warmup": fmt.Sprint(recipe.UsualWarmup(epochs))}[flag]
		}
	}
	c.tell(slowest)
}

// tell says what was chosen and why, and how long all of it takes.
func (c *choice) tell(slowest string) {
	for _, t := range together[:len(together)-1] {
		for _, value := range c.different(t.flag) {
			of, why := "", ""
			if names := c.with(t.flag, value); len(names) < len(c.names()) {
				of = " for " + strings.Join(names, ", ")
			}
			switch {
			case c.values[t.flag] == value:
				why = "as the runs that are there have it"
			case t.flag == "epochs":
				why = fmt.Sprintf("the same for all; of %s, which takes longest, %s", slowest, c.reason(t.flag, value))
			default:
				why = c.reason(t.flag, value)
			}
			fmt.Fprintln(stdout, show.Line(fmt.Sprintf("chosen   %s %s%s: %s", t.flag, value, of, why)))
		}
	}
}

// names are what the runs are called.
func (c *choice) names() (names []string) {
	for _, j := range c.jobs {
		if !slices.Contains(names, j.of) {
			names = append(names, j.of)
		}
	}
	return names
}

// different are the values of a flag that were chosen.
func (c *choice) different(flag string) (values []string) {
	for _, j := range c.jobs {
		if v, is := j.chosen[flag]; is && !slices.Contains(values, v) {
			values = append(values, v)
		}
	}
	return values
}

// with are what the runs with a value are called.
func (c *choice) with(flag, value string) (names []string) {
	for _, j := range c.jobs {
		if j.chosen[flag] == value && !slices.Contains(names, j.of) {
			names = append(names, j.of)
		}
	}
	return names
}

// reason is why a plan has a value.
func (c *choice) reason(flag, value string) string {
	for _, name := range c.names() {
		for _, made := range c.plans[name].Chosen {
			if (made.Key == flag) && fmt.Sprint(made.Value) == value {
				return made.Reason
			}
		}
	}
	return "as the runs that are there have it"
}

// seconds of a plan, 0 if they are not known.
func (p *plannedRun) seconds() float64 {
	if p.Seconds == nil {
		return 0
	}
	return *p.Seconds
}

// left says for people how long the runs that have not ended will take: as timed, or as
// long as those took that have ended. It is empty if nothing is known or if it is less
// than least seconds.
func left(jobs []job, ended []float64, least float64) string {
	total, mean := 0.0, 0.0
	for _, s := range ended {
		mean += s / float64(len(ended))
	}
	for _, j := range jobs {
		s := cmp.Or(j.seconds, mean)
		if s == 0 {
			return ""
		}
		total += s
	}
	if total <= least {
		return ""
	}
	return "about " + advice.Span(total)
}
