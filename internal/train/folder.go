package train

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"vicreg/internal/dataset"
	"vicreg/internal/recipe"
	"vicreg/internal/runlog"
	"vicreg/internal/show"
)

// newFolder makes the folder of a new run: c.Out, or the first of runs/NAME,
// runs/NAME-2, … that does not exist.
func newFolder(c *recipe.Config) (string, error) {
	if c.Out != "" {
		return c.Out, madeFolder(os.MkdirAll(c.Out, 0o777), c.Out)
	}
	base := cmp.Or(c.Recipe, c.Method)
	if c.Tune != nil {
		base = cmp.Or(c.Tune.Protocol, "finetune")
	}
	base = filepath.Join("runs", base)
	if err := os.MkdirAll("runs", 0o777); err != nil {
		return "", madeFolder(err, "runs")
	}
	folder := base
	for i := 2; ; i++ {
		err := os.Mkdir(folder, 0o777)
		if !errors.Is(err, fs.ErrExist) {
			return folder, madeFolder(err, folder)
		}
		folder = fmt.Sprintf("%s-%d", base, i)
	}
}

// unused refuses a folder that holds any file which a new run would write.
func unused(folder string) error {
	there := runlog.Present(folder)
	held := func(name string) bool { return slices.Contains(there, name) }
	switch {
	case len(there) == 0:
		return nil
	case held(runlog.ConfigFile) && (held(runlog.MetricsFile) || held(runlog.CheckpointFile) ||
		held(runlog.SummaryFile)):
		return fmt.Errorf("%s already holds a run; go on with it by --resume %[1]s, or name another folder", folder)
	case held(runlog.ConfigFile):
		return fmt.Errorf("%s already holds %s, which a new run would replace; if it is a run's, go on with that by --resume %[1]s, else name another folder", folder, show.Some(there, 3))
	}
	return fmt.Errorf("%s already holds %s, which a new run would replace; name another folder, or move that away", folder, show.Some(there, 3))
}

// fresh refuses to begin a run anew, where the checkpoint is missing, in a folder that
// holds results of a run.
func (r *run) fresh(missing error) error {
	there := slices.DeleteFunc(runlog.Present(r.folder), func(name string) bool {
		return name == runlog.ConfigFile || name == runlog.MetricsFile
	})
	err := runlog.Fresh(r.folder)
	if err == nil && len(there) > 0 {
		err = fmt.Errorf("%s holds %s", r.folder, show.Some(there, 3))
	}
	if err == nil {
		return nil
	}
	return fmt.Errorf("%w; the run is not begun anew, because %w. Put the checkpoint back, or start another run with --config %s", missing, err, r.file(runlog.ConfigFile))
}

func madeFolder(err error, folder string) error {
	var path *fs.PathError
	if errors.As(err, &path) {
		return fmt.Errorf("cannot make the run folder %s: %w", folder, path.Err)
	}
	return err
}

// writeConfig saves the configuration without the folder's path: a run's folder may be
// moved.
func (r *run) writeConfig() error {
	c := r.config
	c.Out = ""
	raw, err := c.YAML()
	if err != nil {
		return err
	}
	return runlog.WriteConfig(r.folder, raw)
}

// digest names what a configuration computes. It leaves out what only changes how fast,
// where and how talkative a run is.
func digest(c recipe.Config) (string, error) {
	c.Out, c.Recipe, c.Description = "", "", ""
	c.Data.Source = "" // what is in it counts, not where it is
	if dataset.LabelFile(c.Data.Labels) != "" {
		c.Data.Labels = "a file"
	}
	if c.Init != nil {
		c.Init = &recipe.Init{Sum: c.Init.Sum, SumB: c.Init.SumB}
	}
	if c.Tune != nil {
		t := *c.Tune
		t.Protocol, t.Resize = "", false
		if t.Subset != "" {
			t.Subset = "a file"
		}
		c.Tune = &t
	}
	c.Threads, c.Workers, c.LogEvery, c.CheckpointMinutes = 0, 0, 0, 0
	c.Eval = recipe.Eval{}
	raw, err := c.YAML()
	if err != nil {
		return "", err
	}
	for _, usual := range []string{"minutes: 0", "sync_norm: true"} { // there were no such keys once
		raw = bytes.Replace(raw, []byte("\n"+usual+"\n"), []byte("\n"), 1)
	}
	return fmt.Sprintf("%x", sha256.Sum256(raw))[:16], nil
}

// absolute makes a path that exists independent of the working folder; names of
// known data sets stay as they are.
func absolute(source string) string {
	if _, err := os.Stat(source); err != nil && dataset.PatternFiles(source) == nil {
		return source
	}
	if abs, err := dataset.Absolute(source); err == nil {
		return abs
	}
	return source
}
