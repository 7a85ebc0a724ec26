package train

import (
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"vicreg/internal/checkpoint"
	"vicreg/internal/method"
	"vicreg/internal/nn"
	"vicreg/internal/pairs"
	"vicreg/internal/pretrained"
	"vicreg/internal/recipe"
	"vicreg/internal/runlog"
)

// arrays are all arrays of the run as they are now, under the names of the
// checkpoint. Where the network is the host's they are its memory.
func (r *run) arrays() []checkpoint.Array {
	var all []checkpoint.Array
	r.each(func(prefix string, p *nn.Param) {
		all = append(all, checkpoint.Array{Name: prefix + p.Name, Shape: stored(p), Data: p.Read()})
	})
	for i := range r.recent {
		recent := &r.recent[i]
		all = append(all, checkpoint.Array{Name: recentName + recentSuffix[i], Shape: []int{recent.rows, recent.d},
			Data: recent.read()})
	}
	return all
}

// store puts back what was read into arrays.
func (r *run) store(arrays []checkpoint.Array) {
	i := 0
	r.each(func(_ string, p *nn.Param) {
		p.Set(arrays[i].Data)
		i++
	})
	for j := range r.recent {
		r.recent[j].set(arrays[i+j].Data)
	}
}

// each calls f with every parameter of the run and what its name begins with in the
// checkpoint.
func (r *run) each(f func(prefix string, p *nn.Param)) {
	for _, part := range []struct {
		prefix string
		params []*nn.Param
	}{
		{"", r.method.Params()}, {"", r.method.Buffers()},
		{methodPrefix, r.method.State()}, {optimizerPrefix, r.optimizer.State()},
	} {
		for _, p := range part.params {
			f(part.prefix, p)
		}
	}
}

// Names in the checkpoint of what is not the network.
const (
	methodPrefix    = "method."
	optimizerPrefix = "optimizer."
	recentName      = "recent_embeddings"
)

var recentSuffix = [2]string{"", "_b"}

// ofNetwork reports whether an array of the checkpoint belongs to the network.
func ofNetwork(name string) bool {
	return !strings.HasPrefix(name, methodPrefix) && !strings.HasPrefix(name, optimizerPrefix) &&
		!strings.HasPrefix(name, recentName)
}

// stored is the shape of a parameter as its values lie in memory: r × s × c × k for
// convolutions, in × out for linear layers, PyTorch's for tables.
func stored(p *nn.Param) []int {
	if p.Table {
		return p.Shape
	}
	switch s := p.Shape; len(s) {
	case 4:
		return []int{s[2], s[3], s[1], s[0]}
	case 2:
		return []int{s[1], s[0]}
	default:
		return s
	}
}

// save writes the checkpoint, of a state that all processes have.
func (r *run) save() error {
	if err := r.same(); err != nil {
		return err
	}
	if err := r.only(r.saveAll); err != nil {
		return err
	}
	r.saved, r.savedStep = time.Now(), r.at.Steps
	return nil
}

// saveAll writes the checkpoint, and a model when it is time to. Before that it brings the
// metrics to the disk.
func (r *run) saveAll() error {
	if err := r.flushBoard(); err != nil {
		return err
	}
	mark, err := r.sync()
	if err != nil {
		return err
	}
	r.at.MetricsSize, r.at.MetricsSum = mark.Size, mark.Sum
	r.at.Seconds = r.clock.elapsed()
	if err := checkpoint.Save(r.file(runlog.CheckpointFile), r.at, r.arrays()); err != nil {
		return err
	}
	r.saved, r.savedStep = time.Now(), r.at.Steps
	if r.at.Steps > 0 && time.Since(r.savedModel) >= modelPause {
		return r.saveModel()
	}
	return nil
}

