package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"vicreg/internal/batch"
	"vicreg/internal/device"
	"vicreg/internal/kernel/shape"
	"vicreg/internal/loss"
	"vicreg/internal/method"
	"vicreg/internal/model"
	"vicreg/internal/nn"
	"vicreg/internal/recipe"
	"vicreg/internal/reckon"
	"vicreg/internal/rng"
	"vicreg/internal/tensor"
	"vicreg/internal/train"
)

func newBenchStep(f *benchFlags) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "step",
		Short: "Time whole training steps",
		Long: `Times whole training steps on random data: forward of both views, loss,
backward, and the optimizer (LARS). Images are counted once, not per view.
Operations are those of direct convolution, three times the forward's for
forward and backward, whatever way they are computed.`,
		Example: "  vicreg bench step --encoder resnet18 --size 32 --batch 128 --json",
		Args:    noArgs,
	}
	config := newNetworkFlags(cmd)
	config.method()
	config.expander()
	config.pieces()
	cmd.RunE = func(*cobra.Command, []string) error {
		c, err := config.network()
		if err != nil {
			return err
		}
		if !f.device.far() {
			warnPrecision(method.Precision(c))
			if _, err := reckon.Check(c, reckon.Data{Items: benchItems}); err != nil {
				return usageError{err}
			}
		}
		return f.measure(c.Method+", "+describe(c)+", expander "+c.Expander,
			func(d device.Device) (func() error, int, int, error) { return stepWork(d, c) })
	}
	return cmd
}

func newBenchEmbed(f *benchFlags) *cobra.Command {
	cmd := &cobra.Command{
		Use:     "embed",
		Short:   "Time inference",
		Long:    "Times the encoder's forward on random data, as vicreg embed runs it.",
		Example: "  vicreg bench embed --encoder resnet50 --stem imagenet --size 224 --batch 16",
		Args:    noArgs,
	}
	config := newNetworkFlags(cmd)
	cmd.RunE = func(*cobra.Command, []string) error {
		c, err := config.network()
		if err != nil {
			return err
		}
		if !f.device.far() {
			warnPrecision(method.Precision(c))
			if err := reckon.Inference(c); err != nil {
				return usageError{err}
			}
		}
		return f.measure(describe(c), func(d device.Device) (func() error, int, int, error) { return embedWork(d, c) })
	}
	return cmd
}

func newBenchLoss(f *benchFlags) *cobra.Command {
	var n, d int
	cmd := &cobra.Command{
		Use:     "loss",
		Short:   "Time the loss and both gradients",
		Example: "  vicreg bench loss --n 256 --d 8192",
		Args:    noArgs,
		RunE: func(*cobra.Command, []string) error {
			if n < 2 || d < 1 {
				return usagef("--n is %d and --d is %d, but the loss needs at least 2 rows and 1 column", n, d)
			}
			if err := reckon.Loss(n, d); err != nil && !f.device.far() {
				return usageError{err}
			}
			return f.measure(fmt.Sprintf("loss and gradients, n %d, d %d", n, d),
				func(on device.Device) (func() error, int, int, error) { return lossWork(on, n, d) })
		},
	}
	cmd.Flags().IntVar(&n, "n", 256, "`rows`: images in a batch")
	cmd.Flags().IntVar(&d, "d", 8192, "`columns`: width of the embedding")
	return cmd
}

// newNetworkFlags binds what both benchmarks of a network understand.
func newNetworkFlags(cmd *cobra.Command) *configFlags {
	cmd.Flags().SortFlags = false
	config := newConfigFlags(cmd.Flags())
	config.encoder()
	config.batch()
	config.precision()
	return config
}

// network returns what the flags name; without any it is ResNet-18 at 32
// pixels, batch 128, and the expander of the recipe cifar.
func (f *configFlags) network() (recipe.Config, error) {
	_, name, err := f.chosen("", "")
	if err != nil {
		return recipe.Config{}, err
	}
	c, err := recipe.LoadFor("cifar", name)
	if err != nil {
		return c, usageError{err}
	}
	c.Channels, c.Batch = 3, 128
	f.apply(&c)
	if err := idle(f.given(), &c); err != nil {
		return c, err
	}
	if err := train.Check(c); err != nil {
		return c, usageError{err}
	}
	if c.Channels == 0 {
		return c, usagef("--channels is 0, but random data must have 1 to 16")
	}
	return c, nil
}

// warnPrecision says so where float32 takes the place of p.
func warnPrecision(p shape.Precision) {
	if missing := p.Missing(); missing != "" {
		complain(yellow, "warning:", missing)
	}
}

func describe(c recipe.Config) string {
	return fmt.Sprintf("%s, width %d, %s stem, %d × %d × %d × %d, %s", c.Encoder.Arch, c.Encoder.Width, c.Encoder.Stem,
		c.Batch, c.Size, c.Size, c.Channels, c.Precision) + c.InPieces()
}

// view returns a batch of random images.
func view(c recipe.Config, size int, key uint64) *tensor.Tensor {
	return tensor.From(random(c.Batch*size*size*c.Channels, key), c.Batch, size, size, c.Channels)
}

