// Package reckon says how much memory a run takes before it takes any, and what would
// fit if that is too much. It works from the numbers of a configuration alone, in
// microseconds.
package reckon

import (
	"cmp"
	"fmt"
	"math"
	"runtime"
	"slices"
	"strings"

	"vicreg/internal/host"
	"vicreg/internal/method"
	"vicreg/internal/model"
	"vicreg/internal/recipe"
)

// Data is what is known of the data; 0: not yet.
type Data struct {
	Items  int // to train on
	Scored int // to score on

	Card *Card // that computes; nil: the processor

	// Processes that train together, of which each takes its part of a batch through the
	// network, and how many of them share this machine's memory. 0 is one.
	Processes, Here int
}

// own is a configuration with the rows that a process takes through the network.
func (d Data) own(c recipe.Config) recipe.Config {
	n := max(1, d.Processes)
	c.Batch, c.MicroBatch = (c.Batch+n-1)/n, (c.MicroBatch+n-1)/n
	return c
}

// limit is the memory that a process may have.
func (d Data) limit() host.Memory {
	m := host.MemoryLimit()
	if n := d.Here; n > 1 {
		return host.Memory{Bytes: min(m.Bytes, anyMachine.Bytes) / float64(n),
			Limit: fmt.Sprintf("each of %d processes on this machine may have", n)}
	}
	return m
}

// Need is how many bytes a run holds at most, by purpose.
type Need struct {
	Program     float64 // itself and what its threads keep
	Network     float64 // parameters, gradients, what the optimizer remembers
	Momentum    float64 // encoder
	Queue       float64
	Prototypes  float64 // with the memory bank of clusters
	Activations float64 // of all views
	Loss        float64 // embeddings, their gradients, and what the loss makes of them
	Batches     float64 // views that are ready
	Features    float64 // that are scored

	movable   float64 // of Features: those to fit on, which may be in a file instead
	inference float64 // of Features: activations of encoders that score,
	twins     float64 // and the batches that they read
	forward   float64 // the most that lie side by side while a view goes forward, nothing kept
}

// Total is the sum of it all.
func (n Need) Total() float64 {
	return n.Program + n.Network + n.Momentum + n.Queue + n.Prototypes + n.Activations + n.Loss + n.Batches + n.Features
}

// Least is Total where the features that are fitted on are kept in a file.
func (n Need) Least() float64 { return n.Total() - n.movable }

// float is the size of a number in bytes.
const float = 4

// Viewed returns how many views of so many pixels wide an encoder looks at together
// to be judged: few, as their memory is taken beside that of training.
func Viewed(size int) int {
	const pixels, least, most = 1 << 18, 4, 64
	return max(least, min(most, pixels/max(1, size*size)))
}

