package train

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"vicreg/internal/recipe"
	"vicreg/internal/runlog"
)

// newFolder makes the folder of a new run: c.Out, or the first of runs/NAME,
// runs/NAME-2, … that does not exist.
func newFolder(c *recipe.Config) (string, error) {
	if c.Out != "" {
		return c.Out, madeFolder(os.MkdirAll(c.Out, 0o777), c.Out)
	}
	base := c.Recipe
	if base == "" {
		base = c.Method
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

// unused refuses a folder that holds a run.
func unused(folder string) error {
	for _, name := range []string{runlog.ConfigFile, runlog.CheckpointFile, runlog.SummaryFile} {
		if _, err := os.Lstat(filepath.Join(folder, name)); err == nil {
			return fmt.Errorf("%s already holds a run; go on with it by --resume %[1]s, or name another folder", folder)
		}
	}
	return nil
}

func madeFolder(err error, folder string) error {
	var path *fs.PathError
	if errors.As(err, &path) {
		return fmt.Errorf("cannot make the run folder %s: %w", folder, path.Err)
	}
	return err
}

// writeConfig saves the configuration, without where it stands: a run's folder
// may be moved.
func (r *run) writeConfig() error {
	c := r.config
	c.Out = ""
	raw, err := c.YAML()
	if err != nil {
		return err
	}
	return runlog.WriteConfig(r.folder, raw)
}

// digest names what a configuration computes, leaving out what only changes how
// fast, where and how talkative a run is.
func digest(c recipe.Config) (string, error) {
	c.Out, c.Recipe, c.Description = "", "", ""
	c.Data.Source = "" // what is in it counts, not where it is
	c.Threads, c.Workers, c.LogEvery, c.CheckpointMinutes = 0, 0, 0, 0
	c.Eval = recipe.Eval{}
	raw, err := c.YAML()
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("%x", sha256.Sum256(raw))[:16], nil
}

// absolute makes a path that exists independent of the working folder; names of
// known data sets stay as they are.
func absolute(source string) string {
	if _, err := os.Stat(source); err != nil {
		return source
	}
	if abs, err := filepath.Abs(source); err == nil {
		return abs
	}
	return source
}
