package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"vicreg/internal/turbo"
)

// workload is one row: the arguments both sides understand.
type workload struct {
	name    string
	args    []string // PHOTOS, PACK and SMALL stand for the data that is made, see photos.go
	peer    []string // PyTorch's, if others
	threads int      // 0: as the flag says
	ways    []string // PyTorch's, of which the fastest counts: flags of peer.py
	steps   int      // timed steps of each visit
	theirs  int      // PyTorch's, which are slower, if others
	goals   goals    // ratios to reach
	memory  float64  // ratio of memory not to exceed; 0: none
	env     []string // of ours
}

// Ways of PyTorch's. One that a version lacks is left out; those that compile are tried with
// the flag -compile.
var (
	oneWay  = []string{""}
	layouts = []string{"--layout nchw", "--layout channels_last"}
	folded  = []string{"--layout nchw --fold jit", "--layout channels_last --fold jit", "--layout channels_last --fold fuse",
		"--layout channels_last --fold none"}
	bf16ed   = append(folded[:len(folded):len(folded)], "--layout channels_last --fold native")
	compiled = []string{"--layout channels_last --fold compile"}
)

const (
	resnet18 = "step --encoder resnet18 --stem small --size 32 --batch 128 --expander 2048-2048-2048"
	resnet50 = "step --encoder resnet50 --stem imagenet --size 224 --batch 16 --expander 8192-8192-8192"
	narrow18 = "step --encoder resnet18 --width 16 --stem small --size 28 --channels 1 --batch 256 --expander 512-512-512"
	embed18  = "embed --encoder resnet18 --stem small --size 32 --batch 128"
	embed50  = "embed --encoder resnet50 --stem imagenet --size 224 --batch 16"
	photos   = "views --data PHOTOS --size 224 --workers 1"
	packed   = "views --data PACK --size 224 --workers 1"
	small    = "views --data SMALL --size 32 --workers 1"
	half     = " --precision bf16"
)

var workloads = []workload{
	{name: "loss and gradients, n=256, d=8192", args: words("loss --n 256 --d 8192"), ways: oneWay, steps: 9, theirs: 2,
		goals: goals{few: 100}},
	{name: "loss and gradients, n=2048, d=8192", args: words("loss --n 2048 --d 8192"), ways: oneWay, steps: 3, theirs: 1,
		goals: goals{few: 6}},
	{name: "step, ResNet-18 (small stem), 32 px, batch 128, expander 2048³, float32", args: words(resnet18), ways: layouts,
		steps: 3, theirs: 2, goals: goals{few: 2.5, intel: 2, many: 2}, memory: memoryGoal},
	{name: "the same step, ResNet-18, bf16", args: words(resnet18 + half), ways: layouts, steps: 3, theirs: 2,
		goals: goals{few: 1.7, amx: 2.5, many: 1.5}, memory: memoryGoal},
	{name: "step, ResNet-50, 224 px, batch 16, expander 8192³, float32", args: words(resnet50), ways: layouts, steps: 2,
		theirs: 1, goals: goals{few: 2.2, many: 2}, memory: memoryGoal},
	{name: "the same step, ResNet-50, bf16", args: words(resnet50 + half), ways: layouts, steps: 2, theirs: 1,
		goals: goals{few: 2, amx: 2.5, many: 1.5}, memory: memoryGoal},
	{name: "step, ResNet-18 of width 16, 28 px, batch 256, expander 512³, float32", args: words(narrow18), ways: layouts,
		steps: 6, theirs: 4, goals: goals{few: 2.5}},
	{name: "inference, ResNet-18, 32 px, batch 128, float32", args: words(embed18), ways: folded, steps: 6, theirs: 4,
		goals: goals{few: 2}},
	{name: "inference, ResNet-50, 224 px, batch 16, float32", args: words(embed50), ways: folded, steps: 4, theirs: 3},
	{name: "inference, ResNet-18, 32 px, batch 128, bf16", args: words(embed18 + half), ways: bf16ed, steps: 6, theirs: 4},
	{name: "inference, ResNet-50, 224 px, batch 16, bf16", args: words(embed50 + half), ways: bf16ed, steps: 4, theirs: 3},
	{name: "two views, 224 px, of 64 JPEG files, one core", args: words(photos), threads: 1, ways: oneWay, steps: 3,
		goals: goals{few: 2, many: 2}, env: []string{turbo.Variable + "=go"}},
	{name: "two views, 224 px, of 64 JPEG files by " + turbo.Name + ", one core", args: words(photos), threads: 1,
		ways: oneWay, steps: 6, theirs: 3, goals: goals{few: 6, many: 6}},
	{name: "two views, 224 px, of the same packed, one core", args: words(packed), peer: words(photos), threads: 1,
		ways: oneWay, steps: 6, theirs: 3, goals: goals{few: 5, many: 5}},
	{name: "two views, 32 px, of 1,024 images in memory, one core", args: words(small), threads: 1, ways: oneWay, steps: 6,
		theirs: 2, goals: goals{few: 4, many: 4}},
}

