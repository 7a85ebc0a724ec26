package main

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/kballard/go-shellquote"

	"vicreg/internal/durable"
	"vicreg/internal/recipe"
	"vicreg/internal/show"
)

// job is one run of a comparison.
type job struct {
	name string   // its folder
	of   string   // what it is called in the table: a run's seeds share the name
	args []string // of pretrain

	open    []string          // flags of what these leave to be chosen together
	chosen  map[string]string // their values; nil: not yet
	seconds float64           // that it takes; 0: not known
}

// asked is what the run was asked for and what was chosen for it.
func (j *job) asked() []string {
	all := slices.Clone(j.args)
	for _, flag := range j.open {
		if value, is := j.chosen[flag]; is {
			all = append(all, "--"+flag+"="+value)
		}
	}
	return all
}

// flags are those of the run itself. A time is left out where the epochs were chosen
// by it.
func (j *job) flags() []string {
	all := j.asked()
	if _, is := j.chosen["epochs"]; !is {
		return all
	}
	var kept []string
	for i := 0; i < len(all); i++ {
		switch {
		case all[i] == "--time":
			i++
		case !strings.HasPrefix(all[i], "--time="):
			kept = append(kept, all[i])
		}
	}
	return kept
}

// otherThan refuses a folder that holds a run of this name made otherwise.
func (j *job) otherThan(before []string, out string) error {
	return fmt.Errorf("%s holds a run %s made with %s, not with %s; take another --out, or remove %s",
		out, j.name, strings.Join(before, " "), strings.Join(j.asked(), " "), filepath.Join(out, j.name))
}

// ofRuns are the flags of pretrain that a comparison does not share among its runs.
var ofRuns = []string{"out", "resume", "method", "json", "quiet", "plan", "cpuprofile", "help"}

// plan lists the runs asked for, each with flags that pretrain takes, and tells g
// what they read.
func plan(methods string, variants, common []string, seeds int, device string, g *guard) ([]job, error) {
	var jobs []job
	if methods != "" {
		names := strings.Split(methods, ",")
		if methods == "all" {
			names = recipe.Methods()
		}
		for _, name := range names {
			jobs = append(jobs, job{name: name, of: name, args: append(slices.Clone(common), "--method="+name)})
		}
	}
	for _, v := range variants {
		name, own, ok := strings.Cut(v, ":")
		name = strings.TrimSpace(name)
		if !ok || name == "" {
			return nil, usagef("--variant %q is not a name, a colon and flags, such as \"no covariance: --nu 0\"", v)
		}
		if what := wrongName(name); what != "" {
			return nil, usagef("--variant %q: the run's folder cannot have the name %q, %s; take another", v, name, what)
		}
		args, err := shellquote.Split(own)
		if err != nil {
			return nil, usagef("--variant %q: a quote or a backslash in its flags has no end", v)
		}
		jobs = append(jobs, job{name: name, of: name, args: append(slices.Clone(common), args...)})
	}
	if len(jobs) == 0 {
		return nil, usagef("nothing to compare: give --methods, --variant or run folders")
	}
	if err := apart(jobs); err != nil {
		return nil, err
	}
	var (
		all   []job
		first string // the first of them,
		open  bool   // and whether it leaves its epochs open
	)
	for _, j := range jobs {
		// Whatever is wrong is found before the first run.
		cmd, f, config := pretrainCommand()
		if err := cmd.ParseFlags(j.args); err != nil {
			return nil, usagef("%s: %s", j.name, flagMessage(err))
		}
		if rest := cmd.Flags().Args(); len(rest) > 0 {
			return nil, usagef("%s: %q is no flag", j.name, rest[0])
		}
		for _, name := range []string{"out", "resume", "json", "quiet", "plan", "cpuprofile", "device"} {
			if cmd.Flags().Changed(name) {
				return nil, usagef("%s: --%s cannot be given to a run of a comparison, which sets it", j.name, name)
			}
		}
		f.device.name = device
		c, err := f.configuration(config)
		if err != nil {
			return nil, usageError{fmt.Errorf("%s: %w", j.name, err)}
		}
		j.open = openOf(&c)
		openEpochs := slices.Contains(j.open, "epochs")
		if first == "" {
			first, open = j.name, openEpochs
		} else if open != openEpochs {
			return nil, usagef("%s: the runs of a comparison are to be of one length, but either this one or %s leaves its epochs open; give --epochs to all or to none", j.name, first)
		}
		g.reads(f.config)
		g.config(&c)
		again, err := j.seeds(seeds, c.Seed)
		if err != nil {
			return nil, err
		}
		all = append(all, again...)
	}
	return all, apart(all)
}

// mostSeeds is how often a comparison may train each run.
const mostSeeds = 1000

// seeds returns the runs of a job with so many seeds from the first on.
func (j job) seeds(n int, first uint64) ([]job, error) {
	if first > math.MaxUint64-uint64(n) {
		return nil, usagef("%s: --seed is %d, above which there are no %d more for --seeds", j.name, first, n-1)
	}
	all := []job{j}
	for i := 1; i < n; i++ {
		again := j
		again.name, again.args = fmt.Sprintf("%s-seed%d", j.name, i+1),
			append(slices.Clone(j.args), fmt.Sprintf("--seed=%d", first+uint64(i)))
		if what := wrongName(again.name); what != "" {
			return nil, usagef("the folder of %s cannot have the name %q, %s; take another", j.name, again.name, what)
		}
		all = append(all, again)
	}
	return all, nil
}

// apart demands a folder of its own for each run.
func apart(jobs []job) error {
	for i, j := range jobs {
		for _, before := range jobs[:i] {
			switch {
			case before.name == j.name:
				return usagef("two runs are called %s; give each its own name", j.name)
			case strings.EqualFold(before.name, j.name):
				return usagef("the runs %s and %s would share a folder where file systems do not tell letters apart; give them different names", before.name, j.name)
			}
		}
	}
	return nil
}

// wrongName says why a run's folder cannot have a name, "" if it can.
func wrongName(name string) string {
	switch {
	case strings.ContainsAny(name, `/\`):
		return "which holds a slash"
	case name == "." || name == "..", !filepath.IsLocal(name):
		return "which means another folder"
	case show.Name(name) != name:
		return "which holds characters that cannot be shown"
	case len(name) > 200:
		return "which is longer than 200 bytes"
	case slices.Contains(append([]string{compareTable, compareJobs}, comparePlots...), strings.ToLower(name)):
		return "which is that of a file of the comparison"
	}
	return ""
}

// remember writes what the runs of a folder were asked for, and refuses a folder
// whose runs were asked for something else.
func remember(out, path string, jobs []job, asked map[string][]string) error {
	if asked == nil { // there is none, or it may be replaced
		asked = map[string][]string{}
	}
	for _, j := range jobs {
		if before, ok := asked[j.name]; ok && !slices.Equal(before, j.asked()) {
			return j.otherThan(before, out)
		}
		asked[j.name] = j.asked()
	}
	if err := os.MkdirAll(out, 0o777); err != nil {
		return fmt.Errorf("--out %s cannot be made: %w", out, err)
	}
	raw, err := json.MarshalIndent(asked, "", "  ")
	if err != nil {
		return err
	}
	if err := durable.WriteFile(path, append(raw, '\n')); err != nil {
		return fmt.Errorf("cannot write %s: %w", path, err)
	}
	return nil
}
