package method

import (
	"cmp"
	"encoding/binary"
	"fmt"

	"vicreg/internal/device"
	"vicreg/internal/group"
	"vicreg/internal/nn"
	"vicreg/internal/recipe"
	"vicreg/internal/tensor"
)

// ranks are the processes that train together. Each takes as many rows of a batch through
// the network and has the embeddings of all of them, so every rank computes the loss of the
// whole batch, with the same bits, and takes back the gradients of its own rows. What a
// method keeps from step to step (queues, banks, prototypes) is the same on all ranks.
//
// Where a batch goes through in pieces, each rank has a share of every piece: so rows
// from..to of a rank are the rank-th part of rows from·ranks..to·ranks of the batch.
type ranks struct {
	group group.Group

	arrays [][]float32    // gradients that are added up,
	cross  []float32      // and room for those from another device
	grads  []device.Array // all, where devices add up by themselves
	items  []int          // of the whole batch,
	coded  []byte         // and as they travel
}

// alone reports whether this process has all rows.
func (r *ranks) alone() bool { return group.IsAlone(r.group) }

// start returns where in the batch the rows of this rank lie that are rows from..to of its
// own.
func (r *ranks) start(from, to int) int {
	return from*r.group.Size() + r.group.Rank()*(to-from)
}

// share gives the rows of the batch, of width d, that are rows from..to of this rank to the
// others, and takes in theirs.
func (r *ranks) share(rows []float32, from, to, d int) {
	if r.alone() {
		return
	}
	n, at := r.group.Size(), r.start(from, to)
	r.group.Gather(rows[from*n*d:to*n*d], rows[at*d:(at+to-from)*d])
}

// gatherItems returns the items of the whole batch, in the order of its rows, which go
// through in pieces of so many of a rank; 0: whole.
func (r *ranks) gatherItems(own []int, piece int) []int {
	if r.alone() {
		return own
	}
	r.coded = r.coded[:0]
	for _, item := range own {
		r.coded = binary.LittleEndian.AppendUint64(r.coded, uint64(item))
	}
	all := r.group.GatherBytes(r.coded)
	if piece == 0 {
		piece = len(own)
	}
	r.items = r.items[:0]
	for from := 0; from < len(own); from += piece {
		for _, theirs := range all {
			for i := from; i < min(from+piece, len(own)); i++ {
				r.items = append(r.items, int(binary.LittleEndian.Uint64(theirs[8*i:])))
			}
		}
	}
	return r.items
}

// crossingValues is about how many values of gradients cross at once from another device, which takes as much
// memory here.
const crossingValues = 1 << 24

// sum adds up the gradients of parameters over all ranks: in one sum of all of them or, from another device by
// way of the host, in few.
func (r *ranks) sum(params []*nn.Param) {
	if r.alone() || len(params) == 0 {
		return
	}
	if link := device.Link(params[0].Device()); link != nil {
		r.grads = r.grads[:0]
		for _, p := range params {
			if !p.Grad.None() {
				r.grads = append(r.grads, p.Grad)
			}
		}
		link.SumRanks(r.grads)
		return
	}
	for len(params) > 0 {
		some, values := 0, 0
		for some < len(params) && (values == 0 || values+distant(params[some]) <= crossingValues) {
			values += distant(params[some])
			some++
		}
		r.sumSome(params[:some], values)
		params = params[some:]
	}
}

// distant is how many values of a parameter's gradient lie on another device.
func distant(p *nn.Param) int {
	if p.Device().Shared() {
		return 0
	}
	return p.Grad.Len()
}

// sumSome adds up some gradients, of which so many values lie on another device.
func (r *ranks) sumSome(params []*nn.Param, values int) {
	r.arrays, r.cross = r.arrays[:0], tensor.Grow(r.cross, values)
	room := r.cross
	for _, p := range params {
		if p.Grad.None() {
			r.arrays = append(r.arrays, nil)
			continue
		}
		n := distant(p)
		own := room[:0:n]
		room = room[n:]
		r.arrays = append(r.arrays, device.Lower(p.Device(), &own, p.Grad))
	}
	r.group.Sum(r.arrays...)
	for i, p := range params {
		if distant(p) > 0 {
			p.Device().Up(p.Grad, r.arrays[i])
		}
	}
	clear(r.arrays)
}

// gathered brings the rows of all ranks together for the host: m.z, say, of what this rank
// has embedded. room keeps the memory for the next time.
func (m *core) gathered(room *[]float32, own []float32, n int) []float32 {
	if m.ranks.alone() {
		return own
	}
	*room = tensor.Grow(*room, n*m.ranks.group.Size()*m.d)
	m.ranks.group.Gather(*room, own)
	return *room
}

// own returns how many rows of the batch are this rank's.
func (m *core) own() int { return m.n / m.ranks.group.Size() }

// gatheredFar is gathered for embeddings that stay on a device. They cross by way of the
// host, unless it is linked to those of the other ranks.
func (m *core) gatheredFar(x *crossing, own nn.Act) device.Array {
	if m.ranks.alone() {
		return own.X
	}
	dev := m.joint.Device()
	all := device.Room(dev, &x.far, device.Float32, m.n*m.d)
	if link := device.Link(dev); link != nil {
		link.GatherRanks(all, own.X)
		return all
	}
	dev.Up(all, m.gathered(&x.allZ, m.joint.Read(own, &x.z), own.N))
	return all
}

// ours returns the part of rows of the batch that this rank takes back, of those that are
// from..to of its own.
func (m *core) ours(rows []float32, from, to int) []float32 {
	if rows == nil {
		return nil
	}
	at := m.ranks.start(from, to)
	return rows[at*m.d : (at+to-from)*m.d]
}

// allItems returns the items of the whole batch, of which this rank has own.
func (m *core) allItems(own []int) []int { return m.ranks.gatherItems(own, m.pieces.rows) }

// Own is a configuration with the rows that each rank takes through the network.
func (d Data) Own(c recipe.Config) recipe.Config {
	n := group.Or(d.Group).Size()
	c.Batch, c.MicroBatch = c.Batch/n, c.MicroBatch/n
	return c
}

// divides says what is wrong with the batch of a configuration, or its pieces, for so many
// processes.
func divides(c recipe.Config, processes int) error {
	for _, part := range []struct {
		what string
		rows int
	}{{"a batch", c.Batch}, {"a micro_batch", c.MicroBatch}} {
		below := part.rows / processes * processes
		if below == part.rows || part.what != "a batch" && !c.Pieces() {
			continue
		}
		take := fmt.Sprintf("%d or %d", below, below+processes)
		if below == 0 {
			take = fmt.Sprint(processes)
		}
		return fmt.Errorf("%s of %d cannot be divided equally among %d processes; take %s, or another number of processes", part.what, part.rows, processes, take)
	}
	if n := smallest(c) / processes; processes > 1 && n < 2 && !c.SyncNorm {
		return fmt.Errorf("a batch of %d%s leaves one of %d processes a single row, of which batch normalisation can take no statistics; take a larger one, or leave sync_norm on", c.Batch, c.InPieces(), processes)
	}
	return nil
}

// smallest returns the rows of the smallest piece of a batch.
func smallest(c recipe.Config) int {
	if !c.Pieces() {
		return c.Batch
	}
	return cmp.Or(c.Batch%c.MicroBatch, c.MicroBatch)
}