// Run returns what training a valid configuration needs. What depends on data that
// nobody knows yet counts as nothing. An error says what is wrong with a network.
func Run(whole recipe.Config, d Data) (Need, error) {
	c := d.own(whole)
	if l := c.Data.Limit; l > 0 && (d.Items == 0 || l < d.Items) {
		d.Items = l
	}
	threads, workers := float64(cmp.Or(c.Threads, runtime.GOMAXPROCS(0))),
		float64(cmp.Or(c.Workers, runtime.GOMAXPROCS(0)))
	// A tiny network keeps few of many threads busy.
	need := Need{Program: 70e6 + 5e6*min(threads, 32) + 3e6*min(workers, 32) + 5e4*(threads+workers)}
	if d.Scored > 0 {
		need.Program += 30e6 // garbage between scoring and training
	}
	crops := c.Crops()
	branches := 1
	if c.Separate() {
		branches = 2
	}
	state := 1.0 // numbers that the optimizer keeps of a parameter
	if c.Optimizer.Name == "adamw" {
		state = 2
	}
	largest, widths := 0.0, 0.0 // array of parameters; channels of all layers of the heads
	widest := 0.0
	var views [2]viewOf
	for b := range branches {
		var err error
		if views[b], err = ofBranch(c, b); err != nil {
			return need, err
		}
		v := &views[b]
		largest, widths, widest = max(largest, v.largest), widths+v.widths, max(widest, v.widest)
		need.Network += float * (v.values*(2+state) + v.statistics)
		if c.Tune.Frozen() { // the encoder has no gradients
			need.Network -= float * v.encoder * (1 + state)
		}
		// The model is scored beside one that is not trained, its weights in the
		// order in which they are read.
		need.Features += float * 2 * v.encoder
		if d.Scored > 0 && c.Tune == nil { // else scores are counted batch by batch
			need.Features += float * 3 * float64(d.Items+d.Scored) * float64(v.dim)
			held := 0 // for neighbours between epochs
			if c.Eval.Every > 0 {
				held = min(cmp.Or(c.Eval.Limit, d.Items), d.Items)
			}
			need.movable += float * 3 * float64(d.Items-held) * float64(v.dim)
		}
	}
	if c.Momentum.Use {
		need.Momentum = float * (views[0].values - views[0].predictor)
	}

	// The arena: one view after the other goes forward, then all come back; or each piece
	// of each view goes forward and comes back.
	n, arena, kept, target, later := c.Piece(), 0.0, 0.0, 0.0, 0.0
	batches, scout := 0.0, 0.0
	var peaks []model.Lent
	for i, crop := range crops {
		v := views[min(i, branches-1)]
		in := v.input
		if c.Pairs == nil {
			in.Shape = model.ImageInput(crop.Size, in.Shape[2]).Shape
		}
		if !v.known {
			continue
		}
		v.config.Input = in
		if _, _, err := model.Arrays(v.config); err != nil {
			return need, err // of a view of its own size
		}
		l := d.Card.lent(c.Precision, v.config, v.head, v.predict, n)
		if c.Tune.Frozen() {
			l.Kept, l.Forward, l.Backward = 0, l.Target, l.Target
		}
		values := float64(n)
		for _, s := range in.Shape {
			values *= float64(s)
		}
		peaks = append(peaks, l)
		arena = max(arena, kept+l.Forward)
		if c.Pieces() {
			arena, scout = max(arena, l.Backward, l.Target), max(scout, l.Aside)
			if d.Card != nil { // a piece, beside the views
				need.Activations += float * values
			}
		} else {
			kept += l.Kept
		}
		target = max(target, l.Target)
		need.forward = max(need.forward, float*l.Target)
		need.Activations += float * l.Aside
		batches += values / float64(n) * float64(c.Batch)
		if d.Scored > 0 && i < branches { // they are embedded beside, 256 at a time
			need.Features += float * (l.Target + 3*values) * float64(min(n, 256)) / float64(n)
			need.inference += float * l.Target * float64(min(n, 256)) / float64(n)
			need.twins += float * 3 * values * float64(min(n, 256)) / float64(n)
		}
		if i < branches { // and views are looked at, a few at a time
			need.Features += float * (l.Target + 2*values) * float64(min(n, Viewed(c.Size))) / float64(n)
			need.inference += float * l.Target * float64(min(n, Viewed(c.Size))) / float64(n)
		}
		later += float64(c.Batch) * v.deferred // rows of what makes the gradients of the expander
	}
	for _, l := range slices.Backward(peaks) {
		if !c.Pieces() {
			kept -= l.Kept
		}
		arena = max(arena, kept+l.Backward)
	}
	if c.Momentum.Use {
		arena = max(arena, target)
	}
	need.Activations += float * scout // of the pass that goes forward first
	lent := 0.0                       // memory of gradients that is the arena's while views are on their way
	for b := range branches {
		lent += views[b].lent
	}
	need.Activations += float * (max(arena-lent, 0.25*arena) + later)

	slots := 3.0
	if float*batches > 64<<20 && d.Card == nil || c.Pieces() {
		slots = 2
	}
	need.Batches = float * batches * slots
	// What the kernels keep from call to call: sums of the channels by pieces of a pass
	// of 32,768 values, in float64, and packed rows. Each layer has coefficients of its
	// channels. A model is written one tensor at a time.
	pieces := math.Ceil(float64(n) / max(1, math.Floor(32768/widest)))
	need.Activations += 16*pieces*widest + float*float64(n)*widest + 200*widths
	if least := float * largest; need.Features < least {
		need.Features, need.movable = least, 0
	} else {
		need.movable = min(need.movable, need.Features-least)
	}
	need.Queue, need.Prototypes, need.Loss = ofMethod(whole, d, len(crops), branches)
	return need, nil
}

// viewOf is what a view goes through.
type viewOf struct {
	known   bool // its input is
	config  model.Config
	input   model.Input
	head    model.Head
	predict *model.Head
	dim     int // of representations

	// Values of parameters: all, those of the encoder and of the predictor; and
	// running statistics.
	values, encoder, predictor, statistics float64

	largest        float64 // array of parameters
	widths, widest float64 // channels of the heads' layers, all and the most

	lent     float64 // gradients whose memory the arena has meanwhile,
	deferred float64 // and numbers of a row that are kept to make them
}

// ofBranch lists the arrays of branch 0 or 1.
func ofBranch(c recipe.Config, b int) (v viewOf, err error) {
	v.config = method.EncoderConfig(c, b)
	v.head = c.Projector(b)
	v.config.Input, v.known = input(c, b)
	v.input = v.config.Input
	if !v.known {
		return v, model.Check(v.config.Arch, v.config.Input.Kind)
	}
	all, dim, err := model.Arrays(v.config)
	if err != nil {
		return v, err
	}
	v.dim = dim
	v.encoder = v.add(all)
	if all, err = v.head.Arrays(dim); err != nil {
		return v, err
	}
	v.add(all)
	v.heads(all)
	for _, a := range all {
		if size := float64(a.Len()); len(a.Shape) == 2 && a.Deferred(method.PieceRows(c)) {
			v.lent += size
			v.deferred += float64(a.Shape[0] + a.Shape[1])
		}
	}
	if head, ok := c.Predictor(); ok {
		widths, _ := model.ParseExpander(v.head.Widths)
		if all, err = head.Arrays(widths[len(widths)-1]); err != nil {
			return v, err
		}
		v.predictor = v.add(all)
		v.heads(all)
		v.predict = &head
	}
	return v, nil
}

