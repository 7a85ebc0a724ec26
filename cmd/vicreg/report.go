package main

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/schollz/progressbar/v3"
	"golang.org/x/term"

	"vicreg/internal/runlog"
	"vicreg/internal/show"
	"vicreg/internal/train"
)

// newReporter returns the reporter for standard output: a live line on a
// terminal, plain lines elsewhere, JSON lines or silence when asked for. folder is
// that of a run to resume, or empty.
func newReporter(asJSON, quiet bool, folder string) train.Reporter {
	switch {
	case asJSON:
		return &jsonLines{out: stdout}
	case quiet:
		return &silent{out: os.Stderr}
	}
	c := &console{out: stdout, now: time.Now, spoken: time.Now(), plan: train.Plan{Folder: folder}}
	if fd := int(os.Stdout.Fd()); term.IsTerminal(fd) {
		c.out, c.live, c.width = plainOutput{stdout}, true, 80
		if width, _, err := term.GetSize(fd); err == nil {
			c.width = width
		}
	}
	return c
}

// jsonLines writes what metrics.jsonl holds, then the summary with the event
// "summary".
type jsonLines struct {
	train.Silent
	out io.Writer
}

func (j *jsonLines) Step(s runlog.Step)       { j.write(s) }
func (j *jsonLines) Epoch(e runlog.Epoch)     { j.write(e) }
func (j *jsonLines) Warning(w runlog.Warning) { j.write(w) }

func (j *jsonLines) Done(s runlog.Summary) {
	if raw, err := json.Marshal(s); err == nil {
		j.line(append([]byte(`{"event":"summary",`), raw[1:]...))
	}
}

func (j *jsonLines) write(event any) {
	raw, err := json.Marshal(event)
	if err != nil { // a figure that is not finite, which JSON cannot hold
		j.write(runlog.Warning{Event: "warning", Message: fmt.Sprintf("an event is left out: %v", err)})
		return
	}
	j.line(raw)
}

func (j *jsonLines) line(raw []byte) { fmt.Fprintf(j.out, "%s\n", show.JSON(raw)) }

// silent speaks of nothing but warnings.
type silent struct {
	train.Silent
	out io.Writer
}

func (s *silent) Warning(w runlog.Warning) { fmt.Fprintf(s.out, "warning: %s\n", show.Line(w.Message)) }

// How often steps are shown on the live line and as plain lines.
const (
	livePause  = 200 * time.Millisecond
	plainPause = 30 * time.Second
)

// console writes for people.
type console struct {
	out   io.Writer
	live  bool // out is a terminal: keep one line up to date
	width int  // of the terminal, in columns
	now   func() time.Time

	plan   train.Plan
	bar    *progressbar.ProgressBar
	began  time.Time // when this process began to train
	rate   float64   // images a second, over the last steps
	step   int       // the last
	spoken time.Time // when the live line was brought up to date or a plain line written
}

func (c *console) Start(p train.Plan) {
	c.plan, c.began, c.spoken, c.step = p, c.now(), c.now(), p.Done
	c.clear()
	fmt.Fprintln(c.out, show.Text(p.About))
	if c.live {
		c.bar = progressbar.NewOptions(c.length(p.Steps)+1, progressbar.OptionSetWriter(c.out), progressbar.OptionSetWidth(24),
			progressbar.OptionSetPredictTime(false), progressbar.OptionSetElapsedTime(false),
			progressbar.OptionShowDescriptionAtLineEnd(), progressbar.OptionUseANSICodes(true),
			progressbar.OptionSetTheme(progressbar.Theme{Saucer: "█", SaucerPadding: "░"}))
	}
}

// length returns the bar's length after some steps. The whole bar is a little
// longer than the whole run, for a full bar no longer changes its text, and
// after the last step there is still the scoring to show.
func (*console) length(steps int) int { return 1000*steps + 1 }

