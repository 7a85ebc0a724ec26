package nn

import (
	"fmt"

	"vicreg/internal/device"
	"vicreg/internal/group"
)

// Act is an activation on its way, n × h × w × c: a raw tensor, and the normalisation
// and ReLU that its readers have still to do.
type Act struct {
	N, H, W, C int
	device.Source

	// Dot is the raw tensor that the last normalisation normalised. Whoever computes
	// this activation's gradient d leaves Σ d and Σ d·Dot in Sums: all that the backward
	// of that normalisation needs. There are neither where no normalisation comes before.
	Dot  device.Array
	Sums device.Sums

	// Cut says that X went through a ReLU before it was stored: no gradient comes through
	// where it is 0.
	Cut bool

	// Signs are those of X, which serve as the mask of its gradient, or none.
	Signs device.Array

	// join is the record of the residual block that made this activation, or
	// nil: X may have been given back since, see [Pass.live].
	join *record
}

// Len returns the number of elements.
func (a Act) Len() int { return a.N * a.H * a.W * a.C }

// Whole returns an activation that is read as it is stored.
func Whole(x device.Array, n, h, w, c int) Act {
	if x.Len() != n*h*w*c {
		panic(fmt.Sprintf("nn: %d values do not fill %d × %d × %d × %d", x.Len(), n, h, w, c))
	}
	return Act{N: n, H: h, W: w, C: c, Source: device.Source{X: x}}
}

// Input brings a view's values to the pass's device.
func (p *Pass) Input(x []float32, n, h, w, c int) Act {
	if p.whole != nil {
		return Whole(device.LiftPart(p.dev, &p.input, p.act, p.whole, p.from, p.from+len(x)), n, h, w, c)
	}
	return Whole(device.LiftAs(p.dev, &p.input, p.act, x), n, h, w, c)
}

// Read returns the values of an activation that is read as it is stored, for the
// host: on the CPU themselves, of another device a copy in room.
func (p *Pass) Read(a Act, room *[]float32) []float32 { return device.Lower(p.dev, room, a.X) }

// Finish says how to complete a gradient of this activation: add is added unless it is
// none, it is kept where the activation's ReLU let it through, and its sums are left.
func (a Act) Finish(add device.Array) device.Finish {
	f := device.Finish{Add: add, Dot: a.Dot, Sums: a.Sums}
	if a.ReLU || a.Cut {
		f.Mask, f.Signs = a.Source, a.Signs
	}
	return f
}

// Pass is the way of one view through a network, and what backward needs to know of it.
// A training pass keeps the raw output of every convolution until its backward. The sums
// at the ends of residual blocks, which are cheap to make again, it keeps only as long
// as forward reads them. An inference pass normalises by running statistics and keeps
// nothing.
//
// Layers push a record each in Forward and pop it in Backward, so backward must visit
// the layers in the reverse order.
//
// A device says in which type activations are stored, and their gradients are of the
// same. What the host is to read is float32: embeddings, and in inference
// representations. So are values of a channel or of a row, whatever the device.
type Pass struct {
	dev     device.Device // the arena's
	arena   *Arena
	act     device.Type  // of activations
	input   device.Array // room for a view, where it has to be brought
	train   bool         // keeps what backward needs
	target  bool         // what it makes is that of a pass of training
	byBatch bool         // normalises by the batch, not by running statistics
	ready   bool         // stores activations as they are read, and keeps packed weights
	tape    []*record    // records past n are kept for their memory
	n       int
	later   *Later // or nil
	frozen  *Pass  // of what comes before that does not learn, or nil

	whole   []float32       // values of the view of which the input is a part, or nil,
	from    int             // and where that begins
	kept    device.Array    // of what was made, for someone else to read
	counted bool            // running statistics are left as they are
	nowhere [3]device.Array // that they are written to instead

	group group.Group     // whose ranks each have a part of the batch that is normalised; nil: this one has all of it
	add   func([]float64) // adds up over them
	sums  []float64       // on their way
	both  [2]device.Array // likewise, of a device that is linked to those of the others
}

// record is what a layer remembers between forward and backward.
type record struct {
	layer   any
	in, out Act
	id      Act          // what a residual block adds to in
	y       device.Array // the raw tensor the layer wrote, the arena's; none once given back
	stats   device.Array // float32 values of rows, which end y's memory or, where that has
	apart   bool         // another type, are a buffer of their own

	room         int          // channels there is room for below
	mean, rstd   device.Array // c each, of batch normalisation, float64
	scale, shift device.Array // c each: γ·rstd, β − mean·γ·rstd
	a, b, k      device.Array // c each: see [device.Grad]
	sums         device.Sums
	argmax       device.Array
	signs        device.Array

	packed device.Packed // weights, of a pass for many batches

	starts, ids     []int32      // of tokens: where sequences start; what they are
	onDevice, idsOn device.Array // both, where the device reads them
	startsRoom      device.Array // memory of these
	idsRoom         device.Array
}

