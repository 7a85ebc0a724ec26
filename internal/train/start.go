package train

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"
	"time"

	"vicreg/internal/advice"
	"vicreg/internal/batch"
	"vicreg/internal/checkpoint"
	"vicreg/internal/dataset"
	"vicreg/internal/device"
	"vicreg/internal/group"
	"vicreg/internal/method"
	"vicreg/internal/model"
	"vicreg/internal/nn"
	"vicreg/internal/optim"
	"vicreg/internal/parallel"
	"vicreg/internal/pretrained"
	"vicreg/internal/recipe"
	"vicreg/internal/reckon"
	"vicreg/internal/runlog"
	"vicreg/internal/show"
)

// Options change how a run works, not what it computes.
type Options struct {
	Reporter         Reporter
	Threads, Workers int           // override the configuration's unless 0
	Device           device.Device // that networks are trained on; nil: the CPU
	Group            group.Group   // of the processes that train together, which all call the same; nil: this one alone
	Ranks            string        // what is to be said of them, for people; may be empty
	Notes            []string      // what is to be known besides, a sentence each
	TensorBoard      bool          // tell TensorBoard of the run, in a folder of it; a run that has done so goes on with it
}

// run is a run in progress.
type run struct {
	config recipe.Config
	folder string
	report Reporter
	log    *runlog.Log
	board  board

	tensorboard bool // the board is wanted

	corpus corpus
	memory string // what is to be said of it

	choices []advice.Choice // that were made for the configuration
	adapted string          // what was changed in it, a sentence
	shrunk  string          // likewise, of its batch
	speed   advice.Speed    // that was measured for them
	untimed string          // why it was not, a sentence

	goal   Goal
	summed *runlog.Summary // what a run came to that goes on beyond its end

	listed dataset.Files
	steps  int // in an epoch

	group            group.Group // of the processes that train together
	ranks            string      // what is to be said of them
	told             []string    // notes that the run was given
	votes            []float64
	threads, workers int // of this process, where they are not the configuration's

	device    device.Device // nil: the processor
	arena     *nn.Arena     // on it, of embedders; nil: each has its own
	method    method.Method
	optimizer optim.Optimizer
	recent    recents                // by branch
	embedders []*pretrained.Embedder // by branch
	viewers   []*pretrained.Embedder // by branch, to judge them without labels
	layers    *runlog.Layers         // that the last look measured; nil: it has not, in this process

	at         checkpoint.State // where the run stands
	beginning  string           // what a new run starts from, a sentence; empty: random weights
	known      int              // changes of plan that the checkpoint knows of
	changes    []string         // what is not as it was when the run was stopped, a sentence each
	clock      clock
	saved      time.Time // when the last checkpoint was written,
	savedStep  int       // and after which step; -1: there is none
	savedModel time.Time // when the last model was written
}

// Pretrain makes a folder and does in it what c says, from the start to the
// summary.
func Pretrain(ctx context.Context, c recipe.Config, o Options) (folder string, s *runlog.Summary, err error) {
	defer group.Catch(&err)
	r, unlock := newRun(recipe.Config{Threads: c.Threads}, o), func() {}
	defer func() { unlock() }()
	err = r.only(func() (err error) {
		if r, err = prepare(ctx, c, o); err != nil { // before there is a folder
			return err
		}
		if folder, err = newFolder(&r.config); err != nil {
			return err
		}
		free, err := runlog.Lock(folder)
		if err != nil {
			return err
		}
		unlock = free
		if err := unused(folder); err != nil {
			return err
		}
		r.folder = folder
		return r.writeConfig()
	})
	if err != nil {
		if r != nil {
			folder = r.folder
		}
		return folder, nil, err
	}
	s, err = r.do(ctx)
	return r.folder, s, err
}

// Resume goes on with the run in folder from its last checkpoint, or from its
// start if it had not come to one.
func Resume(ctx context.Context, folder string, o Options) (*runlog.Summary, error) {
	return Extend(ctx, folder, Goal{}, o)
}

// Extend is Resume of a run that is to end elsewhere than planned, one that has
// ended as well.
func Extend(ctx context.Context, folder string, goal Goal, o Options) (s *runlog.Summary, err error) {
	defer device.Catch(&err)
	defer group.Catch(&err)
	r, unlock := newRun(recipe.Config{}, o), func() {}
	defer func() { unlock() }()
	err = r.only(func() (err error) {
		free, err := lock(folder)
		if err != nil {
			return err
		}
		unlock = free
		r, s, err = reopen(ctx, folder, goal, o)
		return err
	})
	if err != nil {
		return nil, err
	}
	ended := s != nil
	if r.vote(&ended); ended {
		return s, nil
	}
	return r.do(ctx)
}

