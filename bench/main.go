// Bench measures vicreg and PyTorch side by side: the same workloads, in
// alternation, on one machine, in one run.
//
//	go run ./bench                       every workload, table to standard output
//	go run ./bench -run resnet18         those whose name contains resnet18
//	go run ./bench -out docs/performance-table.md
//
// PyTorch's side is peer.py; without PyTorch its columns stay empty.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
)

// workload is one row: the arguments both sides understand.
type workload struct {
	name    string
	args    []string // PHOTOS, PACK and SMALL stand for the data that is made, see photos.go
	peer    []string // PyTorch's, if others
	threads int      // 0: as the flag says
	layouts []string // PyTorch's, of which the faster counts
	warmup  int      // steps before timing starts
	steps   int      // timed steps of each visit
	rounds  int      // visits of each side
}

var both = []string{"nchw", "channels_last"}

var workloads = []workload{
	{"loss n=256 d=8192", words("loss --n 256 --d 8192"), nil, 0, both[:1], 1, 2, 3},
	{"loss n=2048 d=8192", words("loss --n 2048 --d 8192"), nil, 0, both[:1], 1, 1, 3},
	{"step resnet18 32px batch 128 expander 2048³",
		words("step --encoder resnet18 --stem small --size 32 --batch 128 --expander 2048-2048-2048"), nil, 0, both, 1, 3, 3},
	{"step resnet50 224px batch 16 expander 8192³",
		words("step --encoder resnet50 --stem imagenet --size 224 --batch 16 --expander 8192-8192-8192"), nil, 0, both, 1, 2, 3},
	{"step resnet18 width 16 28px batch 256 expander 512³",
		words("step --encoder resnet18 --width 16 --stem small --size 28 --channels 1 --batch 256 --expander 512-512-512"), nil, 0, both, 1, 6, 3},
	{"embed resnet18 32px", words("embed --encoder resnet18 --stem small --size 32 --batch 128"), nil, 0, both, 1, 3, 3},
	{"embed resnet50 224px", words("embed --encoder resnet50 --stem imagenet --size 224 --batch 16"), nil, 0, both, 1, 2, 3},
	{"two views 224px of 64 JPEG files, one core", words("views --data PHOTOS --size 224 --workers 1"), nil, 1, both[:1], 1, 3, 3},
	{"two views 224px of 64 packed images, one core", words("views --data PACK --size 224 --workers 1"),
		words("views --data PHOTOS --size 224 --workers 1"), 1, both[:1], 1, 3, 3},
	{"two views 32px of 1024 images in memory, one core", words("views --data SMALL --size 32 --workers 1"), nil, 1, both[:1], 1, 3, 3},
}

func words(s string) []string { return strings.Fields(s) }

// timing is what either side prints, as far as it is read here.
type timing struct {
	Times []float64 `json:"times_s"`
	RSS   float64   `json:"peak_rss_mib"`
}

// side gathers the timings of one side over its rounds.
type side struct {
	times []float64
	rss   float64
	note  string
}

func (s *side) add(t timing) {
	s.times = append(s.times, t.Times...)
	s.rss = max(s.rss, t.RSS)
}

func (s *side) median() float64 {
	t := slices.Sorted(slices.Values(s.times))
	if len(t) == 0 {
		return 0
	}
	return (t[len(t)/2] + t[(len(t)-1)/2]) / 2
}

