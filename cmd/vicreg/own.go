package main

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"

	"vicreg"
	"vicreg/internal/recipe"
	"vicreg/internal/runlog"
	"vicreg/internal/show"
)

// readOwn reads the configuration in a run's folder, which must be whole.
func readOwn(folder string) (recipe.Config, error) {
	path := filepath.Join(folder, runlog.ConfigFile)
	c, err := recipe.ReadFile(path)
	if err == nil {
		err = runlog.CheckFolder(folder)
	}
	if err == nil {
		if wrong := c.Validate(); wrong != nil {
			err = fmt.Errorf("%s: %w; put it back as the run wrote it", show.Name(path), wrong)
		}
	}
	return c, err
}

// runOwn returns the configuration of the run on images that a model is from, nil if the
// model is not in the folder of one.
func runOwn(m *vicreg.Model) (*recipe.Config, error) {
	if m == nil {
		return nil, nil
	}
	c, err := readOwn(filepath.Dir(m.Info().Path))
	switch {
	case errors.Is(err, fs.ErrNotExist), err == nil && c.Pairs != nil:
		return nil, nil
	case err != nil:
		return nil, fmt.Errorf("%w; or name images by --data", err)
	}
	return &c, nil
}