// lock locks the folder of a run that is to go on.
func lock(folder string) (unlock func(), err error) {
	if err := runlog.CheckFolder(folder); err != nil {
		return nil, fmt.Errorf("there is no run to go on with: %w", err)
	}
	return runlog.Lock(folder)
}

// reopen returns the run in a folder, or the summary of one that has ended.
func reopen(ctx context.Context, folder string, goal Goal, o Options) (r *run, s *runlog.Summary, err error) {
	path := filepath.Join(folder, runlog.ConfigFile)
	c, err := recipe.ReadFile(path)
	if err != nil {
		return nil, nil, err
	}
	if err := c.Validate(); err != nil {
		return nil, nil, fmt.Errorf("%s: %w", path, err)
	}
	if open := c.Undecided(); len(open) > 0 {
		return nil, nil, fmt.Errorf("%s leaves open what a run has chosen before it begins: %s; start a new run with --config %[1]s", path, strings.Join(open, ", "))
	}
	if c.Tune != nil && goal != (Goal{}) {
		return nil, nil, fmt.Errorf("%s is of an encoder that is taught classes, whose rates go down over all its epochs; they cannot be changed on the way, so start a new run", show.Name(folder))
	}
	r = newRun(c, o)
	r.folder, r.goal = folder, goal
	s, err = runlog.ReadSummary(folder)
	switch {
	case err == nil && r.outdated(s): // the run was stopped right after it was made longer
		s = nil
	case err == nil:
		if err := r.ended(s); err != nil {
			return nil, nil, err
		}
		if goal == (Goal{}) || goal.Epochs == c.Epochs {
			r.report.Done(*s)
			return r, s, nil
		}
		r = newRun(c, o)
		r.folder, r.goal, r.summed = folder, goal, s
	case !errors.Is(err, fs.ErrNotExist):
		return nil, nil, err
	}
	if err := r.list(ctx); err != nil {
		return nil, nil, fmt.Errorf("%s: %w", path, err)
	}
	if err := r.enough(); err != nil {
		return nil, nil, err
	}
	return r, nil, nil
}

func newRun(c recipe.Config, o Options) *run {
	if o.Threads > 0 {
		c.Threads = o.Threads
	}
	if o.Workers > 0 {
		c.Workers = o.Workers
	}
	parallel.SetWorkers(c.Threads)
	r := &run{config: c, corpus: newCorpus(c), report: o.Reporter, savedStep: -1, tensorboard: o.TensorBoard,
		group: group.Or(o.Group), threads: o.Threads, workers: o.Workers, ranks: o.Ranks, told: o.Notes}
	if o.Device != nil && !o.Device.Shared() {
		r.device = o.Device
	}
	if r.report == nil || !r.owner() {
		r.report = Silent{}
	}
	r.clock.began = time.Now()
	return r
}

