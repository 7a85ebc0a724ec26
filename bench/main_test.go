package main

import (
	"context"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"testing"
	"time"
)

// fake writes a program that prints a text, or fails.
func fake(t *testing.T, script string) string {
	t.Helper()
	if runtime.GOOS == "windows" {
		t.Skip("needs a shell")
	}
	path := filepath.Join(t.TempDir(), "fake")
	if err := os.WriteFile(path, []byte("#!/bin/sh\n"+script), 0o755); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestFlags(t *testing.T) {
	o, err := parseFlags(nil)
	if err != nil || o.out != defaultOut || o.rounds != 3 || !o.match.MatchString(workloads[0].name) {
		t.Errorf("%+v, %v", o, err)
	}
	if o, err = parseFlags([]string{"-run", "bf16$"}); err != nil || o.out != "-" {
		t.Errorf("a part of the workloads goes to %q, %v", o.out, err)
	}
	for want, args := range map[string][]string{
		"-rounds is 0":           {"-rounds", "0"},
		"-threads is -1":         {"-threads", "-1"},
		"-seeds is 0":            {"-seeds", "0"},
		"-run: error parsing":    {"-run", "("},
		`unknown argument "all"`: {"all"},
	} {
		if _, err := parseFlags(args); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v: %v, want %s", args, err, want)
		}
	}
}

// Every row of the comparison is there once, with what it must reach.
func TestWorkloads(t *testing.T) {
	for want, goal := range map[string]float64{
		"loss.*n=256,": 100, "loss.*n=2048,": 6, "^step.*ResNet-18 .small.*float32": 1.8, "step.*ResNet-18, bf16": 1.3,
		"^step.*ResNet-50.*float32": 1.8, "step.*ResNet-50, bf16": 1.4, "width 16": 2.5,
		"inference, ResNet-18.*float32": 2, "inference, ResNet-50.*float32": 2,
		"JPEG": 2, "packed": 5, "32 px, of 1,024": 4,
	} {
		found := 0
		for _, w := range workloads {
			if regexp.MustCompile(want).MatchString(w.name) {
				found++
				if w.goal != goal {
					t.Errorf("%s has the goal %g, want %g", w.name, w.goal, goal)
				}
				if strings.Contains(w.name, "bf16") != (w.precision() == "bf16") {
					t.Errorf("%s runs in %s", w.name, w.precision())
				}
			}
		}
		if found != 1 {
			t.Errorf("%d workloads match %s", found, want)
		}
	}
}

func TestOutput(t *testing.T) {
	ctx := context.Background()
	got, err := timed(ctx, fake(t, `echo '{"times_s": [2, 1, 4], "median_s": 2, "gflops": 50, "peak_rss_mib": 7.5}'`), nil)
	if err != nil || len(got.Times) != 3 || got.Median != 2 || got.Gflops != 50 || got.RSS != 7.5 {
		t.Errorf("%+v, %v", got, err)
	}
	for want, script := range map[string]string{
		"no times_s":        `echo '{}'`,
		"invalid character": `echo slow`,
		"no such encoder":   `echo no such encoder >&2; exit 2`,
	} {
		if _, err := timed(ctx, fake(t, script), []string{"step"}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %s", script, err, want)
		}
	}
}

