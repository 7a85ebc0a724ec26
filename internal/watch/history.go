package watch

import (
	"fmt"
	"math"
	"slices"
	"time"

	"vicreg/internal/runlog"
	"vicreg/internal/show"
)

// history is all that a run logged, in columns. It is read when somebody first looks at the
// run's curves, and on from there.
type history struct {
	follower *runlog.Follower
	used     time.Time // when somebody last looked

	steps, epochs columns
	spectra       []spectrum
	marks         []mark
	more          int // marks that are left out
}

// columns are values at ever larger steps.
type columns struct {
	step  []int32
	names []string
	value [][]float32 // by name; NaN where there is none
}

// spectrum is that of an epoch.
type spectrum struct {
	epoch int
	*runlog.Spectrum
}

// mark is something that happened after a step.
type mark struct {
	step int
	text string
}

const (
	mostSpectra = 256 // that are kept of a run; of more every second goes
	mostMarks   = 300 // of the last, likewise
	mostNames   = 64  // of the columns of a run
)

// add takes in a row. Rows that do not go on are left out: a run writes none.
func (c *columns) add(step int, names []string, values []float64) {
	n := len(c.step)
	if step < 0 || step > math.MaxInt32 || n > 0 && int32(step) <= c.step[n-1] {
		return
	}
	c.step = append(c.step, int32(step))
	for i, name := range names {
		at := i
		if at >= len(c.names) || c.names[at] != name {
			at = slices.Index(c.names, name)
		}
		if at < 0 {
			if len(c.names) == mostNames {
				continue
			}
			at = len(c.names)
			c.names = append(c.names, name)
			c.value = append(c.value, slices.Repeat([]float32{float32(math.NaN())}, n))
		}
		c.value[at] = append(c.value[at], float32(values[i]))
	}
	for i := range c.value {
		if len(c.value[i]) == n {
			c.value[i] = append(c.value[i], float32(math.NaN()))
		}
		c.value[i] = c.value[i][:n+1]
	}
}

// bytes is about how much memory a history takes.
func (h *history) bytes() int64 {
	n := int64(len(h.spectra))*800 + int64(len(h.marks))*300
	for _, c := range []*columns{&h.steps, &h.epochs} {
		n += int64(len(c.step)) * int64(4+4*len(c.names))
	}
	return n
}

func (h *history) forget() {
	f, used := h.follower, h.used
	*h = history{follower: f, used: used}
}

// add takes in a line of the log.
func (h *history) add(l runlog.Line) {
	var names []string
	var values []float64
	put := func(name string, v float64) { names, values = append(names, name), append(values, v) }
	terms := func(list runlog.Terms) {
		for _, t := range list {
			put("term "+t.Name, t.Value)
		}
	}
	switch {
	case l.Step != nil:
		s := l.Step
		put("loss", s.Loss)
		terms(s.Terms)
		put("learning rate", s.LR)
		put("gradient norm", s.GradNorm)
		put("images a second", s.Images)
		put("time waited", s.WaitShare)
		h.steps.add(s.Step, names, values)
	case l.Epoch != nil:
		e := l.Epoch
		put("loss", e.Loss)
		terms(e.Terms)
		if e.Embedded() {
			put("std", e.EmbeddingStd)
			put("correlation", e.Correlation)
			put("rank", e.Rank)
		}
		put("learning rate", e.LR)
		put("images a second", e.Images)
		put("time waited", e.WaitShare)
		if e.KNN != nil {
			put("kNN", *e.KNN)
		}
		if e.Classified != nil {
			put("top 1", e.Classified.Top1)
		}
		if e.Views != nil {
			put("views found", e.Views.R1)
		}
		h.epochs.add(e.Step, names, values)
		if e.Spectrum != nil && len(e.Spectrum.Ranks) == len(e.Spectrum.Values) {
			h.keep(spectrum{e.Epoch, e.Spectrum})
		}
		if e.Collapsed {
			h.mark(e.Step, "the embedding counts as collapsed")
		}
	case l.Warn != nil:
		h.mark(l.Warn.Step, l.Warn.Message)
	case l.Replan != nil:
		h.marks = slices.DeleteFunc(h.marks, func(m mark) bool {
			return slices.ContainsFunc(l.Replan.Withdrawn, func(text string) bool { return m.text == short(text) })
		})
		h.mark(l.Replan.Step, replanned(l.Replan))
	}
}

// replanned says what a change of plan was.
func replanned(p *runlog.Replan) string {
	return fmt.Sprintf("planned for %s, now for %d; the learning rate goes from %s to %s in %s epochs",
		show.Count(p.From, "epoch"), p.To, figure(p.LR), figure(p.NextLR), figure(p.Passage))
}

// mark adds what happened. A warning of a collapse says more than the epoch's figures before
// it.
func (h *history) mark(step int, text string) {
	if n := len(h.marks); n > 0 && h.marks[n-1].step == step && h.marks[n-1].text == "the embedding counts as collapsed" {
		h.marks = h.marks[:n-1]
	}
	if len(h.marks) == mostMarks {
		h.marks = slices.Delete(h.marks, 0, 1)
		h.more++
	}
	h.marks = append(h.marks, mark{step, short(text)})
}

// short is as much of a text as a page shows.
func short(text string) string {
	const most = 500
	if r := []rune(text); len(r) > most {
		text = string(r[:most]) + "…"
	}
	return text
}

// keep adds a spectrum. Of too many, every second goes.
func (h *history) keep(s spectrum) {
	h.spectra = append(h.spectra, s)
	if len(h.spectra) <= mostSpectra {
		return
	}
	left := h.spectra[:0]
	for i, s := range h.spectra {
		if i%2 == 0 {
			left = append(left, s)
		}
	}
	h.spectra = left
}
