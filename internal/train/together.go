package train

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"vicreg/internal/batch"
	"vicreg/internal/checkpoint"
	"vicreg/internal/group"
	"vicreg/internal/method"
	"vicreg/internal/nn"
	"vicreg/internal/parallel"
	"vicreg/internal/recipe"
	"vicreg/internal/show"
)

// Where several processes train together, rank 0 owns the run's folder: it alone reads and
// writes there, scores the encoder and tells people. The others get from it where the run
// stands. All do the same steps.

// owner reports whether this process owns the run's folder.
func (r *run) owner() bool { return r.processes().Rank() == 0 }

// processes are those that train together.
func (r *run) processes() group.Group { return group.Or(r.group) }

// inProcesses ends a description of what the bits of a run depend on; empty for one process.
func (r *run) inProcesses() string {
	n := r.processes().Size()
	if n == 1 {
		return ""
	}
	return fmt.Sprintf("%s%d processes", among, n)
}

// among stands in the variant of a run in several processes.
const among = ", in "

// processesOf splits a variant, without what decodes, into the rest and the processes.
func processesOf(variant string) (rest, processes string) {
	rest, processes, found := strings.Cut(variant, among)
	if !found {
		processes = "one process"
	}
	return rest, processes
}

// only does what the owner of the folder does alone, and makes its error that of all.
func only(g group.Group, do func() error) (err error) {
	if g.Rank() == 0 {
		err = do()
	}
	g.Barrier()
	return agree(g, err)
}

// agree makes the error of one process that of all, and keeps that a run was interrupted.
func agree(g group.Group, err error) error {
	stopped := []float64{0}
	if errors.Is(err, ErrInterrupted) {
		stopped[0] = 1
	}
	if g.SumWide(stopped); stopped[0] > 0 && err == nil {
		err = ErrInterrupted
	}
	return group.Agree(g, err)
}

func (r *run) only(do func() error) error { return only(r.processes(), do) }

// vote returns which of some things any process wants.
func (r *run) vote(wants ...*bool) {
	if r.processes().Size() == 1 {
		return
	}
	r.votes = r.votes[:0]
	for _, w := range wants {
		v := 0.0
		if *w {
			v = 1
		}
		r.votes = append(r.votes, v)
	}
	r.processes().SumWide(r.votes)
	for i, w := range wants {
		*w = r.votes[i] > 0
	}
}

// order is that of the batches from where the run stands, of which this process makes its
// part.
func (r *run) order() batch.Order {
	c, g := r.config, r.processes()
	o := batch.Order{Seed: c.Seed, Epochs: c.Epochs, Epoch: r.at.Epoch, Step: r.at.Step,
		Part: g.Rank(), Parts: g.Size()}
	if c.Pieces() {
		o.Piece = c.MicroBatch
	}
	return o
}

// next returns the next batch; stop if the run is to end here instead. A process that has
// found bad items tells the others of them, and an error is that of all.
func (r *run) next(ctx context.Context, loader *batch.Loader) (b *batch.Batch, stop bool, err error) {
	b, err = loader.Next()
	late, failed := r.newBad(loader.Bad()), err != nil
	stop, bad := ctx.Err() != nil, len(late) > 0
	r.vote(&stop, &failed, &bad)
	switch {
	case stop:
		return nil, true, nil
	case failed:
		return nil, false, agree(r.processes(), err)
	case bad:
		if late, err = r.allBad(late); err == nil {
			err = r.takeBad(late)
		}
	}
	return b, false, err
}

// start is what the other processes need of the one that owns the folder.
type start struct {
	Config  string // as YAML
	Folder  string
	State   checkpoint.State
	Resumed bool
	Known   int
}

// spread brings the other processes to where the one that owns the folder is: its
// configuration, its data without bad items, and its state, but for the arrays.
func (r *run) spread(resumed *bool) error {
	g := r.processes()
	if g.Size() == 1 {
		return nil
	}
	var message []byte
	err := only(g, func() error {
		raw, err := r.config.YAML()
		if err == nil {
			message, err = json.Marshal(start{string(raw), r.folder, r.at, *resumed, r.known})
		}
		return err
	})
	if err != nil {
		return err
	}
	message = g.GatherBytes(message)[0]
	if !r.owner() {
		err = r.follow(message, resumed)
	}
	if err := agree(g, err); err != nil {
		return err
	}
	return r.alike()
}