// Both sides are visited in every round, slow ways of PyTorch's in the first
// alone, and the fastest counts.
func TestMeasure(t *testing.T) {
	peer := filepath.Join(t.TempDir(), "peer.py")
	log := filepath.Join(t.TempDir(), "log")
	b := &bench{options: options{threads: 2, rounds: 3}, peer: peer, start: time.Now()}
	b.ours = fake(t, `case "$*" in
"bench peak --precision bf16 --threads 2 --json") echo '{"precision": "bf16", "usable": true, "gflops": 400}' ;;
"bench step --precision bf16 --threads 2 --warmup 1 --steps 3 --json") echo '{"times_s": [1, 2, 3], "median_s": 2, "gflops": 100, "peak_rss_mib": 50}' ;;
*) exit 1 ;;
esac`)
	b.python = fake(t, `echo "$*" >> `+log+`
case "$*" in
"`+peer+` step --precision bf16 --threads 2 --warmup 1 --steps 1 --layout nchw") echo '{"times_s": [9], "median_s": 9, "peak_rss_mib": 200}' ;;
"`+peer+` step --precision bf16 --threads 2 --warmup 1 --steps 1 --layout channels_last") echo '{"times_s": [6], "median_s": 6, "peak_rss_mib": 100}' ;;
*) exit 1 ;;
esac`)
	r, err := b.measure(context.Background(),
		workload{name: "w", args: words("step --precision bf16"), ways: layouts, steps: 3, theirs: 1, goal: 4, memory: 0.6})
	if err != nil {
		t.Fatal(err)
	}
	want := "| w | 2.00 (1.00–3.00) | 6.00 (6.00–6.00) channels_last | 3.00× | ≥ 4× **missed** | 25% | 50 | 100 | 0.50 (≤ 0.6 met) |\n"
	if got := r.String(); got != want {
		t.Errorf("got  %swant %s", got, want)
	}
	raw, err := os.ReadFile(log)
	if err != nil {
		t.Fatal(err)
	}
	if n, slow := strings.Count(string(raw), "\n"), strings.Count(string(raw), "nchw"); n != 4 || slow != 1 {
		t.Errorf("PyTorch was run %d times, %d of them in the slow way:\n%s", n, slow, raw)
	}

	b.peer = ""
	if r, err = b.measure(context.Background(),
		workload{name: "w", args: words("step --precision bf16"), ways: layouts, steps: 3, goal: 4}); err != nil {
		t.Fatal(err)
	}
	if got, want := r.String(), "| w | 2.00 (1.00–3.00) | | | ≥ 4× | 25% | 50 | | |\n"; got != want {
		t.Errorf("without PyTorch: got  %swant %s", got, want)
	}
}

func TestTorchMissing(t *testing.T) {
	dir := t.TempDir()
	b := &bench{options: options{python: fake(t, "exit 1")}, peer: filepath.Join(dir, "peer.py")}
	if err := os.WriteFile(b.peer, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := b.torchVersions(context.Background()); err == nil || !strings.Contains(err.Error(), "apt-get install python3-torch") {
		t.Errorf("error %v does not say how to install PyTorch", err)
	}
	b.python = fake(t, `echo '{"torch": "1.13.0", "torchvision": "0.14", "onednn": "2.6.3"}'`)
	if v, err := b.torchVersions(context.Background()); err != nil || v != (torch{"1.13.0", "0.14", "2.6.3"}) {
		t.Errorf("%+v, %v", v, err)
	}
}

func TestTable(t *testing.T) {
	day := time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)
	tb := table{date: day, machine: "2 × Z", threads: 2, rounds: 3, noTorch: "no PyTorch; apt-get install it",
		ceilings: []ceiling{{Precision: "float32", Usable: true, Gflops: 227.6}, {Precision: "bf16"}},
		rows:     []*row{{name: "views", us: side{times: []float64{0.25, 0.125}, rss: 16.4}, goal: 2}},
		missing:  []string{"step, bf16"}}
	for _, want := range []string{
		"Measured 2026-11-24", "on 2 × Z, 2 threads each", "no PyTorch; apt-get install it",
		"Ceiling of float32 228 Gflop/s; of bf16: none, this processor has no AVX512_BF16.",
		"| views | 0.188 (0.125–0.250) | | | ≥ 2× |  | 16 | | |\n", "Left out, since this processor has no AVX512_BF16: step, bf16.",
	} {
		if !strings.Contains(tb.String(), want) {
			t.Errorf("the table lacks %q:\n%s", want, tb.String())
		}
	}
	if tb.usable("bf16") || !tb.usable("float32") {
		t.Error("what is usable is told wrongly")
	}
	columns := strings.Count(strings.SplitN(head, "\n", 2)[0], "|")
	for _, r := range []*row{tb.rows[0], {name: "x", us: side{times: []float64{1}, rss: 1},
		them: &side{times: []float64{2}, rss: 1}}} {
		if n := strings.Count(r.String(), "|"); n != columns {
			t.Errorf("%d bars in a row, %d in the head: %s", n, columns, r)
		}
	}
}