func (c *console) Step(s runlog.Step) {
	now := c.now()
	if c.rate == 0 {
		c.rate = s.Images
	}
	c.rate += (s.Images - c.rate) / 10 // calmer than single steps
	pause := plainPause
	if c.bar != nil {
		pause = livePause
	}
	c.step = s.Step
	if now.Sub(c.spoken) < pause {
		return
	}
	c.spoken = now
	if c.bar == nil {
		fmt.Fprintln(c.out, c.status(s, now))
		return
	}
	c.bar.Set(c.length(s.Step))
	c.bar.Describe(c.status(s, now))
}

// status says how the run goes: the live line after its bar, as long as the
// terminal is wide, or a plain line.
func (c *console) status(s runlog.Step, now time.Time) string {
	if c.bar == nil {
		return c.parts(s, now, true, true)
	}
	const percent, shortest = 9, 7 // columns of "100% " and blanks, and of a bar
	var line string
	for _, whole := range [][2]bool{{true, true}, {true, false}, {false, false}} {
		if line = c.parts(s, now, whole[0], whole[1]); len(line) <= c.width-percent-shortest {
			return line
		}
	}
	return line[:max(0, min(len(line), c.width-percent))]
}

// parts makes the line, with or without the time waited for data, the terms under
// their names or the beginnings of them.
func (c *console) parts(s runlog.Step, now time.Time, wait, names bool) string {
	parts := []string{fmt.Sprintf("epoch %d/%d", s.Epoch, c.plan.Epochs)}
	if c.bar == nil {
		parts = append(parts, fmt.Sprintf("step %d/%d", s.Step, c.plan.Steps))
	}
	parts = append(parts, fmt.Sprintf("%.0f images/s", c.rate))
	if done := s.Step - c.plan.Done; done > 0 {
		left := now.Sub(c.began) / time.Duration(done) * time.Duration(c.plan.Steps-s.Step)
		parts = append(parts, fmt.Sprintf("%s left", left.Round(time.Second)))
	}
	if wait && s.WaitShare >= 0.05 {
		parts = append(parts, fmt.Sprintf("%.0f%% waiting for data", 100*s.WaitShare))
	}
	for _, t := range s.Terms {
		name := t.Name
		if !names {
			name = name[:min(3, len(name))]
		}
		parts = append(parts, fmt.Sprintf("%s %.3g", name, t.Value))
	}
	return strings.Join(parts, "  ")
}

// clear removes the live line.
func (c *console) clear() {
	if c.live {
		fmt.Fprint(c.out, "\r\033[K")
	}
}

// line writes a line of its own above the live one.
func (c *console) line(format string, args ...any) {
	c.clear()
	fmt.Fprintf(c.out, format+"\n", args...)
	c.spoken = c.now()
}

func (c *console) Epoch(e runlog.Epoch) {
	var b strings.Builder
	digits := len(fmt.Sprint(c.plan.Epochs))
	fmt.Fprintf(&b, "epoch %*d/%d  loss %.4g", digits, e.Epoch, c.plan.Epochs, e.Loss)
	for _, t := range e.Terms {
		fmt.Fprintf(&b, "  %s %.4g", t.Name, t.Value)
	}
	fmt.Fprintf(&b, "  std %.3f  corr %.3f  rank %.1f", e.EmbeddingStd, e.Correlation, e.Rank)
	if e.KNN != nil {
		fmt.Fprintf(&b, "  kNN %.2f%%", 100**e.KNN)
	}
	fmt.Fprintf(&b, "  %.0f images/s", e.Images)
	c.line("%s", b.String())
}

// Phase shows on the live line, or now and then as a plain one, what takes time
// between steps.
func (c *console) Phase(what string) {
	switch {
	case c.bar != nil:
		c.bar.Set(c.length(c.step))
		c.bar.Describe(show.Line(what))
	case c.live:
		fmt.Fprint(c.out, "\r\033[K", show.Line(what))
	case c.now().Sub(c.spoken) >= plainPause:
		c.line("%s", show.Line(what))
	}
}