// sync brings the log to the disk. If somebody else has changed it meanwhile, it is
// repaired first, and the run says so.
func (r *run) sync() (runlog.Mark, error) {
	note, err := r.log.Mend()
	if err != nil {
		return runlog.Mark{}, fmt.Errorf("%w; %s", err, r.lastGood())
	}
	if note != "" {
		r.at.Notes = append(r.at.Notes, note)
		if err := r.warn("%s", note); err != nil {
			return runlog.Mark{}, err
		}
	}
	mark, err := r.log.Sync()
	if err != nil {
		return mark, fmt.Errorf("%w; %s", err, r.lastGood())
	}
	return mark, nil
}

// modelPause is the least time between two models of a run that goes on: nobody who
// looks at a run needs a newer one, and short epochs are not held up. Tests make it
// small.
var modelPause = 20 * time.Second

// lastGood says which checkpoint stands, as a part of a sentence.
func (r *run) lastGood() string {
	if r.savedStep < 0 {
		return "no checkpoint was written yet"
	}
	return fmt.Sprintf("the last good checkpoint is %s, after step %d", r.file(runlog.CheckpointFile), r.savedStep)
}

// lastFinite is lastGood for a step that is not finite. A checkpoint from right before
// that step does not count: it holds the weights that caused it.
func (r *run) lastFinite() string {
	if r.savedStep != r.at.Steps || r.at.Steps == 0 {
		return r.lastGood()
	}
	path := r.file(runlog.CheckpointFile)
	previous := path + checkpoint.Suffix
	if s, err := checkpoint.Peek(previous); err == nil && s.Steps < r.at.Steps {
		return fmt.Sprintf("%s already holds the weights that led to it; the last good checkpoint is %s, after step %d", path, previous, s.Steps)
	}
	return fmt.Sprintf("%s already holds the weights that led to it", path)
}

// saveModel writes a file for every branch.
func (r *run) saveModel() error {
	if err := r.noOtherModel(); err != nil {
		return fmt.Errorf("%w; %s", err, r.lastGood())
	}
	for i, b := range r.method.Branches() {
		if err := pretrained.Save(r.file(runlog.ModelFiles[i]), r.meta(i), b.Encoder, b.Expander); err != nil {
			return fmt.Errorf("%w; %s", err, r.lastGood())
		}
	}
	r.savedModel = time.Now()
	return nil
}

// meta is what the model of a branch says of itself.
func (r *run) meta(i int) pretrained.Meta {
	c := r.config
	init := ""
	if c.Init != nil {
		init = "crc32c " + []string{c.Init.Sum, c.Init.SumB}[i]
	}
	return pretrained.Meta{Init: init, Method: c.Method, Encoder: method.EncoderConfig(c, i), Branch: i,
		Expander: c.Projector(i), Size: c.Size,
		Mean: c.Normalize.Mean, Std: c.Normalize.Std, Raw: c.Pairs == nil && c.Data.Values == recipe.Raw,
		Bands: c.Data.Bands, Side: sideOf(c, i), Dataset: r.corpus.name(),
		Images: r.corpus.len(), Epochs: c.Epochs,
		Step: r.at.Steps, Steps: c.Epochs * r.steps, Seed: c.Seed}
}

// noOtherModel refuses to go on where somebody has put another model in the place of the
// run's. The run's own is there once it has saved one.
func (r *run) noOtherModel() error {
	for i := range r.method.Branches() {
		meta := r.meta(i)
		err := meta.Replaces(r.file(runlog.ModelFiles[i]))
		for _, p := range r.config.Replanned {
			if earlier := meta; err != nil {
				earlier.Epochs, earlier.Steps = p.Epochs, p.Epochs*r.steps
				if earlier.Replaces(r.file(runlog.ModelFiles[i])) == nil {
					err = nil
				}
			}
		}
		if err != nil {
			return fmt.Errorf("%w. The run writes models of that name; move this one away", err)
		}
	}
	return nil
}

// sideOf returns the side of pairs that a branch reads, nil of images.
func sideOf(c recipe.Config, branch int) *pairs.Side {
	if c.Pairs == nil {
		return nil
	}
	return &c.Sides()[branch]
}

func (r *run) file(name string) string { return filepath.Join(r.folder, name) }