// Writing a table leaves what is around it as it was.
func TestPutTable(t *testing.T) {
	path := filepath.Join(t.TempDir(), "performance.md")
	if err := os.WriteFile(path, []byte("before\n"+mark+"\nold\n"+endMark+"\nafter\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := putTable(path, "new\n"); err != nil {
			t.Fatal(err)
		}
		got, err := os.ReadFile(path)
		if want := "before\n" + mark + "\n\nnew\n\n" + endMark + "\nafter\n"; err != nil || string(got) != want {
			t.Errorf("got %q, want %q, %v", got, want, err)
		}
	}
	for _, text := range []string{"no marks\n", mark + "\nbut no end\n"} {
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		if err := putTable(path, "new\n"); err == nil || !strings.Contains(err.Error(), "only on standard output") {
			t.Errorf("%q: %v", text, err)
		}
		if got, _ := os.ReadFile(path); string(got) != text {
			t.Errorf("a file without marks became %q", got)
		}
	}
	fresh := filepath.Join(t.TempDir(), "new.md")
	if err := putTable(fresh, "new\n"); err != nil {
		t.Error(err)
	}
}

// The page has the place that the table goes to.
func TestPageHasMarks(t *testing.T) {
	page, err := os.ReadFile(filepath.Join("..", defaultOut))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := between(string(page), ""); err != nil {
		t.Error(err)
	}
}

func TestOverSeeds(t *testing.T) {
	s, err := overSeeds(2, 10, func(seed int) (scored, error) {
		return scored{Seconds: 100 * float64(seed), KNN: 0.8 + 0.02*float64(seed), Linear: 0.87,
			RSS: 900 / float64(seed), How: "nchw"}, nil
	})
	if want := "10 epochs: 150 s, kNN 83.00% (82.00, 84.00), linear probe 87.00%, 900 MiB"; err != nil || s.String() != want || s.How != "nchw" {
		t.Errorf("%s, %q, %v, want %s", s, s.How, err, want)
	}
	if _, err := overSeeds(2, 10, func(int) (scored, error) { return scored{}, os.ErrInvalid }); err != os.ErrInvalid {
		t.Errorf("error %v", err)
	}
}

func TestRecipeText(t *testing.T) {
	them := scored{Seconds: 600, KNN: 0.84, Linear: 0.87, RSS: 900, How: "nchw", epochs: 10}
	ours := []scored{{Seconds: 200, KNN: 0.83, epochs: 10}, {Seconds: 240, KNN: 0.841, epochs: 12}}
	for want, text := range map[string]string{
		"Time to PyTorch's kNN score: 2.50× (≥ 2.5× met).":      recipeText(ours, them, true),
		"was not reached in 10 epochs (≥ 2.5× **missed**)":      recipeText(ours[:1], them, true),
		"- vicreg, 12 epochs: 240 s, kNN 84.10%, linear probe":  recipeText(ours, scored{}, false),
		"PyTorch (nchw), 10 epochs: 600 s, kNN 84.00%, linear ": recipeText(ours, them, true),
	} {
		if !strings.Contains(text, want) {
			t.Errorf("%q lacks %q", text, want)
		}
	}
	if text := recipeText(ours, scored{}, false); strings.Contains(text, "PyTorch") {
		t.Errorf("without PyTorch: %q", text)
	}
}
