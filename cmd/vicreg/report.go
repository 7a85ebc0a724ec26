package main

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"text/tabwriter"
	"time"

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
		stdout.verbatim()
		return &jsonLines{out: stdout}
	case quiet:
		return &silent{out: newPrinter(os.Stderr)}
	}
	c := &console{out: stdout, live: stdout.canKeep(), now: time.Now, spoken: time.Now(),
		plan: train.Plan{Folder: folder}}
	if c.live {
		followWidth(stdout)
		c.Phase("reading the data")
	}
	return c
}

// jsonLines writes what metrics.jsonl holds, then the summary with the event
// "summary".
type jsonLines struct {
	train.Silent
	out io.Writer
}

func (j *jsonLines) Start(p train.Plan) {
	for _, e := range p.Replans {
		j.write(e)
	}
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

// silent speaks of nothing but warnings and notes.
type silent struct {
	train.Silent
	out io.Writer
}

func (s *silent) Warning(w runlog.Warning) { writeTold(s.out, w) }

// writeTold writes a warning, or a note, as a line.
func writeTold(out io.Writer, w runlog.Warning) {
	if w.Note {
		writeNotes(out, []string{w.Message})
	} else {
		writeWarning(out, w.Message)
	}
}

// writeWarning writes a warning as a line.
func writeWarning(out io.Writer, message string) {
	fmt.Fprintf(out, "%s %s\n", painted(out, yellow, "warning:"), show.Line(message))
}

// painted is a text in a colour, where out writes colours.
func painted(out io.Writer, colour rune, text string) string {
	if p, ok := out.(*printer); ok {
		return p.paint(colour, text)
	}
	return text
}

// How often steps are shown on the live line and as plain lines.
const (
	livePause  = 200 * time.Millisecond
	plainPause = 30 * time.Second
)

// console writes for people.
type console struct {
	out  *printer
	live bool // out is a terminal: keep one line up to date
	now  func() time.Time

	plan   train.Plan
	began  time.Time // when this process began to train
	rate   float64   // images a second, over the last steps
	step   int       // the last
	past   history   // of the epochs
	spoken time.Time // when the live line was brought up to date or a plain line written

	mu      sync.Mutex
	stopped bool // Ctrl-C: the step that goes on is the last
}

func (c *console) Start(p train.Plan) {
	c.plan, c.began, c.spoken, c.step = p, c.now(), c.now(), p.Done
	fmt.Fprintln(c.out, show.Text(p.About))
	if c.live {
		c.keep("first step")
	}
}

// share is how much of the run is done.
func (c *console) share() float64 {
	return float64(c.step) / float64(max(1, c.plan.Steps))
}

// keep shows the live line with the first of some texts that fits.
func (c *console) keep(texts ...string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.stopped {
		texts = []string{finishing}
	}
	share := c.share()
	c.out.keep(func(width int) string { return bar(share, fitting(width, texts...), width) })
}

// finishing is what is said to the first Ctrl-C.
const finishing = "finishing this step; again to leave at once"

// stopping says that the first Ctrl-C was heard, where people see it.
func (c *console) stopping() {
	c.mu.Lock()
	if c.stopped = true; !c.live {
		c.mu.Unlock()
		stopping()
		return
	}
	share := c.share()
	c.out.keep(func(width int) string { return bar(share, finishing, width) })
	c.mu.Unlock()
}

// heard says that the first Ctrl-C was heard, while a reporter tells of the run.
func heard(report train.Reporter) {
	if c, ok := report.(*console); ok {
		c.stopping()
		return
	}
	stopping()
}

// stopping says on standard error, if that is a terminal, that the first Ctrl-C was
// heard.
func stopping() {
	if isTerminal(os.Stderr) {
		complain(plain, "vicreg:", finishing)
	}
}

func (c *console) Step(s runlog.Step) {
	now := c.now()
	if c.rate == 0 {
		c.rate = s.Images
	}
	c.rate += (s.Images - c.rate) / 10 // calmer than single steps
	pause := plainPause
	if c.live {
		pause = livePause
	}
	c.mu.Lock()
	c.step = s.Step
	c.mu.Unlock()
	if now.Sub(c.spoken) < pause {
		return
	}
	c.spoken = now
	if !c.live {
		fmt.Fprintln(c.out, c.status(s, now, true, true))
		return
	}
	texts := []string{c.status(s, now, true, true), c.status(s, now, true, false), c.status(s, now, false, false),
		c.brief(s, now)}
	if past := c.past.String(); past != "" && c.out.drawsBlocks() {
		texts = append([]string{texts[0] + "  " + past, texts[1] + "  " + past, texts[3] + "  " + past}, texts...)
	}
	c.keep(texts...)
}

// brief is the shortest status.
func (c *console) brief(s runlog.Step, now time.Time) string {
	s.Terms = nil
	return c.status(s, now, false, false)
}

// status says how the run goes: as a plain line, or as the text after the bar of the
// live line. wait adds the time spent waiting for data; names gives the terms their full
// names instead of the beginnings of them.
func (c *console) status(s runlog.Step, now time.Time, wait, names bool) string {
	parts := []string{fmt.Sprintf("epoch %d/%d", s.Epoch, c.plan.Epochs)}
	if !c.live {
		parts = append(parts, fmt.Sprintf("step %d/%d", s.Step, c.plan.Steps))
	}
	parts = append(parts, fmt.Sprintf("%.0f images/s", c.rate))
	if done := s.Step - c.plan.Done; done > 0 {
		left := now.Sub(c.began) / time.Duration(done) * time.Duration(c.plan.Steps-s.Step)
		left += time.Duration(c.plan.After * float64(time.Second))
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

// clear ends the live line.
func (c *console) clear() { c.out.keep(nil) }

func (c *console) Epoch(e runlog.Epoch) {
	c.past.add(e)
	var b strings.Builder
	digits := len(fmt.Sprint(c.plan.Epochs))
	fmt.Fprintf(&b, "epoch %*d/%d  loss %.4g", digits, e.Epoch, c.plan.Epochs, e.Loss)
	for _, t := range e.Terms {
		fmt.Fprintf(&b, "  %s %.4g", t.Name, t.Value)
	}
	figures := fmt.Sprintf("std %.3f  corr %.3f  rank %.1f", e.EmbeddingStd, e.Correlation, e.Rank)
	if e.Collapsed {
		figures = c.out.paint(red, figures)
	}
	if e.Embedded() {
		fmt.Fprintf(&b, "  %s", figures)
	}
	if e.Classified != nil {
		fmt.Fprintf(&b, "  %s", top(*e.Classified))
	}
	if e.KNN != nil {
		fmt.Fprintf(&b, "  kNN %.2f%%", 100**e.KNN)
	}
	if e.Views != nil {
		fmt.Fprintf(&b, "  views %s", percent(&e.Views.R1))
	}
	fmt.Fprintf(&b, "  %.0f images/s", e.Images)
	fmt.Fprintln(c.out, b.String())
	c.spoken = c.now()
}

// Phase shows on the live line, or now and then as a plain one, what takes time
// between steps.
func (c *console) Phase(what string) {
	switch {
	case c.live:
		c.keep(show.Line(what))
	case c.now().Sub(c.spoken) >= plainPause:
		fmt.Fprintln(c.out, show.Line(what))
		c.spoken = c.now()
	}
}

func (c *console) Warning(w runlog.Warning) {
	writeTold(c.out, w)
	c.spoken = c.now()
}

// listed is how many bad images are named.
const listed = 20

// writeBad names the images, or the rows of pairs, that could not be used.
func writeBad(out io.Writer, paired bool, bad []string) {
	if len(bad) == 0 {
		return
	}
	fmt.Fprintf(out, "\nSkipped %s that could not be read:\n", show.Count(len(bad), badKind(paired)))
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

func (c *console) Done(s runlog.Summary) {
	c.clear()
	if c.began.IsZero() {
		fmt.Fprintln(c.out, "The run had ended before, so there was nothing to do.")
	}
	if s.BadImages > 0 { // named when they were found
		fmt.Fprintf(c.out, "\nSkipped %s that could not be read; %s lists them\n", show.Count(s.BadImages,
			badKind(c.plan.Kind == "pairs")), show.Line(filepath.Join(c.plan.Folder, runlog.SummaryFile)))
	}
	folder := show.Name(c.plan.Folder)
	kind := cmp.Or(c.plan.Kind, "images")
	fmt.Fprintf(c.out, "\n%s on %d %s in %s, %.0f %[3]s/s%[6]s\n", show.Count(s.Epochs, "epoch"), s.Images, kind,
		took(s.Seconds), s.ImagesPerSecond, show.Line(computedOn(s.Device)))
	writeScores(c.out, s)
	writeVerdict(c.out, s.Verdict, c.plan.Folder)
	writeBrief(c.out, s)
	next := [][2]string{
		{"vicreg embed " + folder + " --data DIR --out e.npy", "the encoder's features of any images"},
		{"vicreg eval " + folder + " --data DIR", "its scores on labelled images"},
		{"vicreg info " + folder, "what the run was"},
	}
	switch {
	case kind == "pairs" && !c.plan.Apart:
		next[0] = [2]string{"vicreg embed " + folder + " --out a.npy", "the encoder's features of the first side of the pairs"}
	case kind == "pairs":
		next[0] = [2]string{"vicreg embed " + folder + " --branch b --out b.npy", "the second encoder's features of its side of the pairs"}
	}
	if kind == "pairs" {
		next[1] = [2]string{"vicreg eval " + folder + " --retrieval", "how well the pairs held out find each other"}
	}
	fmt.Fprintf(c.out, "\nRun folder: %s\n", folder)
	writeNext(c.out, next)
}

// took is how long something took, to the second where that is a small part of it.
func took(seconds float64) time.Duration {
	to := time.Second
	if seconds < 10 {
		to = 100 * time.Millisecond
	}
	return time.Duration(seconds * float64(time.Second)).Round(to)
}

// writeNext lists commands to go on with and what each is for, in two columns where
// the terminal has room for them.
func writeNext(out *printer, next [][2]string) {
	first, second := 0, 0
	for _, n := range next {
		first, second = max(first, columns(n[0])), max(second, columns(n[1]))
	}
	const lead = "Next: "
	below := out.width != nil && len(lead)+first+5+second > out.width()
	for i, n := range next {
		before := lead
		if i > 0 {
			before = strings.Repeat(" ", len(lead))
		}
		if below {
			fmt.Fprintf(out, "%s%s\n%s  %s\n", before, n[0], strings.Repeat(" ", len(lead)), n[1])
			continue
		}
		fmt.Fprintf(out, "%s%s%s     %s\n", before, n[0], strings.Repeat(" ", first-columns(n[0])), n[1])
	}
}

// writeScores writes the scores of the trained encoder beside the untrained one's, or those
// of a classifier that was trained with it.
func writeScores(out io.Writer, s runlog.Summary) {
	if s.Classifier != nil {
		writeClassifier(out, s.Classifier)
		return
	}
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
	rows := []scoreRow{{"kNN", s.RandomInitKNN, s.KNN}, {"linear probe", s.RandomInitLinear, s.Linear}}
	if b := s.BranchB; b != nil {
		rows = append(rows, scoreRow{"branch b, kNN", b.RandomInitKNN, b.KNN}, scoreRow{"linear probe", b.RandomInitLinear, b.Linear})
	}
	writeScoreRows(out, rows)
}

// scoreRow is a score of an encoder and of the same one untrained.
type scoreRow struct {
	name               string
	untrained, trained *float64
}

// writeScoreRows writes scores, those that got better in green.
func writeScoreRows(out io.Writer, rows []scoreRow) {
	var table bytes.Buffer
	w := tabwriter.NewWriter(&table, 0, 0, 3, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "\tuntrained\ttrained\t")
	for _, row := range rows {
		fmt.Fprintf(w, "%s\t%s\t%s\t\n", row.name, percent(row.untrained), percent(row.trained))
	}
	w.Flush()
	head, _ := table.ReadString('\n')
	io.WriteString(out, head)
	for _, row := range rows {
		line, _ := table.ReadString('\n')
		before, last := cutLast(line)
		io.WriteString(out, before+judged(out, last, row.untrained, row.trained)+"\n")
	}
}

// writeSight writes how the trained encoder sees views, beside the untrained one.
func writeSight(out io.Writer, v *runlog.Verdict) {
	w := tabwriter.NewWriter(out, 0, 0, 3, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "\tuntrained\ttrained\t")
	fmt.Fprintf(w, "views that find each other first\t%s\t%s\t\n", percent(&v.Untrained.R1), percent(&v.Trained.R1))
	fmt.Fprintf(w, "effective rank of the features\t%.1f\t%.1f\t\n", v.Untrained.Rank, v.Trained.Rank)
	fmt.Fprintf(w, "standard deviation of the features\t%.3f\t%.3f\t\n", v.Untrained.Std, v.Trained.Std)
	w.Flush()
}

// writeVerdict writes the verdict on the run in a folder, if there is one.
func writeVerdict(out io.Writer, v *runlog.Verdict, folder string) {
	if v == nil {
		return
	}
	colour := yellow
	switch v.Is {
	case runlog.Learned:
		colour = green
	case runlog.Collapsed:
		colour = red
	}
	is, figures, _ := strings.Cut(v.Text, ":")
	if v.Spread != "" {
		figures += " " + v.Spread
	}
	fmt.Fprintf(out, "\n%s:%s %s\n", painted(out, colour, show.Line(is)), show.Line(figures), v.Advice(folder))
}

// cutLast cuts the last word off a line.
func cutLast(line string) (before, last string) {
	line = strings.TrimRight(line, " \n")
	at := strings.LastIndexByte(line, ' ') + 1
	return line[:at], line[at:]
}

// judged is a score as text, green if it is better than the untrained encoder's, red
// if it is worse.
func judged(out io.Writer, text string, untrained, trained *float64) string {
	switch {
	case untrained == nil || trained == nil || *untrained == *trained:
		return text
	case *trained < *untrained:
		return painted(out, red, text)
	}
	return painted(out, green, text)
}

func percent(share *float64) string {
	if share == nil {
		return "-"
	}
	return fmt.Sprintf("%.2f%%", 100**share)
}