// do brings the run from where its folder says it is to its summary.
func (r *run) do(ctx context.Context) (s *runlog.Summary, err error) {
	defer func() {
		r.release(err)
		err = r.failed(err)
	}()
	defer device.Catch(&err)
	defer group.Catch(&err)
	var resumed bool
	err = r.only(func() (err error) {
		runlog.Clean(r.folder)
		r.sweep()
		if resumed, err = r.position(); err != nil {
			return err
		}
		if resumed {
			return r.again()
		}
		if err = r.aim(r.goal); err == nil {
			err = r.scan(ctx)
		}
		return err
	})
	if err == nil {
		err = r.spread(&resumed)
	}
	if err != nil {
		return nil, err
	}
	unscored := r.corpus.unscored()
	if err := r.build(); err != nil {
		return nil, err
	}
	err = r.only(func() (err error) {
		if !resumed {
			err = r.adopt(ctx)
		} else if err = r.noOtherModel(); err == nil {
			err = r.restore()
		}
		if err == nil {
			err = r.openLog()
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	r.spreadArrays()
	defer func() {
		r.logFailure(err)
		if r.owner() {
			r.log.Close()
		}
	}()
	err = r.only(func() error {
		r.report.Start(r.plan())
		if resumed {
			return r.goOn()
		}
		return r.start(unscored)
	})
	if err == nil && !resumed {
		err = r.save()
	}
	if err == nil {
		err = r.only(r.openBoard)
	}
	if err != nil {
		return nil, err
	}
	defer r.closeBoard()
	if err := r.train(ctx); err != nil {
		return nil, err
	}
	return r.finish(ctx)
}

// again has a run that is resumed go on with its items and, maybe, to another end.
func (r *run) again() error {
	err := r.without()
	if err == nil {
		err = r.replan(r.goal, r.summed)
	}
	if err == nil {
		err = r.onward()
	}
	return err
}

// list finds the items to learn from.
func (r *run) list(ctx context.Context) error {
	if s, ok := r.corpus.(*images); ok {
		s.watch = r.listing(ctx)
	}
	if err := r.corpus.list(r.config); err != nil {
		return err
	}
	r.at.Fingerprint = r.corpus.fingerprint()
	r.listed = r.corpus.files()
	r.at.Files = r.listed.Sums()
	return nil
}

// enough checks that the items fill a batch and suffice for the method.
func (r *run) enough() error {
	n := r.corpus.len()
	if n < r.config.Batch {
		found := ""
		if notes := r.corpus.notes(); len(notes) > 0 { // perhaps why they are so few
			found = ". Of the data: " + strings.Join(notes, "; ")
		}
		return fmt.Errorf("a batch of %d is larger than the data, %d %s; take a smaller batch or more %[3]s%s", r.config.Batch, n,
			r.corpus.kind(), found)
	}
	if err := method.Check(r.config, r.data()); err != nil {
		return err
	}
	return r.fits()
}

// fits checks that the run fits into the memory. It leaves a note on that, and how much
// is left for keeping decoded images.
func (r *run) fits() (err error) {
	d, card := r.counts(), r.card()
	if r.memory, err = reckon.CheckOn(r.config, d, card); err != nil {
		return err
	}
	if s, ok := r.corpus.(*images); ok {
		s.cache = reckon.Room(r.config, d, card, batch.DefaultCache)
	}
	return nil
}

// data is what the method may know of the data.
func (r *run) data() method.Data {
	labels, classes := r.corpus.labels()
	n := r.corpus.len()
	steps := batch.Steps(n, r.config.Batch)
	return method.Data{Items: n, Steps: steps, Labels: labels, Classes: classes, Device: r.device, Group: r.group}
}

// scan finds bad items and measures what the configuration leaves open, and writes the
// configuration anew.
func (r *run) scan(ctx context.Context) (err error) {
	what := "looking at the " + r.corpus.kind()
	if s, ok := r.corpus.(*images); ok {
		s.sums = r.at.Files
	}
	r.report.Phase(what)
	r.at.BadTrain, r.at.BadTest, err = r.corpus.scan(ctx, &r.config, r.progress(what))
	if ctx.Err() != nil {
		return &Interrupted{Folder: r.folder, Epoch: 1, Device: r.flag()}
	}
	if err != nil {
		return err
	}
	if err := r.enough(); err != nil {
		return err
	}
	method.Complete(&r.config, r.data())
	return r.writeConfig()
}

// build makes everything that computes, as it is before the first step.
func (r *run) build() (err error) {
	c := r.config
	n := r.corpus.len()
	r.steps = batch.Steps(n, c.Batch)
	if n := len(c.Replanned); n > 0 && c.Replanned[n-1].Step >= c.Epochs*r.steps {
		return fmt.Errorf("replanned says that the number of epochs was changed after step %d, but %d epochs of these %s are %d steps; leave that key out",
			c.Replanned[n-1].Step, c.Epochs, r.corpus.kind(), c.Epochs*r.steps)
	}
	if r.method, err = method.New(c, r.data()); err != nil {
		return err
	}
	if r.optimizer, err = method.NewOptimizer(c, r.method.Params()); err != nil {
		return err
	}
	r.recent, r.embedders = nil, nil
	if r.device != nil {
		r.arena = nn.NewArena(r.device)
	}
	for _, b := range r.method.Branches() {
		if c.Tune == nil { // logits are watched by what they get right
			r.recent = append(r.recent, newRecent(r.steps*c.Batch, b.Expander.Dim()))
		}
		r.embedders = append(r.embedders, &pretrained.Embedder{Encoder: b.Encoder, Size: c.Size,
			Mean: c.Normalize.Mean, Std: c.Normalize.Std, Batch: min(c.Piece(), 256), Workers: c.Workers,
			Arena: r.arena, Resize: c.Tune != nil && c.Tune.Resize})
	}
	r.viewers = r.newViewers()
	return nil
}

// start writes what a run's folder holds before the first step, and a warning unless
// that is empty.
func (r *run) start(warning string) (err error) {
	if r.at.Config, err = digest(r.config); err != nil {
		return err
	}
	if r.at.ConfigSum, err = r.configSum(); err != nil {
		return err
	}
	r.at.Variants = []string{r.variant()}
	r.at.Started = time.Now().UTC().Round(time.Second)
	for _, bad := range [][]checkpoint.Bad{r.at.BadTrain, r.at.BadTest} {
		for _, b := range bad {
			if err := r.warn("skipped: %s", b.Reason); err != nil {
				return err
			}
		}
	}
	r.at.Notes = nil
	for _, said := range []struct {
		messages []string
		note     bool // and no warning
	}{
		{r.corpus.notes(), true}, {r.advise(), false}, {r.told, true}, {[]string{r.shrunk}, true},
		{[]string{r.memory}, false},
	} {
		for _, message := range said.messages {
			if message == "" {
				continue
			}
			r.at.Notes = append(r.at.Notes, message)
			if err := r.tell(message, said.note); err != nil {
				return err
			}
		}
	}
	if r.beginning != "" { // the plan tells it
		r.at.Notes = append(r.at.Notes, r.beginning)
	}
	if missing := r.missing(); missing != "" {
		if err := r.warn("%s", missing); err != nil {
			return err
		}
	}
	if r.adapted != "" {
		if err := r.warn("%s", r.adapted); err != nil {
			return err
		}
	}
	if warning != "" {
		if err := r.warn("%s", warning); err != nil {
			return err
		}
	}
	return nil
}

// plan tells what is going to happen.
func (r *run) plan() Plan {
	c := r.config
	n := r.corpus.len()
	about := fmt.Sprintf("data     %s, %d %s", r.corpus.name(), n, r.corpus.kind())
	if scored := r.corpus.scored(); scored > 0 {
		about += fmt.Sprintf(", and %d to score on", scored)
	}
	about += r.about() + "\nviews    " + r.corpus.views(c)
	head := "expander"
	if c.Tune != nil {
		head = "classifier"
	}
	for i, b := range r.method.Branches() {
		about += fmt.Sprintf("\nnetwork  %s, %s parameters, %d features; %s %s, %s",
			encoderName(c.EncoderOf(i)), many(model.Count(b.Encoder.Params())), b.Encoder.Dim(),
			head, c.ExpanderOf(i), many(model.Count(b.Expander.Params())))
		if b.Predictor != nil {
			about += fmt.Sprintf("; predictor %s", c.Heads.Predictor)
		}
	}
	if c.Pairs != nil {
		about += "\nbranches " + Sharing(c)
	}
	about += fmt.Sprintf("\nrun      %s, %s, %s of %s of %d %s%s, %s", r.folder, c.Method,
		show.Count(c.Epochs, "epoch"), show.Count(r.steps, "step"), c.Batch, r.corpus.kind(), c.InPieces(),
		r.threadsOf())
	var unwise []string
	if r.at.Steps > 0 {
		about += fmt.Sprintf("; going on after step %d", r.at.Steps) + r.spanOf()
	} else {
		unwise = r.advise()
	}
	if r.device != nil {
		about += fmt.Sprintf("\ndevice   %s, %s", r.computer(), c.Precision)
	}
	if r.ranks != "" {
		about += "\nranks    " + r.ranks
	}
	if r.beginning != "" {
		about += "\ninit     " + r.beginning
	}
	if c.Tune != nil {
		about += "\nteaches  " + Teaching(c)
	}
	replans := r.replans(r.known)
	for _, e := range replans {
		about += "\nplan     " + ofReplan(e)
	}
	about += "\nneeds    " + r.needs()
	return Plan{Folder: r.folder, About: about, Advice: unwise, Replans: replans, Epochs: c.Epochs,
		Steps: c.Epochs * r.steps, Done: r.at.Steps,
		Batch: c.Batch, Dataset: r.corpus.name(), Images: n, Kind: r.corpus.kind(),
		Apart: c.Separate(), After: advice.After(r.facts(), r.speed)}
}

// Sharing says for people whether the sides of pairs share their weights.
func Sharing(c recipe.Config) string {
	if c.Separate() {
		return "separate: each side has weights of its own"
	}
	return "shared: both sides go through the same weights"
}

// threadsOf says for people how much computes at once.
func (r *run) threadsOf() string {
	threads := show.Count(parallel.Workers(), "thread")
	if n := r.processes().Size(); n > 1 {
		return fmt.Sprintf("%d processes of %s", n, threads)
	}
	return threads
}

// encoderName is what people call an encoder.
func encoderName(e recipe.Encoder) string {
	if e.Width == 0 {
		return e.Arch
	}
	return fmt.Sprintf("%s of width %d", e.Arch, e.Width)
}

// many writes a number of parameters.
func many(n int) string {
	if n < 1e5 {
		return fmt.Sprint(n)
	}
	return fmt.Sprintf("%.2f million", float64(n)/1e6)
}