// random returns n standard normal values.
func random(n int, key uint64) []float32 {
	r := rng.New(key)
	x := make([]float32, n)
	for i := range x {
		x[i] = float32(r.NormFloat64())
	}
	return x
}

// benchItems is how many images there would be, for memory banks and prototypes:
// as in CIFAR.
const benchItems = 50000

// benchTotal is how many steps a run would have of which steps are timed.
const benchTotal = 1 << 20

// stepWork makes a function that does one training step, and counts its images
// and operations.
func stepWork(d device.Device, c recipe.Config) (func() error, int, int, error) {
	if _, err := reckon.CheckOn(c, reckon.Data{Items: benchItems}, cardOf(d, c)); err != nil {
		return nil, 0, 0, err
	}
	m, err := method.New(c, method.Data{Items: benchItems, Steps: benchItems / c.Batch, Device: d})
	if err != nil {
		return nil, 0, 0, err
	}
	opt, err := method.NewOptimizer(c, m.Params())
	if err != nil {
		return nil, 0, 0, err
	}
	b := &batch.Batch{Items: make([]int, c.Batch)}
	for i := range b.Items {
		b.Items[i] = i
	}
	lr, branches, forward, target := c.PeakLR(), m.Branches(), 0, 0
	for i, crop := range c.Crops() {
		x, err := sent(d, view(c, crop.Size, uint64(i+1)))
		if err != nil {
			return nil, 0, 0, err
		}
		b.Views = append(b.Views, x)
		branch := branches[min(i, len(branches)-1)]
		once := branch.Encoder.Flops(x.Shape...) + branch.Expander.Flops(c.Batch)
		if c.Momentum.Use {
			target += once // which goes forward alone
		}
		if branch.Predictor != nil {
			once += branch.Predictor.Flops(c.Batch)
		}
		if c.Pieces() { // forward twice
			target += once
		}
		forward += once
	}
	m.StartEpoch(0)
	steps := 0
	return func() error {
		outcome, err := method.Queue(m, b)
		if err != nil {
			return err
		}
		opt.Step(lr)
		steps++
		m.AfterStep(steps, benchTotal)
		outcome.Read()
		return nil
	}, c.Batch, 3*forward + target + lossFlops(c.Batch, branches[0].Expander.Dim()), nil
}

// sent has a view on a device before it is used, as the loader does: the time of a step is
// that of computing.
func sent(d device.Device, x *tensor.Tensor) (*tensor.Tensor, error) {
	a, ok := d.(device.Ahead)
	if !ok {
		return x, nil
	}
	room := a.Hold(x.Len())
	copy(room, x.Data)
	return tensor.From(room, x.Shape...), a.Send(room)
}

// cardOf is what a reckoning knows of a device; nil of the processor.
func cardOf(d device.Device, c recipe.Config) *reckon.Card {
	return reckon.CardOf(d, method.Precision(c))
}

func embedWork(d device.Device, c recipe.Config) (func() error, int, int, error) {
	if err := reckon.InferenceOn(c, cardOf(d, c)); err != nil {
		return nil, 0, 0, err
	}
	encoder, err := model.New(method.EncoderConfig(c, 0), rng.New(c.Seed))
	if err != nil {
		return nil, 0, 0, err
	}
	encoder.SetPrecision(method.Precision(c))
	for _, p := range append(encoder.Params(), encoder.Buffers()...) {
		p.To(d)
	}
	x, err := sent(d, view(c, c.Size, 1))
	if err != nil {
		return nil, 0, 0, err
	}
	pass := nn.NewInferencePass(nn.NewArena(d))
	var room []float32
	return func() error {
		pass.Reset()
		pass.Read(encoder.Forward(pass, x), &room)
		return nil
	}, c.Batch, encoder.Flops(x.Shape...), nil
}

// lossWork computes the loss of embeddings that are on a device, where that can.
func lossWork(on device.Device, n, d int) (func() error, int, int, error) {
	z1, z2 := random(n*d, 1), random(n*d, 2)
	dz1, dz2 := make([]float32, n*d), make([]float32, n*d)
	v, ws := loss.NewVICReg(), new(loss.Workspace)
	if far, ok := on.(device.Losses); ok {
		var room [4]device.Array
		for i, x := range [][]float32{z1, z2, dz1, dz2} {
			device.Lift(on, &room[i], x)
		}
		return func() error {
			q := v.Queue(far, room[0], room[1], n, d, room[2], room[3])
			q.Terms()
			on.Down(dz1[:1], room[3].Slice(0, 1)) // when all is done
			return nil
		}, n, lossFlops(n, d), nil
	}
	return func() error {
		v.Eval(ws, z1, z2, n, d, dz1, dz2)
		return nil
	}, n, lossFlops(n, d), nil
}

// lossFlops counts the two products of each branch: the smaller of the n × n
// and d × d matrices, and its product with the embeddings.
func lossFlops(n, d int) int { return 2 * 2 * 2 * n * d * min(n, d) }