// NewPass returns a pass that takes its buffers from an arena.
func NewPass(arena *Arena, train bool) *Pass {
	return &Pass{dev: arena.Device(), arena: arena, train: train, byBatch: train}
}

// NewTargetPass returns the pass of a network that learns in another way than by
// gradients, as momentum encoders do. It normalises by the batch and updates running
// statistics, but keeps nothing for a backward.
func NewTargetPass(arena *Arena) *Pass {
	return &Pass{dev: arena.Device(), arena: arena, byBatch: true, target: true}
}

// UseRunning has a pass of training, or of a target, normalise by the running statistics, which stay as
// they are.
func (p *Pass) UseRunning() { p.byBatch = false }

// Together says that every rank of g takes as many rows of the same batch through the same
// network. Batch normalisation takes its statistics of all of them.
func (p *Pass) Together(g group.Group) {
	if p.group = nil; !group.IsAlone(g) {
		p.group, p.add = g, g.SumWide
	}
}

// everywhere adds up sums of a layer's m values a channel over all ranks, and returns how
// many values these are.
func (p *Pass) everywhere(s device.Sums, m int) int {
	if p.group == nil {
		return m
	}
	if link := device.Link(p.dev); link != nil {
		p.both = [2]device.Array{s.A, s.B}
		link.SumRanks(p.both[:])
	} else {
		s.Cross(p.dev, &p.sums, p.add)
	}
	return m * p.group.Size()
}

// elsewhere reports whether the gradients that come of sums over all ranks are another
// rank's to add.
func (p *Pass) elsewhere() bool { return p.group != nil && p.group.Rank() > 0 }

// Frozen returns the pass of layers that do not learn and come before all that do. It is
// one of inference, and lets go of what it made when p is reset. Readers take its last
// activation to p as it is.
func (p *Pass) Frozen() *Pass {
	if p.frozen == nil {
		p.frozen = NewInferencePass(p.arena)
	}
	p.frozen.Reset()
	return p.frozen
}

// Thaw lets go of what the pass of Frozen holds: all that reads it has gone backward.
func (p *Pass) Thaw() {
	if p.frozen != nil {
		p.frozen.Reset()
	}
}

// NewInferencePass returns a pass for many batches through a network whose weights do
// not change meanwhile. It keeps weights in the layout that products read, and finishes
// every activation where it is made.
func NewInferencePass(arena *Arena) *Pass {
	return &Pass{dev: arena.Device(), arena: arena, ready: true}
}

// SetPrecision says what the products of the network multiply that the pass takes a view
// through next: a device may store activations so.
func (p *Pass) SetPrecision(of device.Precision) { p.act = p.dev.Activations(of) }

// stored is the type of activations, or Float32 for those that must be that.
func (p *Pass) stored(float32 bool) device.Type {
	if float32 {
		return device.Float32
	}
	return p.act
}

// pooled is the type of representations.
func (p *Pass) pooled() device.Type {
	if p.Learns() {
		return p.act
	}
	return device.Float32
}

// Part says that inputs from here on are parts of a view's values, of which the next
// begins at from.
func (p *Pass) Part(whole []float32, from int) { p.whole, p.from = whole, from }

// Whole takes back what Part and Counted said.
func (p *Pass) Whole() { p.whole, p.counted = nil, false }

// Counted says that running statistics have counted what goes forward from here on.
func (p *Pass) Counted() { p.counted = true }

// Room lends a buffer of the arena for the gradient of an activation.
func (p *Pass) Room(a Act) device.Array { return p.arena.Get(a.X.Type(), a.Len()) }

// Train reports whether the pass is one for training.
func (p *Pass) Train() bool { return p.train }

// Learns reports whether the pass is of a network that learns, be it that what it makes is
// not kept for a backward.
func (p *Pass) Learns() bool { return p.train || p.target }

// Arena returns where the pass takes its buffers from.
func (p *Pass) Arena() *Arena { return p.arena }

// Device returns what the pass computes on.
func (p *Pass) Device() device.Device { return p.dev }