// bestOf is the row that is made of those of an inference in float32 and in bf16: each side in
// what is faster for it.
var bestOf = struct {
	rows  [2]string
	name  string
	goals goals
}{[2]string{"inference, ResNet-50, 224 px, batch 16, float32", "inference, ResNet-50, 224 px, batch 16, bf16"},
	"inference, ResNet-50, each in its best precision", goals{few: 1.5, many: 1.5}}

// lacks says why a workload cannot run here; it is empty if it can.
func (w *workload) lacks(p processor) string {
	switch {
	case w.precision() == "bf16" && !p.bf16 && !p.amx:
		return "this processor has no AVX512_BF16"
	case !strings.Contains(w.name, turbo.Name):
		return ""
	case tags == "":
		return "it needs go run -tags native ./bench"
	}
	if _, err := turbo.Found(); err != nil {
		return err.Error()
	}
	return ""
}

func words(s string) []string { return strings.Fields(s) }

// precision returns the kind of numbers, as the flag of both sides names it.
func (w *workload) precision() string {
	if i := slices.Index(w.args, "--precision"); i >= 0 {
		return w.args[i+1]
	}
	return "float32"
}

// timing is what either side prints, as far as it is read here.
type timing struct {
	Times  []float64 `json:"times_s"`
	Median float64   `json:"median_s"`
	Gflops float64   `json:"gflops"` // at the median
	RSS    float64   `json:"peak_rss_mib"`
}

// side gathers the timings of one side over its rounds.
type side struct {
	way   string
	times []float64
	rss   float64
	flops float64 // of a step, 10⁹
}

func (s *side) add(t timing) {
	s.times = append(s.times, t.Times...)
	s.rss = max(s.rss, t.RSS)
	s.flops = t.Gflops * t.Median
}

func (s *side) median() float64 {
	t := slices.Sorted(slices.Values(s.times))
	if len(t) == 0 {
		return 0
	}
	return (t[len(t)/2] + t[(len(t)-1)/2]) / 2
}

// faster compares by medians.
func faster(a, b *side) int {
	switch d := a.median() - b.median(); {
	case d < 0:
		return -1
	case d > 0:
		return 1
	}
	return 0
}

// contenders returns the ways that are worth another visit: those within a
// tenth of the fastest.
func contenders(sides []*side) []*side {
	best := slices.MinFunc(sides, faster).median()
	return slices.DeleteFunc(slices.Clone(sides), func(s *side) bool { return s.median() > 1.1*best })
}

