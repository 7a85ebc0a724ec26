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
	goal    float64  // ratio to reach; 0: none
	memory  float64  // ratio of memory not to exceed; 0: none
}

var (
	oneWay  = []string{""}
	layouts = []string{"--layout nchw", "--layout channels_last"}
	folded  = []string{"--layout nchw --fold jit", "--layout channels_last --fold jit", "--layout channels_last --fold fuse"}
	bf16ed  = append(folded[:len(folded):len(folded)], "--layout channels_last --fold native")
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
	{name: "loss and gradients, n=256, d=8192", args: words("loss --n 256 --d 8192"), ways: oneWay, steps: 9, theirs: 2, goal: 100},
	{name: "loss and gradients, n=2048, d=8192", args: words("loss --n 2048 --d 8192"), ways: oneWay, steps: 3, theirs: 1, goal: 6},
	{name: "step, ResNet-18 (small stem), 32 px, batch 128, expander 2048³, float32", args: words(resnet18), ways: layouts, steps: 3, theirs: 2, goal: 1.8, memory: 0.6},
	{name: "the same step, ResNet-18, bf16", args: words(resnet18 + half), ways: layouts, steps: 3, theirs: 2, goal: 1.3},
	{name: "step, ResNet-50, 224 px, batch 16, expander 8192³, float32", args: words(resnet50), ways: layouts, steps: 2, theirs: 1, goal: 1.8, memory: 0.6},
	{name: "the same step, ResNet-50, bf16", args: words(resnet50 + half), ways: layouts, steps: 2, theirs: 1, goal: 1.4},
	{name: "step, ResNet-18 of width 16, 28 px, batch 256, expander 512³, float32", args: words(narrow18), ways: layouts, steps: 6, theirs: 4, goal: 2.5},
	{name: "inference, ResNet-18, 32 px, batch 128, float32", args: words(embed18), ways: folded, steps: 6, theirs: 4, goal: 2},
	{name: "inference, ResNet-50, 224 px, batch 16, float32", args: words(embed50), ways: folded, steps: 4, theirs: 3, goal: 2},
	{name: "inference, ResNet-18, 32 px, batch 128, bf16", args: words(embed18 + half), ways: bf16ed, steps: 6, theirs: 4},
	{name: "inference, ResNet-50, 224 px, batch 16, bf16", args: words(embed50 + half), ways: bf16ed, steps: 4, theirs: 3},
	{name: "two views, 224 px, of 64 JPEG files, one core", args: words(photos), threads: 1, ways: oneWay, steps: 3, goal: 2},
	{name: "two views, 224 px, of the same packed, one core", args: words(packed), peer: words(photos), threads: 1, ways: oneWay, steps: 6, theirs: 3, goal: 5},
	{name: "two views, 32 px, of 1,024 images in memory, one core", args: words(small), threads: 1, ways: oneWay, steps: 6, theirs: 2, goal: 4},
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
	r := &row{name: w.name, goal: w.goal, memoryGoal: w.memory}
	common := func(steps int) []string {
		return []string{"--threads", fmt.Sprint(w.threads), "--warmup", "1", "--steps", fmt.Sprint(steps)}
	}
	var them []*side
	if b.peer != "" {
		for _, way := range w.ways {
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
		t, err := timed(ctx, b.ours, slices.Concat([]string{"bench"}, w.args, common(w.steps), []string{"--json"}))
		if err != nil {
			return nil, err
		}
		r.us.add(t)
		b.progress("    vicreg %.4g s", t.Median)
		if round == 1 && len(them) > 1 {
			them = contenders(them)
		}
		for _, s := range them {
			t, err := timed(ctx, b.python, slices.Concat([]string{b.peer}, w.peer, common(w.theirs), words(s.way)))
			if err != nil {
				return nil, err
			}
			s.add(t)
			b.progress("    PyTorch %.4g s %s", t.Median, s.way)
		}
	}
	if len(them) > 0 {
		r.them = slices.MinFunc(them, faster)
	}
	return r, nil
}

// timed runs a side and reads what it prints.
func timed(ctx context.Context, program string, args []string) (timing, error) {
	var t timing
	err := output(ctx, &t, program, args)
	if err == nil && len(t.Times) == 0 {
		err = fmt.Errorf("%s %s: no times_s in its output", filepath.Base(program), strings.Join(args, " "))
	}
	return t, err
}

// output runs a program and decodes the JSON it prints into v. What it writes to
// its standard error is shown if it fails.
func output(ctx context.Context, v any, program string, args []string) error {
	cmd := exec.CommandContext(ctx, program, args...)
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

// torch is what peer.py says of itself.
type torch struct {
	Torch       string `json:"torch"`
	Torchvision string `json:"torchvision"`
	OneDNN      string `json:"onednn"`
}

// torchVersions asks peer.py, or says how to install what it needs.
func (b *bench) torchVersions(ctx context.Context) (t torch, err error) {
	if _, err = os.Stat(b.peer); err != nil {
		return t, err
	}
	if err = output(ctx, &t, b.python, []string{b.peer, "version"}); err != nil {
		return t, fmt.Errorf("%s has no PyTorch, so its columns are empty; on Debian: apt-get install python3-torch python3-torchvision", b.python)
	}
	return t, nil
}
