package pretrained

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"

	"vicreg/internal/method"
	"vicreg/internal/recipe"
	"vicreg/internal/runlog"
	"vicreg/internal/safetensors"
	"vicreg/internal/show"
)

// Strange says, a sentence each, what shows that a model in a run folder is not of the
// run there. It reads the file's header alone. Of a file that is no model it says
// nothing.
func Strange(path string) []string {
	f, err := safetensors.Open(path)
	if err != nil {
		return nil
	}
	defer f.Close()
	m := &Model{Path: path}
	if m.Meta.decode(f.Metadata) != nil {
		return nil
	}
	return m.strange()
}

// strange says what does not belong together in the run folder that a model was
// read from, a sentence each.
func (m *Model) strange() []string {
	dir, name := filepath.Split(m.Path)
	dir = filepath.Clean(dir)
	if !slices.Contains(runlog.ModelFiles[:], name) || runlog.CheckFolder(dir) != nil {
		return nil
	}
	var notes []string
	s, err := runlog.ReadSummary(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		notes = append(notes, show.Line(err.Error()))
	case slices.Contains(s.Changed, name):
		return []string{show.Line(runlog.Altered(dir, name))}
	case m.Side != nil && slices.Contains(s.Changed, runlog.ConfigFile):
		return []string{show.Line(runlog.Altered(dir, runlog.ConfigFile))}
	case s.Files[name] != "":
		return nil
	}
	if what := m.unlike(dir); what != "" {
		notes = append(notes, fmt.Sprintf("%s is not a model of the run beside it: %s", show.Name(m.Path), what))
	}
	return notes
}

// unlike names the first thing in which a model and the configuration beside it
// contradict each other, "" if there is none.
func (m *Model) unlike(dir string) string {
	c, err := recipe.ReadFile(filepath.Join(dir, runlog.ConfigFile))
	if err != nil || m.Branch == 1 && !c.Separate() {
		return ""
	}
	want := Meta{Method: c.Method, Encoder: method.EncoderConfig(c, m.Branch), Expander: c.Projector(m.Branch),
		Size: c.Size, Epochs: c.Epochs, Seed: c.Seed}
	for _, earlier := range c.Replanned {
		if m.Epochs == earlier.Epochs {
			want.Epochs = m.Epochs // the model of an earlier plan stands until there is a next
		}
	}
	has, should := m.encode(), want.encode()
	for _, key := range []string{"method", "seed", "epochs", "arch", "width", "stem", "patch", "expander", "size"} {
		if has[key] != should[key] {
			return fmt.Sprintf("its %s is %s, not %s as in %s", key, quote(has[key]), quote(should[key]), runlog.ConfigFile)
		}
	}
	return ""
}