// measure visits both sides in alternation.
func (b *bench) measure(ctx context.Context, w workload) (*row, error) {
	if w.threads == 0 {
		w.threads = b.threads
	}
	if w.theirs == 0 {
		w.theirs = w.steps
	}
	if len(w.peer) == 0 {
		w.peer = w.args
	}
	var err error
	if w.args, err = b.made.fill(ctx, w.args); err == nil {
		w.peer, err = b.made.fill(ctx, w.peer)
	}
	if err != nil {
		return nil, err
	}
	r := &row{name: w.name, goal: w.goals.of(b.processor, b.threads), memoryGoal: w.memory}
	common := func(steps int) []string {
		return []string{"--threads", fmt.Sprint(w.threads), "--warmup", "1", "--steps", fmt.Sprint(steps)}
	}
	var them []*side
	if b.peer != "" {
		ways := w.ways
		if b.compile && len(ways) > 1 {
			ways = append(ways[:len(ways):len(ways)], compiled...)
		}
		for _, way := range ways {
			them = append(them, &side{way: way})
		}
	}
	for round := range b.rounds {
		b.progress("%s: round %d of %d", w.name, round+1, b.rounds)
		if w.args[0] != "views" {
			c, err := b.ceiling(ctx, w.precision(), w.threads)
			if err != nil {
				return nil, err
			}
			r.ceilings = append(r.ceilings, c.Gflops)
		}
		t, err := timed(ctx, b.ours, slices.Concat([]string{"bench"}, w.args, common(w.steps), []string{"--json"}), w.env...)
		if err != nil {
			return nil, err
		}
		r.us.add(t)
		b.progress("    vicreg %.4g s", t.Median)
		if round == 1 && len(them) > 1 {
			them = contenders(them)
		}
		var without []*side // what this PyTorch has no way to do
		for _, s := range them {
			t, err := b.theirs(ctx, slices.Concat(w.peer, common(w.theirs), words(s.way)))
			if err != nil && ctx.Err() == nil && len(without) < len(them)-1 {
				why := strings.Split(strings.TrimSpace(err.Error()), "\n")
				b.progress("    PyTorch not %s: %s", s.way, why[len(why)-1])
				without = append(without, s)
				continue
			}
			if err != nil {
				return nil, err
			}
			s.add(t)
			b.progress("    PyTorch %.4g s %s", t.Median, s.way)
		}
		them = slices.DeleteFunc(them, func(s *side) bool { return slices.Contains(without, s) })
	}
	if len(them) > 0 {
		r.them = slices.MinFunc(them, faster)
	}
	return r, nil
}

// timed runs a side, with more in its environment, and reads what it prints.
func timed(ctx context.Context, program string, args []string, env ...string) (timing, error) {
	var t timing
	err := output(ctx, &t, program, args, env...)
	if err == nil && len(t.Times) == 0 {
		err = fmt.Errorf("%s %s: no times_s in its output", filepath.Base(program), strings.Join(args, " "))
	}
	return t, err
}

// output runs a program and decodes the JSON it prints into v. What it writes to
// its standard error is shown if it fails.
func output(ctx context.Context, v any, program string, args []string, env ...string) error {
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Env = append(os.Environ(), env...)
	var errs strings.Builder
	cmd.Stderr = &errs
	out, err := cmd.Output()
	if err == nil {
		err = json.Unmarshal(out, v)
	}
	if err != nil {
		return fmt.Errorf("%s %s: %w\n%s", filepath.Base(program), strings.Join(args, " "), err, strings.TrimSpace(errs.String()))
	}
	return nil
}

// ceiling is what vicreg bench peak prints.
type ceiling struct {
	Precision string  `json:"precision"`
	Usable    bool    `json:"usable"`
	Variant   string  `json:"variant"`
	Gflops    float64 `json:"gflops"`
}

// ceiling measures that of some threads.
func (b *bench) ceiling(ctx context.Context, precision string, threads int) (c ceiling, err error) {
	err = output(ctx, &c, b.ours, []string{"bench", "peak", "--precision", precision, "--threads", fmt.Sprint(threads), "--json"})
	return c, err
}
