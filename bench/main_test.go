package main

import (
	"context"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
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

// Every row of the comparison is there once, with what it must reach on each machine.
func TestWorkloads(t *testing.T) {
	amd, intel := readProcessor("AuthenticAMD", "avx512f avx512_bf16"), readProcessor("GenuineIntel", "avx512_bf16 amx_bf16 amx_tile")
	old := readProcessor("GenuineIntel", "avx2 fma")
	for want, goal := range map[string][4]float64{ // AMD, old Intel, Intel with AMX; 16 threads
		"loss.*n=256,": {100, 100, 100, 0}, "loss.*n=2048,": {6, 6, 6, 0},
		"^step.*ResNet-18 .small.*float32": {2.5, 2, 2, 2}, "step.*ResNet-18, bf16": {1.7, 1.7, 2.5, 1.5},
		"^step.*ResNet-50.*float32": {2.2, 2.2, 2.2, 2}, "step.*ResNet-50, bf16": {2, 2, 2.5, 1.5}, "width 16": {2.5, 2.5, 2.5, 0},
		"inference, ResNet-18.*float32": {2, 2, 2, 0}, "inference, ResNet-50.*float32": {}, "inference, ResNet-50.*bf16": {},
		"JPEG files, ": {2, 2, 2, 2}, "JPEG files by libjpeg-turbo": {6, 6, 6, 6}, "packed": {5, 5, 5, 5},
		"32 px, of 1,024": {4, 4, 4, 4},
	} {
		found := 0
		for _, w := range workloads {
			if regexp.MustCompile(want).MatchString(w.name) {
				found++
				g := w.goals
				if got := [4]float64{g.of(amd, 2), g.of(old, 2), g.of(intel, 2), g.of(intel, 16)}; got != goal {
					t.Errorf("%s has the goals %g, want %g", w.name, got, goal)
				}
				if strings.Contains(w.name, "bf16") != (w.precision() == "bf16") {
					t.Errorf("%s runs in %s", w.name, w.precision())
				}
				if step := strings.Contains(w.name, "step") && !strings.Contains(w.name, "width 16"); step != (w.memory == 0.6) {
					t.Errorf("%s may take %g of the memory", w.name, w.memory)
				}
			}
		}
		if found != 1 {
			t.Errorf("%d workloads match %s", found, want)
		}
	}
	for _, name := range bestOf.rows {
		if !slices.ContainsFunc(workloads, func(w workload) bool { return w.name == name }) {
			t.Errorf("there is no row %s", name)
		}
	}
	w := workload{args: words("embed --precision bf16")}
	if w.lacks(amd) != "" || w.lacks(intel) != "" || w.lacks(old) != "this processor has no AVX512_BF16" {
		t.Error("bf16 is left out, or not, on the wrong processor")
	}
	if amd.String() != "AMD or another with AVX512_BF16" && runtime.GOARCH == "amd64" || !strings.HasSuffix(intel.String(), " with AMX") {
		t.Errorf("%s and %s", amd, intel)
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
	b := &bench{options: options{threads: 2, rounds: 3, serve: true}, peer: peer, start: time.Now()}
	b.ours = fake(t, `case "$*" in
"bench peak --precision bf16 --threads 2 --json") echo '{"precision": "bf16", "usable": true, "gflops": 400}' ;;
"bench step --precision bf16 --threads 2 --warmup 1 --steps 3 --json") echo '{"times_s": [1, 2, 3], "median_s": 2, "gflops": 100, "peak_rss_mib": 50}' ;;
*) exit 1 ;;
esac`)
	b.python = fake(t, `[ "$*" = "`+peer+` serve" ] || exit 1
while read -r line; do
	echo "$line" >> `+log+`
	case "$line" in
	'["step","--precision","bf16","--threads","2","--warmup","1","--steps","1","--layout","nchw"]') echo '{"times_s": [9], "median_s": 9, "peak_rss_mib": 200}' ;;
	'["step","--precision","bf16","--threads","2","--warmup","1","--steps","1","--layout","channels_last"]') echo '{"times_s": [6], "median_s": 6, "peak_rss_mib": 100}' ;;
	*) exit 1 ;;
	esac
done`)
	defer b.dismiss()
	r, err := b.measure(context.Background(),
		workload{name: "w", args: words("step --precision bf16"), ways: layouts, steps: 3, theirs: 1, goals: goals{few: 4}, memory: 0.6})
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
		workload{name: "w", args: words("step --precision bf16"), ways: layouts, steps: 3, goals: goals{few: 4}}); err != nil {
		t.Fatal(err)
	}
	if got, want := r.String(), "| w | 2.00 (1.00–3.00) | | | ≥ 4× | 25% | 50 | | |\n"; got != want {
		t.Errorf("without PyTorch: got  %swant %s", got, want)
	}
}

// A way that a PyTorch lacks is left out, unless it is the last.
func TestMeasureWithout(t *testing.T) {
	b := &bench{options: options{threads: 2, rounds: 2, serve: true}, peer: "peer.py", start: time.Now()}
	b.ours = fake(t, `echo '{"times_s": [1], "median_s": 1, "peak_rss_mib": 50}'`)
	b.python = fake(t, `while read -r line; do
	case "$line" in
	*nchw*) [ -z "$DIES" ] || { echo torch.jit is gone >&2; exit 1; }; echo '{"error": "torch.jit is gone"}' ;;
	*) echo '{"times_s": [6], "median_s": 6, "peak_rss_mib": 100}' ;;
	esac
done`)
	defer b.dismiss()
	r, err := b.measure(context.Background(), workload{name: "w", args: words("views"), ways: layouts, steps: 1})
	if err != nil || r.them == nil || r.them.way != layouts[1] || len(r.them.times) != 2 {
		t.Errorf("%+v, %v", r, err)
	}
	_, err = b.measure(context.Background(), workload{name: "w", args: words("views"), ways: layouts[:1], steps: 1})
	if err == nil || !strings.Contains(err.Error(), "torch.jit is gone") {
		t.Errorf("no way is left: %v", err)
	}
	b.dismiss()
	t.Setenv("DIES", "1")
	r, err = b.measure(context.Background(), workload{name: "w", args: words("views"), ways: layouts, steps: 1})
	if err != nil || r.them == nil || r.them.way != layouts[1] || len(r.them.times) != 2 {
		t.Errorf("where it dies: %+v, %v", r, err)
	}
	b.dismiss()
	b.serve, b.python = false, fake(t, `case "$*" in *nchw*) echo torch.jit is gone >&2; exit 1 ;; esac
echo '{"times_s": [6], "median_s": 6, "peak_rss_mib": 100}'`)
	r, err = b.measure(context.Background(), workload{name: "w", args: words("views"), ways: layouts, steps: 1})
	if err != nil || r.them == nil || r.them.way != layouts[1] || len(r.them.times) != 2 {
		t.Errorf("a process of its own each: %+v, %v", r, err)
	}
}

func TestTorchMissing(t *testing.T) {
	dir := t.TempDir()
	b := &bench{options: options{python: fake(t, "exit 1")}, peer: filepath.Join(dir, "peer.py")}
	if err := os.WriteFile(b.peer, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := b.findTorch(context.Background()); err == nil || !strings.Contains(err.Error(), "apt-get install python3-torch") {
		t.Errorf("error %v does not say how to install PyTorch", err)
	}
	b.python = fake(t, `echo '{"torch": "1.13.0", "torchvision": "0.14", "onednn": "2.6.3"}'`)
	if v, err := b.findTorch(context.Background()); err != nil || v != (torch{Torch: "1.13.0", Torchvision: "0.14", OneDNN: "2.6.3"}) {
		t.Errorf("%+v, %v", v, err)
	}
}

// Of all the Pythons the one with the newest PyTorch is taken.
func TestNewestTorch(t *testing.T) {
	root := t.TempDir()
	python := func(folder, name, script string) string {
		path := filepath.Join(root, folder, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(fake(t, script), path); err != nil {
			t.Fatal(err)
		}
		return path
	}
	says := func(version string) string { return `echo '{"torch": "` + version + `"}'` }
	python("bin", "python3.11", says("1.13.0a0"))
	python("bin", "python3-config", says("9.0"))
	python("bin", "python3.12", "exit 1")
	best := python("venv/bin", "python3", says("2.11.0+cpu"))
	python("more", "python3.14t", says("2.9.1"))
	if err := os.Symlink("python3.11", filepath.Join(root, "bin/python3")); err != nil {
		t.Fatal(err)
	}
	t.Setenv("VIRTUAL_ENV", filepath.Join(root, "venv"))
	t.Setenv("CONDA_PREFIX", "")
	t.Setenv("PATH", filepath.Join(root, "bin")+string(filepath.ListSeparator)+filepath.Join(root, "more")+
		string(filepath.ListSeparator)+"/bin")
	found := pythons(os.Getenv)
	ours := slices.DeleteFunc(slices.Clone(found), func(p string) bool { return !strings.HasPrefix(p, root) })
	if len(ours) != 4 || ours[0] != best {
		t.Errorf("found %v", found)
	}
	b := &bench{peer: filepath.Join(root, "peer.py"), start: time.Now()}
	if err := os.WriteFile(b.peer, []byte("raise SystemExit(1)"), 0o644); err != nil {
		t.Fatal(err)
	}
	if v, err := b.findTorch(context.Background()); err != nil || v.Torch != "2.11.0+cpu" || b.python != best {
		t.Errorf("%+v of %s, %v", v, b.python, err)
	}
	for _, c := range [][2]string{{"2.11.0", "2.9.1"}, {"2.0.0a0", "1.13.0"}, {"2.9.1", "2.9"}, {"10.0", "9.9"}} {
		if !newer(c[0], c[1]) || newer(c[1], c[0]) || newer(c[0], c[0]) {
			t.Errorf("%s is not newer than %s", c[0], c[1])
		}
	}
}

// The best of each side may be in another precision.
func TestBest(t *testing.T) {
	at := func(v float64, way string) side { return side{way: way, times: []float64{v}, rss: 1} }
	them := [2]side{at(6, "--layout nchw"), at(9, "")}
	tb := table{threads: 16, rows: []*row{{name: bestOf.rows[0], us: at(5, ""), them: &them[0]},
		{name: bestOf.rows[1], us: at(3, ""), them: &them[1]}}}
	tb.addBest(processor{})
	want := "| inference, ResNet-50, each in its best precision | 3.00 (3.00–3.00) bf16 | 6.00 (6.00–6.00) float32 nchw | 2.00× | ≥ 1.5× met |"
	if got := tb.rows[len(tb.rows)-1].String(); !strings.HasPrefix(got, want) {
		t.Errorf("got %s want %s", got, want)
	}
	none := table{rows: []*row{{name: "views", us: at(5, "")}}}
	if none.addBest(processor{}); len(none.rows) != 1 {
		t.Error("a row of nothing")
	}
}

func TestGain(t *testing.T) {
	pair := func(a, b float64) [2]side { return [2]side{{times: []float64{a}}, {times: []float64{b}}} }
	for want, text := range map[string]string{
		"on 16, which is 5.10× where the ceiling gains 5.80× (≥ 5× met).":        gainText("float32", 16, pair(5.1, 1), pair(100, 580)),
		"on 16, which is 2.80× where the ceiling gains 5.80× (≥ 5× **missed**).": gainText("bf16", 16, pair(2.8, 1), pair(100, 580)),
		"on 4, which is 1.80× where the ceiling gains 2.00× (≥ 1.72× met).":      gainText("float32", 4, pair(1.8, 1), pair(1, 2)),
	} {
		if !strings.Contains(text, want) {
			t.Errorf("%q lacks %q", text, want)
		}
	}
}

func TestTable(t *testing.T) {
	day := time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)
	tb := table{date: day, machine: "2 × Z", threads: 2, rounds: 3, noTorch: "no PyTorch; apt-get install it",
		ceilings: []ceiling{{Precision: "float32", Usable: true, Gflops: 227.6}, {Precision: "bf16"}},
		rows:     []*row{{name: "views", us: side{times: []float64{0.25, 0.125}, rss: 16.4}, goal: 2}},
	}
	tb.leave("step, bf16", "this processor has no AVX512_BF16")
	tb.leave("inference, bf16", "this processor has no AVX512_BF16")
	tb.leave("views", "it rains")
	for _, want := range []string{
		"Measured 2026-11-24", "on 2 × Z, 2 threads each", "no PyTorch; apt-get install it",
		"Ceiling of float32 228 Gflop/s; of bf16: none, this processor has no AVX512_BF16.",
		"| views | 0.188 (0.125–0.250) | | | ≥ 2× |  | 16 | | |\n", "Left out, since this processor has no AVX512_BF16: step, bf16; inference, bf16.",
		"Left out, since it rains: views.", "The goals are those of 2 threads, AMD or another.",
	} {
		if !strings.Contains(tb.String(), want) {
			t.Errorf("the table lacks %q:\n%s", want, tb.String())
		}
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