// Reset makes the pass ready for a new forward. What it still holds goes back
// to the arena, and with it the results of the last forward.
func (p *Pass) Reset() {
	for _, r := range p.tape[:p.n] {
		p.done(r)
	}
	p.n, p.kept = 0, device.Array{}
	if p.frozen != nil {
		p.frozen.Reset()
	}
}

// push appends the record of a layer that reads in and writes n numbers of type t.
func (p *Pass) push(layer any, in Act, t device.Type, n int) *record {
	return p.pushWith(layer, in, t, n, 0)
}

// pushWith is push for a layer that keeps values of rows too.
func (p *Pass) pushWith(layer any, in Act, t device.Type, n, stats int) *record {
	if p.n == len(p.tape) {
		p.tape = append(p.tape, new(record))
	}
	r := p.tape[p.n]
	p.n++
	r.layer, r.in, r.out, r.stats = layer, in, Act{}, device.Array{}
	if r.apart = stats > 0 && t != device.Float32; r.apart {
		r.y, r.stats = p.arena.Get(t, n), p.arena.Get(device.Float32, stats)
		return r
	}
	all := p.arena.Get(t, n+stats)
	r.y, r.stats = all.Slice(0, n), all.Slice(n, n+stats)
	return r
}

// top returns the last record, which must be the layer's.
func (p *Pass) top(layer any) *record {
	if !p.train {
		panic("nn: backward of an inference pass")
	}
	if p.n == 0 || p.tape[p.n-1].layer != layer {
		panic("nn: backward does not follow forward in reverse")
	}
	return p.tape[p.n-1]
}

// pop removes the last record and returns it; done gives its tensor back.
func (p *Pass) pop(layer any) *record {
	r := p.top(layer)
	p.n--
	return r
}

// done gives the tensor of a popped record back to the arena.
func (p *Pass) done(r *record) {
	p.arena.Put(r.y)
	if r.apart {
		p.arena.Put(r.stats)
	}
	r.y, r.stats, r.apart = device.Array{}, device.Array{}, false
}

// live returns an activation that backward is about to read. If it is the sum of a
// residual block it may have to be made again, and before it the sums that went into it,
// up to the first of its stage; backward will read them all soon.
func (p *Pass) live(a Act) Act {
	if r := a.join; r != nil {
		if r.y.None() {
			id := p.live(r.id)
			r.y = p.arena.Get(a.X.Type(), a.Len())
			p.dev.AddReLU(r.y, r.in.Source, id.Source, a.C, true)
		}
		a.X = r.y
	}
	return a
}

// masking is live for a reader that wants no more than the mask.
func (p *Pass) masking(a Act) Act {
	if a.Signs.None() {
		return p.live(a)
	}
	return a
}

// Drop says that an activation will not be read again in forward: inference
// gives its memory back, training keeps it.
func (p *Pass) Drop(a Act) {
	if p.train || !p.kept.None() && p.kept.Same(a.X) {
		return
	}
	for _, r := range p.tape[:p.n] {
		if !r.y.None() && r.y.Same(a.X) {
			p.done(r)
			return
		}
	}
}

// Keep says that an activation is read by others too, until the next Reset.
func (p *Pass) Keep(a Act) { p.kept = a.X }

// Close gives back all memory that the pass has outside of the arena.
func (p *Pass) Close() {
	p.Reset()
	if p.frozen != nil {
		p.frozen.Close()
	}
	for _, r := range p.tape {
		r.free(p.dev)
		for _, a := range []device.Array{r.argmax, r.signs, r.startsRoom, r.idsRoom} {
			p.dev.Free(a)
		}
	}
	for _, a := range append(p.nowhere[:], p.input) {
		p.dev.Free(a)
	}
	p.input, p.nowhere, p.tape = device.Array{}, [3]device.Array{}, nil
}

// channels makes room for c values in each of the record's arrays of channels.
func (r *record) channels(d device.Device, c int) {
	if r.room == c {
		return
	}
	r.free(d)
	r.mean, r.rstd = d.Alloc(device.Float64, c), d.Alloc(device.Float64, c)
	for _, to := range []*device.Array{&r.scale, &r.shift, &r.a, &r.b, &r.k} {
		*to = d.Alloc(device.Float32, c)
	}
	r.sums = device.NewSums(d, c)
	r.room = c
}

// free gives the arrays of channels back.
func (r *record) free(d device.Device) {
	for _, a := range []device.Array{r.mean, r.rstd, r.scale, r.shift, r.a, r.b, r.k, r.sums.A, r.sums.B} {
		d.Free(a)
	}
	r.room = 0
}