func (c *console) Warning(w runlog.Warning) { c.line("warning: %s", show.Line(w.Message)) }

// listed is how many bad images are named.
const listed = 20

// writeBad names the images, or the rows of pairs, that could not be used.
func writeBad(out io.Writer, paired bool, bad []string) {
	if len(bad) == 0 {
		return
	}
	fmt.Fprintf(out, "\nSkipped %s that could not be read:\n", counted(len(bad), badKind(paired)))
	for _, b := range bad[:min(listed, len(bad))] {
		fmt.Fprintf(out, "  %s\n", show.Line(b))
	}
	if len(bad) > listed {
		fmt.Fprintf(out, "  and %d more\n", len(bad)-listed)
	}
}

// badKind is what a bad one is called.
func badKind(paired bool) string {
	if paired {
		return "row"
	}
	return "image"
}

// writeNotes says what of the data was left out or guessed.
func writeNotes(out io.Writer, notes []string) {
	for _, n := range notes {
		fmt.Fprintf(out, "note: %s\n", show.Line(n))
	}
}

// counted says how many of what there are.
func counted(n int, what string) string {
	if n != 1 {
		what += "s"
	}
	return fmt.Sprintf("%d %s", n, what)
}

func (c *console) Done(s runlog.Summary) {
	c.clear()
	if s.BadImages > 0 { // named when they were found
		fmt.Fprintf(c.out, "\nSkipped %s that could not be read; %s lists them\n", counted(s.BadImages, badKind(c.plan.Kind == "pairs")), show.Line(filepath.Join(c.plan.Folder, runlog.SummaryFile)))
	}
	folder := show.Name(c.plan.Folder)
	kind := cmp.Or(c.plan.Kind, "images")
	fmt.Fprintf(c.out, "\n%s on %d %s in %s, %.0f %[3]s/s\n", counted(s.Epochs, "epoch"), s.Images, kind,
		time.Duration(s.Seconds*float64(time.Second)).Round(time.Second), s.ImagesPerSecond)
	writeScores(c.out, s)
	if kind == "pairs" {
		fmt.Fprintf(c.out, `
Run folder: %[1]s
Next: vicreg embed %[1]s --branch b --out b.npy     the second encoder's features of its side of the pairs
      vicreg eval %[1]s --retrieval                 how well the pairs held out find each other
      vicreg info %[1]s                             what the run was
`, folder)
		return
	}
	fmt.Fprintf(c.out, `
Run folder: %[1]s
Next: vicreg embed %[1]s --data DIR --out e.npy     the encoder's features of any images
      vicreg eval %[1]s --data DIR                  its scores on labelled images
      vicreg info %[1]s                             what the run was
`, folder)
}

// writeScores writes the scores of the trained encoder beside the untrained one's.
func writeScores(out io.Writer, s runlog.Summary) {
	if s.Retrieval != nil {
		defer writeRetrieval(out, s.Retrieval)
		if s.KNN == nil && s.Linear == nil {
			return
		}
	}
	if s.KNN == nil && s.Linear == nil {
		fmt.Fprintln(out, "No scores: vicreg eval takes them on labelled images.")
		return
	}
	w := tabwriter.NewWriter(out, 0, 0, 3, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "\tuntrained\ttrained\t")
	type score struct {
		name               string
		untrained, trained *float64
	}
	rows := []score{{"kNN", s.RandomInitKNN, s.KNN}, {"linear probe", s.RandomInitLinear, s.Linear}}
	if b := s.BranchB; b != nil {
		rows = append(rows, score{"branch b, kNN", b.RandomInitKNN, b.KNN}, score{"linear probe", b.RandomInitLinear, b.Linear})
	}
	for _, row := range rows {
		fmt.Fprintf(w, "%s\t%s\t%s\t\n", row.name, percent(row.untrained), percent(row.trained))
	}
	w.Flush()
}

func percent(share *float64) string {
	if share == nil {
		return "-"
	}
	return fmt.Sprintf("%.2f%%", 100**share)
}
