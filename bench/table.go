package main

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"runtime"
	"slices"
	"strings"
	"time"
)

// row is what came out of a workload.
type row struct {
	name             string
	us               side
	them             *side     // nil: none
	ceilings         []float64 // 10⁹ operations a second, measured with it; none: not bound by arithmetic
	goal, memoryGoal float64
}

// table is all of a run.
type table struct {
	date            time.Time
	machine         string
	processor       processor
	threads, rounds int
	versions        torch
	noTorch         string // why PyTorch's columns are empty
	ceilings        []ceiling
	rows            []*row
	missing         []string            // why workloads were left out, in order,
	left            map[string][]string // and which
	gains           []string            // what is to be said of many threads
	recipe          string              // what is to be said of the whole run
}

// leave notes that a workload was left out.
func (t *table) leave(name, why string) {
	if t.left == nil {
		t.left = map[string][]string{}
	}
	if t.left[why] == nil {
		t.missing = append(t.missing, why)
	}
	t.left[why] = append(t.left[why], name)
}

// addBest adds the row of each side in its best precision, if there are rows to take it from.
func (t *table) addBest(p processor) {
	best := &row{name: bestOf.name, goal: bestOf.goals.of(p, t.threads)}
	for _, r := range t.rows {
		if !slices.Contains(bestOf.rows[:], r.name) {
			continue
		}
		_, precision, _ := strings.Cut(r.name, "batch 16, ")
		if us := r.us.in(precision); best.us.times == nil || faster(us, &best.us) < 0 {
			best.us = *us
		}
		if r.them != nil {
			if them := r.them.in(precision); best.them == nil || faster(them, best.them) < 0 {
				best.them = them
			}
		}
	}
	if best.us.times != nil {
		t.rows = append(t.rows, best)
	}
}

// slower says why bf16 is not computed as such.
func slower(p processor) string {
	if p.bf16 || p.amx {
		return "multiplies float32 faster"
	}
	return "has no AVX512_BF16"
}

const head = `| workload | vicreg, s | PyTorch, s | ratio | goal | of ceiling | vicreg, MiB | PyTorch, MiB | ratio |
|---|---|---|---|---|---|---|---|---|
`

// String returns the table as Markdown, with what it was measured on.
func (t *table) String() string {
	var b strings.Builder
	command := "go run ./bench"
	if tags != "" {
		command = "go run -tags " + tags + " ./bench"
	}
	fmt.Fprintf(&b, "Measured %s by `%s` on %s, %d threads each (one where it says so),\nrounds: %d; %s; ",
		t.date.Format(time.DateOnly), command, t.machine, t.threads, t.rounds, runtime.Version())
	if t.noTorch == "" {
		b.WriteString(t.versions.String())
	} else {
		b.WriteString(t.noTorch)
	}
	b.WriteString(".\nCeiling")
	for i, c := range t.ceilings {
		if i > 0 {
			b.WriteString(";")
		}
		if c.Usable {
			fmt.Fprintf(&b, " of %s %.0f Gflop/s", c.Precision, c.Gflops)
		} else {
			fmt.Fprintf(&b, " of %s: none, this processor %s", c.Precision, slower(t.processor))
		}
	}
	fmt.Fprintf(&b, ". The goals are those of %d threads, %s.\n\n", t.threads, t.processor)
	b.WriteString(head)
	for _, r := range t.rows {
		b.WriteString(r.String())
	}
	for _, why := range t.missing {
		fmt.Fprintf(&b, "\nLeft out, since %s: %s.\n", why, strings.Join(t.left[why], "; "))
	}
	for _, gain := range t.gains {
		fmt.Fprintf(&b, "\n%s\n", gain)
	}
	if t.recipe != "" {
		fmt.Fprintf(&b, "\n%s\n", t.recipe)
	}
	return b.String()
}