func main() {
	run := flag.String("run", "", "only workloads whose name contains this")
	out := flag.String("out", "", "write the table to this file too")
	python := flag.String("python", "/usr/bin/python3", "the Python that has PyTorch")
	threads := flag.Int("threads", runtime.NumCPU(), "threads of each side")
	rounds := flag.Int("rounds", 0, "visits of each side to a workload (0: as listed)")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := bench(ctx, *run, *out, *python, *threads, *rounds); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func bench(ctx context.Context, match, out, python string, threads, rounds int) error {
	dir, err := os.MkdirTemp("", "vicreg-bench")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	ours := filepath.Join(dir, "vicreg")
	if b, err := exec.CommandContext(ctx, "go", "build", "-o", ours, "vicreg/cmd/vicreg").CombinedOutput(); err != nil {
		return fmt.Errorf("cannot build vicreg: %w\n%s", err, b)
	}
	peer, err := peerScript()
	if err != nil {
		return err
	}
	torch := torchVersion(ctx, python, peer)

	made := data{dir: dir, vicreg: ours}
	table := new(strings.Builder)
	fmt.Fprintf(table, "%s, %d threads, %s; %s.\n\n", processor(), threads, runtime.Version(), torch)
	table.WriteString("| workload | vicreg s (min–max) | PyTorch s (min–max) | ratio | memory MiB | PyTorch MiB | ratio |\n")
	table.WriteString("|---|---|---|---|---|---|---|\n")
	fmt.Print(table)
	for _, w := range workloads {
		if !strings.Contains(w.name, match) {
			continue
		}
		if rounds > 0 {
			w.rounds = rounds
		}
		if w.threads == 0 {
			w.threads = threads
		}
		if w.args, err = made.fill(ctx, w.args); err == nil {
			w.peer, err = made.fill(ctx, w.peer)
		}
		if err != nil {
			return err
		}
		row, err := w.measure(ctx, ours, python, peer, strings.HasPrefix(torch, "PyTorch"))
		if err != nil {
			return err
		}
		fmt.Print(row)
		table.WriteString(row)
	}
	if out != "" {
		return os.WriteFile(out, []byte(table.String()), 0o644)
	}
	return nil
}

// measure visits both sides in alternation and returns the row of the table.
func (w workload) measure(ctx context.Context, ours, python, peer string, havePeer bool) (string, error) {
	common := []string{"--threads", fmt.Sprint(w.threads), "--steps", fmt.Sprint(w.steps), "--warmup", fmt.Sprint(w.warmup)}
	args := slices.Concat([]string{"bench"}, w.args, common, []string{"--json"})
	peerArgs := slices.Concat([]string{peer}, w.args, common)
	if len(w.peer) > 0 {
		peerArgs = slices.Concat([]string{peer}, w.peer, common)
	}
	var us side
	them := make([]side, len(w.layouts))
	for range w.rounds {
		t, err := timed(ctx, ours, args)
		if err != nil {
			return "", err
		}
		us.add(t)
		if !havePeer {
			continue
		}
		for i, layout := range w.layouts {
			t, err := timed(ctx, python, append(slices.Clone(peerArgs), "--layout", layout))
			if err != nil {
				return "", err
			}
			them[i].add(t)
			if len(w.layouts) > 1 {
				them[i].note = layout
			}
		}
	}
	if !havePeer {
		return fmt.Sprintf("| %s | %s | | | %.0f | | |\n", w.name, spread(us, ""), us.rss), nil
	}
	best := slices.MinFunc(them, func(a, b side) int {
		if a.median() < b.median() {
			return -1
		}
		return 1
	})
	return fmt.Sprintf("| %s | %s | %s | %.2f× | %.0f | %.0f | %.2f |\n", w.name, spread(us, ""), spread(best, best.note),
		best.median()/us.median(), us.rss, best.rss, us.rss/best.rss), nil
}

func spread(s side, note string) string {
	if note != "" {
		note = ", " + note
	}
	return fmt.Sprintf("%.4g (%.4g–%.4g%s)", s.median(), slices.Min(s.times), slices.Max(s.times), note)
}

func timed(ctx context.Context, program string, args []string) (timing, error) {
	var t timing
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Stderr = os.Stderr
	b, err := cmd.Output()
	if err == nil {
		err = json.Unmarshal(b, &t)
	}
	if err == nil && len(t.Times) == 0 {
		err = fmt.Errorf("no times_s in its output")
	}
	if err != nil {
		return t, fmt.Errorf("%s %s: %w", filepath.Base(program), strings.Join(args, " "), err)
	}
	return t, nil
}

// peerScript returns the path of peer.py, which lies beside this file.
func peerScript() (string, error) {
	b, err := exec.Command("go", "list", "-f", "{{.Dir}}", "vicreg/bench").Output()
	if err != nil {
		return "", fmt.Errorf("cannot find the bench folder (run this inside the repository): %w", err)
	}
	return filepath.Join(strings.TrimSpace(string(b)), "peer.py"), nil
}

func torchVersion(ctx context.Context, python, peer string) string {
	var v struct{ Torch, Torchvision string }
	b, err := exec.CommandContext(ctx, python, peer, "version").Output()
	if err == nil {
		err = json.Unmarshal(b, &v)
	}
	if err != nil {
		return "no PyTorch here: its columns are empty; on Debian, apt-get install python3-torch python3-torchvision"
	}
	return fmt.Sprintf("PyTorch %s, torchvision %s", v.Torch, v.Torchvision)
}

func processor() string {
	b, _ := os.ReadFile("/proc/cpuinfo")
	for line := range strings.Lines(string(b)) {
		if name, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(name) == "model name" {
			return strings.TrimSpace(value)
		}
	}
	return runtime.GOOS + "/" + runtime.GOARCH
}
