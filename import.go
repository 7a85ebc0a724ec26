package vicreg

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"vicreg/internal/durable"
	"vicreg/internal/foreign"
	"vicreg/internal/pretrained"
	"vicreg/internal/runlog"
	"vicreg/internal/show"
)

// ImportOptions say what another project's file alone cannot.
type ImportOptions struct {
	Prefix    string    // before the names of the encoder's arrays, where a file holds several; empty: found
	Heads     int       // of a vision transformer; 0: as the layout has it, or one for each 64 channels
	Stem      string    // of a ResNet that begins with 3×3: small, padded (a border of 2) or linear (no ReLU); empty: found
	Size      int       // pixels, width and height of an input; 0: as the weights have it
	Mean, Std []float64 // of each channel, of pixels from 0 to 1, or one number for all; nil: as the layout has it

	// Progress is told how many of the arrays are read; may be nil.
	Progress func(done, total int)
}

// Imported says what [Import] took of a file.
type Imported struct {
	Path   string       // of the model that was written, which Open reads
	Layout string       // whose names the file's arrays have
	Prefix string       // before those of the encoder
	Arrays int          // taken
	Left   []ImportLeft // what was not: classifiers, projectors, queues, momentum encoders
	Notes  []string     // what was guessed and what is passed over, a sentence each
}

// ImportLeft is a part of a file that is not taken.
type ImportLeft struct {
	Name    string   `json:"name"`              // as the names of its arrays begin
	Is      string   `json:"is"`                // what it is; empty: that is not known
	Arrays  int      `json:"arrays"`            // of it
	Classes int      `json:"classes,omitempty"` // of a classifier
	Names   []string `json:"names,omitempty"`   // some of its arrays, where it is not known
}

// Import takes the encoder out of another project's file of weights, of PyTorch or
// safetensors, and writes it as model.safetensors to a folder, which it makes if need be.
// [Open] and Config.Init read that. Nothing in the file is executed. A model that was
// imported before is replaced; a folder that holds a run or another model is an error.
func Import(ctx context.Context, file, folder string, o ImportOptions) (*Imported, error) {
	options := foreign.Options(o)
	if err := options.Validate(); err != nil {
		return nil, err
	}
	f, err := foreign.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if err := os.MkdirAll(folder, 0o777); err != nil {
		return nil, fmt.Errorf("%s cannot be made: %w", show.Name(folder), durable.Reason(err))
	}
	path := filepath.Join(folder, runlog.ModelFile)
	if err := free(folder, file, path); err != nil {
		return nil, err
	}
	t, err := foreign.Take(ctx, f, path, options)
	if err != nil {
		return nil, err
	}
	out := outer[Imported](t.Result)
	return &out, nil
}

// free returns an error if a model that is imported from a file may not be written to path.
func free(folder, file, path string) error {
	for _, name := range runlog.Present(folder) {
		if name != runlog.ModelFile {
			return fmt.Errorf("%s holds a run (%s); name another folder", show.Name(folder), name)
		}
	}
	there, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("%s cannot be written: %w", show.Name(path), durable.Reason(err))
	}
	if from, err := os.Stat(file); err == nil && os.SameFile(from, there) {
		return fmt.Errorf("%s is the file to take from; name another folder", show.Name(path))
	}
	if m, err := pretrained.Describe(path, 0); err != nil || m.Source == nil {
		return fmt.Errorf("%s is there and was not imported; name another folder", show.Name(path))
	}
	return nil
}