// String returns the row as Markdown. Operations are those of direct
// convolution, so that Winograd's algorithm may exceed the ceiling.
func (r *row) String() string {
	ceiling := ""
	if len(r.ceilings) > 0 && r.us.flops > 0 {
		c := side{times: r.ceilings}
		ceiling = fmt.Sprintf("%.0f%%", 100*r.us.flops/r.us.median()/c.median())
	}
	if r.them == nil {
		return fmt.Sprintf("| %s | %s | | | %s | %s | %.0f | | |\n", r.name, r.us.spread(), goal(r.goal, 0, true), ceiling, r.us.rss)
	}
	ratio, memory := r.them.median()/r.us.median(), r.us.rss/r.them.rss
	memories := fmt.Sprintf("%.2f", memory)
	if r.memoryGoal > 0 {
		memories += " (" + goal(r.memoryGoal, memory, false) + ")"
	}
	return fmt.Sprintf("| %s | %s | %s | %s× | %s | %s | %.0f | %.0f | %s |\n", r.name, r.us.spread(), r.them.spread(),
		figures(ratio), goal(r.goal, ratio, true), ceiling, r.us.rss, r.them.rss, memories)
}

// goal says what was to be reached, and whether got does; 0 is unknown.
func goal(want, got float64, least bool) string {
	if want == 0 {
		return ""
	}
	text := fmt.Sprintf("≥ %g×", want)
	met := got >= want
	if !least {
		text, met = fmt.Sprintf("≤ %g", want), got <= want
	}
	switch {
	case got == 0:
		return text
	case met:
		return text + " met"
	}
	return text + " **missed**"
}

// spread writes median, minimum and maximum, and the way.
func (s *side) spread() string {
	text := fmt.Sprintf("%s (%s–%s)", figures(s.median()), figures(slices.Min(s.times)), figures(slices.Max(s.times)))
	if way := strings.NewReplacer("--layout ", "", " --fold none", "", "--fold ", "").Replace(s.way); way != "" {
		text += " " + way
	}
	return text
}

// in is a side whose way names the precision.
func (s *side) in(precision string) *side {
	t := *s
	t.way = strings.TrimSpace(precision + " " + s.way)
	return &t
}

// figures writes three figures, and no exponent.
func figures(v float64) string {
	switch {
	case v >= 100:
		return fmt.Sprintf("%.0f", v)
	case v >= 10:
		return fmt.Sprintf("%.1f", v)
	case v >= 1:
		return fmt.Sprintf("%.2f", v)
	case v >= 0.1:
		return fmt.Sprintf("%.3f", v)
	}
	return fmt.Sprintf("%.4f", v)
}

// The table's place in a file.
const (
	mark    = "<!-- bench: this part is written by go run ./bench -->"
	endMark = "<!-- bench: end -->"
)

// putTable writes text between the marks of a file and leaves the rest as it
// is. A file that is not there is made; one without marks is not touched.
func putTable(path, text string) error {
	b, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		b, err = []byte(mark+"\n"+endMark+"\n"), nil
	}
	if err != nil {
		return fmt.Errorf("cannot read the file for the table: %w", err)
	}
	whole, err := between(string(b), text)
	if err != nil {
		return fmt.Errorf("%s: %w; the table is only on standard output", path, err)
	}
	return os.WriteFile(path, []byte(whole), 0o644)
}

// between returns file with text in the place of what is between its marks.
func between(file, text string) (string, error) {
	before, rest, ok := strings.Cut(file, mark)
	if !ok {
		return "", fmt.Errorf("it has no line %s to put the table after", mark)
	}
	_, after, ok := strings.Cut(rest, endMark)
	if !ok {
		return "", fmt.Errorf("it has no line %s after the table", endMark)
	}
	return before + mark + "\n\n" + text + "\n" + endMark + after, nil
}

// machine names the processor, how many there are, and the memory.
func machine() string {
	name := cmp.Or(field("/proc/cpuinfo", "model name"), runtime.GOOS+"/"+runtime.GOARCH)
	text := fmt.Sprintf("%d × %s", runtime.NumCPU(), name)
	var kib float64
	if _, err := fmt.Sscan(field("/proc/meminfo", "MemTotal"), &kib); err == nil {
		text += fmt.Sprintf(" with %.0f GiB", kib/(1<<20))
	}
	return text
}

// field returns the value of the first line "name: value" of a file, or "".
func field(path, name string) string {
	b, _ := os.ReadFile(path)
	for line := range strings.Lines(string(b)) {
		if key, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(key) == name {
			return strings.TrimSpace(value)
		}
	}
	return ""
}