// follow takes in what spread sends.
func (r *run) follow(message []byte, resumed *bool) error {
	var s start
	if err := json.Unmarshal(message, &s); err != nil {
		return err
	}
	c, err := recipe.Parse([]byte(s.Config), "the configuration of the run")
	if err != nil {
		return err
	}
	if r.threads > 0 {
		c.Threads = r.threads
	}
	if r.workers > 0 {
		c.Workers = r.workers
	}
	parallel.SetWorkers(c.Threads)
	r.config, r.corpus, r.folder = c, newCorpus(c), s.Folder
	if err := r.list(context.Background()); err != nil {
		return err
	}
	if r.at.Fingerprint != s.State.Fingerprint {
		return fmt.Errorf("the %s in %s are others than those of rank 0; all processes must see the same ones", r.corpus.kind(), show.Name(c.Data.Source))
	}
	if err := r.enough(); err != nil {
		return err
	}
	r.at, r.known, *resumed = s.State, s.Known, s.Resumed
	return r.without()
}

// alike refuses processes that would compute different bits.
func (r *run) alike() error {
	all := r.processes().GatherBytes([]byte(r.variant()))
	for rank, other := range all {
		if first := string(all[0]); string(other) != first {
			return fmt.Errorf("rank 0 computes on %s, rank %d on %s: their parameters would drift apart; start all on machines of one kind, or set VICREG_CPU to what all of them have", first, rank, other)
		}
	}
	return nil
}

// spreadArrays gives all processes the arrays of the one that owns the folder.
func (r *run) spreadArrays() {
	g := r.processes()
	if g.Size() == 1 {
		return
	}
	arrays := r.arrays()
	for _, a := range arrays {
		g.Broadcast(group.Bytes(a.Data), 0)
	}
	r.store(arrays)
}

// same checks that all processes have the same parameters still.
func (r *run) same() error {
	g := r.processes()
	if g.Size() == 1 {
		return nil
	}
	var sum uint32
	r.each(func(_ string, p *nn.Param) {
		running := strings.HasSuffix(p.Name, ".running_mean") || strings.HasSuffix(p.Name, ".running_var")
		if r.config.SyncNorm || !running { // else each process has its own
			sum = group.Checksum(sum, p.Read())
		}
	})
	all := g.GatherBytes(fmt.Appendf(nil, "%08x", sum))
	for rank, other := range all {
		if string(other) != string(all[0]) {
			return fmt.Errorf("after step %d the parameters of rank %d are no longer those of rank 0, though all compute the same: a machine may be faulty, or the processes run other versions; %s", r.at.Steps, rank, r.lastGood())
		}
	}
	return nil
}

// own is the configuration with the rows that each process takes through the network.
func (r *run) own() recipe.Config { return method.Data{Group: r.group}.Own(r.config) }

// newBad returns those of some bad items that the run does not know yet.
func (r *run) newBad(found []batch.Bad) (late []checkpoint.Bad) {
	if len(found) == 0 {
		return nil
	}
	known := names(r.at.BadLate)
	for _, b := range badItems(found) {
		if !known[b.Name] {
			late = append(late, b)
		}
	}
	return late
}

// allBad returns the bad items that any process has found, by rank, each once.
func (r *run) allBad(late []checkpoint.Bad) (all []checkpoint.Bad, err error) {
	if r.processes().Size() == 1 {
		return late, nil
	}
	message, err := json.Marshal(late)
	known := map[string]bool{}
	for _, m := range r.processes().GatherBytes(message) {
		var theirs []checkpoint.Bad
		err = errors.Join(err, json.Unmarshal(m, &theirs))
		for _, b := range theirs {
			if !known[b.Name] {
				all = append(all, b)
			}
			known[b.Name] = true
		}
	}
	return all, err
}