// heads counts the channels of layers whose arrays these are.
func (v *viewOf) heads(all []model.Array) {
	for _, a := range all {
		if len(a.Shape) == 2 {
			v.widths += float64(a.Shape[0])
			v.widest = max(v.widest, float64(a.Shape[0]))
		}
	}
}

// add counts arrays and returns how many values of parameters they have.
func (v *viewOf) add(all []model.Array) (values float64) {
	for _, a := range all {
		v.largest = max(v.largest, float64(a.Len()))
		if strings.HasSuffix(a.Name, ".running_mean") || strings.HasSuffix(a.Name, ".running_var") || strings.HasSuffix(a.Name, ".num_batches_tracked") {
			v.statistics += float64(a.Len())
		} else {
			values += float64(a.Len())
		}
	}
	v.values += values
	return values
}

// input returns what a branch reads, as far as the configuration says, and whether that
// is enough. Where the number of an image's channels is up to the data, it counts as
// colour.
func input(c recipe.Config, b int) (in model.Input, known bool) {
	if c.Pairs == nil {
		return model.ImageInput(c.Size, cmp.Or(c.Channels, len(c.Data.Bands), 3)), true
	}
	in = c.InputOf(b)
	if len(in.Shape) > 0 {
		return in, true
	}
	s := c.Sides()[b]
	switch s.Type {
	case "image":
		in.Shape = []int{s.Size, s.Size, cmp.Or(s.Channels, len(c.Data.Bands), 3)}
	case "waveform":
		in.Shape = []int{s.Length, 1}
	case "spectrogram":
		bands := 64
		if s.Mel != nil {
			bands = s.Mel.Bands
		}
		in.Shape = []int{bands, s.Length, 1}
	case "series":
		in.Shape = []int{s.Length, cmp.Or(s.Channels, 1)}
	case "numeric":
		in.Shape = []int{len(s.Columns)}
	case "text":
		in.Shape = []int{s.Length}
	case "embedding":
		in.Shape = []int{s.Width}
	}
	return in, !slices.Contains(in.Shape, 0)
}

// ofMethod returns what a method holds beside the network.
func ofMethod(c recipe.Config, data Data, views, branches int) (queue, prototypes, loss float64) {
	n, v := float64(c.Batch), float64(views)
	widths, _ := model.ParseExpander(c.Expander)
	d := float64(widths[len(widths)-1])
	// Gradients of the embeddings, copies that are watched for collapse, and those
	// of an epoch.
	values := v*n*d + float64(branches)*(n*d+2*min(1024, cmp.Or(float64(data.Items), 1024))*d)
	seen := v * n * d // embeddings and predictions
	if _, ok := c.Predictor(); ok {
		values += v * n * d
		seen *= 2
	}
	if c.Pieces() { // which all are there at once
		values += seen
	}
	unit := n * d * (2 + v) // unit rows and their gradients
	square := min(n, d) * min(n, d)
	queues := 2 * float64(c.Queue.Size) * d
	switch c.Method {
	case "vicreg":
		values += gram(n, d)
		if c.Heads.StopGradient || c.Heads.Predictor != recipe.None {
			values += 6 * n * d
		}
	case "barlow-twins":
		values += 3*n*d + square
		if d > 4096 && d < n {
			values += d * 1024
		}
	case "simclr":
		values += unit + 4*n*d + 4*n*n
	case "moco-v2":
		queue = 1.5 * queues // a copy of one while it is filled
		values += unit + 6*n*d + n*min(2048, float64(c.Queue.Size))
	case "moco-v3":
		values += unit + 4*n*d + n*n
	case "wmse":
		values += unit + 6*v*n*d
	case "swav":
		k := counted(c.Prototypes.Counts)
		queue = queues + 2*float64(c.Queue.Size)*k // and its scores
		prototypes = 4*k*d + (v+2)*n*k + (n+float64(c.Queue.Size))*k
		values += unit + 3*n*d
	case "deepcluster":
		k, items := counted(c.Prototypes.Counts), float64(data.Items)
		prototypes = 3*k*d + v*n*k + items*(3*d+float64(len(c.Prototypes.Counts))+2)
		values += unit + 3*n*d
	case recipe.Supervised:
	default:
		values += unit + 4*n*d
	}
	if c.Regularize.On() {
		values += gram(n, d) + 2*n*d
	}
	return float * queue, float * prototypes, float * values
}

// gram is what variance and covariance of two embeddings take.
func gram(n, d float64) float64 {
	switch {
	case n <= d && n <= 512:
		return 18 * n * n
	case n <= d:
		return 2*n*d + n*n
	case d <= 4096:
		return 2*n*d + d*d
	}
	return 2*n*d + 1024*d
}

func counted(counts []int) (sum float64) {
	for _, k := range counts {
		sum += float64(k)
	}
	return sum
}
